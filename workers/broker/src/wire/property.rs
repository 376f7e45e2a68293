//! MQTT 5 properties: read once, checked against what a packet may carry, and kept as bytes where they are
//! only forwarded.

use super::WireError;
use super::primitive::Cursor;

pub(crate) const PAYLOAD_FORMAT: u8 = 0x01;
pub(crate) const MESSAGE_EXPIRY: u8 = 0x02;
pub(crate) const CONTENT_TYPE: u8 = 0x03;
pub(crate) const RESPONSE_TOPIC: u8 = 0x08;
pub(crate) const CORRELATION_DATA: u8 = 0x09;
pub(crate) const SUBSCRIPTION_ID: u8 = 0x0b;
pub(crate) const SESSION_EXPIRY: u8 = 0x11;
pub(crate) const ASSIGNED_CLIENT_ID: u8 = 0x12;
pub(crate) const AUTHENTICATION_METHOD: u8 = 0x15;
pub(crate) const AUTHENTICATION_DATA: u8 = 0x16;
pub(crate) const REQUEST_PROBLEM_INFORMATION: u8 = 0x17;
pub(crate) const WILL_DELAY: u8 = 0x18;
pub(crate) const REQUEST_RESPONSE_INFORMATION: u8 = 0x19;
pub(crate) const SERVER_REFERENCE: u8 = 0x1c;
pub(crate) const REASON_STRING: u8 = 0x1f;
pub(crate) const RECEIVE_MAXIMUM: u8 = 0x21;
pub(crate) const TOPIC_ALIAS_MAXIMUM: u8 = 0x22;
pub(crate) const TOPIC_ALIAS: u8 = 0x23;
pub(crate) const USER_PROPERTY: u8 = 0x26;
pub(crate) const MAXIMUM_PACKET_SIZE: u8 = 0x27;

/// What may stand in a PUBLISH of a client. A topic alias may not: the CONNACK grants none.
pub(crate) const OF_PUBLISH: &[u8] =
    &[PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA, USER_PROPERTY];
pub(crate) const OF_WILL: &[u8] = &[
    WILL_DELAY,
    PAYLOAD_FORMAT,
    MESSAGE_EXPIRY,
    CONTENT_TYPE,
    RESPONSE_TOPIC,
    CORRELATION_DATA,
    USER_PROPERTY,
];
pub(crate) const OF_CONNECT: &[u8] = &[
    SESSION_EXPIRY,
    AUTHENTICATION_METHOD,
    AUTHENTICATION_DATA,
    REQUEST_PROBLEM_INFORMATION,
    REQUEST_RESPONSE_INFORMATION,
    RECEIVE_MAXIMUM,
    TOPIC_ALIAS_MAXIMUM,
    USER_PROPERTY,
    MAXIMUM_PACKET_SIZE,
];
pub(crate) const OF_ACK: &[u8] = &[REASON_STRING, USER_PROPERTY];
pub(crate) const OF_SUBSCRIBE: &[u8] = &[SUBSCRIPTION_ID, USER_PROPERTY];
pub(crate) const OF_UNSUBSCRIBE: &[u8] = &[USER_PROPERTY];
pub(crate) const OF_DISCONNECT: &[u8] = &[SESSION_EXPIRY, REASON_STRING, USER_PROPERTY, SERVER_REFERENCE];

/// Reads a property list. `each` gets the identifier, the number (0 where the value is text or bytes) and the
/// property's own bytes, identifier included.
pub(crate) fn read<'a>(
    cursor: &mut Cursor<'a>,
    allowed: &[u8],
    mut each: impl FnMut(u8, u32, &'a [u8]) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let len = cursor.varint()?;
    let mut list = Cursor::new(cursor.take(len)?);
    let mut seen = 0u64;
    while !list.is_empty() {
        let start = list.rest();
        let id = list.u8()?;
        let number = value(&mut list, id)?;
        if !allowed.contains(&id) {
            return Err(WireError::Protocol("a property that this packet may not carry"));
        }
        // Identifiers end at 0x2a, so one word remembers them all.
        let bit = 1u64 << id;
        if seen & bit != 0 && id != USER_PROPERTY {
            return Err(WireError::Protocol("a property stands twice"));
        }
        seen |= bit;
        each(id, number, &start[..start.len() - list.rest().len()])?;
    }
    Ok(())
}

/// Moves over one value of the type that `id` has.
fn value(list: &mut Cursor<'_>, id: u8) -> Result<u32, WireError> {
    match id {
        PAYLOAD_FORMAT
        | REQUEST_PROBLEM_INFORMATION
        | REQUEST_RESPONSE_INFORMATION
        | 0x24
        | 0x25
        | 0x28
        | 0x29
        | 0x2a => list.u8().map(u32::from),
        0x13 | RECEIVE_MAXIMUM | TOPIC_ALIAS_MAXIMUM | TOPIC_ALIAS => list.u16().map(u32::from),
        MESSAGE_EXPIRY | SESSION_EXPIRY | WILL_DELAY | MAXIMUM_PACKET_SIZE => list.u32(),
        SUBSCRIPTION_ID => match list.varint()? {
            0 => Err(WireError::Protocol("subscription identifier 0")),
            id => Ok(u32::try_from(id).unwrap_or(u32::MAX)),
        },
        CONTENT_TYPE
        | RESPONSE_TOPIC
        | ASSIGNED_CLIENT_ID
        | AUTHENTICATION_METHOD
        | 0x1a
        | SERVER_REFERENCE
        | REASON_STRING => list.text().map(|_| 0),
        CORRELATION_DATA | AUTHENTICATION_DATA => list.binary().map(|_| 0),
        USER_PROPERTY => {
            list.text()?;
            list.text().map(|_| 0)
        }
        _ => Err(WireError::Malformed("an unknown property")),
    }
}
