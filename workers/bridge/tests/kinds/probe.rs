//! Probes against real peers: a socket, a TLS server, an HTTP server, a broker.

use std::path::Path;
use std::sync::Arc;

use axum::http::{Method, StatusCode};
use fsm_core::Goal;
use fsm_templating::Secret;
use fsm_worker_bridge::connection::*;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, crypto::ring};

use crate::mosquitto::Mosquitto;
use crate::node::Node;

fn node(config: Value) -> Node<Connection> {
    Node::new(Connection::default(), serde_json::from_value(config).unwrap())
}

async fn look(config: Value) -> ConnectionObserved {
    let seen = node(config).collect().await.unwrap();
    ConnectionObserved::clone(&seen)
}

#[track_caller]
fn check_failed(seen: &ConnectionObserved, class: FailureClass, part: &str) {
    let failure = seen.failure.as_ref().unwrap_or_else(|| panic!("expected {class:?}, got {seen:?}"));
    assert_eq!(failure.class, class, "{seen:?}");
    assert!(failure.what.contains(part), "expected `{part}` in {seen:?}");
}

#[tokio::test]
async fn a_listening_socket_is_up_and_a_closed_one_is_down() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut node = node(json!({"tcp": {"host": "127.0.0.1", "port": port}}));
    let _ = node.settle(Goal::Run).await;
    assert_eq!(node.state, ConnectionState::Up);
    assert!(!node.observed.as_ref().unwrap().latency.is_zero());

    drop(listener);
    let decision = node.settle(Goal::Run).await;
    assert_eq!(node.state, ConnectionState::Down);
    assert!(decision.reason().to_string().contains("connection refused"), "{decision:?}");
    assert_eq!(node.observed.as_ref().unwrap().changes_recently, 1);
    assert_eq!(node.ran, [] as [&str; 0], "it never acts by itself");

    let error = node.execute(ConnectionAction::Probe).await.unwrap_err();
    assert!(error.is_permanent() && error.to_string().contains("refused"), "{error}");
    let _again = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    node.execute(ConnectionAction::Probe).await.unwrap();
    let _ = node.settle(Goal::Run).await;
    assert_eq!(node.state, ConnectionState::Up);
    let _ = node.settle(Goal::Stop).await;
    assert_eq!(node.state, ConnectionState::Stopped);
}

#[tokio::test]
async fn a_target_that_comes_and_goes_flaps() {
    let mut listener = Some(TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = listener.as_ref().unwrap().local_addr().unwrap().port();
    let mut node = node(json!({"tcp": {"host": "127.0.0.1", "port": port}, "flapping": {"changes": 3}}));
    for expected in
        [ConnectionState::Up, ConnectionState::Down, ConnectionState::Up, ConnectionState::Flapping]
    {
        let _ = node.settle(Goal::Run).await;
        assert_eq!(node.state, expected);
        listener = match listener.take() {
            Some(_) => None,
            None => Some(TcpListener::bind(("127.0.0.1", port)).await.unwrap()),
        };
    }
}

#[tokio::test]
async fn a_name_without_an_address_is_told_from_a_dead_device() {
    let seen = look(json!({"tcp": {"host": "no-such-host.invalid", "port": 1}})).await;
    check_failed(&seen, FailureClass::Name, "no-such-host.invalid");
}

#[tokio::test]
async fn a_peer_that_says_nothing_times_out_with_the_time() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    // The real clock: a socket does not know of the paused one. 20 ms is the test's whole wait.
    let seen = look(json!({"http": {"url": url}, "timeout": "20ms"})).await;
    check_failed(&seen, FailureClass::TimedOut, "no answer within 20ms");
}

struct Certificates {
    dir: tempfile::TempDir,
}

