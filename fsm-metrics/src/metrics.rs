//! The metrics of one engine: which scopes exist, and who still needs them. A registry is passed in, never global (M-6).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fsm_core::Moment;
use prometheus::Registry;

use crate::block::Block;
use crate::catalogue::{
    BuildMetric, EngineMetric, ExecMetric, FlowMetric, NodeMetric, PoolMetric, ProcessMetric, StoreMetric,
    SubscriberMetric, ToolMetric, catalogue,
};
use crate::collector::Registered;
use crate::def::{Group, Metric};
use crate::layout::{INVALID, Layout, OTHER};
use crate::own::{MetricSpecError, Own, OwnLayout};
use crate::paths::{PerPath, Places};
use crate::scope::{Key, Lease, Scope};
use crate::shape::KindShape;

/// Pools and subscribers have names that come from code, a handful of them; the cap only keeps a mistake from eating memory.
const MAX_NAMES: usize = 100;

/// What of the metrics can be configured (`metrics:` in the config).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricsConfig {
    /// Which nodes get series of their own beside those of their kind.
    pub per_path: PerPath,
    /// How many paths, and how many flows, get series of their own; the rest share `_other`.
    pub max_paths: usize,
    /// How many tools get series of their own; the rest share `_other`.
    pub max_tools: usize,
    /// How long the series of a kind without nodes stay. Two scrapes at the usual interval of 15 s: what the last node did can
    /// be seen, and a kind whose nodes come and go does not start from 0 each time.
    pub keep_removed_kind: Duration,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            per_path: PerPath::Off,
            max_paths: 500,
            max_tools: 200,
            keep_removed_kind: Duration::from_secs(30),
        }
    }
}

impl MetricsConfig {
    /// With series of their own for these nodes.
    #[must_use]
    pub fn with_per_path(mut self, per_path: PerPath) -> Self {
        self.per_path = per_path;
        self
    }

    /// With another cap on paths and flows.
    #[must_use]
    pub const fn with_max_paths(mut self, max_paths: usize) -> Self {
        self.max_paths = max_paths;
        self
    }

    /// With another cap on tools.
    #[must_use]
    pub const fn with_max_tools(mut self, max_tools: usize) -> Self {
        self.max_tools = max_tools;
        self
    }

    /// With another time for which the series of a kind without nodes stay.
    #[must_use]
    pub const fn with_keep_removed_kind(mut self, keep: Duration) -> Self {
        self.keep_removed_kind = keep;
        self
    }
}

/// A kind whose metrics were checked; made by [`Metrics::register`]. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Kind(pub(crate) Arc<KindInner>);

#[derive(Debug)]
pub(crate) struct KindInner {
    pub(crate) shape: KindShape,
    layout: Arc<Layout>,
    pub(crate) own: Option<Arc<OwnLayout>>,
}

impl Kind {
    /// The kind's name, the label `supervisor_id`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.shape.kind
    }
}

/// The metrics can't be set up, or a kind's can't be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// A metric that the kind declares itself is wrong.
    #[error("the metrics of kind `{kind}` can't be exposed")]
    Spec {
        /// The kind.
        kind: &'static str,
        /// What is wrong.
        source: MetricSpecError,
    },
    /// The kind was registered before, with other states, actions or metrics.
    #[error(
        "kind `{kind}` is registered already with other states, actions or metrics: give one of the two another name"
    )]
    OtherShape {
        /// The kind.
        kind: &'static str,
    },
    /// The registry holds metrics of these names already.
    #[error("the registry refuses the metrics: pass each engine a registry of its own")]
    Registry(#[source] prometheus::Error),
}

/// The metrics of one engine. Cloning is cheap; all clones are the same metrics.
///
/// ```
/// use fsm_metrics::{KindShape, Metrics, MetricsConfig, PoolMetrics, TickBatch};
/// use fsm_core::{Moment, Phase};
///
/// let metrics = Metrics::try_new(MetricsConfig::default(), &prometheus::Registry::new())?;
/// let hello = metrics.register(KindShape::new("hello").with_states([("Stopped", Phase::Stopped)]))?;
///
/// let mut batch = TickBatch::new(&metrics);
/// let scope = batch.enter(&hello, "/edge-01/hello");
/// batch.entered(scope, Some(0), Phase::Stopped);
/// batch.flush(Moment::ZERO);
///
/// let text = metrics.encode();
/// assert!(text.contains(r#"fsm_workers{supervisor_id="hello",path="",state="Stopped",phase="stopped"} 1"#));
/// # Ok::<(), fsm_metrics::MetricsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(crate) inner: Arc<Inner>,
    registered: Arc<Registered>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    config: MetricsConfig,
    tables: Mutex<Tables>,
    /// Whether a kind lost its last node, so that a tick without such a kind needs no lock.
    sweep_due: AtomicBool,
}

