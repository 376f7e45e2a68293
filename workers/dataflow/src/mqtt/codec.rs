//! The bytes of MQTT 3.1.1 and 5, the client's half. Pure; no input can make it panic. Topics and payloads of incoming
//! messages share the read buffer.
//!
//! Own code because no client library gives, for one publish at a time and for both versions, the moment it was answered
//! and a free choice of when to acknowledge, within the 8 µs that a message may cost from end to end.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use bytestring::ByteString;

use crate::config::Qos;

/// Which protocol is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    V311,
    V5,
}

/// A broker sent bytes that are not MQTT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the peer does not speak MQTT: {0}")]
pub(crate) struct Malformed(&'static str);

type Result<T> = std::result::Result<T, Malformed>;

/// What a broker sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Packet {
    ConnAck(ConnAck),
    Publish(Publish),
    PubAck { id: u16, code: u8 },
    PubRec { id: u16, code: u8 },
    PubRel { id: u16 },
    PubComp { id: u16 },
    SubAck { id: u16, codes: Bytes },
    UnsubAck { id: u16 },
    PingResp,
    Disconnect { code: u8 },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConnAck {
    pub(crate) session_present: bool,
    /// 0 is success; others depend on the protocol.
    pub(crate) code: u8,
    /// How many publishes the broker takes at once.
    pub(crate) receive_maximum: u16,
    /// The longest packet that the broker takes.
    pub(crate) maximum_packet: u32,
    pub(crate) maximum_qos: u8,
    pub(crate) retain: bool,
    pub(crate) subscription_ids: bool,
    /// Overrides ours, in seconds.
    pub(crate) keep_alive: Option<u16>,
    pub(crate) reason: Option<ByteString>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) topic: ByteString,
    pub(crate) payload: Bytes,
    pub(crate) qos: Qos,
    /// 0 at quality of service 0.
    pub(crate) id: u16,
    pub(crate) duplicate: bool,
    pub(crate) properties: Vec<(ByteString, ByteString)>,
    /// Identifiers of the subscriptions it is for.
    pub(crate) subscriptions: Vec<u32>,
}

/// The longest packet that is read: the protocol's own limit is 256 MiB, which a hostile peer must not make us keep.
pub(crate) const MAX_PACKET: usize = 16 << 20;

/// Takes one packet off the front of `buffer`, if it is there whole.
pub(crate) fn decode(buffer: &mut BytesMut, protocol: Protocol) -> Result<Option<Packet>> {
    let Some((header, length)) = frame(buffer)? else { return Ok(None) };
    let first = buffer[0];
    buffer.advance(header);
    let mut body = buffer.split_to(length).freeze();
    let packet = match first >> 4 {
        2 => Packet::ConnAck(connack(&mut body, protocol)?),
        3 => Packet::Publish(publish(first, body, protocol)?),
        4 => {
            let (id, code) = answer(&mut body)?;
            Packet::PubAck { id, code }
        }
        5 => {
            let (id, code) = answer(&mut body)?;
            Packet::PubRec { id, code }
        }
        6 => Packet::PubRel { id: answer(&mut body)?.0 },
        7 => Packet::PubComp { id: answer(&mut body)?.0 },
        9 => {
            let id = u16(&mut body)?;
            if protocol == Protocol::V5 {
                properties(&mut body, |_, _| Ok(()))?;
            }
            Packet::SubAck { id, codes: body }
        }
        11 => Packet::UnsubAck { id: u16(&mut body)? },
        13 => Packet::PingResp,
        14 => Packet::Disconnect { code: body.first().copied().unwrap_or(0) },
        _ => return Err(Malformed("a packet of a type that brokers don't send")),
    };
    Ok(Some(packet))
}

/// Bytes of the fixed header and of the rest, if the whole packet is there.
fn frame(buffer: &[u8]) -> Result<Option<(usize, usize)>> {
    let mut length = 0_usize;
    for (i, byte) in buffer.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            if length > MAX_PACKET {
                return Err(Malformed("a packet longer than 16 MiB"));
            }
            let header = i + 2;
            return Ok((buffer.len() >= header + length).then_some((header, length)));
        }
    }
    if buffer.len() >= 5 { Err(Malformed("a length of more than four bytes")) } else { Ok(None) }
}

