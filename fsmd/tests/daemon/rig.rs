//! A daemon under test: the real program, what it says, what it answers.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Far more than anything takes here, also on a busy machine: a test fails by this only when it would never end.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const PACE: Duration = Duration::from_millis(20);

/// A port that nobody has.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// The program.
pub(crate) fn fsmd() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fsmd"));
    command.env_remove("FSMD_SERVER").env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// Runs a verb that ends by itself.
pub(crate) fn verb<'a>(args: impl IntoIterator<Item = &'a str>) -> Output {
    fsmd().args(args).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder with the files of a config.
pub(crate) struct Files {
    folder: TempDir,
}

impl Files {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let made = Self { folder: TempDir::new().unwrap() };
        for (name, content) in files {
            made.write(name, content);
        }
        made
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// In one step, as an editor that saves safely.
    pub(crate) fn write(&self, name: &str, content: &str) {
        let new = self.path(&format!(".{name}.new"));
        std::fs::write(&new, content).unwrap();
        std::fs::rename(new, self.path(name)).unwrap();
    }
}

/// A pipe in the place of a file.
pub(crate) struct Pipe(PathBuf);

impl Files {
    /// Puts a pipe in the place of a file, in one step.
    pub(crate) fn pipe(&self, name: &str) -> Pipe {
        let new = self.path(&format!(".{name}.pipe"));
        assert!(Command::new("mkfifo").arg(&new).status().unwrap().success());
        std::fs::rename(new, self.path(name)).unwrap();
        Pipe(self.path(name))
    }
}

impl Pipe {
    /// Waits until somebody reads it, and gives its end to write to.
    pub(crate) async fn is_read(&self) -> std::fs::File {
        /// Of Linux: opening fails where it would wait for a reader.
        const O_NONBLOCK: i32 = 0o4000;
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for _ in 0..PATIENCE.as_millis() / PACE.as_millis() {
            pace.tick().await;
            if let Ok(file) = std::fs::File::options().write(true).custom_flags(O_NONBLOCK).open(&self.0) {
                return file;
            }
        }
        panic!("nobody reads {}", self.0.display())
    }
}

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A running daemon. Dropping it kills it.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) out: UnboundedReceiver<String>,
    err: UnboundedReceiver<String>,
    /// What it said so far on the standard error.
    pub(crate) said: Vec<String>,
    /// Held open and not read, when the test wants that.
    stdout: Option<std::process::ChildStdout>,
}

impl Daemon {
    /// Runs a config; ready when its banner told where it listens.
    pub(crate) async fn start(config: &Path) -> Self {
        Self::begin(config, true, (&[], "info")).await
    }

    /// The same in an environment of this program's, logging everything.
    pub(crate) async fn start_in(config: &Path, environment: &[(&str, &str)]) -> Self {
        Self::begin(config, true, (environment, "trace")).await
    }

    /// The same with a standard output that nobody reads.
    pub(crate) async fn start_unread(config: &Path) -> Self {
        Self::begin(config, false, (&[], "info")).await
    }

    async fn begin(config: &Path, read: bool, (environment, log): (&[(&str, &str)], &str)) -> Self {
        let mut child = fsmd()
            .envs(environment.iter().copied())
            .arg("run")
            .arg(config)
            .args(["--log", log])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let err = lines(child.stderr.take().unwrap());
        let (out, kept) = match read {
            true => (lines(stdout), None),
            false => (unbounded_channel().1, Some(stdout)),
        };
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut daemon = Self { child, address: nowhere, out, err, said: Vec::new(), stdout: kept };
        let line = daemon.hears("/v1/tree").await;
        let rest = line.split("http://").nth(1).unwrap();
        daemon.address = rest.split('/').next().unwrap().parse().unwrap();
        daemon
    }

    /// Reads the standard output that nobody read so far.
    pub(crate) fn drain(&mut self) {
        self.out = lines(self.stdout.take().expect("it was not read"));
    }

    /// Waits for a line on the standard error that holds this text, after those heard before.
    pub(crate) async fn hears(&mut self, what: &str) -> String {
        let heard = timeout(PATIENCE, async {
            while let Some(line) = self.err.recv().await {
                self.said.push(line.clone());
                if line.contains(what) {
                    return Some(line);
                }
            }
            None
        });
        match heard.await {
            Ok(Some(line)) => line,
            Ok(None) | Err(_) => panic!("never heard `{what}` in:\n{}", self.said.join("\n")),
        }
    }

    /// The next line on the standard output.
    pub(crate) async fn line(&mut self) -> String {
        timeout(PATIENCE, self.out.recv()).await.expect("a line in time").expect("a line before the end")
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "127.0.0.1").await
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, host: &str) -> Answer {
        self.send(&format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
    }

    /// Posts JSON, with more headers if there are any, each ending its line.
    pub(crate) async fn post(&self, path: &str, headers: &str, body: &str) -> Answer {
        self.send(&self.posted(path, headers, body)).await
    }

    /// The text of such a request.
    pub(crate) fn posted(&self, path: &str, headers: &str, body: &str) -> String {
        let (host, length) = (self.address, body.len());
        format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        )
    }

    /// Sends a request as it is written.
    pub(crate) async fn send(&self, request: &str) -> Answer {
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await?;
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        };
        let answer = timeout(PATIENCE, exchange).await.unwrap();
        let answer = answer.unwrap_or_else(|error| panic!("{error}: {request}"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    /// Asks for many things over one connection, one after the other.
    pub(crate) async fn get_all<T: DeserializeOwned>(&self, paths: impl Iterator<Item = String>) -> Vec<T> {
        let mut stream = BufStream::new(TcpStream::connect(self.address).await.unwrap());
        let mut answers = Vec::new();
        for path in paths {
            let exchange = async {
                let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
                stream.write_all(request.as_bytes()).await?;
                stream.flush().await?;
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).await?;
                    match line.trim_end().split_once(": ") {
                        Some(("content-length", number)) => length = number.parse().unwrap(),
                        None if line.trim_end().is_empty() => break,
                        Some(_) | None => {}
                    }
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await?;
                Ok::<_, std::io::Error>(body)
            };
            let body = timeout(PATIENCE, exchange).await.unwrap();
            let body = body.unwrap_or_else(|error| panic!("{path}: {error}"));
            answers.push(serde_json::from_slice(&body).unwrap());
        }
        answers
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) -> Answer {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = None;
        let looks = PATIENCE.as_millis() / PACE.as_millis();
        for _ in 0..looks {
            pace.tick().await;
            let answer = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            last = Some(answer);
        }
        panic!("{path} never became as wanted, but {last:?}")
    }

    /// Waits until all nodes run.
    pub(crate) async fn ready(&self) {
        self.until("/readyz", |answer| answer.status == 200).await;
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -s {name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for the end; all that was said until then is in `said`.
    pub(crate) async fn ends(&mut self) -> ExitStatus {
        let mut pace = interval(PACE);
        for _ in 0..PATIENCE.as_millis() / PACE.as_millis() {
            pace.tick().await;
            if let Some(status) = self.child.try_wait().unwrap() {
                while let Some(line) = self.err.recv().await {
                    self.said.push(line);
                }
                return status;
            }
        }
        panic!("it never ended, but said:\n{}", self.said.join("\n"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        if std::thread::panicking() {
            while let Ok(line) = self.err.try_recv() {
                self.said.push(line);
            }
            eprintln!("the daemon said:\n{}", self.said.join("\n"));
        }
        let _ = self.child.wait();
    }
}

fn lines(from: impl Read + Send + 'static) -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
