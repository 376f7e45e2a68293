//! Asks a process whether it is there: a TCP connection, or one GET.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::config::{Live, Ready};

/// It is on this machine, or beside it; two of them fit into one collection.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Enough for a status line.
const HEAD: usize = 64;

/// Where to ask, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    address: String,
    /// What to GET; none for a bare connection.
    path: Option<String>,
}

impl Target {
    /// None when it is not asked over the network.
    pub(super) fn of_ready(ready: &Ready) -> Option<Result<Self, String>> {
        match ready {
            Ready::Tcp(address) => Some(Self::tcp(address)),
            Ready::Http(url) => Some(Self::http(url)),
            Ready::None | Ready::Log(_) | Ready::Exit => None,
        }
    }

    pub(super) fn of_live(live: &Live) -> Result<Self, String> {
        match live {
            Live::Tcp(address) => Self::tcp(address),
            Live::Http(url) => Self::http(url),
        }
    }

    fn tcp(address: &str) -> Result<Self, String> {
        let good = address
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0));
        match good {
            true => Ok(Self { address: address.into(), path: None }),
            false => Err(format!("`{address}` is not an address with a port, such as 127.0.0.1:8080")),
        }
    }

    fn http(url: &str) -> Result<Self, String> {
        let example = "write for example http://127.0.0.1:8080/health";
        let rest =
            url.strip_prefix("http://").ok_or_else(|| format!("`{url}` is no http:// address; {example}"))?;
        let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        if path.bytes().any(|byte| byte.is_ascii_control() || byte == b' ') {
            return Err(format!("`{url}` holds a space or a control character; {example}"));
        }
        let address = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let checked = Self::tcp(&address).map_err(|error| format!("{error}; {example}"))?;
        Ok(Self { path: Some(path.into()), ..checked })
    }

    /// Why it is not well; none when it is. Cancel-safe.
    pub(super) async fn ask(&self) -> Result<(), String> {
        let Self { address, .. } = self;
        match tokio::time::timeout(TIMEOUT, self.answer()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(format!("{address}: {why}")),
            Err(_) => Err(format!("{address}: no answer within {TIMEOUT:?}")),
        }
    }

    async fn answer(&self) -> Result<(), String> {
        let text = |error: std::io::Error| error.to_string();
        let mut stream = TcpStream::connect(&self.address).await.map_err(text)?;
        let Some(path) = &self.path else { return Ok(()) };
        let host = &self.address;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: */*\r\n\r\n");
        stream.write_all(request.as_bytes()).await.map_err(text)?;
        let mut head = Vec::with_capacity(HEAD);
        (&mut stream).take(HEAD as u64).read_to_end(&mut head).await.map_err(text)?;
        match status(&head) {
            Some(status) if status < 400 => Ok(()),
            Some(status) => Err(format!("it answered with status {status}")),
            None => Err("it does not speak HTTP".into()),
        }
    }
}

fn status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5))?;
    std::str::from_utf8(rest).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_at_the_door() {
        for bad in ["", "localhost", ":80", "a:0", "a:99999", "a:b"] {
            assert!(Target::tcp(bad).is_err(), "{bad}");
        }
        for bad in ["https://a", "a:80/x", "http://", "http://:80/", "http://a/ b", "http://a/\r\nX: y"] {
            assert!(Target::http(bad).is_err(), "{bad}");
        }
        let target = Target::http("http://localhost/health?x=1").expect("good");
        assert_eq!((target.address.as_str(), target.path.as_deref()), ("localhost:80", Some("/health?x=1")));
        assert_eq!(Target::http("http://[::1]:81").map(|target| target.path), Ok(Some("/".into())));
    }

    #[test]
    fn a_status_is_read_from_the_first_line() {
        assert_eq!(status(b"HTTP/1.1 204 No Content\r\n"), Some(204));
        assert_eq!(status(b"HTTP/1.0 503 x"), Some(503));
        assert_eq!(status(b"SSH-2.0-x"), None);
        assert_eq!(status(b"HTTP/1.1"), None);
    }
}
