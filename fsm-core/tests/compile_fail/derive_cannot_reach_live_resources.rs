//! `derive` is pure: its context leads to no handle, no host, no clock, no other node and no task.

use fsm_core::DeriveContext;

fn derive(cx: &DeriveContext<'_>) {
    cx.handle();
    cx.host();
    cx.now();
    cx.observed();
    cx.spawn();
}

fn main() {}
