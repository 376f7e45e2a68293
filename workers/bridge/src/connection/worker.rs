//! The I/O half of `connection`: a probe per collection, and one by hand.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, ActionPolicy, CollectContext, CollectError, DeriveContext,
    DeriveError, DesiredState, Policy, RequestError, RetryPolicy, UserSpec, Worker,
};

use super::config::MAX_TIMEOUT;
use super::probe::{PublicTls, probe};
use super::{ConnectionConfig, ConnectionHandle, ConnectionObserved, ConnectionState};

/// A probe ends by itself before this, with an answer that says why.
const COLLECT_TIMEOUT: Duration = MAX_TIMEOUT.saturating_add(Duration::from_secs(1));

/// The kind `connection`.
#[derive(Debug, Default)]
pub struct Connection {
    tls: PublicTls,
}

/// What `connection` can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionAction {
    /// Probes at once, beside the interval; fails when the target is not up. The state follows the observation that
    /// comes after it.
    Probe,
}

impl Action for ConnectionAction {
    const NAMES: &'static [&'static str] = &["probe"];

    fn name(&self) -> &'static str {
        match self {
            Self::Probe => "probe",
        }
    }

    fn from_request(name: &str, _input: serde_json::Value) -> Result<Self, RequestError> {
        match name {
            "probe" => Ok(Self::Probe),
            other => Err(RequestError::Unknown { name: other.into(), known: Self::NAMES }),
        }
    }
}

impl Worker for Connection {
    const KIND: &'static str = "connection";
    const POLICY: Policy = Policy::DEFAULT
        .with_collect_timeout(COLLECT_TIMEOUT)
        .with_actions(&[ActionPolicy::new("probe", COLLECT_TIMEOUT).with_retry(RetryPolicy::NEVER)]);
    type Config = ConnectionConfig;
    type Observed = ConnectionObserved;
    type State = ConnectionState;
    type Action = ConnectionAction;
    type Handle = ConnectionHandle;

    fn derive_desired_state(
        spec: &UserSpec<ConnectionConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<ConnectionConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    async fn collect_observed_state(
        &self,
        cx: CollectContext<'_, Self>,
    ) -> Result<ConnectionObserved, CollectError> {
        let config = cx.config();
        let started = cx.now();
        let client_id = client_id("fsm", &cx.identity().path.id());
        let answer = probe(config, &client_id, &self.tls, &cx.handle().tls).await;
        let now = cx.now();
        let changes_recently =
            cx.handle().note(config.label(), answer.is_ok(), now, config.flapping.within.get());
        let (status, failure) = match answer {
            Ok(status) => (status, None),
            Err(failed) => (failed.status, Some(failed.failure)),
        };
        let target = Arc::clone(config.label());
        Ok(ConnectionObserved { target, failure, status, latency: now.since(started), changes_recently })
    }

    async fn execute(
        &self,
        action: ConnectionAction,
        cx: ActionContext<'_, Self>,
    ) -> Result<(), ActionError> {
        match action {
            ConnectionAction::Probe => {
                // Another name than the collector's: a broker drops the older of two clients with one name.
                let client_id = client_id("fsmx", &cx.identity().path.id());
                match probe(cx.config(), &client_id, &self.tls, &cx.handle().tls).await {
                    Ok(_) => Ok(()),
                    Err(failed) => Err(ActionError::permanent(format!(
                        "{} is down: {}",
                        cx.config().label(),
                        failed.failure
                    ))),
                }
            }
        }
    }
}

/// Letters and digits, at most 23: what every MQTT 3.1.1 broker must take.
fn client_id(prefix: &str, node: &str) -> String {
    format!("{prefix}{node}")
}
