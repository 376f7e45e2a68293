//! One client's connection: a task that moves bytes between a socket and the hub, and ends for exactly one
//! reason.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::config::Auth;
use crate::hub::{Admitted, Claim, End, Hub, TakenOver};
use crate::tree::SessionKey;
use crate::wire::{self, Ack, Code, ConnAck, Connect, Frame, Incoming, Message, Qos, Version, WireError};

/// How long a socket may stay silent before its CONNECT: longer than any slow link needs.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How long publishers wait for one subscriber whose queue runs full before its messages are dropped instead.
const SUBSCRIBER_PATIENCE: Duration = Duration::from_secs(1);
/// How long a last word may take to leave.
const FAREWELL_PATIENCE: Duration = Duration::from_millis(200);
/// Write buffer at which no more messages are taken from the queue: a socket buffer's worth.
const WRITE_BUDGET: usize = 64 * 1024;
/// Write buffer at which no more is read: a client that never reads its answers must not fill memory.
const WRITE_LIMIT: usize = 4 * WRITE_BUDGET;
/// How long a client may leave its answers unread once that limit is reached.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
/// Room for one read of a connection that says little, and of one that filled the former read.
const READ_QUIET: usize = 2 * 1024;
const READ_BUSY: usize = 64 * 1024;

/// What all connections of a broker share.
#[derive(Debug)]
pub(crate) struct Shared {
    hub: Mutex<Hub>,
    pub(crate) auth: Option<Auth>,
    pub(crate) max_payload: usize,
    pub(crate) stop: CancellationToken,
    /// Signalled when the next due moment may have come nearer.
    pub(crate) due_changed: Notify,
}

impl Shared {
    pub(crate) fn new(hub: Hub, auth: Option<Auth>, max_payload: usize, stop: CancellationToken) -> Self {
        Self { hub: Mutex::new(hub), auth, max_payload, stop, due_changed: Notify::new() }
    }

    /// The hub. A panic of one connection under the lock must not end all others.
    pub(crate) fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Longest frame: the payload, and the longest topic and properties that one would ever want beside it.
    fn max_frame(&self) -> usize {
        self.max_payload + 2 * usize::from(u16::MAX)
    }
}

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Close {
    /// The client said goodbye.
    Left(wire::Leave),
    /// The socket ended without a goodbye.
    Lost,
    /// The client was refused, and was told so.
    Refused(Code),
    /// The client broke a rule.
    Broken(Code),
    TakenOver,
    Stopped,
}

impl From<TakenOver> for Close {
    fn from(_: TakenOver) -> Self {
        Self::TakenOver
    }
}

impl From<WireError> for Close {
    fn from(error: WireError) -> Self {
        tracing::debug!(%error, "a client is cut off");
        Self::Broken(error.code())
    }
}

/// Serves one client until it goes, breaks a rule, or the broker stops.
pub(crate) async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    // A delayed PUBACK would halve the speed of a client that waits for it.
    let _ = stream.set_nodelay(true);
    let mut connection = Connection::new(shared, stream);
    let close = connection.run().await;
    connection.finish(close).await;
}

struct Connection {
    shared: Arc<Shared>,
    stream: TcpStream,
    input: BytesMut,
    output: BytesMut,
    wake: Arc<Notify>,
    /// Set from CONNECT on.
    joined: Option<(Claim, Version)>,
    /// How long the client may be silent.
    silence: Option<Duration>,
    last_heard: Instant,
    last_written: Instant,
    /// The last read filled its room.
    busy: bool,
    /// Messages may wait in the session's queue.
    pull: bool,
    /// Subscribers that this client has to wait for, and until when.
    congested: Vec<SessionKey>,
    patience_ends: Instant,
}

impl Connection {
    fn new(shared: Arc<Shared>, stream: TcpStream) -> Self {
        let now = Instant::now();
        Self {
            shared,
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            wake: Arc::new(Notify::new()),
            joined: None,
            silence: Some(CONNECT_PATIENCE),
            last_heard: now,
            last_written: now,
            busy: false,
            pull: false,
            congested: Vec::new(),
            patience_ends: now,
        }
    }

