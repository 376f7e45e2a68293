//! Something that runs once, shared between the task that follows it and whoever looks.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use fsm_core::Outcome;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::end::RunEnd;

/// One run of what a config says.
pub(crate) struct Once<C> {
    config: Arc<C>,
    cancel: CancellationToken,
    /// Nobody is to see it any more.
    forgotten: AtomicBool,
    end: watch::Sender<Option<RunEnd>>,
}

impl<C> Once<C> {
    pub(crate) fn config(&self) -> &Arc<C> {
        &self.config
    }

    pub(crate) fn token(&self) -> &CancellationToken {
        &self.cancel
    }

    /// How it ended, if it did.
    pub(crate) fn end(&self) -> Option<RunEnd> {
        self.end.borrow().clone()
    }

    pub(crate) fn runs(&self) -> bool {
        self.end.borrow().is_none()
    }

    pub(crate) fn is_forgotten(&self) -> bool {
        self.forgotten.load(Ordering::Relaxed)
    }

    pub(crate) fn forget(&self) {
        self.forgotten.store(true, Ordering::Relaxed);
    }

    /// Cancels it and waits for its end. Cancel-safe.
    pub(crate) async fn cancel(&self) {
        self.cancel.cancel();
        // The sender is in self: it can't be closed.
        let _ = self.end.subscribe().wait_for(Option::is_some).await;
    }
}

impl<C: fmt::Debug> fmt::Debug for Once<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Once").field("config", &self.config).field("end", &self.end()).finish_non_exhaustive()
    }
}

/// The last word about a run, even when its task is dropped before it began.
pub(crate) struct LastWord<C>(Arc<Once<C>>);

impl<C> LastWord<C> {
    pub(crate) fn token(&self) -> &CancellationToken {
        &self.0.cancel
    }

    pub(crate) fn say(&self, end: RunEnd) {
        self.0.end.send_replace(Some(end));
    }
}

impl<C> Drop for LastWord<C> {
    fn drop(&mut self) {
        self.0.end.send_if_modified(|end| {
            let open = end.is_none();
            end.get_or_insert_with(|| RunEnd::new(Outcome::Cancelled, "its node was ended"));
            open
        });
    }
}

/// What one incarnation owns: its last run.
#[derive(Debug)]
pub struct RunLife<C> {
    last: Mutex<Option<Arc<Once<C>>>>,
}

impl<C> Default for RunLife<C> {
    fn default() -> Self {
        Self { last: Mutex::default() }
    }
}

impl<C> RunLife<C> {
    pub(crate) fn last(&self) -> Option<Arc<Once<C>>> {
        self.lock().clone()
    }

    /// Takes the place of what ran before. Whoever follows the run has the last word about it.
    pub(crate) fn begin(&self, config: Arc<C>) -> LastWord<C> {
        let once = Arc::new(Once {
            config,
            cancel: CancellationToken::new(),
            forgotten: AtomicBool::new(false),
            end: watch::Sender::new(None),
        });
        *self.lock() = Some(Arc::clone(&once));
        LastWord(once)
    }

    pub(crate) fn clear(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Once<C>>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
