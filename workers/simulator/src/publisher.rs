//! Sends the plant's signals to an MQTT broker. What can't be sent now is not sent later: a live value is
//! worth nothing when it is old, so nothing piles up while the broker is away.

use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, Outgoing, Packet, QoS};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::{MqttTarget, Payload, Qos, SimulatorConfig};
use crate::noise::Noise;
use crate::plant::{Plant, Signal, Value};

/// First and longest pause before a new attempt to connect. The first is short, since a simulator often starts
/// together with its broker.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long an attempt to connect may take, in seconds: a broker that is there answers at once.
const CONNECT_TIMEOUT: u64 = 5;
/// How long the goodbye may take.
const FAREWELL: Duration = Duration::from_millis(500);
/// Steps that may wait for the socket: one that is written and one that is being made.
const STEPS_UNDER_WAY: usize = 2;

/// What a publisher is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PublisherStatus {
    /// The broker has let it in.
    pub connected: bool,
    /// Why it is not connected.
    pub error: Option<Arc<str>>,
    /// Values that were handed to the connection.
    pub published: u64,
    /// Values that were not sent, since the broker was away or slow.
    pub skipped: u64,
    /// Values that were handed over and not acknowledged yet (QoS 1).
    pub unacknowledged: u64,
}

impl PublisherStatus {
    /// `true` for the start of a connection.
    fn note(&mut self, event: &Event) -> bool {
        match event {
            Event::Incoming(Packet::ConnAck(_)) => {
                self.connected = true;
                self.error = None;
                return true;
            }
            Event::Incoming(Packet::PubAck(_)) => {
                self.unacknowledged = self.unacknowledged.saturating_sub(1);
            }
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
        false
    }

    /// The connection is gone, or was not made; `true` when there was one.
    fn lose(&mut self, error: &ConnectionError) -> bool {
        self.unacknowledged = 0;
        self.error = Some(error.to_string().into());
        std::mem::replace(&mut self.connected, false)
    }
}

/// A publisher's view from outside: cheap to clone, and valid after its end.
#[derive(Debug, Clone)]
pub struct PublisherHandle {
    status: Arc<Mutex<PublisherStatus>>,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl PublisherHandle {
    /// What it is doing now.
    #[must_use]
    pub fn status(&self) -> PublisherStatus {
        self.lock().clone()
    }

    /// Asks it to say goodbye to its broker and end. Returns at once.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Has its task ended?
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Waits until its task has ended. Cancel-safe.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// A panic under this lock leaves plain data, which is good as it is.
    fn lock(&self) -> MutexGuard<'_, PublisherStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a publisher: a handle, and the task that does the work while it is polled.
///
/// `client_id` is used where the config names none, `wall_ms` gives the time of a message in milliseconds
/// since 1970. The first values go out as soon as the broker has let the publisher in.
pub fn publisher(
    config: &SimulatorConfig,
    client_id: &str,
    wall_ms: impl Fn() -> u64 + Send + 'static,
) -> (PublisherHandle, impl Future<Output = ()> + Send + 'static) {
    let plant = Plant::new(config.seed, &config.machines);
    let topics = topics(config, plant.clone());
    let (client, events) = connection(&config.mqtt, client_id, plant.signals());
    let handle = PublisherHandle {
        status: Arc::default(),
        stop: CancellationToken::new(),
        ended: CancellationToken::new(),
    };
    let ended = handle.ended.clone().drop_guard();
    let joined = Arc::new(Notify::new());
    let sampler = Sampler {
        plant,
        topics,
        client,
        handle: handle.clone(),
        payload: config.mqtt.payload,
        qos: qos(config.mqtt.qos),
        interval: config.interval.get(),
        joined: Arc::clone(&joined),
        text: String::new(),
    };
    let jitter = Noise::new(config.seed).named(client_id);
    let own = handle.clone();
    let task = async move {
        // Neither half is cancelled while the other works: an event loop may not be dropped halfway.
        tokio::join!(sampler.run(wall_ms), exchange(events, &own, &joined, jitter));
        own.lock().connected = false;
        drop(ended);
    };
    (handle, task)
}

/// The topic of each signal, in the order of a step.
fn topics(config: &SimulatorConfig, mut plant: Plant) -> Vec<String> {
    let topic = |signal: &Signal| {
        let machine = &config.machines[signal.machine];
        config.mqtt.topic.of(machine.name.as_str(), machine.kind.name(), signal.name)
    };
    plant.step(Duration::ZERO).iter().map(topic).collect()
}

fn qos(qos: Qos) -> QoS {
    match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    }
}

fn connection(target: &MqttTarget, client_id: &str, signals: usize) -> (AsyncClient, EventLoop) {
    let client_id = target.client_id.as_deref().unwrap_or(client_id);
    let mut options = MqttOptions::new(client_id, target.url.host(), target.url.port());
    options.set_keep_alive(Duration::from_secs(30));
    if let Some(user) = &target.username {
        options.set_credentials(user, target.password.as_ref().map_or("", |password| password.expose()));
    }
    let capacity = (signals * STEPS_UNDER_WAY).max(10);
    let (client, mut events) = AsyncClient::new(options, capacity);
    let mut network = rumqttc::NetworkOptions::new();
    network.set_connection_timeout(CONNECT_TIMEOUT).set_tcp_nodelay(true);
    events.set_network_options(network);
    (client, events)
}

/// The half that makes values.
struct Sampler {
    plant: Plant,
    topics: Vec<String>,
    client: AsyncClient,
    handle: PublisherHandle,
    payload: Payload,
    qos: QoS,
    interval: Duration,
    /// Signalled by each new connection: its first values don't wait for a tick.
    joined: Arc<Notify>,
    text: String,
}

impl Sampler {
    async fn run(mut self, wall_ms: impl Fn() -> u64) {
        let start = Instant::now();
        let mut ticks = interval_at(start, self.interval);
        // After a stall the plant is where it would have been; nobody wants the values in between.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let stop = self.handle.stop.clone();
        loop {
            // Every branch is cancel-safe: what was not taken stays due.
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.joined.notified() => ticks.reset(),
                _ = ticks.tick() => {}
            }
            self.publish(start.elapsed(), wall_ms());
        }
        // The event loop ends with it, sent or not.
        let _ = self.client.try_disconnect();
    }

