//! A parent that derives its children, from start to stop. Run it with `cargo run -p example-parent-and-children`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use fsm_core::{
    ActionContext, ActionError, ChildName, ChildSpec, ChildrenSpecs, CollectContext, CollectError, Config,
    Decision, Dependency, DeriveContext, DeriveError, DesiredState, NoAction, Phase, Policy, Registry,
    Snapshot, Sort, StartWhen, State, StopSnapshot, UserSpec, Vars, Verdict, Worker, go, monitor, stay,
};
use fsm_supervisor::{DriverConfig, EventKind, EventReader, Handle, start};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A production line: each machine starts when the one before it is healthy.
struct Line;

#[derive(Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct LineConfig {
    machines: BTreeMap<ChildName, Value>,
}

impl Config for LineConfig {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum LineState {
    /// The machines are held in Stopped. Waits for the goal to run.
    #[default]
    Stopped,
    /// The machines may run. Waits for a change among them.
    Up,
    /// Not every machine is healthy. Waits for a change among them.
    Limping,
}

impl State<Line> for LineState {
    const ALL: &'static [Self] = &[Self::Stopped, Self::Up, Self::Limping];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Up => "Up",
            Self::Limping => "Limping",
        }
    }
    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::Up => Phase::Running,
            Self::Limping => Phase::Degraded,
        }
    }
    fn sort(self) -> Sort {
        Sort::Passive
    }
    fn next(self, s: &Snapshot<'_, Line>) -> Decision<Line> {
        let healthy = ("{} of {} machines are healthy", s.children().healthy(), s.children().len());
        match self {
            Self::Stopped => go(Self::Limping, "told to run"),
            Self::Limping if s.children().all_healthy() => go(Self::Up, healthy),
            Self::Up if !s.children().all_healthy() => go(Self::Limping, healthy),
            Self::Up | Self::Limping => stay(healthy),
        }
    }
    fn stop(self, _s: &StopSnapshot<'_, Line>) -> Decision<Line> {
        go(Self::Stopped, "told to stop, and all machines have stopped")
    }
}

impl Worker for Line {
    const KIND: &'static str = "line";
    const POLICY: Policy = Policy::DEFAULT.without_observation();
    type Config = LineConfig;
    type Observed = ();
    type State = LineState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<LineConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<LineConfig>, DeriveError> {
        let mut children = ChildrenSpecs::new();
        for (name, config) in &spec.config.machines {
            let mut child = ChildSpec::new(name.clone(), "machine")
                .with_config(config.clone())
                .with_start_when(StartWhen::Phases(vec![Phase::Running, Phase::Degraded]));
            if let Some(before) = children.iter().next_back() {
                child = child.with_dependency(Dependency::on(before.name.clone()));
            }
            children.try_add(child).map_err(|error| DeriveError::config("two names").with_source(error))?;
        }
        Ok(DesiredState::running(spec).with_children(children))
    }
    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<(), CollectError> {
        Ok(())
    }
    async fn execute(&self, action: NoAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {}
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let mut registry = Registry::new();
    registry.register(Line)?;
    // A machine is only watched, so two closures are enough. It has no config.
    let hum = || async { Ok("hum".to_owned()) };
    monitor("machine", Duration::from_secs(1), hum, |_| Verdict::Healthy).register(&mut registry)?;

    let metrics = fsm_metrics::Metrics::try_new(Default::default(), &prometheus::Registry::new())?;
    let store = Arc::new(fsm_store::MemoryStore::new(Default::default()));
    let tree = start(registry, DriverConfig::default(), &metrics, store)?;
    // What happened is printed before what comes of it: hence this order.
    tokio::try_join!(biased; print(tree.events()), play(&tree))?;
    Ok(())
}

async fn play(tree: &Handle) -> anyhow::Result<()> {
    let line = |machines: Value| {
        anyhow::Ok(ChildSpec::try_new("line", "line")?.with_config(json!({ "machines": machines })))
    };
    tree.apply(line(json!({"cutter": {}, "feeder": {}}))?, Vars::new()).await?;
    tree.until(|nodes| nodes[0].state == "Up").await?;

    // `speed` is a field that no machine has: this child is invalid, and the others don't notice.
    tree.apply(line(json!({"cutter": {}, "feeder": {}, "wrapper": {"speed": 3}}))?, Vars::new()).await?;
    let nodes = tree.until(|nodes| nodes[0].state == "Limping").await?;
    for node in &nodes {
        println!("  {} is {}: {}", node.path, node.phase, node.reason);
    }
    let forced = tree.shutdown(Duration::from_secs(5)).await?.forced;
    anyhow::ensure!(forced.is_empty(), "these did not stop in time: {forced:?}");
    Ok(())
}

/// Prints the transitions until the tree has ended.
async fn print(mut events: EventReader) -> anyhow::Result<()> {
    while let Some(event) = events.next().await {
        if let EventKind::StateTransition { from, to, reason, .. } = event.kind {
            println!("{}: {from} -> {to}, because {reason}", event.path);
        }
    }
    Ok(())
}
