//! The I/O half of `process`: starts a program, looks at it, ends it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, DeriveContext,
    DeriveError, DesiredState, Policy, RequestError, RetryPolicy, UserSpec, Worker,
};
use fsm_metrics::{NodeMetricsCollector, RunMetrics};

use super::check::Target;
use super::config::{ProcessConfig, Ready};
use super::observed::ProcessObserved;
use super::state::ProcessState;
use super::tend::{LastWord, Stage, Tended, tend};
use super::usage::usage;
use crate::cgroup::Cgroups;
use crate::launch::{Keeper, Launcher, Program};
use crate::ledger::Ledger;
use crate::run::Runner;
use crate::settings;

/// The longest that a handshake may take, and stopping a predecessor of the usual grace before it.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// A longer grace outlives the action; the next one goes on waiting for the same end.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Checks that may fail in a row: one is a busy moment, two are bad luck.
const FAILURES: u32 = 3;

/// The kind `process`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Process {
    launcher: Launcher,
    node_metrics: Option<Arc<NodeMetricsCollector>>,
}

impl Process {
    /// Starts programs with this keeper, without cgroups and without notes.
    pub fn new(keeper: Keeper) -> Self {
        Self { launcher: Launcher::new(keeper), node_metrics: None }
    }

    /// Keeps notes of what runs, so that the next start can end what survived.
    #[must_use]
    pub fn with_ledger(mut self, ledger: Ledger) -> Self {
        self.launcher.ledger = Some(ledger);
        self
    }

    /// Gives each process a cgroup of its own.
    #[must_use]
    pub fn with_cgroups(mut self, cgroups: Cgroups) -> Self {
        self.launcher.cgroups = Some(cgroups);
        self
    }

    /// Records how processes leave, and what [`runner`](Self::runner) runs.
    #[must_use]
    pub fn with_metrics(mut self, metrics: RunMetrics) -> Self {
        self.launcher.metrics = Some(metrics);
        self
    }

    /// Records what [`runner`](Self::runner) runs in the statistics of its tools.
    #[must_use]
    pub fn with_node_metrics(mut self, collector: Arc<NodeMetricsCollector>) -> Self {
        self.node_metrics = Some(collector);
        self
    }
}

impl Process {
    /// A runner of tools with the same keeper, notes, cgroups and metrics.
    pub fn runner(&self) -> Runner {
        let runner = Runner::with_launcher(self.launcher.clone());
        match &self.node_metrics {
            Some(collector) => runner.with_node_metrics(Arc::clone(collector)),
            None => runner,
        }
    }
}

/// What one incarnation owns: its last start.
#[derive(Debug, Default)]
pub struct ProcessLife {
    last: Mutex<Option<Arc<Tended>>>,
}

impl ProcessLife {
    fn last(&self) -> Option<Arc<Tended>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, tended: Option<Arc<Tended>>) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = tended;
    }
}

/// What can be done to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessAction {
    /// Starts it, unless it runs as the config says; another one is stopped before.
    Start,
    /// Ends it, politely first, and forgets how it ended.
    Stop,
    /// Kills it at once.
    Kill,
}

impl Action for ProcessAction {
    const NAMES: &'static [&'static str] = &["start", "stop", "kill"];

    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Kill => "kill",
        }
    }

    fn from_request(name: &str, _input: serde_json::Value) -> Result<Self, RequestError> {
        match name {
            "start" => Ok(Self::Start),
            "stop" => Ok(Self::Stop),
            "kill" => Ok(Self::Kill),
            other => Err(RequestError::Unknown { name: other.into(), known: Self::NAMES }),
        }
    }
}

impl Worker for Process {
    const KIND: &'static str = "process";
    // What does not start is tried again with the engine's back-off, so that its reason is seen at once.
    const POLICY: Policy = Policy::DEFAULT.with_actions(&[
        ActionPolicy::new("start", START_TIMEOUT).with_retry(RetryPolicy::NEVER),
        ActionPolicy::new("stop", STOP_TIMEOUT).with_retry(RetryPolicy::NEVER),
        ActionPolicy::new("kill", STOP_TIMEOUT).with_retry(RetryPolicy::NEVER),
    ]);
    type Config = ProcessConfig;
    type Observed = ProcessObserved;
    type State = ProcessState;
    type Action = ProcessAction;
    type Handle = ProcessLife;

