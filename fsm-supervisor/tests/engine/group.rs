//! `group`: a worker that observes nothing but its children, which its config lists.

use std::hash::{BuildHasher, Hash};

use fsm_core::{
    ActionContext, ActionError, ChildName, ChildSpec, ChildrenSpecs, CollectContext, CollectError, Config,
    Decision, Dependency, DeriveContext, DeriveError, DesiredState, NameHasher, NoAction, Phase, Policy,
    PolicyOverride, Snapshot, Sort, StartWhen, State, StopSnapshot, UserSpec, Vars, Worker, go, stay,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::world;

/// A parent.
pub(crate) struct Group;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct GroupConfig {
    pub(crate) children: Vec<Decl>,
    /// It stays in Starting: for `start_when`.
    pub(crate) hold: bool,
    pub(crate) stopped: bool,
}

impl Config for GroupConfig {}

/// One declared child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decl {
    pub(crate) name: ChildName,
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) config: Value,
    #[serde(default)]
    pub(crate) variables: Vars,
    #[serde(default = "yes")]
    pub(crate) enabled: bool,
    #[serde(default)]
    pub(crate) start_when: StartWhen,
    #[serde(default)]
    pub(crate) depends_on: Vec<Dependency>,
    #[serde(default)]
    pub(crate) policy: PolicyOverride,
    /// The parent can't make it.
    #[serde(default)]
    pub(crate) fault: Option<String>,
}

const fn yes() -> bool {
    true
}

impl Decl {
    pub(crate) fn new(name: &str, kind: &str) -> Self {
        Self {
            name: ChildName::try_new(name).unwrap(),
            kind: kind.into(),
            config: Value::Null,
            variables: Vars::new(),
            enabled: true,
            start_when: StartWhen::Always,
            depends_on: Vec::new(),
            policy: PolicyOverride::default(),
            fault: None,
        }
    }
    pub(crate) fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }
    pub(crate) fn variable(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }
    pub(crate) fn disabled(mut self) -> Self {
        self.enabled = false;
        self
    }
    pub(crate) fn depends(mut self, dependency: Dependency) -> Self {
        self.depends_on.push(dependency);
        self
    }
    pub(crate) fn on(self, sibling: &str) -> Self {
        let dependency = Dependency::on(ChildName::try_new(sibling).unwrap());
        self.depends(dependency)
    }
    pub(crate) fn start_when(mut self, when: StartWhen) -> Self {
        self.start_when = when;
        self
    }
    pub(crate) fn policy(mut self, change: impl FnOnce(&mut PolicyOverride)) -> Self {
        change(&mut self.policy);
        self
    }

    /// The spec that its parent makes of it.
    pub(crate) fn spec(&self) -> ChildSpec {
        if let Some(fault) = &self.fault {
            let error = DeriveError::config(fault.as_str()).at("template");
            return ChildSpec::invalid(self.name.clone(), self.kind.clone(), error);
        }
        let mut spec = ChildSpec::new(self.name.clone(), self.kind.clone())
            .with_config(self.config.clone())
            .with_enabled(self.enabled);
        if !self.variables.is_empty() {
            spec = spec.with_variables(self.variables.clone());
        }
        if self.start_when != StartWhen::Always {
            spec = spec.with_start_when(self.start_when.clone());
        }
        for dependency in &self.depends_on {
            spec = spec.with_dependency(dependency.clone());
        }
        if self.policy != PolicyOverride::default() {
            spec = spec.with_policy(self.policy.clone());
        }
        spec
    }

    /// What tells one declaration from another, as real parents have it of their templates.
    fn fingerprint(&self) -> u64 {
        let mut hasher = NameHasher::default().build_hasher();
        serde_json::to_string(self).unwrap().hash(&mut hasher);
        std::hash::Hasher::finish(&hasher) | 1
    }
}

/// A `unit` with this name.
pub(crate) fn unit(name: &str) -> Decl {
    Decl::new(name, "unit")
}

