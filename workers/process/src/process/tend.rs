//! The task beside a process: reads what it says, and knows whether it lives. It ends with its incarnation, and the process
//! with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::config::{ProcessConfig, Ready};
use super::log::{Lines, Log};
use crate::capture::drain;
use crate::ending::Exit;
use crate::identity::Identity;
use crate::launch::{KILL_PATIENCE, Kept, Launcher, Life, Pipes, Program};

/// How far a process is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stage {
    /// Its keeper is being started.
    Starting,
    /// It could not be started.
    Failed(Arc<str>),
    /// It lives.
    Alive(Identity),
    /// Nothing of it lives.
    Ended(Option<Exit>),
}

/// One start of a process, shared between its task and whoever looks.
#[derive(Debug)]
pub(super) struct Tended {
    pub(super) config: Arc<ProcessConfig>,
    stage: watch::Sender<Stage>,
    /// After this grace it is to be gone.
    order: watch::Sender<Option<Duration>>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    log: Log,
    /// It answered once; a server that is busy later is not unready.
    answered: bool,
    failures: u32,
    cgroup_memory: Option<std::path::PathBuf>,
}

impl Tended {
    pub(super) fn new(config: Arc<ProcessConfig>) -> Self {
        let awaited = match &config.ready {
            Ready::Log(text) => Some(text.clone()),
            Ready::None | Ready::Tcp(_) | Ready::Http(_) | Ready::Exit => None,
        };
        let log = Log::new(config.log_lines, awaited);
        let inner = Inner { log, answered: false, failures: 0, cgroup_memory: None };
        Self {
            config,
            stage: watch::Sender::new(Stage::Starting),
            order: watch::Sender::new(None),
            inner: Mutex::new(inner),
        }
    }

    /// A panic under this lock leaves plain data, which is good as it is.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage.borrow().clone()
    }

    /// Waits until it is known whether it was started. Cancel-safe.
    pub(super) async fn started(&self) -> Stage {
        self.wait(|stage| *stage != Stage::Starting).await
    }

    /// Tells it to end within the grace, and waits until nothing of it lives. Cancel-safe; a shorter grace wins.
    pub(super) async fn end(&self, grace: Duration) {
        self.order.send_if_modified(|order| {
            let sooner = order.is_none_or(|given| grace < given);
            if sooner {
                *order = Some(grace);
            }
            sooner
        });
        self.wait(|stage| matches!(stage, Stage::Ended(_) | Stage::Failed(_))).await;
    }

    async fn wait(&self, holds: impl FnMut(&Stage) -> bool) -> Stage {
        let mut stage = self.stage.subscribe();
        let last = stage.wait_for(holds).await.map(|stage| stage.clone());
        // The sender is in self: it can't be closed.
        last.unwrap_or(Stage::Ended(None))
    }

    pub(super) fn log(&self) -> Vec<Arc<str>> {
        self.lock().log.lines()
    }

    pub(super) fn said_ready(&self) -> bool {
        self.lock().log.is_ready()
    }

    pub(super) fn has_answered(&self) -> bool {
        self.lock().answered
    }

    pub(super) fn answered(&self) {
        self.lock().answered = true;
    }

    /// Notes how a check went; answers how many failed in a row.
    pub(super) fn note(&self, well: bool) -> u32 {
        let mut inner = self.lock();
        inner.failures = if well { 0 } else { inner.failures.saturating_add(1) };
        inner.failures
    }

    /// Memory of its cgroup, where it has one.
    pub(super) fn cgroup_memory(&self) -> Option<u64> {
        let file = self.lock().cgroup_memory.clone()?;
        std::fs::read_to_string(file).ok()?.trim().parse().ok()
    }
}

/// The last word about a process, even when its task is dropped before it began.
pub(super) struct LastWord {
    tended: Arc<Tended>,
    exit: Option<Exit>,
    /// Hears of an end that nobody ordered, before anybody can see it.
    tell: Box<dyn Fn(Option<Exit>) + Send>,
}

