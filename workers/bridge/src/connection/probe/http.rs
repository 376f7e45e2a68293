//! The HTTP probe: a request by hand, of whose answer only the status line is read.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Failed, FailureClass, Stream, in_io};
use crate::connection::Url;
use crate::connection::config::{HttpTarget, Method};

/// A status line with a reason phrase that is a whole sentence.
const MAX_LINE_BYTES: usize = 1024;

pub(super) async fn ask(stream: &mut dyn Stream, target: &HttpTarget, url: &Url) -> Result<u16, Failed> {
    let method = match target.method {
        Method::Head => "HEAD",
        Method::Get => "GET",
    };
    let request = format!(
        "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: fsm-connection\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        url.path, url.authority
    );
    stream.write_all(request.as_bytes()).await.map_err(in_io)?;
    stream.flush().await.map_err(in_io)?;

    let mut line = [0; MAX_LINE_BYTES];
    let mut filled = 0;
    let status = loop {
        let read = stream.read(&mut line[filled..]).await.map_err(in_io)?;
        filled += read;
        match status(&line[..filled]) {
            Line::Status(status) => break status,
            Line::Incomplete if read == 0 => return Err(in_io(std::io::ErrorKind::UnexpectedEof.into())),
            Line::Incomplete if filled < MAX_LINE_BYTES => {}
            Line::Incomplete | Line::Malformed => {
                return Err(Failed::new(FailureClass::Protocol, "the answer is not HTTP"));
            }
        }
    };
    let is_expected = match target.status {
        Some(expected) => status == expected,
        None => (200..400).contains(&status),
    };
    if is_expected {
        return Ok(status);
    }
    let hint = match (status, target.method) {
        (405 | 501, Method::Head) => ": the server may not know HEAD, try `method: GET`",
        _ => "",
    };
    Err(Failed::new(FailureClass::Status, format!("it answered {status}{hint}")).with_status(status))
}

enum Line {
    Incomplete,
    Malformed,
    Status(u16),
}

/// `HTTP/1.1 204 …`
fn status(line: &[u8]) -> Line {
    const START: &[u8] = b"HTTP/1.";
    let known = line.len().min(START.len());
    if line[..known] != START[..known] {
        return Line::Malformed;
    }
    // One digit of the minor version, a space, three digits, and a byte that ends them.
    let Some(rest) = line.get(START.len()..START.len() + 6) else { return Line::Incomplete };
    let [minor, b' ', hundreds, tens, ones, b' ' | b'\r' | b'\n'] = rest else { return Line::Malformed };
    if ![minor, hundreds, tens, ones].iter().all(|byte| byte.is_ascii_digit()) {
        return Line::Malformed;
    }
    Line::Status([hundreds, tens, ones].iter().fold(0, |sum, digit| sum * 10 + u16::from(**digit - b'0')))
}
