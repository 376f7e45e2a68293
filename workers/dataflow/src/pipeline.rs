//! The steps of a flow, compiled once. Pure: message in, messages out, the time is given.
//!
//! The payload is parsed when the first step asks for it, and written back when the last step changed it. A pipeline that
//! only sets a constant topic never looks at the payload.

mod jq;

use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use indexmap::IndexMap;
use jaq_json::Val;
use serde_json::Value;

use crate::config::{Expr, Step, TagStep, TextOrExpr, TopicError, TopicName};
use crate::message::Message;
use crate::stats::ErrorKind;

pub use jq::JqError;
use jq::Program;

/// How many messages one message may become: a program that never ends is stopped here.
const MAX_RESULTS: usize = 10_000;

/// Compiled steps. Cheap to share, never changes.
#[derive(Debug)]
pub struct Pipeline {
    steps: Vec<Compiled>,
}

#[derive(Debug)]
enum Compiled {
    Map(Program),
    Topic(ByteString),
    TopicExpr(Program),
    Filter(Program),
    Tag(Box<Tag>),
}

#[derive(Debug)]
struct Tag {
    /// `umh/v1/{location}/{contract}/`.
    prefix: String,
    name: TagName,
    value: Option<Program>,
    timestamp_ms: Option<Program>,
    bridged_by: Option<ByteString>,
}

#[derive(Debug)]
enum TagName {
    Text(ByteString),
    Expr(Program),
}

/// A pipeline can't be made of its config.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// A jq program is malformed.
    #[error("pipeline[{index}].{step}: the jq program is refused")]
    Jq {
        /// Which step, from 0.
        index: usize,
        /// What it is.
        step: &'static str,
        /// Where in the program and why.
        source: JqError,
    },
    /// A tag can't be named.
    #[error("pipeline[{index}].tag makes a topic that can't be published to")]
    Topic {
        /// Which step, from 0.
        index: usize,
        /// Why.
        source: TopicError,
    },
    /// A tag has no location.
    #[error(
        "pipeline[{index}].tag needs a location: set `location`, or give the flow the variable `location_topic`"
    )]
    Location {
        /// Which step, from 0.
        index: usize,
    },
}

/// A step refused a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pipeline[{index}].{step}: {text}")]
pub struct StepError {
    /// Which step, from 0.
    pub index: usize,
    /// What it is.
    pub step: &'static str,
    /// The kind, for counting.
    pub kind: ErrorKind,
    /// What went wrong; holds no payload.
    pub text: Arc<str>,
}

/// A message between two steps.
#[derive(Debug, Clone)]
struct Work {
    message: Message,
    /// The parsed payload; newer than the bytes if `changed`.
    value: Option<Val>,
    changed: bool,
}

type Failure = (ErrorKind, Arc<str>);

impl Pipeline {
    /// Compiles the steps. Variables are bound here, once: they are values in jq, never part of its text.
    ///
    /// # Errors
    /// [`CompileError`] names the step and the place in its program.
    pub fn compile(steps: &[Step], vars: &IndexMap<String, Value>) -> Result<Self, CompileError> {
        let bindings = jq::Bindings::new(vars);
        let compiled = steps.iter().enumerate().map(|(index, step)| {
            let name = step_name(step);
            let program = |expr: &Expr| {
                Program::compile(expr.code(), &bindings).map_err(|source| CompileError::Jq {
                    index,
                    step: name,
                    source,
                })
            };
            Ok(match step {
                Step::Map(expr) => Compiled::Map(program(expr)?),
                Step::Filter(expr) => Compiled::Filter(program(expr)?),
                Step::Topic(TextOrExpr::Text(topic)) => Compiled::Topic(topic.get().clone()),
                Step::Topic(TextOrExpr::Expr(expr)) => Compiled::TopicExpr(program(expr)?),
                Step::Tag(tag) => Compiled::Tag(Box::new(compile_tag(index, tag, vars, program)?)),
            })
        });
        Ok(Self { steps: compiled.collect::<Result<_, _>>()? })
    }