impl LastWord {
    pub(super) fn about(tended: &Arc<Tended>, tell: impl Fn(Option<Exit>) + Send + 'static) -> Self {
        Self { tended: Arc::clone(tended), exit: None, tell: Box::new(tell) }
    }
}

impl Drop for LastWord {
    fn drop(&mut self) {
        if matches!(self.tended.stage(), Stage::Alive(_)) && self.tended.order.borrow().is_none() {
            (self.tell)(self.exit);
        }
        self.tended.stage.send_if_modified(|stage| {
            let open = matches!(stage, Stage::Starting | Stage::Alive(_));
            if open {
                *stage = Stage::Ended(self.exit);
            }
            open
        });
    }
}

/// Starts it and stays with it until nothing of it lives.
pub(super) async fn tend(launcher: Launcher, name: Arc<str>, program: Program, mut last: LastWord) {
    let tended = Arc::clone(&last.tended);
    let mut orders = tended.order.subscribe();
    let exec_id = format!("p{:016x}", fastrand::u64(..));
    let failed = |error| {
        tended.stage.send_replace(Stage::Failed(crate::run::chain(&error).into()));
    };
    let (mut kept, pipes) = match launcher.begin(&exec_id, program) {
        Ok(begun) => begun,
        Err(error) => return failed(error),
    };
    // Whichever is cancelled isn't needed again: the handshake is replaced by `finish`, the order is read again.
    let started = tokio::select! {
        started = kept.handshake() => Some(started),
        // An order during the handshake: whatever was started so far is ended.
        _ = orders.wait_for(Option::is_some) => None,
    };
    match started {
        Some(Ok(())) => {}
        Some(Err(error)) => return failed(error),
        None => return kept.finish().await,
    }
    tended.lock().cgroup_memory = kept.cgroup_file("memory.current");
    tended.stage.send_replace(Stage::Alive(kept.identity()));
    let Pipes { stdin, stdout, stderr } = pipes;
    drop(stdin);
    let output = async {
        let reads = (read(stdout, "stdout", &name, &tended), read(stderr, "stderr", &name, &tended));
        tokio::join!(reads.0, reads.1);
    };
    last.exit = live(&mut kept, output, &mut orders).await;
}

/// Lines go to the ring and to the daemon's log.
async fn read(from: tokio::net::unix::pipe::Receiver, stream: &'static str, name: &str, tended: &Tended) {
    let mut lines = Lines::default();
    let keep = |line: &str| {
        tracing::info!(target: "fsm_worker_process::output", path = name, stream, "{line}");
        tended.lock().log.push(line.into());
    };
    // A pipe that breaks has nothing more to say.
    let _ = drain(from, |bytes| lines.take(bytes, keep)).await;
    lines.rest(keep);
}

async fn live(
    kept: &mut Kept,
    output: impl Future<Output = ()>,
    orders: &mut watch::Receiver<Option<Duration>>,
) -> Option<Exit> {
    let mut output = std::pin::pin!(output);
    let (mut reading, mut exit, mut force_at) = (true, None, None);
    loop {
        // All arms are cancel-safe; the output is kept over rounds.
        tokio::select! {
            life = kept.life() => match life {
                Life::Exited(how) => {
                    exit = Some(how);
                    force_at.get_or_insert_with(|| Instant::now() + KILL_PATIENCE);
                }
                Life::Gone { .. } | Life::Lost => break,
            },
            () = &mut output, if reading => reading = false,
            Ok(()) = orders.changed() => {
                if let Some(grace) = *orders.borrow_and_update() {
                    kept.end(grace);
                    force_at = Some(Instant::now() + grace + KILL_PATIENCE);
                }
            }
            () = sleep_until(force_at.unwrap_or_else(Instant::now)), if force_at.is_some() => {
                kept.force();
                break;
            }
        }
    }
    if reading {
        let _ = tokio::time::timeout(KILL_PATIENCE, output).await;
    }
    exit
}
