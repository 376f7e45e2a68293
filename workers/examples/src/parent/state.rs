//! The pure half of `parent`: it never acts; its truth is its children.

use fsm_core::{Decision, Phase, Reason, Snapshot, Sort, State, StopSnapshot, go, stay};

use super::Parent;

/// The states of `parent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ParentState {
    /// The children are held in Stopped. Waits for the goal to run.
    #[default]
    Stopped,
    /// The children may run. Waits until all that are enabled are healthy, or `start_within` is over.
    TryingToStart,
    /// All enabled children are healthy or completed. Waits for one that isn't.
    Running,
    /// Not all enabled children are healthy. Waits until they are.
    Degraded,
}

impl ParentState {
    /// The states in which the children run: those in which the parent is not at rest.
    pub const CHILDREN_RUN: [Self; 3] = [Self::TryingToStart, Self::Running, Self::Degraded];
}

impl State<Parent> for ParentState {
    const ALL: &'static [Self] = &[Self::Stopped, Self::TryingToStart, Self::Running, Self::Degraded];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::TryingToStart => "TryingToStart",
            Self::Running => "Running",
            Self::Degraded => "Degraded",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::TryingToStart => Phase::Starting,
            Self::Running => Phase::Running,
            Self::Degraded => Phase::Degraded,
        }
    }

    fn sort(self) -> Sort {
        match self {
            Self::TryingToStart => Sort::Trying,
            Self::Stopped | Self::Running | Self::Degraded => Sort::Passive,
        }
    }

    fn next(self, s: &Snapshot<'_, Parent>) -> Decision<Parent> {
        match self {
            Self::Stopped => go(Self::TryingToStart, "told to run"),
            Self::TryingToStart if is_well(s) => go(Self::Running, well(s)),
            Self::TryingToStart if s.in_state_for(s.config().start_within.get()) => go(
                Self::Degraded,
                ("only {} of {} children started in time", s.children().healthy(), s.children().len()),
            ),
            Self::TryingToStart => {
                stay(("{} of {} children are healthy", s.children().healthy(), s.children().len()))
            }
            Self::Running if is_well(s) => stay(well(s)),
            Self::Running => go(Self::Degraded, unwell(s)),
            Self::Degraded if is_well(s) => go(Self::Running, well(s)),
            Self::Degraded => stay(unwell(s)),
        }
    }

    fn stop(self, _s: &StopSnapshot<'_, Parent>) -> Decision<Parent> {
        match self {
            Self::Stopped => stay("stopped"),
            // The engine asks only when the children have stopped: nothing is left to do.
            Self::TryingToStart | Self::Running | Self::Degraded => {
                go(Self::Stopped, "all children have stopped")
            }
        }
    }
}

/// Children that the config keeps in Stopped are well there; each other one must be healthy or completed.
fn is_well(s: &Snapshot<'_, Parent>) -> bool {
    let disabled = s.config().children.iter().filter(|child| !child.enabled).count() as u32;
    s.children().degraded() == 0 && s.children().stopped() <= disabled
}

fn well(s: &Snapshot<'_, Parent>) -> Reason {
    if s.children().is_empty() {
        "it has no children".into()
    } else {
        "all enabled children are healthy".into()
    }
}

fn unwell(s: &Snapshot<'_, Parent>) -> Reason {
    ("{} children degraded, {} stopped", s.children().degraded(), s.children().stopped()).into()
}
