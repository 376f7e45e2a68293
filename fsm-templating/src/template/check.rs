//! What `check` says beyond errors of rendering: unknown, unused and shadowed variables, marks that do nothing (T-6).

use fsm_core::Vars;

use super::Template;
use super::declaration::reserved;
use super::split::has_mark;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::document::{Kind, Node, Path, Segment};
use crate::source::Place;

impl Template {
    /// Warnings about the template itself: parameters that nothing uses.
    #[must_use]
    pub fn lint(&self) -> Diagnostics {
        let unused =
            self.compiled.parameters.iter().filter(|(name, _)| !self.compiled.users.contains(name.as_ref()));
        unused
            .map(|(name, parameter)| {
                let place = parameter.place.clone().filter(|_| self.origin.is_some());
                Diagnostic::warning(codes::UNUSED_VARIABLE, format!("the parameter `{name}` is never used"))
                    .at(place)
                    .help("remove it, or use it in the template")
            })
            .collect()
    }

    /// Checks the variables that one entry gives to the template: names that it does not declare (errors), that it
    /// never uses, or that hide an inherited one (warnings). `node` is the mapping they are written in.
    #[must_use]
    pub fn check_variables(&self, own: &Vars, inherited: &Vars, node: Option<&Node>) -> Diagnostics {
        let mut found = Diagnostics::default();
        for name in own.keys() {
            let place = || -> Option<Place> { Some(node?.entry(name)?.key_place.clone()) };
            // The lines hold values: they are not shown.
            let mut add = |diagnostic: Diagnostic| found.push(diagnostic.at(place()).without_source());
            if let Some(error) = reserved(name) {
                add(error);
                continue;
            }
            let parameters = &self.compiled.parameters;
            if let Some(error) = parameters.unknown(name) {
                add(error);
            } else if !parameters.is_declared() && !self.compiled.users.contains(name) {
                let message = format!("the variable `{name}` is never used");
                add(Diagnostic::warning(codes::UNUSED_VARIABLE, message).help("remove it"));
            }
            if inherited.contains_key(name) {
                let message = format!("the variable `{name}` hides an inherited one");
                add(Diagnostic::warning(codes::SHADOWED_VARIABLE, message)
                    .help("rename it if that is not meant"));
            }
        }
        found.sorted()
    }
}

/// Errors for user variables with reserved names: refused, not dropped (T-4). `node` is the mapping they are
/// written in.
#[must_use]
pub fn reserved_names(variables: &Vars, node: Option<&Node>) -> Diagnostics {
    let errors = variables.keys().filter_map(|name| {
        let place: Option<Place> =
            node.and_then(|node| node.entry(name)).map(|entry| entry.key_place.clone());
        Some(reserved(name)?.at(place).without_source())
    });
    errors.collect::<Diagnostics>().sorted()
}

/// Warnings for template marks in a part of a config where nothing is rendered (T-2).
///
/// `is_rendered` says for which paths something is; what lies below such a path is not looked at.
#[must_use]
pub fn ignored_marks(node: &Node, is_rendered: &dyn Fn(&Path) -> bool) -> Diagnostics {
    let mut found = Diagnostics::default();
    walk(node, &mut Path::default(), is_rendered, &mut found);
    found.sorted()
}

fn walk(node: &Node, path: &mut Path, is_rendered: &dyn Fn(&Path) -> bool, found: &mut Diagnostics) {
    if is_rendered(path) {
        return;
    }
    let warn = |place: Place, path: &Path| {
        Diagnostic::warning(codes::TEMPLATE_MARK_IGNORED, "this template mark is plain text here")
            .at(place)
            .path(path.to_string())
            .help("only templates, bodies of bridges and dataflows, steps of workflows and for_each entries are rendered")
    };
    match &node.kind {
        Kind::Scalar(scalar) => {
            if scalar.value.as_str().is_some_and(has_mark) {
                found.push(warn(node.place().clone(), path));
            }
        }
        Kind::Sequence(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(Segment::Index(index));
                walk(item, path, is_rendered, found);
                path.pop();
            }
        }
        Kind::Mapping(map) => {
            for (name, entry) in map {
                path.push(Segment::Key(name.clone()));
                if has_mark(name) && !is_rendered(path) {
                    found.push(warn(entry.key_place.clone(), path));
                }
                walk(&entry.value, path, is_rendered, found);
                path.pop();
            }
        }
    }
}