impl Certificates {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("cert.pem"), made.cert.pem()).unwrap();
        std::fs::write(dir.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        Self { dir }
    }
    fn file(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }
    fn acceptor(&self) -> TlsAcceptor {
        let chain = vec![CertificateDer::from_pem_file(self.file("cert.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(self.file("key.pem")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap()).into()
    }
}

#[tokio::test]
async fn a_certificate_is_checked_unless_told_otherwise() {
    let certificates = Certificates::new();
    let (acceptor, listener) = (certificates.acceptor(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = listener.local_addr().unwrap().port();
    let mut server = JoinSet::new();
    server.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that doesn't like the certificate leaves: not this server's trouble.
            let _ = acceptor.accept(stream).await;
        }
    });
    let target = |extra: Value| {
        let mut tls = json!({"host": "localhost", "port": port});
        tls.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"tls": tls})
    };
    let ca = certificates.file("cert.pem");

    check_failed(&look(target(json!({}))).await, FailureClass::Tls, "UnknownIssuer");
    assert!(look(target(json!({"insecure": true}))).await.is_up());
    assert!(look(target(json!({"ca": ca}))).await.is_up());
    let other_name = look(target(json!({"ca": ca, "server_name": "other.example"}))).await;
    check_failed(&other_name, FailureClass::Tls, "other.example");
    let by_name = json!({"tls": {"host": "127.0.0.1", "port": port, "ca": ca, "server_name": "localhost"}});
    assert!(look(by_name).await.is_up());
    let missing = look(target(json!({"ca": "/no/such/file"}))).await;
    check_failed(&missing, FailureClass::Local, "/no/such/file");
    let empty = certificates.file("empty.pem");
    std::fs::write(&empty, "").unwrap();
    check_failed(&look(target(json!({"ca": empty}))).await, FailureClass::Local, "holds no certificate");
}

#[tokio::test]
async fn a_ca_file_that_changed_is_read_again() {
    let (old, new) = (Certificates::new(), Certificates::new());
    let (acceptor, listener) = (new.acceptor(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let port = listener.local_addr().unwrap().port();
    let mut server = JoinSet::new();
    server.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let _ = acceptor.accept(stream).await;
        }
    });
    let ca = old.file("cert.pem");
    let mut node = node(json!({"tls": {"host": "localhost", "port": port, "ca": ca}}));
    assert!(!node.collect().await.unwrap().is_up());
    std::fs::copy(new.file("cert.pem"), &ca).unwrap();
    // Both copies may fall into one tick of the file system's clock.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(10);
    std::fs::File::options().write(true).open(&ca).unwrap().set_modified(later).unwrap();
    let seen = node.collect().await.unwrap();
    assert!(seen.is_up(), "{seen:?}");
}

#[tokio::test]
async fn an_http_server_is_up_by_its_status() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new()
        .route("/ok", axum::routing::get(|| async { "fine" }))
        .route("/gone", axum::routing::get(|| async { StatusCode::GONE }))
        .route(
            "/no-head",
            axum::routing::any(|method: Method| async move {
                if method == Method::HEAD { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::OK }
            }),
        );
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, app).await.unwrap() });
    let get = |path: &str, extra: Value| {
        let mut http = json!({"url": format!("http://{address}{path}")});
        http.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        look(json!({"http": http}))
    };

    let ok = get("/ok", json!({})).await;
    assert_eq!((ok.is_up(), ok.status), (true, Some(200)));
    let gone = get("/gone", json!({})).await;
    check_failed(&gone, FailureClass::Status, "it answered 410");
    assert_eq!(gone.status, Some(410));
    assert!(get("/gone", json!({"status": 410})).await.is_up());
    check_failed(&get("/ok", json!({"status": 204})).await, FailureClass::Status, "200");
    check_failed(&get("/no-head", json!({})).await, FailureClass::Status, "try `method: GET`");
    assert!(get("/no-head", json!({"method": "GET"})).await.is_up());
}