    async fn run(&mut self) -> Close {
        let stop = self.shared.stop.clone();
        let wake = Arc::clone(&self.wake);
        loop {
            if let Err(close) = self.step() {
                return close;
            }
            let waits = !self.congested.is_empty();
            let full = self.output.len() >= WRITE_LIMIT;
            let (deadline, late) = self.deadline(waits, full);
            let writes = !self.output.is_empty();
            let (mut reader, mut writer) = self.stream.split();
            // Every branch is cancel-safe: a cancelled read or write has moved no byte, and a permit of `wake`
            // stays for the next round.
            tokio::select! {
                () = stop.cancelled() => return Close::Stopped,
                () = wake.notified() => self.pull = true,
                read = reader.read_buf(&mut self.input), if !waits && !full => match read {
                    Ok(0) | Err(_) => return Close::Lost,
                    Ok(_) => {
                        self.busy = self.input.len() == self.input.capacity();
                        self.last_heard = Instant::now();
                    }
                },
                written = writer.write_buf(&mut self.output), if writes => match written {
                    Ok(0) | Err(_) => return Close::Lost,
                    Ok(_) => self.last_written = Instant::now(),
                },
                () = sleep_until(deadline.unwrap_or(self.last_heard)), if deadline.is_some() => match late {
                    None => self.shared.hub().give_up(&mut self.congested),
                    Some(close) => return close,
                },
            }
        }
    }

    /// When this connection's patience ends, and with what.
    fn deadline(&mut self, waits: bool, full: bool) -> (Option<Instant>, Option<Close>) {
        if waits || full {
            // While nothing is read the client can't be heard.
            self.last_heard = Instant::now();
        }
        if waits {
            (Some(self.patience_ends), None)
        } else if full {
            (Some(self.last_written + WRITE_PATIENCE), Some(Close::Lost))
        } else {
            let close = Close::Broken(Code::KeepAliveTimeout);
            (self.silence.map(|silence| self.last_heard + silence), Some(close))
        }
    }

    /// Everything that can be done without waiting.
    fn step(&mut self) -> Result<(), Close> {
        if !self.congested.is_empty() {
            self.shared.hub().still_congested(&mut self.congested, &self.wake);
        }
        self.read_packets()?;
        if self.output.is_empty() {
            self.last_written = Instant::now();
        }
        if let Some((claim, _)) = self.joined
            && self.pull
            && self.output.len() < WRITE_BUDGET
        {
            self.pull = self.shared.hub().pull(claim, &mut self.output, WRITE_BUDGET, Instant::now())?;
        }
        Ok(())
    }

    fn read_packets(&mut self) -> Result<(), Close> {
        let mut missing = 0;
        while self.congested.is_empty() && self.output.len() < WRITE_LIMIT {
            let (first, start, end) = match wire::frame(&self.input, self.shared.max_frame())? {
                Frame::Whole { first, start, end } => (first, start, end),
                Frame::Missing(bytes) => {
                    missing = bytes;
                    break;
                }
            };
            let version = self.joined.map(|(_, version)| version);
            let packet = match wire::decode(version, first, &self.input[start..end]) {
                Ok(packet) => packet,
                Err(WireError::Level(_)) => {
                    wire::connack_unsupported_level(&mut self.output);
                    return Err(Close::Refused(Code::UnsupportedVersion));
                }
                Err(error) => return Err(error.into()),
            };
            self.input.advance(end);
            match (packet, self.joined) {
                (Incoming::Connect(connect), None) => self.connect(*connect)?,
                (_, None) => return Err(Close::Broken(Code::ProtocolError)),
                (packet, Some((claim, version))) => self.handle(packet, claim, version)?,
            }
            if !self.congested.is_empty() {
                self.patience_ends = Instant::now() + SUBSCRIBER_PATIENCE;
                self.shared.hub().still_congested(&mut self.congested, &self.wake);
            }
        }
        if self.input.is_empty() && !self.busy && self.input.capacity() > READ_BUSY {
            // One large message must not cost its size for the rest of a long connection.
            self.input = BytesMut::new();
        }
        self.input.reserve(missing.max(if self.busy { READ_BUSY } else { READ_QUIET }));
        Ok(())
    }

    fn connect(&mut self, mut connect: Connect) -> Result<(), Close> {
        let version = connect.version;
        let admitted = self.admit(&mut connect);
        let maximum_packet_size = u32::try_from(self.shared.max_frame()).unwrap_or(u32::MAX);
        let mut answer = ConnAck {
            code: Code::Success,
            session_present: false,
            maximum_packet_size,
            assigned_client_id: None,
            session_expiry: None,
        };
        match admitted {
            Ok(admitted) => {
                answer.session_present = admitted.present;
                answer.assigned_client_id = admitted.assigned_id.as_deref();
                answer.session_expiry = admitted.expiry;
                wire::connack(&mut self.output, version, &answer);
                self.joined = Some((admitted.claim, version));
                // The standard grants half a period more.
                self.silence = Some(connect.keep_alive * 3 / 2).filter(|silence| !silence.is_zero());
                self.pull = true;
                Ok(())
            }
            Err(code) => {
                answer.code = code;
                wire::connack(&mut self.output, version, &answer);
                Err(Close::Refused(code))
            }
        }
    }