#[derive(Debug, Default)]
struct Tables {
    kinds: BTreeMap<&'static str, Kind>,
    own_names: BTreeSet<String>,
    layouts: BTreeMap<Group, Arc<Layout>>,
    scopes: BTreeMap<Key, Entry>,
    places: BTreeMap<Group, Places>,
    /// Kinds without nodes, and since when as far as a sweep saw.
    emptied: BTreeMap<&'static str, Option<Moment>>,
    /// What moved in series that are gone.
    moved: BTreeSet<&'static str>,
}

#[derive(Debug)]
struct Entry {
    block: Arc<Block>,
    own: Option<Arc<Own>>,
    users: usize,
}

/// Series that are exposed together: the same metrics in several scopes.
pub(crate) struct Section {
    pub(crate) families: usize,
    pub(crate) blocks: Vec<Arc<Block>>,
}

impl Metrics {
    /// Metrics that are gathered by this registry.
    ///
    /// # Errors
    /// [`MetricsError::Registry`] when the registry holds metrics of these names already, such as those of another engine.
    pub fn try_new(config: MetricsConfig, registry: &Registry) -> Result<Self, MetricsError> {
        let inner = Arc::new(Inner { config, tables: Mutex::default(), sweep_due: AtomicBool::new(false) });
        let registered = Arc::new(Registered::new(registry.clone()));
        registered.add_catalogue(&inner).map_err(MetricsError::Registry)?;
        Ok(Self { inner, registered })
    }

    /// Adds a kind. The same kind with the same shape may be added again.
    ///
    /// # Errors
    /// [`MetricsError`] when its own metrics can't be exposed, or another kind of this name is there.
    pub fn register(&self, shape: KindShape) -> Result<Kind, MetricsError> {
        let kind = shape.kind;
        let mut tables = self.inner.tables();
        if let Some(known) = tables.kinds.get(kind) {
            let same = known.0.shape == shape;
            return if same { Ok(known.clone()) } else { Err(MetricsError::OtherShape { kind }) };
        }
        let refuse = |source| MetricsError::Spec { kind, source };
        let own = OwnLayout::try_new(&shape).map_err(refuse)?;
        let names: Vec<String> = own.families().map(|(name, ..)| name.to_owned()).collect();
        if let Some(name) = names.iter().find(|name| tables.own_names.contains(*name)) {
            // `a_b` with `c` and `a` with `b_c` would meet.
            let ends = |spec: &&fsm_core::MetricSpec| name.ends_with(spec.name);
            let metric = shape.own.iter().find(ends).map_or("", |spec| spec.name);
            return Err(refuse(MetricSpecError::Taken { kind, metric, name: name.clone() }));
        }
        let own = (!names.is_empty()).then(|| Arc::new(own));
        if let Some(own) = &own {
            self.registered.add_own(&self.inner, kind, own).map_err(MetricsError::Registry)?;
        }
        tables.own_names.extend(names);
        let layout = Arc::new(Layout::of(NodeMetric::DEFS, &shape));
        let known = Kind(Arc::new(KindInner { shape, layout, own }));
        tables.kinds.insert(kind, known.clone());
        Ok(known)
    }