#[tokio::test]
async fn a_peer_of_another_protocol_is_down() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(dir.path(), "allow_anonymous true").await;
    let http = look(json!({"http": {"url": format!("http://127.0.0.1:{}", broker.port)}})).await;
    check_failed(&http, FailureClass::Closed, "");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, axum::Router::new()).await.unwrap() });
    let mqtt = look(json!({"mqtt": {"url": format!("mqtt://127.0.0.1:{port}")}})).await;
    check_failed(&mqtt, FailureClass::Protocol, "not MQTT");
}

async fn password_file(dir: &Path) -> String {
    let path = dir.join("passwords");
    let status = tokio::process::Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(&path)
        .args(["probe", "hunter2"])
        .status()
        .await
        .unwrap();
    assert!(status.success());
    // The broker gives up its rights when it is started as root.
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_broker_is_up_when_it_answers() {
    let dir = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start(dir.path(), "allow_anonymous true").await;
    let mut node = node(json!({"mqtt": {"url": format!("mqtt://127.0.0.1:{}", broker.port)}}));
    for _ in 0..3 {
        let seen = node.collect().await.unwrap();
        assert_eq!((seen.is_up(), seen.status), (true, Some(0)), "{seen:?}");
    }
    node.execute(ConnectionAction::Probe).await.unwrap();
    broker.kill().await;
    let seen = node.collect().await.unwrap();
    check_failed(&seen, FailureClass::Refused, "refused");
}

#[tokio::test]
async fn a_broker_with_users_checks_them_when_one_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let passwords = password_file(dir.path()).await;
    let broker =
        Mosquitto::start(dir.path(), &format!("allow_anonymous false\npassword_file {passwords}")).await;
    let ask = |user: Option<&str>, password: Option<Value>| {
        let mut mqtt = json!({"url": format!("mqtt://127.0.0.1:{}", broker.port)});
        if let (Some(user), Some(password)) = (user, password) {
            mqtt["username"] = json!(user);
            mqtt["password"] = password;
        }
        look(json!({"mqtt": mqtt}))
    };
    let nobody = ask(None, None).await;
    assert_eq!((nobody.is_up(), nobody.status), (true, Some(5)), "it is there, and asks who we are");
    assert!(ask(Some("probe"), Some(json!("hunter2"))).await.is_up());
    check_failed(
        &ask(Some("probe"), Some(json!("hunter3"))).await,
        FailureClass::Credentials,
        "doesn't take",
    );

    let file = dir.path().join("password");
    std::fs::write(&file, "hunter2").unwrap();
    assert!(ask(Some("probe"), Some(json!({"secret": {"file": file}}))).await.is_up());
    let missing = ask(Some("probe"), Some(json!({"secret": {"file": "/no/such/secret"}}))).await;
    check_failed(&missing, FailureClass::Local, "/no/such/secret");
    assert_ne!(Secret::plain("a"), Secret::plain("b"));
}

#[tokio::test]
async fn a_broker_with_tls_is_probed_over_tls() {
    let certificates = Certificates::new();
    let dir = certificates.dir.path();
    std::fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (cert, key) = (certificates.file("cert.pem"), certificates.file("key.pem"));
    let lines = format!("allow_anonymous true\ncertfile {}\nkeyfile {}", cert.display(), key.display());
    let broker = Mosquitto::start(dir, &lines).await;
    let ask = |extra: Value| {
        let mut mqtt = json!({"url": format!("mqtts://localhost:{}", broker.port)});
        mqtt.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        look(json!({"mqtt": mqtt}))
    };
    assert!(ask(json!({"ca": cert})).await.is_up());
    assert!(ask(json!({"insecure": true})).await.is_up());
    check_failed(&ask(json!({})).await, FailureClass::Tls, "UnknownIssuer");
    let plain = look(json!({"mqtt": {"url": format!("mqtt://localhost:{}", broker.port)}})).await;
    assert!(!plain.is_up(), "a TLS broker does not answer plain MQTT");
}
