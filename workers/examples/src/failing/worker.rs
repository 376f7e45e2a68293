//! The I/O half of `failing`: starts and stops what its handle stands for.

use std::time::Duration;

use fsm_core::{
    ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, DeriveContext, DeriveError,
    DesiredState, Policy, RetryPolicy, UserSpec, Worker,
};

use super::{FailingAction, FailingConfig, FailingHandle, FailingObserved, FailingState};

/// The kind `failing`.
#[derive(Debug, Default)]
pub struct Failing;

impl Worker for Failing {
    const KIND: &'static str = "failing";
    /// A retry inside the executor would hide what this kind is to show: each failure goes to the worker.
    const POLICY: Policy = Policy::DEFAULT.with_actions(&[
        ActionPolicy::new("start", Duration::from_secs(30)).with_retry(RetryPolicy::NEVER),
        ActionPolicy::new("stop", Duration::from_secs(10)),
    ]);
    type Config = FailingConfig;
    type Observed = FailingObserved;
    type State = FailingState;
    type Action = FailingAction;
    type Handle = FailingHandle;

    fn derive_desired_state(
        spec: &UserSpec<FailingConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<FailingConfig>, DeriveError> {
        let config = &spec.config;
        if config.restart_after == Some(0) {
            let what = "a restart after no failure would never let it start: use 1 or more";
            return Err(DeriveError::config(what).at("restart_after"));
        }
        if config.breakdowns > 0 && config.up_for.get().is_zero() {
            let what = "it would break down before it was up: give it some time, such as `5s`";
            return Err(DeriveError::config(what).at("up_for"));
        }
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<FailingObserved, CollectError> {
        Ok(cx.handle().look(cx.now(), cx.config()))
    }

    async fn execute(&self, action: FailingAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {
            FailingAction::Start => {
                let restarts = cx.identity().starts.saturating_sub(1);
                let healed = cx.config().healed_by_restarts.is_some_and(|enough| restarts >= enough);
                cx.handle().start(cx.now(), cx.config(), healed).map_err(|failure| {
                    ActionError::transient(format!(
                        "told to fail by `fails`, for the {failure}. time in a row"
                    ))
                })
            }
            FailingAction::Stop => {
                cx.handle().stop();
                Ok(())
            }
        }
    }
}
