//! One probe: connect, say hello in the target's protocol, hear an answer, close.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::config::{ConnectionConfig, Target};
use super::observed::{Failure, FailureClass};

mod http;
mod mqtt;
mod tls;

pub(super) use tls::{CustomTls, PublicTls};

/// A probe that was not answered as it should be.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    /// The HTTP status or MQTT return code, when there was one.
    pub(super) status: Option<u16>,
}

impl Failed {
    fn new(class: FailureClass, what: impl Into<std::sync::Arc<str>>) -> Self {
        Self { failure: Failure::new(class, what), status: None }
    }

    fn with_status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }
}

/// A stream of either sort.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Probes once, within the config's timeout; gives the status when the protocol has one.
///
/// # Cancel safety
/// Dropping it closes the connection.
pub(super) async fn probe(
    config: &ConnectionConfig,
    client_id: &str,
    public: &PublicTls,
    custom: &CustomTls,
) -> Result<Option<u16>, Failed> {
    let run = run(config, client_id, public, custom);
    match tokio::time::timeout(config.timeout, run).await {
        Ok(answer) => answer,
        Err(_) => Err(Failed::new(
            FailureClass::TimedOut,
            format!("no answer within {}", fsm_core::HumanDuration::new(config.timeout)),
        )),
    }
}

async fn run(
    config: &ConnectionConfig,
    client_id: &str,
    public: &PublicTls,
    custom: &CustomTls,
) -> Result<Option<u16>, Failed> {
    match &config.target {
        Target::Tcp(tcp) => {
            let stream = connect(&tcp.host, tcp.port).await?;
            // Closed by a reset: a thousand probes a second would otherwise leave their ports waiting for a minute each.
            // Where that can't be set, the port waits.
            let _ = stream.set_zero_linger();
            Ok(None)
        }
        Target::Tls(tls) => {
            let connector = custom.connector(public, tls.ca.as_deref(), tls.insecure).await?;
            let stream = connect(&tls.host, tls.port).await?;
            let name = tls.server_name.as_deref().unwrap_or(&tls.host);
            tls::handshake(&connector, name, stream).await?;
            Ok(None)
        }
        Target::Http(http, url) => {
            let mut stream = open(url, http.ca.as_deref(), http.insecure, public, custom).await?;
            http::ask(&mut *stream, http, url).await.map(Some)
        }
        Target::Mqtt(mqtt, url) => {
            let mut stream = open(url, mqtt.ca.as_deref(), mqtt.insecure, public, custom).await?;
            mqtt::ask(&mut *stream, mqtt, client_id).await.map(Some)
        }
    }
}

/// A connection to an address, with TLS where its scheme says so.
async fn open(
    url: &super::Url,
    ca: Option<&std::path::Path>,
    insecure: bool,
    public: &PublicTls,
    custom: &CustomTls,
) -> Result<Box<dyn Stream>, Failed> {
    if !url.is_tls {
        return Ok(Box::new(connect(&url.host, url.port).await?));
    }
    let connector = custom.connector(public, ca, insecure).await?;
    let stream = connect(&url.host, url.port).await?;
    Ok(Box::new(tls::handshake(&connector, &url.host, stream).await?))
}

async fn connect(host: &str, port: u16) -> Result<TcpStream, Failed> {
    let stream = TcpStream::connect((host, port)).await.map_err(|error| match error.raw_os_error() {
        Some(_) => in_io(error),
        // The resolver's errors carry no number.
        None => Failed::new(FailureClass::Name, format!("the name `{host}` can't be resolved: {error}")),
    })?;
    // The hello is one packet; waiting to fill it would be measured as latency.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

fn in_io(error: io::Error) -> Failed {
    use io::ErrorKind as Kind;
    let class = |kind| {
        let known = [
            (FailureClass::Refused, [Kind::ConnectionRefused].as_slice()),
            (
                FailureClass::Unreachable,
                &[Kind::HostUnreachable, Kind::NetworkUnreachable, Kind::NetworkDown],
            ),
            (FailureClass::TimedOut, &[Kind::TimedOut]),
            (
                FailureClass::Closed,
                &[Kind::ConnectionReset, Kind::ConnectionAborted, Kind::BrokenPipe, Kind::UnexpectedEof],
            ),
        ];
        let found = known.iter().find(|(_, kinds)| kinds.contains(&kind));
        // What is left are limits of this machine: no free port, no file descriptor.
        found.map_or(FailureClass::Local, |(class, _)| *class)
    };
    let is_end = error.kind() == Kind::UnexpectedEof;
    let what = if is_end { "the other side closed the connection".into() } else { error.kind().to_string() };
    Failed::new(class(error.kind()), what)
}

/// Time left to say good-bye in: nobody waits for it.
const GOOD_BYE: Duration = Duration::from_millis(50);
