//! Whatever ends, nobody is left and every record comes to its end.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{CONFIG, Site, living};
use crate::rig::{Daemon, Files};

// spec: X-20, X-25
#[tokio::test]
async fn a_client_that_goes_away_is_counted_as_such_and_its_run_goes_on_unless_it_is_to_be_cancelled() {
    let site = Site::start().await;
    let leave = async |body: &str| {
        let mut stream = TcpStream::connect(site.daemon.address).await.unwrap();
        // On a connection that is to be kept the server looks whether somebody is there.
        let request =
            site.daemon.posted("/v1/exec/tasks/waits", "", body).replace("Connection: close\r\n", "");
        stream.write_all(request.as_bytes()).await.unwrap();
        let listed =
            |answer: &crate::rig::Answer| !answer.json()["executions"].as_array().unwrap().is_empty();
        let all = site.daemon.until("/v1/exec?status=running", listed).await.json();
        drop(stream);
        all["executions"][0]["exec_url"].as_str().unwrap().to_owned()
    };
    let url = leave(r#"{"cancel_on_timeout": true}"#).await;
    site.becomes(&url, "cancelled").await;
    let url = leave("{}").await;
    let gone = "http_exec_sync_latency_seconds_count{kind=\"task\",outcome=\"cancelled\"} 2";
    site.daemon.until("/metrics", |answer| answer.body.contains(gone)).await;
    assert_eq!(site.daemon.get(&url).await.json()["status"], "running");
    assert_eq!(site.metric("http_exec_timeouts_total{kind=\"task\"}").await, 0.0);
    site.cancel(&url).await;
    site.becomes(&url, "cancelled").await;
}

// spec: X-4, X-7, U-70
#[tokio::test]
async fn a_stop_ends_what_runs_and_what_waits_in_time() {
    let config = CONFIG.to_owned() + "exec: {concurrency: 3, queue: 3}\n";
    let mut site = Site::of(&config).await;
    let mut ids = Vec::new();
    for _ in 0..6 {
        let url = site.begin("tasks/waits", "{}").await;
        ids.push(url.rsplit('/').next().unwrap().to_owned());
    }
    site.becomes(&format!("/v1/exec/{}", ids[2]), "running").await;
    site.daemon.signal("TERM");
    assert_eq!(site.daemon.ends().await.code(), Some(0), "{:?}", site.daemon.said);
    for id in &ids {
        assert_eq!(living(id), Vec::<String>::new());
    }
}

// spec: X-4, U-70
#[tokio::test]
async fn a_second_signal_waits_for_no_grace_of_a_tool() {
    let config = r#"
version: 1
agent: {name: edge}
server: {listen: "127.0.0.1:0"}
tools:
  - {id: stays, command: [sh, -c, 'trap : TERM; touch FOLDER/deaf; while :; do sleep 1; done'], limits: {timeout: 1h, grace: 1h}}
"#;
    let mut site = Site::of(config).await;
    let url = site.begin("tasks/stays", "{}").await;
    site.becomes(&url, "running").await;
    site.made("deaf").await;
    site.daemon.signal("TERM");
    site.daemon.hears("stopping").await;
    site.daemon.signal("TERM");
    assert_eq!(site.daemon.ends().await.code(), Some(1));
    assert!(site.daemon.said.iter().any(|line| line.contains("what was called did not end by itself")));
    let mark = url.rsplit('/').next().unwrap();
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(20));
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut left = living(mark);
    // Its keeper sees that the daemon is gone, and needs a moment for it.
    for _ in 0..500 {
        if left.is_empty() {
            break;
        }
        looks.tick().await;
        left = living(mark);
    }
    assert_eq!(left, Vec::<String>::new());
}

// spec: X-4, X-23
#[tokio::test]
async fn nobody_of_twenty_runs_survives_the_kill_of_the_daemon_and_its_next_start() {
    let config = CONFIG.to_owned() + "exec: {concurrency: 20, queue: 0}\n";
    // Some leave their group and session, and close what they were given.
    let config = config.replace(
        "workers:\n",
        "  - {id: leaves, command: [sh, -c, '(setsid sleep 600 >/dev/null 2>&1 &); (setsid sh -c \"trap : TERM; sleep 600; :\" &); sleep 600; :']}\nworkers:\n",
    );
    let files = Files::new(&[("fsmd.yaml", &config)]);
    let runtime = files.folder().join("runtime");
    std::fs::create_dir(&runtime).unwrap();
    let environment = [("XDG_RUNTIME_DIR", runtime.to_str().unwrap())];
    let daemon = Daemon::start_in(&files.path("fsmd.yaml"), &environment).await;
    let mut site = Site { files, daemon };
    let mut ids = Vec::new();
    for number in 0..20 {
        let url = site.begin(if number % 2 == 0 { "tasks/waits" } else { "tasks/leaves" }, "{}").await;
        ids.push(url.rsplit('/').next().unwrap().to_owned());
    }
    for id in &ids {
        site.becomes(&format!("/v1/exec/{id}"), "running").await;
    }
    site.daemon.until("/metrics", |_| ids.iter().all(|id| !living(id).is_empty())).await;
    site.daemon.signal("KILL");
    site.daemon.ends().await;
    let next = Daemon::start_in(&site.files.path("fsmd.yaml"), &environment).await;
    let nobody = |_: &crate::rig::Answer| ids.iter().all(|id| living(id).is_empty());
    next.until("/metrics", nobody).await;
}
