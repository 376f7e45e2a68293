//! The one implementation of [`DynWorker`]: a kind's I/O half, most often its worker, and the typed cells of its nodes.

use std::any::Any;
use std::sync::Arc;

use serde_json::Value;

use super::config::read;
use super::sealed::Sealed;
use super::{
    ActionRun, CollectRun, Collected, ConfigError, DynAction, DynDecision, DynDesired, DynStep, DynWorker,
    ErasedConfig, ErasedObserved, JobSpec, Slot, StateIndex, StateInfo,
};
use crate::{
    Action, ActionContext, ActionError, CollectContext, Config, Decision, DeriveContext, DeriveError,
    Infrastructure, IoHalf, Job, MetricSpec, Observed, Policy, Reason, RequestError, Snapshot, SnapshotCore,
    State, Step, StopSnapshot, UserSpec, VariableBundle, Worker,
};

/// What one node of the kind owns.
struct Cell<W: Worker> {
    config: Arc<W::Config>,
    observed: Option<Arc<W::Observed>>,
    /// Made with the first job: an idle node has none.
    handle: Option<Arc<W::Handle>>,
}

/// A kind and its cells.
pub(crate) struct Cells<W: Worker, I: IoHalf<W>> {
    kind: &'static str,
    policy: Policy,
    io: Arc<I>,
    states: Vec<StateInfo>,
    /// What a kind without observation is shown: its `Observed` read from null.
    unit: Option<Arc<W::Observed>>,
    cells: Vec<Option<Cell<W>>>,
    free: Vec<u32>,
}

impl<W: Worker, I: IoHalf<W>> Cells<W, I> {
    pub(crate) fn new(kind: &'static str, policy: Policy, io: I) -> Self {
        let states = W::State::ALL
            .iter()
            .map(|s| StateInfo { name: s.name(), phase: s.phase(), sort: s.sort() })
            .collect();
        let unit = match policy.interval() {
            Some(_) => None,
            None => serde_json::from_value(Value::Null).ok().map(Arc::new),
        };
        Self { kind, policy, io: Arc::new(io), states, unit, cells: Vec::new(), free: Vec::new() }
    }

    /// Whether a kind without observation has an `Observed` that needs none.
    pub(crate) fn can_be_shown_nothing(&self) -> bool {
        self.policy.interval().is_some() || self.unit.is_some()
    }

    fn cell(&self, slot: Slot) -> &Cell<W> {
        self.cells[slot.0 as usize].as_ref().expect("the engine holds slots of living nodes only")
    }

    fn cell_mut(&mut self, slot: Slot) -> &mut Cell<W> {
        self.cells[slot.0 as usize].as_mut().expect("the engine holds slots of living nodes only")
    }

    fn handle(&mut self, slot: Slot) -> Arc<W::Handle> {
        Arc::clone(self.cell_mut(slot).handle.get_or_insert_default())
    }

    fn typed(&self, config: &Arc<dyn ErasedConfig>) -> Arc<W::Config> {
        Arc::clone(config)
            .into_any()
            .downcast()
            .expect("configs reach a kind only through its own read_config or its own type check")
    }

    fn erase(decision: Decision<W>) -> DynDecision {
        let (step, reason) = decision.into_parts();
        let step = match step {
            Step::Stay => DynStep::Stay,
            Step::Move(state) => DynStep::Move(index_of::<W>(state)),
            Step::Act(action) => DynStep::Act(Box::new(action)),
            Step::Remove => DynStep::Remove,
            Step::Restart => DynStep::Restart,
        };
        DynDecision { step, reason }
    }
}

/// At most a handful of states: a search beats a table.
fn index_of<W: Worker>(state: W::State) -> StateIndex {
    let index = W::State::ALL
        .iter()
        .position(|s| *s == state)
        .expect("ALL holds every state: checked by the registry");
    StateIndex(u8::try_from(index).expect("at most 256 states: checked by the registry"))
}

impl<W: Worker, I: IoHalf<W>> Sealed for Cells<W, I> {}

