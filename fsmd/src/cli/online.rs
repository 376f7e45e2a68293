//! The verbs that ask a running daemon.

use std::time::SystemTime;

use fsm_core::NodePath;
use serde_json::Value;

use super::{Ask, Failure};
use crate::client::Server;
use crate::show::{self, Details, Entry, LongestStop, Paint};

pub(super) fn tree(ask: Ask, unhealthy: bool) -> Result<String, Failure> {
    let path = if unhealthy { "/v1/tree?unhealthy=true" } else { "/v1/tree" };
    let value: Value = Server::find(ask.server).get(path)?;
    if let Some(text) = show::document(ask.output, &value)? {
        return Ok(text);
    }
    let entries: Vec<Entry> = read(value)?;
    Ok(show::tree(&entries, unhealthy, Paint::for_stdout()))
}

pub(super) fn get(ask: Ask, path: &str) -> Result<String, Failure> {
    let output = ask.output;
    let value = node(ask, path)?;
    if let Some(text) = show::document(output, &value)? {
        return Ok(text);
    }
    Ok(show::one(&read(value)?, Paint::for_stdout()))
}

pub(super) fn describe(ask: Ask, path: &str) -> Result<String, Failure> {
    let output = ask.output;
    let value = node(ask, path)?;
    if let Some(text) = show::document(output, &value)? {
        return Ok(text);
    }
    let details: Details = read(value)?;
    Ok(show::describe(&details, SystemTime::now(), Paint::for_stdout()))
}

pub(super) fn plan(ask: Ask, shutdown: bool) -> Result<String, Failure> {
    if !shutdown {
        return Err(Failure::new("`plan` needs to know of what")
            .help("there is `fsmd plan --shutdown`: how long a stop of the running tree may take")
            .usage());
    }
    let value: Value = Server::find(ask.server).get("/v1/longest-stop")?;
    if let Some(text) = show::document(ask.output, &value)? {
        return Ok(text);
    }
    let longest: LongestStop = read(value)?;
    Ok(show::shutdown(&longest, Paint::for_stdout()))
}

fn node(ask: Ask, path: &str) -> Result<Value, Failure> {
    let path = NodePath::try_new(path).map_err(|error| {
        let help = match NodePath::try_new(format!("/{path}")) {
            Ok(rooted) => format!("did you mean `{rooted}`? `fsmd tree` shows the nodes"),
            Err(_) => "`fsmd tree` shows the nodes; a path is their names from the root".to_owned(),
        };
        Failure::of(&error).help(help).usage()
    })?;
    // Names need no escaping: they are lower-case letters, digits, `-` and `_`.
    Server::find(ask.server).get(&format!("/v1/nodes{path}"))
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Failure> {
    serde_json::from_value(value)
        .map_err(|error| Failure::new(format!("the daemon is not of this version: {error}")))
}
