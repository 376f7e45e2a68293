//! What a client can say, without a trace of which version it said it in.

use std::time::Duration;

/// Protocol version of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// MQTT 3.1.1, protocol level 4.
    V311,
    /// MQTT 5, protocol level 5.
    V5,
}

/// Delivery promise of one message or subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::enum_variant_names, reason = "the words of the standard")]
pub(crate) enum Qos {
    AtMostOnce = 0,
    AtLeastOnce = 1,
    ExactlyOnce = 2,
}

impl Qos {
    pub(crate) fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    pub(crate) fn bits(self) -> u8 {
        self as u8
    }
}

/// MQTT 5 reason codes that this broker sends. MQTT 3.1.1 gets the nearest return code, or a closed socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    Success = 0x00,
    NoMatchingSubscribers = 0x10,
    NoSubscriptionExisted = 0x11,
    MalformedPacket = 0x81,
    ProtocolError = 0x82,
    UnsupportedVersion = 0x84,
    ClientIdNotValid = 0x85,
    BadUserNameOrPassword = 0x86,
    ServerUnavailable = 0x88,
    ServerShuttingDown = 0x8b,
    BadAuthenticationMethod = 0x8c,
    KeepAliveTimeout = 0x8d,
    SessionTakenOver = 0x8e,
    TopicFilterInvalid = 0x8f,
    PacketIdNotFound = 0x92,
    PacketTooLarge = 0x95,
    QuotaExceeded = 0x97,
}

/// The four acknowledgements of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the words of the standard")]
pub(crate) enum Ack {
    PubAck,
    PubRec,
    PubRel,
    PubComp,
}

/// One application message. Topic, properties and payload share one exact allocation, so that a queued or
/// retained message never keeps the read buffer alive that it arrived in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Message {
    bytes: Box<[u8]>,
    topic_end: usize,
    properties_end: usize,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    /// Lifetime that an MQTT 5 publisher gave it.
    pub(crate) expiry: Option<Duration>,
}

impl Message {
    /// `properties` are MQTT 5 properties as they stand on the wire, without length, expiry and alias.
    pub(crate) fn new(
        topic: &[u8],
        properties: &[u8],
        payload: &[u8],
        qos: Qos,
        retain: bool,
        expiry: Option<Duration>,
    ) -> Self {
        let mut bytes = Vec::with_capacity(topic.len() + properties.len() + payload.len());
        bytes.extend_from_slice(topic);
        bytes.extend_from_slice(properties);
        bytes.extend_from_slice(payload);
        let topic_end = topic.len();
        Self {
            bytes: bytes.into_boxed_slice(),
            topic_end,
            properties_end: topic_end + properties.len(),
            qos,
            retain,
            expiry,
        }
    }

    pub(crate) fn topic(&self) -> &[u8] {
        &self.bytes[..self.topic_end]
    }

    pub(crate) fn properties(&self) -> &[u8] {
        &self.bytes[self.topic_end..self.properties_end]
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.bytes[self.properties_end..]
    }

    /// Bytes that the message holds, for the bound of a queue.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.bytes.len()
    }
}

/// What is published for a client that vanishes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Will {
    pub(crate) message: Message,
    pub(crate) delay: Duration,
}

/// A client's first packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Connect {
    pub(crate) version: Version,
    pub(crate) client_id: Box<str>,
    pub(crate) clean_start: bool,
    /// How long the session outlives the connection, in seconds; `u32::MAX` is "for ever".
    pub(crate) session_expiry: u32,
    /// Zero switches the supervision off.
    pub(crate) keep_alive: Duration,
    pub(crate) receive_maximum: u16,
    pub(crate) maximum_packet_size: usize,
    pub(crate) will: Option<Box<Will>>,
    pub(crate) user_name: Option<Box<str>>,
    pub(crate) password: Option<Box<[u8]>>,
    /// The client wants enhanced authentication, which this broker does not have.
    pub(crate) enhanced_authentication: bool,
}

/// When a new subscription gets the retained messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetainHandling {
    Always,
    IfNew,
    Never,
}

/// How one subscription wants its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SubscribeOptions {
    pub(crate) qos: Qos,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) retain_handling: RetainHandling,
    /// Subscription identifier; 0 is none.
    pub(crate) id: u32,
}

/// One entry of a SUBSCRIBE.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) filter: Box<str>,
    pub(crate) options: SubscribeOptions,
}

/// A DISCONNECT from the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Leave {
    /// The client wants its will to be published all the same.
    pub(crate) with_will: bool,
    pub(crate) session_expiry: Option<u32>,
}

/// Everything that a client may send.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Connect(Box<Connect>),
    /// `packet_id` is 0 at QoS 0.
    Publish {
        message: Message,
        packet_id: u16,
    },
    /// `failed` is a PUBREC or PUBACK with a reason code of an error.
    Ack {
        ack: Ack,
        packet_id: u16,
        failed: bool,
    },
    Subscribe {
        packet_id: u16,
        filters: Vec<Filter>,
    },
    Unsubscribe {
        packet_id: u16,
        filters: Vec<Box<str>>,
    },
    PingReq,
    Disconnect(Leave),
}
