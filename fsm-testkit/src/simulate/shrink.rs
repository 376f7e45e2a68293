//! Makes a failing script short: whole runs of steps are left out as long as the same rule is broken.

use super::{Broken, Script};

/// The shortest script found, and how it fails; none when it wasn't run again.
pub(super) fn shrink(
    script: &Script,
    most: usize,
    still: impl Fn(&Script) -> Option<Broken>,
) -> (Script, Option<Broken>) {
    let (mut best, mut broken) = (script.clone(), None);
    let mut width = best.steps.len().div_ceil(2);
    let mut runs = 0;
    while width > 0 {
        let mut at = 0;
        while at < best.steps.len() && runs < most {
            let mut shorter = best.clone();
            shorter.steps.drain(at..(at + width).min(best.steps.len()));
            runs += 1;
            match still(&shorter) {
                Some(fails) => (best, broken) = (shorter, Some(fails)),
                None => at += width,
            }
        }
        width /= 2;
    }
    (best, broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: K-3
    #[test]
    fn what_has_no_part_in_a_failure_is_left_out() {
        let script: Script =
            (0..20).map(|n| format!("{n}s config {n}\n")).collect::<String>().parse().expect("steps");
        let needs = |text: &str, shorter: &Script| shorter.to_string().contains(text);
        let still = |shorter: &Script| {
            (needs("config 3\n", shorter) && needs("config 17\n", shorter)).then(|| Broken {
                rule: "J1",
                what: String::new(),
                trace: String::new(),
            })
        };
        let (short, broken) = shrink(&script, 300, still);
        assert_eq!(short.to_string(), "3s config 3\n17s config 17\n");
        assert!(broken.is_some());
    }
}
