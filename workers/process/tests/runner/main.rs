//! The runner against programs that mean it harm; every one is real.

mod conversation;
mod endings;
mod left;
mod owner;
mod support;
