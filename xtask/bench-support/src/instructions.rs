//! Counts the instructions of a case with callgrind, because time is too noisy to compare two ways of one thing.

use std::io;
use std::process::{Command, Stdio};

use crate::Bench;

impl Bench {
    /// The number of instructions that one call of `work` executes, or `None` where valgrind is not installed.
    ///
    /// The benchmark starts itself again under callgrind with only the case `id`; there this function
    /// runs `work` on what `setup` made, and the process ends. So call it first in the case, and let the
    /// way to it be short: it runs some fifty times slower there.
    ///
    /// # Panics
    /// If callgrind runs and reports no count: a gate on nothing would always hold.
    pub fn instructions<T>(
        &self,
        id: &str,
        setup: impl FnOnce() -> T,
        mut work: impl FnMut(&mut T),
    ) -> Option<u64> {
        if self.instructions_of.as_deref() == Some(id) {
            let mut subject = setup();
            measured(&mut || work(&mut subject));
            std::process::exit(0);
        }
        let output = match callgrind(id) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            output => output.expect("a benchmark can start itself"),
        };
        let count = collected(&output);
        assert!(count.is_some(), "callgrind counted nothing for {id}:\n{output}");
        count
    }
}

// Callgrind counts between entering and leaving this symbol, so it must stay one.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
    std::hint::black_box(());
}

fn callgrind(id: &str) -> io::Result<String> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=bench_support::instructions::measured*")
        .arg(std::env::current_exe()?)
        .args(["--quick", "--instructions", id])
        .stdin(Stdio::null())
        .output()?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn collected(output: &str) -> Option<u64> {
    let line = output.lines().find_map(|line| line.split_once("Collected : "))?;
    line.1.trim().parse().ok().filter(|count| *count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_callgrinds_report() {
        assert_eq!(collected("==7== Events    : Ir\n==7== Collected : 1234\n"), Some(1234));
        assert_eq!(collected("==7== Collected : 0\n"), None);
        assert_eq!(collected("valgrind: no such file"), None);
    }
}
