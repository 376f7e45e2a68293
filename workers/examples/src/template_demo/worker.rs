//! The derive of `template_demo`: renders the template once per flow. A flow that can't be rendered is its own fault.

use std::sync::Arc;

use fsm_core::{
    ActionContext, ActionError, ChildName, ChildSpec, ChildrenSpecs, CollectContext, CollectError,
    DeriveContext, DeriveError, DeriveErrorKind, DesiredState, NoAction, Policy, UserSpec, Vars, Worker,
};
use fsm_templating::{Diagnostics, Location, RenderContext, Rendered};

use super::{TemplateDemoConfig, TemplateDemoState};

/// The kind `template_demo`.
#[derive(Debug, Default)]
pub struct TemplateDemo;

impl Worker for TemplateDemo {
    const KIND: &'static str = "template_demo";
    const POLICY: Policy = Policy::DEFAULT.without_observation();
    type Config = TemplateDemoConfig;
    type Observed = ();
    type State = TemplateDemoState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<TemplateDemoConfig>,
        cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<TemplateDemoConfig>, DeriveError> {
        let config = &*spec.config;
        let children = if config.flows.is_empty() {
            // One child of one template.
            let name = ChildName::try_new("flow").expect("a fixed good name");
            ChildrenSpecs::try_from_iter([child(config, name, &Vars::new(), cx)])
        } else {
            // As many as the config says.
            let children =
                config.flows.iter().map(|flow| child(config, flow.name.clone(), &flow.variables, cx));
            ChildrenSpecs::try_from_iter(children)
        };
        let children = children.map_err(|error| DeriveError::config(error.to_string()).at("flows"))?;
        Ok(DesiredState::running(spec).with_children(keep_unchanged(children, cx.previous())))
    }

    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<(), CollectError> {
        Ok(())
    }

    async fn execute(&self, action: NoAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {}
    }
}

fn child(config: &TemplateDemoConfig, name: ChildName, own: &Vars, cx: &DeriveContext<'_>) -> ChildSpec {
    // The child's variables over the parent's, as the child itself will see them.
    let (variables, location) = (cx.variables().child(own), Location::default());
    let scope = RenderContext::new(&variables, &location, name.as_str()).with_subject(name.as_str());
    match cx.render(|| config.template.render(&scope), |_| DeriveErrorKind::Other) {
        Ok(Rendered { value, key, .. }) => {
            let spec = ChildSpec::new(name, config.kind.clone()).with_config(value);
            // While what the render used is the same, so is its result (T-1).
            let spec = spec.with_fingerprint(key.fingerprint());
            if own.is_empty() { spec } else { spec.with_variables(own.clone()) }
        }
        Err(found) => ChildSpec::invalid(name, config.kind.clone(), error_of(&found)),
    }
}

fn error_of(found: &Diagnostics) -> DeriveError {
    let all: Vec<String> = found.iter().map(ToString::to_string).collect();
    DeriveError::new(DeriveErrorKind::Other, all.join("; "))
}

/// A child that was made from the same keeps its `Arc`: the engine sees by pointer that there is nothing to do.
fn keep_unchanged(mut children: ChildrenSpecs, previous: Option<&ChildrenSpecs>) -> ChildrenSpecs {
    for new in children.values_mut() {
        let old = previous.and_then(|specs| specs.get(new.name.as_str()));
        if let Some(old) = old.filter(|old| **old == *new) {
            *new = Arc::clone(old);
        }
    }
    children
}
