//! The command line: verbs, their options, and the exit codes 0 (fine), 1 (error), 4 (timed out) and 64 (usage).

mod exec;
mod failure;
mod offline;
mod online;
mod scenario;
mod sim;

use std::io::{ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use failure::Failure;

use crate::run;

const CODES: &str = "Exit codes: 0 fine, 1 error, 4 timed out, 64 wrong usage.";

/// Runs trees of FSM workers from one config file.
#[derive(Debug, Parser)]
#[command(name = "fsmd", version, after_help = CODES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// JSON.
    Json,
    /// YAML.
    Yaml,
}

/// Which daemon is asked, and how its answer is written.
#[derive(Debug, clap::Args)]
struct Ask {
    /// Where the daemon listens; else FSMD_SERVER, else `server.listen` of ./fsmd.yaml, else http://127.0.0.1:8080.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// How the answer is written: table, json or yaml.
    #[arg(
        short,
        long,
        value_enum,
        default_value = "table",
        value_name = "FORMAT",
        hide_possible_values = true
    )]
    output: Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a config in the foreground, and reload it when it changes.
    #[command(after_help = "Example:\n  fsmd run examples/quickstart.yaml\n\n\
        SIGHUP reloads, as does a change of a file. SIGTERM and Ctrl-C stop it, a second one forces.\n\
        /readyz answers 200 while every node is as the config wants it: nothing starts, stops, fails or waits.\n\
        Exit codes: 0 everything stopped by itself, 1 error or something had to be forced, 64 wrong usage.")]
    Run {
        /// A config file, or a folder of files that are merged.
        config: PathBuf,
        /// What is logged, instead of what the config says: `warn`, or `info,fsm_supervisor=debug`.
        #[arg(long, value_name = "FILTER")]
        log: Option<String>,
    },
    /// Check a config: everything that is wrong with it, at once.
    #[command(after_help = "Example:\n  fsmd check --strict examples/quickstart.yaml\n\n\
        Exit codes: 0 it can be run, 1 it can't, 64 wrong usage.")]
    Check {
        /// A config file, or a folder of files that are merged.
        config: PathBuf,
        /// Warnings are errors.
        #[arg(long)]
        strict: bool,
        /// How the answer is written: table, json or yaml.
        #[arg(
            short,
            long,
            value_enum,
            default_value = "table",
            value_name = "FORMAT",
            hide_possible_values = true
        )]
        output: Format,
    },
    /// Show what the templates of a config give.
    #[command(after_help = "Example:\n  fsmd render examples/quickstart.yaml /quickstart/press-1 --trace")]
    Render {
        /// A config file, or a folder of files that are merged.
        config: PathBuf,
        /// Only this node and what is below it.
        path: Option<String>,
        /// Beside each bridge: where each rendered part comes from.
        #[arg(long)]
        trace: bool,
        /// How the answer is written: yaml or json.
        #[arg(
            short,
            long,
            value_enum,
            default_value = "yaml",
            value_name = "FORMAT",
            hide_possible_values = true
        )]
        output: Document,
    },
    /// Show the running tree: each node with its health and why.
    #[command(after_help = "Example:\n  fsmd tree --unhealthy")]
    Tree {
        /// Only nodes that are not as they should be.
        #[arg(long)]
        unhealthy: bool,
        #[command(flatten)]
        ask: Ask,
    },
    /// Show one node of the running tree in one line, or all of it as JSON or YAML.
    #[command(after_help = "Example:\n  fsmd get /quickstart/press-1 -o yaml")]
    Get {
        /// The node.
        path: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// Explain one node of the running tree: what it does, why, and what it waits for.
    #[command(after_help = "Example:\n  fsmd describe /quickstart/press-1/connection")]
    Describe {
        /// The node.
        path: String,
        #[command(flatten)]
        ask: Ask,
    },
    /// Tell before what something would do to the running tree: with --shutdown, how long its stop may take.
    #[command(after_help = "Example:\n  fsmd plan --shutdown\n\n\
        Nodes that wait for each other to stop make a chain. Shown is the longest one, if each of its nodes takes all the\n\
        time that it may, beside the time that a shutdown has before it forces.\n\
        Exit codes: 0 it was told, 1 no daemon answers, 64 wrong usage.")]
    Plan {
        /// The longest chain of stops, and whether the deadline of a shutdown is long enough for it.
        #[arg(long)]
        shutdown: bool,
        #[command(flatten)]
        ask: Ask,
    },
    /// Run a tool of the running daemon, an action of a worker, or a workflow, and print what it gives.
    #[command(after_help = "Examples:\n  fsmd exec greet --input '\"press 7\"'\n  \
        fsmd exec label-printer/print --input @label.json --timeout 2m\n  \
        fsmd exec --agent /edge-01/press-7/connection probe\n  fsmd exec --workflow changeover --async\n\n\
        What it gives goes to the standard output: a text as it is, anything else as JSON. Errors go to the standard error.\n\
        Exit codes: 0 it succeeded, or with --async was taken; 1 it did not succeed or was not taken;\n\
        4 it goes on, and the time to wait is over; 64 wrong usage.")]
    Exec(exec::Run),
    /// Show what was run, one run, or cancel one.
    #[command(after_help = "Examples:\n  fsmd executions --status failure --since 1h\n  \
        fsmd executions 019a3c5e7b210000-5d1f0c2b9a8e7746 -o json\n  \
        fsmd executions --cancel 019a3c5e7b210000-5d1f0c2b9a8e7746\n\n\
        Exit codes: 0 it was told, 1 no daemon answers or there is no such execution, 64 wrong usage.")]
    Executions(exec::Look),
    /// Play the built-in scenarios: small stories about a tree, mostly under virtual time, that show what can be relied on.
    #[command(
        after_help = "Examples:\n  fsmd scenario --list\n  fsmd scenario hello --trace\n  fsmd scenario\n\n\
        Without a name all are played. Nothing is left behind, and no address but a free one of this machine is used.\n\
        Exit codes: 0 everything was as it should be, 1 something was not, 64 wrong usage."
    )]
    Scenario {
        /// Which one; all without it.
        name: Option<String>,
        /// Say what there is, and play nothing.
        #[arg(long)]
        list: bool,
        /// Between the steps everything that happened, with virtual time.
        #[arg(long)]
        trace: bool,
        /// How the answer is written: table, json or yaml.
        #[arg(
            short,
            long,
            value_enum,
            default_value = "table",
            value_name = "FORMAT",
            hide_possible_values = true
        )]
        output: Format,
    },
    /// Run a config in the simulation: its tree on a world in memory, with everything going wrong that can.
    #[command(after_help = "Examples:\n  fsmd sim examples/quickstart.yaml\n  \
        fsmd sim examples/quickstart.yaml --seed 7 --seeds 100 --faults storm\n  \
        fsmd sim examples/quickstart.yaml --faults calm --hours 24\n\n\
        The kinds are the real ones up to where they would touch the outside: there stands a world in memory,\n\
        whose peers go away, fall silent, get slow and end what they do. No socket is opened and no file written.\n\
        Mixes of faults:\n  \
        none   nothing goes wrong: it starts, runs and stops\n  \
        calm   the world changes, operators meddle, clocks jump\n  \
        quick  and actions and observations fail, hang and panic, and the process is killed\n  \
        storm  the same, four times as much of it\n\n\
        Exit codes: 0 every rule held, 1 one was broken or the config can't be used, 64 wrong usage.")]
    Sim {
        /// A config file, or a folder of files that are merged.
        config: PathBuf,
        /// The first seed; it decides everything that is left to chance.
        #[arg(long, default_value_t = 0, value_name = "N")]
        seed: u64,
        /// So many seeds, one after the other.
        #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
        seeds: u64,
        /// How much goes wrong: none, calm, quick or storm.
        #[arg(long, value_enum, default_value = "quick", value_name = "MIX", hide_possible_values = true)]
        faults: crate::sim::Mix,
        /// Virtual hours over which the faults are spread, in proportion more of them; three minutes without it.
        #[arg(long, value_name = "H", value_parser = clap::value_parser!(u64).range(1..=8_760))]
        hours: Option<u64>,
    },
    /// Print the JSON Schema of the config, for editors.
    #[command(after_help = "Example:\n  fsmd schema > fsmd.schema.json")]
    Schema,
    /// Explain an error code.
    #[command(after_help = "Example:\n  fsmd explain E0103")]
    Explain {
        /// The code, as in E0103.
        code: String,
    },
    /// Print the version.
    #[command(after_help = "Example:\n  fsmd version")]
    Version,
}

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Document {
    /// YAML.
    Yaml,
    /// JSON.
    Json,
}

