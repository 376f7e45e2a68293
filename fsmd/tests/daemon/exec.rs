//! What is run by a call, as its users meet it: over HTTP, with real programs.

mod bounds;
mod calls;
mod endings;
mod followed;
mod reloaded;
mod verbs;
mod workers;
mod workflows;

use serde_json::Value;

use crate::rig::{Answer, Daemon, Files};

const CONFIG: &str = r#"
version: 1
agent: {name: edge}
server: {listen: "127.0.0.1:0"}
tools:
  - {id: greet, command: [sh, -c, 'read -r name; echo "hello, $name"'], protocol: raw}
  - {id: line/count, command: [sh, -c, 'cat >/dev/null; echo "{\"result\": [1, 2], \"metadata\": {\"unit\": \"$UNIT\"}}"'], env: {UNIT: parts}}
  - {id: print, command: [sh, -c, 'echo "tray 2" >&2; echo "{\"error\": {\"name\": \"Printer\", \"message\": \"no paper\", \"stack\": \"l. 3\"}}"']}
  - {id: exits, command: [sh, -c, 'echo "{\"result\": 7}"; exit 3']}
  - {id: waits, command: [sh, -c, 'cat >/dev/null; exec sleep 600'], limits: {grace: 200ms}}
  - {id: short, command: [sleep, "600"], limits: {timeout: 200ms, grace: 100ms}}
  - {id: garbage, command: [echo, "no json"]}
  - {id: missing, command: [no-such-program-here]}
workers:
  - {name: job, kind: tool, config: {command: [sleep, "600"], limits: {grace: 200ms}}}
  - {name: hello, kind: group}
"#;

/// A daemon with these tools.
struct Site {
    files: Files,
    daemon: Daemon,
}

impl Site {
    async fn start() -> Self {
        Self::of(CONFIG).await
    }

    /// The same with another config, in which `FOLDER` is that of its files.
    async fn of(config: &str) -> Self {
        let files = Files::new(&[]);
        files.write("fsmd.yaml", &config.replace("FOLDER", files.folder().to_str().unwrap()));
        let daemon = Daemon::start(&files.path("fsmd.yaml")).await;
        Self { files, daemon }
    }

    /// Calls something and waits for its end.
    async fn call(&self, what: &str, body: &str) -> Answer {
        self.daemon.post(&format!("/v1/exec/{what}"), "", body).await
    }

    /// Calls something and waits for nothing; gives where it is found.
    async fn begin(&self, what: &str, body: &str) -> String {
        let answer = self.daemon.post(&format!("/v1/exec/{what}?async=true"), "", body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["exec_url"].as_str().unwrap().to_owned()
    }

    /// The record once it has this status.
    async fn becomes(&self, url: &str, status: &str) -> Value {
        self.daemon.until(url, |answer| answer.json()["status"] == status).await.json()
    }

    /// Waits until a program has made a file.
    async fn made(&self, name: &str) {
        self.daemon.until("/healthz", |_| self.files.path(name).exists()).await;
    }

    async fn cancel(&self, url: &str) -> Answer {
        self.daemon.ask("DELETE", url, "127.0.0.1").await
    }

    /// The value of a series.
    async fn metric(&self, series: &str) -> f64 {
        let text = self.daemon.get("/metrics").await.body;
        let line = text.lines().find(|line| line.rsplit_once(' ').is_some_and(|(name, _)| name == series));
        let line = line.unwrap_or_else(|| panic!("no {series} in\n{text}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

/// Processes that hold this text in their environment: those of an execution hold its id.
fn living(mark: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap() {
        let path = entry.unwrap().path();
        let read = |name: &str| {
            String::from_utf8_lossy(&std::fs::read(path.join(name)).unwrap_or_default()).into_owned()
        };
        if read("environ").contains(mark) {
            found.push(read("cmdline").replace('\0', " "));
        }
    }
    found
}
