//! The kind `bridge`: a derive, and nothing that touches the world.

use fsm_core::{
    ActionContext, ActionError, CollectContext, CollectError, DeriveContext, DeriveError, DesiredState,
    NoAction, Policy, UserSpec, Worker,
};

use super::{BridgeConfig, BridgeState, sections};

/// The kind `bridge`, also called `protocol_converter`.
#[derive(Debug, Default)]
pub struct Bridge;

impl Worker for Bridge {
    const KIND: &'static str = "bridge";
    const POLICY: Policy = Policy::DEFAULT.without_observation();
    type Config = BridgeConfig;
    type Observed = ();
    type State = BridgeState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<BridgeConfig>,
        cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<BridgeConfig>, DeriveError> {
        Ok(DesiredState::running(spec).with_children(sections::derive(spec, cx)?))
    }

    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<(), CollectError> {
        Ok(())
    }

    async fn execute(&self, action: NoAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {}
    }
}
