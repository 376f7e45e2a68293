//! The states of kinds that only hold children together: `application` and `group`.

use fsm_core::{Decision, Phase, Reason, Snapshot, Sort, State, StopSnapshot, Worker, go, stay};

/// As healthy as the children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RollupState {
    /// The children are held in Stopped, or were not looked at yet. Waits for the goal to run.
    #[default]
    Stopped,
    /// No child is degraded. Waits for one that is.
    Running,
    /// Some children are degraded, or have only begun to start. Waits until none is.
    Degraded,
}

impl<W: Worker<State = Self>> State<W> for RollupState {
    const ALL: &'static [Self] = &[Self::Stopped, Self::Running, Self::Degraded];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Running => "Running",
            Self::Degraded => "Degraded",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::Running => Phase::Running,
            Self::Degraded => Phase::Degraded,
        }
    }

    fn sort(self) -> Sort {
        Sort::Passive
    }

    fn next(self, s: &Snapshot<'_, W>) -> Decision<W> {
        // A child in Stopped is there because somebody said so: the config, an operator, or what it waits for, which
        // then is degraded itself.
        match (self, s.children().degraded()) {
            // They have only been told to run; those that stay in Stopped make no trouble when it is asked again.
            (Self::Stopped, 0) if s.children().stopped() > 0 => {
                go(Self::Degraded, "the children are starting")
            }
            (Self::Stopped | Self::Degraded, 0) => go(Self::Running, well(s)),
            (Self::Running, 0) => stay(well(s)),
            (Self::Stopped | Self::Running, _) => go(Self::Degraded, unwell(s)),
            (Self::Degraded, _) => stay(unwell(s)),
        }
    }

    fn stop(self, _s: &StopSnapshot<'_, W>) -> Decision<W> {
        match self {
            Self::Stopped => stay("stopped"),
            // The engine asks only when the children have stopped: nothing is left to do.
            Self::Running | Self::Degraded => go(Self::Stopped, "all children have stopped"),
        }
    }
}

fn well<W: Worker>(s: &Snapshot<'_, W>) -> Reason {
    let children = s.children();
    (
        "{} children are healthy, {} stopped or completed",
        children.healthy(),
        children.stopped() + children.completed(),
    )
        .into()
}

fn unwell<W: Worker>(s: &Snapshot<'_, W>) -> Reason {
    ("{} of {} children are not healthy", s.children().degraded(), s.children().len()).into()
}
