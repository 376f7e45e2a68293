//! The other calls of `panicking`: its derive, its looks and its actions.

use std::time::Duration;

use fsm_core::{
    ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, DeriveContext, DeriveError,
    DesiredState, Policy, UserSpec, Worker,
};

use super::{PanickingAction, PanickingConfig, PanickingHandle, PanickingObserved, PanickingState, Place};

/// The kind `panicking`.
#[derive(Debug, Default)]
pub struct Panicking;

impl Worker for Panicking {
    const KIND: &'static str = "panicking";
    const POLICY: Policy = Policy::DEFAULT.with_actions(&[
        ActionPolicy::new("start", Duration::from_secs(30)),
        ActionPolicy::new("stop", Duration::from_secs(10)),
    ]);
    type Config = PanickingConfig;
    type Observed = PanickingObserved;
    type State = PanickingState;
    type Action = PanickingAction;
    type Handle = PanickingHandle;

    fn derive_desired_state(
        spec: &UserSpec<PanickingConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<PanickingConfig>, DeriveError> {
        let derives = spec.config.place == Place::Derive;
        if derives && spec.config.times.is_some() {
            let what = "a derive is pure, so it can't count its panics: leave `times` out";
            return Err(DeriveError::config(what).at("times"));
        }
        assert!(!derives, "told to panic in `derive`");
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<PanickingObserved, CollectError> {
        let (handle, times) = (cx.handle(), cx.config().times);
        // What is pure can't count: the observation tells it. `next` may be asked about each look, `stop` about those after
        // it was stopped.
        let panic = match cx.config().place {
            Place::Collect if handle.take_panic(times) => panic!("told to panic in `collect`"),
            Place::Next => handle.take_panic(times),
            Place::Stop => handle.was_stopped() && handle.take_panic(times),
            Place::Derive | Place::Collect | Place::Action => false,
        };
        Ok(PanickingObserved { up: handle.is_up(), panic })
    }

    async fn execute(&self, action: PanickingAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {
            PanickingAction::Start => {
                let to_panic =
                    cx.config().place == Place::Action && cx.handle().take_panic(cx.config().times);
                assert!(!to_panic, "told to panic in an action");
                cx.handle().start();
            }
            PanickingAction::Stop => cx.handle().stop(),
        }
        Ok(())
    }
}
