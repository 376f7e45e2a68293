//! Exceptions to a rule: `tidy: allow(rule): reason`, each of them needed and with its reason.

use super::rules::{Finding, is_rule};
use super::tree::File;

const MARK: &str = "tidy: allow(";

/// A waiver for the whole file stands among its first lines, where a reader meets it.
const HEAD_LINES: usize = 20;

struct Waiver {
    line: usize,
    rule: String,
    used: bool,
}

/// Drops what is waived, and adds what is wrong with the waivers.
pub(crate) fn apply(file: &File, found: Vec<Finding>) -> Vec<Finding> {
    let (mut waivers, mut kept) = read(file);
    for finding in found {
        let fits = |waiver: &&mut Waiver| {
            let near = if finding.line == 0 {
                waiver.line <= HEAD_LINES
            } else {
                waiver.line == finding.line || waiver.line + 1 == finding.line
            };
            waiver.rule == finding.rule && near
        };
        match waivers.iter_mut().find(fits) {
            Some(waiver) => waiver.used = true,
            None => kept.push(finding),
        }
    }
    for waiver in waivers.iter().filter(|waiver| !waiver.used) {
        kept.push(Finding::new(
            &file.path,
            waiver.line,
            "waiver",
            format!("nothing here breaks `{}`", waiver.rule),
        ));
    }
    kept
}

fn read(file: &File) -> (Vec<Waiver>, Vec<Finding>) {
    let (mut waivers, mut wrong) = (Vec::new(), Vec::new());
    for (index, line) in file.text.lines().enumerate() {
        // In Rust only plain comments count: documentation and literals may quote a waiver.
        let comment = match file.masked.comments.get(index) {
            Some(comment) => comment.trim_start(),
            None => line,
        };
        let is_doc = comment.starts_with("//!") || comment.starts_with("///");
        let Some((before, after)) = comment.split_once(MARK).filter(|_| !is_doc) else { continue };
        if before.contains('`') {
            continue;
        }
        let line = index + 1;
        let (rule, reason) = after.split_once(')').unwrap_or((after, ""));
        let reason = reason.trim_start_matches(':').trim().trim_end_matches("-->").trim();
        if !is_rule(rule) {
            wrong.push(Finding::new(&file.path, line, "waiver", format!("there is no rule `{rule}`")));
        } else if reason.is_empty() {
            wrong.push(Finding::new(
                &file.path,
                line,
                "waiver",
                format!("`{rule}` is waived without a reason"),
            ));
        } else {
            waivers.push(Waiver { line, rule: rule.to_owned(), used: false });
        }
    }
    (waivers, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, found: &[(usize, &'static str)], kept: &[(usize, &str)]) {
        let file = File::new("a/src/b.rs".into(), text.into());
        let found = found.iter().map(|(line, rule)| Finding::new(&file.path, *line, rule, "x")).collect();
        let left = apply(&file, found);
        let left: Vec<_> = left.iter().map(|finding| (finding.line, finding.rule)).collect();
        assert_eq!(left, kept);
    }

    #[test]
    fn a_waiver_holds_for_its_line_and_the_next() {
        let text = "a\n// tidy: allow(unbounded): the sender is bounded by its own window\nb\nc";
        check(text, &[(2, "unbounded")], &[]);
        check(text, &[(3, "unbounded")], &[]);
        check(text, &[(3, "unbounded"), (4, "unbounded")], &[(4, "unbounded")]);
        check(text, &[(3, "unbounded"), (3, "words")], &[(3, "words")]);
    }

    #[test]
    fn a_waiver_that_waives_nothing_is_a_finding() {
        check("// tidy: allow(words): the protocol's own word\n", &[], &[(1, "waiver")]);
    }

    #[test]
    fn a_waiver_needs_a_rule_and_a_reason() {
        check("// tidy: allow(no-such-rule): because\n", &[], &[(1, "waiver")]);
        check("// tidy: allow(words)\n", &[(2, "words")], &[(1, "waiver"), (2, "words")]);
    }

    #[test]
    fn a_file_is_waived_in_its_head() {
        check("//! Doc.\n// tidy: allow(file-length): one table\n", &[(0, "file-length")], &[]);
    }

    #[test]
    fn a_quoted_waiver_is_none() {
        check("//! tidy: allow(words): as documentation\nlet x = \"tidy: allow(words): x\";\n", &[], &[]);
    }
}
