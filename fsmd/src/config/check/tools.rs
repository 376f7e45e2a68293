//! Tools and workflows: what a schema can't say of them, each mistake at its place.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fsm_core::{ChildName, HumanDuration, NodePath};
use fsm_supervisor::cycle_among;
use fsm_templating::{
    Diagnostic, Diagnostics, Kind, Node, Place, Template, has_mark, ignored_marks, nearest,
    rebase_secret_files,
};
use fsm_worker_process::{Environment, Tool, ToolId};
use indexmap::IndexMap;

use crate::config::codes;
use crate::config::sections::entry;
use crate::config::tools::{RegisteredTool, ToolEntry, Tools};
use crate::config::workflows::{Workflow, WorkflowEntry, Workflows};

/// The tools of a document. `base` is what relative paths in it are relative to.
pub(in crate::config) fn tools(document: &Node, base: &Path, found: &mut Diagnostics) -> Tools {
    let mut tools = Tools::new();
    let mut ids = Ids::default();
    for (index, node) in items(document, "tools") {
        crate::config::extend(found, ignored_marks(node, &|_| false));
        ids.take("tool", node, found);
        let before = found.len();
        // What is wrong in one key must not hide what is wrong in another: they are looked at before all is read.
        let bad = Bad { node, path: format!("tools[{index}]") };
        bad.environment(found);
        bad.rest(found);
        let mut rebased = node.clone();
        rebase_secret_files(&mut rebased, base);
        let Some(read) = entry::<ToolEntry>(&rebased, &bad.path, found) else { continue };
        let cwd = read.cwd.as_ref().map(|cwd| {
            let cwd = base.join(cwd);
            std::path::absolute(&cwd).unwrap_or(cwd)
        });
        if found.len() > before {
            continue;
        }
        match tool(&read, cwd.clone()) {
            Ok(tool) => {
                let (config, runtime) = (read.of_node(cwd), read.runtime.clone());
                tools.entry(read.id).or_insert_with(|| Arc::new(RegisteredTool { tool, config, runtime }));
            }
            Err(error) => found.push(bad.at("command", error)),
        }
    }
    tools
}

fn items<'a>(document: &'a Node, section: &str) -> impl Iterator<Item = (usize, &'a Node)> {
    document.get(section).and_then(Node::as_sequence).unwrap_or_default().iter().enumerate()
}

/// The place of a key of an entry, or of the entry.
fn place(node: &Node, key: &str) -> Place {
    node.get(key).unwrap_or(node).place().clone()
}

/// What makes a tool of an entry: its id was looked at before.
fn tool(read: &ToolEntry, cwd: Option<PathBuf>) -> Result<Tool, String> {
    let id = ToolId::try_new(read.id.as_str()).map_err(|error| error.to_string())?;
    let tool = Tool::try_new(id, read.command.iter().cloned())
        .map_err(|error| error.to_string())?
        .with_protocol(read.protocol)
        .with_limits(read.limits.limits())
        .with_config(read.config.clone());
    Ok(match cwd {
        Some(cwd) => tool.with_cwd(cwd),
        None => tool,
    })
}

/// An entry of `tools` that may be wrong.
struct Bad<'a> {
    node: &'a Node,
    path: String,
}

impl Bad<'_> {
    fn at(&self, key: &str, what: impl std::fmt::Display) -> Diagnostic {
        let path = format!("{}.{key}", self.path);
        Diagnostic::error(codes::BAD_TOOL, what.to_string()).at(place(self.node, key)).path(path)
    }

    /// Names and, as far as they are known now, values.
    fn environment(&self, found: &mut Diagnostics) {
        for allowed in self.node.get("allow_env").and_then(Node::as_sequence).unwrap_or_default() {
            if let Some(Err(error)) = allowed.as_str().map(|name| Environment::allowing([name])) {
                found.push(self.at("allow_env", error).at(allowed.place().clone()));
            }
        }
        for (name, entry) in self.node.get("env").and_then(Node::as_mapping).into_iter().flatten() {
            if let Err(error) = Environment::default().with(name, "") {
                found.push(self.at("env", error).at(entry.key_place.clone()));
            } else if let Some(Err(error)) =
                entry.value.as_str().map(|value| Environment::default().with(name, value))
            {
                found.push(self.at("env", error).at(entry.value.place().clone()).without_source());
            }
        }
    }

    fn rest(&self, found: &mut Diagnostics) {
        if let Some(Err(error)) = self.node.get("id").and_then(Node::as_str).map(ToolId::try_new) {
            found.push(self.at("id", error));
        }
        let Some(limits) = self.node.get("limits") else { return };
        if is_zero(limits.get("timeout")) {
            let error = self.at("limits", "a timeout of nothing lets no tool run");
            found.push(error.at(place(limits, "timeout")).help("write it as in `60s`"));
        }
    }
}