    fn publish(&mut self, at: Duration, wall_ms: u64) {
        // Whole milliseconds, as timestamps have.
        let at = Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
        let signals = self.plant.step(at);
        let mut published = 0;
        let connected = self.handle.lock().connected;
        if connected {
            for (signal, topic) in signals.iter().zip(&self.topics) {
                self.text.clear();
                write_payload(&mut self.text, self.payload, &signal.value, wall_ms);
                if self.client.try_publish(topic, self.qos, false, self.text.as_bytes()).is_err() {
                    break;
                }
                published += 1;
            }
        }
        let mut status = self.handle.lock();
        status.published += published;
        status.skipped += signals.len() as u64 - published;
        if self.qos != QoS::AtMostOnce {
            status.unacknowledged += published;
        }
    }
}

fn write_payload(text: &mut String, payload: Payload, value: &Value, wall_ms: u64) {
    // Writing into a String can't fail.
    let _ = match (payload, value) {
        (Payload::Json, Value::Number(number)) => {
            write!(text, r#"{{"timestamp_ms":{wall_ms},"value":{number}}}"#)
        }
        (Payload::Json, Value::Count(count)) => {
            write!(text, r#"{{"timestamp_ms":{wall_ms},"value":{count}}}"#)
        }
        (Payload::Json, Value::Word(word)) => {
            write!(text, r#"{{"timestamp_ms":{wall_ms},"value":"{word}"}}"#)
        }
        (Payload::Value, Value::Number(number)) => write!(text, "{number}"),
        (Payload::Value, Value::Count(count)) => write!(text, "{count}"),
        (Payload::Value, Value::Word(word)) => write!(text, "{word}"),
    };
}

/// The half that talks to the broker, until the goodbye is sent.
async fn exchange(mut events: EventLoop, handle: &PublisherHandle, joined: &Notify, jitter: Noise) {
    let mut failures = 0;
    loop {
        // Cancel-safe enough: a poll is dropped halfway only by the end, and nothing but the goodbye follows.
        let event = tokio::select! {
            () = handle.stop.cancelled() => break,
            event = events.poll() => event,
        };
        let error = match event {
            Ok(event) => {
                if handle.lock().note(&event) {
                    failures = 0;
                    joined.notify_one();
                }
                continue;
            }
            Err(error) => error,
        };
        // What waits in the client is a step or two of values that will be old by then.
        events.clean();
        events.pending.clear();
        if handle.lock().lose(&error) || failures == 0 {
            tracing::warn!(%error, "the simulator has no connection to its broker");
        }
        let pause = pause(failures, jitter);
        failures = failures.saturating_add(1);
        // Cancel-safe: a dropped pause is only shorter.
        tokio::select! {
            () = handle.stop.cancelled() => break,
            () = sleep(pause) => {}
        }
    }
    if handle.status().connected {
        let goodbye = async {
            while !matches!(events.poll().await, Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(_)) {}
        };
        // A broker that does not take it in time learns of the end from its socket.
        let _ = timeout(FAREWELL, goodbye).await;
    }
}

/// The pause after so many failures: doubled each time, and of a length of its own for each client, so that
/// simulators do not come back all at once.
fn pause(failures: u32, jitter: Noise) -> Duration {
    let full = FIRST_PAUSE.saturating_mul(1 << failures.min(20)).min(LONGEST_PAUSE);
    full.mul_f64(0.5 + 0.5 * jitter.unit(u64::from(failures)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_differ_between_clients() {
        let (a, b) = (Noise::new(1).named("a"), Noise::new(1).named("b"));
        let pauses: Vec<_> = (0..40).map(|failures| pause(failures, a)).collect();
        assert!(pauses[0] <= FIRST_PAUSE && pauses[0] >= FIRST_PAUSE / 2);
        assert!(pauses.iter().all(|pause| *pause <= LONGEST_PAUSE));
        assert!(pauses[39] >= LONGEST_PAUSE / 2);
        assert_ne!(pause(5, a), pause(5, b));
    }

    #[test]
    fn payloads_are_what_they_say() {
        let mut text = String::new();
        for (payload, value, expected) in [
            (Payload::Json, Value::Number(42.5), r#"{"timestamp_ms":7,"value":42.5}"#),
            (Payload::Json, Value::Word("running"), r#"{"timestamp_ms":7,"value":"running"}"#),
            (Payload::Json, Value::Count(3), r#"{"timestamp_ms":7,"value":3}"#),
            (Payload::Value, Value::Number(0.0), "0"),
            (Payload::Value, Value::Word("idle"), "idle"),
        ] {
            text.clear();
            write_payload(&mut text, payload, &value, 7);
            assert_eq!(text, expected);
        }
    }
}