fn u8(body: &mut Bytes) -> Result<u8> {
    body.try_get_u8().map_err(|_| Malformed("a packet that ends early"))
}

fn u16(body: &mut Bytes) -> Result<u16> {
    body.try_get_u16().map_err(|_| Malformed("a packet that ends early"))
}

fn u32(body: &mut Bytes) -> Result<u32> {
    body.try_get_u32().map_err(|_| Malformed("a packet that ends early"))
}

fn take(body: &mut Bytes, length: usize) -> Result<Bytes> {
    if body.len() < length {
        return Err(Malformed("a packet that ends early"));
    }
    Ok(body.split_to(length))
}

fn string(body: &mut Bytes) -> Result<ByteString> {
    let length = usize::from(u16(body)?);
    ByteString::try_from(take(body, length)?).map_err(|_| Malformed("a text that is not UTF-8"))
}

fn variable(body: &mut Bytes) -> Result<u32> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let byte = u8(body)?;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed("a length of more than four bytes"))
}

/// A property's value, as far as a client cares.
enum Property {
    Number(u32),
    Text(ByteString),
    Pair(ByteString, ByteString),
    Other,
}

fn properties(body: &mut Bytes, mut each: impl FnMut(u8, Property) -> Result<()>) -> Result<()> {
    let length = variable(body)?;
    let mut block = take(body, length as usize)?;
    while block.has_remaining() {
        let id = u8(&mut block)?;
        let value = match id {
            0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2a => Property::Number(u32::from(u8(&mut block)?)),
            0x13 | 0x21..=0x23 => Property::Number(u32::from(u16(&mut block)?)),
            0x02 | 0x11 | 0x18 | 0x27 => Property::Number(u32(&mut block)?),
            0x0b => Property::Number(variable(&mut block)?),
            0x03 | 0x08 | 0x12 | 0x15 | 0x1a | 0x1c | 0x1f => Property::Text(string(&mut block)?),
            0x09 | 0x16 => {
                let length = usize::from(u16(&mut block)?);
                take(&mut block, length)?;
                Property::Other
            }
            0x26 => Property::Pair(string(&mut block)?, string(&mut block)?),
            _ => return Err(Malformed("an unknown property")),
        };
        each(id, value)?;
    }
    Ok(())
}

fn connack(body: &mut Bytes, protocol: Protocol) -> Result<ConnAck> {
    let flags = u8(body)?;
    let code = u8(body)?;
    let mut ack = ConnAck {
        session_present: flags & 1 == 1,
        code,
        receive_maximum: u16::MAX,
        maximum_packet: u32::MAX,
        maximum_qos: 2,
        retain: true,
        subscription_ids: protocol == Protocol::V5,
        keep_alive: None,
        reason: None,
    };
    // A broker that refuses MQTT 5 may answer in the form of 3.1.1, which ends here.
    if protocol == Protocol::V5 && body.has_remaining() {
        properties(body, |id, value| {
            match (id, value) {
                (0x21, Property::Number(n)) => {
                    ack.receive_maximum = u16::try_from(n).unwrap_or(u16::MAX).max(1)
                }
                (0x24, Property::Number(n)) => ack.maximum_qos = u8::from(n != 0),
                (0x25, Property::Number(n)) => ack.retain = n != 0,
                (0x27, Property::Number(n)) => ack.maximum_packet = n,
                (0x29, Property::Number(n)) => ack.subscription_ids = n != 0,
                (0x13, Property::Number(n)) => ack.keep_alive = u16::try_from(n).ok(),
                (0x1f, Property::Text(text)) => ack.reason = Some(text),
                (_, Property::Number(_) | Property::Text(_) | Property::Pair(..) | Property::Other) => {}
            }
            Ok(())
        })?;
    }
    Ok(ack)
}

