//! What a worker is told and what it wants: user specs, desired states, and the specs of its children.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexSet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::erase::ErasedConfig;
use crate::{ChildName, Condition, Config, DeriveError, Phase, PolicyOverride, Target, VariableBundle, Vars};

/// A worker's config and the variables it sees.
#[derive(Debug)]
pub struct UserSpec<C> {
    /// The typed config, shared with the cell.
    pub config: Arc<C>,
    /// Own variables over inherited ones, and the global ones.
    pub variables: VariableBundle,
}

impl<C> UserSpec<C> {
    /// A spec without variables.
    pub fn new(config: C) -> Self {
        Self { config: Arc::new(config), variables: VariableBundle::default() }
    }
}

impl<C> Clone for UserSpec<C> {
    fn clone(&self) -> Self {
        Self { config: Arc::clone(&self.config), variables: self.variables.clone() }
    }
}

/// What a worker should be: the result of `derive_desired_state`.
#[derive(Debug)]
#[must_use]
pub struct DesiredState<C: ?Sized> {
    /// Running or stopped.
    pub state: Target,
    /// The config to reach; usually the one of the spec.
    pub config: Arc<C>,
    /// The children it wants, in declared order; none for a worker that has no children.
    pub children_specs: Option<ChildrenSpecs>,
}

impl<C> DesiredState<C> {
    /// Running with the spec's config and no children.
    pub fn running(spec: &UserSpec<C>) -> Self {
        Self { state: Target::Running, config: Arc::clone(&spec.config), children_specs: None }
    }

    /// Stopped but resident, with the spec's config and no children.
    pub fn stopped(spec: &UserSpec<C>) -> Self {
        Self { state: Target::Stopped, ..Self::running(spec) }
    }

    /// With these children.
    pub fn with_children(mut self, children: ChildrenSpecs) -> Self {
        self.children_specs = Some(children);
        self
    }
}

/// The name of a kind; borrowed when it comes from code, owned when it comes from a file.
pub type KindName = Cow<'static, str>;

/// A child's config: as it came, or typed once the engine has read it.
#[derive(Clone)]
pub enum ChildConfig {
    /// As rendered; deserialised once per change.
    Raw(Value),
    /// Typed.
    Typed(Arc<dyn ErasedConfig>),
}

impl ChildConfig {
    /// A typed config.
    pub fn typed<C: Config>(config: C) -> Self {
        Self::Typed(Arc::new(config))
    }

    /// As JSON, for the store, the API and diffs.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Raw(value) => value.clone(),
            Self::Typed(config) => config.to_value(),
        }
    }
}

impl fmt::Debug for ChildConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw(value) => write!(f, "Raw({value})"),
            Self::Typed(config) => write!(f, "Typed({})", config.to_value()),
        }
    }
}

impl PartialEq for ChildConfig {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Raw(a), Self::Raw(b)) => a == b,
            (Self::Typed(a), Self::Typed(b)) => a.same(b.as_ref()),
            (Self::Raw(raw), Self::Typed(typed)) | (Self::Typed(typed), Self::Raw(raw)) => {
                typed.is_read_from(raw)
            }
        }
    }
}

/// In which states or phases of the parent a child should run (S-16).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StartWhen {
    /// Always.
    #[default]
    Always,
    /// While the parent is in one of these states.
    States(Vec<String>),
    /// While the parent's own state has one of these phases.
    Phases(Vec<Phase>),
}

impl StartWhen {
    /// Whether a child should run while its parent is in this state.
    #[must_use]
    pub fn holds(&self, state: &str, phase: Phase) -> bool {
        match self {
            Self::Always => true,
            Self::States(states) => states.iter().any(|s| s == state),
            Self::Phases(phases) => phases.contains(&phase),
        }
    }
}

/// One sibling that must be somewhere before this child starts (S-15).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// The sibling's name.
    pub child: ChildName,
    /// What it must have reached.
    #[serde(default = "healthy")]
    pub condition: Condition,
    /// Whether losing the condition later stops this child again.
    #[serde(default)]
    pub stop_when_unmet: bool,
}

const fn healthy() -> Condition {
    Condition::Healthy
}

impl Dependency {
    /// Wait until the sibling is healthy.
    #[must_use]
    pub const fn on(child: ChildName) -> Self {
        Self { child, condition: Condition::Healthy, stop_when_unmet: false }
    }
}

/// Parts of a [`ChildSpec`] that most children don't have; kept apart so that these don't pay for them.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ChildExtras {
    /// In which states of the parent it should run.
    pub start_when: StartWhen,
    /// Siblings it waits for.
    pub depends_on: Vec<Dependency>,
    /// What it overrides of its kind's policy.
    pub policy: PolicyOverride,
}

