//! Logs go to the standard error, so that the lines of flows stay alone on the standard output.

use std::io::IsTerminal;

use fsm_templating::{Diagnostics, Place};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

use super::traces::Traces;
use crate::cli::Failure;
use crate::config::{LogFormat, Telemetry};

/// What is logged when nobody says.
const DEFAULT: &str = "info";

/// Starts logging; what the command line says goes before what the config says. Spans are heard by `traces` only: a log line has
/// its own fields.
pub(super) fn start(telemetry: &Telemetry, asked: Option<&str>, traces: &Traces) -> Result<(), Failure> {
    let (level, from) = match (asked, &telemetry.level) {
        (Some(level), _) => (level, "--log"),
        (None, Some(level)) => (level.as_str(), "telemetry.level"),
        (None, None) => (DEFAULT, ""),
    };
    let filter = EnvFilter::try_new(level).map_err(|error| {
        let what = format!("`{level}` of {from} is no log level: {error}");
        let help = "write error, warn, info, debug or trace, or a filter such as `info,fsm_supervisor=debug`";
        let failure = Failure::new(what).help(help);
        if asked.is_some() { failure.usage() } else { failure }
    })?;
    let filter = match format!("{}=off", fsm_metrics::trace::TARGET).parse() {
        Ok(no_spans) => filter.add_directive(no_spans),
        // It is a constant that parses; a test of this program would see it.
        Err(_) => filter,
    };
    let colours = std::io::stderr().is_terminal() && crate::show::colours_wanted();
    let lines = fmt::layer().with_writer(std::io::stderr).with_timer(SystemTime).with_ansi(colours);
    let lines = match telemetry.log {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let lines = registry().with(lines.with_filter(filter));
    let started = match traces.layer() {
        None => lines.try_init(),
        Some(spans) => lines.with(spans).try_init(),
    };
    started.map_err(|error| Failure::new(format!("logging can't be started: {error}")))
}

/// What is said about a config: whole, with its snippets, for people; one line each for programs.
pub(super) fn report(found: &Diagnostics, log: LogFormat) {
    if log == LogFormat::Text {
        if !found.is_empty() {
            eprintln!("{found}\n");
        }
        return;
    }
    for diagnostic in found {
        let (code, what) = (diagnostic.code, &diagnostic.message);
        let at = diagnostic.place.as_ref().map(Place::to_string);
        let help = diagnostic.help.as_deref();
        if diagnostic.is_error() {
            tracing::error!(%code, at, help, "{what}");
        } else {
            tracing::warn!(%code, at, help, "{what}");
        }
    }
}