fn publish(first: u8, mut body: Bytes, protocol: Protocol) -> Result<Publish> {
    let qos = Qos::from_level(first >> 1 & 3).ok_or(Malformed("a publish of quality of service 3"))?;
    let topic = string(&mut body)?;
    let id = if qos == Qos::AtMostOnce { 0 } else { u16(&mut body)? };
    if qos != Qos::AtMostOnce && id == 0 {
        return Err(Malformed("a publish with the identifier 0"));
    }
    let (mut user, mut subscriptions) = (Vec::new(), Vec::new());
    if protocol == Protocol::V5 {
        properties(&mut body, |id, value| {
            match (id, value) {
                (0x26, Property::Pair(name, value)) => user.push((name, value)),
                (0x0b, Property::Number(n)) => subscriptions.push(n),
                (_, Property::Number(_) | Property::Text(_) | Property::Pair(..) | Property::Other) => {}
            }
            Ok(())
        })?;
    }
    Ok(Publish { topic, payload: body, qos, id, duplicate: first & 8 != 0, properties: user, subscriptions })
}

/// The identifier and, in MQTT 5 where it is not success, the reason.
fn answer(body: &mut Bytes) -> Result<(u16, u8)> {
    let id = u16(body)?;
    Ok((id, body.first().copied().unwrap_or(0)))
}

/// What is asked of a broker at the start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Connect<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) client_id: &'a str,
    pub(crate) username: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
    pub(crate) clean: bool,
    pub(crate) keep_alive: u16,
    /// Seconds.
    pub(crate) session_expiry: u32,
    pub(crate) receive_maximum: u16,
}

/// Writes the fixed header; the rest must have exactly this length.
fn head(out: &mut BytesMut, first: u8, length: usize) {
    out.reserve(length + 5);
    out.put_u8(first);
    put_variable(out, length);
}

fn put_variable(out: &mut BytesMut, mut value: usize) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.put_u8(byte);
            return;
        }
        out.put_u8(byte | 0x80);
    }
}

const fn variable_length(value: usize) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

fn put_text(out: &mut BytesMut, text: &str) {
    // Config and `check_topic` hold texts to what the protocol can count; what is longer can't get here whole.
    let length = text.len().min(usize::from(u16::MAX));
    out.put_u16(length as u16);
    out.put_slice(&text.as_bytes()[..length]);
}

pub(crate) fn connect(out: &mut BytesMut, c: Connect<'_>) {
    let v5 = c.protocol == Protocol::V5;
    // Session expiry (5 bytes) and receive maximum (3 bytes).
    let properties = if v5 { 1 + 8 } else { 0 };
    let text = |t: Option<&str>| t.map_or(0, |t| 2 + t.len());
    head(out, 0x10, 10 + properties + 2 + c.client_id.len() + text(c.username) + text(c.password));
    put_text(out, "MQTT");
    out.put_u8(if v5 { 5 } else { 4 });
    let flag = |on: bool, bit: u8| if on { bit } else { 0 };
    out.put_u8(flag(c.clean, 2) | flag(c.username.is_some(), 0x80) | flag(c.password.is_some(), 0x40));
    out.put_u16(c.keep_alive);
    if v5 {
        out.put_u8(8);
        out.put_u8(0x11);
        out.put_u32(c.session_expiry);
        out.put_u8(0x21);
        out.put_u16(c.receive_maximum);
    }
    put_text(out, c.client_id);
    for text in [c.username, c.password].into_iter().flatten() {
        put_text(out, text);
    }
}

/// Writes a publish and returns its length in bytes.
pub(crate) fn publish_into(
    out: &mut BytesMut,
    protocol: Protocol,
    message: &crate::message::Message,
    (qos, retain, duplicate, id): (Qos, bool, bool, u16),
) -> usize {
    let before = out.len();
    let (properties, length) = publish_length(protocol, message, qos);
    let flag = |on: bool, bit: u8| if on { bit } else { 0 };
    head(out, 0x30 | qos.level() << 1 | flag(retain, 1) | flag(duplicate, 8), length);
    put_text(out, &message.topic);
    if qos != Qos::AtMostOnce {
        out.put_u16(id);
    }
    if protocol == Protocol::V5 {
        put_variable(out, properties);
        for (name, value) in &message.metadata {
            out.put_u8(0x26);
            put_text(out, name);
            put_text(out, value);
        }
    }
    out.put_slice(&message.payload);
    out.len() - before
}