    fn admit(&self, connect: &mut Connect) -> Result<Admitted, Code> {
        if connect.enhanced_authentication {
            return Err(Code::BadAuthenticationMethod);
        }
        if let Some(auth) = &self.shared.auth {
            let user = connect.user_name.as_deref().unwrap_or_default();
            if !auth.admits(user, connect.password.as_deref().unwrap_or_default()) {
                tracing::warn!(client = %connect.client_id, user, "a client with an unknown user name or a wrong password was refused");
                return Err(Code::BadUserNameOrPassword);
            }
        }
        let admitted = self.shared.hub().connect(connect, &self.wake, Instant::now());
        if let Err(code) = admitted {
            tracing::warn!(client = %connect.client_id, ?code, "a client was refused");
        }
        admitted
    }

    fn handle(&mut self, packet: Incoming, claim: Claim, version: Version) -> Result<(), Close> {
        match packet {
            Incoming::Connect(_) => return Err(Close::Broken(Code::ProtocolError)),
            Incoming::Publish { message, packet_id } => self.publish(message, packet_id, claim, version)?,
            Incoming::Ack { ack: Ack::PubRel, packet_id, .. } => {
                let code = self.shared.hub().release(claim, packet_id)?;
                wire::ack(&mut self.output, version, Ack::PubComp, packet_id, code);
            }
            Incoming::Ack { ack, packet_id, failed } => {
                self.shared.hub().acknowledge(claim, &mut self.output, ack, packet_id, failed)?;
                self.pull = true;
            }
            Incoming::Subscribe { packet_id, filters } => {
                let granted = self.shared.hub().subscribe(claim, &filters, Instant::now())?;
                wire::suback(&mut self.output, version, packet_id, &granted);
            }
            Incoming::Unsubscribe { packet_id, filters } => {
                let codes = self.shared.hub().unsubscribe(claim, &filters)?;
                wire::unsuback(&mut self.output, version, packet_id, &codes);
            }
            Incoming::PingReq => wire::pingresp(&mut self.output),
            Incoming::Disconnect(leave) => return Err(Close::Left(leave)),
        }
        Ok(())
    }

    fn publish(
        &mut self,
        message: Message,
        packet_id: u16,
        claim: Claim,
        version: Version,
    ) -> Result<(), Close> {
        if message.payload().len() > self.shared.max_payload {
            return Err(Close::Broken(Code::PacketTooLarge));
        }
        let qos = message.qos;
        let mut hub = self.shared.hub();
        let matched = hub.publish_from(claim, message, packet_id, Instant::now(), &mut self.congested)?;
        drop(hub);
        let code = if matched == Some(0) { Code::NoMatchingSubscribers } else { Code::Success };
        match qos {
            Qos::AtMostOnce => {}
            Qos::AtLeastOnce => wire::ack(&mut self.output, version, Ack::PubAck, packet_id, code),
            Qos::ExactlyOnce => wire::ack(&mut self.output, version, Ack::PubRec, packet_id, code),
        }
        Ok(())
    }

    /// Tells the hub and, where there is something to say, the client.
    async fn finish(mut self, close: Close) {
        let (end, farewell) = match close {
            Close::Left(leave) => (End::Left(leave), None),
            Close::Lost => (End::Lost, None),
            Close::Refused(_) => (End::Lost, Some(None)),
            Close::Broken(code) => (End::Lost, Some(Some(code))),
            Close::TakenOver => (End::Lost, Some(Some(Code::SessionTakenOver))),
            // The broker's own end is no reason for a will: nobody is left to read it.
            Close::Stopped => {
                let leave = wire::Leave { with_will: false, session_expiry: None };
                (End::Left(leave), Some(Some(Code::ServerShuttingDown)))
            }
        };
        {
            let mut hub = self.shared.hub();
            let stats = hub.stats_mut();
            match close {
                Close::Refused(_) => stats.refused += 1,
                Close::Broken(_) => stats.broken += 1,
                Close::Left(_) | Close::Lost | Close::TakenOver | Close::Stopped => {}
            }
            if let Some((claim, _)) = self.joined {
                hub.disconnect(claim, end, Instant::now());
            }
        }
        self.shared.due_changed.notify_one();
        let Some(code) = farewell else { return };
        if let (Some(code), Some((_, version))) = (code, self.joined) {
            wire::disconnect(&mut self.output, version, code);
        }
        let last_words = async {
            self.stream.write_all(&self.output).await?;
            self.stream.shutdown().await?;
            // A close with unread input would reset the connection and take the last words with it.
            while close != Close::Stopped && self.stream.read_buf(&mut self.input).await? > 0 {
                self.input.clear();
            }
            std::io::Result::Ok(())
        };
        // Too late or not, the socket closes now.
        let _ = timeout(FAREWELL_PATIENCE, last_words).await;
    }
}
