//! The minijinja side: one strict environment, and values that cross into it and back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use indexmap::IndexMap;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{DynObject, Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value as Mini};
use serde_json::{Map, Value};

use super::context::Input;
use crate::filters::{self, MAX_TEXT};
use crate::location::Level;
use crate::secret::is_secret;

/// T-1: no template needs more instructions; a loop over 10 000 rows does.
pub const DEFAULT_FUEL: u64 = 100_000;

/// Deepest recursion inside minijinja; its own default of 500 is tuned to the stack of a main thread.
const RECURSION_LIMIT: usize = 100;

/// Deepest nesting of a result; deeper than any document that can be read.
const MAX_DEPTH: usize = 128;

/// Most elements of a list that a template makes: `range` stops at 100 000 by itself.
const MAX_ITEMS: usize = 200_000;

/// The environment for a fuel limit. There are few different limits in a process (one, normally), and compiled
/// expressions borrow from it, so each is made once and stays.
pub(super) fn environment(fuel: u64) -> &'static Environment<'static> {
    static DEFAULT: LazyLock<Environment<'static>> = LazyLock::new(|| build(DEFAULT_FUEL));
    static OTHERS: Mutex<BTreeMap<u64, &'static Environment<'static>>> = Mutex::new(BTreeMap::new());
    if fuel == DEFAULT_FUEL {
        return &DEFAULT;
    }
    let mut others = OTHERS.lock().unwrap_or_else(PoisonError::into_inner);
    others.entry(fuel).or_insert_with(|| Box::leak(Box::new(build(fuel))))
}

fn build(fuel: u64) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_fuel(Some(fuel));
    env.set_recursion_limit(RECURSION_LIMIT);
    // Names and ranges in errors; costs nothing while there is none.
    env.set_debug(true);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    // The line break at the end of a block scalar belongs to the text.
    if let Ok(syntax) = SyntaxConfig::builder().keep_trailing_newline(true).build() {
        env.set_syntax(syntax);
    }
    env.set_formatter(emit);
    filters::install(&mut env);
    env
}

/// `{{ … }}` inside a scalar with statements; elsewhere expressions are put together outside of minijinja.
fn emit(out: &mut Output<'_>, _: &mut State<'_, '_>, value: &Mini) -> Result<(), Error> {
    if let Some(secret) = value.downcast_object_ref::<SecretValue>() {
        secret.log.touch();
        return Ok(());
    }
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    let value = from_mini(value).map_err(|error| Error::new(ErrorKind::InvalidOperation, error.detail()))?;
    let mut text = String::new();
    append(&mut text, &value).map_err(|why| Error::new(ErrorKind::InvalidOperation, why))?;
    out.write_str(&text)?;
    Ok(())
}

/// Writes a value as a part of a text.
pub(super) fn append(text: &mut String, value: &Value) -> Result<(), &'static str> {
    match value {
        Value::String(part) => text.push_str(part),
        Value::Null => return Err("null has no form inside a text"),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            text.push_str(&value.to_string());
        }
    }
    if text.len() > MAX_TEXT { Err("the text is larger than 16 MiB") } else { Ok(()) }
}

/// What happened inside an evaluation.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) used: Mutex<Vec<Input>>,
    pub(super) missing: Mutex<Vec<String>>,
    secret_touched: AtomicBool,
}

impl Log {
    fn used(&self, input: Input) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if !used.contains(&input) {
            used.push(input);
        }
    }

    fn touch(&self) {
        self.secret_touched.store(true, Ordering::Relaxed);
    }

    /// Whether a secret was read as a text since the last question.
    pub(super) fn take_touched(&self) -> bool {
        self.secret_touched.swap(false, Ordering::Relaxed)
    }

    /// The names that were looked up in vain since the last question.
    pub(super) fn take_missing(&self) -> Vec<String> {
        std::mem::take(&mut *self.missing.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The inputs used since the last question.
    pub(super) fn take_used(&self) -> Vec<Input> {
        std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The names a template sees, as minijinja looks them up.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) roots: Vec<(Arc<str>, Option<Input>, Option<Mini>)>,
    pub(super) log: Arc<Log>,
}

impl Object for Scope {
    fn get_value(self: &Arc<Self>, key: &Mini) -> Option<Mini> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Mini> {
        let (_, input, value) = self.roots.iter().find(|(name, _, _)| **name == *key)?;
        if let Some(input) = input {
            self.log.used(input.clone());
        }
        if value.is_none() {
            self.log.missing.lock().unwrap_or_else(PoisonError::into_inner).push(key.to_owned());
        }
        value.clone()
    }
}

/// `global`, `internal` or `location`: says which of its parts are used.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) values: IndexMap<String, Value>,
    /// What a use of all of it is.
    pub(super) whole: Option<Input>,
    pub(super) log: Arc<Log>,
}

impl Group {
    fn input(&self, key: &str) -> Option<Input> {
        match self.name {
            "global" => Some(Input::Global(key.into())),
            "internal" => super::context::INTERNAL.contains(&key).then(|| Input::Internal(key.into())),
            _ => Level::parse(key).map(Input::Location),
        }
    }
}

