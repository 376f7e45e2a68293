//! The sections of the file that are the daemon's own; those that make the tree are the application's.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use fsm_core::HumanDuration;
use fsm_templating::{Diagnostic, Diagnostics, Node, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::codes;
use super::tools::{Exec, ToolEntry};
use super::workflows::WorkflowEntry;

/// The sections that are read entry by entry: those that make the tree, and what can be run by a call.
pub(super) const LISTS: [&str; 8] =
    ["agent", "variables", "templates", "bridges", "dataflows", "workers", "tools", "workflows"];

/// The only version of the file so far.
const VERSION: u64 = 1;

/// The daemon's own sections.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Settings {
    /// The version of this file: 1.
    pub(super) version: u64,
    /// The API and the metrics.
    pub(super) server: Server,
    /// Where state is kept.
    pub(super) store: Store,
    /// How the tree is run.
    pub(super) supervision: Supervision,
    /// Programs that can be run by a call.
    pub(super) tools: Vec<ToolEntry>,
    /// Job trees that can be run by a call.
    pub(super) workflows: Vec<WorkflowEntry>,
    /// How calls are run.
    pub(super) exec: Exec,
    /// What is measured.
    pub(super) metrics: MetricsSection,
    /// What is logged.
    pub(super) telemetry: Telemetry,
}

/// The API and the metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Server {
    /// Where it listens. Loopback addresses only; port 0 takes a free one.
    #[schemars(with = "String")]
    #[serde(deserialize_with = "loopback")]
    pub listen: SocketAddr,
}

impl Default for Server {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 8080)) }
    }
}

fn loopback<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let address: SocketAddr = text.parse().map_err(|_| {
        serde::de::Error::custom(format!("`{text}` is not an address: write it as in `127.0.0.1:8080`"))
    })?;
    if !address.ip().is_loopback() {
        return Err(serde::de::Error::custom(format!("`{text}` is reachable from outside")));
    }
    Ok(address)
}

/// Without TLS and tokens nobody outside may reach the API (U-80).
pub(super) fn check_listen(document: &Node, found: &mut Diagnostics) {
    let Some(listen) = document.get("server").and_then(|server| server.get("listen")) else { return };
    let address: Option<SocketAddr> = listen.as_str().and_then(|text| text.parse().ok());
    if address.is_some_and(|address| !address.ip().is_loopback()) {
        found.push(
            Diagnostic::error(codes::NOT_LOOPBACK, "this address is reachable from outside")
                .at(listen.place().clone())
                .path("server.listen")
                .help("there is no TLS and no token yet: use 127.0.0.1"),
        );
    }
}

/// Where state is kept: in memory; it is gone when the daemon ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Store {
    /// Keep it in memory. The only choice so far, so it must be true.
    #[serde(deserialize_with = "only_true")]
    #[schemars(extend("const" = true))]
    pub memory: bool,
}

impl Default for Store {
    fn default() -> Self {
        Self { memory: true }
    }
}

fn only_true<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match bool::deserialize(deserializer)? {
        true => Ok(true),
        false => Err(serde::de::Error::custom("state is kept in memory only, so far: write `memory: true`")),
    }
}

/// How the tree is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Supervision {
    /// The pace of a state that acts, and the upper bound of reaction; 10ms at least.
    #[serde(deserialize_with = "tick_interval")]
    pub tick_interval: HumanDuration,
    /// The pool of actions.
    pub action: ActionPool,
    /// How long a graceful stop of the whole tree may take.
    pub shutdown_timeout: HumanDuration,
}

impl Default for Supervision {
    fn default() -> Self {
        Self {
            tick_interval: HumanDuration::new(Duration::from_secs(1)),
            action: ActionPool::default(),
            shutdown_timeout: HumanDuration::new(Duration::from_secs(30)),
        }
    }
}

/// A shorter one would keep a core busy with looking at the clock.
const MIN_TICK_INTERVAL: Duration = Duration::from_millis(10);

fn tick_interval<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
    let interval = HumanDuration::deserialize(deserializer)?;
    if interval.get() < MIN_TICK_INTERVAL {
        return Err(serde::de::Error::custom(format!(
            "the tick interval {interval} is too short: 10ms at least"
        )));
    }
    Ok(interval)
}

