//! A real Prometheus on loopback.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval};

use crate::rig::free_port;

/// How often a condition is looked at, and how often at most: a minute.
const PACE: Duration = Duration::from_millis(100);
const LOOKS: usize = 600;

/// A Prometheus that scrapes one daemon and has loaded the rules. Dropping it kills it.
pub(super) struct Prometheus {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

impl Prometheus {
    pub(super) fn start(daemon: SocketAddr, rules: &Path) -> Self {
        let folder = TempDir::new().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let config = serde_json::json!({
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"},
            "rule_files": [rules.canonicalize().unwrap()],
            "scrape_configs": [{"job_name": "fsmd", "static_configs": [{"targets": [daemon.to_string()]}]}],
        });
        let file = folder.path().join("prometheus.yml");
        // JSON is YAML.
        std::fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}")).arg("--log.level=error");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.expect("prometheus is installed: `cargo xtask ci` sees to it");
        Self { child, address, _folder: folder }
    }

    async fn ask(&self, request: &str) -> std::io::Result<Value> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok(serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// The data of an answer of its API.
    pub(super) async fn get(&self, path: &str) -> Value {
        // HTTP/1.0: the answer comes in one piece.
        let answer =
            self.ask(&format!("GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address)).await.unwrap();
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].clone()
    }

    async fn answer(&self, expr: &str) -> std::io::Result<Value> {
        let query: String = expr.bytes().map(|byte| format!("%{byte:02X}")).collect();
        self.ask(&format!("GET /api/v1/query?query={query} HTTP/1.0\r\nHost: {}\r\n\r\n", self.address)).await
    }

    /// How many elements the answer has, or what is wrong with the expression.
    pub(super) async fn query(&self, expr: &str) -> Result<usize, String> {
        let answer = self.answer(expr).await.map_err(|error| error.to_string())?;
        match answer["data"]["result"].as_array() {
            Some(elements) if answer["status"] == "success" => Ok(elements.len()),
            Some(_) | None => Err(answer["error"].to_string()),
        }
    }

    /// Asks until there is an answer.
    pub(super) async fn until(&self, expr: &str) {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = None;
        for _ in 0..LOOKS {
            pace.tick().await;
            // It refuses connections until it is up.
            let answer = self.answer(expr).await;
            if answer
                .as_ref()
                .is_ok_and(|answer| answer["data"]["result"].as_array().is_some_and(|all| !all.is_empty()))
            {
                return;
            }
            last = Some(answer);
        }
        panic!("Prometheus never had an answer to {expr}, but {last:?}")
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
