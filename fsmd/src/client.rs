//! How the verbs find a running daemon and ask it.

use std::path::Path;
use std::time::Duration;

use fsm_templating::Node;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
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
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::new(format!("the client can't be started: {error}")))?;
        let asked = runtime.block_on(async { tokio::time::timeout(PATIENCE, self.ask(path)).await });
        let (status, body) = asked.map_err(|_| {
            let seconds = PATIENCE.as_secs();
            Failure::new(format!("the daemon at {} did not answer within {seconds} s", self.url))
                .help("is it overloaded, or does something else listen there?")
        })??;
        if status != StatusCode::OK {
            return Err(match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => {
                    let failure = Failure::new(format!("{}: {}", problem.title, problem.detail));
                    match problem.help {
                        Some(help) => failure.help(help),
                        None => failure,
                    }
                }
                Err(_) => self.stranger(&format!("it answers {status}")),
            });
        }
        serde_json::from_slice(&body).map_err(|error| self.stranger(&error.to_string()))
    }

    async fn ask(&self, path: &str) -> Result<(StatusCode, Bytes), Failure> {
        let authority = self.authority()?;
        let stream =
            TcpStream::connect(authority.as_str()).await.map_err(|error| self.unreachable(&error))?;
        let broken = |error: hyper::Error| self.stranger(&error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let request = Request::get(path)
            .header(HOST, authority.as_str())
            .body(Empty::<Bytes>::new())
            .map_err(|error| Failure::new(format!("`{path}` can't be asked for: {error}")))?;
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