fn is_zero(duration: Option<&Node>) -> bool {
    let parsed = duration.and_then(Node::as_str).and_then(|text| text.parse::<HumanDuration>().ok());
    parsed.is_some_and(|duration| duration.get().is_zero())
}

/// Ids that are there, to find those that are there twice.
#[derive(Default)]
struct Ids<'a>(HashMap<&'a str, &'a Node>);

impl<'a> Ids<'a> {
    fn take(&mut self, what: &str, entry: &'a Node, found: &mut Diagnostics) {
        let Some(id) = entry.get("id") else { return };
        let Some(text) = id.as_str() else { return };
        match self.0.get(text) {
            Some(first) => found.push(
                Diagnostic::error(codes::DUPLICATE_ID, format!("there are two {what}s with the id `{text}`"))
                    .at(id.place().clone())
                    .related("the first one", first.place().clone())
                    .help("rename one of them: a call has to know which one is meant"),
            ),
            None => {
                self.0.insert(text, id);
            }
        }
    }
}

/// The workflows of a document, whose steps use these tools.
pub(in crate::config) fn workflows(document: &Node, found: &mut Diagnostics) -> Workflows {
    // Of tools that are wrong the id is known, too.
    let known: Vec<&str> =
        items(document, "tools").filter_map(|(_, tool)| tool.get("id")?.as_str()).collect();
    let mut workflows = Workflows::new();
    let mut ids = Ids::default();
    for (index, node) in items(document, "workflows") {
        crate::config::extend(found, ignored_marks(node, &|path| path.to_string().starts_with("steps")));
        ids.take("workflow", node, found);
        let before = found.len();
        workflow(node, &known, found);
        let template = template(node, found);
        let read = entry::<WorkflowEntry>(node, &format!("workflows[{index}]"), found);
        let (Some(template), Some(read)) = (template, read) else { continue };
        if found.len() == before {
            let id = read.id.clone();
            workflows.entry(id).or_insert_with(|| Arc::new(Workflow { entry: read, template }));
        }
    }
    workflows
}

/// What is rendered of a workflow: its steps, with its parameters.
fn template(node: &Node, found: &mut Diagnostics) -> Option<Template> {
    let all = node.as_mapping()?;
    let body = all.iter().filter(|(key, _)| ["parameters", "steps"].contains(&key.as_str()));
    let body: IndexMap<_, _> = body.map(|(key, entry)| (key.clone(), entry.clone())).collect();
    let template = match Template::compile(&Node::new(Kind::Mapping(body), node.place().clone())) {
        Ok(template) => template,
        Err(errors) => {
            crate::config::extend(found, errors);
            return None;
        }
    };
    let declared: Vec<&str> = template.parameters().names().collect();
    if template.parameters().is_declared() {
        for unknown in template.variables().filter(|name| !declared.contains(name)) {
            let help = match nearest(unknown, declared.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("declare it under `parameters`; there are: {}", declared.join(", ")),
            };
            let what = format!("the steps use `{unknown}`, which is not a parameter of the workflow");
            let at = node.get("steps").and_then(|steps| used_at(steps, unknown));
            let error = Diagnostic::error(codes::UNKNOWN_VARIABLE, what);
            found.push(error.at(at.unwrap_or_else(|| place(node, "steps"))).help(help));
        }
    }
    Some(template)
}

/// The first text that a variable is used in.
fn used_at(node: &Node, name: &str) -> Option<Place> {
    match &node.kind {
        Kind::Scalar(_) => {
            let text = node.as_str().filter(|text| has_mark(text))?;
            let at = text.find(name)?;
            Some(node.locate(at..at + name.len()))
        }
        Kind::Sequence(items) => items.iter().find_map(|item| used_at(item, name)),
        Kind::Mapping(map) => map.values().find_map(|entry| used_at(&entry.value, name)),
    }
}

fn bad_workflow(node: &Node, key: &str, what: impl Into<String>) -> Diagnostic {
    Diagnostic::error(codes::BAD_WORKFLOW, what).at(place(node, key))
}

fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    node.get(key).and_then(Node::as_str)
}

fn list<'a>(node: &'a Node, key: &str) -> &'a [Node] {
    node.get(key).and_then(Node::as_sequence).unwrap_or_default()
}

fn workflow(node: &Node, known: &[&str], found: &mut Diagnostics) {
    let id = text(node, "id").unwrap_or_default();
    if let Some(Err(error)) = text(node, "id").map(ChildName::try_new) {
        found.push(bad_workflow(node, "id", error.to_string()).path("workflows.id"));
    }
    if is_zero(node.get("timeout")) {
        found.push(
            bad_workflow(node, "timeout", "a timeout of nothing lets no step run")
                .help("write it as in `5m`"),
        );
    }
    let mut names: IndexMap<&str, &Node> = IndexMap::new();
    for step in list(node, "steps") {
        one(step, known, found);
        let Some(name) = text(step, "name") else { continue };
        if let Some(first) = names.get(name) {
            let what = format!("two steps of `{id}` are called `{name}`");
            let error = Diagnostic::error(codes::DUPLICATE_NAME, what).at(place(step, "name"));
            found.push(error.related("the first one", place(first, "name")).help("rename one of them"));
        } else {
            names.insert(name, step);
        }
    }
    for (name, step) in &names {
        for needed in list(step, "depends_on") {
            let Some(other) = needed.as_str().filter(|other| !names.contains_key(other)) else { continue };
            let what = format!("`{name}` depends on `{other}`, which is no step of this workflow");
            let hint = nearest(other, names.keys().copied()).map(|near| format!("did you mean `{near}`?"));
            let error = Diagnostic::error(codes::UNKNOWN_SIBLING, what).at(needed.place().clone());
            found.push(error.maybe_help(hint));
        }
    }
    let all = names.keys().filter_map(|name| ChildName::try_new(name).ok());
    let cycle = cycle_among(all, |name| {
        let needed = names.get(name.as_str()).map(|step| list(step, "depends_on")).unwrap_or_default();
        needed.iter().filter_map(|name| ChildName::try_new(name.as_str()?).ok()).collect()
    });
    if let Some(cycle) = cycle {
        let text: Vec<&str> = cycle.iter().map(ChildName::as_str).collect();
        let first = cycle.first().and_then(|name| names.get(name.as_str()));
        found.push(
            Diagnostic::error(codes::CYCLE, format!("these steps wait for each other: {}", text.join(" → ")))
                .at(first.map(|step| place(step, "depends_on")))
                .help("remove one of these dependencies"),
        );
    }
}

/// A step runs one thing, which is there.
fn one(step: &Node, known: &[&str], found: &mut Diagnostics) {
    let name = text(step, "name").unwrap_or_default();
    if let Some(Err(error)) = text(step, "name").map(ChildName::try_new) {
        found.push(bad_workflow(step, "name", error.to_string()));
    }
    match (text(step, "tool"), text(step, "agent"), text(step, "action")) {
        (Some(tool), None, None) => {
            if !known.contains(&tool) && !has_mark(tool) {
                let help = match nearest(tool, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if known.is_empty() => "declare it under `tools:`".to_owned(),
                    None => format!("there are: {}", known.join(", ")),
                };
                let error = Diagnostic::error(codes::UNKNOWN_TOOL, format!("there is no tool `{tool}`"));
                found.push(error.at(place(step, "tool")).help(help));
            }
        }
        (None, Some(agent), Some(_)) => {
            if !has_mark(agent)
                && let Err(error) = NodePath::try_new(agent)
            {
                found.push(
                    bad_workflow(step, "agent", fsm_core::chain(&error).to_string())
                        .help("write the path of a node, as in `/edge-01/press-7/connection`"),
                );
            }
        }
        (None, Some(_), None) => found.push(
            bad_workflow(step, "agent", format!("the step `{name}` doesn't say what the worker is to do"))
                .help("add `action`"),
        ),
        (None, None, _) => found.push(
            bad_workflow(step, "name", format!("the step `{name}` runs nothing"))
                .help("add `tool`, or `agent` and `action`"),
        ),
        (Some(_), _, _) => found.push(
            bad_workflow(step, "tool", format!("the step `{name}` says two things to run"))
                .help("keep `tool`, or `agent` and `action`"),
        ),
    }
}
