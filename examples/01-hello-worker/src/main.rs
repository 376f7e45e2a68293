//! A worker on one page: it watches the mood that a file holds. Run it with `cargo run -p example-hello-worker`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use fsm_core::{
    ActionContext, ActionError, ChildSpec, CollectContext, CollectError, Config, Decision, DeriveContext,
    DeriveError, DesiredState, NoAction, Observed, Phase, Policy, Registry, Snapshot, Sort, State,
    StopSnapshot, UserSpec, Vars, Worker, go, stay,
};
use fsm_supervisor::{DriverConfig, EventKind, EventReader, Handle, start};
use serde::{Deserialize, Serialize};

/// The kind: one value for all its nodes. This one shares nothing between them.
struct Hello;

/// What a node is told.
#[derive(Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct HelloConfig {
    mood_file: PathBuf,
}

/// What is seen of the world.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Mood {
    is_sad: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum HelloState {
    /// Not watching. Waits for the goal to run.
    #[default]
    Stopped,
    /// All is well. Waits for a sad mood.
    Happy,
    /// Something is wrong. Waits for a better mood.
    Sad,
}

impl Config for HelloConfig {}
impl Observed<HelloConfig> for Mood {}

impl State<Hello> for HelloState {
    const ALL: &'static [Self] = &[Self::Stopped, Self::Happy, Self::Sad];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Happy => "Happy",
            Self::Sad => "Sad",
        }
    }
    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::Happy => Phase::Running,
            Self::Sad => Phase::Degraded,
        }
    }
    fn sort(self) -> Sort {
        Sort::Passive
    }
    fn next(self, s: &Snapshot<'_, Hello>) -> Decision<Hello> {
        match self {
            Self::Stopped | Self::Happy if s.observed().is_sad => go(Self::Sad, "the mood is sad"),
            Self::Sad if s.observed().is_sad => stay("the mood is sad"),
            Self::Stopped | Self::Sad => go(Self::Happy, "the mood is good"),
            Self::Happy => stay("the mood is good"),
        }
    }
    fn stop(self, _s: &StopSnapshot<'_, Hello>) -> Decision<Hello> {
        go(Self::Stopped, "told to stop")
    }
}

impl Worker for Hello {
    const KIND: &'static str = "hello";
    const POLICY: Policy = Policy::DEFAULT.poll_every(Duration::from_millis(100));
    type Config = HelloConfig;
    type Observed = Mood;
    type State = HelloState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<HelloConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<HelloConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }
    async fn collect_observed_state(&self, cx: CollectContext<'_, Self>) -> Result<Mood, CollectError> {
        let text = tokio::fs::read_to_string(&cx.config().mood_file)
            .await
            .map_err(|error| CollectError::new("can't read the mood").with_source(error))?;
        Ok(Mood { is_sad: text.trim() == "sad" })
    }
    async fn execute(&self, action: NoAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {}
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mood_file = folder.path().join("mood");
    std::fs::write(&mood_file, "fine")?;

    let mut registry = Registry::new();
    registry.register(Hello)?;
    let metrics = fsm_metrics::Metrics::try_new(Default::default(), &prometheus::Registry::new())?;
    let store = Arc::new(fsm_store::MemoryStore::new(Default::default()));
    let tree = start(registry, DriverConfig::default(), &metrics, store)?;

    let root =
        ChildSpec::try_new("ann", "hello")?.with_typed_config(HelloConfig { mood_file: mood_file.clone() });
    let events = tree.events();
    tree.apply(root, Vars::new()).await?;
    tokio::try_join!(print(events), play(&tree, &mood_file))?;
    Ok(())
}

/// Changes the world and waits until the worker has seen it.
async fn play(tree: &Handle, mood_file: &std::path::Path) -> anyhow::Result<()> {
    for (mood, state) in [("fine", "Happy"), ("sad", "Sad"), ("better", "Happy")] {
        std::fs::write(mood_file, mood)?;
        tree.until(|nodes| nodes.iter().all(|node| node.state == state)).await?;
    }
    tree.shutdown(Duration::from_secs(5)).await?;
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