    /// Whether messages pass untouched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Runs a message through all steps and appends what comes out: nothing, itself, or several. `now_ms` is the wall
    /// clock in milliseconds since 1970.
    ///
    /// # Errors
    /// [`StepError`] names the step that refused it; nothing is appended then.
    pub fn run(&self, message: Message, now_ms: u64, out: &mut Vec<Message>) -> Result<(), StepError> {
        let start = out.len();
        let result = self.from(0, Work { message, value: None, changed: false }, now_ms, out, start);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    fn from(
        &self,
        first: usize,
        mut work: Work,
        now_ms: u64,
        out: &mut Vec<Message>,
        start: usize,
    ) -> Result<(), StepError> {
        for (index, step) in self.steps.iter().enumerate().skip(first) {
            let fail = |(kind, text)| StepError { index, step: step.name(), kind, text };
            match step {
                Compiled::Topic(topic) => work.message.topic = topic.clone(),
                Compiled::TopicExpr(program) => {
                    work.message.topic = topic_of(&mut work, program).map_err(fail)?
                }
                Compiled::Filter(program) => {
                    if !work.first(program).map_err(fail)?.is_some_and(|v| truthy(&v)) {
                        return Ok(());
                    }
                }
                Compiled::Tag(tag) => tag.apply(&mut work, now_ms).map_err(fail)?,
                Compiled::Map(program) => {
                    let input = work.value().map_err(fail)?;
                    let mut results = program.run(input, &work.message);
                    let Some(first) = results.next() else { return Ok(()) };
                    let first = first.map_err(fail)?;
                    let Some(second) = results.next() else {
                        drop(results);
                        work.set(first).map_err(fail)?;
                        continue;
                    };
                    for value in [Ok(first), second].into_iter().chain(results) {
                        let mut part = work.clone();
                        part.set(value.map_err(fail)?).map_err(fail)?;
                        self.from(index + 1, part, now_ms, out, start)?;
                        if out.len() - start > MAX_RESULTS {
                            let text =
                                format!("the program makes more than {MAX_RESULTS} messages of one").into();
                            return Err(fail((ErrorKind::Jq, text)));
                        }
                    }
                    return Ok(());
                }
            }
        }
        out.push(work.finish());
        Ok(())
    }
}

const fn step_name(step: &Step) -> &'static str {
    match step {
        Step::Map(_) => "map",
        Step::Topic(_) => "topic",
        Step::Filter(_) => "filter",
        Step::Tag(_) => "tag",
    }
}

impl Compiled {
    const fn name(&self) -> &'static str {
        match self {
            Self::Map(_) => "map",
            Self::Topic(_) | Self::TopicExpr(_) => "topic",
            Self::Filter(_) => "filter",
            Self::Tag(_) => "tag",
        }
    }
}

fn compile_tag(
    index: usize,
    tag: &TagStep,
    vars: &IndexMap<String, Value>,
    program: impl Fn(&Expr) -> Result<Program, CompileError>,
) -> Result<Tag, CompileError> {
    let text = |name: &str| vars.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let location =
        tag.location.as_deref().or_else(|| text("location_topic")).ok_or(CompileError::Location { index })?;
    let prefix = format!("umh/v1/{location}/{}/", tag.contract);
    let check = |name: &str| {
        TopicName::try_new(format!("{prefix}{name}")).map_err(|source| CompileError::Topic { index, source })
    };
    let name = match &tag.tag {
        TextOrExpr::Text(name) => TagName::Text(check(name)?.get().clone()),
        TextOrExpr::Expr(expr) => {
            check("x")?;
            TagName::Expr(program(expr)?)
        }
    };
    Ok(Tag {
        prefix,
        name,
        value: tag.value.as_ref().map(&program).transpose()?,
        timestamp_ms: tag.timestamp_ms.as_ref().map(&program).transpose()?,
        bridged_by: text("bridged_by").or_else(|| text("name")).map(ByteString::from),
    })
}

impl Work {
    fn value(&mut self) -> Result<Val, Failure> {
        if let Some(value) = &self.value {
            return Ok(value.clone());
        }
        let value = jq::parse(&self.message.payload).map_err(|text| (ErrorKind::Json, text))?;
        self.value = Some(value.clone());
        Ok(value)
    }

