//! The rules of actions (A-1 … A-10) and their statistics, each with its bad case, mostly under paused time.

mod blocking;
mod cancel;
mod observed;
mod outcomes;
mod pool;
mod retries;
mod shutdown;
mod statistics;
mod stress;
mod support;
