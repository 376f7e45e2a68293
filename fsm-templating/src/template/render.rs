//! The one function that `derive`, `check`, `render` and `plan` call (T-2).

use std::sync::{Arc, PoisonError};

use serde_json::{Map, Value};

use super::Template;
use super::compile::{Key, Tree};
use super::context::{Input, RenderContext};
use super::declaration::reserved;
use super::eval::Evaluator;
use super::fault::Fault;
use super::hash::ContentHash;
use super::scalar::Scalar;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::document::{Path, Segment, locate};
use crate::secret::is_secret;
use crate::source::Place;

/// How many different sets of used inputs a template keeps; more than a handful is unusual.
const MAX_INPUT_SETS: usize = 16;

/// What a render gave.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Rendered {
    /// The result, in declared order. What held a secret is a reference (see [`Secret`](crate::Secret)).
    pub value: Value,
    /// What it depends on.
    pub key: RenderKey,
}

/// What a render used, and a hash of it: while it stays the same, so does the result (T-1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderKey {
    inputs: Arc<[Input]>,
    fingerprint: u64,
}

impl RenderKey {
    /// What was used, in order of first use.
    #[must_use]
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The hash of the template and of what was used.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}

/// Where a rendered scalar comes from (T-7).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScalarTrace {
    /// Where it is in the result.
    pub path: Path,
    /// What stands in the template there.
    pub template: Arc<str>,
    /// Where that is written.
    pub place: Option<Place>,
    /// What it used.
    pub used: Vec<UsedInput>,
}

/// An input of a scalar, and where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsedInput {
    /// Which.
    pub input: Input,
    /// Where it was set, when the context knows: the declaration for a default.
    pub set_at: Option<Place>,
    /// Whether it is the default of a parameter.
    pub is_default: bool,
}

impl Template {
    /// Renders the whole document.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the text; values of variables are never part of it.
    pub fn render(&self, cx: &RenderContext<'_>) -> Result<Rendered, Diagnostics> {
        self.run(cx, &mut None)
    }

    /// Renders, and says where each rendered scalar comes from. Slower than [`render`](Self::render).
    ///
    /// # Errors
    /// As [`render`](Self::render).
    pub fn render_traced(&self, cx: &RenderContext<'_>) -> Result<(Rendered, Vec<ScalarTrace>), Diagnostics> {
        let mut trace = Some(Vec::new());
        let rendered = self.run(cx, &mut trace)?;
        Ok((rendered, trace.unwrap_or_default()))
    }

    /// Whether a render in this context would give again what gave this key. Allocates nothing.
    #[must_use]
    pub fn is_current(&self, key: &RenderKey, cx: &RenderContext<'_>) -> bool {
        self.fingerprint(&key.inputs, cx) == key.fingerprint
    }

    fn fingerprint(&self, inputs: &[Input], cx: &RenderContext<'_>) -> u64 {
        let mut hash = ContentHash::new();
        let content = self.compiled.hash;
        hash.pair((content >> 64) as u64, content as u64);
        for input in inputs {
            cx.hash(input, &self.compiled.parameters, &mut hash);
        }
        hash.finish()
    }

    fn run(
        &self,
        cx: &RenderContext<'_>,
        trace: &mut Option<Vec<ScalarTrace>>,
    ) -> Result<Rendered, Diagnostics> {
        let mut renderer = Renderer {
            template: self,
            cx,
            evaluator: Evaluator::new(cx, &self.compiled.parameters, &self.compiled.roots),
            path: Vec::new(),
            inputs: Vec::new(),
            found: Diagnostics::default(),
            trace,
        };
        renderer.check_parameters();
        let value = renderer.tree(&self.compiled.body);
        let Renderer { inputs, evaluator, found, .. } = renderer;
        if !found.is_empty() {
            return Err(found.sorted());
        }
        let inputs = self.intern(inputs, evaluator);
        let fingerprint = self.fingerprint(&inputs, cx);
        Ok(Rendered { value, key: RenderKey { inputs, fingerprint } })
    }

