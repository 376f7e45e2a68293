//! From the bytes of a socket to what a client said.

use std::time::Duration;

use super::packet::{
    Ack, Connect, Filter, Incoming, Leave, Message, Qos, RetainHandling, SubscribeOptions, Version, Will,
};
use super::primitive::{Cursor, MAX_VARINT, varint};
use super::{WireError, property};
use crate::topic;

/// Where the first packet of a buffer lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame {
    /// All of it is there: its first byte, and where its body starts and ends.
    Whole { first: u8, start: usize, end: usize },
    /// This many bytes are missing at least.
    Missing(usize),
}

/// Looks for the end of the first packet.
///
/// # Errors
///
/// When its length is malformed or above `limit`, before its bytes have arrived.
pub(crate) fn frame(buffer: &[u8], limit: usize) -> Result<Frame, WireError> {
    let Some((&first, rest)) = buffer.split_first() else { return Ok(Frame::Missing(2)) };
    let Some((len, used)) = varint(rest)? else { return Ok(Frame::Missing(1)) };
    if len > limit {
        return Err(WireError::TooLarge { size: len, limit });
    }
    let start = 1 + used;
    let end = start + len;
    if buffer.len() < end {
        Ok(Frame::Missing(end - buffer.len()))
    } else {
        Ok(Frame::Whole { first, start, end })
    }
}

/// Reads one packet of a client. `version` is unknown (`None`) until its CONNECT was read.
pub(crate) fn decode(version: Option<Version>, first: u8, body: &[u8]) -> Result<Incoming, WireError> {
    let mut cursor = Cursor::new(body);
    let flags = first & 0x0f;
    let kind = first >> 4;
    let wanted_flags = match kind {
        6 | 8 | 10 => 0b0010,
        3 => flags,
        _ => 0,
    };
    if flags != wanted_flags {
        return Err(WireError::Malformed("reserved flags of the fixed header"));
    }
    let Some(version) = version else {
        return match kind {
            1 => connect(cursor).map(|connect| Incoming::Connect(Box::new(connect))),
            _ => Err(WireError::Protocol("the first packet is not CONNECT")),
        };
    };
    let packet = match kind {
        1 => return Err(WireError::Protocol("a second CONNECT")),
        3 => return publish(version, flags, cursor),
        4 => acknowledge(version, Ack::PubAck, &mut cursor)?,
        5 => acknowledge(version, Ack::PubRec, &mut cursor)?,
        6 => acknowledge(version, Ack::PubRel, &mut cursor)?,
        7 => acknowledge(version, Ack::PubComp, &mut cursor)?,
        8 => subscribe(version, &mut cursor)?,
        10 => unsubscribe(version, &mut cursor)?,
        12 => Incoming::PingReq,
        14 => disconnect(version, &mut cursor)?,
        15 if version == Version::V5 => {
            return Err(WireError::Protocol("AUTH without an authentication method"));
        }
        _ => return Err(WireError::Malformed("a packet type that clients do not send")),
    };
    if cursor.is_empty() {
        Ok(packet)
    } else {
        Err(WireError::Malformed("bytes after the end of the packet"))
    }
}

