//! Where a scenario is played: a tree of the real driver over the real kinds, one scripted kind, and a world to steer.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::{ChildSpec, HumanDuration, Moment, NodePath, Phase, Vars};
use fsm_metrics::{Metrics, MetricsConfig, NodeMetricsCollector, NodeMetricsConfig, RunMetrics};
use fsm_supervisor::{
    ApplyReceipt, Command, DriverConfig, Event, EventKind, EventReader, Handle, NodeView, ShutdownReport,
    TreeEntry, start,
};
use fsm_testkit::Transcript;
use fsm_testkit::workers::{Script, Scripted, World};
use fsm_worker_communicator::{Communicator, Exchange, Pace};
use fsm_worker_persistence::Persistence;
use fsm_worker_process::{Keeper, NoAgents, Process};
use futures::FutureExt;
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::story::expects;
use super::switch::{Mood, Switch};
use super::{Broken, Outcome, Story};
use crate::http::{Api, Exec, Needs};
use crate::kinds;
use crate::relay::Port;

/// Decides every jitter, so that a scenario tells the same each time; any number but zero, which means a random one.
const SEED: u64 = 1;
/// The wall clock at the beginning: any fixed moment.
const EPOCH_MS: u64 = 1_700_000_000_000;
/// At the latest after this long the tree is looked at again: not everything that changes makes an event.
const PACE: Duration = Duration::from_millis(100);
/// The deadline of the shutdown that ends a scenario: that of the daemon.
const SHUTDOWN: Duration = Duration::from_secs(30);

/// How time goes by in a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Time {
    /// At once, when nothing else is to be done.
    Virtual,
    /// As on the wall: virtual time would not wait for an answer that is on its way over a socket.
    Real,
}

/// A second of a communicator's waits where somebody has to wait for it: the table of its waits goes up to five minutes.
pub(super) const QUICK: Duration = Duration::from_millis(5);

impl Time {
    /// What does not come within this time does not come: longer than every back-off and timeout of a scenario.
    const fn patience(self) -> Duration {
        match self {
            Self::Virtual => Duration::from_secs(3_600),
            Self::Real => Duration::from_secs(30),
        }
    }

    fn driver(self) -> DriverConfig {
        let config = DriverConfig::default();
        match self {
            Self::Virtual => config,
            // The pace of a state that acts, in proportion.
            Self::Real => config.with_tick_interval(Duration::from_millis(10)),
        }
    }

    const fn pace(self) -> Pace {
        match self {
            Self::Virtual => Pace::REAL,
            Self::Real => Pace::of(QUICK),
        }
    }
}

/// A running tree, and what steers and watches it.
pub struct Stage {
    /// The tree.
    pub tree: Handle,
    metrics: Metrics,
    /// The world of the nodes of kind `scripted`.
    pub world: World,
    pub(super) store: Arc<Switch>,
    /// What communicators see of the tree.
    port: Arc<Port>,
    patience: Duration,
    folder: tempfile::TempDir,
    story: Story,
    events: EventReader,
    seen: Vec<Event>,
    /// None where it would tell too much.
    transcript: Option<Transcript>,
    ended: bool,
}

impl Stage {
    /// As the daemon puts it together, over a store and a world that can be steered.
    pub(super) fn try_new(time: Time) -> Result<Self, Broken> {
        let world = World::new();
        let store = Arc::new(Switch::default());
        let persistence = Persistence::new(Arc::clone(&store) as Arc<dyn fsm_store::Store>);
        let watched = persistence.store();
        let port = Arc::new(Port::default());
        let exchange: Arc<dyn Exchange> = Arc::<Port>::clone(&port);
        let communicator = Communicator::new(exchange, Arc::clone(&watched)).with_pace(time.pace());
        let process = Process::new(Keeper::this_program());
        let runner = process.runner();
        let mut registry =
            kinds::registry("scenario", None, persistence, communicator, process, Arc::new(NoAgents))?;
        registry.register(Scripted::new(&world))?;
        let metrics = Metrics::try_new(MetricsConfig::default(), &prometheus::Registry::new())?;
        let mut config = time.driver();
        config.executor = config.executor.with_seed(SEED);
        (config.engine.seed, config.engine.epoch_ms) = (SEED, EPOCH_MS);
        // Who checks what happened wants to see each event.
        config.engine.fold_repeats = false;
        let statistics = Arc::new(NodeMetricsCollector::try_new(NodeMetricsConfig::default())?);
        let config = config.with_node_metrics(Arc::clone(&statistics));
        let tree = start(registry, config, &metrics, Arc::clone(&watched))?;
        let runs = RunMetrics::new(&metrics);
        let root = NodePath::try_new("/edge")?;
        let needs =
            Needs { tree: tree.clone(), root, store: watched, runner, runs, metrics: metrics.clone() };
        let exec = Exec::try_new(&Default::default(), needs)?;
        let api = Api::new(tree.clone(), metrics.clone(), statistics, exec, SHUTDOWN);
        port.bind(tree.clone(), api, kinds::for_checking()?);
        Ok(Self {
            events: tree.events(),
            transcript: Some(Transcript::new(tree.events()).with_actions()),
            tree,
            metrics,
            world,
            store,
            port,
            patience: time.patience(),
            folder: tempfile::Builder::new().prefix("fsmd-scenario-").tempdir()?,
            story: Story::default(),
            seen: Vec::new(),
            ended: false,
        })
    }

