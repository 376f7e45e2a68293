//! From a document to a tree in which only what must be rendered is left to do.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use serde_json::Value;

use super::Template;
use super::context::Input;
use super::engine::DEFAULT_FUEL;
use super::fault::Fault;
use super::hash::ContentHash;
use super::parameters::Parameters;
use super::scalar::{Names, Scalar};
use super::split::has_mark;
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::document::{Entry, Kind, Node, Path, Segment};

/// How a template is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompileOptions {
    /// Most instructions of one scalar.
    pub fuel: u64,
    /// Keys whose texts are jq programs: a template mark there is an error, since jq gets variables as data (T-3).
    pub jq_keys: BTreeSet<String>,
    /// Whether the key `parameters` of the outermost mapping declares parameters, or is a key like any other.
    pub parameters: bool,
}

impl Default for CompileOptions {
    fn default() -> Self {
        let jq_keys = ["expr", "filter", "jq", "map"].map(str::to_owned).into();
        Self { fuel: DEFAULT_FUEL, jq_keys, parameters: true }
    }
}

impl CompileOptions {
    /// Sets the most instructions of one scalar.
    #[must_use]
    pub fn with_fuel(mut self, fuel: u64) -> Self {
        self.fuel = fuel;
        self
    }

    /// Sets the keys whose texts are jq programs.
    #[must_use]
    pub fn with_jq_keys(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.jq_keys = keys.into_iter().map(Into::into).collect();
        self
    }

    /// Takes `parameters` as a key like any other.
    #[must_use]
    pub fn without_parameters(mut self) -> Self {
        self.parameters = false;
        self
    }
}

pub(super) struct Compiled {
    pub(super) hash: u128,
    pub(super) source: Value,
    pub(super) parameters: Parameters,
    pub(super) body: Tree,
    pub(super) roots: BTreeSet<String>,
    pub(super) users: BTreeSet<String>,
    /// The few sets of inputs that renders of it used: thousands of results share one.
    pub(super) input_sets: Mutex<Vec<Arc<[Input]>>>,
    /// The last document it was read from.
    origin: Mutex<Weak<Node>>,
}

pub(super) enum Tree {
    /// Nothing to render in the whole subtree.
    Constant(Value),
    Scalar(Box<Scalar>),
    Sequence(Vec<Tree>),
    Mapping(Vec<(Key, Tree)>),
}

pub(super) enum Key {
    Constant(Box<str>),
    Scalar(Box<Scalar>),
}

impl Compiled {
    pub(super) fn is_constant(&self) -> bool {
        matches!(self.body, Tree::Constant(_))
    }
}

/// Every compiled template that is alive, so that equal content is compiled once.
static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Registry {
    alive: HashMap<u128, Weak<Compiled>>,
    /// Size at which dead entries are dropped next.
    sweep_at: usize,
}

impl Registry {
    fn find(&self, hash: u128) -> Option<Arc<Compiled>> {
        self.alive.get(&hash)?.upgrade()
    }

    fn add(&mut self, compiled: &Arc<Compiled>) {
        // Sweeping at twice the live size costs a constant per insertion.
        if self.alive.len() >= self.sweep_at.max(64) {
            self.alive.retain(|_, weak| weak.strong_count() > 0);
            self.sweep_at = self.alive.len() * 2;
        }
        self.alive.insert(compiled.hash, Arc::downgrade(compiled));
    }
}

pub(super) fn find(value: &Value, options: &CompileOptions) -> Option<Template> {
    let compiled = registry(|registry| registry.find(hash_of(value, options)))?;
    let origin = compiled.origin.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    Some(Template { compiled, origin })
}

fn registry<T>(f: impl FnOnce(&mut Registry) -> T) -> T {
    f(&mut REGISTRY.lock().unwrap_or_else(PoisonError::into_inner))
}

fn hash_of(value: &Value, options: &CompileOptions) -> u128 {
    let half = |mut hash: ContentHash| {
        hash.value(value);
        hash.pair(options.fuel, u64::from(options.parameters));
        options.jq_keys.iter().for_each(|key| hash.text(key));
        u128::from(hash.finish())
    };
    half(ContentHash::new()) << 64 | half(ContentHash::second())
}

pub(super) fn compile(node: &Node, options: &CompileOptions) -> Result<Template, Diagnostics> {
    let source = node.to_value();
    let hash = hash_of(&source, options);
    let origin = Arc::new(node.clone());
    let known = registry(|registry| registry.find(hash));
    let compiled = match known {
        Some(compiled) => compiled,
        None => {
            let compiled = Arc::new(build(node, source, hash, options)?);
            registry(|registry| registry.add(&compiled));
            compiled
        }
    };
    *compiled.origin.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&origin);
    Ok(Template { compiled, origin: Some(origin) })
}

