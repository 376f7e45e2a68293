//! A state is `Copy`: it can hide no memory between two decisions.

use std::sync::Arc;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
enum Door {
    #[default]
    Closed,
    Open(Arc<String>),
}

fn main() {
    let _ = (Door::Closed, Door::Open(Arc::default()));
}
