//! The I/O half of `child`: looks at its socket, opens it, closes it.

use std::time::Duration;

use fsm_core::{
    ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, DeriveContext, DeriveError,
    DesiredState, Policy, UserSpec, Worker,
};

use super::{ChildAction, ChildConfig, ChildHandle, ChildObserved, ChildState};

/// The kind `child`.
#[derive(Debug, Default)]
pub struct Child;

impl Worker for Child {
    const KIND: &'static str = "child";
    const POLICY: Policy = Policy::DEFAULT.with_actions(&[
        ActionPolicy::new("connect", Duration::from_secs(30)),
        ActionPolicy::new("disconnect", Duration::from_secs(10)),
    ]);
    type Config = ChildConfig;
    type Observed = ChildObserved;
    type State = ChildState;
    type Action = ChildAction;
    type Handle = ChildHandle;

    fn derive_desired_state(
        spec: &UserSpec<ChildConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<ChildConfig>, DeriveError> {
        if spec.config.leave_after == Some(0) {
            let what = "a child that leaves after no visitor would never be there: use 1 or more";
            return Err(DeriveError::config(what).at("leave_after"));
        }
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<ChildObserved, CollectError> {
        if cx.config().fail_collection {
            return Err(CollectError::new("told to fail by `fail_collection`"));
        }
        let Some((link, visitors)) = cx.handle().look() else { return Ok(ChildObserved::default()) };
        let served_all = cx.config().leave_after.is_some_and(|wanted| visitors >= wanted);
        Ok(ChildObserved { link: Some(link), visitors, served_all })
    }

    async fn execute(&self, action: ChildAction, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {
            ChildAction::Connect => connect(&cx).await,
            ChildAction::Disconnect => {
                cx.handle().close().await;
                Ok(())
            }
        }
    }
}

/// Check, then act: an open socket at the right address stays, one at another address is closed first.
async fn connect(cx: &ActionContext<'_, Child>) -> Result<(), ActionError> {
    let listen = cx.config().listen;
    if cx.handle().look().is_some_and(|(link, _)| link.listen == listen) {
        return Ok(());
    }
    cx.handle().close().await;
    let serve =
        cx.handle().open(listen).await.map_err(|error| {
            ActionError::transient(format!("can't listen on {listen}")).with_source(error)
        })?;
    cx.spawn("serve", serve);
    Ok(())
}
