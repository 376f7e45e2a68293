//! TLS for probes: public authorities by default, a file of one's own, or no check at all.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{WebPkiSupportedAlgorithms, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::{Failed, FailureClass};

/// What all nodes share: made when the first one needs it.
#[derive(Default)]
pub(in crate::connection) struct PublicTls {
    public: OnceLock<TlsConnector>,
    insecure: OnceLock<TlsConnector>,
}

impl std::fmt::Debug for PublicTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PublicTls")
    }
}

/// The authorities of one node's file, read again when the file changed.
#[derive(Default)]
pub(in crate::connection) struct CustomTls(Mutex<Option<Loaded>>);

#[derive(Clone)]
struct Loaded {
    path: PathBuf,
    modified: SystemTime,
    connector: TlsConnector,
}

impl std::fmt::Debug for CustomTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CustomTls")
    }
}

impl CustomTls {
    pub(super) async fn connector(
        &self,
        public: &PublicTls,
        ca: Option<&Path>,
        insecure: bool,
    ) -> Result<TlsConnector, Failed> {
        if insecure {
            return Ok(public.insecure.get_or_init(without_check).clone());
        }
        let Some(path) = ca else {
            return Ok(public.public.get_or_init(with_public_roots).clone());
        };
        let unreadable = |error: std::io::Error| {
            Failed::new(
                FailureClass::Local,
                format!("the `ca` file {} can't be read: {error}", path.display()),
            )
        };
        let modified =
            tokio::fs::metadata(path).await.and_then(|meta| meta.modified()).map_err(unreadable)?;
        let known = self.lock().clone().filter(|known| known.path == path && known.modified == modified);
        if let Some(known) = known {
            return Ok(known.connector);
        }
        let pem = tokio::fs::read(path).await.map_err(unreadable)?;
        let connector = with_roots_of(&pem).map_err(|why| {
            Failed::new(FailureClass::Local, format!("the `ca` file {} {why}", path.display()))
        })?;
        *self.lock() = Some(Loaded { path: path.into(), modified, connector: connector.clone() });
        Ok(connector)
    }

    /// A panic elsewhere leaves the option whole, so a poisoned lock is still good.
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Loaded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn handshake(
    connector: &TlsConnector,
    name: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, Failed> {
    let server = ServerName::try_from(name.to_owned()).map_err(|_| {
        Failed::new(FailureClass::Local, format!("`{name}` can't be the name of a TLS server"))
    })?;
    connector.connect(server, stream).await.map_err(|error| match error.get_ref() {
        Some(tls) if tls.is::<Error>() => Failed::new(FailureClass::Tls, format!("TLS: {tls}")),
        Some(_) | None => super::in_io(error),
    })
}

fn with_public_roots() -> TlsConnector {
    connector(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

fn with_roots_of(pem: &[u8]) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("is not PEM: {error}"))?;
        roots.add(certificate).map_err(|error| format!("holds a bad certificate: {error}"))?;
    }
    if roots.is_empty() {
        return Err("holds no certificate".into());
    }
    Ok(connector(roots))
}

fn connector(roots: RootCertStore) -> TlsConnector {
    let config = versions(ClientConfig::builder_with_provider(Arc::new(ring::default_provider())));
    TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

fn without_check() -> TlsConnector {
    let provider = ring::default_provider();
    let check = Arc::new(NoCheck(provider.signature_verification_algorithms));
    let config = versions(ClientConfig::builder_with_provider(Arc::new(provider)));
    let config = config.dangerous().with_custom_certificate_verifier(check).with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

type Builder<S> = tokio_rustls::rustls::ConfigBuilder<ClientConfig, S>;

fn versions(
    builder: Builder<tokio_rustls::rustls::WantsVersions>,
) -> Builder<tokio_rustls::rustls::WantsVerifier> {
    builder.with_safe_default_protocol_versions().expect("ring speaks the default versions")
}

/// Takes any certificate; signatures are still checked, so that the handshake is one.
#[derive(Debug)]
struct NoCheck(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for NoCheck {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tokio_rustls::rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tokio_rustls::rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
