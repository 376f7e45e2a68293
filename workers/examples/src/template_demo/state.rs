//! The pure half of `template_demo`: it is there, or it isn't.

use fsm_core::{Decision, Phase, Snapshot, Sort, State, StopSnapshot, go, stay};

use super::TemplateDemo;

/// The states of `template_demo`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum TemplateDemoState {
    /// Waits for the goal to run.
    #[default]
    Stopped,
    /// Its children run by themselves. Waits for the goal to stop.
    Running,
}

impl State<TemplateDemo> for TemplateDemoState {
    const ALL: &'static [Self] = &[Self::Stopped, Self::Running];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Running => "Running",
        }
    }

    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::Running => Phase::Running,
        }
    }

    fn sort(self) -> Sort {
        Sort::Passive
    }

    fn next(self, s: &Snapshot<'_, TemplateDemo>) -> Decision<TemplateDemo> {
        match self {
            Self::Stopped => go(Self::Running, "told to run"),
            Self::Running => stay(("{} of {} flows are healthy", s.children().healthy(), s.children().len())),
        }
    }

    fn stop(self, _s: &StopSnapshot<'_, TemplateDemo>) -> Decision<TemplateDemo> {
        match self {
            Self::Stopped => stay("stopped"),
            Self::Running => go(Self::Stopped, "all flows have stopped"),
        }
    }
}
