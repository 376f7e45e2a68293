//! A real broker for tests: started on a free port of the loopback, ended with the test.

use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A running mosquitto. Dropping it ends it.
pub(crate) struct Mosquitto {
    pub(crate) port: u16,
    process: Child,
    _drain: tokio::task::JoinSet<()>,
}

impl Mosquitto {
    /// Starts a broker in this folder with these lines added to its config; they belong to its one listener.
    pub(crate) async fn start(dir: &Path, lines: &str) -> Self {
        // Another program may take the port between our look and the broker's start: then look again.
        for _ in 0..5 {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let config = dir.join(format!("{port}.conf"));
            std::fs::write(&config, format!("listener {port} 127.0.0.1\n{lines}\n")).unwrap();
            let mut process = Command::new("mosquitto")
                .arg("-v")
                .arg("-c")
                .arg(&config)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .expect("mosquitto is installed");
            let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
            while let Some(line) = log.next_line().await.unwrap() {
                if line.ends_with(" running") {
                    // Its log must be read on, or it stops when the pipe is full.
                    let mut drain = tokio::task::JoinSet::new();
                    drain.spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
                    return Self { port, process, _drain: drain };
                }
            }
        }
        panic!("mosquitto does not start with {lines}");
    }

    pub(crate) async fn kill(mut self) -> u16 {
        self.process.kill().await.unwrap();
        self.port
    }
}
