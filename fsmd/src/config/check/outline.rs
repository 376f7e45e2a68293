//! Names and references among the entries: each mistake with both places.

use fsm_core::{ChildName, Registry};
use fsm_supervisor::cycle_among;
use fsm_templating::{Diagnostic, Diagnostics, Node, check_schema, nearest};
use indexmap::IndexMap;

use super::unit::Unit;
use crate::config::codes;

/// Checks what entries say of each other.
pub(in crate::config) fn outline(document: &Node, kinds: &Registry, found: &mut Diagnostics) {
    let units = Unit::all(document);
    let single: Vec<&Node> = units.iter().filter(|unit| !unit.is_repeated()).map(|unit| unit.node).collect();
    // A for_each may make any name, so with one of them a sibling can't be called unknown.
    let complete = single.len() == units.len();
    siblings(&single, complete, found);
    let templates: Vec<&str> = keys(document.get("templates"));
    for unit in &units {
        match unit.section {
            "bridges" => {
                template(unit, &templates, found);
                if unit.node.get("template").is_none() {
                    crate::config::extend(found, super::sections(unit.node, kinds, check_schema));
                }
            }
            "workers" => worker(unit.node, kinds, found),
            _ => {}
        }
        if !unit.is_repeated() {
            marks(unit, found);
        }
    }
}

fn keys(map: Option<&Node>) -> Vec<&str> {
    map.and_then(Node::as_mapping).map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// Names are unique, dependencies are there and don't go in circles.
fn siblings(entries: &[&Node], complete: bool, found: &mut Diagnostics) {
    let mut names: IndexMap<&str, &Node> = IndexMap::new();
    for entry in entries {
        let Some(name) = entry.get("name") else { continue };
        let Some(text) = name.as_str() else { continue };
        if let Some(first) = names.get(text) {
            found.push(
                Diagnostic::error(codes::DUPLICATE_NAME, format!("the name `{text}` is used twice"))
                    .at(name.place().clone())
                    .related("first used here", first.get("name").map(|n| n.place().clone()))
                    .help("rename one of them: siblings have different names"),
            );
        } else {
            names.insert(text, entry);
        }
    }
    let edges = |of: &Node| -> Vec<(String, fsm_templating::Place)> {
        let needs = of.get("depends_on").and_then(Node::as_sequence).unwrap_or_default();
        let named = |need: &Node| need.as_str().or_else(|| need.get("child")?.as_str()).map(str::to_owned);
        needs.iter().filter_map(|need| Some((named(need)?, need.place().clone()))).collect()
    };
    for (name, entry) in &names {
        for (needed, place) in edges(entry) {
            if complete && !names.contains_key(needed.as_str()) {
                let hint =
                    nearest(&needed, names.keys().copied()).map(|near| format!("did you mean `{near}`?"));
                found.push(
                    Diagnostic::error(
                        codes::UNKNOWN_SIBLING,
                        format!("`{name}` depends on `{needed}`, which is not there"),
                    )
                    .at(place)
                    .maybe_help(hint),
                );
            }
        }
    }
    let child_names = names.keys().filter_map(|name| ChildName::try_new(name).ok());
    let cycle = cycle_among(child_names, |name| {
        let entry = names.get(name.as_str());
        let needed = entry.map(|entry| edges(entry)).unwrap_or_default();
        needed.into_iter().filter_map(|(name, _)| ChildName::try_new(name).ok()).collect()
    });
    if let Some(cycle) = cycle {
        let text: Vec<&str> = cycle.iter().map(ChildName::as_str).collect();
        let place =
            cycle.first().and_then(|name| names.get(name.as_str())).and_then(|entry| entry.get("depends_on"));
        found.push(
            Diagnostic::error(codes::CYCLE, format!("these wait for each other: {}", text.join(" → ")))
                .at(place.map(|node| node.place().clone()))
                .help("remove one of these dependencies"),
        );
    }
}

fn template(unit: &Unit<'_>, templates: &[&str], found: &mut Diagnostics) {
    let Some(template) = unit.node.get("template") else { return };
    let Some(name) = template.as_str().filter(|name| !templates.contains(name)) else { return };
    let help = match nearest(name, templates.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if templates.is_empty() => "declare it under `templates:`".to_owned(),
        None => format!("there are: {}", templates.join(", ")),
    };
    found.push(
        Diagnostic::error(codes::UNKNOWN_TEMPLATE, format!("there is no template `{name}`"))
            .at(template.place().clone())
            .help(help),
    );
}

/// A worker's kind is there and its config fits it; so do its children.
fn worker(entry: &Node, kinds: &Registry, found: &mut Diagnostics) {
    if let Some(kind) = entry.get("kind")
        && let Some(name) = kind.as_str()
    {
        match kinds.get(name) {
            Some(known) => {
                if let Some(config) = entry.get("config") {
                    crate::config::extend(found, check_schema(config, &known.config_schema()));
                }
            }
            None => {
                let hint = nearest(name, kinds.names()).map(|near| format!("did you mean `{near}`? "));
                let all: Vec<&str> = kinds.names().collect();
                found.push(
                    Diagnostic::error(codes::UNKNOWN_KIND, format!("there is no kind `{name}`"))
                        .at(kind.place().clone())
                        .help(format!("{}known kinds: {}", hint.unwrap_or_default(), all.join(", "))),
                );
            }
        }
    }
    let children: Vec<&Node> =
        entry.get("children").and_then(Node::as_sequence).unwrap_or_default().iter().collect();
    siblings(&children, true, found);
    for child in children {
        worker(child, kinds, found);
    }
}

/// Template marks where nothing is rendered (T-2).
fn marks(unit: &Unit<'_>, found: &mut Diagnostics) {
    crate::config::extend(found, fsm_templating::ignored_marks(unit.node, &|_| false));
}