    /// The series for a node of this kind at this path.
    #[must_use]
    pub fn node(&self, kind: &Kind, path: &str) -> Scope<NodeMetric> {
        let mut tables = self.inner.tables();
        let label = tables.path_label(&self.inner.config, path);
        let key = Key::Node(kind.name(), Arc::clone(&label));
        tables.emptied.remove(kind.name());
        if let Some(entry) = tables.scopes.get_mut(&key) {
            entry.users += 1;
            let (block, own) = (Arc::clone(&entry.block), entry.own.clone());
            tables.give_back(Group::Node, &label);
            return self.scope(key, block, own);
        }
        let labels: Vec<(&'static str, Arc<str>)> =
            vec![("supervisor_id", Arc::from(kind.name())), ("path", label)];
        let own = kind.0.own.as_ref().map(|own| Arc::new(Own::new(own, labels.clone())));
        let block = Arc::new(Block::new(Arc::clone(&kind.0.layout), labels));
        tables.scopes.insert(key.clone(), Entry { block: Arc::clone(&block), own: own.clone(), users: 1 });
        self.scope(key, block, own)
    }

    /// The series of the engine as a whole.
    #[must_use]
    pub fn engine(&self) -> Scope<EngineMetric> {
        self.named(&[])
    }

    /// The series of a pool of the executor.
    #[must_use]
    pub fn pool(&self, name: &str) -> Scope<PoolMetric> {
        self.named(&[name])
    }

    /// The series of the store.
    #[must_use]
    pub fn store(&self) -> Scope<StoreMetric> {
        self.named(&[])
    }

    /// The series of a subscriber of events.
    #[must_use]
    pub fn subscriber(&self, name: &str) -> Scope<SubscriberMetric> {
        self.named(&[name])
    }

    /// The series of a dataflow, named by the path of its node.
    #[must_use]
    pub fn flow(&self, path: &str) -> Scope<FlowMetric> {
        self.named(&[path])
    }

    /// The series of a tool, named by its id.
    #[must_use]
    pub fn tool(&self, id: &str) -> Scope<ToolMetric> {
        self.named(&[id])
    }

    /// The series of the calls of tools that nobody registered, whatever their ids were.
    #[must_use]
    pub fn unknown_tools(&self) -> Scope<ToolMetric> {
        self.named(&[INVALID])
    }

    /// The series of the processes that this program starts.
    #[must_use]
    pub fn processes(&self) -> Scope<ProcessMetric> {
        self.named(&[])
    }

    /// The series of executions.
    #[must_use]
    pub fn executions(&self) -> Scope<ExecMetric> {
        self.named(&[])
    }

    /// Says which program runs, for as long as these metrics live.
    pub fn build_info(&self, version: &str, commit: &str) {
        let scope: Scope<BuildMetric> = self.named(&[version, commit]);
        scope.gauge(BuildMetric::BuildInfo, &[]).set(1.0);
        // One user more than there are scopes, so that none of them is the last.
        if let Some(entry) = self.inner.tables().scopes.get_mut(scope.key()) {
            entry.users += 1;
        }
    }

    /// Removes the series of kinds that have had no node for a while (M-3). Costs one load when there is none; a
    /// [`TickBatch`](crate::TickBatch) does it at each flush.
    pub fn sweep(&self, now: Moment) {
        if self.inner.sweep_due.load(Relaxed) {
            self.inner.sweep(now);
        }
    }

    /// The metrics of the catalogue that no production code moved since the start: for the test that runs the scenarios.
    #[must_use]
    pub fn never_moved(&self) -> Vec<&'static str> {
        let mut moved = self.inner.tables().moved.clone();
        for section in self.inner.sections() {
            for block in &section.blocks {
                moved.extend(moved_in(block));
            }
        }
        catalogue().map(crate::MetricDef::name).filter(|name| !moved.contains(name)).collect()
    }

    /// The registry that was passed in.
    pub(crate) fn registry(&self) -> &Registry {
        self.registered.registry()
    }

    fn named<M: Metric>(&self, values: &[&str]) -> Scope<M> {
        let mut tables = self.inner.tables();
        let group = M::GROUP;
        let cap = match group {
            Group::Flow => self.inner.config.max_paths,
            Group::Tool => self.inner.config.max_tools,
            Group::Node
            | Group::Engine
            | Group::Build
            | Group::Pool
            | Group::Store
            | Group::Subscriber
            | Group::Process
            | Group::Exec => MAX_NAMES,
        };
        let places = tables.places.entry(group).or_default();
        let place =
            |value: &&str| if *value == INVALID { Arc::from(INVALID) } else { places.take(value, cap) };
        let labels: Vec<Arc<str>> = values.iter().map(place).collect();
        let key = Key::Named(group, labels.clone());
        if let Some(entry) = tables.scopes.get_mut(&key) {
            entry.users += 1;
            let block = Arc::clone(&entry.block);
            labels.iter().for_each(|label| tables.give_back(group, label));
            return self.scope(key, block, None);
        }
        let layout = tables.layouts.entry(group);
        let layout = Arc::clone(layout.or_insert_with(|| Arc::new(Layout::of(M::DEFS, &KindShape::new("")))));
        let block = Arc::new(Block::new(layout, group.labels().iter().copied().zip(labels).collect()));
        tables.scopes.insert(key.clone(), Entry { block: Arc::clone(&block), own: None, users: 1 });
        self.scope(key, block, None)
    }

    fn scope<M: Metric>(&self, key: Key, block: Arc<Block>, own: Option<Arc<Own>>) -> Scope<M> {
        Scope::new(Lease { home: Arc::downgrade(&self.inner), key, block, own })
    }

    /// Whether nodes of one kind may have different series, so that a node's path matters.
    pub(crate) fn is_per_path(&self) -> bool {
        self.inner.config.per_path != PerPath::Off
    }
}

