//! Where messages come from.

mod generate;
mod http_server;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use crate::config::{FlowConfig, Input};
use crate::flow::Shared;
use crate::message::{Ack, Message};
use crate::mqtt::{MqttSource, SessionPool};
use crate::pipeline::JqError;

/// A message from an input, with its way back.
pub(crate) struct Taken {
    pub(crate) message: Message,
    pub(crate) ack: Ack,
    pub(crate) at: Instant,
    pub(crate) duplicate: bool,
}

/// An input can't work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The address is taken, or not ours.
    #[error("input.http_server can't listen on {address}: {source}{}", if source.kind() == std::io::ErrorKind::AddrInUse { "; another process or flow has this port: choose another one" } else { "" })]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The program of `generate` is refused.
    #[error("input.generate.payload.expr: the jq program is refused")]
    Generate(#[source] JqError),
    /// The program of `generate` failed.
    #[error("input.generate.payload.expr failed for message {n}: {text}")]
    Generated {
        /// Which message, from 0.
        n: u64,
        /// Why.
        text: Arc<str>,
    },
}

/// An opened input.
pub(crate) enum Source {
    Mqtt(Box<MqttSource>, Vec<crate::mqtt::Incoming>),
    Generate(Box<generate::Generate>),
    Http(Box<http_server::HttpServer>),
}

impl Source {
    pub(crate) async fn open(
        config: &FlowConfig,
        pool: &Arc<SessionPool>,
        flow: &Arc<Shared>,
    ) -> Result<Self, SourceError> {
        Ok(match &config.input {
            Input::Mqtt(mqtt) => Self::Mqtt(Box::new(MqttSource::new(mqtt, pool, flow)), Vec::new()),
            Input::Generate(generate) => {
                Self::Generate(Box::new(generate::Generate::open(generate, &config.vars, flow)?))
            }
            Input::HttpServer(http) => Self::Http(Box::new(http_server::HttpServer::open(http, flow).await?)),
        })
    }

    /// Waits for messages and appends at most `limit` of them. `false`: there will be no more.
    ///
    /// # Cancel safety
    /// What was appended stays; nothing else is lost.
    pub(crate) async fn take(&mut self, batch: &mut Vec<Taken>, limit: usize) -> Result<bool, SourceError> {
        match self {
            Self::Mqtt(source, incoming) => {
                source.receive(incoming, limit).await;
                batch.extend(incoming.drain(..).map(|i| Taken {
                    message: i.message,
                    ack: Ack::Mqtt(i.slot),
                    at: i.at,
                    duplicate: i.duplicate,
                }));
                Ok(true)
            }
            Self::Generate(source) => source.take(batch, limit).await,
            Self::Http(source) => {
                source.take(batch, limit).await;
                Ok(true)
            }
        }
    }

    /// What an input has to do while nothing is taken from it; never ends.
    pub(crate) async fn tend(&mut self) {
        match self {
            Self::Mqtt(source, _) => source.tend().await,
            Self::Http(source) => source.tend().await,
            Self::Generate(_) => std::future::pending().await,
        }
    }

    /// Messages that are there and not taken.
    pub(crate) fn queued(&self) -> usize {
        match self {
            Self::Mqtt(source, _) => source.queued(),
            Self::Generate(_) => 0,
            Self::Http(source) => source.queued(),
        }
    }
}
