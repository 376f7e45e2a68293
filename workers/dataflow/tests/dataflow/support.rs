//! Real peers for tests, each on a port of its own on the loopback.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fsm_worker_dataflow::config::FlowConfig;
use fsm_worker_dataflow::stats::FlowSnapshot;
use fsm_worker_dataflow::{CancellationToken, Flow, FlowError, FlowWatch, SessionPool};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until `look` gives something.
#[track_caller]
pub(crate) fn until<'a, T>(
    what: &'a str,
    mut look: impl FnMut() -> Option<T> + 'a,
) -> impl Future<Output = T> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        let mut tick = tokio::time::interval(Duration::from_millis(10));
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(tokio::time::Instant::now() < end, "{caller}: waited in vain for {what}");
            tick.tick().await;
        }
    }
}

/// A port that is free and stays so while its owner restarts: below the range from which the system gives ports to clients.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(31);
    std::iter::repeat_with(|| NEXT.fetch_add(1, Ordering::Relaxed))
        .map(|n| u16::try_from(12_000 + start.wrapping_add(n) % 20_000).expect("it is below 32 000"))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("it never ends")
}

/// A mosquitto that can be stopped and started again with what it had.
pub(crate) struct Broker {
    folder: TempDir,
    pub(crate) port: u16,
    child: Option<Child>,
}

impl Broker {
    /// Writes the configuration without starting it.
    pub(crate) fn prepare(more: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let port = free_port();
        let path = folder.path().display().to_string();
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n\
             persistence_location {path}/\nmax_queued_messages 0\nlog_dest file {path}/log\nlog_type all\n{more}\n"
        );
        fs::write(folder.path().join("conf"), config).unwrap();
        Self { folder, port, child: None }
    }

    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    pub(crate) async fn start_with(more: &str) -> Self {
        let mut broker = Self::prepare(more);
        broker.up().await;
        broker
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts it, and waits until it takes connections.
    pub(crate) async fn up(&mut self) {
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(self.path("conf")).kill_on_drop(true);
        self.child = Some(
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("mosquitto is installed"),
        );
        let port = self.port;
        until("mosquitto to listen", || std::net::TcpStream::connect(("127.0.0.1", port)).ok()).await;
    }

    /// Stops it as an operator does: it writes down its sessions.
    pub(crate) async fn down(&mut self) {
        let mut child = self.child.take().expect("it runs");
        let id = child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        child.wait().await.unwrap();
    }

    /// Lines of its log that hold `text`.
    pub(crate) fn lines(&self, text: &str) -> Vec<String> {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().filter(|l| l.contains(text)).map(Into::into).collect()
    }

    /// How many lines of its log hold `text`.
    pub(crate) fn logged(&self, text: &str) -> usize {
        self.lines(text).len()
    }

    fn client(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]).args(args);
        command.kill_on_drop(true).stderr(Stdio::null());
        command
    }

    /// Publishes each line of `lines` as a message, at quality of service 1, and waits for all answers.
    pub(crate) async fn publish(&self, topic: &str, lines: &str) {
        let mut child = self
            .client("mosquitto_pub", &["-q", "1", "-t", topic, "-l"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).await.unwrap();
        assert!(child.wait().await.unwrap().success());
    }

    /// A subscriber, at quality of service 1, with a session that outlives the broker. It is subscribed when this returns.
    pub(crate) async fn subscriber(&self, id: &str) -> Subscriber {
        let args = ["-q", "1", "-t", "#", "-v", "-c", "-i", id];
        let mut child = self.client("mosquitto_sub", &args).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut subscriber = Subscriber { _child: child, lines };
        let probe =
            self.client("mosquitto_pub", &["-q", "1", "-r", "-t", "probe", "-m", id]).status().await.unwrap();
        assert!(probe.success());
        // Earlier ones may have left a probe.
        while subscriber.next().await != ("probe".to_owned(), id.to_owned()) {}
        subscriber
    }
}

/// A mosquitto_sub.
pub(crate) struct Subscriber {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Subscriber {
    /// The next message: topic and payload.
    pub(crate) async fn next(&mut self) -> (String, String) {
        let line =
            tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("a message within a minute");
        let line = line.unwrap().expect("the subscriber runs");
        line.split_once(' ').map(|(t, p)| (t.to_owned(), p.to_owned())).unwrap_or((line, String::new()))
    }

    /// Reads until `count` different numbers have come on each topic. Fails if first comers are out of order.
    pub(crate) async fn expect_in_order(&mut self, topics: usize, count: u64) {
        let mut next: BTreeMap<String, u64> = BTreeMap::new();
        while next.len() < topics || next.values().any(|n| *n < count) {
            let (topic, payload) = self.next().await;
            if topic == "probe" {
                continue;
            }
            let number: u64 =
                payload.parse().unwrap_or_else(|_| panic!("`{payload}` on {topic} is a number"));
            let expected = next.entry(topic.clone()).or_default();
            assert!(number <= *expected, "{topic}: {number} came, {expected} is missing");
            if number == *expected {
                *expected += 1;
            }
        }
    }
}

/// Numbers from 0, one per line.
pub(crate) fn numbers(count: u64) -> String {
    (0..count).map(|n| format!("{n}\n")).collect()
}

pub(crate) fn config(value: Value) -> FlowConfig {
    serde_json::from_value(value).unwrap_or_else(|error| panic!("the config is good: {error}"))
}

pub(crate) fn pool(name: &str) -> Arc<SessionPool> {
    Arc::new(SessionPool::new(name))
}

/// A flow in a task of its own.
pub(crate) struct Running {
    pub(crate) watch: FlowWatch,
    stop: CancellationToken,
    task: JoinSet<Result<(), FlowError>>,
}

impl Running {
    pub(crate) fn start(name: &str, value: Value, pool: &Arc<SessionPool>) -> Self {
        let flow = Flow::try_new(name, Arc::new(config(value)), pool).unwrap_or_else(|e| panic!("{e}"));
        let (watch, stop) = (flow.watch(), CancellationToken::new());
        let mut task = JoinSet::new();
        task.spawn(flow.run(stop.clone()));
        Self { watch, stop, task }
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> Result<(), FlowError> {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self) -> Result<(), FlowError> {
        let joined =
            tokio::time::timeout(PATIENCE, self.task.join_next()).await.expect("it ends within a minute");
        joined.expect("it was started").expect("it does not panic")
    }

    /// Waits until its counters are as they should be.
    #[track_caller]
    pub(crate) fn until<'a>(
        &'a self,
        what: &'a str,
        good: impl Fn(&FlowSnapshot) -> bool + 'a,
    ) -> impl Future<Output = FlowSnapshot> + 'a {
        let watch = self.watch.clone();
        until(what, move || Some(watch.snapshot()).filter(|s| good(s)))
    }
}
