//! The keeper as a program of its own, for programs that don't want to be one themselves.

use std::process::ExitCode;

fn main() -> ExitCode {
    fsm_worker_process::keeper_main()
}
