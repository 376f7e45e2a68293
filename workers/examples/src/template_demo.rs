//! `template_demo`: one template, one child or several: the pattern of every kind that renders its children.

use fsm_core::{ChildName, Config, Vars};
use fsm_templating::Template;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod state;
mod worker;

pub use state::TemplateDemoState;
pub use worker::TemplateDemo;

/// A template and what is made of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TemplateDemoConfig {
    /// The config of each flow, with template marks.
    pub template: Template,
    /// The flows; without any the template is rendered once, into a child called `flow`.
    #[serde(default)]
    pub flows: Vec<DemoFlow>,
    /// The kind of the flows.
    #[serde(default = "dataflow")]
    pub kind: String,
}

impl Config for TemplateDemoConfig {}

fn dataflow() -> String {
    "dataflow".into()
}

/// One flow made of the template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DemoFlow {
    /// Its name, `name` in the template.
    pub name: ChildName,
    /// Its own variables, over those of the parent.
    #[serde(default)]
    pub variables: Vars,
}

impl TemplateDemoConfig {
    /// One child called `flow`.
    #[must_use]
    pub fn new(template: Template) -> Self {
        Self { template, flows: Vec::new(), kind: dataflow() }
    }

    /// With one more child of this name, with these variables.
    #[must_use]
    pub fn with_flow(mut self, name: ChildName, variables: Vars) -> Self {
        self.flows.push(DemoFlow { name, variables });
        self
    }

    /// With children of this kind.
    #[must_use]
    pub fn with_kind(mut self, kind: impl Into<String>) -> Self {
        self.kind = kind.into();
        self
    }
}
