//! A snapshot is borrowed: nothing of it outlives the decision.

use fsm_core::{Snapshot, Worker};

fn keep<W: Worker>(s: Snapshot<'_, W>) -> &'static W::Observed {
    s.observed()
}

fn main() {}