/// One child as its parent wants it (S-10). Data only.
///
/// ```
/// use fsm_core::{ChildName, ChildSpec, Dependency};
/// let broker = ChildName::try_new("broker").unwrap();
/// let reader = ChildSpec::try_new("reader", "dataflow").unwrap()
///     .with_config(serde_json::json!({"input": {"mqtt": {}}}))
///     .with_dependency(Dependency::on(broker));
/// assert!(reader.enabled);
/// ```
#[derive(Debug, Clone)]
pub struct ChildSpec {
    /// Unique among its siblings.
    pub name: ChildName,
    /// The registered kind.
    pub kind: KindName,
    /// Its config.
    pub config: ChildConfig,
    /// Its own variables; the parent's are merged under them.
    pub variables: Arc<Vars>,
    /// False keeps it resident in Stopped (S-13).
    pub enabled: bool,
    /// What most children don't have.
    pub extras: Option<Box<ChildExtras>>,
    /// What this spec was made from, as a hash of the parent's choice: while it stays equal the parent may hand out the
    /// same `Arc` again without making the spec anew (T-1). Zero means unknown. It takes no part in equality.
    pub fingerprint: u64,
    /// The parent could not make this child: the node is shown as invalid with this error (S-14).
    pub fault: Option<Arc<DeriveError>>,
}

impl ChildSpec {
    /// A child of this kind with an empty config.
    #[must_use]
    pub fn new(name: ChildName, kind: impl Into<KindName>) -> Self {
        Self {
            name,
            kind: kind.into(),
            config: ChildConfig::Raw(Value::Null),
            variables: no_variables(),
            enabled: true,
            extras: None,
            fingerprint: 0,
            fault: None,
        }
    }

    /// A child of this name and kind.
    ///
    /// # Errors
    /// [`NameError`](crate::NameError) when the name breaks the rule.
    pub fn try_new(name: impl AsRef<str>, kind: impl Into<KindName>) -> Result<Self, crate::NameError> {
        Ok(Self::new(ChildName::try_new(name)?, kind))
    }

    /// A child that could not be made; it is shown as invalid, its siblings go on.
    #[must_use]
    pub fn invalid(name: ChildName, kind: impl Into<KindName>, error: DeriveError) -> Self {
        Self { fault: Some(Arc::new(error)), ..Self::new(name, kind) }
    }

    /// With this config, as rendered.
    #[must_use]
    pub fn with_config(mut self, config: Value) -> Self {
        self.config = ChildConfig::Raw(config);
        self
    }

    /// With this typed config.
    #[must_use]
    pub fn with_typed_config<C: Config>(mut self, config: C) -> Self {
        self.config = ChildConfig::typed(config);
        self
    }

    /// With variables of its own.
    #[must_use]
    pub fn with_variables(mut self, variables: Vars) -> Self {
        self.variables = Arc::new(variables);
        self
    }

    /// Enabled or kept in Stopped.
    #[must_use]
    pub fn with_enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Runs only in these states or phases of the parent.
    #[must_use]
    pub fn with_start_when(mut self, start_when: StartWhen) -> Self {
        self.extras_mut().start_when = start_when;
        self
    }

    /// Waits for a sibling.
    #[must_use]
    pub fn with_dependency(mut self, dependency: Dependency) -> Self {
        self.extras_mut().depends_on.push(dependency);
        self
    }

    /// Overrides parts of its kind's policy.
    #[must_use]
    pub fn with_policy(mut self, policy: PolicyOverride) -> Self {
        self.extras_mut().policy = policy;
        self
    }

    /// Must have stopped after this long, else it is forced.
    #[must_use]
    pub fn with_stop_timeout(mut self, timeout: Duration) -> Self {
        self.extras_mut().policy.stop_timeout = Some(timeout.into());
        self
    }

    /// Remembers what it was made from.
    #[must_use]
    pub fn with_fingerprint(mut self, fingerprint: u64) -> Self {
        self.fingerprint = fingerprint;
        self
    }

    /// Siblings it waits for.
    #[must_use]
    pub fn depends_on(&self) -> &[Dependency] {
        self.extras.as_ref().map_or(&[], |extras| &extras.depends_on)
    }

    fn extras_mut(&mut self) -> &mut ChildExtras {
        self.extras.get_or_insert_default()
    }
}

impl PartialEq for ChildSpec {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.kind == other.kind
            && self.enabled == other.enabled
            && (Arc::ptr_eq(&self.variables, &other.variables) || self.variables == other.variables)
            && self.extras == other.extras
            && self.fault == other.fault
            && self.config == other.config
    }
}

/// The one empty map that all children without variables share.
fn no_variables() -> Arc<Vars> {
    static NONE: std::sync::OnceLock<Arc<Vars>> = std::sync::OnceLock::new();
    Arc::clone(NONE.get_or_init(Arc::default))
}

/// A fast hasher with a fixed seed: the order of nothing depends on it, and names come from the operator's own config.
pub type NameHasher = foldhash::fast::FixedState;

