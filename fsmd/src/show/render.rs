//! What the templates give, node by node, and where each part of it comes from (T-7).

use fsm_templating::{Place, ScalarTrace};
use serde_json::{Value, json};

use crate::config::RenderedNode;

/// Nodes as a document.
pub(crate) fn rendered(nodes: &[&RenderedNode], trace: bool) -> Value {
    nodes.iter().map(|node| one(node, trace)).collect()
}

fn one(node: &RenderedNode, trace: bool) -> Value {
    let mut value = json!({
        "path": node.path,
        "kind": node.kind,
        "enabled": node.enabled,
        "config": node.config(),
    });
    let found = if trace { node.trace() } else { Vec::new() };
    if !found.is_empty() {
        value["trace"] = found.iter().map(scalar).collect();
    }
    value
}

fn scalar(trace: &ScalarTrace) -> Value {
    let place = |place: &Option<Place>| place.as_ref().map(ToString::to_string);
    let used: Value = trace
        .used
        .iter()
        .map(|used| {
            let mut value = json!({"variable": used.input.to_string()});
            if let Some(at) = place(&used.set_at) {
                value["set_at"] = json!(at);
            }
            if used.is_default {
                value["default"] = json!(true);
            }
            value
        })
        .collect();
    let mut value = json!({"at": trace.path.to_string(), "template": &*trace.template});
    if let Some(at) = place(&trace.place) {
        value["written_at"] = json!(at);
    }
    if !trace.used.is_empty() {
        value["uses"] = used;
    }
    value
}