    /// The metrics of its tree.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// A folder that is there as long as the scenario.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What happens between the steps is not written down: there would be too much of it.
    pub fn quiet(&mut self) {
        self.transcript = None;
    }

    /// Tells the next step.
    pub fn says(&mut self, what: impl AsRef<str>) {
        self.note();
        self.story.says(self.tree.now().since(Moment::ZERO), what.as_ref());
    }

    /// Takes what was told since the last time.
    fn note(&mut self) {
        while let Some(Some(event)) = self.events.next().now_or_never() {
            self.seen.push(event);
        }
        if let Some(transcript) = &mut self.transcript {
            self.story.happened(&transcript.take());
        }
    }

    /// The node at this path from now on plays this script.
    pub fn script(&self, path: &str, script: Script) {
        self.world.set(path, script);
    }

    /// Gives the tree its root.
    ///
    /// # Errors
    /// [`Broken`] when the tree has ended.
    pub async fn apply(&mut self, root: ChildSpec) -> Result<ApplyReceipt, Broken> {
        self.apply_with(root, Vars::new()).await
    }

    /// The same with global variables.
    ///
    /// # Errors
    /// [`Broken`] when the tree has ended.
    pub async fn apply_with(&mut self, root: ChildSpec, global: Vars) -> Result<ApplyReceipt, Broken> {
        let receipt = self.tree.apply(root, global).await?;
        self.note();
        Ok(receipt)
    }

    /// Carries out an operator's command.
    ///
    /// # Errors
    /// [`Broken`] when it is refused.
    pub async fn command(&mut self, command: Command) -> Outcome {
        self.tree.command(command).await?;
        self.note();
        Ok(())
    }

