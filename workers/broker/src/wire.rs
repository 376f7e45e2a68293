//! The bytes of MQTT 3.1.1 and 5: one packet type for both versions, so that a message crosses between
//! them without being rebuilt. Pure: bytes in, packets out, and no input can make it panic.

mod decode;
mod encode;
mod packet;
mod primitive;
mod property;

pub(crate) use decode::{Frame, decode, frame};
pub(crate) use encode::{ConnAck, connack, connack_unsupported_level, disconnect, pingresp};
pub(crate) use encode::{PublishHead, ack, publish, suback, unsuback};
pub(crate) use packet::{
    Ack, Code, Connect, Filter, Incoming, Leave, Message, Qos, RetainHandling, SubscribeOptions, Version,
    Will,
};

/// Why bytes are not a packet that may be sent to a broker.
///
/// The variant decides the answer that a client gets, see [`WireError::code`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// The bytes break the format.
    #[error("malformed packet: {0}")]
    Malformed(&'static str),
    /// The bytes are well-formed, the protocol forbids them here.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// The packet is longer than this broker takes.
    #[error("packet of {size} bytes is longer than the limit of {limit}")]
    TooLarge {
        /// Size of the packet, in bytes.
        size: usize,
        /// What is taken at most, in bytes.
        limit: usize,
    },
    /// The client asks for a protocol level other than 4 (3.1.1) and 5.
    #[error("protocol level {0} is not MQTT 3.1.1 (4) or 5")]
    Level(u8),
}

impl WireError {
    /// The reason code that tells an MQTT 5 client what was wrong.
    pub(crate) fn code(self) -> Code {
        match self {
            Self::Malformed(_) => Code::MalformedPacket,
            Self::Protocol(_) => Code::ProtocolError,
            Self::TooLarge { .. } => Code::PacketTooLarge,
            Self::Level(_) => Code::UnsupportedVersion,
        }
    }
}

#[cfg(test)]
mod tests;
