//! What is refused, and why.

use serde_json::json;

use super::Site;

// spec: X-6, X-20
#[tokio::test]
async fn what_is_not_there_is_named_and_makes_no_series() {
    let site = Site::start().await;
    let answer = site.call("tasks/greeet", "{}").await;
    assert_eq!(answer.status, 404, "{answer:?}");
    assert!(answer.json()["help"].as_str().unwrap().contains("did you mean `greet`?"), "{answer:?}");
    for id in ["%2e%2e/%2e%2e/bin/sh", "..%2fbin%2fsh", "/bin/sh", ".hidden", "a%00b", "%ff"] {
        let answer = site.call(&format!("tasks/{id}"), "{}").await;
        assert!([400, 404].contains(&answer.status), "{id}: {answer:?}");
    }
    let text = site.daemon.get("/metrics").await.body;
    assert!(!text.contains("greeet") && !text.contains("bin/sh"), "{text}");
    let invalid =
        site.metric("runtime_tool_execute_seconds_count{tool_id=\"_invalid\",outcome=\"error\"}").await;
    assert!(invalid >= 2.0, "{invalid}");
    assert!(site.metric("http_exec_errors_total{kind=\"task\",code=\"404\"}").await >= 2.0);
    for (method, path, status) in [
        ("GET", "/v1/exec/nobody", 404),
        ("GET", "/v1/exec/018bcfe568000000-0000000000000009", 404),
        ("DELETE", "/v1/exec/018bcfe568000000-0000000000000009", 404),
        ("GET", "/v1/exec/018bcfe568000000-0000000000000009/stream", 404),
        ("GET", "/v1/exec/tasks/greet", 405),
        ("DELETE", "/v1/exec", 405),
        ("POST", "/v1/exec/workflows/nobody", 404),
    ] {
        let answer = site.daemon.ask(method, path, "127.0.0.1").await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert!(answer.head.contains("application/problem+json"), "{answer:?}");
    }
}

