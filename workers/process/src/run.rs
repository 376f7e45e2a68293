//! One run of a tool, from the request to its one ending.

mod counted;
mod judge;
mod traced;

use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fsm_metrics::{NodeMetricsCollector, RunMetrics};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::capture::{Captured, drain};
use crate::cgroup::Cgroups;
use crate::ending::{Ending, Exit, Resources};
use crate::env::check_value;
use crate::launch::{KILL_PATIENCE, Keeper, Kept, Launcher, Life, Pipes, Program};
use crate::ledger::Ledger;
use crate::protocol::Request;
use crate::tool::Tool;
use counted::Counted;
use judge::{Broke, Stop, judge};

/// What may still be in the pipes when nobody of a run lives; only a stranger who got hold of one keeps it open longer.
const DRAIN: Duration = Duration::from_millis(200);

/// One call of a tool.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Call {
    /// The id of this run, unique among all; processes of the run are known by it.
    pub exec_id: String,
    /// What the tool is to work on.
    pub input: Value,
    /// A W3C trace context to pass on.
    pub traceparent: Option<String>,
    /// What the tool runs on, a label for its span only; without it the name of its program.
    pub runtime: Option<String>,
}

impl Call {
    /// A call without an input and with an id that is its own.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            // Random, so that a note of another life of this program never means this run.
            exec_id: format!("x{:016x}-{number}", fastrand::u64(..)),
            input: Value::Null,
            traceparent: None,
            runtime: None,
        }
    }

    /// With this input.
    #[must_use]
    pub fn with_input(mut self, input: Value) -> Self {
        self.input = input;
        self
    }

    /// With this trace context, in the form of the W3C's `traceparent`.
    #[must_use]
    pub fn with_traceparent(mut self, context: impl Into<String>) -> Self {
        self.traceparent = Some(context.into());
        self
    }
}

impl Default for Call {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether the memory limit of a tool was in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryLimit {
    /// There is none.
    None,
    /// The kernel holds it.
    Held,
    /// There is one, and no cgroup to hold it with.
    NotHeld,
}

/// The record of one run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Run {
    /// The id of the call.
    pub exec_id: String,
    /// How it ended.
    pub ending: Ending,
    /// What it answered, also when its exit made the run an error.
    pub output: Option<Value>,
    /// What it said about its answer.
    pub metadata: Option<Value>,
    /// Bytes on stdout; none unless all of them were read.
    pub stdout_bytes: Option<u64>,
    /// What it wrote to stderr.
    pub stderr: Captured,
    /// How the program left; none when it was not started or nobody saw it leave.
    pub exit: Option<Exit>,
    /// Its pid while it ran.
    pub pid: Option<u32>,
    /// What it used.
    pub resources: Resources,
    /// Whether its memory limit was in force.
    pub memory_limit: MemoryLimit,
    /// From the call to its end.
    pub duration: Duration,
}

/// Runs tools. Cheap to clone.
///
/// ```no_run
/// use fsm_worker_process::{Call, Ending, Keeper, Runner, Tool, ToolId};
/// use tokio_util::sync::CancellationToken;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let runner = Runner::new(Keeper::this_program());
/// let print = Tool::try_new(ToolId::try_new("label-printer/print")?, ["python3", "print_label.py"])?;
/// let run = runner.run(&print, Call::new().with_input("press 7".into()), &CancellationToken::new()).await;
/// match run.ending {
///     Ending::Success => println!("printed: {:?}", run.output),
///     other => println!("{other}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Runner {
    launcher: Launcher,
    node_metrics: Option<Arc<NodeMetricsCollector>>,
}

impl Runner {
    /// Runs with this keeper, without cgroups and without notes.
    pub fn new(keeper: Keeper) -> Self {
        Self::with_launcher(Launcher::new(keeper))
    }

    pub(crate) fn with_launcher(launcher: Launcher) -> Self {
        Self { launcher, node_metrics: None }
    }

    /// Keeps notes of what runs, so that the next start can end what survived.
    #[must_use]
    pub fn with_ledger(mut self, ledger: Ledger) -> Self {
        self.launcher.ledger = Some(ledger);
        self
    }

    /// Gives each run a cgroup of its own.
    #[must_use]
    pub fn with_cgroups(mut self, cgroups: Cgroups) -> Self {
        self.launcher.cgroups = Some(cgroups);
        self
    }

    /// Records every call and every process that leaves.
    #[must_use]
    pub fn with_metrics(mut self, metrics: RunMetrics) -> Self {
        self.launcher.metrics = Some(metrics);
        self
    }

    /// Records every call in the statistics of its tool, which is known there by its id.
    #[must_use]
    pub fn with_node_metrics(mut self, collector: Arc<NodeMetricsCollector>) -> Self {
        self.node_metrics = Some(collector);
        self
    }

