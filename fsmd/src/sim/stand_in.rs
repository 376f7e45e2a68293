//! The I/O half of every simulated kind: looks at the world in memory and acts on it.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::{ActionContext, ActionError, CollectContext, CollectError, IoHalf, Worker};

use super::world::{Sight, Trouble, World};

/// A kind that can be simulated: what it sees of its place, and what its actions do there.
pub(super) trait Simulated: Worker {
    /// Whether what it starts outlives it, as a file does.
    const STAYS: bool = false;

    /// Whom a node with this config talks to, as a URL or an address.
    fn peer(config: &Self::Config) -> Option<Arc<str>> {
        Self::infrastructure(config).map(|needed| needed.key)
    }

    /// The address that a node with this config serves.
    fn serves(_config: &Self::Config) -> Option<String> {
        None
    }

    /// What is seen of a place, under this config.
    fn seen(config: &Arc<Self::Config>, sight: Sight<Self::Config>) -> Self::Observed;

    /// What an action does.
    fn effect(action: &Self::Action) -> Effect;
}

/// What an action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Starts what the config says, in place of what was there.
    Start,
    /// Ends what was started.
    Stop,
    /// Asks whether the peer answers.
    Ask,
}

/// How long looking takes where everything is slow: within every default timeout.
const SLOW_LOOK: Duration = Duration::from_millis(1_500);
/// How long acting takes there: within the shortest timeout of a shipped action.
const SLOW_ACT: Duration = Duration::from_secs(4);

/// Stands in for the I/O half of `W`.
pub(super) struct StandIn<W> {
    world: World,
    of: PhantomData<fn() -> W>,
}

impl<W> StandIn<W> {
    pub(super) fn new(world: &World) -> Self {
        Self { world: world.clone(), of: PhantomData }
    }
}

impl<W: Simulated> IoHalf<W> for StandIn<W> {
    async fn look(&self, cx: CollectContext<'_, W>) -> Result<W::Observed, CollectError> {
        if self.world.trouble(&cx.identity().path) == Some(Trouble::Slow) {
            cx.sleep(SLOW_LOOK).await;
        }
        let (peer, serves) = (W::peer(cx.config()), W::serves(cx.config()));
        let sight = self.world.sight(cx.identity(), cx.now(), peer.as_deref(), serves);
        Ok(W::seen(cx.config(), sight))
    }

    async fn act(&self, action: W::Action, cx: ActionContext<'_, W>) -> Result<(), ActionError> {
        let trouble = self.world.trouble(&cx.identity().path);
        if trouble == Some(Trouble::Slow) {
            cx.sleep(SLOW_ACT).await;
        }
        match W::effect(&action) {
            Effect::Start => self.world.start(cx.identity(), Arc::clone(cx.config()) as _, W::STAYS),
            Effect::Stop => self.world.stop(cx.identity()),
            Effect::Ask if trouble == Some(Trouble::Away) => {
                return Err(ActionError::permanent("simulated: the peer does not answer"));
            }
            Effect::Ask => {}
        }
        Ok(())
    }
}
