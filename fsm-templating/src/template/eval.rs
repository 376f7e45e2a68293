//! Evaluates compiled scalars in one render; remembers what was used.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use indexmap::IndexMap;
use minijinja::Value as Mini;
use serde_json::Value;

use super::context::{INTERNAL, Input, RenderContext, internal};
use super::engine::{Group, Log, Scope, Unheld, append, from_mini, to_mini};
use super::fault::{Fault, unknown, written};
use super::parameters::{Parameters, type_name};
use super::scalar::{BLOCK, Lookup, Part, Program, Root, Scalar, root};
use crate::diagnostic::codes;
use crate::secret::{Part as SecretPart, Secret, parts_of};

pub(super) struct Evaluator<'a> {
    cx: &'a RenderContext<'a>,
    parameters: &'a Parameters,
    /// The names that minijinja may look up in this template.
    roots: &'a BTreeSet<String>,
    /// Made at the first scalar that needs minijinja: most templates need none.
    scope: OnceCell<(Mini, Arc<Log>)>,
    used: Vec<Input>,
}

impl<'a> Evaluator<'a> {
    pub(super) fn new(
        cx: &'a RenderContext<'a>,
        parameters: &'a Parameters,
        roots: &'a BTreeSet<String>,
    ) -> Self {
        Self { cx, parameters, roots, scope: OnceCell::new(), used: Vec::new() }
    }

    /// Takes what was used since the last question, in order of first use.
    pub(super) fn take_used(&mut self) -> Vec<Input> {
        std::mem::take(&mut self.used)
    }

    pub(super) fn scalar(&mut self, scalar: &Scalar) -> Result<Value, Vec<Fault>> {
        match &scalar.program {
            Program::Single(part) => {
                self.part(part, &scalar.source).map(Cow::into_owned).map_err(|f| vec![f])
            }
            Program::Mixed(parts) => self.mixed(parts, &scalar.source),
            Program::Block(env) => self.block(env, &scalar.source).map_err(|fault| vec![fault]),
        }
    }

    fn mixed(&mut self, parts: &[Part], source: &str) -> Result<Value, Vec<Fault>> {
        let mut text = String::with_capacity(source.len());
        let mut secrets: Vec<SecretPart> = Vec::new();
        let mut faults = Vec::new();
        for part in parts {
            if let Part::Text(constant) = part {
                text.push_str(constant);
                continue;
            }
            let value = match self.part(part, source) {
                Ok(value) => value,
                Err(fault) => {
                    faults.push(fault);
                    continue;
                }
            };
            if let Some(parts) = parts_of(&value) {
                // The text so far, then the reference: what it is rendered into becomes a secret as a whole.
                if !text.is_empty() {
                    secrets.push(SecretPart::Text(std::mem::take(&mut text)));
                }
                secrets.extend(parts);
            } else if let Err(why) = append(&mut text, &value) {
                let range = part.range();
                let expression = source.get(range.clone()).unwrap_or_default();
                let too_large = text.len() > crate::filters::MAX_TEXT;
                let code = if too_large { codes::TEMPLATE_LIMIT } else { codes::TEMPLATE_FAILED };
                let help = (!too_large).then(|| format!("write {{{{ {expression} | default('…', true) }}}}"));
                faults.push(Fault::new(code, format!("`{expression}`: {why}"), range).help(help));
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        if secrets.is_empty() {
            return Ok(Value::String(text));
        }
        if !text.is_empty() {
            secrets.push(SecretPart::Text(text));
        }
        Ok(Secret::from_parts(secrets).to_value())
    }

    fn part(&mut self, part: &Part, source: &str) -> Result<Cow<'a, Value>, Fault> {
        match part {
            Part::Text(text) => Ok(Cow::Owned(Value::String(text.to_string()))),
            Part::Lookup(lookup) => self.lookup(lookup, source),
            Part::Expression(expression, range) => {
                let (scope, log) = self.scope();
                let text = source.get(range.clone()).unwrap_or_default();
                let result = expression.eval(scope);
                let missing = log.take_missing();
                self.remember_all(log.take_used());
                if log.take_touched() {
                    return Err(secret_changed(range.clone()));
                }
                let value = result
                    .map_err(|e| Fault::of_eval(&e, text, range.start, &missing, self.cx, self.parameters))?;
                // Strict mode covers neither the result of an expression itself, nor optional arguments of filters.
                if value.is_undefined() || (!missing.is_empty() && !asks_for_undefined(text)) {
                    return Err(self.undefined(&missing, text, range.clone()));
                }
                let value = from_mini(&value);
                // Lazy parts of the result were looked up only now.
                self.remember_all(log.take_used());
                match value {
                    Ok(value) => Ok(Cow::Owned(value)),
                    Err(Unheld::Undefined) if !missing.is_empty() => {
                        Err(self.undefined(&missing, text, range.clone()))
                    }
                    Err(why) => Err(Fault::new(codes::BAD_RESULT, why.detail(), range.clone())),
                }
            }
        }
    }

    /// An expression gave nothing: either a name is missing, or a branch of it has no value.
    fn undefined(&self, missing: &[String], text: &str, range: std::ops::Range<usize>) -> Fault {
        if text.contains(" if ") && !text.contains(" else ") {
            let message = "this expression has no value when its condition is false";
            return Fault::new(codes::UNKNOWN_VARIABLE, message, range).help("add `else …`".to_owned());
        }
        match (written(missing, text), missing.is_empty()) {
            (Some(name), _) => unknown(name, range, self.cx, self.parameters),
            (None, true) => unknown(text, range, self.cx, self.parameters),
            (None, false) => {
                Fault::new(codes::UNKNOWN_VARIABLE, "a part of this expression is undefined", range)
            }
        }
    }

    fn block(&mut self, env: &minijinja::Environment<'static>, source: &str) -> Result<Value, Fault> {
        let (scope, log) = self.scope();
        let result = env.get_template(BLOCK).and_then(|template| template.render(scope));
        let missing = log.take_missing();
        self.remember_all(log.take_used());
        if log.take_touched() {
            return Err(secret_changed(0..source.len()));
        }
        let text = result.map_err(|e| Fault::of_eval(&e, source, 0, &missing, self.cx, self.parameters))?;
        if !missing.is_empty() && !asks_for_undefined(source) {
            return Err(self.undefined(&missing, source, 0..source.len()));
        }
        match text.len() > crate::filters::MAX_TEXT {
            true => Err(Fault::new(codes::TEMPLATE_LIMIT, "the text is larger than 16 MiB", 0..source.len())),
            false => Ok(Value::String(text)),
        }
    }

    fn lookup(&mut self, lookup: &Lookup, source: &str) -> Result<Cow<'a, Value>, Fault> {
        let input = match &lookup.root {
            Root::Input(input) => input,
            Root::LocationPath | Root::LocationTopic => &Input::WholeLocation,
        };
        if !self.used.contains(input) {
            self.used.push(input.clone());
        }
        let found = match &lookup.root {
            Root::Input(input) => self.cx.get(input, self.parameters),
            Root::LocationPath => Some(Cow::Owned(Value::String(self.cx.location.path()))),
            Root::LocationTopic => Some(Cow::Owned(Value::String(self.cx.location.topic()))),
        };
        let name = || source.get(lookup.range.clone()).unwrap_or_default();
        let mut value =
            found.ok_or_else(|| unknown(name(), lookup.range.clone(), self.cx, self.parameters))?;
        for key in &lookup.keys {
            let next = match &value {
                Cow::Borrowed(Value::Object(map)) => map.get(key.as_ref()).map(Cow::Borrowed),
                Cow::Owned(Value::Object(map)) => map.get(key.as_ref()).cloned().map(Cow::Owned),
                Cow::Borrowed(_) | Cow::Owned(_) => {
                    let message =
                        format!("`{}` goes into {}, which has no `{key}`", name(), type_name(&value));
                    return Err(Fault::new(codes::UNKNOWN_VARIABLE, message, lookup.range.clone()));
                }
            };
            value = next.ok_or_else(|| unknown(name(), lookup.range.clone(), self.cx, self.parameters))?;
        }
        Ok(value)
    }

