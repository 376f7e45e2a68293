//! From a file to a tree: read, fill in the environment, check everything at once, build the root (C-1 … C-5).

mod check;
mod codes;
mod environment;
mod files;
mod for_each;
mod inputs;
mod model;
mod schema;
mod sections;
mod tools;
mod workflows;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fsm_core::{ChildSpec, Registry, Vars, Worker};
use fsm_templating::{Diagnostic, Diagnostics, Node, Template};
use fsm_worker_bridge::application::{Application, ApplicationConfig};
use indexmap::IndexMap;
use serde_json::Value;

pub use check::{Rendered, RenderedNode};
pub use codes::CONFIG_CODES;
pub(crate) use codes::PORT_IN_USE;
pub use inputs::Inputs;
pub(crate) use inputs::UnderWay;
pub use model::{
    LogFormat, MetricsSection, Otlp, OtlpProtocol, PerPath, Server, Store, Supervision, Telemetry,
};
pub use schema::schema;
pub(crate) use tools::Resolved;
pub use tools::{Exec, LimitsEntry, RegisteredTool, ToolEntry, Tools};
pub use workflows::{OnFailure, StepEntry, Workflow, WorkflowEntry, Workflows};

/// A config that can be run: everything in it was read, rendered and checked.
#[derive(Debug)]
pub struct Loaded {
    /// The root of the tree.
    pub root: ChildSpec,
    /// What every template sees as `global.*`.
    pub global: Vars,
    /// Where the API listens.
    pub server: Server,
    /// How the tree is run.
    pub supervision: Supervision,
    /// How calls of tools are run.
    pub exec: Exec,
    /// What can be run by a call.
    pub tools: Tools,
    /// Job trees that can be run by a call.
    pub workflows: Workflows,
    /// What is measured.
    pub metrics: MetricsSection,
    /// What is logged.
    pub telemetry: Telemetry,
    /// The files it was made of, to see when they change.
    pub inputs: Inputs,
    /// What is not wrong, but worth a look.
    pub warnings: Diagnostics,
    /// What each node is rendered to, parents first.
    pub rendered: Rendered,
}

/// Reads a config from a file, or from the files of a folder.
///
/// # Errors
/// Everything that is wrong with it, not the first thing only. Nothing was started.
pub fn load(path: &Path, kinds: &Registry) -> Result<Loaded, Diagnostics> {
    load_noting(path, kinds, &mut Inputs::default())
}

/// The same, and notes which files were read: a daemon watches those of a bad config, too, for their mending.
pub(crate) fn load_noting(path: &Path, kinds: &Registry, inputs: &mut Inputs) -> Result<Loaded, Diagnostics> {
    let mut document = files::read(path, inputs)?;
    model::check_empty(&document)?;
    let mut found = Diagnostics::default();
    environment::fill_in(&mut document, &mut found);
    model::check_version(&document, &mut found);
    let base = folder_of(path);
    for_each::read_rows(&mut document, &base, inputs, &mut found);
    model::check_listen(&document, &mut found);
    model::check_otlp(&document, &mut found);
    extend(&mut found, fsm_templating::check_schema(&document, schema::checked()));
    check::outline(&document, kinds, &mut found);
    let templates = compile_templates(&document, kinds, &mut found);
    let settings = settings(&document, &mut found);
    let tools = check::tools(&document, &base, &mut found);
    let workflows = check::workflows(&document, &mut found);
    let Some((sections, kept)) = sections::read(&document, &mut found) else { return Err(found.sorted()) };
    let (config, global) = sections.into_config();
    let root = ChildSpec::new(config.agent().name.clone(), Application::KIND).with_typed_config(config);
    let rendered = check::tree(&document, kinds, &root, &global, &kept, &mut found);
    check::variables(&document, &templates, &mut found);
    // Until here they were what reading the sections found its templates by.
    drop(templates);
    let Some(settings) = settings.filter(|_| !found.has_errors()) else { return Err(found.sorted()) };
    let model::Settings { server, supervision, exec, metrics, telemetry, .. } = settings;
    let (warnings, inputs) = (found.sorted(), inputs.clone());
    Ok(Loaded {
        root,
        global,
        server,
        supervision,
        exec,
        tools,
        workflows,
        metrics,
        telemetry,
        inputs,
        warnings,
        rendered,
    })
}

/// What relative paths in a config are relative to.
fn folder_of(path: &Path) -> PathBuf {
    if path.is_dir() { path.to_path_buf() } else { path.parent().map(Path::to_path_buf).unwrap_or_default() }
}

pub(crate) fn extend(found: &mut Diagnostics, more: Diagnostics) {
    for diagnostic in more {
        found.push(diagnostic);
    }
}

/// Compiles all templates from the document, so that their errors have places; those that are read later find these.
fn compile_templates(
    document: &Node,
    kinds: &Registry,
    found: &mut Diagnostics,
) -> IndexMap<String, Template> {
    let mut templates = IndexMap::new();
    let Some(section) = document.get("templates").and_then(Node::as_mapping) else { return templates };
    for (name, entry) in section {
        match Template::compile(&entry.value) {
            Ok(template) => {
                templates.insert(name.clone(), template);
            }
            Err(errors) => extend(found, errors),
        }
        extend(found, check::template(&entry.value, kinds));
    }
    templates
}

fn settings(document: &Node, found: &mut Diagnostics) -> Option<model::Settings> {
    // Without those that are read entry by entry.
    let own = document.as_mapping()?.iter().filter(|(key, _)| !model::LISTS.contains(&key.as_str()));
    let value = own.map(|(key, entry)| (key.clone(), entry.value.to_value())).collect();
    read(document, Value::Object(value), found)
}

fn read<T: serde::de::DeserializeOwned>(document: &Node, value: Value, found: &mut Diagnostics) -> Option<T> {
    match serde_path_to_error::deserialize(value) {
        Ok(read) => Some(read),
        Err(error) => {
            if !found.has_errors() {
                let at = error.path().to_string();
                let place = at.parse().ok().map(|path| document.nearest_place(&path).clone());
                let message = error.into_inner().to_string();
                found.push(Diagnostic::error(codes::INVALID, message).at(place).path(at));
            }
            None
        }
    }
}

/// The root's typed config.
#[must_use]
pub fn application(root: &ChildSpec) -> Option<Arc<ApplicationConfig>> {
    match &root.config {
        fsm_core::ChildConfig::Typed(config) => Arc::clone(config).into_any().downcast().ok(),
        fsm_core::ChildConfig::Raw(_) => None,
    }
}