fn connect(mut cursor: Cursor<'_>) -> Result<Connect, WireError> {
    let name = cursor.binary()?;
    let level = cursor.u8()?;
    let version = match (name, level) {
        (b"MQTT", 4) => Version::V311,
        (b"MQTT", 5) => Version::V5,
        (b"MQTT" | b"MQIsdp", level) => return Err(WireError::Level(level)),
        _ => return Err(WireError::Malformed("not an MQTT CONNECT")),
    };
    let flags = cursor.u8()?;
    if flags & 1 != 0 {
        return Err(WireError::Malformed("reserved flag of CONNECT"));
    }
    let clean_start = flags & 0b10 != 0;
    let keep_alive = Duration::from_secs(u64::from(cursor.u16()?));
    // A 3.1.1 session without "clean session" has no end of its own.
    let mut session_expiry = if version == Version::V311 && !clean_start { u32::MAX } else { 0 };
    let mut receive_maximum = u16::MAX;
    let mut maximum_packet_size = MAX_VARINT;
    let mut enhanced_authentication = false;
    if version == Version::V5 {
        property::read(&mut cursor, property::OF_CONNECT, |id, number, _| {
            match id {
                property::SESSION_EXPIRY => session_expiry = number,
                property::RECEIVE_MAXIMUM if number == 0 => {
                    return Err(WireError::Protocol("receive maximum 0"));
                }
                property::RECEIVE_MAXIMUM => receive_maximum = u16::try_from(number).unwrap_or(u16::MAX),
                property::MAXIMUM_PACKET_SIZE if number == 0 => {
                    return Err(WireError::Protocol("maximum packet size 0"));
                }
                property::MAXIMUM_PACKET_SIZE => {
                    maximum_packet_size = usize::try_from(number).unwrap_or(usize::MAX).min(MAX_VARINT);
                }
                property::AUTHENTICATION_METHOD => enhanced_authentication = true,
                _ => {}
            }
            Ok(())
        })?;
    }
    let client_id = cursor.text()?.into();
    let will = will(version, flags, &mut cursor)?;
    let user_name = if flags & 0x80 != 0 { Some(cursor.text()?.into()) } else { None };
    let password = if flags & 0x40 != 0 { Some(cursor.binary()?.into()) } else { None };
    if version == Version::V311 && password.is_some() && user_name.is_none() {
        return Err(WireError::Malformed("a password without a user name"));
    }
    if !cursor.is_empty() {
        return Err(WireError::Malformed("bytes after the end of the packet"));
    }
    Ok(Connect {
        version,
        client_id,
        clean_start,
        session_expiry,
        keep_alive,
        receive_maximum,
        maximum_packet_size,
        will,
        user_name,
        password,
        enhanced_authentication,
    })
}

fn will(version: Version, flags: u8, cursor: &mut Cursor<'_>) -> Result<Option<Box<Will>>, WireError> {
    let qos = Qos::from_bits((flags >> 3) & 0b11).ok_or(WireError::Malformed("will QoS 3"))?;
    let retain = flags & 0x20 != 0;
    if flags & 0b100 == 0 {
        return if qos == Qos::AtMostOnce && !retain {
            Ok(None)
        } else {
            Err(WireError::Malformed("will flags without a will"))
        };
    }
    let mut kept = Vec::new();
    let mut delay = Duration::ZERO;
    let mut expiry = None;
    if version == Version::V5 {
        property::read(cursor, property::OF_WILL, |id, number, bytes| {
            match id {
                property::WILL_DELAY => delay = Duration::from_secs(u64::from(number)),
                property::MESSAGE_EXPIRY => expiry = Some(Duration::from_secs(u64::from(number))),
                _ => kept.extend_from_slice(bytes),
            }
            Ok(())
        })?;
    }
    let topic = published_topic(cursor)?;
    let message = Message::new(topic, &kept, cursor.binary()?, qos, retain, expiry);
    Ok(Some(Box::new(Will { message, delay })))
}

fn published_topic<'a>(cursor: &mut Cursor<'a>) -> Result<&'a [u8], WireError> {
    let name = cursor.text()?;
    if topic::is_name(name) {
        Ok(name.as_bytes())
    } else {
        Err(WireError::Malformed("a topic that is empty or holds a wildcard"))
    }
}

fn publish(version: Version, flags: u8, mut cursor: Cursor<'_>) -> Result<Incoming, WireError> {
    let qos = Qos::from_bits((flags >> 1) & 0b11).ok_or(WireError::Malformed("QoS 3"))?;
    if qos == Qos::AtMostOnce && flags & 0b1000 != 0 {
        return Err(WireError::Malformed("a duplicate at QoS 0"));
    }
    let topic = published_topic(&mut cursor)?;
    let packet_id = if qos == Qos::AtMostOnce { 0 } else { cursor.packet_id()? };
    // Nearly every message has no properties: only then is nothing allocated for them.
    let mut kept = Vec::new();
    let mut expiry = None;
    if version == Version::V5 {
        property::read(&mut cursor, property::OF_PUBLISH, |id, number, bytes| {
            match id {
                property::MESSAGE_EXPIRY => expiry = Some(Duration::from_secs(u64::from(number))),
                _ => kept.extend_from_slice(bytes),
            }
            Ok(())
        })?;
    }
    let message = Message::new(topic, &kept, cursor.rest(), qos, flags & 1 != 0, expiry);
    Ok(Incoming::Publish { message, packet_id })
}