/// Bytes of the properties, and of all after the fixed header.
pub(crate) fn publish_length(
    protocol: Protocol,
    message: &crate::message::Message,
    qos: Qos,
) -> (usize, usize) {
    let id = if qos == Qos::AtMostOnce { 0 } else { 2 };
    let base = 2 + message.topic.len() + id + message.payload.len();
    match protocol {
        Protocol::V311 => (0, base),
        Protocol::V5 => {
            let limit = usize::from(u16::MAX);
            let text = |t: &ByteString| 2 + t.len().min(limit);
            let properties = message.metadata.iter().map(|(name, value)| 1 + text(name) + text(value)).sum();
            (properties, base + variable_length(properties) + properties)
        }
    }
}

/// PUBACK (4), PUBREC (5), PUBREL (6) or PUBCOMP (7), with success.
pub(crate) fn acknowledge(out: &mut BytesMut, kind: u8, id: u16) {
    let flags = if kind == 6 { 2 } else { 0 };
    out.put_slice(&[kind << 4 | flags, 2]);
    out.put_u16(id);
}

pub(crate) fn subscribe(
    out: &mut BytesMut,
    protocol: Protocol,
    id: u16,
    (filter, qos, subscription): (&str, Qos, Option<u32>),
) {
    let v5 = protocol == Protocol::V5;
    let identifier = subscription.filter(|_| v5).map(|n| n as usize);
    let properties = identifier.map_or(0, |n| 1 + variable_length(n));
    head(out, 0x82, 2 + if v5 { 1 + properties } else { 0 } + 2 + filter.len() + 1);
    out.put_u16(id);
    if v5 {
        put_variable(out, properties);
        if let Some(n) = identifier {
            out.put_u8(0x0b);
            put_variable(out, n);
        }
    }
    put_text(out, filter);
    out.put_u8(qos.level());
}

pub(crate) fn unsubscribe(out: &mut BytesMut, protocol: Protocol, id: u16, filter: &str) {
    let v5 = protocol == Protocol::V5;
    head(out, 0xa2, 2 + usize::from(v5) + 2 + filter.len());
    out.put_u16(id);
    if v5 {
        out.put_u8(0);
    }
    put_text(out, filter);
}

pub(crate) fn ping(out: &mut BytesMut) {
    out.put_slice(&[0xc0, 0]);
}

/// Ends the connection as meant. `forget` asks the broker to forget the session (MQTT 5).
pub(crate) fn disconnect(out: &mut BytesMut, protocol: Protocol, forget: bool) {
    if protocol == Protocol::V5 && forget {
        // Reason 0, properties of 5 bytes: session expiry 0.
        out.put_slice(&[0xe0, 7, 0, 5, 0x11, 0, 0, 0, 0]);
    } else {
        out.put_slice(&[0xe0, 0]);
    }
}

/// What a reason code of MQTT 5 says.
pub(crate) const fn reason(code: u8) -> &'static str {
    match code {
        0x80 => "unspecified error",
        0x81 => "malformed packet",
        0x82 => "protocol error",
        0x83 => "implementation specific error",
        0x84 => "unsupported protocol version",
        0x85 => "client identifier not valid",
        0x86 => "bad user name or password",
        0x87 => "not authorized",
        0x88 => "server unavailable",
        0x89 => "server busy",
        0x8a => "banned",
        0x8b => "server shutting down",
        0x8d => "keep alive timeout",
        0x8e => "session taken over: another client uses the same client identifier",
        0x8f => "topic filter invalid",
        0x90 => "topic name invalid",
        0x93 => "receive maximum exceeded",
        0x94 => "topic alias invalid",
        0x95 => "packet too large",
        0x96 => "message rate too high",
        0x97 => "quota exceeded",
        0x98 => "administrative action",
        0x99 => "payload format invalid",
        0x9a => "retain not supported",
        0x9b => "quality of service not supported",
        0x9c => "use another server",
        0x9d => "server moved",
        0x9e => "shared subscriptions not supported",
        0x9f => "connection rate exceeded",
        0xa1 => "subscription identifiers not supported",
        0xa2 => "wildcard subscriptions not supported",
        _ => "an unknown reason",
    }
}

/// What a return code of MQTT 3.1.1 says.
pub(crate) const fn return_code(code: u8) -> &'static str {
    match code {
        1 => "unacceptable protocol version",
        2 => "client identifier rejected",
        3 => "server unavailable",
        4 => "bad user name or password",
        5 => "not authorized",
        _ => "an unknown return code",
    }
}

#[cfg(test)]
mod tests;