    /// One shared list for all renders that used the same.
    fn intern(&self, mut inputs: Vec<Input>, mut evaluator: Evaluator<'_>) -> Arc<[Input]> {
        for input in evaluator.take_used() {
            if !inputs.contains(&input) {
                inputs.push(input);
            }
        }
        let mut sets = self.compiled.input_sets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sets.iter().find(|set| ***set == *inputs) {
            return Arc::clone(known);
        }
        let set: Arc<[Input]> = inputs.into();
        if sets.len() < MAX_INPUT_SETS {
            sets.push(Arc::clone(&set));
        }
        set
    }
}

struct Renderer<'a> {
    template: &'a Template,
    cx: &'a RenderContext<'a>,
    evaluator: Evaluator<'a>,
    path: Vec<Step<'a>>,
    inputs: Vec<Input>,
    found: Diagnostics,
    trace: &'a mut Option<Vec<ScalarTrace>>,
}

enum Step<'a> {
    Key(&'a str),
    /// As the template has it, and as it was rendered.
    Rendered(&'a str, String),
    Index(usize),
}

impl<'a> Renderer<'a> {
    /// A declared variable is checked, used or not, so it is an input.
    fn check_parameters(&mut self) {
        let cx = self.cx;
        for name in cx.variables.user.keys() {
            if let Some(error) = reserved(name) {
                let place = self.set_at(name);
                self.report(error.at(place));
            }
        }
        for (name, parameter) in self.template.compiled.parameters.iter() {
            let input = Input::User(Arc::clone(name));
            match cx.variables.user.get(name.as_ref()) {
                Some(value) => {
                    if let Some(why) = parameter.misfit(value) {
                        let message = format!("the parameter `{name}` {why}");
                        let place = self.set_at(name);
                        let error =
                            Diagnostic::error(codes::BAD_PARAMETER, message).at(place).without_source();
                        let declared = parameter.place.clone().filter(|_| self.template.origin.is_some());
                        self.report(error.related("declared here", declared));
                    }
                }
                None if parameter.required => {
                    let place = parameter.place.clone().filter(|_| self.template.origin.is_some());
                    self.report(parameter.missing(name).at(place).label("declared here without a default"));
                }
                None => {}
            }
            self.inputs.push(input);
        }
    }

    fn tree(&mut self, tree: &'a Tree) -> Value {
        match tree {
            Tree::Constant(value) => value.clone(),
            Tree::Scalar(scalar) => self.scalar(scalar, false).unwrap_or_default(),
            Tree::Sequence(items) => {
                let mut out = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    self.path.push(Step::Index(index));
                    out.push(self.tree(item));
                    self.path.pop();
                }
                Value::Array(out)
            }
            Tree::Mapping(entries) => {
                let mut out = Map::with_capacity(entries.len());
                for (key, value) in entries {
                    let (step, name) = match key {
                        Key::Constant(name) => (Step::Key(name), Some(String::from(&**name))),
                        Key::Scalar(scalar) => {
                            let name = self.key(scalar);
                            let shown = name.clone().unwrap_or_else(|| scalar.source.to_string());
                            (Step::Rendered(&scalar.source, shown), name)
                        }
                    };
                    self.path.push(step);
                    let value = self.tree(value);
                    let replaced = name.and_then(|name| out.insert(name, value));
                    if replaced.is_some() {
                        // The name may be a value of a variable: the path shows where, the place why.
                        let message = "this key is rendered to a name that is already there";
                        let place = self.place();
                        self.report(Diagnostic::error(codes::BAD_RENDERED_KEY, message).at(place));
                    }
                    self.path.pop();
                }
                Value::Object(out)
            }
        }
    }

    fn key(&mut self, scalar: &'a Scalar) -> Option<String> {
        self.path.push(Step::Key(&scalar.source));
        let value = self.scalar(scalar, true);
        let name = match value {
            Some(Value::String(text)) => Some(text),
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(Value::Bool(flag)) => Some(flag.to_string()),
            Some(value @ (Value::Null | Value::Array(_) | Value::Object(_))) => {
                let (code, message) = match is_secret(&value) {
                    true => (codes::SECRET_CHANGED, "a secret can't be a key".to_owned()),
                    false => {
                        let found = super::type_name(&value);
                        (codes::BAD_RENDERED_KEY, format!("this key is rendered to {found}, not to a text"))
                    }
                };
                let place = self.place();
                self.report(Diagnostic::error(code, message).at(place));
                None
            }
            None => None,
        };
        self.path.pop();
        name
    }

    fn scalar(&mut self, scalar: &'a Scalar, is_key: bool) -> Option<Value> {
        let tracing = self.trace.is_some();
        if tracing {
            self.take_used();
        }
        match self.evaluator.scalar(scalar) {
            Ok(value) => {
                if tracing {
                    self.record(scalar, is_key);
                }
                Some(value)
            }
            Err(faults) => {
                for fault in faults {
                    self.fault(fault, scalar, is_key);
                }
                None
            }
        }
    }

    fn fault(&mut self, fault: Fault, scalar: &Scalar, is_key: bool) {
        let place =
            self.scalar_place(is_key).map(|place| locate(&place, &scalar.source, fault.range.clone()));
        self.report(fault.into_diagnostic().at(place));
    }

    fn report(&mut self, error: Diagnostic) {
        let path = self.shown_path();
        let mut error = match (self.cx.subject, path.is_root()) {
            (Some(subject), true) => error.path(subject),
            (Some(subject), false) => error.path(format!("{subject} → {path}")),
            (None, true) => error,
            (None, false) => error.path(path.to_string()),
        };
        error.related.extend(self.cx.chain.iter().cloned());
        self.found.push(error);
    }

    fn record(&mut self, scalar: &Scalar, is_key: bool) {
        let used = self.take_used().into_iter().map(|input| self.used_input(input)).collect();
        let path = self.shown_path();
        let (template, place) = (Arc::clone(&scalar.source), self.scalar_place(is_key));
        if let Some(trace) = self.trace {
            trace.push(ScalarTrace { path, template, place, used });
        }
    }

    fn take_used(&mut self) -> Vec<Input> {
        let used = self.evaluator.take_used();
        for input in &used {
            if !self.inputs.contains(input) {
                self.inputs.push(input.clone());
            }
        }
        used
    }

    fn used_input(&self, input: Input) -> UsedInput {
        let default = if let Input::User(name) = &input
            && !self.cx.variables.user.contains_key(name.as_ref())
        {
            self.template.compiled.parameters.get(name)
        } else {
            None
        };
        let set_at = match default {
            Some(parameter) => parameter.place.clone(),
            None => self.set_at(&input.to_string()),
        };
        UsedInput { input, set_at, is_default: default.is_some() }
    }

    fn set_at(&self, name: &str) -> Option<Place> {
        self.cx.origins?.get(name).cloned()
    }

    fn shown_path(&self) -> Path {
        self.path_of(|step| match step {
            Step::Key(key) => Segment::Key((*key).to_owned()),
            Step::Rendered(_, shown) => Segment::Key(shown.clone()),
            Step::Index(index) => Segment::Index(*index),
        })
    }

    fn source_path(&self) -> Path {
        self.path_of(|step| match step {
            Step::Key(key) | Step::Rendered(key, _) => Segment::Key((*key).to_owned()),
            Step::Index(index) => Segment::Index(*index),
        })
    }

    fn path_of(&self, segment: impl Fn(&Step<'_>) -> Segment) -> Path {
        let mut path = Path::default();
        self.path.iter().map(segment).for_each(|segment| path.push(segment));
        path
    }

    fn place(&self) -> Option<Place> {
        self.template.place_of(&self.source_path())
    }

    fn scalar_place(&self, is_key: bool) -> Option<Place> {
        if !is_key {
            return self.place();
        }
        let mut path = self.source_path();
        let Some(Segment::Key(key)) = path.segments().last().cloned() else { return self.place() };
        path.pop();
        let entry = self.template.origin.as_ref()?.at(&path)?.entry(&key)?;
        Some(entry.key_place.clone())
    }
}
