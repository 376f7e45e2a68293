//! The derive of `parent`: one child spec per entry of its config, in declared order.

use fsm_core::{
    ActionContext, ActionError, ChildSpec, ChildrenSpecs, CollectContext, CollectError, DeriveContext,
    DeriveError, DesiredState, NoAction, Policy, PolicyOverride, StartWhen, State, UserSpec, Worker,
};

use super::{ParentChild, ParentConfig, ParentState};

/// The kind `parent`.
#[derive(Debug, Default)]
pub struct Parent;

impl Worker for Parent {
    const KIND: &'static str = "parent";
    const POLICY: Policy = Policy::DEFAULT.without_observation();
    type Config = ParentConfig;
    type Observed = ();
    type State = ParentState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<ParentConfig>,
        cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<ParentConfig>, DeriveError> {
        let mut children = ChildrenSpecs::with_capacity(spec.config.children.len());
        for (at, child) in spec.config.children.iter().enumerate() {
            let new = child_spec(child);
            // An unchanged child keeps its `Arc`: the engine sees by pointer that there is nothing to do.
            let kept =
                cx.previous().and_then(|specs| specs.get(child.name.as_str())).filter(|old| ***old == new);
            let added = match kept {
                Some(old) => children.try_add(std::sync::Arc::clone(old)),
                None => children.try_add(new),
            };
            added.map_err(|error| {
                DeriveError::config("this child can't be added")
                    .at(format!("children[{at}].name"))
                    .with_source(error)
            })?;
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

fn child_spec(child: &ParentChild) -> ChildSpec {
    let states = ParentState::CHILDREN_RUN.map(|state| state.name().to_owned());
    let mut spec = ChildSpec::new(child.name.clone(), child.kind.clone())
        .with_config(child.config.clone())
        .with_enabled(child.enabled)
        .with_start_when(StartWhen::States(states.into()));
    if !child.variables.is_empty() {
        spec = spec.with_variables(child.variables.clone());
    }
    if child.policy != PolicyOverride::default() {
        spec = spec.with_policy(child.policy.clone());
    }
    for dependency in &child.depends_on {
        spec = spec.with_dependency(dependency.clone());
    }
    spec
}