/// So many specs are shared and copied together: replacing one copies this many pointers, cloning shares runs of them.
const RUN: usize = 256;

/// The children a worker wants, in declared order, each name once.
///
/// Unchanged children keep their `Arc`, so a change is found by comparing pointers. A clone shares everything until one of
/// both changes, so that changing one child among many costs little.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ChildrenSpecs {
    names: Arc<IndexSet<ChildName, NameHasher>>,
    /// The specs beside their names, in runs of [`RUN`].
    runs: Vec<Arc<Vec<Arc<ChildSpec>>>>,
}

/// Two children with one name (S-10).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name `{name}` is declared twice among these children: rename one of them")]
pub struct DuplicateChild {
    /// The name.
    pub name: ChildName,
}

impl ChildrenSpecs {
    /// No children.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No children, with room for this many.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            names: Arc::new(IndexSet::with_capacity_and_hasher(capacity, NameHasher::default())),
            runs: Vec::with_capacity(capacity.div_ceil(RUN)),
        }
    }

    /// Adds a child at the end.
    ///
    /// # Errors
    /// [`DuplicateChild`] when the name is taken; nothing is changed then.
    pub fn try_add(&mut self, spec: impl Into<Arc<ChildSpec>>) -> Result<(), DuplicateChild> {
        let spec = spec.into();
        // Asked first: a set that is shared isn't copied in vain.
        if let Some(name) = self.names.get(&spec.name) {
            return Err(DuplicateChild { name: name.clone() });
        }
        Arc::make_mut(&mut self.names).insert(spec.name.clone());
        match self.runs.last_mut().filter(|run| run.len() < RUN) {
            Some(run) => Arc::make_mut(run).push(spec),
            None => self.runs.push(Arc::new(vec![spec])),
        }
        Ok(())
    }

    /// The specs in this order.
    ///
    /// # Errors
    /// [`DuplicateChild`] with the first name that comes twice.
    pub fn try_from_iter(specs: impl IntoIterator<Item = ChildSpec>) -> Result<Self, DuplicateChild> {
        let mut all = Self::new();
        for spec in specs {
            all.try_add(spec)?;
        }
        Ok(all)
    }

    /// The child with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<ChildSpec>> {
        self.at(self.names.get_index_of(name)?)
    }

    /// The child at this place, in declared order.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<&Arc<ChildSpec>> {
        self.runs.get(index / RUN)?.get(index % RUN)
    }

    /// Puts another spec of the same name in its place. Gives it back when the name at `index` is another one.
    ///
    /// # Errors
    /// The spec itself, unchanged.
    pub fn replace_at(&mut self, index: usize, spec: Arc<ChildSpec>) -> Result<(), Arc<ChildSpec>> {
        match self.names.get_index(index) {
            Some(name) if *name == spec.name => {
                Arc::make_mut(&mut self.runs[index / RUN])[index % RUN] = spec;
                Ok(())
            }
            Some(_) | None => Err(spec),
        }
    }

    /// The children in declared order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<ChildSpec>> + DoubleEndedIterator {
        (0..self.len()).map(|index| &self.runs[index / RUN][index % RUN])
    }

    /// Places and values, for who replaces specs by others of the same name. Ends all sharing with clones.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Arc<ChildSpec>> {
        self.runs.iter_mut().flat_map(|run| Arc::make_mut(run).iter_mut())
    }

    /// The places whose spec is not the very same as in `before`, in order. What both share is not looked at.
    pub fn differing<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = usize> + 'a {
        let differs = |run: usize| before.runs.get(run).is_none_or(|old| !Arc::ptr_eq(old, &self.runs[run]));
        let same = |old: Option<&Arc<ChildSpec>>, new| old.is_some_and(|old| Arc::ptr_eq(old, new));
        (0..self.runs.len()).filter(move |run| differs(*run)).flat_map(move |run| {
            let old = before.runs.get(run);
            let specs = self.runs[run].iter().enumerate();
            let differ = specs.filter(move |(at, new)| !same(old.and_then(|old| old.get(*at)), new));
            differ.map(move |(at, _)| run * RUN + at)
        })
    }

    /// Whether both have the same names in the same order.
    #[must_use]
    pub fn has_names_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.names, &other.names)
            || (self.len() == other.len() && self.names.iter().zip(other.names.iter()).all(|(a, b)| a == b))
    }

    /// Gives back the room that adding children one by one left over.
    pub fn shrink_to_fit(&mut self) {
        self.runs.shrink_to_fit();
        // What is shared was shrunk by its first holder.
        if let Some(names) = Arc::get_mut(&mut self.names) {
            names.shrink_to_fit();
        }
        if let Some(last) = self.runs.last_mut().and_then(Arc::get_mut) {
            last.shrink_to_fit();
        }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}
