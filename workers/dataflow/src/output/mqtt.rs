//! Publishes. A message is taken when the broker has answered it.

use std::sync::Arc;

use bytestring::ByteString;

use crate::config::{MqttOutput, Qos, check_topic};
use crate::flow::Shared;
use crate::message::{Delivery, Message};
use crate::mqtt::{Attachment, Peer, Publication, SessionPool};
use crate::stats::{ErrorKind, Stage};

/// See the module.
pub(crate) struct MqttSink {
    attachment: Attachment,
    topic: Option<ByteString>,
    qos: Qos,
    retain: bool,
    /// The last topic that was checked: sources repeat themselves.
    checked: ByteString,
}

impl MqttSink {
    pub(super) fn open(config: &MqttOutput, pool: &Arc<SessionPool>, flow: &Arc<Shared>) -> Self {
        let peer = Peer::of_output(config);
        let peer = if config.dedicated { peer.owned_by(flow.name(), Stage::Output) } else { peer };
        Self {
            attachment: pool.publisher(&peer, flow),
            topic: config.topic.as_ref().map(|topic| topic.get().clone()),
            qos: config.qos,
            retain: config.retain,
            checked: ByteString::new(),
        }
    }

    pub(super) fn write(&mut self, batch: &mut Vec<(Message, Delivery)>) {
        let (qos, retain) = (self.qos, self.retain);
        let (topic, checked) = (&self.topic, &mut self.checked);
        let publications = batch.drain(..).filter_map(|(mut message, delivery)| {
            if let Some(topic) = topic {
                message.topic = topic.clone();
            } else if message.topic != *checked {
                // A broker hangs up on a bad topic, and would again after each reconnect.
                if let Err(error) = check_topic(&message.topic) {
                    let flow = Arc::clone(delivery.flow());
                    flow.reject(message, delivery, Stage::Output, ErrorKind::Topic, error.to_string().into());
                    return None;
                }
                checked.clone_from(&message.topic);
            }
            Some(Publication { message, qos, retain, delivery })
        });
        self.attachment.link.publish(publications);
    }
}