/// The pool of actions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ActionPool {
    /// Actions that run at the same time.
    #[schemars(range(min = 1, max = 65_000))]
    pub concurrency: usize,
    /// Actions that may wait for a place.
    #[schemars(range(min = 1))]
    pub queue: usize,
}

impl Default for ActionPool {
    fn default() -> Self {
        Self { concurrency: 10, queue: 65_536 }
    }
}

/// What is measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MetricsSection {
    /// Nodes with series of their own: a list of paths, or `true` for up to `max_paths` of them.
    pub per_path: PerPath,
    /// So many nodes have series of their own at most; the rest count as `_other`.
    pub max_paths: usize,
}

impl Default for MetricsSection {
    fn default() -> Self {
        Self { per_path: PerPath::All(false), max_paths: 500 }
    }
}

/// Which nodes have series of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum PerPath {
    /// All up to the maximum, or none.
    All(bool),
    /// These.
    Only(Vec<String>),
}

/// What is logged, and where traces go.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Telemetry {
    /// As text for people, or one JSON object per line.
    pub log: LogFormat,
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,fsm_supervisor=debug`.
    pub level: Option<String>,
    /// Where spans are exported to. Off by default.
    pub otlp: Option<Otlp>,
}

/// A collector of spans that speaks OTLP. It need not be there: nothing waits for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Otlp {
    /// Its address, such as `http://127.0.0.1:4317`; without it the variable OTEL_EXPORTER_OTLP_ENDPOINT.
    pub endpoint: Option<String>,
    /// How it is spoken to; without it the variable OTEL_EXPORTER_OTLP_PROTOCOL, else grpc.
    pub protocol: Option<OtlpProtocol>,
    /// Headers of each request, such as a token; added to those of the variable OTEL_EXPORTER_OTLP_HEADERS.
    pub headers: BTreeMap<String, Secret>,
    /// How long one export may take.
    pub timeout: HumanDuration,
    /// Share of the traces that are exported, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: f64,
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            endpoint: None,
            protocol: None,
            headers: BTreeMap::new(),
            timeout: HumanDuration::new(Duration::from_secs(10)),
            sample: 1.0,
        }
    }
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OtlpProtocol {
    /// gRPC, usually on port 4317.
    Grpc,
    /// Protobuf over HTTP, usually on port 4318.
    Http,
}

/// A build that can't export spans says so before it runs without them.
pub(super) fn check_otlp(document: &Node, found: &mut Diagnostics) {
    let endpoint = document.get("telemetry").and_then(|it| it.get("otlp")).and_then(|it| it.get("endpoint"));
    let Some(endpoint) = endpoint.filter(|_| !cfg!(feature = "otlp")) else { return };
    found.push(
        Diagnostic::error(codes::NO_OTLP, "this fsmd was built without the exporter of spans")
            .at(endpoint.place().clone())
            .path("telemetry.otlp.endpoint")
            .help("take it out, or build fsmd with `--features otlp` (it is part of `full`)"),
    );
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Nothing at all is one mistake, not the lack of everything.
pub(super) fn check_empty(document: &Node) -> Result<(), Diagnostics> {
    if document.as_mapping().is_some() || !document.to_value().is_null() {
        return Ok(());
    }
    let help =
        "begin with `version: 1` and `agent: {name: edge-01}`; `fsmd schema` prints what else there is";
    let error = Diagnostic::error(codes::BAD_VERSION, "the config is empty").at(document.place().clone());
    Err(error.help(help).into())
}

/// The version is what a reader has to know first.
pub(super) fn check_version(document: &Node, found: &mut Diagnostics) {
    let error = match document.get("version") {
        None => Diagnostic::error(codes::BAD_VERSION, "the file doesn't say its version")
            .at(document.place().clone()),
        Some(version) if version.to_value() == VERSION => return,
        Some(version) => Diagnostic::error(codes::BAD_VERSION, "this version of the file is not known")
            .at(version.place().clone()),
    };
    found.push(error.help("write `version: 1` at its beginning"));
}