    fn derive_desired_state(
        spec: &UserSpec<ProcessConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<ProcessConfig>, DeriveError> {
        spec.config.check()?;
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<ProcessObserved, CollectError> {
        let Some(last) = cx.handle().last() else { return Ok(ProcessObserved::default()) };
        let mut seen = ProcessObserved {
            log: last.log(),
            deployed: Some(Arc::clone(&last.config)),
            ..ProcessObserved::default()
        };
        match last.stage() {
            Stage::Starting => seen.alive = true,
            // Nothing ever ran: as before its start.
            Stage::Failed(_) => seen.deployed = None,
            Stage::Ended(exit) => (seen.ended, seen.exit) = (true, exit),
            Stage::Alive(identity) => {
                seen.alive = true;
                seen.pid = u32::try_from(identity.pid).ok();
                seen.usage = usage(identity, last.cgroup_memory());
                let (ready, unwell) = tokio::join!(is_ready(&last), is_unwell(&last));
                (seen.ready, seen.unwell) = (ready, unwell);
            }
        }
        Ok(seen)
    }

    async fn execute(&self, action: ProcessAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        let last = cx.handle().last();
        match (action, last) {
            (ProcessAction::Start, last) => self.start(&cx, last).await?,
            (ProcessAction::Stop, Some(last)) => {
                last.end(last.config.grace.get()).await;
                cx.handle().set(None);
            }
            (ProcessAction::Kill, Some(last)) => last.end(Duration::ZERO).await,
            (ProcessAction::Stop | ProcessAction::Kill, None) => {}
        }
        Ok(())
    }
}

impl Process {
    /// Idempotent: one that runs with this config is left alone, one that is being started is waited for.
    async fn start(
        &self,
        cx: &ActionContext<'_, Self>,
        last: Option<Arc<Tended>>,
    ) -> Result<(), ActionError> {
        let config = cx.config();
        if let Some(last) = last {
            match last.stage() {
                Stage::Starting | Stage::Alive(_) if last.config == *config => {
                    return outcome(last.started().await);
                }
                Stage::Starting | Stage::Alive(_) => last.end(last.config.grace.get()).await,
                Stage::Failed(_) | Stage::Ended(_) => {}
            }
        }
        let program = program(config)?;
        let tended = Arc::new(Tended::new(Arc::clone(config)));
        // No await between these: what is started has an owner.
        cx.handle().set(Some(Arc::clone(&tended)));
        let name: Arc<str> = cx.identity().path.to_string().into();
        // So that a crash is known at once, and not at the next look.
        let (pusher, left) = (cx.pusher(), Arc::clone(&tended));
        let last_word = LastWord::about(&tended, move |exit| {
            pusher.push(ProcessObserved {
                ended: true,
                exit,
                log: left.log(),
                deployed: Some(Arc::clone(&left.config)),
                ..ProcessObserved::default()
            });
        });
        cx.spawn("process", tend(self.launcher.clone(), name, program, last_word));
        outcome(tended.started().await)
    }
}

fn outcome(stage: Stage) -> Result<(), ActionError> {
    match stage {
        Stage::Failed(why) => Err(ActionError::transient(String::from(&*why))),
        // One that has left by now was started all the same; the observation tells what became of it.
        Stage::Starting | Stage::Alive(_) | Stage::Ended(_) => Ok(()),
    }
}

fn program(config: &ProcessConfig) -> Result<Program, ActionError> {
    let env = settings::environment(&config.allow_env, &config.env)?;
    Ok(Program {
        argv: config.command.clone(),
        env: env.resolve(|name| std::env::var(name).ok()),
        cwd: config.cwd.clone(),
        memory: config.memory,
        grace: config.grace.get(),
    })
}

async fn is_ready(last: &Tended) -> bool {
    match &last.config.ready {
        Ready::None => true,
        Ready::Exit => false,
        Ready::Log(_) => last.said_ready(),
        Ready::Tcp(_) | Ready::Http(_) if last.has_answered() => true,
        ready @ (Ready::Tcp(_) | Ready::Http(_)) => {
            let well = match Target::of_ready(ready) {
                Some(Ok(target)) => target.ask().await.is_ok(),
                Some(Err(_)) | None => false,
            };
            if well {
                last.answered();
            }
            well
        }
    }
}

async fn is_unwell(last: &Tended) -> Option<Arc<str>> {
    let target = Target::of_live(last.config.live.as_ref()?).ok()?;
    let answer = target.ask().await;
    let failures = last.note(answer.is_ok());
    answer.err().filter(|_| failures >= FAILURES).map(Arc::from)
}
