//! Starts a program behind a keeper, and owns it: whoever drops it ends it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fsm_metrics::{ProcessMetrics, RunMetrics};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::UnixStream;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::cgroup::{Cgroups, RunCgroup};
use crate::ending::Exit;
use crate::identity::{self, Identity};
use crate::keeper::KEEPER_ARG;
use crate::keeper::wire::{Launch, News, Order, line};
use crate::ledger::{self, Entry, Ledger, Note};

/// A keeper is started in 2 ms; this is for a machine that is swapping.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// After SIGKILL everybody is gone within milliseconds; a keeper that has not managed by then is stopped, or the machine is.
pub(crate) const KILL_PATIENCE: Duration = Duration::from_millis(500);

/// How a program left that nobody saw leave: it was killed, because its keeper was or did not manage.
const KILLED: Exit = Exit::Signal(Signal::KILL.as_raw());

/// How a keeper is started: this very program in another mode, or a program of its own.
#[derive(Debug, Clone)]
pub struct Keeper {
    program: PathBuf,
    args: Vec<OsString>,
}

impl Keeper {
    /// This program, whose `main` knows [`KEEPER_ARG`]. Works on when its file is replaced or gone.
    pub fn this_program() -> Self {
        Self { program: "/proc/self/exe".into(), args: vec![KEEPER_ARG.into()] }
    }

    /// Another program that does nothing but call [`keeper_main`](crate::keeper_main), such as `fsm-keeper` of this crate.
    pub fn program(path: impl Into<PathBuf>) -> Self {
        Self { program: path.into(), args: Vec::new() }
    }
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The system gave no pipe, socket or process.
    #[error("can't {what}; the machine may be out of processes, file descriptors or memory")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The keeper said why not.
    #[error("{0}")]
    Program(String),
    /// What was started as a keeper is none, or was killed.
    #[error("the keeper {} did not answer; it must call keeper_main() when it is started so", .0.display())]
    NoKeeper(PathBuf),
    /// No note could be kept.
    #[error("it was ended again, because no note of it could be kept")]
    Ledger(#[from] crate::LedgerError),
}

/// What is started.
pub(crate) struct Program {
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) memory: Option<u64>,
    pub(crate) grace: Duration,
}

/// Starts programs.
#[derive(Debug, Clone)]
pub(crate) struct Launcher {
    pub(crate) keeper: Keeper,
    pub(crate) ledger: Option<Ledger>,
    pub(crate) cgroups: Option<Cgroups>,
    pub(crate) metrics: Option<RunMetrics>,
}

/// The owner's ends of a program's pipes.
pub(crate) struct Pipes {
    pub(crate) stdin: Sender,
    pub(crate) stdout: Receiver,
    pub(crate) stderr: Receiver,
}

/// A program and its keeper. Dropping it ends both, politely first.
pub(crate) struct Kept {
    launch: Vec<u8>,
    keeper: PathBuf,
    ledger: Option<Ledger>,
    news: Option<Lines<BufReader<OwnedReadHalf>>>,
    note: Note,
    grace: Duration,
    oom: bool,
    /// Counts how the program leaves; taken when that is done.
    exits: Option<ProcessMetrics>,
    /// Taken when the keeper is reaped.
    owned: Option<Owned>,
}

/// What goes when the keeper is gone. The socket is in here: its closing is the order to kill.
struct Owned {
    orders: OwnedWriteHalf,
    child: Child,
    cgroup: Option<RunCgroup>,
    entry: Option<Entry>,
}

/// What happened to a program.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Life {
    /// The program itself left.
    Exited(crate::Exit),
    /// Nobody of it is left.
    Gone { cpu: Duration, peak_rss: u64 },
    /// The keeper died first.
    Lost,
}

impl Launcher {
    /// Launches with this keeper, without anything else.
    pub(crate) const fn new(keeper: Keeper) -> Self {
        Self { keeper, ledger: None, cgroups: None, metrics: None }
    }

    /// Starts a keeper for it. The program runs once [`Kept::handshake`] says so.
    pub(crate) fn begin(&self, exec_id: &str, mut program: Program) -> Result<(Kept, Pipes), StartError> {
        program.env.insert(ledger::EXEC_ID.into(), exec_id.into());
        let cgroup = match &self.cgroups {
            Some(cgroups) => {
                // The id is the caller's: a folder needs a name of its own.
                let name = format!("{}-{:08x}", std::process::id(), fastrand::u32(..));
                Some(cgroups.open(&name, program.memory).map_err(system("make a cgroup for it"))?)
            }
            None => None,
        };
        let launch = line(&Launch {
            argv: program.argv,
            env: program.env,
            cwd: program.cwd,
            cgroup: cgroup.as_ref().map(|cgroup| cgroup.path.clone()),
        });
        self.spawn(exec_id, cgroup, program.grace, launch)
    }

