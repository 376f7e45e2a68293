//! TCP and TLS to a broker.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::pool::Peer;

/// A broker that doesn't answer for this long is taken for unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("can't connect to {url}: {source}")]
    Tcp { url: String, source: io::Error },
    #[error("no answer from {url} within 10 s")]
    Timeout { url: String },
    #[cfg(feature = "tls")]
    #[error("TLS with {url} failed: {text}")]
    Tls { url: String, text: String },
    #[cfg(not(feature = "tls"))]
    #[error("{url} needs TLS, and this program was built without it (feature `tls`)")]
    NoTls { url: String },
}

/// The stream below MQTT.
pub(crate) enum Transport {
    Tcp(TcpStream),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

pub(crate) async fn connect(peer: &Peer) -> Result<Transport, ConnectError> {
    let url = || peer.url.to_string();
    let connect = async {
        let tcp = TcpStream::connect((peer.url.host(), peer.url.port()))
            .await
            .and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp))
            .map_err(|source| ConnectError::Tcp { url: url(), source })?;
        if peer.url.tls() { secure(peer, tcp).await } else { Ok(Transport::Tcp(tcp)) }
    };
    tokio::time::timeout(CONNECT_TIMEOUT, connect)
        .await
        .unwrap_or_else(|_| Err(ConnectError::Timeout { url: url() }))
}

#[cfg(not(feature = "tls"))]
async fn secure(peer: &Peer, _tcp: TcpStream) -> Result<Transport, ConnectError> {
    Err(ConnectError::NoTls { url: peer.url.to_string() })
}

#[cfg(feature = "tls")]
async fn secure(peer: &Peer, tcp: TcpStream) -> Result<Transport, ConnectError> {
    use tokio_rustls::rustls::pki_types::ServerName;
    let fail = |text: String| ConnectError::Tls { url: peer.url.to_string(), text };
    let tls = peer.tls.clone().unwrap_or_default();
    let config = client_config(&tls).await.map_err(fail)?;
    let name = ServerName::try_from(peer.url.host().to_owned()).map_err(|e| fail(e.to_string()))?;
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let stream = connector.connect(name, tcp).await.map_err(|e| fail(e.to_string()))?;
    Ok(Transport::Tls(Box::new(stream)))
}

#[cfg(feature = "tls")]
async fn client_config(tls: &crate::config::TlsConfig) -> Result<tokio_rustls::rustls::ClientConfig, String> {
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

    async fn read(path: &std::path::Path) -> Result<Vec<u8>, String> {
        tokio::fs::read(path).await.map_err(|e| format!("can't read {}: {e}", path.display()))
    }
    fn certificates(path: &std::path::Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match all {
            Ok(all) if !all.is_empty() => Ok(all),
            Ok(_) => Err(format!("{} holds no certificate", path.display())),
            Err(e) => Err(format!("{} holds a malformed certificate: {e}", path.display())),
        }
    }

    let mut roots = RootCertStore::empty();
    if let Some(path) = &tls.ca {
        for certificate in certificates(path, &read(path).await?)? {
            roots.add(certificate).map_err(|e| format!("{}: {e}", path.display()))?;
        }
    } else {
        // Certificates of the system that can't be read are left out, as other programs do.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err("the system has no certificates to trust: set `tls.ca`".into());
        }
    }
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_root_certificates(roots);
    match (&tls.cert, &tls.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => {
            let chain = certificates(cert, &read(cert).await?)?;
            let key_der = PrivateKeyDer::from_pem_slice(&read(key).await?)
                .map_err(|e| format!("{} holds no private key: {e}", key.display()))?;
            builder.with_client_auth_cert(chain, key_der).map_err(|e| e.to_string())
        }
        (Some(_), None) | (None, Some(_)) => Err("`tls.cert` and `tls.key` belong together".into()),
    }
}

macro_rules! delegate {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Tcp($stream) => {
                let $stream = Pin::new($stream);
                $call
            }
            #[cfg(feature = "tls")]
            Self::Tls($stream) => {
                let $stream = Pin::new(&mut **$stream);
                $call
            }
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        delegate!(self, s => s.poll_read(cx, buf))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        delegate!(self, s => s.poll_write(cx, buf))
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, s => s.poll_flush(cx))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        delegate!(self, s => s.poll_shutdown(cx))
    }
}