impl<W: Worker, I: IoHalf<W>> DynWorker for Cells<W, I> {
    fn kind(&self) -> &'static str {
        self.kind
    }
    fn policy(&self) -> &Policy {
        &self.policy
    }
    fn states(&self) -> &[StateInfo] {
        &self.states
    }
    fn action_names(&self) -> &'static [&'static str] {
        W::Action::NAMES
    }
    fn metrics(&self) -> &'static [MetricSpec] {
        W::metrics()
    }
    fn config_schema(&self) -> Value {
        schemars::schema_for!(W::Config).to_value()
    }

    fn read_config(&self, raw: &Value) -> Result<Arc<dyn ErasedConfig>, ConfigError> {
        match read::<W::Config>(raw) {
            Ok(config) => Ok(Arc::new(config)),
            Err(error) => Err(ConfigError {
                kind: self.kind,
                field: error.path().to_string(),
                what: error.inner().to_string(),
            }),
        }
    }

    fn accepts(&self, config: &dyn ErasedConfig) -> bool {
        config.as_any().is::<W::Config>()
    }

    fn needs_restart(&self, new: &dyn ErasedConfig, old: &dyn ErasedConfig) -> bool {
        match (new.as_any().downcast_ref::<W::Config>(), old.as_any().downcast_ref::<W::Config>()) {
            (Some(new), Some(old)) => new.needs_restart(old),
            (None, _) | (_, None) => true,
        }
    }

    fn derive(
        &self,
        config: &Arc<dyn ErasedConfig>,
        variables: &VariableBundle,
        cx: &DeriveContext<'_>,
    ) -> Result<DynDesired, DeriveError> {
        let spec = UserSpec { config: self.typed(config), variables: variables.clone() };
        Ok(W::derive_desired_state(&spec, cx)?.erase())
    }

    fn infrastructure(&self, config: &dyn ErasedConfig) -> Option<Infrastructure> {
        W::infrastructure(config.as_any().downcast_ref::<W::Config>()?)
    }

    fn insert(&mut self, config: &Arc<dyn ErasedConfig>, variables: &VariableBundle) -> (Slot, StateIndex) {
        let spec = UserSpec { config: self.typed(config), variables: variables.clone() };
        let state = index_of::<W>(W::initial_state(&spec));
        let cell = Some(Cell { config: spec.config, observed: self.unit.clone(), handle: None });
        let index = match self.free.pop() {
            Some(index) => {
                self.cells[index as usize] = cell;
                index
            }
            None => {
                self.cells.push(cell);
                u32::try_from(self.cells.len() - 1).expect("fewer than 2^32 nodes fit in memory")
            }
        };
        (Slot(index), state)
    }

    fn remove(&mut self, slot: Slot) {
        self.cells[slot.0 as usize] = None;
        self.free.push(slot.0);
    }

    fn set_config(&mut self, slot: Slot, config: &Arc<dyn ErasedConfig>) {
        let config = self.typed(config);
        self.cell_mut(slot).config = config;
    }

    fn config(&self, slot: Slot) -> Arc<dyn ErasedConfig> {
        Arc::clone(&self.cell(slot).config) as Arc<dyn ErasedConfig>
    }

    fn next(
        &self,
        slot: Slot,
        state: StateIndex,
        core: &SnapshotCore<'_>,
        before: Option<&Reason>,
    ) -> Option<DynDecision> {
        let cell = self.cell(slot);
        let observed = cell.observed.as_ref().expect("the engine asks `next` only with an observation (S-5)");
        let snapshot = Snapshot::<W>::new(core, &cell.config, observed);
        let decision = W::State::ALL[state.get()].next(&snapshot);
        if matches!(decision.step(), Step::Stay) && before == Some(decision.reason()) {
            return None;
        }
        Some(Self::erase(decision))
    }

    fn stop(
        &self,
        slot: Slot,
        state: StateIndex,
        core: &SnapshotCore<'_>,
        with_observation: bool,
    ) -> DynDecision {
        let cell = self.cell(slot);
        let observed = cell.observed.as_deref().filter(|_| with_observation);
        let snapshot = StopSnapshot::<W>::new(core, &cell.config, observed);
        Self::erase(W::State::ALL[state.get()].stop(&snapshot))
    }

    fn accept(&mut self, slot: Slot, observed: Arc<dyn Any + Send + Sync>) -> Option<bool> {
        let observed = observed.downcast::<W::Observed>().ok()?;
        let cell = self.cell_mut(slot);
        let changed = cell.observed.as_ref().is_none_or(|old| !observed.same_for_decisions(old));
        cell.observed = Some(observed);
        Some(changed)
    }

    fn touch(&self, slot: Slot) -> usize {
        // The counters stand before the values.
        self.cell(slot).observed.as_ref().map_or(0, Arc::strong_count)
    }

    fn observed(&self, slot: Slot) -> Option<Arc<dyn ErasedObserved>> {
        self.cell(slot).observed.clone().map(|o| o as Arc<dyn ErasedObserved>)
    }

    fn collect_run(&mut self, slot: Slot, job: JobSpec) -> CollectRun {
        let io = Arc::clone(&self.io);
        let handle = self.handle(slot);
        let cell = self.cell(slot);
        let (config, last) = (Arc::clone(&cell.config), cell.observed.clone());
        Box::new(move |host| {
            Box::pin(async move {
                let cx = CollectContext::new(Job {
                    identity: &job.identity,
                    config: &config,
                    handle: &handle,
                    last: last.as_ref(),
                    generation: job.generation,
                    host: &host,
                });
                let observed = io.look(cx).await?;
                Ok(match &last {
                    Some(last) if observed == **last => Collected::Same,
                    Some(last) if observed.same_for_decisions(last) => Collected::Similar(Arc::new(observed)),
                    Some(_) | None => Collected::Changed(Arc::new(observed)),
                })
            })
        })
    }

    fn action_run(&mut self, slot: Slot, action: Box<dyn DynAction>, job: JobSpec) -> ActionRun {
        let io = Arc::clone(&self.io);
        let handle = self.handle(slot);
        let cell = self.cell(slot);
        let (config, last) = (Arc::clone(&cell.config), cell.observed.clone());
        let job = Arc::new(job);
        let action = action.into_any().downcast::<W::Action>().ok().map(|action| *action);
        Box::new(move |attempt, host| {
            let (io, handle, config) = (Arc::clone(&io), Arc::clone(&handle), Arc::clone(&config));
            let (last, job, action) = (last.clone(), Arc::clone(&job), action.clone());
            Box::pin(async move {
                let Some(action) = action else {
                    return Err(ActionError::permanent("this action belongs to another kind"));
                };
                let cx = ActionContext::new(
                    Job {
                        identity: &job.identity,
                        config: &config,
                        handle: &handle,
                        last: last.as_ref(),
                        generation: job.generation,
                        host: &host,
                    },
                    attempt,
                );
                io.act(action, cx).await
            })
        })
    }

    fn request(&self, name: &str, input: Value) -> Result<Box<dyn DynAction>, RequestError> {
        Ok(Box::new(W::Action::from_request(name, input)?))
    }
}
