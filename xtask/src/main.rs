//! Project automation: what a developer or CI runs beyond plain cargo, so that both run the same.

mod shell;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Project automation", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check the project's own rules that a machine can hold, and say how to mend each finding
    Tidy {
        /// Only findings in paths that begin with this, such as `fsm-core/`
        #[arg(long, value_name = "PATH", default_value = "")]
        under: String,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match command {
        Command::Tidy { under } => tidy::run(&workspace, &under),
    }
}
