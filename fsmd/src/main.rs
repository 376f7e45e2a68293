//! The program: parse the command line, do it, leave with its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    // This program is also the keeper of each program that it runs; before anything else, so that it stays small.
    if std::env::args_os().nth(1).is_some_and(|mode| mode == fsm_worker_process::KEEPER_ARG) {
        return fsm_worker_process::keeper_main();
    }
    fsmd::cli::main()
}
