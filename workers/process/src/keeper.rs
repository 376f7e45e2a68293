//! The keeper: a small process that starts one program, adopts what it leaves behind, and ends all of it.
//!
//! Whoever it cannot find by process group it gets as its child, as nearest subreaper; it is done when the kernel says that it
//! has no children left. It reaps under the lock under which it signals, so that no reaped pid is ever signalled.

pub(crate) mod wire;

use std::io::{self, BufRead, BufReader, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{SigSet, Signal as Blocked};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, getpid, kill_process, kill_process_group,
    set_child_subreaper, waitid, waitpid,
};

use crate::ending::Exit;
use crate::identity::{self, Identity};
use wire::{Launch, News, Order, line};

/// The argument with which a program becomes a keeper.
pub const KEEPER_ARG: &str = "__keeper";

/// Runs this process as a keeper; a program that uses [`Runner`](crate::Runner) calls it first thing in its `main`, before it
/// has threads, when its first argument is [`KEEPER_ARG`].
///
/// ```no_run
/// use std::process::ExitCode;
///
/// fn main() -> ExitCode {
///     if std::env::args_os().nth(1).is_some_and(|arg| arg == fsm_worker_process::KEEPER_ARG) {
///         return fsm_worker_process::keeper_main();
///     }
///     ExitCode::SUCCESS // the program itself
/// }
/// ```
pub fn keeper_main() -> ExitCode {
    match keep() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let hint = "this mode is for the program's own use: it expects a socket to its owner on stdin";
            // Nobody to tell it to is no reason to fail otherwise.
            let _ = writeln!(io::stderr(), "keeper: {error}; {hint}");
            ExitCode::FAILURE
        }
    }
}

fn keep() -> io::Result<()> {
    let mut control = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let pipes = receive_pipes(&control)?;
    let mut orders = BufReader::new(control.try_clone()?);
    let mut text = String::new();
    orders.read_line(&mut text)?;
    let launch: Launch = serde_json::from_str(&text)?;
    set_child_subreaper(Some(getpid()))?;
    let tool = match start(&launch, pipes) {
        Ok(tool) => tool,
        Err(why) => return control.write_all(&line(&News::Failed(why))),
    };
    drop(launch);
    // A service manager that signals the whole cgroup, or a terminal, must not part the keeper from its charge. Not before
    // the start: a program would inherit it.
    SigSet::from_iter([Blocked::SIGTERM, Blocked::SIGINT, Blocked::SIGHUP, Blocked::SIGQUIT])
        .thread_block()?;

    let shared = Arc::new(Shared { tool, state: Mutex::default() });
    let obeying = Arc::clone(&shared);
    // From here on the owner is told what it can still hear; its silence is an order too.
    let mut tell = move |news: News| drop(control.write_all(&line(&news)));
    let start = Identity::of(tool.as_raw_nonzero().get());
    tell(News::Started(start.unwrap_or(Identity { pid: tool.as_raw_nonzero().get(), start: 0 })));
    std::thread::spawn(move || obey(orders, &obeying));
    shared.watch(|exit| tell(News::Exited(exit)))?;
    tell(usage());
    Ok(())
}

/// stdin, stdout and stderr of the program come as descriptors over the socket.
fn receive_pipes(control: &UnixStream) -> io::Result<[OwnedFd; 3]> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut buffer = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(control, &mut [IoSliceMut::new(&mut byte)], &mut buffer, RecvFlags::CMSG_CLOEXEC)?;
    let mut pipes = Vec::new();
    for message in buffer.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            pipes.extend(descriptors);
        }
    }
    pipes.try_into().map_err(|_| io::Error::other("three descriptors were to come"))
}

fn start(launch: &Launch, pipes: [OwnedFd; 3]) -> Result<Pid, String> {
    let (program, args) = launch.argv.split_first().ok_or("there is no program to start")?;
    if let Some(cwd) = launch.cwd.as_deref().filter(|cwd| !cwd.is_dir()) {
        return Err(format!("its folder {} is not there; create it or change `cwd`", cwd.display()));
    }
    if let Some(cgroup) = &launch.cgroup {
        std::fs::write(cgroup.join("cgroup.procs"), "0")
            .map_err(|error| format!("its cgroup {} can't be joined: {error}", cgroup.display()))?;
    }
    let [stdin, stdout, stderr] = pipes.map(Stdio::from);
    let mut command = Command::new(program);
    command
        .args(args)
        .env_clear()
        .envs(&launch.env)
        .stdin(stdin)
        .stdout(stdout)
        .stderr(stderr)
        .process_group(0);
    if let Some(cwd) = &launch.cwd {
        command.current_dir(cwd);
    }
    // The command goes at the end of this function, and with it our ends of the pipes.
    let child = command.spawn().map_err(|error| cannot_start(program, launch, &error))?;
    i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or_else(|| "it has no pid".to_owned())
}

