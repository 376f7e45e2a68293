//! Where messages go. An output takes a batch with the deliveries, and ends each delivery once the message is safe.

mod file;
mod mqtt;
mod stdout;

use std::sync::Arc;

use crate::config::Output;
use crate::flow::Shared;
use crate::message::{Delivery, Message};
use crate::mqtt::SessionPool;
use crate::stats::Stage;

/// An opened output.
pub(crate) enum Sink {
    Mqtt(mqtt::MqttSink),
    File(Box<file::FileSink>),
    Stdout(stdout::StdoutSink),
    Drop,
}

impl Sink {
    pub(crate) fn open(config: &Output, pool: &Arc<SessionPool>, flow: &Arc<Shared>) -> Self {
        match config {
            Output::Mqtt(mqtt) => Self::Mqtt(mqtt::MqttSink::open(mqtt, pool, flow)),
            Output::File(file) => Self::File(Box::new(file::FileSink::new(file, flow))),
            Output::Stdout(_) => {
                flow.set_up(Stage::Output, true);
                Self::Stdout(stdout::StdoutSink::new(flow))
            }
            Output::Drop(_) => {
                flow.set_up(Stage::Output, true);
                Self::Drop
            }
        }
    }

    /// Takes all messages of the batch, in order. Returns when the next batch may come; deliveries may end later.
    ///
    /// # Cancel safety
    /// Messages that were not written are dropped with their deliveries: they stay unacknowledged.
    pub(crate) async fn write(&mut self, batch: &mut Vec<(Message, Delivery)>) {
        match self {
            Self::Mqtt(sink) => sink.write(batch),
            Self::File(sink) => sink.write(batch).await,
            Self::Stdout(sink) => sink.write(batch).await,
            Self::Drop => {
                for (_, delivery) in batch.drain(..) {
                    delivery.taken(1);
                }
            }
        }
    }
}

/// Appends a line: topic if asked for, payload with line breaks as spaces, newline.
fn line(out: &mut Vec<u8>, message: &Message, topic: bool) {
    if topic {
        out.extend_from_slice(message.topic.as_bytes());
        out.push(b' ');
    }
    let start = out.len();
    out.extend_from_slice(&message.payload);
    for byte in &mut out[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    out.push(b'\n');
}
