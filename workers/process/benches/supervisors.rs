//! P50 and P51: how soon a program runs again, and what is left of one that forked, beside supervisord and s6 in one run.
use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bench_support::{Bench, Record, Samples, Unit};
use fsm_core::{ChildSpec, HumanDuration, NodePath, PolicyOverride, Registry, Vars};
use fsm_store::MemoryStore;
use fsm_supervisor::{Command, DriverConfig, Handle, start};
use fsm_worker_process::{Keeper, NoAgents, Process, ProcessConfig, register};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::Instant;

/// All three may wait when a program leaves within its first second: they are asked after it.
const SETTLED: Duration = Duration::from_millis(1_200);
/// Nothing here takes so long; who does is broken.
const PATIENCE: Duration = Duration::from_secs(20);

type Done<T> = Result<T, Box<dyn Error>>;

fn main() {
    let bench = Bench::from_args();
    if !["P50", "P50-start", "P51"].iter().any(|id| bench.wants(id)) {
        return;
    }
    let ours = measure(&bench, Ours::start).expect("our own can be measured");
    let peers = [("supervisord", measure(&bench, Supervisord::start)), ("s6", measure(&bench, S6::start))];
    // In the quick form nobody is installed for it: the peers are for the table.
    let mut note = String::new();
    let mut restart = Record::new("P50", "crash of a process to the start of the next", Unit::Nanoseconds)
        .samples(&ours.restarts)
        .at_most(10e6);
    let mut begin = Record::new("P50-start", "asked to start a program, until it runs", Unit::Nanoseconds)
        .samples(&ours.starts);
    for (name, measured) in peers {
        match measured {
            Ok(peer) => {
                restart = restart.ratio(name, peer.restarts.median() / ours.restarts.median());
                begin = begin.ratio(name, peer.starts.median() / ours.starts.median());
                note.push_str(&format!("{name} leaves {}; ", peer.orphans));
            }
            Err(error) => note.push_str(&format!("{name} not measured: {error}; ")),
        }
    }
    restart.print();
    begin.print();
    Record::new("P51", "left of a stopped program that forked twice", Unit::Count)
        .value(ours.orphans as f64)
        .gate_exactly("orphans", ours.orphans as u64, 0)
        .note(note.trim_end_matches("; "))
        .print();
}

struct Measured {
    restarts: Samples,
    starts: Samples,
    orphans: usize,
}

/// Who keeps a program running.
trait Keeps: Sized {
    fn begin(&mut self) -> Done<()>;
    /// Comes back when the program is gone.
    fn end(&mut self) -> Done<()>;
}

fn measure<K: Keeps>(bench: &Bench, keeper: impl Fn(&Victim) -> Done<K>) -> Done<Measured> {
    let victim = Victim::new()?;
    let mut keeper = keeper(&victim)?;
    victim.starts.try_iter().for_each(drop);
    let runs = bench.size(9, 2);
    let mut starts = Vec::new();
    let mut restarts = Vec::new();
    for _ in 0..runs {
        let asked = Instant::now();
        keeper.begin()?;
        let (mut pid, began) = victim.started()?;
        starts.push((began - asked).as_nanos() as f64);
        if restarts.len() < runs {
            settle(SETTLED);
            let killed = Instant::now();
            kill_process(Pid::from_raw(pid).ok_or("a pid")?, Signal::KILL)?;
            let (next, again) = victim.started()?;
            restarts.push((again - killed).as_nanos() as f64);
            pid = next;
        }
        settle(SETTLED);
        keeper.end()?;
        if Path::new(&format!("/proc/{pid}")).exists() {
            return Err("it said that the program is gone, and it is not".into());
        }
        victim.clear();
    }
    // Once more, and this time what it forked is counted.
    keeper.begin()?;
    victim.started()?;
    settle(SETTLED);
    keeper.end()?;
    let orphans = victim.alive().len();
    victim.clear();
    Ok(Measured { restarts: restarts.into(), starts: starts.into(), orphans })
}

/// Lets what is measured go on by itself.
fn settle(time: Duration) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a timer needs nothing").block_on(async { tokio::time::sleep(time).await });
}

/// A program that says when it runs, with two descendants: one in its group, one in a session of its own.
struct Victim {
    folder: TempDir,
    mark: String,
    starts: Receiver<(i32, Instant)>,
}

impl Victim {
    fn new() -> Done<Self> {
        let folder = TempDir::new()?;
        let mark = format!("1{:08}", fastrand::u32(..100_000_000));
        let pipe = folder.path().join("starts");
        run(Program::new("mkfifo").arg(&pipe))?;
        let script = format!(
            "sleep {mark} &\nsetsid sleep {mark} &\necho $$ > {pipe}\nexec sleep {mark}\n",
            pipe = pipe.display()
        );
        fs::write(folder.path().join("victim.sh"), script)?;
        // Read and write, so that it never ends.
        let reader = BufReader::new(fs::OpenOptions::new().read(true).write(true).open(&pipe)?);
        let (said, starts) = channel();
        std::thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                let now = Instant::now();
                if said.send((line.trim().parse().unwrap_or_default(), now)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { folder, mark, starts })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn script(&self) -> PathBuf {
        self.path("victim.sh")
    }

    fn started(&self) -> Done<(i32, Instant)> {
        Ok(self.starts.recv_timeout(PATIENCE)?)
    }

    fn alive(&self) -> Vec<i32> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_string_lossy().parse::<i32>().ok());
        pids.filter(|pid| {
            let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words == format!("sleep\0{}\0", self.mark).into_bytes()
        })
        .collect()
    }

    fn clear(&self) {
        for pid in self.alive() {
            // One that left meanwhile is what was wanted.
            let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::KILL));
        }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.clear();
    }
}