fn build(node: &Node, source: Value, hash: u128, options: &CompileOptions) -> Result<Compiled, Diagnostics> {
    let mut compiler = Compiler {
        options,
        names: Names::default(),
        found: crate::secret::check_secrets(node),
        path: Path::default(),
    };
    let declaration = node.entry("parameters").filter(|_| options.parameters);
    let parameters = Parameters::parse(declaration, &mut compiler.found);
    let body = match node.as_mapping() {
        Some(map) => {
            let skip = |key: &&str| declaration.is_some() && *key == "parameters";
            compiler.mapping(map.iter().filter(|(key, _)| !skip(&key.as_str())))
        }
        None => compiler.node(node, false),
    };
    let Names { roots, users } = compiler.names;
    let compiled = Compiled {
        hash,
        source,
        parameters,
        body,
        roots,
        users,
        input_sets: Mutex::default(),
        origin: Mutex::default(),
    };
    compiler.found.into_result(compiled)
}

struct Compiler<'a> {
    options: &'a CompileOptions,
    names: Names,
    found: Diagnostics,
    path: Path,
}

impl Compiler<'_> {
    fn node(&mut self, node: &Node, jq: bool) -> Tree {
        match &node.kind {
            Kind::Scalar(scalar) => match scalar.value.as_str().filter(|text| has_mark(text)) {
                None => Tree::Constant(scalar.value.clone()),
                Some(_) if jq => {
                    let help = "use the variable as data: `$vars.ip`, `$location_topic`";
                    self.found.push(
                        Diagnostic::error(codes::TEMPLATE_IN_JQ, "a template mark stands in a jq program")
                            .at(node.place().clone())
                            .path(self.path.to_string())
                            .help(help),
                    );
                    Tree::Constant(Value::Null)
                }
                Some(text) => match self.scalar(text, |range| node.locate(range)) {
                    Some(scalar) => Tree::Scalar(Box::new(scalar)),
                    None => Tree::Constant(Value::Null),
                },
            },
            Kind::Sequence(items) => {
                let items: Vec<_> = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.at(Segment::Index(index), |compiler| compiler.node(item, jq)))
                    .collect();
                fold_sequence(items)
            }
            Kind::Mapping(map) => self.mapping(map.iter()),
        }
    }

    fn mapping<'n>(&mut self, entries: impl Iterator<Item = (&'n String, &'n Entry)>) -> Tree {
        let mut all = Vec::new();
        for (name, entry) in entries {
            let key = match has_mark(name) {
                false => Key::Constant(name.as_str().into()),
                true => {
                    let place = &entry.key_place;
                    match self.scalar(name, |range| crate::document::locate(place, name, range)) {
                        Some(scalar) => Key::Scalar(Box::new(scalar)),
                        None => Key::Constant(name.as_str().into()),
                    }
                }
            };
            let jq = self.options.jq_keys.contains(name);
            let value = self.at(Segment::Key(name.clone()), |compiler| compiler.node(&entry.value, jq));
            all.push((key, value));
        }
        fold_mapping(all)
    }

    fn at<T>(&mut self, segment: Segment, f: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(segment);
        let out = f(self);
        self.path.pop();
        out
    }

    fn scalar(
        &mut self,
        text: &str,
        locate: impl Fn(std::ops::Range<usize>) -> crate::source::Place,
    ) -> Option<Scalar> {
        match Scalar::compile(text, self.options.fuel, &mut self.names) {
            Ok(scalar) => Some(scalar),
            Err(faults) => {
                for fault in faults {
                    let place = locate(fault.range.clone());
                    let error = Fault::into_diagnostic(fault).at(place);
                    self.found.push(if self.path.is_root() {
                        error
                    } else {
                        error.path(self.path.to_string())
                    });
                }
                None
            }
        }
    }
}

fn fold_sequence(items: Vec<Tree>) -> Tree {
    if !items.iter().all(|item| matches!(item, Tree::Constant(_))) {
        return Tree::Sequence(items);
    }
    Tree::Constant(items.into_iter().filter_map(constant).collect())
}

fn fold_mapping(entries: Vec<(Key, Tree)>) -> Tree {
    let fixed = |(key, tree): &(Key, Tree)| matches!((key, tree), (Key::Constant(_), Tree::Constant(_)));
    if !entries.iter().all(fixed) {
        return Tree::Mapping(entries);
    }
    let entries = entries.into_iter().filter_map(|(key, tree)| match key {
        Key::Constant(key) => Some((String::from(key), constant(tree)?)),
        Key::Scalar(_) => None,
    });
    Tree::Constant(Value::Object(entries.collect()))
}

fn constant(tree: Tree) -> Option<Value> {
    match tree {
        Tree::Constant(value) => Some(value),
        Tree::Scalar(_) | Tree::Sequence(_) | Tree::Mapping(_) => None,
    }
}
