//! Variables that a template doesn't know, doesn't use, or that hide others (T-6).

use fsm_templating::{Diagnostic, Diagnostics, Node, Template, nearest};
use indexmap::IndexMap;

use super::unit::Unit;
use crate::config::codes;

/// Looks at the variables of each bridge that uses a template.
pub(in crate::config) fn variables(
    document: &Node,
    templates: &IndexMap<String, Template>,
    found: &mut Diagnostics,
) {
    let global = document.get("variables").and_then(Node::as_mapping);
    for unit in Unit::all(document) {
        let Some(own) = unit.node.get("variables").and_then(Node::as_mapping) else { continue };
        let template = unit.node.get("template").and_then(Node::as_str).and_then(|name| templates.get(name));
        for (name, entry) in own {
            let place = entry.key_place.clone();
            if let Some(template) = template {
                unknown(name, &place, template, found);
            }
            if let Some(hidden) = global.and_then(|global| global.get(name)) {
                found.push(
                    Diagnostic::warning(
                        codes::SHADOWED_VARIABLE,
                        format!("`{name}` hides the global variable of this name"),
                    )
                    .at(place)
                    .related("the global one", hidden.key_place.clone())
                    .help(format!(
                        "both can be used, as `{name}` and `global.{name}`; rename one to keep them apart"
                    )),
                );
            }
        }
    }
}

fn unknown(name: &str, place: &fsm_templating::Place, template: &Template, found: &mut Diagnostics) {
    let declared: Vec<&str> = template.parameters().names().collect();
    if declared.contains(&name) {
        return;
    }
    let used = template.variables().any(|used| used == name);
    let hint = nearest(name, declared.iter().copied().chain(template.variables()))
        .map(|near| format!("did you mean `{near}`?"));
    if !declared.is_empty() {
        let what = format!("`{name}` is not a parameter of the template");
        let help = hint.unwrap_or_else(|| format!("its parameters are: {}", declared.join(", ")));
        found.push(Diagnostic::error(codes::UNKNOWN_VARIABLE, what).at(place.clone()).help(help));
    } else if !used {
        let what = format!("the template doesn't use `{name}`");
        let help = hint.unwrap_or_else(|| {
            "remove it; jq programs of the template see it as `$vars` all the same".into()
        });
        found.push(Diagnostic::warning(codes::UNUSED_VARIABLE, what).at(place.clone()).help(help));
    }
}
