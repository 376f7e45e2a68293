//! Messages out of nothing, the same ones on each start: for tests, demonstrations and heartbeats.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytestring::ByteString;
use indexmap::IndexMap;
use serde_json::Value;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::{SourceError, Taken};
use crate::config::{GenerateInput, Payload};
use crate::flow::Shared;
use crate::message::{Ack, Message};
use crate::pipeline::Generator;
use crate::stats::Stage;

enum Maker {
    Counter,
    Fixed(Bytes),
    Program(Generator),
}

/// See the module.
pub(crate) struct Generate {
    maker: Maker,
    topic: ByteString,
    interval: Option<Interval>,
    next: u64,
    end: Option<u64>,
}

impl Generate {
    pub(super) fn open(
        config: &GenerateInput,
        vars: &IndexMap<String, Value>,
        flow: &Arc<Shared>,
    ) -> Result<Self, SourceError> {
        let maker = match &config.payload {
            Payload::Counter => Maker::Counter,
            Payload::Json(value) => Maker::Fixed(value.to_string().into()),
            Payload::Text(text) => Maker::Fixed(text.clone().into()),
            Payload::Expr(expr) => {
                Maker::Program(Generator::compile(expr, vars).map_err(SourceError::Generate)?)
            }
        };
        let every = config.interval.get();
        let interval = (every > Duration::ZERO).then(|| {
            let mut interval = tokio::time::interval(every);
            // While the flow waits for its output, no messages pile up.
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        });
        flow.set_up(Stage::Input, true);
        Ok(Self {
            maker,
            topic: config.topic.as_ref().map(|t| t.get().clone()).unwrap_or_default(),
            interval,
            next: 0,
            end: config.count.map(std::num::NonZeroU64::get),
        })
    }

    pub(super) async fn take(&mut self, batch: &mut Vec<Taken>, limit: usize) -> Result<bool, SourceError> {
        let count = match &mut self.interval {
            Some(interval) => {
                interval.tick().await;
                1
            }
            None => {
                // Without an interval nothing waits here: others on this thread get their turn.
                tokio::task::yield_now().await;
                limit as u64
            }
        };
        let at = Instant::now();
        for _ in 0..count {
            if self.end.is_some_and(|end| self.next >= end) {
                return Ok(false);
            }
            let n = self.next;
            let payload = match &self.maker {
                Maker::Counter => format!("{{\"n\":{n}}}").into(),
                Maker::Fixed(bytes) => bytes.clone(),
                Maker::Program(program) => {
                    program.make(n).map_err(|text| SourceError::Generated { n, text })?
                }
            };
            self.next += 1;
            let message = Message::new(self.topic.clone(), payload);
            batch.push(Taken { message, ack: Ack::None, at, duplicate: false });
        }
        Ok(self.end.is_none_or(|end| self.next < end))
    }
}
