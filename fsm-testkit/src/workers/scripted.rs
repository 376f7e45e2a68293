//! The kind `scripted`: plays the script of its node, on a world that is shared with the test.

use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, ActionPolicy, ChildName, ChildSpec, ChildrenSpecs, CollectContext,
    CollectError, Config, DeriveContext, DeriveError, DesiredState, Identity, Observed, Policy, RequestError,
    UserSpec, Worker,
};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ScriptedState, Trick, Where, World};

/// The kind `scripted`. Its nodes may have scripted children: a whole tree from one config.
#[derive(Debug)]
pub struct Scripted {
    world: World,
}

impl Scripted {
    /// The kind over this world.
    #[must_use]
    pub fn new(world: &World) -> Self {
        Self { world: world.clone() }
    }

    /// Plays the trick of this place, if there is one; whether it failed.
    async fn play(&self, place: Where, identity: &Identity) -> Result<(), &'static str> {
        let path = identity.path.to_string();
        let trick = self.world.called(&path, place);
        // Dropped before its end, it says so.
        let mut guard = Guard { world: &self.world, path: &path, ended: false };
        let result = match trick {
            None => Ok(()),
            Some(Trick::Slow(time)) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Some(Trick::Fail) => Err("as the script says"),
            Some(Trick::Panic) => {
                guard.ended = true;
                panic!("as the script says");
            }
            Some(Trick::Hang) => std::future::pending().await,
        };
        guard.ended = true;
        result
    }
}

struct Guard<'a> {
    world: &'a World,
    path: &'a str,
    ended: bool,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.world.dropped(self.path);
        }
    }
}

/// The children of a scripted node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ScriptedConfig {
    /// Scripted children, in the order in which they are created.
    pub children: IndexMap<ChildName, Self>,
    /// After so many failed starts in a row it asks to be started over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restart_after: Option<u32>,
}

impl ScriptedConfig {
    /// With a child of this name.
    ///
    /// # Panics
    /// When the name is no [`ChildName`].
    #[must_use]
    pub fn child(mut self, name: &str, config: Self) -> Self {
        self.children.insert(ChildName::try_new(name).expect("a test's child has a good name"), config);
        self
    }

    /// Starting over after so many failed starts in a row.
    #[must_use]
    pub const fn restarting_after(mut self, failures: u32) -> Self {
        self.restart_after = Some(failures);
        self
    }
}

impl Config for ScriptedConfig {}

/// What is seen of a scripted node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScriptedObserved {
    /// It is up.
    pub up: bool,
    /// It is up and well.
    pub well: bool,
    /// The script wants the next decision to panic.
    pub panic_in_next: bool,
}

impl ScriptedObserved {
    /// A node that is up or down, and well or not.
    #[must_use]
    pub const fn new(up: bool, well: bool) -> Self {
        Self { up, well, panic_in_next: false }
    }
}

impl Observed<ScriptedConfig> for ScriptedObserved {}

/// What can be done to a scripted node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptedAction {
    /// Turns it on.
    Start,
    /// Turns it off.
    Stop,
}

impl Action for ScriptedAction {
    const NAMES: &'static [&'static str] = &["start", "stop"];

    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }

    fn from_request(name: &str, _input: serde_json::Value) -> Result<Self, RequestError> {
        match name {
            "start" => Ok(Self::Start),
            "stop" => Ok(Self::Stop),
            other => Err(RequestError::Unknown { name: other.into(), known: Self::NAMES }),
        }
    }
}

impl Worker for Scripted {
    const KIND: &'static str = "scripted";
    const POLICY: Policy = Policy::DEFAULT.with_actions(&[
        ActionPolicy::new("start", Duration::from_secs(30)),
        ActionPolicy::new("stop", Duration::from_secs(10)),
    ]);
    type Config = ScriptedConfig;
    type Observed = ScriptedObserved;
    type State = ScriptedState;
    type Action = ScriptedAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<ScriptedConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<ScriptedConfig>, DeriveError> {
        let children = spec.config.children.iter();
        let child = |(name, config): (&ChildName, &ScriptedConfig)| {
            ChildSpec::new(name.clone(), Self::KIND).with_typed_config(config.clone())
        };
        let children = ChildrenSpecs::try_from_iter(children.map(child))
            .map_err(|error| DeriveError::config(error.to_string()))?;
        Ok(DesiredState::running(spec).with_children(children))
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<ScriptedObserved, CollectError> {
        self.play(Where::Collect, cx.identity()).await.map_err(CollectError::new)?;
        let path = cx.identity().path.to_string();
        let panic_in_next = self.world.called(&path, Where::Next) == Some(Trick::Panic);
        let (up, ill) = self.world.look(&path);
        Ok(ScriptedObserved { up, well: up && !ill, panic_in_next })
    }

    async fn execute(&self, action: ScriptedAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        let (place, up) = match action {
            ScriptedAction::Start => (Where::Start, true),
            ScriptedAction::Stop => (Where::Stop, false),
        };
        self.play(place, cx.identity()).await.map_err(ActionError::transient)?;
        self.world.turn(&cx.identity().path.to_string(), up);
        Ok(())
    }
}