    /// Runs a tool once. Ends when nobody of the run lives, within timeout, grace and one second.
    ///
    /// # Cancel safety
    /// When the future is dropped, or `cancel` fires, the run is cancelled: SIGTERM, after the grace SIGKILL, for every process
    /// of it. Nobody has to wait for that.
    ///
    /// # Panics
    /// Outside of a tokio runtime with I/O and time.
    pub async fn run(&self, tool: &Tool, call: Call, cancel: &CancellationToken) -> Run {
        let open = traced::begin(tool, &call);
        let span = open.span().clone();
        let run = self.call(tool, call, cancel).instrument(span).await;
        traced::end(open, &run);
        run
    }

    async fn call(&self, tool: &Tool, call: Call, cancel: &CancellationToken) -> Run {
        let started = Instant::now();
        let counted =
            Counted::begin(self.launcher.metrics.as_ref(), self.node_metrics.as_deref(), tool, move || {
                started.elapsed()
            });
        let limits = &tool.limits;
        let mut run = Run {
            exec_id: call.exec_id.clone(),
            ending: Ending::Cancelled,
            output: None,
            metadata: None,
            stdout_bytes: None,
            stderr: Captured::keeping(limits.stderr),
            exit: None,
            pid: None,
            resources: Resources::default(),
            memory_limit: match (&limits.memory, &self.launcher.cgroups) {
                (None, _) => MemoryLimit::None,
                (Some(_), Some(cgroups)) if cgroups.limits_memory() => MemoryLimit::Held,
                (Some(_), _) => MemoryLimit::NotHeld,
            },
            duration: Duration::ZERO,
        };
        match self.attempt(tool, &call, cancel, started, &mut run).await {
            Ok(ending) | Err(ending) => run.ending = ending,
        }
        run.duration = started.elapsed();
        counted.end(&run);
        run
    }

    async fn attempt(
        &self,
        tool: &Tool,
        call: &Call,
        cancel: &CancellationToken,
        started: Instant,
        run: &mut Run,
    ) -> Result<Ending, Ending> {
        let (request, program) = prepare(tool, call).map_err(Ending::InvalidInput)?;
        let deadline = started + tool.limits.timeout;
        if cancel.is_cancelled() {
            return Err(Ending::Cancelled);
        }
        let failed = |error| Ending::SpawnFailed(chain(&error));
        let (mut kept, pipes) = self.launcher.begin(&call.exec_id, program).map_err(failed)?;
        // Not cancel-safe, and not needed afterwards unless it comes to its end.
        let ended = tokio::select! {
            started = kept.handshake() => started.map_err(failed).map(|()| None)?,
            () = cancel.cancelled() => Some(Ending::Cancelled),
            () = sleep_until(deadline) => Some(Ending::Timeout { after: tool.limits.timeout }),
        };
        if let Some(ending) = ended {
            kept.finish().await;
            return Err(ending);
        }
        run.pid = u32::try_from(kept.identity().pid).ok();
        let limit = tool.limits.stdout;
        let said = Said { bytes: Vec::new(), first_byte: None, limit, over: false, started };
        let mut talk = Talk { said, stderr: Captured::keeping(tool.limits.stderr) };
        let too_long = Notify::new();
        let conversation = converse(&mut talk, pipes, request, &too_long);
        let lived = live(&mut kept, conversation, &too_long, tool, deadline, cancel).await;
        run.exit = lived.exit;
        let Talk { said, stderr } = talk;
        run.resources = Resources { first_byte: said.first_byte, ..lived.resources };
        run.stderr = stderr;
        let whole = lived.broke.is_none() && lived.stop.is_none() && !said.over;
        run.stdout_bytes = whole.then_some(said.bytes.len() as u64);
        let verdict = judge(tool, lived, said.over, &said.bytes);
        run.output = verdict.output;
        run.metadata = verdict.metadata;
        Ok(verdict.ending)
    }
}

