//! Collectors that keep what they get: gRPC by tonic's server, HTTP by hyper's. Both real, on ports that nobody has.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// One request of an exporter.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) header: Option<String>,
    pub(crate) request: ExportTraceServiceRequest,
}

/// What came so far.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    all: Arc<Mutex<Vec<Request>>>,
    news: watch::Sender<usize>,
}

impl Received {
    fn new() -> Self {
        Self { all: Arc::default(), news: watch::Sender::new(0) }
    }

    fn take(&self, header: Option<String>, request: ExportTraceServiceRequest) {
        let mut all = self.all.lock().unwrap();
        all.push(Request { header, request });
        let spans = all.iter().flat_map(|request| spans_of(&request.request)).count();
        drop(all);
        self.news.send_replace(spans);
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.all.lock().unwrap().clone()
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.requests().iter().flat_map(|request| spans_of(&request.request)).cloned().collect()
    }
}

fn spans_of(request: &ExportTraceServiceRequest) -> impl Iterator<Item = &Span> {
    request.resource_spans.iter().flat_map(|all| &all.scope_spans).flat_map(|all| &all.spans)
}

/// An attribute as text.
pub(crate) fn attribute(span: &Span, name: &str) -> Option<String> {
    let value =
        span.attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref()?.value.as_ref()?;
    Some(if let Value::StringValue(text) = value {
        text.clone()
    } else if let Value::IntValue(number) = value {
        number.to_string()
    } else {
        format!("{value:?}")
    })
}

/// A collector. It ends with its runtime.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    pub(crate) received: Received,
    _runtime: Runtime,
}

#[derive(Debug)]
struct Grpc(Received);

#[tonic::async_trait]
impl TraceService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let header = request.metadata().get("x-token").map(|value| value.to_str().unwrap().to_owned());
        self.0.take(header, request.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

impl Receiver {
    pub(crate) fn grpc() -> Self {
        let (runtime, received) = (runtime(), Received::new());
        let incoming = runtime.block_on(async {
            tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap()
        });
        let address = incoming.local_addr().unwrap();
        let service = TraceServiceServer::new(Grpc(received.clone()));
        runtime.spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        Self { address, received, _runtime: runtime }
    }

    pub(crate) fn http() -> Self {
        let (runtime, received) = (runtime(), Received::new());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let kept = received.clone();
        runtime.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let kept = kept.clone();
                let service = service_fn(move |request: hyper::Request<Incoming>| {
                    let kept = kept.clone();
                    async move {
                        assert_eq!(request.uri(), "/v1/traces");
                        let header =
                            request.headers().get("x-token").map(|value| value.to_str().unwrap().to_owned());
                        let body = request.into_body().collect().await.unwrap().to_bytes();
                        kept.take(header, ExportTraceServiceRequest::decode(body).unwrap());
                        Ok::<_, hyper::Error>(hyper::Response::new(Empty::<Bytes>::new()))
                    }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                // The exporter closes it.
                let _ = connection.await;
            }
        });
        Self { address, received, _runtime: runtime }
    }
}