fn acknowledge(version: Version, ack: Ack, cursor: &mut Cursor<'_>) -> Result<Incoming, WireError> {
    let packet_id = cursor.packet_id()?;
    let mut failed = false;
    if version == Version::V5 && !cursor.is_empty() {
        failed = cursor.u8()? >= 0x80;
        if !cursor.is_empty() {
            property::read(cursor, property::OF_ACK, |_, _, _| Ok(()))?;
        }
    }
    Ok(Incoming::Ack { ack, packet_id, failed })
}

fn subscribe(version: Version, cursor: &mut Cursor<'_>) -> Result<Incoming, WireError> {
    let packet_id = cursor.packet_id()?;
    let mut id = 0;
    if version == Version::V5 {
        property::read(cursor, property::OF_SUBSCRIBE, |property, number, _| {
            if property == property::SUBSCRIPTION_ID {
                id = number;
            }
            Ok(())
        })?;
    }
    let mut filters = Vec::new();
    while !cursor.is_empty() {
        let filter = cursor.text()?.into();
        filters.push(Filter { filter, options: subscribe_options(version, cursor.u8()?, id)? });
    }
    if filters.is_empty() {
        return Err(WireError::Protocol("SUBSCRIBE without a topic filter"));
    }
    Ok(Incoming::Subscribe { packet_id, filters })
}

fn subscribe_options(version: Version, bits: u8, id: u32) -> Result<SubscribeOptions, WireError> {
    let reserved = match version {
        Version::V311 => 0xfc,
        Version::V5 => 0xc0,
    };
    if bits & reserved != 0 {
        return Err(WireError::Malformed("reserved bits of the subscription options"));
    }
    let retain_handling = match (bits >> 4) & 0b11 {
        0 => RetainHandling::Always,
        1 => RetainHandling::IfNew,
        2 => RetainHandling::Never,
        _ => return Err(WireError::Protocol("retain handling 3")),
    };
    Ok(SubscribeOptions {
        qos: Qos::from_bits(bits & 0b11).ok_or(WireError::Malformed("QoS 3"))?,
        no_local: bits & 0b100 != 0,
        retain_as_published: bits & 0b1000 != 0,
        retain_handling,
        id,
    })
}

fn unsubscribe(version: Version, cursor: &mut Cursor<'_>) -> Result<Incoming, WireError> {
    let packet_id = cursor.packet_id()?;
    if version == Version::V5 {
        property::read(cursor, property::OF_UNSUBSCRIBE, |_, _, _| Ok(()))?;
    }
    let mut filters = Vec::new();
    while !cursor.is_empty() {
        filters.push(cursor.text()?.into());
    }
    if filters.is_empty() {
        return Err(WireError::Protocol("UNSUBSCRIBE without a topic filter"));
    }
    Ok(Incoming::Unsubscribe { packet_id, filters })
}

fn disconnect(version: Version, cursor: &mut Cursor<'_>) -> Result<Incoming, WireError> {
    let mut leave = Leave { with_will: false, session_expiry: None };
    if version == Version::V5 && !cursor.is_empty() {
        // Any reason but "normal" means that the will is wanted.
        leave.with_will = cursor.u8()? != 0;
        if !cursor.is_empty() {
            property::read(cursor, property::OF_DISCONNECT, |id, number, _| {
                if id == property::SESSION_EXPIRY {
                    leave.session_expiry = Some(number);
                }
                Ok(())
            })?;
        }
    }
    Ok(Incoming::Disconnect(leave))
}
