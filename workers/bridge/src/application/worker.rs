//! The kind `application`: a derive, and nothing that touches the world.

use fsm_core::{
    ActionContext, ActionError, CollectContext, CollectError, DeriveContext, DeriveError, DesiredState,
    NoAction, Policy, UserSpec, Worker,
};

use super::{ApplicationConfig, derive};
use crate::rollup::RollupState;

/// The kind `application`.
#[derive(Debug, Default)]
pub struct Application;

impl Worker for Application {
    const KIND: &'static str = "application";
    const POLICY: Policy = Policy::DEFAULT.without_observation();
    type Config = ApplicationConfig;
    type Observed = ();
    type State = RollupState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<ApplicationConfig>,
        cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<ApplicationConfig>, DeriveError> {
        Ok(DesiredState::running(spec).with_children(derive::derive(&spec.config.inner, cx)?))
    }

    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<(), CollectError> {
        Ok(())
    }

    async fn execute(&self, action: NoAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {}
    }
}
