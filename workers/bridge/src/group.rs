//! `group`: workers under one name, to stop, start and look at together.

use std::sync::Arc;

use fsm_core::{
    ActionContext, ActionError, ChildSpec, ChildrenSpecs, CollectContext, CollectError, Config,
    DeriveContext, DeriveError, DesiredState, NoAction, Policy, StartWhen, UserSpec, Worker,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entry::{GROUP, WorkerEntry, finish, with_variables};
use crate::hashed::{Fingerprint, Hashed};
use crate::rollup::RollupState;

/// The members of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GroupConfig {
    /// The members, in the order in which they are created.
    pub children: Vec<Hashed<WorkerEntry>>,
}

impl Config for GroupConfig {}

/// The kind `group`.
#[derive(Debug, Default)]
pub struct Group;

impl Worker for Group {
    const KIND: &'static str = GROUP;
    const POLICY: Policy = Policy::DEFAULT.without_observation();
    type Config = GroupConfig;
    type Observed = ();
    type State = RollupState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<GroupConfig>,
        cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<GroupConfig>, DeriveError> {
        let mut children = ChildrenSpecs::with_capacity(spec.config.children.len());
        for (at, entry) in spec.config.children.iter().enumerate() {
            let made_from = fingerprint(entry).get();
            let kept = cx.previous().and_then(|specs| specs.get(entry.name.as_str()));
            let kept = kept.filter(|old| old.fingerprint == made_from).cloned();
            let spec = kept.unwrap_or_else(|| Arc::new(member(entry).with_fingerprint(made_from)));
            children
                .try_add(spec)
                .map_err(|error| DeriveError::config(error.to_string()).at(format!("children[{at}].name")))?;
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

/// What the spec of an entry is made from.
pub(crate) fn fingerprint(entry: &Hashed<WorkerEntry>) -> Fingerprint {
    Fingerprint::of("worker").with(entry.hash())
}

/// The spec of an entry of `workers:` or of a group.
pub(crate) fn member(entry: &WorkerEntry) -> ChildSpec {
    let spec = if entry.kind != GROUP {
        if entry.children.is_empty() {
            ChildSpec::new(entry.name.clone(), entry.kind.clone()).with_config(entry.config.clone())
        } else {
            let what = format!(
                "`children` belong to a group, and this is a `{}`: leave `kind` out and put the worker among the children",
                entry.kind
            );
            ChildSpec::invalid(
                entry.name.clone(),
                entry.kind.clone(),
                DeriveError::config(what).at("children"),
            )
        }
    } else if entry.config.is_null() {
        let config = GroupConfig { children: entry.children.clone() };
        ChildSpec::new(entry.name.clone(), GROUP).with_typed_config(config)
    } else {
        let what = "a group has no config: give it `children`, or name the `kind` that the config is for";
        ChildSpec::invalid(entry.name.clone(), GROUP, DeriveError::config(what).at("config"))
    };
    let spec = finish(spec, entry.enabled, &entry.depends_on, &entry.policy);
    let is_always = entry.start_when == StartWhen::Always;
    let spec = if is_always { spec } else { spec.with_start_when(entry.start_when.clone()) };
    with_variables(spec, &entry.variables)
}
