//! Makes the whole tree as the engine will, without running it: every derive, every config, in one pass.

use std::collections::HashSet;
use std::sync::Arc;

use fsm_core::erase::{DynWorker, ErasedConfig};
use fsm_core::{
    ChildConfig, ChildSpec, ChildrenSpecs, DeriveContext, Identity, Incarnation, NodeId, NodePath, Registry,
    StartWhen, Target, VariableBundle, Vars, merge,
};
use fsm_templating::{
    Diagnostic, Diagnostics, ForEach, Node, Place, Related, RenderContext, Row, ScalarTrace,
};
use fsm_worker_bridge::bridge::BridgeConfig;
use serde::Serialize;
use serde_json::Value;

use super::unit::Unit;
use crate::config::codes;

/// What every node is rendered to, parents before children.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(transparent)]
pub struct Rendered {
    /// The nodes.
    pub nodes: Vec<RenderedNode>,
}

/// One node of the tree as it will be.
#[derive(Debug, Clone, Serialize)]
pub struct RenderedNode {
    /// Its path.
    pub path: NodePath,
    /// Its kind.
    pub kind: String,
    /// Whether its spec lets it run.
    pub enabled: bool,
    /// Whether it is to run: its spec lets it, and its desired state is to run.
    #[serde(skip)]
    pub(crate) runs: bool,
    /// In which states of its parent it is to run.
    #[serde(skip)]
    pub(crate) start_when: StartWhen,
    /// Its config.
    #[serde(skip)]
    config: Arc<dyn ErasedConfig>,
    /// The variables it sees.
    #[serde(skip)]
    pub variables: VariableBundle,
}

impl RenderedNode {
    /// Its config as JSON; secrets stay references.
    #[must_use]
    pub fn config(&self) -> Value {
        self.config.to_value()
    }

    /// Where each scalar of its template comes from; empty for a node that isn't rendered from one (T-7).
    #[must_use]
    pub fn trace(&self) -> Vec<ScalarTrace> {
        let Ok(config) = Arc::clone(&self.config).into_any().downcast::<BridgeConfig>() else {
            return Vec::new();
        };
        let Some(template) = &config.template else { return Vec::new() };
        let cx = RenderContext::new(&self.variables, &config.location, self.path.name());
        template.render_traced(&cx).map(|(_, trace)| trace).unwrap_or_default()
    }
}

/// So many errors are shown; more are counted.
const SHOWN: usize = 100;

/// Makes the tree below `root` and reports everything that keeps a node from being made.
pub(in crate::config) fn tree(
    document: &Node,
    kinds: &Registry,
    root: &ChildSpec,
    global: &Vars,
    kept: &[bool],
    found: &mut Diagnostics,
) -> Rendered {
    let mut walk = Walk {
        document,
        kinds,
        global: Arc::new(global.clone()),
        kept,
        known: document_errors(found),
        seen: HashSet::new(),
        rendered: Rendered::default(),
        errors: Diagnostics::default(),
        more: 0,
    };
    walk.root(root);
    if walk.more > 0 {
        let what = format!("and {} more errors like these", walk.more);
        walk.errors.push(Diagnostic::error(codes::INVALID, what));
    }
    crate::config::extend(found, walk.errors);
    walk.rendered
}

/// Places that were found wrong already: what follows from them is not reported again.
fn document_errors(found: &Diagnostics) -> HashSet<String> {
    found.iter().filter(|d| d.is_error()).filter_map(|d| d.place.as_ref().map(ToString::to_string)).collect()
}

struct Walk<'a> {
    document: &'a Node,
    kinds: &'a Registry,
    global: Arc<Vars>,
    /// Which entries could be read, in the order of the tree.
    kept: &'a [bool],
    known: HashSet<String>,
    seen: HashSet<String>,
    rendered: Rendered,
    errors: Diagnostics,
    more: usize,
}

/// Where a node is declared.
struct Origin<'a> {
    unit: Option<Unit<'a>>,
    place: Place,
    /// The node of the document whose fields are its config, if there is one: an inline section, or a template's.
    body: Option<&'a Node>,
}

