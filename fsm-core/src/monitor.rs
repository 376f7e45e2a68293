//! A polling monitor from two closures: for everything that is only watched.

use std::future::Future;
use std::time::Duration;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{
    ActionContext, ActionError, CollectContext, CollectError, Config, Decision, DeriveContext, DeriveError,
    DesiredState, NoAction, Observed, Phase, Policy, RegisterError, Registry, Snapshot, Sort, State,
    StopSnapshot, UserSpec, Worker, go, stay,
};

/// What a judge says of an observation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// As it should be.
    Healthy,
    /// Not as it should be, and why.
    Degraded(String),
}

/// A kind that polls and judges; see [`monitor`].
pub struct Monitor<P, J> {
    name: &'static str,
    interval: Duration,
    poll: P,
    judge: J,
}

/// A polling monitor: `poll` looks, `judge` says whether what it saw is healthy.
///
/// ```
/// use fsm_core::{monitor, CollectError, Registry, Verdict};
/// use std::time::Duration;
/// let disk = monitor("disk", Duration::from_secs(5), || async { Ok::<u64, CollectError>(42) }, |free| {
///     if *free > 10 { Verdict::Healthy } else { Verdict::Degraded(format!("only {free} GiB free")) }
/// });
/// let mut registry = Registry::new();
/// disk.register(&mut registry).unwrap();
/// assert!(registry.get("disk").is_some());
/// ```
pub const fn monitor<P, J, F, O>(name: &'static str, interval: Duration, poll: P, judge: J) -> Monitor<P, J>
where
    P: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<O, CollectError>> + Send + 'static,
    J: Fn(&O) -> Verdict + Send + Sync + 'static,
{
    Monitor { name, interval, poll, judge }
}

impl<P, J> Monitor<P, J> {
    /// Registers the monitor as a kind under its name.
    ///
    /// # Errors
    /// [`RegisterError`] when the name is taken or the interval is out of bounds.
    pub fn register<O, F>(self, registry: &mut Registry) -> Result<&mut Registry, RegisterError>
    where
        P: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<O, CollectError>> + Send + 'static,
        J: Fn(&O) -> Verdict + Send + Sync + 'static,
        O: std::fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
    {
        let policy = Policy::DEFAULT.poll_every(self.interval);
        registry.register_as(
            self.name,
            policy,
            Judged { poll: self.poll, judge: self.judge, seen: Default::default() },
        )
    }
}

/// The worker behind a monitor.
struct Judged<P, J, F> {
    poll: P,
    judge: J,
    seen: std::marker::PhantomData<fn() -> F>,
}

/// What a monitor saw, and what its judge said.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Judgement<O> {
    value: O,
    verdict: Verdict,
}

impl<O, C> Observed<C> for Judgement<O>
where
    O: std::fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    fn same_for_decisions(&self, old: &Self) -> bool {
        self.verdict == old.verdict
    }
}

/// A monitor has no config.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MonitorConfig {}

impl Config for MonitorConfig {}

/// The states of a monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum MonitorState {
    /// Not watching; waits for the goal to run.
    #[default]
    Stopped,
    /// The judge is content.
    Running,
    /// The judge is not content.
    Degraded,
}

impl<P, J, F, O> Worker for Judged<P, J, F>
where
    P: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<O, CollectError>> + Send + 'static,
    J: Fn(&O) -> Verdict + Send + Sync + 'static,
    O: std::fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    const KIND: &'static str = "monitor";
    const POLICY: Policy = Policy::DEFAULT;
    type Config = MonitorConfig;
    type Observed = Judgement<O>;
    type State = MonitorState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<MonitorConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<MonitorConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(
        &self,
        _cx: CollectContext<'_, Self>,
    ) -> Result<Judgement<O>, CollectError> {
        let value = (self.poll)().await?;
        let verdict = (self.judge)(&value);
        Ok(Judgement { value, verdict })
    }

    async fn execute(&self, action: NoAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {}
    }
}

impl<P, J, F, O> State<Judged<P, J, F>> for MonitorState
where
    P: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<O, CollectError>> + Send + 'static,
    J: Fn(&O) -> Verdict + Send + Sync + 'static,
    O: std::fmt::Debug + PartialEq + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    const ALL: &'static [Self] = &[Self::Stopped, Self::Running, Self::Degraded];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Running => "Running",
            Self::Degraded => "Degraded",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::Running => Phase::Running,
            Self::Degraded => Phase::Degraded,
        }
    }

    fn sort(self) -> Sort {
        Sort::Passive
    }

    fn next(self, s: &Snapshot<'_, Judged<P, J, F>>) -> Decision<Judged<P, J, F>> {
        match (self, &s.observed().verdict) {
            (Self::Running, Verdict::Healthy) => stay("healthy"),
            (Self::Stopped | Self::Degraded, Verdict::Healthy) => go(Self::Running, "healthy"),
            (Self::Degraded, Verdict::Degraded(why)) => stay(("{}", why.as_str().into_arc())),
            (Self::Stopped | Self::Running, Verdict::Degraded(why)) => {
                go(Self::Degraded, ("{}", why.as_str().into_arc()))
            }
        }
    }

    fn stop(self, _s: &StopSnapshot<'_, Judged<P, J, F>>) -> Decision<Judged<P, J, F>> {
        match self {
            Self::Stopped => stay("stopped"),
            Self::Running | Self::Degraded => go(Self::Stopped, "told to stop"),
        }
    }
}

/// A judge's words as a reason's argument.
trait IntoArc {
    fn into_arc(self) -> std::sync::Arc<str>;
}

impl IntoArc for &str {
    fn into_arc(self) -> std::sync::Arc<str> {
        self.into()
    }
}
