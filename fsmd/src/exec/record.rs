//! The record of one execution, and the only ways in which it changes: pure.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use fsm_core::NodePath;
use fsm_metrics::{ExecKind, ExecStatus};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::id::ExecId;

/// What sort of thing is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// A tool, once.
    Task,
    /// An action of a live worker.
    Agent,
    /// A job tree.
    Workflow,
}

impl Kind {
    /// The word that metrics count it by.
    pub(crate) const fn counted(self) -> ExecKind {
        match self {
            Self::Task => ExecKind::Task,
            Self::Agent => ExecKind::Agent,
            Self::Workflow => ExecKind::Workflow,
        }
    }
}

/// Where an execution is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// It waits for a place.
    Pending,
    /// It runs.
    Running,
    /// It has succeeded.
    Success,
    /// It has failed.
    Failure,
    /// It was still running at its deadline.
    Timeout,
    /// Somebody, or the end of the daemon, ended it.
    Cancelled,
}

impl Status {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
        }
    }

    /// The word that ends are counted by; none while it goes on.
    pub(super) const fn counted(self) -> Option<ExecStatus> {
        match self {
            Self::Pending | Self::Running => None,
            Self::Success => Some(ExecStatus::Success),
            Self::Failure => Some(ExecStatus::Failure),
            Self::Timeout => Some(ExecStatus::Timeout),
            Self::Cancelled => Some(ExecStatus::Cancelled),
        }
    }

    /// Nothing comes after it.
    pub(crate) const fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Running => false,
            Self::Success | Self::Failure | Self::Timeout | Self::Cancelled => true,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.counted().as_str())
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Target {
    /// A tool, by its id.
    Task {
        /// The id.
        tool: String,
    },
    /// An action of a worker.
    Agent {
        /// The worker.
        path: NodePath,
        /// The name of its action.
        action: String,
    },
    /// A workflow, by its id.
    Workflow {
        /// The id.
        workflow: String,
    },
}

impl Target {
    pub(crate) const fn kind(&self) -> Kind {
        match self {
            Self::Task { .. } => Kind::Task,
            Self::Agent { .. } => Kind::Agent,
            Self::Workflow { .. } => Kind::Workflow,
        }
    }

    /// What is run, without its kind and its action.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Task { tool } => tool,
            Self::Agent { path, .. } => path.as_str(),
            Self::Workflow { workflow } => workflow,
        }
    }

    fn action(&self) -> Option<&str> {
        match self {
            Self::Agent { action, .. } => Some(action),
            Self::Task { .. } | Self::Workflow { .. } => None,
        }
    }
}

/// Why a run did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fault {
    /// A stable word, such as `exit_nonzero` or `interrupted`.
    pub(crate) reason: String,
    /// The same for people.
    pub(crate) message: String,
    /// The name that a tool gave its own error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    /// Where in the tool it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stack: Option<String>,
    /// What else is known, such as the exit code, or what each step of a workflow did.
    #[serde(default, skip_serializing_if = "Map::is_empty", flatten)]
    pub(crate) more: Map<String, Value>,
}

impl Fault {
    pub(crate) fn new(reason: &str, message: impl Into<String>) -> Self {
        let (reason, message) = (reason.to_owned(), message.into());
        Self { reason, message, name: None, stack: None, more: Map::new() }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct End {
    /// A terminal one.
    pub(crate) status: Status,
    /// What it gave; also of a run that failed after it had answered.
    pub(crate) output: Option<Value>,
    /// What it said about its output.
    pub(crate) metadata: Option<Value>,
    /// Why it did not succeed.
    pub(crate) error: Option<Fault>,
    /// What it wrote to stderr, shortened.
    pub(crate) stderr: Option<String>,
    /// How often it was tried.
    pub(crate) attempts: u32,
}

impl End {
    pub(crate) fn success(output: Value) -> Self {
        Self {
            status: Status::Success,
            output: Some(output),
            metadata: None,
            error: None,
            stderr: None,
            attempts: 1,
        }
    }

    pub(crate) fn failure(status: Status, fault: Fault) -> Self {
        Self { status, output: None, metadata: None, error: Some(fault), stderr: None, attempts: 1 }
    }

    /// Ended before it was begun.
    pub(super) fn never_began(status: Status, fault: Fault) -> Self {
        Self { attempts: 0, ..Self::failure(status, fault) }
    }
}

/// Everything that is known of an execution. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: ExecId,
    pub(crate) target: Target,
    pub(crate) status: Status,
    pub(crate) input: Value,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "present")]
    pub(crate) output: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "present")]
    pub(crate) metadata: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Fault>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stderr: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) created: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) started: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) finished: Option<u64>,
    /// The `Idempotency-Key` of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
}

/// A null that was given is not the lack of a value.
mod present {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    pub(super) fn serialize<S: Serializer>(value: &Option<Value>, to: S) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
        Value::deserialize(from).map(Some)
    }
}

