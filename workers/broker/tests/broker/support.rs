//! Real clients, and waiting for what they do. Nothing here sleeps.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use fsm_worker_broker::{Broker, BrokerConfig, Listen, RunningBroker};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, Publish, QoS};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// A hang is a failure: far more than any of these steps takes on a loaded machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn config() -> BrokerConfig {
    BrokerConfig::listening_on(Listen::loopback(0))
}

pub(crate) fn from_json(json: &str) -> BrokerConfig {
    let mut config: BrokerConfig = serde_json::from_str(json).expect("a valid config");
    config.listen = Listen::loopback(0);
    config
}

pub(crate) async fn start(config: BrokerConfig) -> RunningBroker {
    Broker::start(config).await.expect("a free port")
}

pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// A client of the mosquitto package.
fn mosquitto(tool: &str, broker: &RunningBroker, args: &str) -> Command {
    let mut command = Command::new("stdbuf");
    let port = broker.handle().addr().port().to_string();
    command.args(["-oL", tool, "-h", "127.0.0.1", "-p", &port]);
    command.args(args.split_whitespace());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// A running `mosquitto_sub`.
pub(crate) struct Subscriber {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Subscriber {
    /// Starts it and waits for its SUBACK.
    pub(crate) async fn start(broker: &RunningBroker, args: &str) -> Self {
        let mut child = mosquitto("mosquitto_sub", broker, &format!("-d {args} -F >%t|%p|q%q|r%r"))
            .spawn()
            .expect("mosquitto-clients and coreutils are installed");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut subscriber = Self { child, lines };
        subscriber.line(|line| line.starts_with("Subscribed (mid")).await;
        subscriber
    }

    async fn line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        soon("a line of mosquitto_sub", async {
            loop {
                let line = self.lines.next_line().await.expect("readable");
                let line = line.expect("mosquitto_sub ended early");
                if wanted(&line) {
                    return line;
                }
            }
        })
        .await
    }

    /// The next message as `topic|payload|qN|rN`.
    pub(crate) async fn message(&mut self) -> String {
        self.line(|line| line.starts_with('>')).await.split_off(1)
    }

    /// Ends it without a goodbye.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("it runs");
    }
}

/// Runs `mosquitto_pub` to its end, with `input` for its `-l`.
pub(crate) async fn publish(broker: &RunningBroker, args: &str, input: &str) -> std::process::Output {
    let mut child = mosquitto("mosquitto_pub", broker, args).spawn().expect("mosquitto-clients is installed");
    let mut stdin = child.stdin.take().expect("piped");
    let write = async move {
        // It may have been refused and be gone already.
        let _ = stdin.write_all(input.as_bytes()).await;
    };
    let (_, output) = soon("mosquitto_pub", async { tokio::join!(write, child.wait_with_output()) }).await;
    output.expect("it was awaited")
}

/// A rumqttc client for MQTT 3.1.1 with its event loop.
pub(crate) struct Client {
    pub(crate) client: AsyncClient,
    pub(crate) events: EventLoop,
}

impl Client {
    pub(crate) fn new(broker: &RunningBroker, id: &str, clean: bool) -> Self {
        Self::at(broker.handle().addr(), id, clean)
    }

    pub(crate) fn at(addr: SocketAddr, id: &str, clean: bool) -> Self {
        let mut options = MqttOptions::new(id, addr.ip().to_string(), addr.port());
        options.set_clean_session(clean).set_inflight(100).set_keep_alive(Duration::from_secs(30));
        options.set_max_packet_size(1 << 20, 1 << 20);
        let (client, events) = AsyncClient::new(options, 1_000);
        Self { client, events }
    }

    /// The next packet from the broker.
    pub(crate) async fn packet(&mut self) -> Packet {
        soon("a packet", async {
            loop {
                if let Event::Incoming(packet) = self.events.poll().await.expect("connected") {
                    return packet;
                }
            }
        })
        .await
    }

    /// Is the former session still there?
    pub(crate) async fn connected(&mut self) -> bool {
        loop {
            if let Packet::ConnAck(ack) = self.packet().await {
                return ack.session_present;
            }
        }
    }

    pub(crate) async fn subscribe(&mut self, filter: &str, qos: QoS) {
        self.client.subscribe(filter, qos).await.expect("the event loop is there");
        while !matches!(self.packet().await, Packet::SubAck(_)) {}
    }

    pub(crate) async fn message(&mut self) -> Publish {
        loop {
            if let Packet::Publish(publish) = self.packet().await {
                return publish;
            }
        }
    }

    /// Publishes at QoS 1 and waits for the acknowledgement.
    pub(crate) async fn publish(&mut self, topic: &str, payload: &str) {
        self.client.publish(topic, QoS::AtLeastOnce, false, payload).await.expect("the event loop is there");
        while !matches!(self.packet().await, Packet::PubAck(_)) {}
    }
}

pub(crate) async fn connect(broker: &RunningBroker) -> TcpStream {
    TcpStream::connect(broker.handle().addr()).await.expect("the broker listens")
}

/// Reads until the broker closes.
pub(crate) async fn read_to_close(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is a close too.
    let _ = soon("the broker to close", stream.read_to_end(&mut bytes)).await;
    bytes
}

/// Writes `request` and reads an answer of exactly `len` bytes.
pub(crate) async fn ask(stream: &mut TcpStream, request: &[u8], len: usize) -> Vec<u8> {
    stream.write_all(request).await.expect("connected");
    let mut answer = vec![0; len];
    soon("an answer", stream.read_exact(&mut answer)).await.expect("connected");
    answer
}