impl<'a> Walk<'a> {
    fn root(&mut self, root: &ChildSpec) {
        let path = NodePath::root(&root.name);
        let origin = Origin { unit: None, place: self.document.place().clone(), body: None };
        let Some(children) = self.node(root, &path, &Arc::default(), &origin) else {
            self.collisions();
            return;
        };
        let mut units = Unit::all(self.document);
        let mut kept = self.kept.iter();
        units.retain(|_| *kept.next().unwrap_or(&true));
        let mut expanded: HashSet<(usize, usize)> = HashSet::new();
        let places =
            units.iter().enumerate().flat_map(|(at, unit)| (0..unit.len()).map(move |row| (at, row)));
        let variables = Arc::clone(&root.variables);
        for (spec, (at, row)) in children.iter().zip(places) {
            let unit = units[at];
            if spec.fault.is_some() && unit.rows().is_some() {
                // Said once for all rows, each with its place.
                if expanded.insert((at, 0)) {
                    self.rows(&unit);
                }
                continue;
            }
            if self.lacks_its_template(&unit) {
                continue;
            }
            // What keeps the entry from being one stands in the entry; all else in what it is made of.
            let body = if spec.fault.is_some() { Some(unit.node) } else { self.body_of(&unit) };
            let origin = Origin { unit: Some(unit), place: unit.place(row), body };
            self.subtree(spec, &path.join(&spec.name), &variables, &origin);
        }
    }

    /// Reported by the outline, or where the template can't be compiled.
    fn lacks_its_template(&self, unit: &Unit<'a>) -> bool {
        let Some(name) = unit.node.get("template").and_then(Node::as_str) else { return false };
        self.document.get("templates").and_then(|templates| templates.get(name)).is_none()
    }

