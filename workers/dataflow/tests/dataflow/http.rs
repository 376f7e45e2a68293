//! A webhook over real connections.

use std::net::SocketAddr;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Broker, Running, free_port, pool};

/// Sends one request and gives the status and the body of the answer.
async fn request(address: SocketAddr, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses early may hang up before it has read all.
    let _ = stream.write_all(body.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .unwrap_or_else(|| panic!("no status: {answer:?}"));
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

// spec: D-1
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_answered_after_the_output_took_it() {
    let mut sink = Broker::start().await;
    let mut subscriber = sink.subscriber("check").await;
    sink.down().await;
    let address = listen();
    let config = json!({
        "input": {"http_server": {"listen": address, "path": "/hook", "max_body": "1KiB"}},
        "pipeline": [{"topic": {"expr": "\"out/\" + .id"}}],
        "output": {"mqtt": {"url": sink.url()}},
        "max_in_flight": 2
    });
    let flow = Running::start("/hook", config, &pool("hook"));
    flow.until("the port", |s| s.input_up).await;

    // The target is away: the answer waits, and a full flow says so.
    let (a, b) = (
        tokio::time::timeout(
            std::time::Duration::from_secs(60),
            request(address, "POST", "/hook", "{\"id\": \"a\"}"),
        ),
        tokio::time::timeout(
            std::time::Duration::from_secs(60),
            request(address, "PUT", "/hook", "{\"id\": \"b\"}"),
        ),
    );
    let rest = async {
        flow.until("both under way", |s| s.in_flight == 2).await;
        assert_eq!(request(address, "POST", "/hook", "{\"id\": \"c\"}").await.0, 503);
        sink.up().await;
    };
    let (a, b, ()) = tokio::join!(a, b, rest);
    assert_eq!((a.unwrap().0, b.unwrap().0), (200, 200));
    let mut topics = Vec::new();
    while topics.len() < 2 {
        let (topic, _) = subscriber.next().await;
        if topic.starts_with("out/") {
            topics.push(topic);
        }
    }
    topics.sort();
    assert_eq!(topics, ["out/a", "out/b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_are_told_why() {
    let address = listen();
    let config = json!({
        "input": {"http_server": {"listen": address, "path": "/hook", "max_body": "16B"}},
        "pipeline": [{"map": ".v"}],
        "output": {"drop": {}}
    });
    let flow = Running::start("/hook", config, &pool("hook"));
    flow.until("the port", |s| s.input_up).await;
    assert_eq!(request(address, "POST", "/hook", "{\"v\": 1}").await.0, 200);
    let (status, body) = request(address, "POST", "/hook", "nonsense").await;
    assert!(status == 400 && body.contains("not JSON"), "{status} {body}");
    assert_eq!(request(address, "POST", "/hook", "{\"v\": 1234567890123456789}").await.0, 413);
    assert_eq!(request(address, "GET", "/hook", "").await.0, 405);
    let (status, body) = request(address, "POST", "/other", "").await;
    assert!(status == 404 && body.contains("/hook"), "{status} {body}");
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = json!({"input": {"http_server": {"listen": address}}, "output": {"drop": {}}});
    let error = Running::start("/hook", config, &pool("hook")).ended().await.unwrap_err().to_string();
    assert!(error.contains(&address.to_string()) && error.contains("choose another"), "{error}");
}