    /// How long everything is waited for, at most: an hour of virtual time, half a minute of real time.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        self.patience
    }

    /// Waits until the node is in this state.
    ///
    /// # Errors
    /// [`Broken`] when it doesn't come there in time.
    pub async fn until(&mut self, path: &str, state: &str) -> Result<TreeEntry, Broken> {
        self.until_that(path, &format!("in state {state}"), |entry| entry.state == state).await
    }

    /// Waits until this holds of the node.
    ///
    /// # Errors
    /// [`Broken`] when it doesn't in time.
    pub async fn until_that(
        &mut self,
        path: &str,
        what: &str,
        holds: impl Fn(&TreeEntry) -> bool,
    ) -> Result<TreeEntry, Broken> {
        let limit = Instant::now() + self.patience;
        loop {
            // Before the tree is looked at: what comes after that must wake us.
            self.note();
            let tree = self.tree.tree().await?;
            let entry = tree.into_iter().find(|entry| entry.path.as_str() == path);
            match entry {
                Some(entry) if holds(&entry) => return Ok(entry),
                entry if Instant::now() >= limit => {
                    let is = entry.map_or_else(
                        || "not there".to_owned(),
                        |entry| format!("in state {}: {}", entry.state, entry.reason),
                    );
                    let after = HumanDuration::new(self.patience);
                    return Err(Broken::new(format!("{path} should be {what}; after {after} it is {is}")));
                }
                Some(_) | None => self.wait().await,
            }
        }
    }

    /// Waits until this holds of what the node observes, and gives that.
    ///
    /// # Errors
    /// [`Broken`] when it doesn't in time.
    pub async fn until_observed(
        &mut self,
        path: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) -> Result<Value, Broken> {
        let limit = Instant::now() + self.patience;
        loop {
            self.note();
            let observed = self.node(path).await?.observed.unwrap_or_default();
            if holds(&observed) {
                return Ok(observed);
            }
            if Instant::now() >= limit {
                return Err(Broken::new(format!("{path} should observe {what}; it is {observed}")));
            }
            self.wait().await;
        }
    }

    /// Waits until the node has come to this state for the `times`th time; it may have left it since.
    ///
    /// # Errors
    /// [`Broken`] when it doesn't in time.
    pub async fn until_moved(&mut self, path: &str, state: &str, times: usize) -> Outcome {
        let limit = Instant::now() + self.patience;
        while self.states_of(path).into_iter().filter(|to| *to == state).count() < times {
            if Instant::now() >= limit {
                let states = self.states_of(path);
                let what = format!(
                    "{path} should come to {state} for the {times}th time; it went through {states:?}"
                );
                return Err(Broken::new(what));
            }
            self.wait().await;
        }
        Ok(())
    }

    /// Waits for the next event, or a moment.
    async fn wait(&mut self) {
        if let Ok(Some(event)) = timeout(PACE, self.events.next()).await {
            self.seen.push(event);
        }
    }

    /// Waits until nobody is at this path.
    ///
    /// # Errors
    /// [`Broken`] when somebody still is when patience ends.
    pub async fn until_gone(&mut self, path: &str) -> Outcome {
        let limit = Instant::now() + self.patience;
        loop {
            self.note();
            if self.tree.tree().await?.iter().all(|entry| entry.path.as_str() != path) {
                return Ok(());
            }
            if Instant::now() >= limit {
                let after = HumanDuration::new(self.patience);
                return Err(Broken::new(format!("{path} should be gone; after {after} it is still there")));
            }
            self.wait().await;
        }
    }

    /// Waits until so many nodes are there, all of this phase; looks at a pace, since they are many.
    ///
    /// # Errors
    /// [`Broken`] when it doesn't come to that in time.
    pub async fn until_all(&mut self, nodes: usize, phase: Phase) -> Outcome {
        let limit = Instant::now() + self.patience;
        loop {
            let tree = self.tree.tree().await?;
            let there = tree.iter().filter(|entry| entry.phase == phase).count();
            if tree.len() == nodes && there == nodes {
                self.note();
                return Ok(());
            }
            if Instant::now() >= limit {
                let what = format!("all of {nodes} nodes should be {phase}, {there} of {} are", tree.len());
                return Err(Broken::new(what));
            }
            tokio::time::sleep(PACE).await;
        }
    }

    /// Lets so much time go by.
    pub async fn passes(&mut self, time: Duration) {
        tokio::time::sleep(time).await;
        self.note();
    }

    /// Time since the beginning.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.tree.now().since(Moment::ZERO)
    }

    /// The node in one line.
    ///
    /// # Errors
    /// [`Broken`] when nobody is there.
    pub async fn entry(&mut self, path: &str) -> Result<TreeEntry, Broken> {
        Ok(self.node(path).await?.entry)
    }

    /// Everything about a node.
    ///
    /// # Errors
    /// [`Broken`] when nobody is there.
    pub async fn node(&mut self, path: &str) -> Result<NodeView, Broken> {
        let view = self.tree.node(&NodePath::try_new(path)?).await?;
        view.ok_or_else(|| Broken::new(format!("{path} should be there")))
    }

    /// The events of a node so far.
    pub fn events_of(&mut self, path: &str) -> impl Iterator<Item = &Event> {
        self.note();
        self.seen.iter().filter(move |event| event.path.as_str() == path)
    }

    /// The states that a node moved to so far, in order.
    pub fn states_of(&mut self, path: &str) -> Vec<&'static str> {
        let to = |event: &Event| {
            if let EventKind::StateTransition { to, .. } = event.kind { Some(to) } else { None }
        };
        self.events_of(path).filter_map(to).collect()
    }

    /// Who moved to this state so far, in order.
    pub fn moves_to(&mut self, state: &str) -> Vec<String> {
        self.note();
        let is = |event: &&Event| matches!(event.kind, EventKind::StateTransition { to, .. } if to == state);
        self.seen.iter().filter(is).map(|event| event.path.to_string()).collect()
    }

    /// When a node first moved to this state.
    ///
    /// # Errors
    /// [`Broken`] when it never did.
    pub fn moved(&mut self, path: &str, state: &str) -> Result<Moment, Broken> {
        let is = |event: &&Event| matches!(event.kind, EventKind::StateTransition { to, .. } if to == state);
        let found = self.events_of(path).find(is).map(|event| event.at);
        found.ok_or_else(|| Broken::new(format!("{path} should have come to {state}")))
    }

    /// Stops the tree within this time. The scenario ends with it.
    ///
    /// # Errors
    /// [`Broken`] when it has ended already.
    pub async fn shutdown(&mut self, within: Duration) -> Result<ShutdownReport, Broken> {
        self.ended = true;
        let report = self.tree.shutdown(within).await?;
        self.note();
        Ok(report)
    }

    /// The same, with a signal to force it after a while.
    ///
    /// # Errors
    /// [`Broken`] when it has ended already.
    pub async fn shutdown_forced(
        &mut self,
        within: Duration,
        after: Duration,
    ) -> Result<ShutdownReport, Broken> {
        self.ended = true;
        let tree = self.tree.clone();
        let force = async {
            tokio::time::sleep(after).await;
            // It may have ended just now; then the report comes anyway.
            let _ = tree.force().await;
        };
        let (report, ()) = tokio::join!(self.tree.shutdown(within), force);
        self.note();
        Ok(report?)
    }

    /// Ends the tree, if the scenario did not, and gives what was told.
    pub(super) async fn end(mut self, outcome: Outcome) -> (Story, Outcome) {
        let outcome = match outcome {
            Ok(()) if !self.ended => self.closes().await,
            outcome => outcome,
        };
        self.note();
        self.story.passed = self.now();
        (std::mem::take(&mut self.story), outcome)
    }

    async fn closes(&mut self) -> Outcome {
        let report = self.shutdown(SHUTDOWN).await?;
        expects(report.forced.is_empty(), || format!("at the end, {:?} had to be forced", report.forced))
    }
}

/// A write that waits would hold up the end of the runtime for ever.
impl Drop for Stage {
    fn drop(&mut self) {
        self.port.unbind();
        self.store.turn(Mood::Well);
    }
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stage")
    }
}
