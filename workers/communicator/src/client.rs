//! The three requests to the relay. Nothing that leaves this module as text holds a token.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fsm_templating::ClearText;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::answer::{Answer, Bad, RelayError, judge, scrub};
use crate::backoff::{ErrorClass, parse_retry_after};
use crate::config::{CommunicatorConfig, Proxy};
use crate::message::Message;
use crate::observed::Operation;

/// A relay that doesn't take a connection within this time is away.
const CONNECT: Duration = Duration::from_secs(10);
/// A login or a push that takes longer is not waited for.
const REQUEST: Duration = Duration::from_secs(30);
/// What the network may add to the time that a pull is kept open.
const PULL_SLACK: Duration = Duration::from_secs(10);
/// An answer may hold a batch with configs in it, and no more.
const MAX_BODY: usize = 16 << 20;

/// A JWT; printing it gives `[secret]`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Jwt(String);

impl Jwt {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(fsm_templating::MASK)
    }
}

/// What a login gave.
#[derive(Debug)]
pub(crate) struct Login {
    pub(crate) jwt: Jwt,
    pub(crate) instance: String,
}

/// What a request proves itself by.
#[derive(Clone, Copy)]
pub(crate) struct Proof<'a> {
    pub(crate) config: &'a CommunicatorConfig,
    pub(crate) token: &'a ClearText,
    pub(crate) jwt: Option<&'a Jwt>,
}

impl Proof<'_> {
    fn scrub(&self, text: &str) -> String {
        scrub(text, &[self.token.expose(), self.jwt.map(Jwt::expose).unwrap_or_default()])
    }

    fn header(&self) -> Result<HeaderValue, RelayError> {
        let bearer = self.jwt.map_or(self.token.expose(), Jwt::expose);
        let mut header = HeaderValue::from_str(&format!("Bearer {bearer}")).map_err(|_| {
            RelayError::new(ErrorClass::InvalidToken, "the token holds characters that no header can carry")
        })?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// Connections to one relay.
pub(crate) struct Client {
    http: reqwest::Client,
}

impl Client {
    /// Reads certificates, so it blocks for some milliseconds.
    pub(crate) fn try_new(config: &CommunicatorConfig) -> Result<Self, RelayError> {
        let network = |what: String| RelayError::new(ErrorClass::Network, what);
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(file) = &config.ca_file {
            for certificate in read_pem(file).map_err(network)? {
                roots.add(certificate).map_err(|error| {
                    network(format!("a certificate of `{}` can't be used: {error}", file.display()))
                })?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| network(format!("TLS can't be set up: {error}")))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .user_agent(concat!("fsmd/", env!("CARGO_PKG_VERSION")));
        let failed = |error: reqwest::Error| network(fsm_core::chain(&error.without_url()).to_string());
        let builder = match &config.proxy {
            Proxy::Environment => builder,
            Proxy::Direct => builder.no_proxy(),
            Proxy::Url(url) => builder.proxy(reqwest::Proxy::all(url.clone()).map_err(failed)?),
        };
        Ok(Self { http: builder.build().map_err(failed)? })
    }

    pub(crate) async fn login(&self, proof: Proof<'_>) -> Result<Login, RelayError> {
        let asked = proof.config.instance.as_ref();
        let request = self
            .http
            .post(proof.config.url.route("/v2/instance/login"))
            .json(&json!({"instance": asked, "version": env!("CARGO_PKG_VERSION")}));
        let answer = exchange(Operation::Login, proof, request, REQUEST).await?;
        let text = |key: &str| answer.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (Some(jwt), Some(instance)) = (text("jwt"), text("instance")) else {
            return Err(RelayError::new(
                ErrorClass::Server,
                "a login without `jwt` and `instance` in its answer",
            ));
        };
        Ok(Login { jwt: Jwt(jwt.to_owned()), instance: instance.to_owned() })
    }

    pub(crate) async fn pull(&self, proof: Proof<'_>) -> Result<Vec<Value>, RelayError> {
        let wait = proof.config.poll_timeout.get();
        let request = self
            .http
            .get(proof.config.url.route("/v2/instance/pull"))
            .query(&[("wait", wait.as_secs().to_string()), ("max", proof.config.batch.to_string())]);
        let mut answer = exchange(Operation::Pull, proof, request, wait + PULL_SLACK).await?;
        if answer.is_null() {
            return Ok(Vec::new());
        }
        match answer.get_mut("messages").map(Value::take) {
            Some(Value::Array(messages)) => Ok(messages),
            Some(_) | None => {
                Err(RelayError::new(ErrorClass::Server, "a pull without `messages` in its answer"))
            }
        }
    }

    /// Gives the messages that the relay took note of and can't use, with its reason.
    pub(crate) async fn push(
        &self,
        proof: Proof<'_>,
        batch: &[Message],
    ) -> Result<Vec<(String, String)>, RelayError> {
        let request =
            self.http.post(proof.config.url.route("/v2/instance/push")).json(&json!({"messages": batch}));
        let answer = exchange(Operation::Push, proof, request, REQUEST).await?;
        let rejected = answer.get("rejected").and_then(Value::as_array);
        let rejected = rejected.into_iter().flatten().filter_map(|one| {
            let id = one.get("id")?.as_str()?.to_owned();
            let why = one.get("message").and_then(Value::as_str).unwrap_or("the relay rejected it");
            Some((id, proof.scrub(why)))
        });
        Ok(rejected.collect())
    }
}

/// Sends a request and judges its answer. Errors are scrubbed here, the only place where they are made of foreign text.
async fn exchange(
    operation: Operation,
    proof: Proof<'_>,
    request: RequestBuilder,
    timeout: Duration,
) -> Result<Value, RelayError> {
    let request = request.header(AUTHORIZATION, proof.header()?).header(ACCEPT, "application/json");
    let broken = |error: reqwest::Error| {
        let what = match error.is_timeout() {
            true => "the relay did not answer in time".to_owned(),
            false => proof.scrub(&fsm_core::chain(&error.without_url())),
        };
        RelayError::new(ErrorClass::Network, what)
    };
    let mut response = request.timeout(timeout).send().await.map_err(broken)?;
    let header = |response: &Response, name| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let (status, content_type) =
        (response.status().as_u16(), header(&response, CONTENT_TYPE).unwrap_or_default());
    let retry_after =
        header(&response, RETRY_AFTER).and_then(|text| parse_retry_after(&text, SystemTime::now()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(RelayError::new(ErrorClass::Server, "an answer of more than 16 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    judge(operation, &Answer { status, content_type: &content_type, body: &body })
        .map_err(|Bad { class, what }| RelayError { class, what: proof.scrub(&what), retry_after })
}

fn read_pem(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let unreadable = |error: &dyn fmt::Display| {
        format!("the certificates in `{}` (`ca_file`) can't be read: {error}", file.display())
    };
    CertificateDer::pem_file_iter(file)
        .map_err(|error| unreadable(&error))?
        .collect::<Result<_, _>>()
        .map_err(|error| unreadable(&error))
}
