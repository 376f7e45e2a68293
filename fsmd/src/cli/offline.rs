//! The verbs that need a config or nothing at all.

use std::path::Path;

use fsm_templating::{Code, Diagnostics, explain as explanation_of, nearest};
use serde_json::json;

use super::{Document, Failure, Format};
use crate::config::{self, CONFIG_CODES, Loaded};
use crate::{kinds, show};

/// Reads and checks a config.
fn load(path: &Path) -> Result<Result<Loaded, Diagnostics>, Failure> {
    let kinds = kinds::for_checking().map_err(|error| Failure::of(&error))?;
    Ok(config::load(path, &kinds))
}

pub(super) fn check(path: &Path, strict: bool, format: Format) -> Result<String, Failure> {
    let (nodes, mut found) = match load(path)? {
        Ok(loaded) => (loaded.rendered.nodes.len(), loaded.warnings),
        Err(found) => (0, found),
    };
    if strict {
        found.deny_warnings();
    }
    let ok = !found.has_errors();
    let answer = json!({"ok": ok, "nodes": nodes, "diagnostics": found});
    if let Some(text) = show::document(format, &answer)? {
        return if ok { Ok(text) } else { Err(Failure::answered(text)) };
    }
    if !ok {
        return Err(Failure::of_config(path, &found));
    }
    if !found.is_empty() {
        eprintln!("{found}\n");
    }
    let warnings = match found.len() {
        0 => String::new(),
        n => format!(", {}", show::count(n, "warning")),
    };
    Ok(format!("ok: {}{warnings}\n", show::count(nodes, "node")))
}

pub(super) fn render(
    path: &Path,
    of: Option<&str>,
    trace: bool,
    format: Document,
) -> Result<String, Failure> {
    let loaded = load(path)?.map_err(|found| Failure::of_config(path, &found))?;
    let nodes = &loaded.rendered.nodes;
    let wanted: Vec<_> = match of {
        None => nodes.iter().collect(),
        Some(of) => {
            let below = format!("{of}/");
            nodes
                .iter()
                .filter(|node| node.path.as_str() == of || node.path.as_str().starts_with(&below))
                .collect()
        }
    };
    if let (Some(of), true) = (of, wanted.is_empty()) {
        let near = nearest(of, nodes.iter().map(|node| node.path.as_str()));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("`fsmd render {}` shows all nodes", path.display()),
        };
        return Err(Failure::new(format!("the config makes no node `{of}`")).help(help));
    }
    let format = match format {
        Document::Yaml => Format::Yaml,
        Document::Json => Format::Json,
    };
    Ok(show::document(format, &show::rendered(&wanted, trace))?.unwrap_or_default())
}

pub(super) fn schema() -> Result<String, Failure> {
    Ok(show::document(Format::Json, &config::schema())?.unwrap_or_default())
}

pub(super) fn explain(code: &str) -> Result<String, Failure> {
    let code: Code = code.parse().map_err(|error| Failure::of(&error).usage())?;
    match explanation_of(code, &[CONFIG_CODES]) {
        Some(explanation) => Ok(format!("{code}: {}\n\n{}\n", explanation.title, explanation.text)),
        None => Err(Failure::new(format!("there is no error {code}"))
            .help("the code stands in brackets at the beginning of a message, as in error[E0103]")),
    }
}
