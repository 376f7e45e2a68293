//! The task of one session: connects, reads, writes, connects again. All decisions are in [`inbound`](super::inbound),
//! [`outbound`](super::outbound) and [`table`](super::table).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use fsm_templating::{ClearText, Secret, SecretError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior};

use super::codec::{self, ConnAck, Packet, Protocol};
use super::inbound::{self, Inbound};
use super::link::{Command, Inbox, Link};
use super::outbound::Outbound;
use super::pool::Registry;
use super::table::{Answer, Table};
use super::transport::{self, Transport};
use crate::config::{Qos, Version};

/// The first wait after a failed connection; doubled up to [`LAST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(30);
/// A broker that takes the connection and then says nothing.
const CONNACK_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unused session stays, so that a flow that is started again finds it, and an agent that is stopped leaves
/// its subscriptions at the broker.
pub(crate) const LINGER: Duration = Duration::from_secs(30);
/// Bytes that are written before the task looks for answers again.
const WRITE_AHEAD: usize = 64 * 1024;
/// Read at once. Small while idle (P31): the buffer grows with what comes.
const READ_AT_ONCE: usize = 16 * 1024;
/// How often deadlines are looked at; acknowledgements out of turn and keep-alive are due in seconds.
const BEAT: Duration = Duration::from_millis(500);

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Connect(#[from] transport::ConnectError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("the connection to {url} broke: {source}")]
    Io { url: String, source: io::Error },
    #[error("{url} hung up")]
    Eof { url: String },
    #[error("{url} refused us: {reason}")]
    Refused { url: String, reason: String },
    #[error("{url} does not speak MQTT 5; it is tried with 3.1.1")]
    OldProtocol { url: String },
    #[error("{url}: {source}")]
    Malformed { url: String, source: codec::Malformed },
    #[error("{url} did not answer for {silent:?}")]
    Silent { url: String, silent: Duration },
    #[error("{url} disconnected us: {reason}")]
    Disconnected { url: String, reason: &'static str },
    /// On purpose: to be sent again what flows gave back, or to widen the window.
    #[error("connecting again")]
    Again,
    /// Nobody needs the session any more.
    #[error("not needed any more")]
    Unused,
}

struct Session {
    link: Arc<Link>,
    client_id: String,
    registry: Registry,
    inbound: Inbound,
    outbound: Outbound,
    table: Table,
    inbox: Inbox,
    protocol: Protocol,
    connections: u32,
    unused_since: Option<Instant>,
    /// A flow gave back a message, or came: look whether the two fit.
    look_for_returned: bool,
    refetch: bool,
    /// When an acknowledgement last passed an earlier one.
    passed: Option<Instant>,
    /// What we told the broker it may send without an answer.
    window: u16,
    answers: Vec<(u16, bool)>,
    routes: Vec<u64>,
}

pub(super) async fn run(link: Arc<Link>, client_id: String, registry: Registry) {
    let protocol = if link.peer.version == Version::V311 { Protocol::V311 } else { Protocol::V5 };
    let mut session = Session {
        link,
        client_id,
        registry,
        inbound: Inbound::default(),
        outbound: Outbound::new(),
        table: Table::default(),
        inbox: Inbox::default(),
        protocol,
        connections: 0,
        unused_since: None,
        look_for_returned: false,
        refetch: false,
        passed: None,
        window: 0,
        answers: Vec::new(),
        routes: Vec::new(),
    };
    let mut failures = 0_u32;
    loop {
        let before = session.connections;
        let Err(ended) = session.connect_and_serve().await;
        session.inbound.disconnected();
        session.table.disconnected();
        session.link.down();
        if session.connections != before {
            failures = 0;
        }
        if matches!(ended, Ended::Unused) {
            return;
        }
        if matches!(ended, Ended::Again) {
            continue;
        }
        let auto = session.link.peer.version == Version::Auto && session.protocol == Protocol::V5;
        if matches!(ended, Ended::OldProtocol { .. }) && auto {
            session.protocol = Protocol::V311;
            continue;
        }
        let broke = matches!(ended, Ended::Eof { .. } | Ended::Disconnected { .. });
        if broke && session.passed.is_some_and(|at| at.elapsed() < BEAT) {
            session.inbound.be_strict();
        }
        let why: Arc<str> = ended.to_string().into();
        if session.link.attached() > 0 {
            tracing::warn!(client_id = %session.client_id, "{why}");
        } else {
            // No flow is there to miss it: the session only lingers.
            tracing::debug!(client_id = %session.client_id, "{why}");
        }
        session.link.disconnected(&why);
        if session.wait(back_off(&session.client_id, failures)).await {
            return;
        }
        failures = failures.saturating_add(1);
    }
}

/// Doubling, minus up to half by chance: a hash, so that sessions differ and a run can be repeated.
fn back_off(client_id: &str, failures: u32) -> Duration {
    let full = FIRST_WAIT.saturating_mul(1 << failures.min(10)).min(LAST_WAIT);
    let chance = inbound::content(client_id, &failures.to_le_bytes()) % 1024;
    full - full.mul_f64(chance as f64 / 2048.0)
}

impl Session {
    fn url(&self) -> String {
        self.link.peer.url.to_string()
    }

    /// Waits between two connections and goes on taking what flows ask. Says whether nobody needs the session any more.
    async fn wait(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            self.take_inbox(None);
            if self.is_unused() {
                return true;
            }
            let link = Arc::clone(&self.link);
            // Cancel-safe: all branches may be dropped at any time.
            tokio::select! {
                () = link.wake.notified() => {}
                () = tokio::time::sleep_until(until) => return false,
            }
        }
    }

    fn is_unused(&mut self) -> bool {
        if self.link.attached() > 0 {
            self.unused_since = None;
            return false;
        }
        let since = *self.unused_since.get_or_insert_with(Instant::now);
        // A session of a flow that moved away has nothing to wait for; what can't be delivered goes back to its source.
        let waits = !self.table.is_empty() || self.link.is_up() && !self.outbound.is_empty();
        let linger = if waits { LINGER } else { Duration::ZERO };
        since.elapsed() >= linger && self.registry.sign_off(&self.link)
    }

    /// Carries out what flows asked. `out` is there on a connection.
    fn take_inbox(&mut self, out: Option<&mut BytesMut>) {
        let mut inbox = std::mem::take(&mut self.inbox);
        self.link.take(&mut inbox);
        for (number, taken) in inbox.settled.drain(..) {
            self.look_for_returned |= !taken;
            self.inbound.settle(number, taken);
        }
        self.outbound.push(&mut inbox.publications);
        let narrow = self.protocol == Protocol::V311 && self.link.peer.shared();
        for command in inbox.commands.drain(..) {
            match command {
                Command::Attach(route, sender) => {
                    self.look_for_returned = true;
                    self.table.attach(route, sender, narrow);
                }
                Command::Activate(number) => self.table.activate(number),
                Command::Detach(number) => self.table.detach(number),
                Command::Leave(number) => self.table.leave(number),
            }
        }
        self.inbox = inbox;
        if let Some(out) = out {
            self.table.write(out, self.protocol);
        }
    }

    async fn connect_and_serve(&mut self) -> Result<std::convert::Infallible, Ended> {
        let mut stream = self.connect().await?;
        // Asked for at each connect: a rotated secret is seen.
        let password = self.link.peer.password.as_ref().map(Secret::resolve).transpose()?;
        let mut buffer = BytesMut::new();
        let mut out = BytesMut::new();
        self.window = self.table.window();
        codec::connect(
            &mut out,
            codec::Connect {
                protocol: self.protocol,
                client_id: &self.client_id,
                username: self.link.peer.username.as_deref(),
                password: password.as_ref().map(ClearText::expose),
                clean: self.client_id.is_empty(),
                keep_alive: u16::try_from(self.link.peer.keep_alive.as_secs()).unwrap_or(u16::MAX),
                session_expiry: u32::try_from(self.link.peer.session_expiry.as_secs()).unwrap_or(u32::MAX),
                receive_maximum: self.window,
            },
        );
        let url = self.url();
        let io = |source| Ended::Io { url: url.clone(), source };
        stream.write_all_buf(&mut out).await.map_err(io)?;
        stream.flush().await.map_err(io)?;
        let ack = self.connack(&mut stream, &mut buffer).await?;
        self.connected(&ack, &mut out);
        self.serve(stream, buffer, out, &ack).await
    }

    /// Connects, and goes on taking what flows ask meanwhile.
    async fn connect(&mut self) -> Result<Transport, Ended> {
        let link = Arc::clone(&self.link);
        let connecting = transport::connect(&link.peer);
        tokio::pin!(connecting);
        loop {
            self.take_inbox(None);
            // Cancel-safe: all branches may be dropped at any time.
            tokio::select! {
                stream = &mut connecting => return Ok(stream?),
                () = link.wake.notified() => {}
            }
        }
    }

    async fn connack(&self, stream: &mut Transport, buffer: &mut BytesMut) -> Result<ConnAck, Ended> {
        let url = self.url();
        let read = async {
            loop {
                match codec::decode(buffer, self.protocol) {
                    Ok(Some(Packet::ConnAck(ack))) => return Ok(ack),
                    Ok(Some(_)) => {
                        return Err(Ended::Refused { url: url.clone(), reason: "it sent no CONNACK".into() });
                    }
                    Ok(None) => {}
                    Err(source) => return Err(Ended::Malformed { url: url.clone(), source }),
                }
                match stream.read_buf(buffer).await {
                    // Brokers that know only 3.1.1 hang up on what they don't know.
                    Ok(0) if self.protocol == Protocol::V5 && self.connections == 0 => {
                        return Err(Ended::OldProtocol { url: url.clone() });
                    }
                    Ok(0) => return Err(Ended::Eof { url: url.clone() }),
                    Ok(_) => {}
                    Err(source) => return Err(Ended::Io { url: url.clone(), source }),
                }
            }
        };
        let ack = tokio::time::timeout(CONNACK_TIMEOUT, read)
            .await
            .unwrap_or_else(|_| Err(Ended::Silent { url: self.url(), silent: CONNACK_TIMEOUT }))?;
        match (ack.code, self.protocol) {
            (0, _) => Ok(ack),
            (1 | 0x84, Protocol::V5) => Err(Ended::OldProtocol { url }),
            (code, protocol) => {
                let what = if protocol == Protocol::V5 && code >= 0x80 {
                    codec::reason(code)
                } else {
                    codec::return_code(code)
                };
                let reason = ack.reason.map_or_else(|| what.to_owned(), |text| format!("{what} ({text})"));
                Err(Ended::Refused { url, reason })
            }
        }
    }

    fn connected(&mut self, ack: &ConnAck, out: &mut BytesMut) {
        self.inbound.connected(ack.session_present);
        self.outbound.connected(ack, self.protocol);
        let narrow = self.protocol == Protocol::V311 && self.link.peer.shared();
        self.table.connected(ack, self.connections == 0, narrow);
        self.link.connected(self.protocol, self.connections > 0);
        self.connections += 1;
        self.refetch = false;
        self.look_for_returned = true;
        self.passed = None;
        self.take_inbox(Some(out));
    }

    async fn serve(
        &mut self,
        stream: Transport,
        mut buffer: BytesMut,
        mut out: BytesMut,
        ack: &ConnAck,
    ) -> Result<std::convert::Infallible, Ended> {
        let url = self.url();
        let io = |source| Ended::Io { url: url.clone(), source };
        let (mut reader, mut writer) = tokio::io::split(stream);
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let keep_alive = ack.keep_alive.map_or(self.link.peer.keep_alive, |s| Duration::from_secs(s.into()));
        let (mut last_read, mut last_write) = (Instant::now(), Instant::now());
        let mut pinged = false;
        let link = Arc::clone(&self.link);
        loop {
            let now = Instant::now();
            self.packets(&mut buffer, &mut out, now)?;
            self.take_inbox(Some(&mut out));
            self.acknowledge(&mut out, now);
            self.outbound.write(&mut out, self.protocol, WRITE_AHEAD);
            if buffer.capacity() == buffer.len() {
                buffer.reserve(READ_AT_ONCE);
            }
            // A connection of one flow holds back its source by not reading. A shared one always reads: answers to
            // publishes come the same way.
            let reading = self.link.peer.shared() || !self.table.is_full();
            if !reading {
                last_read = now;
            }
            // Cancel-safe: all branches may be dropped at any time: `read_buf` and `write_buf` have then done nothing.
            tokio::select! {
                read = reader.read_buf(&mut buffer), if reading => match read.map_err(io)? {
                    0 => return Err(Ended::Eof { url: url.clone() }),
                    _ => { last_read = Instant::now(); pinged = false; }
                },
                written = writer.write_buf(&mut out), if !out.is_empty() => {
                    if written.map_err(io)? == 0 {
                        return Err(Ended::Eof { url: url.clone() });
                    }
                    last_write = Instant::now();
                    if out.is_empty() {
                        writer.flush().await.map_err(io)?;
                    }
                },
                () = link.wake.notified() => {}
                _ = beat.tick() => {
                    let silent = last_read.elapsed();
                    if !keep_alive.is_zero() {
                        if pinged && silent >= keep_alive.mul_f32(1.5) {
                            return Err(Ended::Silent { url: url.clone(), silent });
                        }
                        if silent.max(last_write.elapsed()) >= keep_alive.mul_f32(0.75) && !pinged {
                            codec::ping(&mut out);
                            pinged = true;
                        }
                    }
                    self.housekeeping(&mut out)?;
                    if self.is_unused() {
                        codec::disconnect(&mut out, self.protocol, true);
                        // The broker may be gone already, and then there is nobody to say good-bye to.
                        let _ = tokio::time::timeout(BEAT, writer.write_all_buf(&mut out)).await;
                        let _ = tokio::time::timeout(BEAT, writer.shutdown()).await;
                        return Err(Ended::Unused);
                    }
                }
            }
            if self.refetch || self.window < self.table.window() && self.protocol == Protocol::V5 {
                return Err(Ended::Again);
            }
        }
    }

    /// What is due now and then.
    fn housekeeping(&mut self, out: &mut BytesMut) -> Result<(), Ended> {
        for subscription in self.table.overdue(LINGER, |s| self.inbound.returned(s)) {
            let count = self.inbound.abandon(subscription);
            if count > 0 {
                tracing::warn!(client_id = %self.client_id, count, "messages of a flow that is gone are given up");
            }
        }
        if self.look_for_returned {
            self.look_for_returned = self.inbound.has_returned(|_| true);
            self.refetch = self.inbound.has_returned(|subscription| self.table.has_flow(subscription));
        }
        self.table.drained(self.inbound.len() < usize::from(self.window) / 2);
        self.table.write(out, self.protocol);
        Ok(())
    }

    fn acknowledge(&mut self, out: &mut BytesMut, now: Instant) {
        let answers = &mut self.answers;
        if self.inbound.flush(now, |id, exactly_once| answers.push((id, exactly_once))) {
            self.passed = Some(now);
        }
        for (id, exactly_once) in answers.drain(..) {
            codec::acknowledge(out, if exactly_once { 5 } else { 4 }, id);
        }
    }

    /// Handles all whole packets in the buffer.
    fn packets(&mut self, buffer: &mut BytesMut, out: &mut BytesMut, now: Instant) -> Result<(), Ended> {
        loop {
            let packet = codec::decode(buffer, self.protocol)
                .map_err(|source| Ended::Malformed { url: self.url(), source })?;
            match packet {
                None => return Ok(()),
                Some(Packet::Publish(publish)) => self.publish(publish, now),
                Some(Packet::PubAck { id, code }) => self.outbound.answered(id, code),
                Some(Packet::PubComp { id }) => self.outbound.answered(id, 0),
                Some(Packet::PubRec { id, code }) => {
                    if self.outbound.received(id, code) {
                        codec::acknowledge(out, 6, id);
                    }
                }
                Some(Packet::PubRel { id }) => codec::acknowledge(out, 7, id),
                Some(Packet::SubAck { id, codes }) => {
                    if let Answer::Refused { filter, code } = self.table.subscribed(id, &codes) {
                        let reason = format!("the subscription to `{filter}`: {}", codec::reason(code));
                        return Err(Ended::Refused { url: self.url(), reason });
                    }
                }
                Some(Packet::UnsubAck { id }) => {
                    if let Some(subscription) = self.table.unsubscribed(id) {
                        self.inbound.abandon(subscription);
                    }
                }
                Some(Packet::PingResp) => {}
                Some(Packet::Disconnect { code }) => {
                    return Err(Ended::Disconnected { url: self.url(), reason: codec::reason(code) });
                }
                Some(Packet::ConnAck(_)) => {
                    let reason = "it sent a second CONNACK".into();
                    return Err(Ended::Refused { url: self.url(), reason });
                }
            }
        }
    }

    fn publish(&mut self, publish: codec::Publish, now: Instant) {
        let mut routes = std::mem::take(&mut self.routes);
        let subscription = self.table.find(&publish, &mut routes);
        self.receive(publish, subscription, &routes, now);
        self.routes = routes;
    }

    fn receive(&mut self, publish: codec::Publish, subscription: u32, routes: &[u64], now: Instant) {
        if publish.qos == Qos::AtMostOnce {
            let link = &self.link;
            let slot = |route: &Arc<super::link::Route>, bytes| super::AckSlot::new(link, route, None, bytes);
            self.table.send(routes, publish, now, slot, link.peer.shared());
            return;
        }
        let exactly_once = publish.qos == Qos::ExactlyOnce;
        let content = inbound::content(&publish.topic, &publish.payload);
        let id = (publish.id, exactly_once);
        match self.inbound.receive(id, content, (routes.len(), subscription), now) {
            inbound::Received::Known => {}
            inbound::Received::New(number) => {
                let link = &self.link;
                let slot = |route: &Arc<super::link::Route>, bytes| {
                    super::AckSlot::new(link, route, Some(number), bytes)
                };
                self.table.send(routes, publish, now, slot, link.peer.shared());
                if routes.is_empty() && !self.table.expects(subscription) {
                    // Nobody asked for it: a subscription of an earlier life.
                    self.inbound.abandon(subscription);
                }
            }
        }
    }
}
