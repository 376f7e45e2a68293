//! The I/O half of `slow`: three ways to spend time in an action, and how each ends as soon as it is cancelled.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use fsm_core::{
    ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, DeriveContext, DeriveError,
    DesiredState, Policy, RetryPolicy, UserSpec, Worker,
};
use tokio::sync::watch;

use super::{SlowAction, SlowConfig, SlowHandle, SlowObserved, SlowState, Spending};

/// The kind `slow`.
#[derive(Debug, Default)]
pub struct Slow;

/// How long one blocking read may hold its thread: so late a cancel is noticed at most.
const READ: Duration = Duration::from_millis(20);

impl Worker for Slow {
    const KIND: &'static str = "slow";
    /// `start` is not named here, so that a node's `action_timeout` holds for it.
    const POLICY: Policy = Policy::DEFAULT.with_retry(RetryPolicy::NEVER).with_actions(&[
        ActionPolicy::new("start_blocking", Duration::from_secs(300))
            .with_retry(RetryPolicy::NEVER)
            .blocking(),
        ActionPolicy::new("stop", Duration::from_secs(10)),
    ]);
    type Config = SlowConfig;
    type Observed = SlowObserved;
    type State = SlowState;
    type Action = SlowAction;
    type Handle = SlowHandle;

    fn derive_desired_state(
        spec: &UserSpec<SlowConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<SlowConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    /// There is nothing to do here for a timeout or a cancel: the future is dropped where it waits.
    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<SlowObserved, CollectError> {
        let takes = cx.config().look_takes.get();
        if !takes.is_zero() && cx.handle().is_slow_look(cx.config().slow_looks) {
            cx.sleep(takes).await;
        }
        Ok(SlowObserved { up: cx.handle().is_up() })
    }

    async fn execute(&self, action: SlowAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {
            SlowAction::Start | SlowAction::StartBlocking if cx.handle().is_up() => Ok(()),
            SlowAction::Start => match cx.config().start_by {
                Spending::Waiting | Spending::Blocking => wait(&cx).await,
                Spending::Spawning => spawn(&cx).await,
            },
            SlowAction::StartBlocking => block(&cx),
            SlowAction::Stop => {
                cx.handle().set_up(false);
                Ok(())
            }
        }
    }
}

fn cancelled() -> ActionError {
    ActionError::transient("cancelled before it was up")
}

/// Whichever comes first. Without the second branch a cancelled action would be dropped all the same, but seconds later.
async fn wait(cx: &ActionContext<'_, Slow>) -> Result<(), ActionError> {
    // Cancel safety: both only wait.
    tokio::select! {
        () = cx.sleep(cx.config().start_takes.get()) => {}
        () = cx.cancelled() => return Err(cancelled()),
    }
    cx.handle().set_up(true);
    Ok(())
}

/// The work is another task's. Its receiver tells that it is still at work; a message to it, or the loss of every sender,
/// tells it to end: so nothing is left behind, whichever way this future ends.
async fn spawn(cx: &ActionContext<'_, Slow>) -> Result<(), ActionError> {
    let (task, mut told_to_end) = watch::channel(());
    let task = Arc::new(task);
    let (handle, time) = (Arc::clone(cx.handle()), cx.sleep(cx.config().start_takes.get()));
    cx.spawn("start", async move {
        // Cancel safety: both only wait.
        tokio::select! {
            () = time => handle.set_up(true),
            _ = told_to_end.changed() => {}
        }
    });
    let ending = Arc::clone(&task);
    cx.on_cancel(async move {
        ending.send_replace(());
        ending.closed().await;
    });
    // Cancel safety: both only wait.
    tokio::select! {
        () = task.closed() => Ok(()),
        () = cx.cancelled() => Err(cancelled()),
    }
}

/// Reads from a socket to which nobody writes: one read after the other, each with a time limit.
fn block(cx: &ActionContext<'_, Slow>) -> Result<(), ActionError> {
    let failed =
        |error| ActionError::transient("can't read from a socket on the loopback").with_source(error);
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    let mut left = cx.config().start_takes.get();
    while !left.is_zero() {
        if cx.is_cancelled() {
            return Err(cancelled());
        }
        let limit = left.min(READ);
        socket.set_read_timeout(Some(limit)).map_err(failed)?;
        match socket.recv(&mut [0]) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                left -= limit
            }
            Ok(_) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    cx.handle().set_up(true);
    Ok(())
}
