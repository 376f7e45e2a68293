//! What the communicator is lent by whoever runs the tree: what happens there, and somebody who carries commands out.

use std::collections::BTreeMap;

use fsm_core::{BoxFuture, NodePath};
use serde::Deserialize;
use serde_json::Value;

use crate::config::{CommandName, Role};
use crate::message::Message;

/// The tree, as far as the communicator knows it. Implemented by the composition root.
pub trait Exchange: Send + Sync + 'static {
    /// What happens from now on, for the communicator at this path. What the exchange of messages itself makes happen
    /// must not be among it, or it would never end.
    fn happenings(&self, own: &NodePath) -> Box<dyn Happenings>;

    /// Carries a command out. It may come a second time when its receipt was lost: it has to bear that.
    fn run(&self, order: Order) -> BoxFuture<'static, Result<Value, CommandFailure>>;
}

/// A stream of what happens.
pub trait Happenings: Send {
    /// The next one; none when the tree has ended. Nothing is lost when the future is dropped.
    fn next(&mut self) -> BoxFuture<'_, Option<Happening>>;

    /// How many were lost so far because they were not asked for in time.
    fn lost(&self) -> u64;
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// Of which sort it is.
    pub report: Report,
    /// What it belongs to.
    pub trace_id: String,
    /// What it is.
    pub payload: Value,
}

/// A sort of message that goes up by itself; its name is the message's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// A node is in another state.
    Status,
    /// Anything else.
    Event,
}

impl Report {
    /// The message's kind.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Event => "event",
        }
    }
}

/// A command to carry out, on behalf of the relay.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Order {
    /// Who asks, for the audit: `relay:` and the instance.
    pub who: String,
    /// Under which role; the command needs no more.
    pub role: Role,
    /// What the command belongs to.
    pub trace_id: String,
    /// What to do.
    pub command: Command,
}

/// What the relay may ask for.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Command {
    /// What would these files change?
    Plan {
        /// The config and the files that it names, by name.
        files: BTreeMap<String, String>,
    },
    /// Run with these files.
    Apply {
        /// The config and the files that it names, by name.
        files: BTreeMap<String, String>,
    },
    /// Try again now.
    Retry {
        /// Which node.
        path: NodePath,
    },
    /// Stop and stay resident.
    Stop {
        /// Which node.
        path: NodePath,
    },
    /// End a stop.
    Start {
        /// Which node.
        path: NodePath,
    },
    /// Run a tool, an agent or a workflow.
    Exec {
        /// What to run, as the API takes it.
        request: Value,
    },
}

/// Under which name a config that comes as one text is known.
const ONE_FILE: &str = "fsmd.yaml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfNode {
    path: NodePath,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, untagged)]
enum OfConfig {
    Files { files: BTreeMap<String, String> },
    Text { config: String },
}

