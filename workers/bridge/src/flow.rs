//! Makes the config of a flow out of a section of a template or file: the section and what its jq programs may see.

use fsm_core::Vars;
use fsm_templating::Location;
use serde_json::{Map, Value};

/// The kind that runs flows; known by name only.
pub(crate) const KIND: &str = "dataflow";
/// The key of a flow's config under which jq programs find their variables (T-3).
const VARS: &str = "vars";

/// The section with its `vars`: `location_topic`, `location_path` and `name` always, the user variables when a jq program
/// asks for them, so that others may change without touching the flow. What the section says itself wins.
pub(crate) fn config(mut section: Map<String, Value>, user: &Vars, location: &Location, name: &str) -> Value {
    let mut vars = Map::new();
    if section.values().any(asks_for_variables) {
        vars.extend(user.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    vars.insert("location_topic".into(), location.topic().into());
    vars.insert("location_path".into(), location.path().into());
    vars.insert("name".into(), name.into());
    match section.entry(VARS) {
        serde_json::map::Entry::Vacant(entry) => {
            entry.insert(Value::Object(vars));
        }
        serde_json::map::Entry::Occupied(mut entry) => {
            // Anything else than a mapping is left for the kind to refuse, with the field.
            if let Value::Object(own) = entry.get_mut() {
                vars.extend(std::mem::take(own));
                *own = vars;
            }
        }
    }
    Value::Object(section)
}

fn asks_for_variables(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("$vars"),
        Value::Array(items) => items.iter().any(asks_for_variables),
        Value::Object(map) => map.values().any(asks_for_variables),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
