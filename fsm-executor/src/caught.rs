//! Keeps panics of foreign code where they happen: a panic of an action, a clean-up or a sink ends nothing but itself.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use fsm_core::BoxFuture;

/// Calls foreign code; a panic becomes its text.
pub(crate) fn caught<T>(foreign: impl FnOnce() -> T) -> Result<T, Arc<str>> {
    catch_unwind(AssertUnwindSafe(foreign)).map_err(|payload| text(&*payload))
}

/// Calls foreign code whose panic can concern nobody but the log.
pub(crate) fn logged(what: &'static str, foreign: impl FnOnce()) {
    if let Err(panic) = caught(foreign) {
        tracing::error!(what, %panic, "a callback given to the executor panicked: what it was told is lost");
    }
}

/// The closure of an action is foreign code, even when it is only dropped.
pub(crate) fn drop_quietly<T>(foreign: T) {
    logged("dropping an action", move || drop(foreign));
}

/// What a panic said. `panic!` gives a `&str` or a `String`; anything else was thrown by hand.
fn text(payload: &(dyn Any + Send)) -> Arc<str> {
    if let Some(text) = payload.downcast_ref::<&str>() {
        Arc::from(*text)
    } else if let Some(text) = payload.downcast_ref::<String>() {
        Arc::from(text.as_str())
    } else {
        Arc::from("a panic without a text")
    }
}

/// A future whose panics, while polled and while dropped, are caught. It is dropped as soon as it ended.
pub(crate) struct Caught<T> {
    future: Option<BoxFuture<'static, T>>,
}

impl<T> Caught<T> {
    pub(crate) fn new(future: BoxFuture<'static, T>) -> Self {
        Self { future: Some(future) }
    }

    fn dispose(&mut self) {
        if let Some(future) = self.future.take() {
            drop_quietly(future);
        }
    }
}

impl<T> Future for Caught<T> {
    type Output = Result<T, Arc<str>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // After its end there is nothing left to poll, and nothing that could wake.
        let Some(future) = self.future.as_mut() else { return Poll::Pending };
        let ended = match caught(|| future.as_mut().poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => Ok(output),
            Err(panic) => Err(panic),
        };
        self.dispose();
        Poll::Ready(ended)
    }
}

impl<T> Drop for Caught<T> {
    fn drop(&mut self) {
        self.dispose();
    }
}
