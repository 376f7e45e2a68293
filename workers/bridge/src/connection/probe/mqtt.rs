//! The MQTT probe: CONNECT and CONNACK of MQTT 3.1.1, by hand: two packets need no client library.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Failed, FailureClass, GOOD_BYE, Stream, in_io};
use crate::connection::config::MqttTarget;

/// Seconds: the probe is long gone by then, and a broker that lost it forgets it soon.
const KEEP_ALIVE: u16 = 10;

// The first bytes of packets, as MQTT 3.1.1 says them in 2.2.1.
const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const DISCONNECT: [u8; 2] = [0xE0, 0];

pub(super) async fn ask(
    stream: &mut dyn Stream,
    target: &MqttTarget,
    client_id: &str,
) -> Result<u16, Failed> {
    let password = target.password.as_ref().map(fsm_templating::Secret::resolve).transpose();
    let password = password.map_err(|error| Failed::new(FailureClass::Local, error.to_string()))?;
    let packet =
        connect(client_id, target.username.as_deref(), password.as_ref().map(|clear| clear.expose()));
    let packet =
        packet.ok_or_else(|| Failed::new(FailureClass::Local, "the password has more than 65535 bytes"))?;
    stream.write_all(&packet).await.map_err(in_io)?;
    stream.flush().await.map_err(in_io)?;

    let mut answer = [0; 4];
    stream.read_exact(&mut answer[..1]).await.map_err(in_io)?;
    if answer[0] != CONNACK {
        return Err(Failed::new(FailureClass::Protocol, "the answer is not MQTT"));
    }
    stream.read_exact(&mut answer[1..]).await.map_err(in_io)?;
    let [_, 2, _, code] = answer else {
        return Err(Failed::new(FailureClass::Protocol, "the answer is not MQTT 3.1.1"));
    };
    if code == 0 {
        // Good manners: a broker logs a client that leaves without a word. The answer is already known.
        let leave = async {
            stream.write_all(&DISCONNECT).await?;
            stream.shutdown().await
        };
        let _ = tokio::time::timeout(GOOD_BYE, leave).await;
        return Ok(0);
    }
    judge(code, target.username.is_some())
}

/// What a broker that refuses tells about itself.
fn judge(code: u8, has_user: bool) -> Result<u16, Failed> {
    let status = u16::from(code);
    let (class, what) = match code {
        4 | 5 if !has_user => return Ok(status),
        4 | 5 => (FailureClass::Credentials, "the broker doesn't take the user or password".to_owned()),
        3 => (FailureClass::Status, "the broker says that it is not available".to_owned()),
        _ => (FailureClass::Status, format!("the broker refuses with code {code}")),
    };
    Err(Failed::new(class, what).with_status(status))
}

/// The bytes of a CONNECT with a clean session; none when a field is too long for its length.
fn connect(client_id: &str, user: Option<&str>, password: Option<&str>) -> Option<Vec<u8>> {
    let clean = 0x02;
    let flags = clean | if user.is_some() { 0x80 } else { 0 } | if password.is_some() { 0x40 } else { 0 };
    let mut body = Vec::with_capacity(64);
    field(&mut body, "MQTT")?;
    body.extend([4, flags]);
    body.extend(KEEP_ALIVE.to_be_bytes());
    for text in [Some(client_id), user, password].into_iter().flatten() {
        field(&mut body, text)?;
    }
    let mut packet = vec![CONNECT];
    let mut left = body.len();
    loop {
        let more = left > 0x7F;
        packet.push((left & 0x7F) as u8 | if more { 0x80 } else { 0 });
        left >>= 7;
        if !more {
            break;
        }
    }
    packet.extend(body);
    Some(packet)
}

fn field(body: &mut Vec<u8>, text: &str) -> Option<()> {
    body.extend(u16::try_from(text.len()).ok()?.to_be_bytes());
    body.extend(text.as_bytes());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_is_what_the_standard_says() {
        let bytes = connect("a", None, None).unwrap();
        assert_eq!(bytes, [0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 10, 0, 1, b'a']);
        let bytes = connect("a", Some("u"), Some("p")).unwrap();
        assert_eq!(bytes[9], 0xC2, "user, password and clean session");
        assert_eq!(&bytes[15..], [0, 1, b'u', 0, 1, b'p']);
        assert_eq!(
            &connect("a", Some("u"), Some(&"x".repeat(200))).unwrap()[..3],
            [0x10, 0xDA, 0x01],
            "218 bytes"
        );
        assert!(connect("a", Some("u"), Some(&"x".repeat(70_000))).is_none());
    }

    #[test]
    fn a_broker_that_asks_for_a_user_is_there() {
        assert_eq!(judge(5, false).unwrap(), 5);
        assert_eq!(judge(5, true).unwrap_err().failure.class, FailureClass::Credentials);
        assert_eq!(judge(3, false).unwrap_err().status, Some(3));
    }
}