fn cannot_start(program: &str, launch: &Launch, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        return match launch.env.get("PATH") {
            Some(path) => {
                format!("there is no program `{program}` in {path}; install it or write its whole path")
            }
            None => {
                format!("there is no program `{program}`, and PATH is not passed on; write its whole path")
            }
        };
    }
    if error.kind() == io::ErrorKind::PermissionDenied {
        return format!("`{program}` may not be executed; check its mode and owner");
    }
    format!("`{program}` can't be executed: {error}")
}

/// Follows orders; a socket that closes is the owner's death, and the order to kill.
fn obey(orders: BufReader<UnixStream>, shared: &Arc<Shared>) {
    for order in orders.lines() {
        match order.ok().and_then(|order| serde_json::from_str(&order).ok()) {
            // Without a grace nobody could use what a polite signal says.
            Some(Order::End { grace_ms: 0 }) => shared.kill(),
            Some(Order::End { grace_ms }) => {
                shared.end();
                let shared = Arc::clone(shared);
                std::thread::spawn(move || {
                    let (_open, never) = channel::<()>();
                    let _ = never.recv_timeout(Duration::from_millis(grace_ms));
                    shared.kill();
                });
            }
            None => break,
        }
    }
    shared.kill();
}

/// What the thread that watches and the ones that signal share.
struct Shared {
    tool: Pid,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The program was reaped: its pid, and the group of that number, are nobody's or somebody else's.
    reaped: bool,
    /// It was asked to end: whoever is left has the rest of its grace.
    asked: bool,
    /// Everybody is to be killed, those who come to light later too.
    kill: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        let mut state = self.lock();
        state.asked = true;
        self.signal(&state, Signal::TERM);
    }

    fn kill(&self) {
        let mut state = self.lock();
        state.kill = true;
        self.signal(&state, Signal::KILL);
    }

    /// To the group, and to those children outside of it. Nobody can be reaped meanwhile. Who has just ended is no error.
    fn signal(&self, state: &State, signal: Signal) {
        if !state.reaped {
            let _ = kill_process_group(self.tool, signal);
        }
        for child in children() {
            let in_group = child.group == self.tool.as_raw_nonzero().get() && !state.reaped;
            if let Some(pid) = Pid::from_raw(child.identity.pid).filter(|_| !in_group) {
                let _ = kill_process(pid, signal);
            }
        }
    }

    /// Reaps until nobody is left.
    fn watch(&self, exited: impl FnOnce(Exit)) -> io::Result<()> {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let exit = loop {
            retry(|| waitid(WaitId::All, ended))?;
            let state = self.lock();
            if let Some(status) = retry(|| waitid(WaitId::Pid(self.tool), ended | WaitIdOptions::NOHANG))? {
                break match status.terminating_signal() {
                    Some(signal) => Exit::Signal(signal),
                    None => Exit::Code(status.exit_status().unwrap_or_default()),
                };
            }
            reap(Some(self.tool));
            drop(state);
        };
        exited(exit);
        let mut state = self.lock();
        if !state.asked {
            state.kill = true;
        }
        // While the program is unreaped its group can't be anybody else's. Who has just ended is no error.
        if state.kill {
            let _ = kill_process_group(self.tool, Signal::KILL);
        }
        retry(|| waitpid(Some(self.tool), WaitOptions::empty()))?;
        state.reaped = true;
        drop(state);
        // Most programs leave nobody; then nobody has to be looked for among all processes of the machine, which takes longer
        // than a short run does.
        let mut how = ended | WaitIdOptions::NOHANG;
        loop {
            match retry(|| waitid(WaitId::All, how)) {
                Err(Errno::CHILD) => return Ok(()),
                other => other?,
            };
            how = ended;
            let state = self.lock();
            reap(None);
            // Who lost its parent just now is a child since.
            if state.kill {
                self.signal(&state, Signal::KILL);
            }
        }
    }
}

fn children() -> Vec<identity::Seen> {
    let own = getpid().as_raw_nonzero().get();
    identity::all().into_iter().filter(|seen| seen.parent == own).collect()
}

/// Reaps all who have ended, but one.
fn reap(but: Option<Pid>) {
    let ended = children().into_iter().filter(|child| child.zombie);
    for pid in ended.filter_map(|child| Pid::from_raw(child.identity.pid)).filter(|pid| Some(*pid) != but) {
        let _ = waitpid(Some(pid), WaitOptions::NOHANG);
    }
}

/// Again when a signal came in between.
fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other,
        }
    }
}

fn usage() -> News {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else {
        return News::Gone { cpu_us: 0, peak_rss: 0 };
    };
    let micros = |time: nix::sys::time::TimeVal| time.tv_sec() * 1_000_000 + time.tv_usec();
    let cpu_us = micros(usage.user_time()) + micros(usage.system_time());
    News::Gone {
        cpu_us: u64::try_from(cpu_us).unwrap_or(0),
        // The kernel counts it in KiB.
        peak_rss: u64::try_from(usage.max_rss()).unwrap_or(0) * 1024,
    }
}