// spec: X-20, X-24, U-82, U-83
#[tokio::test]
async fn a_call_that_cannot_be_read_runs_nothing() {
    let site = Site::start().await;
    let path = "/v1/exec/tasks/greet";
    let long = format!("Idempotency-Key: {}\r\n", "k".repeat(51));
    for (path, headers, body, status, hint) in [
        (path, "", "{", 400, "EOF"),
        (path, "", r#"{"imput": 1}"#, 400, "unknown field `imput`"),
        (path, "", r#"{"timeout_s": 301}"#, 400, "at most 300"),
        (path, "", r#"{"timeout_s": 0}"#, 400, "more than 0"),
        (path, &long, "{}", 400, "1 to 50"),
        (&format!("{path}?async=yes"), "", "{}", 400, "async"),
        (path, "Origin: http://evil.example\r\n", "{}", 403, "another origin"),
    ] {
        let answer = site.daemon.post(path, headers, body).await;
        assert_eq!(answer.status, status, "{headers}{body}: {answer:?}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(hint), "{detail}");
    }
    let raw = |headers: &str| {
        format!("POST {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", site.daemon.address)
    };
    let answer =
        site.daemon.send(&raw("Content-Type: application/json\r\nContent-Length: 10485761\r\n")).await;
    assert!(answer.status == 413 && answer.body.contains("10 MiB"), "{answer:?}");
    let answer = site.daemon.send(&(raw("Content-Type: text/plain\r\nContent-Length: 2\r\n") + "{}")).await;
    assert!(answer.status == 415 && answer.body.contains("application/json"), "{answer:?}");
    assert_eq!(site.daemon.get("/v1/exec").await.json()["executions"], json!([]));
    assert_eq!(site.metric("http_exec_errors_total{kind=\"task\",code=\"413\"}").await, 1.0);
    // The largest body that is let in is no trouble.
    let answer =
        site.call("tasks/line/count", &format!("{{\"input\": \"{}\"}}", "x".repeat((10 << 20) - 400))).await;
    assert_eq!(answer.status, 200, "{}", &answer.body[..answer.body.len().min(300)]);
}

// spec: X-3, X-21
#[tokio::test]
async fn a_full_queue_says_when_to_try_again_and_counts_no_start() {
    let config = super::CONFIG.to_owned() + "exec: {concurrency: 1, queue: 1}\n";
    let site = Site::of(&config).await;
    let first = site.begin("tasks/waits", "{}").await;
    let second = site.begin("tasks/waits", "{}").await;
    site.becomes(&first, "running").await;
    assert_eq!(site.daemon.get(&second).await.json()["status"], "pending");
    let answer = site.daemon.post("/v1/exec/tasks/greet?async=true", "", "{}").await;
    assert!(answer.status == 429 && answer.head.contains("retry-after: 2\r\n"), "{answer:?}");
    assert_eq!(site.metric("http_exec_started_total{kind=\"task\"}").await, 2.0);
    assert_eq!(site.metric("http_exec_errors_total{kind=\"task\",code=\"429\"}").await, 1.0);
    // What waits can be cancelled, and is never begun.
    site.cancel(&second).await;
    let record = site.becomes(&second, "cancelled").await;
    assert!(record["attempts"] == 0 && record.get("started_at").is_none(), "{record}");
    site.cancel(&first).await;
    site.becomes(&first, "cancelled").await;
    assert_eq!(site.call("tasks/greet", r#"{"input": "x"}"#).await.status, 200);
}

// spec: X-5, T-8, U-85
#[tokio::test]
async fn a_secret_reaches_the_tool_and_nobody_else() {
    const SECRET: &str = "MARKER-printer-token-91c4";
    let config = r#"
version: 1
agent: {name: edge}
server: {listen: "127.0.0.1:0"}
tools:
  - {id: tells, command: [sh, -c, 'printf %s "$TOKEN" | wc -c; echo "$TOKEN" >&2'], protocol: raw, env: {TOKEN: {secret: {env: PRINTER_TOKEN}}}}
  - {id: json, command: [sh, -c, 'printf "{\"result\": {\"said\": \"%s\"}}" "$TOKEN"; echo "$HIDDEN" >&2'], env: {TOKEN: {secret: {file: token.txt}}}}
  - {id: nothing, command: [sh, -c, 'true'], env: {TOKEN: {secret: {env: NOBODY_SET_THIS}}}}
"#;
    let files = crate::rig::Files::new(&[("fsmd.yaml", config), ("token.txt", &format!("{SECRET}\n"))]);
    let environment = [("PRINTER_TOKEN", SECRET), ("HIDDEN", "MARKER-hidden-2a7b")];
    let mut daemon = crate::rig::Daemon::start_in(&files.path("fsmd.yaml"), &environment).await;
    let mut shown = String::new();
    for (tool, status) in [("tells", 200), ("json", 200), ("nothing", 422)] {
        let answer = daemon.post(&format!("/v1/exec/tasks/{tool}"), "", "{}").await;
        assert_eq!(answer.status, status, "{answer:?}");
        let url = answer.json()["exec_url"].as_str().unwrap().to_owned();
        shown += &answer.body;
        shown += &daemon.get(&url).await.body;
        shown += &daemon.get(&format!("{url}/stream")).await.body;
    }
    assert!(shown.contains(r#""output":"25\n""#), "it got it: {shown}");
    assert!(shown.contains(r#""output":{"said":"[secret]"}"#) && shown.contains("[secret]\\n"), "{shown}");
    assert!(shown.contains("NOBODY_SET_THIS") && shown.contains("spawn_failed"), "{shown}");
    shown += &daemon.get("/metrics").await.body;
    daemon.signal("TERM");
    assert!(daemon.ends().await.success());
    shown += &daemon.said.join("\n");
    assert!(!shown.contains(SECRET) && !shown.contains("MARKER-hidden"), "{shown}");
}
