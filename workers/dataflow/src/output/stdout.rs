//! Lines on the standard output. One write per batch of whole lines, so that flows never tear each other's lines.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, Stdout};

use super::line;
use crate::flow::Shared;
use crate::message::{Delivery, Message};
use crate::stats::{ErrorKind, Stage};

/// A standard output that can't be written (a closed pipe) is tried again after this.
const RETRY: Duration = Duration::from_secs(1);

/// All flows of the process take turns, a batch each.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// See the module.
pub(crate) struct StdoutSink {
    out: Stdout,
    lines: Vec<u8>,
    flow: Arc<Shared>,
}

impl StdoutSink {
    pub(super) fn new(flow: &Arc<Shared>) -> Self {
        Self { out: tokio::io::stdout(), lines: Vec::new(), flow: Arc::clone(flow) }
    }

    pub(super) async fn write(&mut self, batch: &mut Vec<(Message, Delivery)>) {
        if batch.is_empty() {
            return;
        }
        self.lines.clear();
        for (message, _) in batch.iter() {
            line(&mut self.lines, message, true);
        }
        loop {
            let written = {
                let _turn = TURN.lock().await;
                async {
                    self.out.write_all(&self.lines).await?;
                    self.out.flush().await
                }
                .await
            };
            let Err(error) = written else { break };
            let text = format!("can't write to the standard output: {error}").into();
            self.flow.stats().error(Stage::Output, ErrorKind::Io, text);
            self.flow.stats().retried(batch.len());
            tokio::time::sleep(RETRY).await;
        }
        for (_, delivery) in batch.drain(..) {
            delivery.taken(1);
        }
    }
}
