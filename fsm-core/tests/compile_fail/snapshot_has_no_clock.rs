//! Time is asked by `reached`, which books the wake-up: there is no "now" to compare with.

use fsm_core::{Moment, Snapshot, Worker};

fn peek<W: Worker>(s: &Snapshot<'_, W>) -> Moment {
    s.now()
}

fn main() {}
