//! Calls and their answers.

use serde_json::json;

use super::Site;

// spec: X-20, X-1
#[tokio::test]
async fn a_call_is_answered_with_what_the_tool_said_and_leaves_a_record() {
    let site = Site::start().await;
    let answer = site.call("tasks/line/count", r#"{"input": {"line": "l4"}}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.json();
    assert_eq!((&told["status"], &told["output"]), (&json!("success"), &json!([1, 2])));
    assert_eq!(told["metadata"], json!({"unit": "parts"}));
    let record = site.daemon.get(told["exec_url"].as_str().unwrap()).await.json();
    for (key, value) in [
        ("exec_id", told["exec_id"].clone()),
        ("kind", json!("task")),
        ("target", json!("line/count")),
        ("status", json!("success")),
        ("input", json!({"line": "l4"})),
        ("output", json!([1, 2])),
        ("attempts", json!(1)),
    ] {
        assert_eq!(record[key], value, "{record}");
    }
    let times =
        ["created_at", "started_at", "finished_at"].map(|key| record[key].as_str().unwrap().to_owned());
    assert!(times.is_sorted() && times.iter().all(|time| time.ends_with('Z')), "{times:?}");

    let greeting = site.call("tasks/greet", r#"{"input": "press 7"}"#).await.json();
    assert_eq!(greeting["output"], "hello, press 7\n");
    // Without a body there is no input.
    let answer = site
        .daemon
        .send(&format!(
            "POST /v1/exec/tasks/greet HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            site.daemon.address
        ))
        .await;
    assert_eq!((answer.status, &answer.json()["output"]), (200, &json!("hello, \n")));
    assert_eq!(
        site.metric("http_exec_sync_latency_seconds_count{kind=\"task\",outcome=\"success\"}").await,
        3.0
    );
    assert_eq!(
        site.metric("runtime_tool_execute_seconds_count{tool_id=\"greet\",outcome=\"success\"}").await,
        2.0
    );
    assert_eq!(site.metric("http_exec_started_total{kind=\"task\"}").await, 0.0, "nothing was asynchronous");
}

// spec: X-20, X-7
#[tokio::test]
async fn a_run_that_failed_is_an_error_that_tells_why() {
    let site = Site::start().await;
    let answer = site.call("tasks/print", "{}").await;
    assert!(answer.status == 422 && answer.head.contains("application/problem+json"), "{answer:?}");
    let told = answer.json();
    let error = json!({"reason": "tool_error", "message": "no paper", "name": "Printer", "stack": "l. 3", "exit_code": 0});
    assert_eq!(
        (&told["error"], &told["state"], &told["detail"]),
        (&error, &json!("failure"), &json!("no paper"))
    );
    assert_eq!(told["stderr"], "tray 2\n");
    let record = site.daemon.get(told["exec_url"].as_str().unwrap()).await.json();
    assert_eq!((&record["status"], &record["error"]), (&json!("failure"), &error));

    let told = site.call("tasks/exits", "{}").await.json();
    assert_eq!((&told["error"]["reason"], &told["error"]["exit_code"]), (&json!("exit_nonzero"), &json!(3)));
    assert_eq!(told["output"], 7, "what it had answered is kept");
    let told = site.call("tasks/missing", "{}").await.json();
    assert_eq!(told["error"]["reason"], "spawn_failed");
    assert!(told["detail"].as_str().unwrap().contains("no-such-program-here"), "{told}");
    assert_eq!(site.call("tasks/garbage", "{}").await.json()["error"]["reason"], "parse");
    let told = site.call("tasks/short", "{}").await.json();
    assert_eq!((&told["state"], &told["status"]), (&json!("timeout"), &json!(422)));
    assert_eq!(site.metric("http_exec_errors_total{kind=\"task\",code=\"422\"}").await, 5.0);
    assert_eq!(
        site.metric("http_exec_sync_latency_seconds_count{kind=\"task\",outcome=\"error\"}").await,
        4.0
    );
    assert_eq!(
        site.metric("http_exec_sync_latency_seconds_count{kind=\"task\",outcome=\"timeout\"}").await,
        1.0
    );
}

// spec: X-21, X-23
#[tokio::test]
async fn who_does_not_wait_is_told_where_to_look() {
    let site = Site::start().await;
    let answer = site.daemon.post("/v1/exec/tasks/line/count?async=true", "", "{}").await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let told = answer.json();
    let url = told["exec_url"].as_str().unwrap();
    assert_eq!(url, format!("/v1/exec/{}", told["exec_id"].as_str().unwrap()));
    assert!(answer.head.contains(&format!("location: {url}\r\n")), "{answer:?}");
    assert_eq!(
        site.metric("http_exec_started_total{kind=\"task\"}").await,
        1.0,
        "counted before it is answered"
    );
    assert_eq!(site.becomes(url, "success").await["output"], json!([1, 2]));
    // Nobody waits, so the time that is given is the run's.
    let url = site.begin("tasks/waits", r#"{"timeout_s": 0.2}"#).await;
    let record = site.becomes(&url, "timeout").await;
    assert_eq!(record["error"]["reason"], "timeout");
    assert_eq!(living(&record), Vec::<String>::new());
}

fn living(record: &serde_json::Value) -> Vec<String> {
    super::living(record["exec_id"].as_str().unwrap())
}

// spec: X-20
#[tokio::test]
async fn a_wait_that_runs_out_tells_the_state_and_the_run_goes_on_unless_it_is_to_be_cancelled() {
    let site = Site::start().await;
    let answer = site.call("tasks/waits", r#"{"timeout_s": 0.3}"#).await;
    assert_eq!(answer.status, 408, "{answer:?}");
    let told = answer.json();
    let url = told["exec_url"].as_str().unwrap().to_owned();
    assert_eq!(told["state"], "running");
    assert!(told["help"].as_str().unwrap().contains(&format!("DELETE {url}")), "{told}");
    assert_eq!(site.daemon.get(&url).await.json()["status"], "running");
    assert!(!living(&told).is_empty());
    let cancelled = site.cancel(&url).await;
    assert_eq!(cancelled.status, 202, "{cancelled:?}");
    let record = site.becomes(&url, "cancelled").await;
    assert_eq!((&record["error"]["reason"], living(&record)), (&json!("cancelled"), vec![]));
    assert_eq!(site.cancel(&url).await.status, 200, "it has ended");

    let told = site.call("tasks/waits", r#"{"timeout_s": 0.3, "cancel_on_timeout": true}"#).await.json();
    site.becomes(told["exec_url"].as_str().unwrap(), "cancelled").await;
    assert_eq!(site.metric("http_exec_timeouts_total{kind=\"task\"}").await, 2.0);
    assert_eq!(site.metric("http_exec_errors_total{kind=\"task\",code=\"408\"}").await, 2.0);
}

// spec: X-22
#[tokio::test]
async fn executions_are_listed_newest_first_by_what_is_asked_for_and_in_pages() {
    let site = Site::start().await;
    for what in ["tasks/greet", "tasks/print", "tasks/greet", "agents/edge/hello/-/none"] {
        site.call(what, "{}").await;
    }
    let running = site.begin("tasks/waits", "{}").await;
    site.becomes(&running, "running").await;
    let list = async |query: &str| {
        let answer = site.daemon.get(&format!("/v1/exec{query}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let told = answer.json();
        let all = told["executions"].as_array().unwrap().iter();
        let all: Vec<String> =
            all.map(|one| format!("{} {}", one["target"], one["status"]).replace('"', "")).collect();
        (all, told["next"].as_str().map(str::to_owned))
    };
    let all = ["waits running", "greet success", "print failure", "greet success"];
    assert_eq!(list("").await, (all.map(String::from).to_vec(), None), "a refused one leaves no record");
    assert_eq!(list("?status=failure").await.0, all[2..3]);
    assert_eq!(list("?tool=greet&kind=task").await.0, [all[1], all[3]]);
    assert_eq!(list("?kind=workflow").await.0, [""; 0]);
    assert_eq!(list("?since=10m").await.0, all);
    assert_eq!(list("?since=2999-01-01T00:00:00Z").await.0, [""; 0]);
    let (page, next) = list("?limit=2").await;
    assert_eq!(page, all[..2]);
    assert_eq!(
        list(&format!("?limit=2&before={}", next.unwrap())).await,
        (all[2..].iter().map(|&one| one.into()).collect(), None)
    );
    for wrong in ["?status=done", "?limit=0", "?limit=9999", "?since=tomorrow", "?colour=red"] {
        assert_eq!(site.daemon.get(&format!("/v1/exec{wrong}")).await.status, 400, "{wrong}");
    }
}

// spec: X-24
#[tokio::test]
async fn a_repeated_call_with_its_key_is_the_same_execution() {
    let site = Site::start().await;
    let call =
        async |path: &str, body: &str| site.daemon.post(path, "Idempotency-Key: order-4711\r\n", body).await;
    let first = call("/v1/exec/tasks/greet?async=true", r#"{"input": "a"}"#).await;
    let again = call("/v1/exec/tasks/greet?async=true", r#"{"input": "a"}"#).await;
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(first.json()["exec_id"], again.json()["exec_id"]);
    let waited = call("/v1/exec/tasks/greet", r#"{"input": "a", "timeout_s": 30}"#).await;
    assert_eq!((waited.status, &waited.json()["exec_id"]), (200, &first.json()["exec_id"]));
    assert_eq!(site.metric("http_exec_started_total{kind=\"task\"}").await, 1.0, "one start");
    for (path, body) in
        [("/v1/exec/tasks/greet", r#"{"input": "b"}"#), ("/v1/exec/tasks/print", r#"{"input": "a"}"#)]
    {
        let other = call(path, body).await;
        assert_eq!((other.status, &other.json()["exec_id"]), (409, &first.json()["exec_id"]), "{other:?}");
    }
}

// spec: X-20, U-11
#[tokio::test]
async fn the_example_does_what_it_says() {
    let example = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/tools.yaml");
    let config = std::fs::read_to_string(example).unwrap() + "\nserver: {listen: \"127.0.0.1:0\"}\n";
    let site = Site::of(&config).await;
    let output = async |what: &str, input: &str| {
        let answer = site.call(what, &format!("{{\"input\": {input}}}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["output"].clone()
    };
    assert_eq!(output("tasks/greet", "\"press 7\"").await, "hello, press 7\n");
    assert_eq!(output("tasks/line/count", "{\"line\": \"l4\"}").await, json!({"pressed": 3}));
    let told = output("workflows/changeover", "{\"line\": \"l4\"}").await;
    assert_eq!(told, json!({"count": {"pressed": 3}, "greet": "hello, the next shift at l4\n"}));
    let failed = site.call("tasks/label-printer/print", "{}").await.json();
    assert_eq!((&failed["detail"], &failed["stderr"]), (&json!("no paper"), &json!("tray 2 is empty\n")));
    assert_eq!(
        site.call("tasks/line/wait", r#"{"timeout_s": 0.1, "cancel_on_timeout": true}"#).await.status,
        408
    );
}