impl Object for Group {
    fn get_value(self: &Arc<Self>, key: &Mini) -> Option<Mini> {
        let key = match key.as_str() {
            Some(text) => text.to_owned(),
            None => key.as_usize()?.to_string(),
        };
        self.get_value_by_str(&key)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Mini> {
        if let Some(input) = self.input(key) {
            self.log.used(input);
        }
        // Levels have two names.
        let canonical = (self.name == "location").then(|| Level::parse(key).map(|level| level.to_string()));
        let value = self.values.get(canonical.flatten().as_deref().unwrap_or(key));
        if value.is_none() {
            self.log
                .missing
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(format!("{}.{key}", self.name));
        }
        value.map(|value| to_mini(value, &self.log))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match &self.whole {
            Some(whole) => self.log.used(whole.clone()),
            None => {
                self.values.keys().filter_map(|key| self.input(key)).for_each(|input| self.log.used(input))
            }
        }
        Enumerator::Values(self.values.keys().map(|key| Mini::from(key.as_str())).collect())
    }
}

/// A secret inside minijinja: it can be passed on, not read.
#[derive(Debug)]
pub(super) struct SecretValue {
    reference: Value,
    log: Arc<Log>,
}

impl Object for SecretValue {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn custom_cmp(self: &Arc<Self>, _: &DynObject) -> Option<std::cmp::Ordering> {
        self.log.touch();
        None
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.log.touch();
        f.write_str(crate::secret::MASK)
    }
}

pub(super) fn to_mini(value: &Value, log: &Arc<Log>) -> Mini {
    match value {
        Value::Null => Mini::from(()),
        Value::Bool(flag) => Mini::from(*flag),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(n), _) => Mini::from(n),
            (None, Some(n)) => Mini::from(n),
            (None, None) => Mini::from(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Mini::from(text.as_str()),
        Value::Array(items) => Mini::from(items.iter().map(|item| to_mini(item, log)).collect::<Vec<_>>()),
        Value::Object(_) if is_secret(value) => {
            Mini::from_object(SecretValue { reference: value.clone(), log: Arc::clone(log) })
        }
        Value::Object(map) => {
            Mini::from_pairs(map.iter().map(|(k, v)| (Mini::from(k.as_str()), to_mini(v, log))))
        }
    }
}

/// Why a result can't be held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unheld {
    Undefined,
    Number,
    Key,
    Kind(ValueKind),
    TooLarge,
}

impl Unheld {
    pub(super) fn detail(self) -> String {
        match self {
            Self::Undefined => "a part of the result is undefined".into(),
            Self::Number => "the result is a number that JSON can't hold".into(),
            Self::Key => "the result is a mapping with a key that is not a text".into(),
            Self::Kind(kind) => format!("the result is a {kind}, which JSON can't hold"),
            Self::TooLarge => "the result is too large or nested too deep".into(),
        }
    }
}

pub(super) fn from_mini(value: &Mini) -> Result<Value, Unheld> {
    let mut budget = MAX_ITEMS;
    convert(value, 0, &mut budget)
}

fn convert(value: &Mini, depth: usize, budget: &mut usize) -> Result<Value, Unheld> {
    *budget = budget.checked_sub(1).ok_or(Unheld::TooLarge)?;
    if depth > MAX_DEPTH {
        return Err(Unheld::TooLarge);
    }
    match value.kind() {
        ValueKind::Undefined => Err(Unheld::Undefined),
        ValueKind::None => Ok(Value::Null),
        ValueKind::Bool => Ok(Value::Bool(value.is_true())),
        ValueKind::Number if value.is_integer() => {
            let signed = value.as_i64().map(Value::from);
            let unsigned = || u64::try_from(value.clone()).ok().map(Value::from);
            signed.or_else(unsigned).ok_or(Unheld::Number)
        }
        ValueKind::Number => {
            let float = f64::try_from(value.clone()).map_err(|_| Unheld::Number)?;
            serde_json::Number::from_f64(float).map(Value::Number).ok_or(Unheld::Number)
        }
        ValueKind::String => {
            let text = value.as_str().unwrap_or_default();
            if text.len() > MAX_TEXT { Err(Unheld::TooLarge) } else { Ok(Value::String(text.to_owned())) }
        }
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter().map_err(|_| Unheld::Kind(value.kind()))?;
            items
                .map(|item| convert(&item, depth + 1, budget))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::Array)
        }
        ValueKind::Map => {
            let mut map = Map::new();
            for key in value.try_iter().map_err(|_| Unheld::Kind(value.kind()))? {
                let item = value.get_item(&key).map_err(|_| Unheld::Kind(ValueKind::Map))?;
                let name = key.as_str().map(str::to_owned);
                let name = name.or_else(|| key.is_integer().then(|| key.to_string())).ok_or(Unheld::Key)?;
                map.insert(name, convert(&item, depth + 1, budget)?);
            }
            Ok(Value::Object(map))
        }
        ValueKind::Plain => match value.downcast_object_ref::<SecretValue>() {
            Some(secret) => Ok(secret.reference.clone()),
            None => Err(Unheld::Kind(ValueKind::Plain)),
        },
        kind @ (ValueKind::Bytes | ValueKind::Invalid | _) => Err(Unheld::Kind(kind)),
    }
}
