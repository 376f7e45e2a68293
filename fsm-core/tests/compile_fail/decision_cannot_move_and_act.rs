//! A decision is one step: state XOR action XOR signal.

use fsm_core::{Decision, Worker, act, go};

fn chained<W: Worker>(state: W::State, action: W::Action) -> Decision<W> {
    go(state, "both").act(action, "at once")
}

fn paired<W: Worker>(state: W::State, action: W::Action) -> Decision<W> {
    (go(state, "both"), act(action, "at once"))
}

fn main() {}
