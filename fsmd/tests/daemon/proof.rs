//! The promise of a bridge, with a third-party broker on both sides: nothing is lost, order is kept, whoever restarts.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use crate::rig::{Daemon, Files, free_port};

const MESSAGES: usize = 100_000;
const TOPICS: usize = 10;
/// Unoptimised code on two busy cores moves some thousand messages a second; more than this and it stands still.
const PATIENCE: Duration = Duration::from_secs(200);

/// A mosquitto with a memory on disk, so that it can be stopped and started again.
pub(crate) struct Mosquitto {
    folder: TempDir,
    pub(crate) port: u16,
    child: Option<Child>,
}

impl Mosquitto {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let path = folder.path().display();
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n\
             persistence_location {path}/\nmax_queued_messages 0\nmax_inflight_messages 500\nlog_dest none\n"
        );
        std::fs::write(folder.path().join("conf"), config).unwrap();
        let mut broker = Self { folder, port, child: None };
        broker.up();
        broker
    }

    pub(crate) fn up(&mut self) {
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(self.folder.path().join("conf")).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().expect("mosquitto is installed: `cargo xtask ci` sees to it"));
    }

    pub(crate) fn down(&mut self) {
        let mut child = self.child.take().unwrap();
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        child.wait().unwrap();
    }

    fn options(&self, client: &str) -> MqttOptions {
        let mut options = MqttOptions::new(client, "127.0.0.1", self.port);
        options.set_clean_session(false).set_inflight(200).set_keep_alive(Duration::from_secs(30));
        options
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What arrived behind the bridge.
#[derive(Debug, Clone, Default)]
struct Arrived {
    seen: BTreeMap<usize, u32>,
    /// The newest number per topic among those that came for the first time.
    newest: BTreeMap<String, usize>,
    out_of_order: usize,
    subscribed: bool,
}

impl Arrived {
    fn take(&mut self, topic: &str, number: usize) {
        let times = self.seen.entry(number).or_default();
        *times += 1;
        if *times > 1 {
            return;
        }
        let newest = self.newest.entry(topic.to_owned()).or_default();
        self.out_of_order += usize::from(number < *newest);
        *newest = number.max(*newest);
    }

    fn duplicates(&self) -> u32 {
        self.seen.values().map(|times| times - 1).sum()
    }
}

/// Ends its task with the test.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Publishes all numbers, at least once, whatever happens to the broker; tells how many it has handed over.
fn publish(broker: &Mosquitto) -> (watch::Receiver<usize>, Vec<Task>) {
    let (client, mut connection) = AsyncClient::new(broker.options("source"), 100);
    let (sent, progress) = watch::channel(0);
    let connected = tokio::spawn(async move {
        loop {
            if connection.poll().await.is_err() {
                tokio::task::yield_now().await;
            }
        }
    });
    let published = tokio::spawn(async move {
        for number in 1..=MESSAGES {
            let topic = format!("in/t{}", number % TOPICS);
            client.publish(topic, QoS::AtLeastOnce, false, number.to_string()).await.unwrap();
            sent.send_replace(number);
        }
        // The client must outlive its queue.
        std::future::pending::<()>().await;
    });
    (progress, vec![Task(connected.abort_handle()), Task(published.abort_handle())])
}

/// Listens behind the bridge.
fn listen(broker: &Mosquitto) -> (watch::Receiver<Arrived>, Task) {
    let (client, mut connection) = AsyncClient::new(broker.options("sink"), 100);
    let (arrived, news) = watch::channel(Arrived::default());
    let task = tokio::spawn(async move {
        loop {
            match connection.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    client.try_subscribe("out/#", QoS::AtLeastOnce).unwrap();
                }
                Ok(Event::Incoming(Packet::SubAck(_))) => arrived.send_modify(|a| a.subscribed = true),
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    let number = std::str::from_utf8(&message.payload).unwrap().parse().unwrap();
                    arrived.send_modify(|a| a.take(&message.topic, number));
                }
                Ok(_) => {}
                Err(_) => tokio::task::yield_now().await,
            }
        }
    });
    (news, Task(task.abort_handle()))
}

fn config(source: &Mosquitto, sink: &Mosquitto) -> String {
    format!(
        r#"
version: 1
agent: {{name: edge}}
server: {{listen: "127.0.0.1:0"}}
templates:
  copy:
    parameters: {{from: {{type: string}}, to: {{type: string}}}}
    connection: {{mqtt: {{url: "{{{{ from }}}}"}}}}
    read:
      input: {{mqtt: {{url: "{{{{ from }}}}", topic: "in/#", qos: 1}}}}
      pipeline: [{{topic: {{expr: '"out/" + ($meta.topic | split("/") | last)'}}}}]
      output: {{mqtt: {{url: "{{{{ to }}}}", qos: 1}}}}
bridges:
  - name: copy
    template: copy
    variables: {{from: "mqtt://127.0.0.1:{}", to: "mqtt://127.0.0.1:{}"}}
"#,
        source.port, sink.port
    )
}

/// The value of a metric of the flow.
async fn flow_metric(daemon: &Daemon, name: &str) -> f64 {
    let text = daemon.get("/metrics").await.body;
    let line =
        text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in\n{text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

// spec: D-1, D-8, S-11
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_messages_survive_the_restart_of_both_brokers_in_order() {
    let (mut source, mut sink) = (Mosquitto::start(), Mosquitto::start());
    let files = Files::new(&[("fsmd.yaml", &config(&source, &sink))]);
    let (mut arrived, _listener) = listen(&sink);
    timeout(PATIENCE, arrived.wait_for(|a| a.subscribed)).await.unwrap().unwrap();
    let daemon = Daemon::start(&files.path("fsmd.yaml")).await;
    daemon.until("/v1/nodes/edge/copy/read", |a| a.status == 200 && a.body.contains("\"Idle\"")).await;
    let began = Instant::now();
    let (mut sent, _publisher) = publish(&source);

    // The source broker restarts on the way.
    timeout(PATIENCE, arrived.wait_for(|a| a.seen.len() > MESSAGES / 5)).await.unwrap().unwrap();
    source.down();
    source.up();

    // The target is away until back-pressure has stopped the flow: then nothing moves, and nothing piles up.
    timeout(PATIENCE, arrived.wait_for(|a| a.seen.len() > MESSAGES / 2)).await.unwrap().unwrap();
    sink.down();
    let mut before = -1.0;
    loop {
        let taken = flow_metric(&daemon, "dataflow_messages_in_total").await;
        if taken == before {
            break;
        }
        before = taken;
        let _ = timeout(Duration::from_millis(500), sent.changed()).await;
    }
    let in_flight = flow_metric(&daemon, "dataflow_in_flight").await;
    assert!(in_flight <= 1_024.0, "{in_flight} messages in flight: more than the bound");
    sink.up();

    let all = timeout(PATIENCE, arrived.wait_for(|a| a.seen.len() >= MESSAGES)).await.is_ok();
    let result = arrived.borrow().clone();
    assert!(all, "only {} of {MESSAGES} arrived", result.seen.len());
    assert_eq!(result.seen.keys().next(), Some(&1));
    assert_eq!(result.seen.keys().next_back(), Some(&MESSAGES));
    assert_eq!(result.out_of_order, 0, "order per topic");
    let (took, duplicates) = (began.elapsed(), result.duplicates());
    println!("{MESSAGES} messages in {took:?}, {duplicates} duplicates, none lost");
}
