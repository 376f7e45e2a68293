//! A bounded queue in front of a bounded number of places, first come, first served.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many may be inside, and so many of them may run.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    inside: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// The right to be inside; goes with its drop.
#[derive(Debug)]
pub(super) struct Admission {
    _inside: OwnedSemaphorePermit,
    places: Arc<Semaphore>,
}

/// The right to run; goes with its drop.
#[derive(Debug)]
pub(super) struct Seat {
    _place: Option<OwnedSemaphorePermit>,
}

impl Lane {
    pub(super) fn new(concurrency: usize, queue: usize) -> Self {
        let bounded = |n: usize| Arc::new(Semaphore::new(n.min(Semaphore::MAX_PERMITS)));
        Self { inside: bounded(concurrency.saturating_add(queue)), places: bounded(concurrency) }
    }

    /// Lets one in; none when all waiting places are taken.
    pub(super) fn admit(&self) -> Option<Admission> {
        let inside = Arc::clone(&self.inside).try_acquire_owned().ok()?;
        Some(Admission { _inside: inside, places: Arc::clone(&self.places) })
    }
}

impl Admission {
    /// Waits for a place. Its turn is that of the first poll.
    ///
    /// # Cancel safety
    /// A future that is dropped gives its turn to the next.
    pub(super) fn seat(&self) -> impl Future<Output = Seat> + Send + use<> {
        let places = Arc::clone(&self.places);
        // It is never closed.
        async move { Seat { _place: places.acquire_owned().await.ok() } }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::Pin;
    use std::task::Poll;

    use super::*;

    async fn is_ready(waiting: &mut Pin<Box<impl Future<Output = Seat>>>) -> Option<Seat> {
        poll_fn(|cx| {
            Poll::Ready(match waiting.as_mut().poll(cx) {
                Poll::Ready(seat) => Some(seat),
                Poll::Pending => None,
            })
        })
        .await
    }

    // spec: X-3
    #[tokio::test]
    async fn who_came_first_runs_first_and_who_finds_all_taken_is_not_let_in() {
        let lane = Lane::new(1, 2);
        let inside: Vec<Admission> = std::iter::from_fn(|| lane.admit()).take(10).collect();
        assert_eq!(inside.len(), 3);
        let mut waiting: Vec<_> = inside.iter().map(|one| Box::pin(one.seat())).collect();
        let mut seat = is_ready(&mut waiting[0]).await;
        assert!(seat.is_some());
        assert!(is_ready(&mut waiting[1]).await.is_none() && is_ready(&mut waiting[2]).await.is_none());
        drop(seat.take());
        assert!(is_ready(&mut waiting[2]).await.is_none(), "it came later");
        assert!(is_ready(&mut waiting[1]).await.is_some());
        drop((waiting, inside));
        assert!(lane.admit().is_some());
    }
}
