//! Who a process is: its pid together with its start time, because a pid alone may be a stranger's by now.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// One process of this boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) pid: i32,
    /// Clock ticks from boot to its start.
    pub(crate) start: u64,
}

/// What `/proc/PID/stat` says of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) identity: Identity,
    pub(crate) parent: i32,
    pub(crate) group: i32,
    /// It has ended and waits for its parent to notice.
    pub(crate) zombie: bool,
}

impl Identity {
    /// Whoever has this pid now.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        look(pid).map(|seen| seen.identity)
    }

    /// Runs still, and is the very same.
    pub(crate) fn lives(self) -> bool {
        look(self.pid).is_some_and(|seen| seen.identity == self && !seen.zombie)
    }

    /// Kills it, if it is still the same process; then there is something to wait for.
    pub(crate) fn kill(self) -> Option<Dying> {
        // The descriptor pins the process first; then its start time is looked at. A pid that is reused in between is noticed.
        let pinned = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        (self.lives() && pidfd_send_signal(&pinned, Signal::KILL).is_ok()).then_some(Dying(pinned))
    }
}

/// A process that was killed and may need a moment.
#[derive(Debug)]
pub(crate) struct Dying(OwnedFd);

impl Dying {
    /// Blocks until it is dead, a moment at most.
    pub(crate) fn wait(self) {
        ends_within(self.0.as_fd(), DEATH);
    }
}

/// A process dies within a millisecond or two, unless the kernel itself holds it, on a disk for example.
const DEATH: Duration = Duration::from_millis(100);

/// Does the process of this descriptor end within that time?
pub(crate) fn ends_within(pidfd: BorrowedFd<'_>, patience: Duration) -> bool {
    let patience = Timespec::try_from(patience).ok();
    poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], patience.as_ref()).is_ok_and(|ready| ready > 0)
}

/// One process, if there is one with this pid.
pub(crate) fn look(pid: i32) -> Option<Seen> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The name of a program may hold spaces and parentheses: fields are counted from the last one.
fn parse(pid: i32, stat: &str) -> Option<Seen> {
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().collect();
    Some(Seen {
        identity: Identity { pid, start: fields.get(19)?.parse().ok()? },
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
    })
}

/// Every process that can be seen.
pub(crate) fn all() -> Vec<Seen> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(look).collect()
}

/// Children, grandchildren and so on, the nearest first.
pub(crate) fn descendants(of: i32) -> Vec<Seen> {
    let all = all();
    let mut found: Vec<Seen> = all.iter().filter(|seen| seen.parent == of).copied().collect();
    let mut at = 0;
    while let Some(parent) = found.get(at).map(|seen| seen.identity.pid) {
        found.extend(all.iter().filter(|seen| seen.parent == parent));
        at += 1;
    }
    found
}

/// Does this process's environment, as it was at its last exec, hold this whole entry?
pub(crate) fn has_env(pid: i32, entry: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == entry.as_bytes()))
}

/// Which boot of the machine this is; pids and start times mean nothing in another.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_parentheses_and_spaces_do_not_shift_the_fields() {
        let rest = "R 7 8 9 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 4242 17334272 3469";
        let seen = parse(5, &format!("5 (a) Z (b c)) {rest}")).expect("a line");
        assert_eq!(seen.identity, Identity { pid: 5, start: 4242 });
        assert_eq!((seen.parent, seen.group, seen.zombie), (7, 8, false));
        assert!(parse(5, "5 (short) R 1").is_none());
    }

    // spec: X-4
    #[test]
    fn a_pid_that_is_somebody_else_by_now_is_not_killed() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().expect("sleep is there");
        let pid = i32::try_from(child.id()).expect("small");
        let real = Identity::of(pid).expect("it runs");
        assert!(Identity { start: real.start + 1, ..real }.kill().is_none(), "a stranger's start time");
        assert!(real.lives());
        real.kill().expect("it is the same").wait();
        assert!(!real.lives(), "a zombie doesn't live");
        child.wait().expect("it is ours");
        assert!(real.kill().is_none());
    }
}