    fn spawn(
        &self,
        exec_id: &str,
        cgroup: Option<RunCgroup>,
        grace: Duration,
        launch: Vec<u8>,
    ) -> Result<(Kept, Pipes), StartError> {
        let socket = "open a socket for its keeper";
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(system(socket))?;
        ours.set_nonblocking(true).map_err(system(socket))?;
        let pipe = || std::io::pipe().map_err(system("open a pipe for it"));
        let ((stdin, to), (from, stdout), (errors, stderr)) = (pipe()?, pipe()?, pipe()?);
        let pipes = Pipes {
            stdin: Sender::from_owned_fd(to.into()).map_err(system("write to its stdin"))?,
            stdout: Receiver::from_owned_fd(from.into()).map_err(system("read its stdout"))?,
            stderr: Receiver::from_owned_fd(errors.into()).map_err(system("read its stderr"))?,
        };
        // Into the socket before the keeper lives: nothing of the program's is ever in nobody's hands.
        send_pipes(ours.as_fd(), [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()])
            .map_err(system("pass it its pipes"))?;
        let (news, orders) = UnixStream::from_std(ours).map_err(system(socket))?.into_split();
        let child = Command::new(&self.keeper.program)
            .args(&self.keeper.args)
            .env_clear()
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(system("start its keeper"))?;
        let nobody = Identity { pid: 0, start: 0 };
        let identity = |pid: u32| i32::try_from(pid).ok().and_then(Identity::of).unwrap_or(nobody);
        let note = Note {
            boot: identity::boot_id(),
            exec_id: exec_id.into(),
            owner: identity(std::process::id()),
            keeper: identity(child.id()),
            tool: nobody,
        };
        let owned = Some(Owned { orders, child, cgroup, entry: None });
        let news = Some(BufReader::new(news).lines());
        let (keeper, ledger) = (self.keeper.program.clone(), self.ledger.clone());
        let exits = self.metrics.as_ref().map(|metrics| metrics.processes().clone());
        Ok((Kept { launch, keeper, ledger, news, note, grace, oom: false, exits, owned }, pipes))
    }
}

fn system(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |source| StartError::System { what, source }
}

fn send_pipes(socket: BorrowedFd<'_>, pipes: [BorrowedFd<'_>; 3]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut buffer = SendAncillaryBuffer::new(&mut space);
    buffer.push(SendAncillaryMessage::ScmRights(&pipes));
    sendmsg(socket, &[IoSlice::new(b"p")], &mut buffer, SendFlags::NOSIGNAL)?;
    Ok(())
}

impl Kept {
    /// Says what to start, and waits until it runs. To be called once, to its end or to [`Kept::finish`].
    pub(crate) async fn handshake(&mut self) -> Result<(), StartError> {
        let launch = std::mem::take(&mut self.launch);
        let told = match &mut self.owned {
            Some(owned) => owned.orders.write_all(&launch).await.is_ok(),
            None => false,
        };
        match tokio::time::timeout(HANDSHAKE, self.hear()).await {
            Ok(Some(News::Started(tool))) if told => {
                self.note.tool = tool;
                if let (Some(ledger), Some(owned)) = (&self.ledger, &mut self.owned) {
                    match ledger.note(&self.note) {
                        Ok(entry) => owned.entry = Some(entry),
                        Err(error) => {
                            self.finish().await;
                            return Err(error.into());
                        }
                    }
                }
                Ok(())
            }
            Ok(Some(News::Failed(why))) => {
                self.reap();
                Err(StartError::Program(why))
            }
            Ok(Some(News::Started(_) | News::Exited(_) | News::Gone { .. }) | None) | Err(_) => {
                self.force();
                Err(StartError::NoKeeper(self.keeper.clone()))
            }
        }
    }

    /// Ends it and waits until nobody is left.
    pub(crate) async fn finish(&mut self) {
        self.end(self.grace);
        let patience = self.grace + KILL_PATIENCE;
        let gone = async { while let Life::Exited(_) = self.life().await {} };
        if tokio::time::timeout(patience, gone).await.is_err() {
            self.force();
        }
    }

    /// Who it is.
    pub(crate) fn identity(&self) -> Identity {
        self.note.tool
    }

    /// A file of its cgroup, if it has one.
    pub(crate) fn cgroup_file(&self, name: &str) -> Option<PathBuf> {
        Some(self.owned.as_ref()?.cgroup.as_ref()?.path.join(name))
    }

