//! How the verbs find a running daemon and ask it.

use std::path::Path;
use std::time::Duration;

use fsm_templating::Node;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::cli::Failure;
use crate::http::Problem;

/// Where a daemon listens when nobody says.
const DEFAULT: &str = "http://127.0.0.1:8080";
/// A daemon on the same machine answers in milliseconds; this long only if it hangs.
const PATIENCE: Duration = Duration::from_secs(10);
/// A tree of 100 000 nodes is about 40 MB.
const MAX_BODY: usize = 256 * 1024 * 1024;
/// Configs that are looked for in the current folder.
const CONFIGS: [&str; 2] = ["fsmd.yaml", "fsmd.yml"];

/// A daemon, and why it is this one.
#[derive(Debug)]
pub(crate) struct Server {
    url: String,
    from: &'static str,
}

/// What is said to a daemon.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) header: Option<(&'static str, String)>,
    pub(crate) body: Option<Value>,
}

impl Said {
    fn get(path: &str) -> Self {
        Self { method: Method::GET, path: path.to_owned(), header: None, body: None }
    }
}

/// A text as part of a path or a query.
pub(crate) fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

impl Server {
    /// By `--server`, else FSMD_SERVER, else the config in this folder, else the default.
    pub(crate) fn find(asked: Option<String>) -> Self {
        if let Some(url) = asked {
            return Self { url, from: "--server" };
        }
        if let Some(url) = std::env::var("FSMD_SERVER").ok().filter(|url| !url.is_empty()) {
            return Self { url, from: "FSMD_SERVER" };
        }
        if let Some(address) = CONFIGS.iter().find_map(|name| listen_of(Path::new(name))) {
            return Self {
                url: format!("http://{address}"),
                from: "server.listen of the config in this folder",
            };
        }
        Self { url: DEFAULT.to_owned(), from: "the default" }
    }

    /// Asks for a resource.
    ///
    /// # Errors
    /// That nobody answers, or the problem it answers with.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let (status, body) = self.exchange(&Said::get(path), PATIENCE)?;
        if status != StatusCode::OK {
            return Err(match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => Failure::of_problem(&problem),
                Err(_) => self.stranger(&format!("it answers {status}")),
            });
        }
        serde_json::from_slice(&body).map_err(|error| self.stranger(&error.to_string()))
    }

    /// Asks for something to be done; gives what is answered, also when that is a problem. It may take so long.
    ///
    /// # Errors
    /// That nobody answers, or not as a daemon does.
    pub(crate) fn send(&self, said: &Said, within: Duration) -> Result<(StatusCode, Value), Failure> {
        let (status, body) = self.exchange(said, within.saturating_add(PATIENCE))?;
        match serde_json::from_slice(&body) {
            Ok(answer) => Ok((status, answer)),
            Err(_) => Err(self.stranger(&format!("it answers {status}"))),
        }
    }

    fn exchange(&self, said: &Said, patience: Duration) -> Result<(StatusCode, Bytes), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(format!("the client can't be started: {error}")))?;
        let asked = runtime.block_on(async { tokio::time::timeout(patience, self.ask(said)).await });
        asked.map_err(|_| {
            let seconds = patience.as_secs();
            Failure::new(format!("the daemon at {} did not answer within {seconds} s", self.url))
                .help("is it overloaded, or does something else listen there?")
        })?
    }

    async fn ask(&self, said: &Said) -> Result<(StatusCode, Bytes), Failure> {
        let authority = self.authority()?;
        let stream =
            TcpStream::connect(authority.as_str()).await.map_err(|error| self.unreachable(&error))?;
        let broken = |error: hyper::Error| self.stranger(&error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let mut request =
            Request::builder().method(&said.method).uri(&said.path).header(HOST, authority.as_str());
        if let Some((name, value)) = &said.header {
            request = request.header(*name, value);
        }
        let body = said.body.as_ref().map(Value::to_string);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|error| Failure::new(format!("`{}` can't be asked for: {error}", said.path)))?;
        let answer = async {
            let response = sender.send_request(request).await.map_err(broken)?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
            let body = body.map_err(|error| self.stranger(&error.to_string()))?;
            Ok((status, body.to_bytes()))
        };
        let mut answer = std::pin::pin!(answer);
        // Cancel-safe: the answer is pinned outside. The connection moves the bytes; when it ends first, the answer says how.
        tokio::select! {
            answer = &mut answer => answer,
            _ = connection => answer.await,
        }
    }

    fn authority(&self) -> Result<String, Failure> {
        let help = "write it as in http://127.0.0.1:8080";
        let refuse =
            |what: &str| Failure::new(format!("`{}` ({}) {what}", self.url, self.from)).help(help).usage();
        let text = if self.url.contains("://") { self.url.clone() } else { format!("http://{}", self.url) };
        let uri: Uri = text.parse().map_err(|_| refuse("is not the URL of a daemon"))?;
        if uri.scheme_str() != Some("http") {
            return Err(refuse("is not an http URL, and there is no TLS yet"));
        }
        let Some(authority) = uri.authority() else { return Err(refuse("names no host")) };
        let port = authority.port_u16().unwrap_or(80);
        Ok(format!("{}:{port}", authority.host()))
    }

    fn unreachable(&self, error: &std::io::Error) -> Failure {
        Failure::new(format!("no daemon answers at {} ({}): {error}", self.url, self.from)).help(
            "start one with `fsmd run CONFIG`, or say where it listens with `--server http://HOST:PORT` or FSMD_SERVER",
        )
    }

    fn stranger(&self, why: &str) -> Failure {
        Failure::new(format!(
            "what answers at {} ({}) is not an fsmd of this version: {why}",
            self.url, self.from
        ))
        .help("say where the daemon listens with `--server http://HOST:PORT` or FSMD_SERVER")
    }
}

/// `server.listen` of a config, also of one that has errors elsewhere.
fn listen_of(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let document = Node::parse(&path.display().to_string(), &text).ok()?;
    let listen = document.get("server")?.get("listen")?.as_str()?;
    listen.parse::<std::net::SocketAddr>().ok().map(|address| address.to_string())
}
