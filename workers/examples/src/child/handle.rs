//! The live resource of one incarnation of `child`: a listening socket and the task that serves it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::sync::watch;

use super::LinkSeen;

/// Owns the socket. Dropping it closes the socket.
#[derive(Debug, Default)]
pub struct ChildHandle {
    link: Mutex<Option<Link>>,
}

#[derive(Debug)]
struct Link {
    listen: SocketAddr,
    address: SocketAddr,
    visitors: Arc<AtomicU64>,
    /// Its receiver lives in the serving task: closed means that the task, and with it the socket, is gone.
    stop: watch::Sender<bool>,
}

impl ChildHandle {
    /// The open socket and its visitors.
    pub(super) fn look(&self) -> Option<(LinkSeen, u64)> {
        let link = self.lock();
        let link = link.as_ref().filter(|link| !link.stop.is_closed())?;
        let seen = LinkSeen { listen: link.listen, address: link.address };
        Some((seen, link.visitors.load(Ordering::Relaxed)))
    }

    /// Opens the socket; gives back the task that serves it.
    pub(super) async fn open(
        &self,
        listen: SocketAddr,
    ) -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let visitors = Arc::new(AtomicU64::new(0));
        let (stop, stopping) = watch::channel(false);
        let task = serve(listener, Arc::clone(&visitors), stopping);
        *self.lock() = Some(Link { listen, address, visitors, stop });
        Ok(task)
    }

    /// Closes the socket and waits until it is closed. Without a socket it does nothing.
    pub(super) async fn close(&self) {
        let link = self.lock().take();
        // When this future is dropped here, the sender is dropped with it, and the task ends all the same.
        if let Some(link) = link {
            link.stop.send_replace(true);
            link.stop.closed().await;
        }
    }

    /// A panic elsewhere leaves the option whole, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Option<Link>> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(listener: TcpListener, visitors: Arc<AtomicU64>, mut stopping: watch::Receiver<bool>) {
    loop {
        // Cancel safety: a dropped `accept` leaves the visitor in the socket's queue, a dropped `changed` keeps its change.
        tokio::select! {
            visitor = listener.accept() => drop(visitor.map(|_| visitors.fetch_add(1, Ordering::Relaxed))),
            _ = stopping.changed() => break,
        }
    }
    drop(listener);
}