/// A `group` of these.
pub(crate) fn group(name: &str, children: Vec<Decl>) -> Decl {
    group_with(name, GroupConfig { children, ..Default::default() })
}

/// A `group` with this config.
pub(crate) fn group_with(name: &str, config: GroupConfig) -> Decl {
    Decl::new(name, "group").config(serde_json::to_value(config).unwrap())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum GroupState {
    #[default]
    Stopped,
    Starting,
    Running,
    Degraded,
    Stopping,
}

impl Worker for Group {
    const KIND: &'static str = "group";
    const POLICY: Policy = Policy::DEFAULT.without_observation();
    type Config = GroupConfig;
    type Observed = ();
    type State = GroupState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<GroupConfig>,
        cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<GroupConfig>, DeriveError> {
        let path = &cx.internal().path;
        world::saw_variables(path, cx.variables());
        world::asked(path, "derive");
        if let Some(what) = world::thing(path, |thing| thing.derive_fails) {
            return Err(DeriveError::config(what).at("template"));
        }
        let mut specs = ChildrenSpecs::new();
        for child in &spec.config.children {
            let fingerprint = child.fingerprint();
            let before = cx.previous().and_then(|previous| previous.get(child.name.as_str()));
            let made = match before.filter(|before| before.fingerprint == fingerprint) {
                Some(before) => before.clone(),
                None => child.spec().with_fingerprint(fingerprint).into(),
            };
            specs.try_add(made).map_err(|error| DeriveError::config(error.to_string()).at("children"))?;
        }
        let desired =
            if spec.config.stopped { DesiredState::stopped(spec) } else { DesiredState::running(spec) };
        Ok(desired.with_children(specs))
    }

    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<(), CollectError> {
        unreachable!("a group observes nothing")
    }

    async fn execute(&self, action: NoAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {}
    }
}

impl State<Group> for GroupState {
    const ALL: &'static [Self] =
        &[Self::Stopped, Self::Starting, Self::Running, Self::Degraded, Self::Stopping];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Starting => "Starting",
            Self::Running => "Running",
            Self::Degraded => "Degraded",
            Self::Stopping => "Stopping",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::Starting => Phase::Starting,
            Self::Running => Phase::Running,
            Self::Degraded => Phase::Degraded,
            Self::Stopping => Phase::Stopping,
        }
    }

    fn sort(self) -> Sort {
        Sort::Passive
    }

    fn next(self, s: &Snapshot<'_, Group>) -> Decision<Group> {
        let path = s.whoami().path();
        let children = s.children();
        // One by one, and each by its name.
        let phase = |name: &str| children.get(name).map_or("nobody".to_owned(), |c| c.phase.to_string());
        let view =
            children.iter().map(|c| format!("{}={}", c.name, phase(c.name))).collect::<Vec<_>>().join(" ");
        world::saw_children(path.as_str(), view);
        world::asked(path.as_str(), "next");
        match self {
            Self::Stopped => go(Self::Starting, "it should run"),
            Self::Starting if s.config().hold => stay("held by its config"),
            Self::Starting | Self::Degraded | Self::Stopping if children.all_healthy() => {
                go(Self::Running, "all children are well")
            }
            Self::Starting => stay(("{} of {} children are well", children.healthy(), children.len())),
            Self::Running if !children.all_healthy() => {
                go(Self::Degraded, ("{} of {} children are well", children.healthy(), children.len()))
            }
            Self::Running => stay("all children are well"),
            Self::Degraded => stay(("only {} of {} are well", children.healthy(), children.len())),
            Self::Stopping => go(Self::Starting, "it should run again"),
        }
    }

    fn stop(self, s: &StopSnapshot<'_, Group>) -> Decision<Group> {
        let path = s.whoami().path();
        world::asked(path.as_str(), "stop");
        match self {
            Self::Stopped => stay("it rests"),
            Self::Starting | Self::Running | Self::Degraded => go(Self::Stopping, "it was told to stop"),
            Self::Stopping => {
                world::did(path.as_str(), "stopped");
                go(Self::Stopped, "nothing is left to do")
            }
        }
    }
}
