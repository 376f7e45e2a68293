//! What a schema can't say: names, references, cycles; and whether every node of the tree can be rendered, read and derived.

mod outline;
mod tools;
mod tree;
mod unit;
mod variables;

pub(super) use outline::outline;
pub(super) use tools::{tools, workflows};
pub(super) use tree::tree;
pub use tree::{Rendered, RenderedNode};
pub(super) use variables::variables;

use fsm_core::Registry;
use fsm_templating::{Diagnostics, Node, check_template_schema};
use serde_json::Value;

/// Checks the sections of a template against the kinds that they become, once, whether a bridge uses it or not.
pub(super) fn template(template: &Node, kinds: &Registry) -> Diagnostics {
    sections(template, kinds, check_template_schema)
}

/// Checks `connection`, `read` and `write` against their kinds.
fn sections(bridge: &Node, kinds: &Registry, check: fn(&Node, &Value) -> Diagnostics) -> Diagnostics {
    let mut found = Diagnostics::default();
    for (section, kind, beside) in [
        // Beside its kind's keys: how often it is probed, and whether it runs.
        ("connection", "connection", ("interval", "string")),
        ("read", "dataflow", ("enabled", "boolean")),
        ("write", "dataflow", ("enabled", "boolean")),
    ] {
        let (Some(node), Some(kind)) = (bridge.get(section), kinds.get(kind)) else { continue };
        let mut schema = kind.config_schema();
        allow(&mut schema, beside);
        super::extend(&mut found, check(node, &schema));
    }
    found
}

/// Lets a key stand beside those of the schema.
fn allow(schema: &mut Value, (key, of_type): (&str, &str)) {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert(key.into(), serde_json::json!({"type": of_type}));
    }
    for choice in ["oneOf", "anyOf"] {
        let Some(variants) = schema.get_mut(choice).and_then(Value::as_array_mut) else { continue };
        for variant in variants {
            allow(variant, (key, of_type));
        }
    }
}
