//! Executions as they happen.

use serde_json::{Value, json};

use super::Site;
use crate::rig::Answer;

/// The events of a stream that has ended: id and data.
fn events(answer: &Answer) -> Vec<(u64, Value)> {
    assert!(answer.status == 200 && answer.head.contains("content-type: text/event-stream"), "{answer:?}");
    let mut all = Vec::new();
    let (mut id, mut data) = (0, Value::Null);
    // The body comes in chunks, whose sizes stand on lines of their own.
    for line in answer.body.lines() {
        if let Some(text) = line.strip_prefix("id: ") {
            id = text.parse().unwrap();
        } else if let Some(text) = line.strip_prefix("data: ") {
            data = serde_json::from_str(text).unwrap();
        }
        if id > 0 && !data.is_null() {
            all.push((std::mem::take(&mut id), data.take()));
        }
    }
    all
}

impl Site {
    async fn follow(&self, url: &str, last: Option<u64>) -> Answer {
        let last = last.map(|last| format!("Last-Event-ID: {last}\r\n")).unwrap_or_default();
        let host = self.daemon.address;
        self.daemon
            .send(&format!("GET {url}/stream HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{last}\r\n"))
            .await
    }
}

// spec: X-22, U-40
#[tokio::test]
async fn a_follower_hears_everything_once_whenever_it_comes() {
    let config = super::CONFIG.to_owned() + "exec: {concurrency: 1, queue: 5}\n";
    let site = Site::of(&config).await;
    let first = site.begin("tasks/waits", "{}").await;
    let second = site.begin("tasks/print", "{}").await;
    site.becomes(&first, "running").await;
    let (heard, cancelled) = tokio::join!(site.follow(&second, None), site.cancel(&first));
    assert_eq!(cancelled.status, 202);
    let heard = events(&heard);
    let told: Vec<(u64, &Value)> = heard.iter().map(|(id, data)| (*id, &data["status"])).collect();
    assert_eq!(told, [(1, &json!("pending")), (2, &json!("running")), (3, &json!("failure"))]);
    assert_eq!(heard[2].1["error"]["message"], "no paper", "the last one is the whole record");
    // Afterwards it is the same, and from where a client left.
    assert_eq!(events(&site.follow(&second, None).await), heard);
    assert_eq!(events(&site.follow(&second, Some(1)).await), heard[1..]);
    let over = site.follow(&second, Some(3)).await;
    assert_eq!((over.status, over.body.as_str()), (204, ""), "a browser doesn't come back after this");
    let told: Vec<Value> = events(&site.follow(&first, None).await)
        .into_iter()
        .map(|(_, data)| data["status"].clone())
        .collect();
    assert_eq!(told, ["pending", "running", "cancelled"]);
}