impl Inner {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        // A panic while the tables are locked leaves them whole: each change is one insert or remove.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A user of a scope went away.
    pub(crate) fn release(&self, key: &Key) {
        let mut tables = self.tables();
        let Some(entry) = tables.scopes.get_mut(key) else { return };
        entry.users -= 1;
        if entry.users > 0 {
            return;
        }
        let Key::Node(kind, label) = key else { return tables.remove(key) };
        if !label.is_empty() && **label != *OTHER {
            tables.remove(key);
        }
        if tables.of_kind(kind).all(|(_, entry)| entry.users == 0) {
            tables.emptied.insert(kind, None);
            self.sweep_due.store(true, Relaxed);
        }
    }

    fn sweep(&self, now: Moment) {
        let mut tables = self.tables();
        let emptied: Vec<_> = tables.emptied.iter().map(|(kind, since)| (*kind, *since)).collect();
        for (kind, since) in emptied {
            let since = since.unwrap_or(now);
            if now.since(since) < self.config.keep_removed_kind {
                tables.emptied.insert(kind, Some(since));
                continue;
            }
            tables.emptied.remove(kind);
            let keys: Vec<Key> = tables.of_kind(kind).map(|(key, _)| key.clone()).collect();
            keys.iter().for_each(|key| tables.remove(key));
        }
        self.sweep_due.store(!tables.emptied.is_empty(), Relaxed);
    }

    /// The series of the catalogue and of the kinds' own metrics, to be read without the lock.
    pub(crate) fn sections(&self) -> Vec<Section> {
        let tables = self.tables();
        let mut sections = tables.catalogue();
        for kind in tables.kinds.keys() {
            sections.extend(tables.own(kind));
        }
        sections
    }

    /// The series of the catalogue only.
    pub(crate) fn catalogue_sections(&self) -> Vec<Section> {
        self.tables().catalogue()
    }

    /// The series of one kind's own metrics only.
    pub(crate) fn own_sections(&self, kind: &str) -> Vec<Section> {
        self.tables().own(kind)
    }
}

impl Tables {
    fn path_label(&mut self, config: &MetricsConfig, path: &str) -> Arc<str> {
        let places = self.places.entry(Group::Node).or_default();
        match &config.per_path {
            PerPath::Off => Arc::from(""),
            PerPath::Only(paths) if !paths.contains(path) => Arc::from(OTHER),
            PerPath::Only(_) | PerPath::All => places.take(path, config.max_paths),
        }
    }

    fn give_back(&mut self, group: Group, label: &str) {
        self.places.entry(group).or_default().give_back(label);
    }

    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = (&'a Key, &'a Entry)> {
        self.scopes.iter().filter(move |(key, _)| matches!(key, Key::Node(of, _) if *of == kind))
    }

    fn remove(&mut self, key: &Key) {
        let Some(entry) = self.scopes.remove(key) else { return };
        self.moved.extend(moved_in(&entry.block));
        match key {
            Key::Node(_, label) => self.give_back(Group::Node, label),
            Key::Named(group, labels) => labels.iter().for_each(|label| self.give_back(*group, label)),
        }
    }

    fn catalogue(&self) -> Vec<Section> {
        let mut groups: BTreeMap<Group, Vec<Arc<Block>>> = BTreeMap::new();
        for (key, entry) in &self.scopes {
            let group = match key {
                Key::Node(..) => Group::Node,
                Key::Named(group, _) => *group,
            };
            groups.entry(group).or_default().push(Arc::clone(&entry.block));
        }
        let families = |blocks: &[Arc<Block>]| blocks.first().map_or(0, |b| b.layout.families.len());
        groups.into_values().map(|blocks| Section { families: families(&blocks), blocks }).collect()
    }

    fn own(&self, kind: &str) -> Vec<Section> {
        let owns: Vec<&Arc<Own>> = self.of_kind(kind).filter_map(|(_, entry)| entry.own.as_ref()).collect();
        let Some(layout) = self.kinds.get(kind).and_then(|kind| kind.0.own.as_ref()) else {
            return Vec::new();
        };
        let plain = owns.iter().map(|own| Arc::clone(&own.plain)).collect();
        let plain = Section { families: layout.plain.families.len(), blocks: plain };
        let labelled = (0..layout.labelled.len()).map(|family| Section {
            families: 1,
            blocks: owns.iter().flat_map(|own| own.blocks(family)).collect(),
        });
        std::iter::once(plain).chain(labelled).collect()
    }
}

fn moved_in(block: &Block) -> impl Iterator<Item = &'static str> + '_ {
    let units = (0..block.layout.units.len()).filter(|unit| block.moved(*unit));
    units.filter_map(|unit| match &block.layout.family_of(unit).name {
        std::borrow::Cow::Borrowed(name) => Some(*name),
        std::borrow::Cow::Owned(_) => None,
    })
}