    /// Where the fields of an entry's nodes stand: in its template, or in the entry itself.
    fn body_of(&self, unit: &Unit<'a>) -> Option<&'a Node> {
        match unit.node.get("template").and_then(Node::as_str) {
            Some(name) => self.document.get("templates")?.get(name),
            None if unit.section == "workers" => unit.node.get("config"),
            None => Some(unit.node),
        }
    }

    fn subtree(&mut self, spec: &ChildSpec, path: &NodePath, inherited: &Arc<Vars>, origin: &Origin<'a>) {
        let Some(children) = self.node(spec, path, inherited, origin) else { return };
        let variables = merge(inherited, &spec.variables);
        for child in children.iter() {
            let body = origin.body.and_then(|body| body.get(child.name.as_str()));
            let child_origin = Origin { unit: origin.unit, place: origin.place.clone(), body };
            self.subtree(child, &path.join(&child.name), &variables, &child_origin);
        }
    }

    /// Reads and derives one node; gives its children.
    fn node(
        &mut self,
        spec: &ChildSpec,
        path: &NodePath,
        inherited: &Arc<Vars>,
        origin: &Origin<'a>,
    ) -> Option<ChildrenSpecs> {
        if let Some(fault) = &spec.fault {
            let what = fsm_core::chain(&**fault);
            self.report(path, origin, fault.field(), what.to_string());
            return None;
        }
        // An unknown kind is reported by the outline.
        let kind = self.kinds.get(&spec.kind)?;
        let config = self.config(kind, spec, path, origin)?;
        if let Some(extras) = &spec.extras
            && let Err(error) = kind.policy().with(&extras.policy)
        {
            self.report(path, origin, Some("policy"), error.to_string());
        }
        let identity = Identity::new(path.clone(), kind.kind(), NodeId::new(0, Incarnation::new(0)), 0, 1);
        let variables = VariableBundle {
            user: merge(inherited, &spec.variables),
            global: Arc::clone(&self.global),
            internal: identity.internal(),
        };
        let derived = kind.derive(&config, &variables, &DeriveContext::new(&variables, None, &()));
        let (target, children) = match derived {
            Ok(desired) => (desired.state, desired.children_specs.unwrap_or_default()),
            Err(error) => {
                // The root's only mistake is a name that is there twice: with both places it was said before.
                let said = origin.unit.is_none() && !self.known.is_empty();
                if !said && !self.template(&config, &variables, path, origin) {
                    self.report(path, origin, error.field(), fsm_core::chain(&error).to_string());
                }
                return None;
            }
        };
        self.rendered.nodes.push(RenderedNode {
            path: path.clone(),
            kind: kind.kind().to_owned(),
            enabled: spec.enabled,
            runs: spec.enabled && target == Target::Running,
            start_when: spec.extras.as_ref().map(|extras| extras.start_when.clone()).unwrap_or_default(),
            config,
            variables,
        });
        Some(children)
    }

    fn config(
        &mut self,
        kind: &dyn DynWorker,
        spec: &ChildSpec,
        path: &NodePath,
        origin: &Origin<'a>,
    ) -> Option<Arc<dyn ErasedConfig>> {
        match &spec.config {
            ChildConfig::Typed(config) => Some(Arc::clone(config)),
            ChildConfig::Raw(raw) => match kind.read_config(raw) {
                Ok(config) => Some(config),
                Err(error) => {
                    self.report(path, origin, Some(&error.field), error.what);
                    None
                }
            },
        }
    }

    /// Renders a bridge's template again for errors with places; false when it isn't the template that is wrong.
    fn template(
        &mut self,
        config: &Arc<dyn ErasedConfig>,
        variables: &VariableBundle,
        path: &NodePath,
        origin: &Origin<'a>,
    ) -> bool {
        let Ok(config) = Arc::clone(config).into_any().downcast::<BridgeConfig>() else { return false };
        let Some(template) = &config.template else { return false };
        let name = path.name();
        let subject = origin.unit.map_or_else(|| name.to_owned(), |unit| unit.subject(name));
        let chain =
            [Related { message: format!("rendered for `{name}`"), place: Some(origin.place.clone()) }];
        let cx =
            RenderContext::new(variables, &config.location, name).with_subject(&subject).with_chain(&chain);
        match template.render(&cx) {
            Ok(_) => false,
            Err(errors) => {
                for error in errors {
                    self.push(error);
                }
                true
            }
        }
    }

    /// The rows of a `for_each` that can't be made, each with its place in the file.
    fn rows(&mut self, unit: &Unit<'a>) {
        let Some(rows) = unit.rows() else { return };
        let rows: Vec<Row> =
            rows.iter().map(|row| Row { value: row.to_value(), place: row.place().clone() }).collect();
        let variables = VariableBundle { global: Arc::clone(&self.global), ..VariableBundle::default() };
        let location = fsm_templating::Location::default();
        let cx = RenderContext::new(&variables, &location, "");
        let result = ForEach::compile(unit.node).and_then(|for_each| for_each.expand(&rows, &cx));
        match result {
            Ok(_) => {
                let what = format!("some rows of {}[{}] can't be made", unit.section, unit.index);
                self.push(Diagnostic::error(codes::INVALID, what).at(unit.node.place().clone()));
            }
            Err(errors) => {
                for error in errors {
                    self.push(error);
                }
            }
        }
    }

    /// The root can't be derived: names collide, among rows perhaps.
    fn collisions(&mut self) {
        for unit in Unit::all(self.document).iter().filter(|unit| unit.rows().is_some()) {
            let before = self.errors.len();
            self.rows(unit);
            if self.errors.len() > before {
                return;
            }
        }
    }

    fn report(&mut self, path: &NodePath, origin: &Origin<'a>, field: Option<&str>, what: String) {
        let place = origin.body.zip(field.and_then(|field| field.parse().ok())).map_or_else(
            || origin.body.map_or_else(|| origin.place.clone(), |body| body.place().clone()),
            |(body, at): (&Node, fsm_templating::Path)| body.nearest_place(&at).clone(),
        );
        let mut diagnostic = Diagnostic::error(codes::INVALID, what).path(path.to_string());
        if place != origin.place {
            diagnostic = diagnostic.related("declared here", origin.place.clone());
        }
        self.push(diagnostic.at(place));
    }

    /// Each mistake once, however many nodes it is made in.
    fn push(&mut self, diagnostic: Diagnostic) {
        let place = diagnostic.place.as_ref().map(ToString::to_string).unwrap_or_default();
        if self.known.contains(&place) || !self.seen.insert(format!("{place} {}", diagnostic.message)) {
            return;
        }
        if self.errors.len() < SHOWN {
            self.errors.push(diagnostic);
        } else {
            self.more += 1;
        }
    }
}
