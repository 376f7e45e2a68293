//! `fsmd exec` and `fsmd executions`: runs things on a running daemon, and looks at what was run.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fsm_core::{HumanDuration, NodePath};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Ask, Failure};
use crate::client::{Said, Server, encoded};
use crate::exec::{Kind, Status};
use crate::http::Problem;
use crate::show::{self, Execution, Paint};

/// As long as the daemon waits when nobody says.
const DEFAULT_WAIT: Duration = Duration::from_secs(60);

/// What is to be run.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// The id of a tool; with --agent, the name of an action.
    #[arg(value_name = "TOOL|ACTION")]
    name: Option<String>,
    /// Run an action of this worker.
    #[arg(long, value_name = "PATH", conflicts_with = "workflow")]
    agent: Option<String>,
    /// Run this workflow.
    #[arg(long, value_name = "ID", conflicts_with = "name")]
    workflow: Option<String>,
    /// What it is to work on: JSON, `@FILE` with JSON, or `-` for JSON on the standard input.
    #[arg(long, value_name = "JSON")]
    input: Option<String>,
    /// How long to wait for the end, 60s by default and 5m at most; with --async, how long it may run.
    #[arg(long, value_name = "DURATION")]
    timeout: Option<HumanDuration>,
    /// When the time to wait is over, or this command is ended, cancel it.
    #[arg(long, conflicts_with = "asynchronous")]
    cancel_on_timeout: bool,
    /// Don't wait: print the id of the execution.
    #[arg(long = "async")]
    asynchronous: bool,
    /// A repeat with the same key within a day runs nothing again.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    #[command(flatten)]
    ask: Ask,
}

/// What is to be seen.
#[derive(Debug, clap::Args)]
pub(super) struct Look {
    /// Only this one, with everything that is known of it.
    #[arg(conflicts_with_all = ["status", "kind", "tool", "since", "limit", "cancel"])]
    id: Option<String>,
    /// Only those with this status: pending, running, success, failure, timeout or cancelled.
    #[arg(long, value_enum, hide_possible_values = true)]
    status: Option<Status>,
    /// Only those of this kind: task, agent or workflow.
    #[arg(long, value_enum, hide_possible_values = true)]
    kind: Option<Kind>,
    /// Only those of this tool.
    #[arg(long, value_name = "ID")]
    tool: Option<String>,
    /// Only those since this time, or so long ago.
    #[arg(long, value_name = "TIME|DURATION")]
    since: Option<String>,
    /// So many, the newest; 100 by default.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: Option<u16>,
    /// Cancel this one.
    #[arg(long, value_name = "ID", conflicts_with_all = ["status", "kind", "tool", "since", "limit"])]
    cancel: Option<String>,
    #[command(flatten)]
    ask: Ask,
}

pub(super) fn run(run: Run) -> Result<String, Failure> {
    let mut path = target(&run)?;
    let mut body = json!({});
    if let Some(input) = &run.input {
        body["input"] = read_input(input)?;
    }
    if let Some(timeout) = run.timeout {
        body["timeout_s"] = json!(timeout.get().as_secs_f64());
    }
    if run.cancel_on_timeout {
        body["cancel_on_timeout"] = json!(true);
    }
    if run.asynchronous {
        path.push_str("?async=true");
    }
    let header = run.key.map(|key| ("idempotency-key", key));
    let within = run.timeout.map_or(DEFAULT_WAIT, HumanDuration::get);
    let said = Said { method: Method::POST, path, header, body: Some(body) };
    let (status, answer) = Server::find(run.ask.server).send(&said, within)?;
    let document = show::document(run.ask.output, &answer)?;
    match status {
        StatusCode::OK => Ok(document.unwrap_or_else(|| show::output(&answer["output"]))),
        StatusCode::ACCEPTED => {
            let id = answer["exec_id"].as_str().unwrap_or_default();
            Ok(document.unwrap_or_else(|| format!("{id}\n")))
        }
        _ => Err(failed(status, answer, document)),
    }
}

