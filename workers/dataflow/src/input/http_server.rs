//! A webhook: each request is a message, and its answer says what became of it.
//!
//! 200: the output took it. 400: the flow refused it. 404, 405: not this path or method. 413: too large. 503: the flow is
//! full, try later; also when the flow ends before the output took it.

use std::convert::Infallible;
use std::sync::Arc;

use bytestring::ByteString;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{SourceError, Taken};
use crate::config::HttpServerInput;
use crate::flow::Shared;
use crate::message::{Ack, Message, Reply};
use crate::stats::{ErrorKind, Stage};

/// Connections beyond this wait in the operating system's queue.
const MAX_CONNECTIONS: usize = 1024;
/// A client that doesn't finish its headers within this time is hung up on.
const HEADER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);
/// A client that doesn't finish its body within this time is hung up on.
const BODY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// See the module.
pub(crate) struct HttpServer {
    listener: TcpListener,
    /// Owned here: ended with the flow.
    connections: JoinSet<()>,
    receiver: mpsc::Receiver<Taken>,
    service: Arc<Service>,
}

struct Service {
    sender: mpsc::Sender<Taken>,
    path: String,
    topic: ByteString,
    max_body: usize,
    flow: Arc<Shared>,
}

impl HttpServer {
    pub(super) async fn open(config: &HttpServerInput, flow: &Arc<Shared>) -> Result<Self, SourceError> {
        let address = config.listen;
        let listener =
            TcpListener::bind(address).await.map_err(|source| SourceError::Listen { address, source })?;
        flow.set_up(Stage::Input, true);
        if let Ok(address) = listener.local_addr() {
            tracing::info!(flow = flow.name(), %address, "listening");
        }
        // What waits here is not in flight yet; together with what is, it is at most twice the limit.
        let (sender, receiver) = mpsc::channel(flow.max_in_flight());
        let topic = config.topic.as_ref().map_or_else(
            || ByteString::from(config.path.trim_start_matches('/')),
            |topic| topic.get().clone(),
        );
        let service = Service {
            sender,
            path: config.path.clone(),
            topic,
            max_body: config.max_body.as_usize(),
            flow: Arc::clone(flow),
        };
        Ok(Self { listener, connections: JoinSet::new(), receiver, service: Arc::new(service) })
    }

    /// Accepts connections, so that their requests can be told that the flow is full; never ends.
    pub(super) async fn tend(&mut self) {
        self.take(&mut Vec::new(), 0).await;
    }

    pub(super) async fn take(&mut self, batch: &mut Vec<Taken>, limit: usize) {
        loop {
            let full = self.connections.len() >= MAX_CONNECTIONS;
            // Cancel-safe: all branches may be dropped at any time: accept and recv_many have then done nothing.
            tokio::select! {
                count = self.receiver.recv_many(batch, limit), if limit > 0 => if count > 0 { return },
                accepted = self.listener.accept(), if !full => match accepted {
                    Ok((stream, _)) => self.serve(stream),
                    Err(error) => {
                        let text = format!("can't accept a connection: {error}").into();
                        self.service.flow.stats().error(Stage::Input, ErrorKind::Connection, text);
                        // Out of file descriptors, most likely: trying again at once would fail again.
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                },
                Some(_) = self.connections.join_next() => {}
            }
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.receiver.len()
    }

    fn serve(&mut self, stream: TcpStream) {
        let service = Arc::clone(&self.service);
        self.connections.spawn(async move {
            let answer = service_fn(move |request| {
                let service = Arc::clone(&service);
                async move { Ok::<_, Infallible>(service.answer(request).await) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            // A broken connection is its client's business: an unanswered request is sent again.
            let _ = http.serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

impl Service {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.uri().path() != self.path {
            return response(StatusCode::NOT_FOUND, &format!("messages are taken at {}", self.path));
        }
        if !matches!(*request.method(), Method::POST | Method::PUT) {
            let mut refused = response(StatusCode::METHOD_NOT_ALLOWED, "send messages with POST");
            refused.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("POST, PUT"));
            return refused;
        }
        let content_type =
            request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).map(ByteString::from);
        let body =
            tokio::time::timeout(BODY_TIMEOUT, Limited::new(request.into_body(), self.max_body).collect());
        let payload = match body.await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => {
                let text = format!("the body is longer than the {} bytes that are taken", self.max_body);
                return response(StatusCode::PAYLOAD_TOO_LARGE, &text);
            }
            Ok(Err(_)) => return response(StatusCode::BAD_REQUEST, "the body broke off"),
            Err(_) => return response(StatusCode::REQUEST_TIMEOUT, "the body did not come within 30 s"),
        };
        let mut message = Message::new(self.topic.clone(), payload);
        message.metadata.extend(content_type.map(|value| ("content_type".into(), value)));
        let (sender, receiver) = oneshot::channel();
        let taken = Taken { message, ack: Ack::Reply(sender), at: Instant::now(), duplicate: false };
        if !self.flow.has_room() || self.sender.try_send(taken).is_err() {
            return busy("the flow is full: try again later");
        }
        match receiver.await {
            Ok(Reply::Taken) => response(StatusCode::OK, ""),
            Ok(Reply::Refused(why)) => response(StatusCode::BAD_REQUEST, &why),
            Err(_) => busy("the flow ended before its output took the message: send it again"),
        }
    }
}

fn response(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let body = if text.is_empty() { String::new() } else { format!("{text}\n") };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
}

fn busy(text: &str) -> Response<Full<Bytes>> {
    let mut response = response(StatusCode::SERVICE_UNAVAILABLE, text);
    response.headers_mut().insert(RETRY_AFTER, hyper::header::HeaderValue::from_static("1"));
    response
}
