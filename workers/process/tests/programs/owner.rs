//! What ran does not outlive its owner, whichever way that dies. The owner is this test program itself, in another role.

use std::path::Path;
use std::process::{Child, Command};

use fsm_worker_process::{Call, Ledger};
use rustix::process::{Pid, Signal, kill_process};
use tokio_util::sync::CancellationToken;

use crate::support::{left, runner, sh, stat, until};

/// In the role of the owner the folder of its notes, then the id of its run.
const ROLE: [&str; 2] = ["FSM_TEST_NOTES", "FSM_TEST_RUN"];

fn owner(test: &str, notes: &Path, id: &str) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", test, "--nocapture"])
        .env(ROLE[0], notes)
        .env(ROLE[1], id)
        .spawn()
        .expect("this program can be run")
}

/// Runs for ever, in the role of the owner.
async fn own() -> bool {
    let [Ok(notes), Ok(id)] = ROLE.map(std::env::var) else { return false };
    let runner = runner().with_ledger(Ledger::open(notes).expect("a folder"));
    let mut call = Call::new();
    call.exec_id = id;
    let tool = sh("(setsid sh -c 'trap \"\" TERM HUP; sleep 600; :' &); sleep 600; :");
    runner.run(&tool, call, &CancellationToken::new()).await;
    true
}

fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("small")).expect("not 0");
    kill_process(pid, signal).expect("it lives");
}

/// Pids of a run, without the owner, which has the id in its environment too.
fn pids(id: &str, owner: u32) -> Vec<u32> {
    let first = |line: &String| line.split(' ').next().and_then(|pid| pid.parse().ok());
    left(&format!("FSM_EXEC_ID={id}"), None).iter().filter_map(first).filter(|pid| *pid != owner).collect()
}

fn notes_in(folder: &Path) -> usize {
    std::fs::read_dir(folder)
        .expect("a folder")
        .filter(|file| {
            file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|end| end == "run"))
        })
        .count()
}

// spec: X-4
#[tokio::test]
async fn everything_dies_with_its_owner() {
    if own().await {
        return;
    }
    let notes = tempfile::tempdir().expect("a folder");
    let id = Call::new().exec_id;
    let mut owner = owner("owner::everything_dies_with_its_owner", notes.path(), &id);
    until("it runs and is noted", || pids(&id, owner.id()).len() >= 4 && notes_in(notes.path()) == 1).await;
    owner.kill().expect("ours");
    owner.wait().expect("ours");
    until("nobody is left", || pids(&id, 0).is_empty()).await;
    // The next start finds the note of a run of which nobody lives.
    let found = Ledger::open(notes.path()).expect("a folder").end_survivors().expect("readable");
    assert_eq!((found.runs, notes_in(notes.path())), (1, 0));
    // Its keeper may be about to end still.
    assert!(found.killed <= 1, "{} were killed", found.killed);
}

// spec: X-4
#[tokio::test]
async fn who_survived_owner_and_keeper_is_ended_at_the_next_start() {
    if own().await {
        return;
    }
    let notes = tempfile::tempdir().expect("a folder");
    let ledger = Ledger::open(notes.path()).expect("a folder");
    let id = Call::new().exec_id;
    let name = "owner::who_survived_owner_and_keeper_is_ended_at_the_next_start";
    let mut owner = owner(name, notes.path(), &id);
    until("it runs and is noted", || pids(&id, owner.id()).len() >= 4 && notes_in(notes.path()) == 1).await;
    let found = ledger.end_survivors().expect("readable");
    assert_eq!((found.runs, found.killed), (0, 0), "its owner lives: hands off");

    // Both die in one moment: neither can do its duty.
    signal(owner.id(), Signal::STOP);
    let mine = owner.id().to_string();
    let all = std::fs::read_dir("/proc").expect("there is /proc");
    let keeper = all
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .find(|pid| stat(*pid).is_some_and(|fields| fields[1] == mine))
        .expect("it has a keeper");
    signal(keeper, Signal::KILL);
    owner.kill().expect("ours");
    owner.wait().expect("ours");
    let survivors = pids(&id, 0).len();
    assert!(survivors >= 4, "without the ledger they live on");

    let found = ledger.end_survivors().expect("readable");
    // Who ends because another one was killed needs no killing.
    assert!(found.runs == 1 && (1..=survivors).contains(&found.killed), "{found:?} of {survivors}");
    until("nobody is left", || pids(&id, 0).is_empty()).await;
    assert_eq!(ledger.end_survivors().expect("readable").runs, 0, "it is forgotten");
}
