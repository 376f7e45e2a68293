//! The JSON Schema of the whole file, made from the Rust types (C-3).

use std::sync::OnceLock;

use fsm_worker_bridge::application::Sections;
use serde_json::{Value, json};

use super::model::Settings;

/// The schema for editors and people: as a person writes the file.
#[must_use]
pub fn schema() -> Value {
    let mut schema = both();
    schema["$id"] = json!("fsmd-config");
    // A person writes a list or names a file; the rows are put in when the file is loaded.
    schema["$defs"]["ForEach"] = json!({
        "description": "The rows, one bridge each: a list, or a CSV, YAML or JSON file.",
        "anyOf": [
            {"type": "array", "items": true},
            {
                "type": "object", "additionalProperties": false, "required": ["file"],
                "properties": {"file": {"type": "string", "description": "Path of the file, relative to this one."}}
            }
        ]
    });
    schema
}

/// The schema that a loaded document is checked with.
pub(super) fn checked() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let mut schema = both();
        // The version has a check and an explanation of its own.
        schema["required"] = json!(["agent"]);
        schema["properties"]["version"] = json!(true);
        schema
    })
}

/// The daemon's own sections and those of the tree, as one object.
fn both() -> Value {
    let mut settings = schemars::schema_for!(Settings).to_value();
    let tree = schemars::schema_for!(Sections).to_value();
    for part in ["properties", "$defs"] {
        let Some(more) = tree[part].as_object().cloned() else { continue };
        if !settings[part].is_object() {
            settings[part] = json!({});
        }
        if let Some(all) = settings[part].as_object_mut() {
            all.extend(more);
        }
    }
    settings["title"] = json!("fsmd config");
    settings["description"] = json!("The config of fsmd: one file, or a folder whose files are merged.");
    settings["required"] = json!(["version", "agent"]);
    settings["properties"]["version"] = json!({"description": "The version of this file.", "const": 1});
    settings
}