impl Record {
    pub(super) fn new(id: ExecId, target: Target, input: Value, key: Option<String>, now: u64) -> Self {
        Self {
            id,
            target,
            status: Status::Pending,
            input,
            output: None,
            metadata: None,
            error: None,
            stderr: None,
            attempts: 0,
            created: now,
            started: None,
            finished: None,
            key,
        }
    }

    /// It runs from now on.
    pub(super) fn begun(mut self, now: u64) -> Self {
        self.status = Status::Running;
        self.started = Some(now.max(self.created));
        self.attempts = 1;
        self
    }

    /// It has ended. The first end is the last word.
    pub(super) fn ended(mut self, end: End, now: u64) -> Self {
        if self.status.is_terminal() {
            return self;
        }
        let End { status, output, metadata, error, stderr, attempts } = end;
        self.finished = Some(now.max(self.started.unwrap_or(self.created)));
        self.attempts = attempts;
        (self.status, self.output, self.metadata, self.error, self.stderr) =
            (status, output, metadata, error, stderr);
        self
    }

    /// What it is for a daemon that finds it without a run.
    pub(super) fn interrupted(self, now: u64) -> Self {
        let fault = if self.status == Status::Pending {
            "the daemon ended before the run was begun; it may be called again"
        } else {
            "the daemon ended while it ran; what it had done by then is not known"
        };
        let attempts = self.attempts;
        let end = End::failure(Status::Failure, Fault::new("interrupted", fault));
        self.ended(End { attempts, ..end }, now)
    }

    /// As the API tells it.
    pub(crate) fn to_json(&self) -> Value {
        let mut value = json!({
            "exec_id": self.id,
            "exec_url": url(&self.id),
            "kind": self.target.kind(),
            "target": self.target.name(),
            "status": self.status,
            "input": self.input,
            "attempts": self.attempts,
            "created_at": rfc3339(self.created),
        });
        let mut set = |key: &str, present: Option<Value>| {
            if let Some(present) = present {
                value[key] = present;
            }
        };
        set("action", self.target.action().map(Value::from));
        set("started_at", self.started.map(rfc3339).map(Value::from));
        set("finished_at", self.finished.map(rfc3339).map(Value::from));
        set("output", self.output.clone());
        set("metadata", self.metadata.clone());
        set("error", self.error.as_ref().and_then(|error| serde_json::to_value(error).ok()));
        set("stderr", self.stderr.clone().map(Value::from));
        value
    }
}

/// Where an execution is found.
pub(crate) fn url(id: &ExecId) -> String {
    format!("/v1/exec/{id}")
}

/// A moment for people and programs.
pub(crate) fn rfc3339(ms: u64) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::id::Ids;
    use super::*;

    fn record() -> Record {
        let target = Target::Task { tool: "a/b".into() };
        Record::new(Ids::default().next(1_000, 1), target, json!({"n": 1}), None, 1_000)
    }

    #[test]
    fn the_first_end_is_the_last_word() {
        let ended = record().begun(2_000).ended(End::success(Value::Null), 3_000);
        let again = End::failure(Status::Cancelled, Fault::new("cancelled", "too late"));
        assert_eq!(ended.clone().ended(again, 4_000), ended);
        assert_eq!(ended.clone().interrupted(5_000), ended);
        assert_eq!((ended.status, ended.finished, ended.attempts), (Status::Success, Some(3_000), 1));
    }

    // spec: X-23
    #[test]
    fn what_the_daemon_left_is_a_failure_that_was_interrupted() {
        for (record, attempts) in [(record(), 0), (record().begun(2_000), 1)] {
            let found = record.interrupted(9_000);
            let reason = found.error.as_ref().map(|error| error.reason.as_str());
            assert_eq!(
                (found.status, reason, found.finished),
                (Status::Failure, Some("interrupted"), Some(9_000))
            );
            assert_eq!(found.attempts, attempts);
        }
    }

    #[test]
    fn time_never_goes_back_in_a_record() {
        let ended = record().begun(500).ended(End::success(Value::Null), 400);
        assert_eq!((ended.created, ended.started, ended.finished), (1_000, Some(1_000), Some(1_000)));
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_a_null_is_an_output() {
        let mut fault = Fault::new("exit_nonzero", "it left with exit code 3");
        fault.more.insert("exit_code".into(), json!(3));
        let end = End { output: Some(Value::Null), ..End::failure(Status::Failure, fault) };
        let record = record().begun(2_000).ended(end, 3_000);
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
        let told = record.to_json();
        assert!(told["output"].is_null() && told.get("output").is_some() && told.get("metadata").is_none());
        assert_eq!(
            (&told["error"]["exit_code"], &told["started_at"]),
            (&json!(3), &json!("1970-01-01T00:00:02.000Z"))
        );
    }
}