/// Does what the command line says, and gives the exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are answers, too. That nobody reads them is no error.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { failure::USAGE } else { 0 });
        }
    };
    let (out, failure) = match act(cli.verb) {
        Ok(out) => (out, None),
        Err(mut failure) => (failure.take_output(), Some(failure)),
    };
    if let Err(error) = print(&out) {
        eprintln!("error: the answer can't be written: {error}");
        return ExitCode::from(failure::ERROR);
    }
    match failure {
        None => ExitCode::SUCCESS,
        Some(failure) => {
            if !failure.is_silent() {
                eprintln!("{failure}");
            }
            ExitCode::from(failure.code())
        }
    }
}

/// A reader that had enough, such as `head`, is no error.
fn print(out: &str) -> std::io::Result<()> {
    if out.is_empty() {
        // A flow that was forced may still hold the standard output.
        return Ok(());
    }
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

fn act(verb: Verb) -> Result<String, Failure> {
    match verb {
        Verb::Run { config, log } => run::run(&run::Options { config, log }).map(|()| String::new()),
        Verb::Check { config, strict, output } => offline::check(&config, strict, output),
        Verb::Render { config, path, trace, output } => {
            offline::render(&config, path.as_deref(), trace, output)
        }
        Verb::Tree { unhealthy, ask } => online::tree(ask, unhealthy),
        Verb::Get { path, ask } => online::get(ask, &path),
        Verb::Describe { path, ask } => online::describe(ask, &path),
        Verb::Plan { shutdown, ask } => online::plan(ask, shutdown),
        Verb::Exec(run) => exec::run(run),
        Verb::Executions(look) => exec::look(look),
        Verb::Scenario { name, list, trace, output } => {
            scenario::run(&scenario::Options { name, list, trace, output })
        }
        Verb::Sim { config, seed, seeds, faults, hours } => {
            sim::run(&sim::Options { config, seed, seeds, faults, hours })
        }
        Verb::Schema => offline::schema(),
        Verb::Explain { code } => offline::explain(&code),
        Verb::Version => Ok(format!("fsmd {}\n", env!("CARGO_PKG_VERSION"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    // spec: U-1
    #[test]
    fn every_verb_has_an_example_and_a_description() {
        for verb in Cli::command().get_subcommands() {
            let name = verb.get_name();
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("fsmd {name}")), "{name}");
            assert!(verb.get_about().is_some(), "{name}");
        }
    }
}
