//! The I/O half of a kind, where it is not the worker itself: another world under the same pure half.

use std::future::Future;

use crate::{ActionContext, ActionError, CollectContext, CollectError, Worker};

/// Looks and acts in the place of a [`Worker`], whose configs, states and decisions stay as they are: a world in memory for a
/// simulation, a record of what would be done. Every worker is its own.
///
/// Registered with [`Registry::register_io`](crate::Registry::register_io).
///
/// ```
/// # use fsm_core::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
/// # struct LampConfig {}
/// # impl Config for LampConfig {}
/// # #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
/// # struct Light { lit: bool }
/// # impl Observed<LampConfig> for Light {}
/// # #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
/// # enum LampState { #[default] Watching }
/// # impl State<Lamp> for LampState {
/// #     const ALL: &'static [Self] = &[Self::Watching];
/// #     fn name(self) -> &'static str { "Watching" }
/// #     fn phase(self) -> Phase { Phase::Running }
/// #     fn sort(self) -> Sort { Sort::Passive }
/// #     fn next(self, _: &Snapshot<'_, Lamp>) -> Decision<Lamp> { stay("watching") }
/// #     fn stop(self, _: &StopSnapshot<'_, Lamp>) -> Decision<Lamp> { remove("told to stop") }
/// # }
/// # struct Lamp;
/// # impl Worker for Lamp {
/// #     const KIND: &'static str = "lamp";
/// #     const POLICY: Policy = Policy::DEFAULT;
/// #     type Config = LampConfig; type Observed = Light; type State = LampState; type Action = NoAction; type Handle = ();
/// #     fn derive_desired_state(spec: &UserSpec<LampConfig>, _: &DeriveContext<'_>)
/// #         -> Result<DesiredState<LampConfig>, DeriveError> { Ok(DesiredState::running(spec)) }
/// #     async fn collect_observed_state(&self, _: CollectContext<'_, Self>) -> Result<Light, CollectError> {
/// #         Err(CollectError::new("there is no lamp here"))
/// #     }
/// #     async fn execute(&self, action: NoAction, _: ActionContext<'_, Self>) -> Result<(), ActionError> { match action {} }
/// # }
/// /// A lamp that always shines, and can't be switched.
/// struct Sun;
///
/// impl IoHalf<Lamp> for Sun {
///     async fn look(&self, _: CollectContext<'_, Lamp>) -> Result<Light, CollectError> {
///         Ok(Light { lit: true })
///     }
///     async fn act(&self, action: NoAction, _: ActionContext<'_, Lamp>) -> Result<(), ActionError> {
///         match action {}
///     }
/// }
///
/// let mut registry = Registry::new();
/// registry.register_io::<Lamp, _>(Sun)?;
/// assert_eq!(registry.get("lamp").unwrap().states()[0].name, "Watching");
/// # Ok::<(), RegisterError>(())
/// ```
pub trait IoHalf<W: Worker>: Send + Sync + 'static {
    /// As [`Worker::collect_observed_state`].
    ///
    /// # Errors
    /// That nothing could be seen.
    fn look(
        &self,
        cx: CollectContext<'_, W>,
    ) -> impl Future<Output = Result<W::Observed, CollectError>> + Send;

    /// As [`Worker::execute`].
    ///
    /// # Errors
    /// Those of the action.
    fn act(
        &self,
        action: W::Action,
        cx: ActionContext<'_, W>,
    ) -> impl Future<Output = Result<(), ActionError>> + Send;
}

impl<W: Worker> IoHalf<W> for W {
    fn look(
        &self,
        cx: CollectContext<'_, W>,
    ) -> impl Future<Output = Result<W::Observed, CollectError>> + Send {
        self.collect_observed_state(cx)
    }

    fn act(
        &self,
        action: W::Action,
        cx: ActionContext<'_, W>,
    ) -> impl Future<Output = Result<(), ActionError>> + Send {
        self.execute(action, cx)
    }
}
