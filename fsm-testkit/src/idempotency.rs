//! The idempotency check (K-7, A-11): an action run again, and run again after it was cut off, leaves the same world.

use std::fmt::{self, Debug};

use fsm_core::{Action, ActionError, Worker};

use crate::workbench::{Cut, Workbench};

/// Waits at which an action is cut off, one fresh world each; an action with more is cut off at the first ones.
const MOST_CUTS: u32 = 64;

/// An action that left the same world each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Idempotency {
    /// How often it ran in a row.
    pub times: u32,
    /// At how many of its waits it was cut off and run again.
    pub cuts: u32,
}

/// When an action ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Round {
    /// The so-manieth time in a row, from 1.
    Again(u32),
    /// After a run that was cut off where it waited for the so-manieth time.
    AfterCut(u32),
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Again(1) => f.write_str("the first run"),
            Self::Again(n) => write!(f, "run {n} in a row"),
            Self::AfterCut(wait) => write!(f, "the run after one that was cut off at wait {wait}"),
        }
    }
}

/// An action is not idempotent, or can't be tried.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdempotencyError {
    /// The world is another one.
    #[error("`{action}` is not idempotent: {round} left {found}, the first run {first}")]
    Differs {
        /// The action's name.
        action: &'static str,
        /// When.
        round: Round,
        /// The world after the first run.
        first: String,
        /// And after this one.
        found: String,
    },
    /// It failed.
    #[error("`{action}` failed in {round}")]
    Failed {
        /// The action's name.
        action: &'static str,
        /// When.
        round: Round,
        /// Why.
        source: ActionError,
    },
}

/// Runs `action` `times` times in a row in the world that `worker` makes; then, in a fresh world for each place where the
/// action waits, cuts it off there (its future is dropped) and runs it once more. `check` tells what became of the world:
/// it must be equal each time, so leave out what differs between two fresh worlds, such as a port or a folder.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use fsm_testkit::workers::{Scripted, ScriptedAction, ScriptedConfig, World};
/// use fsm_testkit::{Workbench, verify_action_idempotency};
///
/// verify_action_idempotency(
///     async || Workbench::new(Scripted::new(&World::new()), ScriptedConfig::default()),
///     ScriptedAction::Start,
///     3,
///     async |bench| bench.collect().await.unwrap().up,
/// )
/// .await
/// .unwrap();
/// # });
/// ```
///
/// # Errors
/// [`IdempotencyError`] with the first round that left another world or failed.
pub async fn verify_action_idempotency<W: Worker, T: PartialEq + Debug>(
    worker: impl AsyncFn() -> Workbench<W>,
    action: W::Action,
    times: u32,
    check: impl AsyncFn(&Workbench<W>) -> T,
) -> Result<Idempotency, IdempotencyError> {
    let name = action.name();
    let failed = |round| move |source| IdempotencyError::Failed { action: name, round, source };
    let bench = worker().await;
    bench.execute(action.clone()).await.map_err(failed(Round::Again(1)))?;
    let first = check(&bench).await;
    let compare = |round, found: T| {
        if found == first {
            Ok(())
        } else {
            let (first, found) = (format!("{first:?}"), format!("{found:?}"));
            Err(IdempotencyError::Differs { action: name, round, first, found })
        }
    };
    // Once is no check.
    let times = times.max(2);
    for time in 2..=times {
        let round = Round::Again(time);
        bench.execute(action.clone()).await.map_err(failed(round))?;
        compare(round, check(&bench).await)?;
    }
    drop(bench);
    let mut cuts = 0;
    for wait in 1..=MOST_CUTS {
        let round = Round::AfterCut(wait);
        let bench = worker().await;
        if let Cut::Ended(_) = bench.execute_until(action.clone(), wait).await {
            break;
        }
        cuts = wait;
        bench.execute(action.clone()).await.map_err(failed(round))?;
        compare(round, check(&bench).await)?;
    }
    Ok(Idempotency { times, cuts })
}
