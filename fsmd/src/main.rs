//! The program: parse the command line, do it, leave with its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    fsmd::cli::main()
}
