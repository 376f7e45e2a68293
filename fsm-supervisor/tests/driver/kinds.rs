//! A kind that does on demand what workers shouldn't do, and a parent for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, ActionPolicy, ChildSpec, ChildrenSpecs, CollectContext, CollectError,
    Config, Decision, DeriveContext, DeriveError, DesiredState, Infrastructure, NoAction, NodePath, Observed,
    Phase, Policy, RequestError, RetryPolicy, Snapshot, Sort, State, StopSnapshot, UserSpec, Worker, act, go,
    stay,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

/// What the test says to all rogues.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) panic_in_next: AtomicBool,
    pub(crate) hang_in_collect: AtomicBool,
    pub(crate) hang_in_start: AtomicBool,
    /// Collectors that hang at present.
    pub(crate) hanging: AtomicU32,
    pub(crate) started: AtomicU32,
    pub(crate) cleaned_up: AtomicBool,
    pub(crate) panic_in_task: AtomicBool,
}

/// Counts down when it is dropped.
struct Dropped<'a>(&'a AtomicU32);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Misbehaves when its config names a sin and the script says so.
pub(crate) struct Rogue(pub(crate) Arc<Script>);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RogueConfig {
    pub(crate) sin: Option<Sin>,
    /// Another node whose observation it repeats.
    pub(crate) watches: Option<String>,
    /// `host:port` of the peer that it can't do without.
    pub(crate) needs: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sin {
    PanicInNext,
    HangInCollect,
    HangInStart,
    PanicInTask,
}

impl Config for RogueConfig {}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct RogueObserved {
    pub(crate) up: bool,
    pub(crate) looks: u32,
    pub(crate) seen_of_other: Option<bool>,
    pub(crate) task_panics: Vec<String>,
}

impl Observed<RogueConfig> for RogueObserved {
    fn same_for_decisions(&self, old: &Self) -> bool {
        self.up == old.up && self.task_panics == old.task_panics
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum RogueState {
    #[default]
    Stopped,
    TryingToStart,
    Running,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start;

impl Action for Start {
    const NAMES: &'static [&'static str] = &["start"];
    fn name(&self) -> &'static str {
        "start"
    }
    fn from_request(name: &str, input: serde_json::Value) -> Result<Self, RequestError> {
        match name {
            "start" => serde_json::from_value::<()>(input)
                .map(|()| Self)
                .map_err(|source| RequestError::Input { name: name.into(), source }),
            other => Err(RequestError::Unknown { name: other.into(), known: Self::NAMES }),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct RogueHandle {
    up: AtomicBool,
    looks: AtomicU32,
}

impl Worker for Rogue {
    const KIND: &'static str = "rogue";
    const POLICY: Policy =
        Policy::DEFAULT.with_stop_timeout(Duration::from_secs(10)).with_actions(&[ActionPolicy::new(
            "start",
            Duration::from_secs(3_600),
        )
        .with_retry(RetryPolicy::NEVER)]);
    type Config = RogueConfig;
    type Observed = RogueObserved;
    type State = RogueState;
    type Action = Start;
    type Handle = RogueHandle;

    fn derive_desired_state(
        spec: &UserSpec<RogueConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<RogueConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    fn infrastructure(config: &RogueConfig) -> Option<Infrastructure> {
        config.needs.as_deref().map(|needs| Infrastructure::tcp(needs, needs))
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<RogueObserved, CollectError> {
        if let Some(peer) = &cx.config().needs {
            TcpStream::connect(peer)
                .await
                .map_err(|error| CollectError::new("the peer is down").with_source(error))?;
        }
        if cx.config().sin == Some(Sin::HangInCollect) && self.0.hang_in_collect.load(Ordering::SeqCst) {
            self.0.hanging.fetch_add(1, Ordering::SeqCst);
            let _dropped = Dropped(&self.0.hanging);
            std::future::pending::<()>().await;
        }
        // Purity in `next` is not broken by this: the observation says whether to panic.
        let sin = cx.config().sin == Some(Sin::PanicInNext) && self.0.panic_in_next.load(Ordering::SeqCst);
        let other = match &cx.config().watches {
            Some(path) => {
                cx.observed::<Self>(&NodePath::try_new(path).unwrap()).await.map(|seen| seen.value.up)
            }
            None => None,
        };
        let looks = cx.handle().looks.fetch_add(1, Ordering::SeqCst) + 1;
        let task_panics =
            cx.task_panics().into_iter().map(|(task, text)| format!("{task}: {text}")).collect();
        let up = cx.handle().up.load(Ordering::SeqCst);
        Ok(RogueObserved { up, looks: if sin { u32::MAX } else { looks }, seen_of_other: other, task_panics })
    }

    async fn execute(&self, _action: Start, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        self.0.started.fetch_add(1, Ordering::SeqCst);
        if cx.config().sin == Some(Sin::HangInStart) && self.0.hang_in_start.load(Ordering::SeqCst) {
            let script = Arc::clone(&self.0);
            cx.on_cancel(async move { script.cleaned_up.store(true, Ordering::SeqCst) });
            std::future::pending::<()>().await;
        }
        if cx.config().sin == Some(Sin::PanicInTask) && self.0.panic_in_task.load(Ordering::SeqCst) {
            cx.spawn("doomed", async { panic!("as the script says") });
        }
        cx.spawn("resident", std::future::pending());
        cx.handle().up.store(true, Ordering::SeqCst);
        Ok(())
    }
}

impl State<Rogue> for RogueState {
    const ALL: &'static [Self] = &[Self::Stopped, Self::TryingToStart, Self::Running];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::TryingToStart => "TryingToStart",
            Self::Running => "Running",
        }
    }
    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::TryingToStart => Phase::Starting,
            Self::Running => Phase::Running,
        }
    }
    fn sort(self) -> Sort {
        match self {
            Self::TryingToStart => Sort::Trying,
            Self::Stopped | Self::Running => Sort::Passive,
        }
    }
    fn next(self, s: &Snapshot<'_, Rogue>) -> Decision<Rogue> {
        assert!(s.observed().looks != u32::MAX, "the script says so");
        match self {
            Self::Stopped => go(Self::TryingToStart, "asked to run"),
            Self::TryingToStart if s.observed().up => go(Self::Running, "it is up"),
            Self::TryingToStart => act(Start, "it is not up"),
            Self::Running if s.observed().up => stay("up"),
            Self::Running => go(Self::TryingToStart, "it went down"),
        }
    }
    fn stop(self, _s: &StopSnapshot<'_, Rogue>) -> Decision<Rogue> {
        match self {
            Self::Stopped => stay("stopped"),
            Self::TryingToStart | Self::Running => go(Self::Stopped, "told to stop"),
        }
    }
}

/// Has the children that its config names.
pub(crate) struct Family;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct FamilyConfig {
    pub(crate) children: indexmap::IndexMap<String, RogueConfig>,
}

impl Config for FamilyConfig {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum FamilyState {
    #[default]
    Stopped,
    Running,
    Degraded,
}

impl Worker for Family {
    const KIND: &'static str = "family";
    const POLICY: Policy = Policy::DEFAULT.without_observation();
    type Config = FamilyConfig;
    type Observed = ();
    type State = FamilyState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<FamilyConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<FamilyConfig>, DeriveError> {
        let mut children = ChildrenSpecs::new();
        for (name, config) in &spec.config.children {
            let child = ChildSpec::try_new(name, "rogue").map_err(|e| DeriveError::config(e.to_string()))?;
            children
                .try_add(child.with_typed_config(config.clone()))
                .map_err(|e| DeriveError::config(e.to_string()))?;
        }
        Ok(DesiredState::running(spec).with_children(children))
    }

    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<(), CollectError> {
        Ok(())
    }

    async fn execute(&self, action: NoAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {}
    }
}

impl State<Family> for FamilyState {
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
    fn next(self, s: &Snapshot<'_, Family>) -> Decision<Family> {
        let (wanted, reason) = match s.children().all_healthy() {
            true => (Self::Running, "all children are healthy"),
            false => (Self::Degraded, "not all children are healthy"),
        };
        if self == wanted { stay(reason) } else { go(wanted, reason) }
    }
    fn stop(self, _s: &StopSnapshot<'_, Family>) -> Decision<Family> {
        match self {
            Self::Stopped => stay("stopped"),
            Self::Running | Self::Degraded => go(Self::Stopped, "told to stop"),
        }
    }
}