    /// The kernel killed somebody of it for memory; known when it is gone.
    pub(crate) fn oom_killed(&self) -> bool {
        self.oom
    }

    /// The next thing that happens to it. Cancel-safe. After `Gone` or `Lost` nothing happens any more.
    pub(crate) async fn life(&mut self) -> Life {
        loop {
            match self.hear().await {
                Some(News::Exited(exit)) => {
                    self.count(exit);
                    return Life::Exited(exit);
                }
                Some(News::Gone { cpu_us, peak_rss }) => {
                    self.reap();
                    return Life::Gone { cpu: Duration::from_micros(cpu_us), peak_rss };
                }
                // Said once, at the start; heard here only when nobody waited for it.
                Some(News::Started(tool)) => self.note.tool = tool,
                Some(News::Failed(_)) => {}
                None => {
                    self.force();
                    return Life::Lost;
                }
            }
        }
    }

    async fn hear(&mut self) -> Option<News> {
        let line = self.news.as_mut()?.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    /// SIGTERM now, SIGKILL after the grace. Returns at once.
    pub(crate) fn end(&self, grace: Duration) {
        if let Some(owned) = &self.owned {
            let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
            // Orders are few and short: there is always room. A keeper that is gone needs none.
            let _ = owned.orders.try_write(&line(&Order::End { grace_ms }));
        }
    }

    /// Kills everybody without the keeper's help: it is stopped, or dead, or did not manage.
    pub(crate) fn force(&mut self) {
        if let Some(owned) = &mut self.owned {
            owned.force(&self.note);
        }
        self.reap();
    }

    /// How the program left, the first time that it is known.
    fn count(&mut self, exit: Exit) {
        if let Some(exits) = self.exits.take() {
            exits.exited(exit.into());
        }
    }

    /// The keeper has closed its socket, as the last thing it did, or was killed: this takes no time.
    fn reap(&mut self) {
        if let Some(mut owned) = self.owned.take() {
            let _ = owned.child.wait();
            if self.note.tool.pid != 0 {
                self.count(KILLED);
            }
            self.oom = owned.cgroup.as_ref().is_some_and(RunCgroup::oom_killed);
        }
    }
}

impl Owned {
    fn force(&mut self, note: &Note) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        ledger::end_run(note);
        // The keeper is our child and not reaped: this pid is its own.
        let _ = self.child.kill();
    }

    /// Waits for the keeper's end, for so long; answers whether it came.
    fn ends_within(&self, patience: Duration) -> bool {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let Some(Ok(keeper)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) else { return false };
        identity::ends_within(keeper.as_fd(), patience)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.end(self.grace);
        let (Some(mut owned), Some(news)) = (self.owned.take(), self.news.take()) else { return };
        let (note, patience, exits) = (self.note.clone(), self.grace + KILL_PATIENCE, self.exits.take());
        // A thread, because there may be no runtime left; it lives for the grace.
        let wait = move || {
            if !owned.ends_within(patience) {
                owned.force(&note);
            }
            let _ = owned.child.wait();
            // The socket was open until now: closing it earlier would have cut the grace off.
            let exit = last_words(news, owned.orders, note.tool.pid != 0);
            if let (Some(exits), Some(exit)) = (exits, exit) {
                exits.exited(exit.into());
            }
        };
        if std::thread::Builder::new().name("keeper-reaper".into()).spawn(wait).is_err() {
            // Without a thread the socket closed just now, and the keeper kills at once.
            tracing::warn!(
                pid = self.note.tool.pid,
                "no thread to wait for a program that was let go: it is killed"
            );
        }
    }
}

/// How a program left that had started, out of what its keeper said before it went and nobody heard.
fn last_words(
    news: Lines<BufReader<OwnedReadHalf>>,
    orders: OwnedWriteHalf,
    mut started: bool,
) -> Option<Exit> {
    let heard = news.into_inner();
    let mut text = heard.buffer().to_vec();
    if let Some(mut socket) = heard.into_inner().reunite(orders).ok().and_then(|both| both.into_std().ok()) {
        // It doesn't block: whoever could still write is gone. What breaks off is all there is.
        let _ = socket.read_to_end(&mut text);
    }
    for line in text.split(|byte| *byte == b'\n') {
        match serde_json::from_slice(line) {
            Ok(News::Exited(exit)) => return Some(exit),
            Ok(News::Started(_)) => started = true,
            Ok(News::Failed(_) | News::Gone { .. }) | Err(_) => {}
        }
    }
    started.then_some(KILLED)
}