/// What can be refused before anything is started.
fn prepare(tool: &Tool, call: &Call) -> Result<(Vec<u8>, Program), String> {
    let good_id = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if call.exec_id.is_empty() || !call.exec_id.bytes().all(good_id) {
        return Err(format!(
            "`{}` can't be the id of a run: use letters, digits, `_`, `-` and `.`",
            call.exec_id
        ));
    }
    let request = tool.protocol.request(&Request {
        tool_id: tool.id.as_str(),
        exec_id: &call.exec_id,
        input: &call.input,
        config: &tool.config,
        env: tool.env.own().collect(),
        timeout: tool.limits.timeout,
    });
    if request.len() as u64 > tool.limits.request {
        let (size, limit) = (request.len(), tool.limits.request);
        return Err(format!(
            "the request has {size} bytes and may have {limit}; raise `limits.request` or pass a file"
        ));
    }
    let mut env = tool.env.resolve(|name| std::env::var(name).ok());
    // The span of this call, if there is one, is the child of what the caller passed on.
    if let Some(context) = fsm_metrics::trace::current_traceparent().or_else(|| call.traceparent.clone()) {
        check_value("TRACEPARENT", &context).map_err(|error| error.to_string())?;
        env.insert("TRACEPARENT".into(), context);
    }
    let program = Program {
        argv: tool.command.clone(),
        env,
        cwd: tool.cwd.clone(),
        memory: tool.limits.memory,
        grace: tool.limits.grace,
    };
    Ok((request, program))
}

/// Both sides of the conversation with a program, and what came of it.
struct Talk {
    said: Said,
    stderr: Captured,
}

/// What came on stdout.
struct Said {
    bytes: Vec<u8>,
    first_byte: Option<Duration>,
    limit: u64,
    /// It wrote more than that.
    over: bool,
    started: Instant,
}

impl Said {
    fn take(&mut self, bytes: &[u8], too_long: &Notify) {
        self.first_byte.get_or_insert_with(|| self.started.elapsed());
        let room = usize::try_from(self.limit).unwrap_or(usize::MAX) - self.bytes.len();
        if bytes.len() > room {
            self.over = true;
            too_long.notify_one();
        }
        // The rest is read and thrown away, so that the program can end.
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// Writes and reads side by side until all three pipes are closed.
async fn converse(talk: &mut Talk, pipes: Pipes, request: Vec<u8>, too_long: &Notify) -> Option<Broke> {
    let Pipes { mut stdin, stdout, stderr } = pipes;
    let Talk { said, stderr: errors } = talk;
    let write = async move {
        match stdin.write_all(&request).await {
            // It need not read what it is told.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    };
    let read = drain(stdout, |bytes| said.take(bytes, too_long));
    let (written, read, read_errors) = tokio::join!(write, read, drain(stderr, |bytes| errors.push(bytes)));
    let broke = |error: Option<std::io::Error>, which: fn(String) -> Broke| {
        error.map(|error| which(error.to_string()))
    };
    broke(written.err(), Broke::Stdin)
        .or_else(|| broke(read.err(), Broke::Stdout))
        .or_else(|| broke(read_errors.err(), Broke::Stderr))
}

/// What became known while a program lived.
#[derive(Debug, Default)]
struct Lived {
    stop: Option<Stop>,
    exit: Option<Exit>,
    broke: Option<Broke>,
    oom: bool,
    resources: Resources,
}

/// From its start until nobody of it lives.
async fn live(
    kept: &mut Kept,
    conversation: impl Future<Output = Option<Broke>>,
    too_long: &Notify,
    tool: &Tool,
    deadline: Instant,
    cancel: &CancellationToken,
) -> Lived {
    let grace = tool.limits.grace;
    let mut lived = Lived::default();
    let mut conversation = pin!(conversation);
    let mut talking = true;
    let mut force_at = None;
    loop {
        let free = lived.stop.is_none() && lived.exit.is_none();
        // All arms are cancel-safe; the conversation is kept over rounds.
        let stop = tokio::select! {
            life = kept.life() => match life {
                Life::Exited(exit) => {
                    lived.exit = Some(exit);
                    force_at.get_or_insert_with(|| Instant::now() + KILL_PATIENCE);
                    None
                }
                Life::Gone { cpu, peak_rss } => {
                    lived.resources.cpu = Some(cpu);
                    lived.resources.peak_rss = Some(peak_rss);
                    break;
                }
                Life::Lost => break,
            },
            broke = &mut conversation, if talking => {
                talking = false;
                lived.broke = broke;
                None
            }
            () = too_long.notified(), if free => Some(Stop::OutputLimit),
            () = sleep_until(deadline), if free => Some(Stop::Timeout),
            () = cancel.cancelled(), if free => Some(Stop::Cancelled),
            () = sleep_until(force_at.unwrap_or(deadline)), if force_at.is_some() => {
                kept.force();
                break;
            }
        };
        if stop.is_some() {
            lived.stop = stop;
            kept.end(grace);
            force_at = Some(Instant::now() + grace + KILL_PATIENCE);
        }
    }
    lived.oom = kept.oom_killed();
    if talking {
        // Nobody is left to write; who holds the pipe now is a stranger, and what he writes is not the answer.
        lived.broke = tokio::time::timeout(DRAIN, conversation).await.unwrap_or_default();
    }
    lived
}

/// An error with its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
