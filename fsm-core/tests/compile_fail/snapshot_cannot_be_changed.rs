//! A snapshot is borrowed: a state can't change what it decides from.

use fsm_core::{Snapshot, Worker};

fn tamper<W: Worker>(s: &Snapshot<'_, W>, config: W::Config, observed: W::Observed) {
    *s.config() = config;
    *s.observed() = observed;
}

fn main() {}
