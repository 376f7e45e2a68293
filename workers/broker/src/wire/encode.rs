//! From what the broker says to bytes, appended to a connection's write buffer.

use bytes::{BufMut, BytesMut};

use super::packet::{Ack, Code, Message, Version};
use super::primitive::{put_binary, put_varint, varint_len};
use super::property::{
    ASSIGNED_CLIENT_ID, MAXIMUM_PACKET_SIZE, MESSAGE_EXPIRY, SESSION_EXPIRY, SUBSCRIPTION_ID,
};

/// The answer to a CONNECT.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnAck<'a> {
    pub(crate) code: Code,
    pub(crate) session_present: bool,
    pub(crate) maximum_packet_size: u32,
    pub(crate) assigned_client_id: Option<&'a str>,
    /// Set when the broker keeps the session for a shorter time than the client asked for.
    pub(crate) session_expiry: Option<u32>,
}

pub(crate) fn connack(out: &mut BytesMut, version: Version, answer: &ConnAck<'_>) {
    let mut properties = BytesMut::new();
    if version == Version::V5 && answer.code == Code::Success {
        properties.put_u8(MAXIMUM_PACKET_SIZE);
        properties.put_u32(answer.maximum_packet_size);
        if let Some(id) = answer.assigned_client_id {
            properties.put_u8(ASSIGNED_CLIENT_ID);
            put_binary(&mut properties, id.as_bytes());
        }
        if let Some(seconds) = answer.session_expiry {
            properties.put_u8(SESSION_EXPIRY);
            properties.put_u32(seconds);
        }
    }
    out.put_u8(0x20);
    match version {
        Version::V311 => {
            put_varint(out, 2);
            out.put_u8(u8::from(answer.session_present));
            out.put_u8(return_code(answer.code));
        }
        Version::V5 => {
            put_varint(out, 2 + varint_len(properties.len()) + properties.len());
            out.put_u8(u8::from(answer.session_present));
            out.put_u8(answer.code as u8);
            put_varint(out, properties.len());
            out.put_slice(&properties);
        }
    }
}

/// The answer to a client of another protocol level, in the form that every level understands.
pub(crate) fn connack_unsupported_level(out: &mut BytesMut) {
    out.put_slice(&[0x20, 2, 0, 1]);
}

/// The nearest of MQTT 3.1.1's six return codes.
fn return_code(code: Code) -> u8 {
    match code {
        Code::Success | Code::NoMatchingSubscribers | Code::NoSubscriptionExisted => 0,
        Code::UnsupportedVersion => 1,
        Code::ClientIdNotValid => 2,
        Code::BadUserNameOrPassword => 4,
        Code::BadAuthenticationMethod => 5,
        Code::MalformedPacket
        | Code::ProtocolError
        | Code::ServerUnavailable
        | Code::ServerShuttingDown
        | Code::KeepAliveTimeout
        | Code::SessionTakenOver
        | Code::TopicFilterInvalid
        | Code::PacketIdNotFound
        | Code::PacketTooLarge
        | Code::QuotaExceeded => 3,
    }
}

/// What differs between two deliveries of one message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PublishHead {
    pub(crate) qos: super::Qos,
    pub(crate) retain: bool,
    pub(crate) duplicate: bool,
    /// 0 at QoS 0.
    pub(crate) packet_id: u16,
    /// What is left of the message's lifetime, in seconds.
    pub(crate) expiry: Option<u32>,
    /// 0 is none.
    pub(crate) subscription_id: u32,
}

/// Appends a PUBLISH; `false`, and nothing written, when it would be longer than `limit` bytes.
pub(crate) fn publish(
    out: &mut BytesMut,
    version: Version,
    limit: usize,
    head: &PublishHead,
    message: &Message,
) -> bool {
    let own_properties = match version {
        Version::V311 => 0,
        Version::V5 => {
            let id =
                if head.subscription_id == 0 { 0 } else { 1 + varint_len(head.subscription_id as usize) };
            id + head.expiry.map_or(0, |_| 5) + message.properties().len()
        }
    };
    let properties = match version {
        Version::V311 => 0,
        Version::V5 => varint_len(own_properties) + own_properties,
    };
    let packet_id = if head.packet_id == 0 { 0 } else { 2 };
    let body = 2 + message.topic().len() + packet_id + properties + message.payload().len();
    let size = 1 + varint_len(body) + body;
    if size > limit {
        return false;
    }
    out.reserve(size);
    out.put_u8(0x30 | u8::from(head.duplicate) << 3 | head.qos.bits() << 1 | u8::from(head.retain));
    put_varint(out, body);
    put_binary(out, message.topic());
    if head.packet_id != 0 {
        out.put_u16(head.packet_id);
    }
    if version == Version::V5 {
        put_varint(out, own_properties);
        if let Some(seconds) = head.expiry {
            out.put_u8(MESSAGE_EXPIRY);
            out.put_u32(seconds);
        }
        if head.subscription_id != 0 {
            out.put_u8(SUBSCRIPTION_ID);
            put_varint(out, head.subscription_id as usize);
        }
        out.put_slice(message.properties());
    }
    out.put_slice(message.payload());
    true
}

pub(crate) fn ack(out: &mut BytesMut, version: Version, ack: Ack, packet_id: u16, code: Code) {
    let first = match ack {
        Ack::PubAck => 0x40,
        Ack::PubRec => 0x50,
        Ack::PubRel => 0x62,
        Ack::PubComp => 0x70,
    };
    out.put_u8(first);
    if version == Version::V311 || code == Code::Success {
        out.put_u8(2);
        out.put_u16(packet_id);
    } else {
        out.put_u8(3);
        out.put_u16(packet_id);
        out.put_u8(code as u8);
    }
}

/// `granted` holds one granted QoS or failure code per filter.
pub(crate) fn suback(out: &mut BytesMut, version: Version, packet_id: u16, granted: &[u8]) {
    out.put_u8(0x90);
    put_varint(out, 2 + usize::from(version == Version::V5) + granted.len());
    out.put_u16(packet_id);
    match version {
        Version::V311 => out.extend(granted.iter().map(|code| if *code < 0x80 { *code } else { 0x80 })),
        Version::V5 => {
            out.put_u8(0);
            out.put_slice(granted);
        }
    }
}

/// `codes` holds one reason code per filter; MQTT 3.1.1 sends none.
pub(crate) fn unsuback(out: &mut BytesMut, version: Version, packet_id: u16, codes: &[u8]) {
    out.put_u8(0xb0);
    match version {
        Version::V311 => {
            put_varint(out, 2);
            out.put_u16(packet_id);
        }
        Version::V5 => {
            put_varint(out, 3 + codes.len());
            out.put_u16(packet_id);
            out.put_u8(0);
            out.put_slice(codes);
        }
    }
}

pub(crate) fn pingresp(out: &mut BytesMut) {
    out.put_slice(&[0xd0, 0]);
}

/// MQTT 3.1.1 has no DISCONNECT from the broker: its clients see the socket close.
pub(crate) fn disconnect(out: &mut BytesMut, version: Version, code: Code) {
    match version {
        Version::V311 => {}
        Version::V5 => out.put_slice(&[0xe0, 1, code as u8]),
    }
}