    fn remember_all(&mut self, inputs: Vec<Input>) {
        for input in inputs {
            if !self.used.contains(&input) {
                self.used.push(input);
            }
        }
    }

    fn scope(&self) -> (Mini, Arc<Log>) {
        let make = || {
            let log = Arc::new(Log::default());
            let roots = self.roots.iter().map(|name| self.root(name, &log)).collect();
            (Mini::from_object(Scope { roots, log: Arc::clone(&log) }), log)
        };
        self.scope.get_or_init(make).clone()
    }

    fn root(&self, name: &str, log: &Arc<Log>) -> (Arc<str>, Option<Input>, Option<Mini>) {
        let group = |name, values, whole| {
            Some(Mini::from_object(Group { name, values, whole, log: Arc::clone(log) }))
        };
        let (input, value) = match (name, root(name)) {
            ("global", _) => {
                (None, group("global", IndexMap::clone(&self.cx.variables.global), Some(Input::Globals)))
            }
            ("internal", _) => {
                let fields = INTERNAL.iter().filter_map(|field| {
                    internal(self.cx.variables, field).map(|value| ((*field).to_owned(), value))
                });
                (None, group("internal", fields.collect(), None))
            }
            ("location", _) => {
                let levels = self.cx.location.iter();
                let levels = levels.map(|(level, segment)| (level.to_string(), Value::from(segment)));
                (None, group("location", levels.collect(), Some(Input::WholeLocation)))
            }
            (_, Some(Root::LocationPath)) => {
                (Some(Input::WholeLocation), Some(Mini::from(self.cx.location.path())))
            }
            (_, Some(Root::LocationTopic)) => {
                (Some(Input::WholeLocation), Some(Mini::from(self.cx.location.topic())))
            }
            (_, Some(Root::Input(input))) => {
                let value = self.cx.get(&input, self.parameters).map(|value| to_mini(&value, log));
                (Some(input), value)
            }
            (_, None) => (None, None),
        };
        (name.into(), input, value)
    }
}

impl Part {
    fn range(&self) -> std::ops::Range<usize> {
        match self {
            Self::Text(_) => 0..0,
            Self::Lookup(lookup) => lookup.range.clone(),
            Self::Expression(_, range) => range.clone(),
        }
    }
}

/// Whether an expression says that something in it may be absent: the only ways are `default` and `is defined`.
fn asks_for_undefined(text: &str) -> bool {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| matches!(word, "default" | "d" | "defined" | "undefined"))
}

fn secret_changed(range: std::ops::Range<usize>) -> Fault {
    let help = "place it as it is, alone or beside text: \"mqtt://user:{{ password }}@host\"";
    Fault::new(codes::SECRET_CHANGED, "a secret can only be placed, not changed or read", range)
        .help(help.to_owned())
}
