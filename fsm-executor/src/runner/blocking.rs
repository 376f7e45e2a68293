//! One attempt on the blocking pool: it can't be dropped, so it is watched, and given up when it doesn't come back.

use std::sync::Arc;

use fsm_core::{ActionError, BoxFuture, Outcome};
use tokio::sync::oneshot;
use tokio::time::{Duration, Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::attempt::AttemptEnd;
use crate::caught::{Caught, caught};
use crate::shared::{Shared, later};
use crate::slots::{Ending, Job};
use crate::{ActionRef, ExecutorEvent, SlotKey};

/// A thread that waits at an await point drops its future as soon as it is scheduled: this is for the scheduler of a busy machine.
const DROP_SLACK: Duration = Duration::from_millis(100);

type Output = Option<Result<Result<(), ActionError>, Arc<str>>>;

/// What is due when, while a thread is at work.
struct Watch {
    /// Ask the thread to drop its future.
    kill: Option<Instant>,
    /// Report it.
    stuck: Option<Instant>,
    /// Give up.
    abandon: Instant,
    /// Whether a cancel made it hurry.
    cancelled: bool,
}

impl Watch {
    fn new(start: Instant, timeout: Duration) -> Self {
        Self {
            kill: Some(later(start, timeout)),
            stuck: Some(later(start, timeout.saturating_mul(2))),
            abandon: later(start, timeout.saturating_mul(3)),
            cancelled: false,
        }
    }

    /// A cancel brings the end nearer, never further away.
    fn hurry(&mut self, ending: Ending) {
        self.kill = self.kill.map(|at| at.min(ending.drop_at));
        self.abandon = self.abandon.min(later(ending.drop_at, DROP_SLACK));
        self.cancelled = true;
    }

    fn next(&self) -> Instant {
        [self.kill, self.stuck].into_iter().flatten().fold(self.abandon, Instant::min)
    }

    /// Takes a step that is due.
    fn due(step: &mut Option<Instant>, now: Instant) -> bool {
        step.take_if(|at| *at <= now).is_some()
    }
}

impl<K: SlotKey> Shared<K> {
    /// Polls the future on a thread of the blocking pool, and gives up on it in the end.
    pub(super) async fn on_thread(
        self: &Arc<Self>,
        runner: usize,
        job: &Job<K>,
        future: BoxFuture<'static, Result<(), ActionError>>,
        token: &CancellationToken,
    ) -> AttemptEnd {
        let start = Instant::now();
        let mut watch = Watch::new(start, job.policy.timeout);
        // Ends the thread's future also when this runner itself is dropped.
        let kill = CancellationToken::new();
        let _kill_on_drop = kill.clone().drop_guard();
        let (sender, mut returned) = oneshot::channel();
        let thread = self.thread(job.action, job.run, Caught::new(future), kill.clone(), sender);
        if let Err(panic) = caught(|| self.runtime.spawn_blocking(thread)) {
            return AttemptEnd::Panic(panic);
        }
        let mut sleep = std::pin::pin!(sleep_until(watch.next()));
        loop {
            // Cancel-safe: the receiver is kept outside, the others only wait.
            tokio::select! {
                // In order: what has come back in time is never given up on.
                biased;
                output = &mut returned => return Self::came_back(output.ok().flatten(), &kill),
                () = self.runners[runner].notified() => {
                    if let Some(ending) = self.ending(job) { watch.hurry(ending); }
                }
                () = &mut sleep => {}
            }
            let now = Instant::now();
            if Watch::due(&mut watch.kill, now) {
                token.cancel();
                kill.cancel();
            }
            if Watch::due(&mut watch.stuck, now) {
                self.tell_stuck(job.action, now - start);
            }
            if watch.abandon <= now && self.slots().abandon(job.action.key, job.run) {
                self.tell_abandoned(job.action, now - start);
                return AttemptEnd::Abandoned(if watch.cancelled {
                    Outcome::Cancelled
                } else {
                    Outcome::Timeout
                });
            }
            sleep.as_mut().reset(watch.next().max(now));
        }
    }

    fn came_back(output: Output, kill: &CancellationToken) -> AttemptEnd {
        match output {
            Some(Err(panic)) => AttemptEnd::Panic(panic),
            // Too late is too late, whatever it says.
            Some(Ok(_)) | None if kill.is_cancelled() => AttemptEnd::Timeout,
            Some(output) => AttemptEnd::of(output),
            // The runtime shuts down and never started it.
            None => AttemptEnd::Cancelled(None),
        }
    }

    /// What runs on the thread.
    fn thread(
        self: &Arc<Self>,
        action: ActionRef<K>,
        run: u64,
        mut future: Caught<Result<(), ActionError>>,
        kill: CancellationToken,
        sender: oneshot::Sender<Output>,
    ) -> impl FnOnce() + Send + 'static {
        let shared = Arc::clone(self);
        move || {
            // One that waited for a thread until its time was over must not act any more.
            let output = if kill.is_cancelled() {
                None
            } else {
                shared.runtime.block_on(async {
                    // Cancel-safe: what is not chosen is dropped with its future, as intended.
                    tokio::select! {
                        // In order: what has ended has ended.
                        biased;
                        output = &mut future => Some(output),
                        () = kill.cancelled() => None,
                    }
                })
            };
            drop(future);
            let leaked = shared.slots().returned(action.key, run);
            if leaked {
                shared.observe(|observer| observer.leaked(&action, -1));
                shared.tell(ExecutorEvent::LeakedEnded { action });
            } else {
                // Nobody waits when the runner was aborted.
                let _ = sender.send(output);
            }
        }
    }

    fn tell_stuck(&self, action: ActionRef<K>, running: Duration) {
        tracing::warn!(key = ?action.key, action = action.name, ?running, "a blocking action is stuck");
        self.observe(|observer| observer.stuck(&action));
        self.tell(ExecutorEvent::Stuck { action, running });
    }

    fn tell_abandoned(&self, action: ActionRef<K>, running: Duration) {
        tracing::warn!(key = ?action.key, action = action.name, ?running, "a blocking action was abandoned");
        self.observe(|observer| observer.leaked(&action, 1));
        self.tell(ExecutorEvent::Abandoned { action, running });
    }
}
