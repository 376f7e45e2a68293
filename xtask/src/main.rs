//! Project automation: what a developer or CI runs beyond plain cargo, so that both run the same.

mod bench;
mod ci;
mod codegen;
mod coverage;
mod fsmd;
mod markers;
mod new_worker;
mod shell;
mod sim;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::fsmd::Fsmd;
use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Project automation", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that a change must pass: format, tidy, clippy, docs, examples, benches' gates, tests
    Ci,
    /// Check the project's own rules that a machine can hold, and say how to mend each finding
    Tidy {
        /// Only findings in paths that begin with this, such as `fsm-core/`
        #[arg(long, value_name = "PATH", default_value = "")]
        under: String,
    },
    /// Write the files that code is the source of: references, dashboards, alerts, diagrams
    Codegen {
        /// Change nothing; fail if a file differs from its source
        #[arg(long)]
        check: bool,
        /// Only these: config, metrics, dashboards, alerts or diagrams
        #[arg(long, value_name = "NAME")]
        only: Option<String>,
    },
    /// Run the benchmarks: times in a table, gates on what noise can't move
    Bench {
        /// A package, a bench target or a case such as P1; all of them without
        name: Option<String>,
        /// Small sizes and few runs: for the gates, not for the times
        #[arg(long)]
        quick: bool,
        /// Put the rows into docs/benchmarks.md
        #[arg(long)]
        write: bool,
    },
    /// Measure line coverage per crate and put it into docs/testing.md
    Coverage,
    /// Simulate a plant under faults, seed after seed, and check every rule after each step
    Sim {
        /// The first seed
        #[arg(long, default_value_t = 0)]
        from: u64,
        /// How many
        #[arg(long, default_value_t = sim::CI_SEEDS)]
        seeds: u64,
    },
    /// Make a worker crate that compiles and is tested, in workers/NAME
    NewWorker {
        /// Lower-case words with `-` between them, such as `pump-station`
        name: String,
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
        Command::Ci => ci::run(&workspace),
        Command::Tidy { under } => tidy::run(&workspace, &under),
        Command::Codegen { check, only } => {
            codegen::run(&workspace, &Fsmd::through_cargo(&workspace), check, only.as_deref())
        }
        Command::Bench { name, quick, write } => {
            bench::run(&workspace, &bench::Request { name, quick, write })
        }
        Command::Coverage => coverage::run(&workspace),
        Command::Sim { from, seeds } => sim::run(&workspace, from, seeds),
        Command::NewWorker { name } => new_worker::run(&workspace, &name),
    }
}
