//! Real brokers and clients, and waiting for what they do. Nothing here sleeps.

use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fsm_worker_simulator::{PublisherHandle, SimulatorConfig, publisher};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// A port that was free a moment ago.
pub(crate) async fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound").port()
}

/// A mosquitto on loopback.
pub(crate) struct Mosquitto {
    child: Child,
    pub(crate) port: u16,
    _dir: TempDir,
}

impl Mosquitto {
    pub(crate) async fn start(port: u16, more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let config = dir.path().join("mosquitto.conf");
        std::fs::write(&config, format!("listener {port} 127.0.0.1\n{more}\n")).expect("writable");
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(&config).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().expect("mosquitto is installed");
        soon("mosquitto", async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        Self { child, port, _dir: dir }
    }

    pub(crate) async fn anonymous(port: u16) -> Self {
        Self::start(port, "allow_anonymous true").await
    }

    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
    }
}

/// A running `mosquitto_sub`.
pub(crate) struct Subscriber {
    _child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Subscriber {
    pub(crate) async fn start(port: u16, args: &str) -> Self {
        let mut command = Command::new("stdbuf");
        command.args([
            "-oL",
            "mosquitto_sub",
            "-d",
            "-h",
            "127.0.0.1",
            "-p",
            &port.to_string(),
            "-F",
            ">%t|%p|%q",
        ]);
        command.args(args.split_whitespace()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("mosquitto-clients and coreutils are installed");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut subscriber = Self { _child: child, lines };
        subscriber.line("Subscribed (mid").await;
        subscriber
    }

    async fn line(&mut self, start: &str) -> String {
        soon("a line of mosquitto_sub", async {
            loop {
                let line =
                    self.lines.next_line().await.expect("readable").expect("mosquitto_sub ended early");
                if line.starts_with(start) {
                    return line;
                }
            }
        })
        .await
    }

    /// Topic, payload and QoS of the next message.
    pub(crate) async fn message(&mut self) -> (String, String, String) {
        let line = self.line(">").await;
        let mut parts = line[1..].splitn(3, '|').map(str::to_owned);
        let mut next = || parts.next().expect("three parts");
        (next(), next(), next())
    }
}

pub(crate) fn config(port: u16, json: &str) -> SimulatorConfig {
    let mut config: SimulatorConfig = serde_json::from_str(json).expect("a valid config");
    config.mqtt.url = format!("mqtt://127.0.0.1:{port}").parse().expect("a valid URL");
    config
}

/// Starts a publisher whose clock counts 1, 2, 3….
pub(crate) fn start(config: &SimulatorConfig) -> (PublisherHandle, JoinSet<()>) {
    let clock = AtomicU64::new(0);
    let (handle, task) = publisher(config, "simulator", move || clock.fetch_add(1, Ordering::Relaxed) + 1);
    let mut tasks = JoinSet::new();
    tasks.spawn(task);
    (handle, tasks)
}

/// Waits until the publisher is as wanted.
pub(crate) async fn until(what: &str, mut wanted: impl FnMut() -> bool) {
    soon(what, async {
        while !wanted() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
