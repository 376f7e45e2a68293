//! The sections that make the tree, as far as they can be read: one bad entry must not hide the mistakes of the others.

use fsm_templating::{Diagnostic, Diagnostics, Node, Template};
use fsm_worker_bridge::application::{Agent, Sections};
use fsm_worker_bridge::{BridgeEntry, DataflowEntry, Hashed, WorkerEntry};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::codes;

/// The sections, and which entries of `bridges`, `dataflows` and `workers` are in them, in this order.
pub(super) fn read(document: &Node, found: &mut Diagnostics) -> Option<(Sections, Vec<bool>)> {
    let agent: Agent = entry(document.get("agent")?, "agent", found)?;
    let mut sections = Sections::new(agent);
    let mut kept = Vec::new();
    if let Some(Value::Object(variables)) = document.get("variables").map(Node::to_value) {
        sections.variables = variables.into_iter().collect();
    }
    for (name, template) in document.get("templates").and_then(Node::as_mapping).into_iter().flatten() {
        // Finds the one that was compiled from the document.
        if let Ok(template) = Template::compile(&template.value) {
            sections.templates.insert(name.clone(), template);
        }
    }
    sections.bridges = list::<BridgeEntry>(document, "bridges", &mut kept, found);
    sections.dataflows = list::<DataflowEntry>(document, "dataflows", &mut kept, found);
    sections.workers = list::<WorkerEntry>(document, "workers", &mut kept, found);
    Some((sections, kept))
}

fn list<T: Serialize + DeserializeOwned>(
    document: &Node,
    section: &str,
    kept: &mut Vec<bool>,
    found: &mut Diagnostics,
) -> Vec<Hashed<T>> {
    let mut entries = Vec::new();
    let nodes = document.get(section).and_then(Node::as_sequence).unwrap_or_default();
    for (index, node) in nodes.iter().enumerate() {
        let read = entry(node, &format!("{section}[{index}]"), found);
        kept.push(read.is_some());
        entries.extend(read.map(Hashed::new));
    }
    entries
}

/// Reads one entry. What the schema has reported already is not said again.
pub(super) fn entry<T: DeserializeOwned>(node: &Node, path: &str, found: &mut Diagnostics) -> Option<T> {
    match serde_path_to_error::deserialize(node.to_value()) {
        Ok(read) => Some(read),
        Err(error) => {
            let at = error.path().to_string();
            let place = at.parse().map_or_else(|_| node.place(), |at| node.nearest_place(&at));
            let inside = |d: &Diagnostic| {
                let (outer, inner) = (node.place().span(), d.place.as_ref().map(fsm_templating::Place::span));
                d.is_error()
                    && inner.is_some_and(|inner| outer.start <= inner.start && inner.end <= outer.end)
            };
            if !found.iter().any(inside) {
                let message = error.into_inner().to_string();
                found.push(
                    Diagnostic::error(codes::INVALID, message).at(place.clone()).path(format!("{path}.{at}")),
                );
            }
            None
        }
    }
}