    fn set(&mut self, value: Val) -> Result<(), Failure> {
        jq::check_json(&value).map_err(|text| (ErrorKind::Jq, text.into()))?;
        self.value = Some(value);
        self.changed = true;
        Ok(())
    }

    fn first(&mut self, program: &Program) -> Result<Option<Val>, Failure> {
        let input = self.value()?;
        program.run(input, &self.message).next().transpose()
    }

    fn finish(self) -> Message {
        let mut message = self.message;
        if let (true, Some(value)) = (self.changed, &self.value) {
            message.payload = jq::write(value);
        }
        message
    }
}

/// What jq takes for true: all but `false` and `null`.
fn truthy(value: &Val) -> bool {
    !matches!(value, Val::Null | Val::Bool(false))
}

fn text_of(value: Option<Val>, what: &str) -> Result<String, Failure> {
    match value {
        Some(Val::TStr(text)) => String::from_utf8(text.to_vec())
            .map_err(|_| (ErrorKind::Topic, format!("the {what} is not UTF-8").into())),
        Some(other) => Err((
            ErrorKind::Topic,
            format!("the program for the {what} gives {} instead of a string", jq::type_of(&other)).into(),
        )),
        None => Err((ErrorKind::Topic, format!("the program for the {what} gives nothing").into())),
    }
}

fn topic_of(work: &mut Work, program: &Program) -> Result<ByteString, Failure> {
    let topic = text_of(work.first(program)?, "topic")?;
    crate::config::check_topic(&topic).map_err(|error| (ErrorKind::Topic, error.to_string().into()))?;
    Ok(topic.into())
}

impl Tag {
    fn apply(&self, work: &mut Work, now_ms: u64) -> Result<(), Failure> {
        let input = work.value()?;
        let topic = match &self.name {
            TagName::Text(topic) => topic.clone(),
            TagName::Expr(program) => {
                let name = text_of(work.first(program)?, "tag")?;
                let topic = format!("{}{name}", self.prefix);
                crate::config::check_topic(&topic).map_err(|e| (ErrorKind::Topic, e.to_string().into()))?;
                topic.into()
            }
        };
        let nothing = || (ErrorKind::Jq, Arc::from("the program for the value gives nothing"));
        let value = match &self.value {
            Some(program) => work.first(program)?.ok_or_else(nothing)?,
            None => jq::field(&input, "value").unwrap_or_else(|| input.clone()),
        };
        let given = match &self.timestamp_ms {
            Some(program) => work.first(program)?,
            None => jq::field(&input, "timestamp_ms"),
        };
        let timestamp = match given {
            Some(number @ Val::Num(_)) => number,
            Some(Val::Null) | None => Val::from(usize::try_from(now_ms).unwrap_or(usize::MAX)),
            Some(other) => {
                let text = format!("the timestamp is {} instead of a number", jq::type_of(&other));
                return Err((ErrorKind::Jq, text.into()));
            }
        };
        work.set(jq::object([("timestamp_ms", timestamp), ("value", value)]))?;
        work.message.topic = topic;
        if let Some(bridged_by) = &self.bridged_by {
            let metadata = &mut work.message.metadata;
            metadata.retain(|(name, _)| name != "bridged_by");
            metadata.push((ByteString::from_static("bridged_by"), bridged_by.clone()));
        }
        Ok(())
    }
}

/// The payload that a jq program makes of the `n`th generated message.
pub(crate) struct Generator(Program);

impl Generator {
    pub(crate) fn compile(expr: &Expr, vars: &IndexMap<String, Value>) -> Result<Self, JqError> {
        Program::compile(expr.code(), &jq::Bindings::new(vars)).map(Self)
    }

    pub(crate) fn make(&self, n: u64) -> Result<Bytes, Arc<str>> {
        let input = jq::object([("n", Val::from(usize::try_from(n).unwrap_or(usize::MAX)))]);
        let message = Message::default();
        match self.0.run(input, &message).next() {
            Some(Ok(value)) => jq::check_json(&value).map(|()| jq::write(&value)).map_err(Into::into),
            Some(Err((_, text))) => Err(text),
            None => Err("the program gives nothing".into()),
        }
    }
}

#[cfg(test)]
mod tests;