fn failed(status: StatusCode, answer: Value, document: Option<String>) -> Failure {
    let id = answer["exec_id"].as_str().map(str::to_owned);
    let failure = match (document, serde_json::from_value::<Problem>(answer)) {
        (Some(document), _) => Failure::answered(document),
        (None, Ok(problem)) => {
            let failure = Failure::of_problem(&problem);
            match id {
                Some(id) => failure.help(format!("`fsmd executions {id}` shows all of it")),
                None => failure,
            }
        }
        (None, Err(_)) => Failure::new(format!("the daemon answers {status}")),
    };
    if status == StatusCode::REQUEST_TIMEOUT { failure.timed_out() } else { failure }
}

/// The route of what is to be run.
fn target(run: &Run) -> Result<String, Failure> {
    let usage = |what: &str, help: &str| Err(Failure::new(what).help(help).usage());
    match (&run.agent, &run.workflow, &run.name) {
        (None, None, Some(tool)) => Ok(format!("/v1/exec/tasks/{}", encoded(tool))),
        (None, Some(workflow), _) => Ok(format!("/v1/exec/workflows/{}", encoded(workflow))),
        (Some(agent), _, Some(action)) => match NodePath::try_new(agent) {
            Ok(path) => Ok(format!("/v1/exec/agents{path}/-/{}", encoded(action))),
            Err(error) => {
                let help = "`fsmd tree` shows the nodes; a path is their names from the root";
                Err(Failure::of(&error).help(help).usage())
            }
        },
        (Some(_), _, None) => usage(
            "what is the worker to do?",
            "name the action, as in `fsmd exec --agent /edge-01/press-7/connection probe`",
        ),
        (None, None, None) => usage(
            "what is to be run?",
            "name a tool, or a worker with --agent and its action, or a workflow with --workflow",
        ),
    }
}

fn read_input(input: &str) -> Result<Value, Failure> {
    let (text, from) = match (input.strip_prefix('@'), input) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(Path::new(file))
                .map_err(|error| Failure::new(format!("the input `{file}` can't be read: {error}")))?;
            (text, file.to_owned())
        }
        (None, "-") => {
            let mut text = String::new();
            let read = std::io::stdin().read_to_string(&mut text);
            read.map_err(|error| Failure::new(format!("the standard input can't be read: {error}")))?;
            (text, "the standard input".to_owned())
        }
        (None, text) => (text.to_owned(), "--input".to_owned()),
    };
    serde_json::from_str(&text).map_err(|error| {
        Failure::new(format!("what {from} says is no JSON: {error}"))
            .help("a text needs quotes of its own, as in --input '\"press 7\"'")
            .usage()
    })
}

pub(super) fn look(look: Look) -> Result<String, Failure> {
    let server = Server::find(look.ask.server);
    let output = look.ask.output;
    if let Some(id) = &look.cancel {
        let path = format!("/v1/exec/{}", encoded(id));
        let said = Said { method: Method::DELETE, path, header: None, body: None };
        let (status, answer) = server.send(&said, Duration::ZERO)?;
        if status.is_client_error() || status.is_server_error() {
            return Err(failed(status, answer, None));
        }
        if let Some(text) = show::document(output, &answer)? {
            return Ok(text);
        }
        let status = answer["status"].as_str().unwrap_or_default();
        let told = match status {
            "pending" | "running" => "is being cancelled".to_owned(),
            ended => format!("had ended before: {ended}"),
        };
        return Ok(format!("{id} {told}\n"));
    }
    if let Some(id) = &look.id {
        let value: Value = server.get(&format!("/v1/exec/{}", encoded(id)))?;
        if let Some(text) = show::document(output, &value)? {
            return Ok(text);
        }
        return Ok(show::execution(&value, Paint::for_stdout()));
    }
    let mut query = vec![format!("limit={}", look.limit.unwrap_or(100))];
    query.extend(look.status.map(|status| format!("status={status}")));
    query.extend(look.kind.map(|kind| format!("kind={kind}")));
    query.extend(look.tool.as_deref().map(|tool| format!("tool={}", encoded(tool))));
    query.extend(look.since.as_deref().map(|since| format!("since={}", encoded(since))));
    let value: Value = server.get(&format!("/v1/exec?{}", query.join("&")))?;
    if let Some(text) = show::document(output, &value)? {
        return Ok(text);
    }
    let all: Vec<Execution> = serde_json::from_value(value["executions"].clone())
        .map_err(|error| Failure::new(format!("the daemon is not of this version: {error}")))?;
    Ok(show::executions(&all, !value["next"].is_null(), SystemTime::now(), Paint::for_stdout()))
}
