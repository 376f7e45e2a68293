//! From a bridge's config to the specs of its children. Pure.

use std::sync::Arc;

use fsm_core::{
    ChildName, ChildSpec, ChildrenSpecs, DeriveContext, DeriveError, HumanDuration, PolicyOverride,
    StartWhen, State, UserSpec, VariableBundle, Worker,
};
use fsm_templating::{Diagnostics, RenderContext, Rendered, Template, nearest};
use serde_json::{Map, Value};

use super::names::{CONNECTION, READ, WRITE};
use super::{BridgeConfig, BridgeState};
use crate::connection::Connection;
use crate::entry::FlowSection;
use crate::hashed::Fingerprint;
use crate::{fault, flow};

const SECTIONS: [&str; 3] = [CONNECTION, READ, WRITE];
/// The key of a connection's section that is not its kind's, but how often it is probed.
const INTERVAL: &str = "interval";

/// Renders a bridge's template: the one way to do it, for the engine as for checks and plans.
///
/// # Errors
/// Everything that is wrong, with places.
pub fn render(
    template: &Template,
    config: &BridgeConfig,
    variables: &VariableBundle,
) -> Result<Rendered, Diagnostics> {
    let name = &variables.internal.name;
    template.render(&RenderContext::new(variables, &config.location, name).with_subject(name))
}

pub(super) fn derive(
    spec: &UserSpec<BridgeConfig>,
    cx: &DeriveContext<'_>,
) -> Result<ChildrenSpecs, DeriveError> {
    let config = &*spec.config;
    let (sections, made_from) = match &config.template {
        Some(template) => {
            no_sections_beside_template(config)?;
            let rendered = cx
                .render(|| render(template, config, cx.variables()), fault::kind_of)
                .map_err(|found| fault::error_of(&found))?;
            (rendered.value, rendered.key.fingerprint().into())
        }
        None => (inline(config), 0),
    };
    let Value::Object(mut sections) = sections else {
        return Err(DeriveError::config("the template is not a mapping of `connection`, `read` and `write`"));
    };
    if let Some(unknown) = sections.keys().find(|key| !SECTIONS.contains(&key.as_str())) {
        let hint =
            nearest(unknown, SECTIONS).map(|known| format!(": did you mean `{known}`?")).unwrap_or_default();
        let what = format!("a bridge has no section `{unknown}`{hint}");
        return Err(DeriveError::config(what).at(unknown.clone()));
    }
    if !sections.contains_key(READ) && !sections.contains_key(WRITE) && !sections.contains_key(CONNECTION) {
        return Err(DeriveError::config(
            "a bridge without `connection`, `read` and `write` does nothing: add one",
        ));
    }

    let mut children = ChildrenSpecs::with_capacity(sections.len());
    for name in SECTIONS {
        let Some(section) = sections.shift_remove(name) else { continue };
        let mut made_from = Fingerprint::of(name).with(made_from);
        if config.template.is_none() {
            made_from = made_from.with_value(&section);
        }
        let spec = match (name, section) {
            (CONNECTION, section) => connection(section),
            (flow, Value::Object(section)) => {
                let location = &*config.location;
                let enabled = config.is_enabled(flow);
                let name = &cx.internal().name;
                let made = flow::config(section, &cx.variables().user, location, name);
                // What jq programs see is no part of what the render used.
                made_from = made_from.with_value(&made["vars"]).with(u128::from(enabled));
                flow_spec(flow, made, enabled)
            }
            (flow, _) => invalid(
                flow,
                flow::KIND,
                DeriveError::config("a flow is a mapping with `input` and `output`"),
            ),
        };
        let spec = kept(cx, spec.with_fingerprint(made_from.get()));
        // Three different names can't collide.
        let _ = children.try_add(spec);
    }
    Ok(children)
}

/// The spec of the last derive, if it was made from the same: the engine then sees by pointer that nothing is to do.
fn kept(cx: &DeriveContext<'_>, new: ChildSpec) -> Arc<ChildSpec> {
    let old = cx.previous().and_then(|specs| specs.get(new.name.as_str()));
    match old {
        Some(old) if old.fingerprint == new.fingerprint => Arc::clone(old),
        Some(_) | None => Arc::new(new),
    }
}

fn no_sections_beside_template(config: &BridgeConfig) -> Result<(), DeriveError> {
    let beside = |section: &Option<FlowSection>| section.as_ref()?.flow.keys().next().cloned();
    let found = config.connection.as_ref().map(|_| CONNECTION.to_owned());
    let found = found.or_else(|| beside(&config.read).map(|key| format!("{READ}.{key}")));
    let found = found.or_else(|| beside(&config.write).map(|key| format!("{WRITE}.{key}")));
    match found {
        Some(field) => {
            let what = "with a template the sections come from it: move this into the template, or remove `template`";
            Err(DeriveError::config(what).at(field))
        }
        None => Ok(()),
    }
}

fn inline(config: &BridgeConfig) -> Value {
    let flow =
        |section: &Option<FlowSection>| section.as_ref().map(|section| Value::Object(section.flow.clone()));
    let sections =
        [(CONNECTION, config.connection.clone()), (READ, flow(&config.read)), (WRITE, flow(&config.write))];
    Value::Object(sections.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

fn name_of(section: &str) -> ChildName {
    ChildName::try_new(section).expect("the sections' names are good names")
}

fn invalid(section: &str, kind: &'static str, error: DeriveError) -> ChildSpec {
    ChildSpec::invalid(name_of(section), kind, error)
}

fn connection(mut section: Value) -> ChildSpec {
    let interval = section.as_object_mut().and_then(|map: &mut Map<_, _>| map.shift_remove(INTERVAL));
    let spec = ChildSpec::new(name_of(CONNECTION), Connection::KIND).with_config(section);
    let Some(interval) = interval else { return spec };
    match serde_json::from_value::<HumanDuration>(interval) {
        Ok(interval) => {
            let mut policy = PolicyOverride::default();
            policy.interval = Some(interval);
            spec.with_policy(policy)
        }
        Err(error) => {
            let error =
                DeriveError::config("the time between two probes is not one").at(INTERVAL).with_source(error);
            invalid(CONNECTION, Connection::KIND, error)
        }
    }
}

fn flow_spec(section: &str, config: Value, enabled: bool) -> ChildSpec {
    let states = BridgeState::FLOWS_RUN.map(|state| state.name().to_owned());
    ChildSpec::new(name_of(section), flow::KIND)
        .with_config(config)
        .with_enabled(enabled)
        .with_start_when(StartWhen::States(states.into()))
}
