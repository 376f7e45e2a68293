//! The seam of this crate: a broker that is started, asked, and stopped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::config::BrokerConfig;
use crate::connection::{Shared, serve};
use crate::hub::{Hub, Limits};
use crate::session::QueueLimits;
use crate::stats::BrokerStats;

/// Memory that may wait for one client: with a thousand clients that all stop reading it is the machine's end,
/// with ten it is not.
const QUEUE_BYTES: usize = 16 * 1024 * 1024;
/// Memory for retained messages: a hundred thousand topics of a plant.
const RETAINED_BYTES: usize = 64 * 1024 * 1024;
/// Sockets beyond the allowed connections that get an answer before they are closed.
const REFUSALS: usize = 64;
/// Pause after a failed accept, which mostly means that file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Why a broker did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another process listens there.
    #[error(
        "{addr} is in use by another process: stop that one (`ss -ltnp 'sport = :{port}'` names it) \
         or give this broker another port in `listen`", port = .addr.port()
    )]
    AddressInUse {
        /// The address that was asked for.
        addr: SocketAddr,
    },
    /// The address can't be listened on for another reason.
    #[error("can't listen on {addr}; check `listen`, ports below 1024 need a privilege")]
    Listen {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// A started broker's view from outside: cheap to clone, and valid after the broker's end.
#[derive(Debug, Clone)]
pub struct BrokerHandle {
    shared: Arc<Shared>,
    /// Cancelled when the port is free.
    closed: CancellationToken,
    /// Cancelled when every task has ended.
    ended: CancellationToken,
    addr: SocketAddr,
}

impl BrokerHandle {
    /// The address it listens on, with the port that was really taken.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Does it take connections?
    pub fn is_listening(&self) -> bool {
        !self.closed.is_cancelled()
    }

    /// Is everything of it gone, port, connections and tasks?
    pub fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }

    /// Figures of now.
    pub fn stats(&self) -> BrokerStats {
        self.shared.hub().stats()
    }

    /// Asks it to stop: the port is freed, clients are told and cut off. Returns at once.
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }

    /// Waits until it has ended: the port is free, every client is cut off and no task is left.
    ///
    /// Cancel-safe.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

/// An MQTT broker for one machine.
///
/// ```
/// use fsm_worker_broker::{Broker, BrokerConfig, Listen};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = Broker::start(BrokerConfig::listening_on(Listen::loopback(0))).await?;
/// assert!(broker.handle().is_listening());
/// println!("connect to {}", broker.handle().addr());
/// broker.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Broker;

impl Broker {
    /// Takes the port. The broker serves once the returned task is polled, which suits an owner that spawns
    /// and counts its tasks itself.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the address can't be listened on.
    pub async fn bind(
        config: BrokerConfig,
    ) -> Result<(BrokerHandle, impl Future<Output = ()> + Send + 'static), StartError> {
        let addr = config.listen.addr();
        let listener = TcpListener::bind(addr).await.map_err(|source| {
            if source.kind() == io::ErrorKind::AddrInUse {
                StartError::AddressInUse { addr }
            } else {
                StartError::Listen { addr, source }
            }
        })?;
        let addr = listener.local_addr().unwrap_or(addr);
        let max_connections = config.max_connections as usize;
        let hub = Hub::new(Limits {
            connections: max_connections,
            queue: QueueLimits { messages: config.max_queued as usize, bytes: QUEUE_BYTES },
            retained_bytes: RETAINED_BYTES,
        });
        let shared =
            Arc::new(Shared::new(hub, config.auth, config.max_payload as usize, CancellationToken::new()));
        let handle = BrokerHandle {
            shared: Arc::clone(&shared),
            closed: CancellationToken::new(),
            ended: CancellationToken::new(),
            addr,
        };
        // The guards are the task's, so that they speak however it ends, even if it is never polled.
        let ended = handle.ended.clone().drop_guard();
        let closed = handle.closed.clone().drop_guard();
        let max_sockets = max_connections + REFUSALS;
        let task = async move {
            let mut connections = JoinSet::new();
            accept(&shared, &listener, &mut connections, max_sockets).await;
            drop(listener);
            drop(closed);
            while let Some(end) = connections.join_next().await {
                note(&shared, end);
            }
            drop(ended);
        };
        Ok((handle, task))
    }

    /// Takes the port and serves in a task of its own, until it is stopped or dropped.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the address can't be listened on.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn start(config: BrokerConfig) -> Result<RunningBroker, StartError> {
        let (handle, task) = Self::bind(config).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(task);
        Ok(RunningBroker { handle, tasks })
    }
}

/// A broker that serves. Dropping it ends it without a word to its clients.
#[derive(Debug)]
pub struct RunningBroker {
    handle: BrokerHandle,
    tasks: JoinSet<()>,
}

impl RunningBroker {
    /// Its view from outside.
    pub fn handle(&self) -> &BrokerHandle {
        &self.handle
    }

    /// Stops it. Afterwards the port is free, every client is cut off and no task is left.
    ///
    /// Cancel-safe: dropped early, it has ended the broker without a word to its clients.
    pub async fn stop(mut self) {
        self.handle.stop();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Accepts until the broker is stopped.
async fn accept(
    shared: &Arc<Shared>,
    listener: &TcpListener,
    connections: &mut JoinSet<()>,
    max_sockets: usize,
) {
    loop {
        let due = shared.hub().next_due();
        // Every branch is cancel-safe: a connection that is not accepted stays in the backlog.
        tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if connections.len() < max_sockets => {
                    connections.spawn(serve(Arc::clone(shared), stream));
                }
                Ok(_) => shared.hub().stats_mut().refused += 1,
                Err(error) => {
                    tracing::warn!(%error, "can't accept a connection, trying again");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(end) = connections.join_next() => note(shared, end),
            () = shared.due_changed.notified() => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                shared.hub().fire_due(Instant::now());
            }
        }
    }
}

fn note(shared: &Shared, ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection of the broker panicked; its client was cut off");
        shared.hub().stats_mut().panics += 1;
    }
}