fn run(command: &mut Program) -> Done<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// A tree with one node of the kind `process`.
struct Ours {
    runtime: Runtime,
    tree: Handle,
    path: NodePath,
}

impl Ours {
    fn start(victim: &Victim) -> Done<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let tree = runtime.block_on(async {
            let mut registry = Registry::new();
            let process = Process::new(Keeper::program(env!("CARGO_BIN_EXE_fsm-keeper")));
            register(&mut registry, process, Arc::new(NoAgents))?;
            let metrics = fsm_metrics::Metrics::try_new(Default::default(), &prometheus::Registry::new())?;
            let tree = start(registry, DriverConfig::default(), &metrics, Arc::new(MemoryStore::default()))?;
            let command = ["/bin/sh".into(), victim.script().display().to_string()];
            let mut policy = PolicyOverride::default();
            policy.restart_back_off = Some(HumanDuration::new(Duration::ZERO));
            policy.max_restarts = Some(1_000);
            let root = ChildSpec::try_new("victim", "process")?
                .with_typed_config(ProcessConfig::new(command))
                .with_policy(policy);
            let path = NodePath::try_new("/victim")?;
            tree.apply(root, Vars::new()).await?;
            tree.command(Command::Stop { path, who: "bench".into() }).await?;
            tree.until(|tree| tree[0].state == "Stopped").await?;
            Ok::<_, Box<dyn Error>>(tree)
        })?;
        Ok(Self { runtime, tree, path: NodePath::try_new("/victim")? })
    }
}

impl Keeps for Ours {
    fn begin(&mut self) -> Done<()> {
        let path = self.path.clone();
        Ok(self.runtime.block_on(self.tree.command(Command::Start { path, who: "bench".into() }))?)
    }
    fn end(&mut self) -> Done<()> {
        let path = self.path.clone();
        self.runtime.block_on(async {
            self.tree.command(Command::Stop { path, who: "bench".into() }).await?;
            self.tree.until(|tree| tree[0].state == "Stopped").await?;
            Ok(())
        })
    }
}

/// The daemon of Debian's package `supervisor`, asked over its socket.
struct Supervisord {
    daemon: Child,
    socket: PathBuf,
}

impl Supervisord {
    fn start(victim: &Victim) -> Done<Self> {
        let (socket, config) = (victim.path("sock"), victim.path("supervisord.conf"));
        let text = format!(
            "[unix_http_server]\nfile={socket}\n[supervisord]\nnodaemon=true\nlogfile={folder}/log\npidfile={folder}/pid\n\
             childlogdir={folder}\nuser={user}\n[rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
             [program:victim]\ncommand=/bin/sh {script}\nautostart=false\nautorestart=true\n",
            socket = socket.display(),
            folder = victim.folder.path().display(),
            user = rustix::process::getuid().as_raw(),
            script = victim.script().display(),
        );
        fs::write(&config, text)?;
        let mut command = Program::new("supervisord");
        command.arg("-c").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = command.spawn().map_err(|error| format!("supervisord: {error}"))?;
        let peer = Self { daemon, socket };
        wait_for(&peer.socket)?;
        Ok(peer)
    }

    /// One call of its API.
    fn call(&self, method: &str, wait: bool) -> Done<()> {
        let body = format!(
            "<?xml version=\"1.0\"?><methodCall><methodName>supervisor.{method}</methodName><params>\
             <param><value><string>victim</string></value></param>\
             <param><value><boolean>{}</boolean></value></param></params></methodCall>",
            u8::from(wait)
        );
        let mut stream = UnixStream::connect(&self.socket)?;
        write!(
            stream,
            "POST /RPC2 HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if answer.contains("<boolean>1</boolean>") { Ok(()) } else { Err(answer.into()) }
    }
}

impl Keeps for Supervisord {
    fn begin(&mut self) -> Done<()> {
        self.call("startProcess", false)
    }
    fn end(&mut self) -> Done<()> {
        self.call("stopProcess", true)
    }
}

impl Drop for Supervisord {
    fn drop(&mut self) {
        stop(&mut self.daemon);
    }
}

/// One service of Debian's package `s6`.
struct S6 {
    daemon: Child,
    service: PathBuf,
}

impl S6 {
    fn start(victim: &Victim) -> Done<Self> {
        let service = victim.path("service");
        fs::create_dir(&service)?;
        fs::write(service.join("down"), "")?;
        let run = service.join("run");
        fs::write(&run, format!("#!/bin/sh\nexec /bin/sh {}\n", victim.script().display()))?;
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755))?;
        let mut command = Program::new("s6-supervise");
        command.arg(&service).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let daemon = command.spawn().map_err(|error| format!("s6-supervise: {error}"))?;
        let peer = Self { daemon, service };
        wait_for(&peer.service.join("supervise/control"))?;
        Ok(peer)
    }
}

impl Keeps for S6 {
    fn begin(&mut self) -> Done<()> {
        run(Program::new("s6-svc").arg("-u").arg(&self.service))
    }
    fn end(&mut self) -> Done<()> {
        run(Program::new("s6-svc").args(["-wD", "-T", "10000", "-d"]).arg(&self.service))
    }
}

impl Drop for S6 {
    fn drop(&mut self) {
        stop(&mut self.daemon);
    }
}

fn stop(daemon: &mut Child) {
    if let Ok(pid) = i32::try_from(daemon.id()) {
        let _ = Pid::from_raw(pid).map(|pid| kill_process(pid, Signal::TERM));
    }
    let _ = daemon.wait();
}

fn wait_for(file: &Path) -> Done<()> {
    let until = Instant::now() + PATIENCE;
    while !file.exists() {
        if Instant::now() > until {
            return Err(format!("{} never came", file.display()).into());
        }
        settle(Duration::from_millis(10));
    }
    Ok(())
}
