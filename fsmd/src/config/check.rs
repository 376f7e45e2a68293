//! What a schema can't say: names, references, cycles; and whether every node of the tree can be rendered, read and derived.

mod outline;
mod tree;
mod unit;
mod variables;

pub(super) use outline::outline;
pub(super) use tree::tree;
pub use tree::{Rendered, RenderedNode};
pub(super) use variables::variables;

use fsm_core::Registry;
use fsm_templating::{Diagnostics, Node, check_template_schema};
use serde_json::Value;

/// Checks the sections of a template against the kinds that they become, once, whether a bridge uses it or not.
pub(super) fn template(template: &Node, kinds: &Registry) -> Diagnostics {
    let mut found = Diagnostics::default();
    for (section, kind) in [("connection", "connection"), ("read", "dataflow"), ("write", "dataflow")] {
        let (Some(node), Some(kind)) = (template.get(section), kinds.get(kind)) else { continue };
        let mut schema = kind.config_schema();
        if section == "connection" {
            // Beside its kind's keys: how often it is probed.
            allow_interval(&mut schema);
        }
        super::extend(&mut found, check_template_schema(node, &schema));
    }
    found
}

fn allow_interval(schema: &mut Value) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert("interval".into(), serde_json::json!({"type": "string"}));
    }
    for key in ["oneOf", "anyOf"] {
        let Some(variants) = schema.get_mut(key).and_then(Value::as_array_mut) else { continue };
        for variant in variants {
            allow_interval(variant);
        }
    }
}
