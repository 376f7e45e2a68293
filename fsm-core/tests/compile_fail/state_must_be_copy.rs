//! A type that isn't `Copy` is no state, whatever it holds.

use fsm_core::{Decision, Phase, Snapshot, Sort, State, StopSnapshot, Worker, stay};

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Remembers(Vec<u8>);

impl<W: Worker> State<W> for Remembers {
    const ALL: &'static [Self] = &[];
    fn name(self) -> &'static str {
        "Remembers"
    }
    fn phase(self) -> Phase {
        Phase::Running
    }
    fn sort(self) -> Sort {
        Sort::Passive
    }
    fn next(self, _s: &Snapshot<'_, W>) -> Decision<W> {
        stay("here")
    }
    fn stop(self, _s: &StopSnapshot<'_, W>) -> Decision<W> {
        stay("here")
    }
}

fn main() {}