impl Command {
    /// The command of a message.
    ///
    /// # Errors
    /// [`CommandFailure`] with the code `unknown_command` or `bad_payload`.
    pub fn read(message: &Message) -> Result<Self, CommandFailure> {
        let name = CommandName::ALL.into_iter().find(|name| name.as_str() == message.kind);
        let Some(name) = name else {
            let known: Vec<_> = CommandName::ALL.iter().map(|name| name.as_str()).collect();
            let what = format!("there is no such command; there are: {}", known.join(", "));
            return Err(CommandFailure::new("unknown_command", what));
        };
        let node = || -> Result<NodePath, CommandFailure> {
            let of: OfNode = serde_json::from_value(message.payload.clone())
                .map_err(|error| bad_payload(&format!("expected {{\"path\": \"/…\"}}: {error}")))?;
            Ok(of.path)
        };
        let files = || match serde_json::from_value(message.payload.clone()) {
            Ok(OfConfig::Files { files }) if files.is_empty() => Err(bad_payload("`files` is empty")),
            Ok(OfConfig::Files { files }) => Ok(files),
            Ok(OfConfig::Text { config }) => Ok(BTreeMap::from([(ONE_FILE.to_owned(), config)])),
            Err(_) => Err(bad_payload("expected {\"config\": TEXT} or {\"files\": {NAME: TEXT}}")),
        };
        Ok(match name {
            CommandName::Plan => Self::Plan { files: files()? },
            CommandName::Apply => Self::Apply { files: files()? },
            CommandName::Retry => Self::Retry { path: node()? },
            CommandName::Stop => Self::Stop { path: node()? },
            CommandName::Start => Self::Start { path: node()? },
            CommandName::Exec => Self::Exec { request: message.payload.clone() },
        })
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> CommandName {
        match self {
            Self::Plan { .. } => CommandName::Plan,
            Self::Apply { .. } => CommandName::Apply,
            Self::Retry { .. } => CommandName::Retry,
            Self::Stop { .. } => CommandName::Stop,
            Self::Start { .. } => CommandName::Start,
            Self::Exec { .. } => CommandName::Exec,
        }
    }
}

fn bad_payload(what: &str) -> CommandFailure {
    CommandFailure::new("bad_payload", what)
}

/// A command that was not carried out; what its receipt says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
#[non_exhaustive]
pub struct CommandFailure {
    /// For programs: `forbidden`, `unknown_command`, `bad_payload`, `no_such_node`, `not_available`, ….
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl CommandFailure {
    /// A failure.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// This is not there in this version.
    #[must_use]
    pub fn not_available(what: &str) -> Self {
        Self::new("not_available", format!("{what} is not available in this version"))
    }
}

/// Nothing happens and nothing can be done: for checking configs without a tree.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoExchange;

impl Exchange for NoExchange {
    fn happenings(&self, _own: &NodePath) -> Box<dyn Happenings> {
        Box::new(Self)
    }

    fn run(&self, order: Order) -> BoxFuture<'static, Result<Value, CommandFailure>> {
        let failure = CommandFailure::not_available(order.command.name().as_str());
        Box::pin(std::future::ready(Err(failure)))
    }
}

impl Happenings for NoExchange {
    fn next(&mut self) -> BoxFuture<'_, Option<Happening>> {
        Box::pin(std::future::ready(None))
    }

    fn lost(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kind: &str, payload: Value) -> Result<Command, CommandFailure> {
        Command::read(&Message::new("c-1", kind, "", payload))
    }

    // spec: W-1
    #[test]
    fn every_command_of_the_command_line_has_its_message() {
        let path = NodePath::try_new("/edge/press").expect("a good path");
        let of_node = json!({"path": "/edge/press"});
        assert_eq!(read("stop", of_node.clone()), Ok(Command::Stop { path: path.clone() }));
        assert_eq!(read("start", of_node.clone()), Ok(Command::Start { path: path.clone() }));
        assert_eq!(read("retry", of_node), Ok(Command::Retry { path }));
        let files = BTreeMap::from([("fsmd.yaml".to_owned(), "version: 1".to_owned())]);
        assert_eq!(read("plan", json!({"config": "version: 1"})), Ok(Command::Plan { files: files.clone() }));
        assert_eq!(
            read("apply", json!({"files": {"fsmd.yaml": "version: 1"}})),
            Ok(Command::Apply { files })
        );
        assert_eq!(read("exec", json!({"task": "x"})), Ok(Command::Exec { request: json!({"task": "x"}) }));
        for name in CommandName::ALL {
            assert_ne!(read(name.as_str(), Value::Null).map_err(|e| e.code), Err("unknown_command"));
        }
    }

    // spec: W-1, W-4
    #[test]
    fn what_cannot_be_a_command_is_answered_with_what_is_wrong() {
        for (kind, payload, code, hint) in [
            ("reboot", json!({}), "unknown_command", "plan, apply, retry, stop, start, exec"),
            ("stop", json!({}), "bad_payload", "missing field `path`"),
            ("stop", json!({"path": "edge"}), "bad_payload", "expected"),
            ("stop", json!({"path": "/edge", "force": true}), "bad_payload", "unknown field `force`"),
            ("apply", json!({"files": {}}), "bad_payload", "empty"),
            ("plan", json!("x"), "bad_payload", "expected {\"config\""),
        ] {
            let failure = read(kind, payload).expect_err("no command");
            assert_eq!(failure.code, code);
            assert!(failure.message.contains(hint), "{failure}");
        }
    }
}
