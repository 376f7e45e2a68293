//! Rules about the tree as a whole: where files stand, how long they are, which must be there.

use std::collections::BTreeMap;

use super::rules::Finding;
use super::tree::{File, Tree};
use crate::workspace::Workspace;

/// Half of all source files are at most this long; files of one idea are.
const MEDIAN_LINES: usize = 200;

/// Plain comments as a share of code lines, in per cent: fewer hide the why, more say the what.
const COMMENT_SHARE: std::ops::RangeInclusive<usize> = 2..=8;

/// A crate smaller than this has too few comments for a share.
const COMMENTED_LINES: usize = 400;

const REQUIRED: [(&str, &str); 7] = [
    ("README.md", "what it is and how to start it"),
    ("ARCHITECTURE.md", "the bird's eye view"),
    ("CHANGELOG.md", "what changed for users"),
    ("docs/semantics.md", "the guarantees"),
    ("docs/adr", "one page per decision"),
    ("docs/testing.md", "how it is tested"),
    ("docs/benchmarks.md", "how fast it is"),
];

pub(crate) fn check_file(file: &File) -> Vec<Finding> {
    let mut found = Vec::new();
    if file.path.ends_with("/mod.rs") {
        found.push(Finding::new(&file.path, 0, "no-mod-rs", "a `mod.rs`"));
    }
    let folder =
        file.path.strip_prefix("examples/").and_then(|path| path.split_once('/')).map(|(folder, _)| folder);
    if let Some(folder) = folder
        && file.path.ends_with(&format!("{folder}/Cargo.toml"))
        && !is_numbered(folder)
    {
        found.push(Finding::new(
            &file.path,
            0,
            "example-number",
            format!("the example `{folder}` has no number"),
        ));
    }
    found
}

fn is_numbered(folder: &str) -> bool {
    let mut bytes = folder.bytes();
    let digits = bytes.by_ref().take(2).filter(u8::is_ascii_digit).count();
    digits == 2 && bytes.next() == Some(b'-')
}

pub(crate) fn check_tree(workspace: &Workspace, tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (path, what) in REQUIRED {
        if !tree.contains(path) {
            found.push(Finding::new(path, 0, "required-file", format!("missing: {what}")));
        }
    }
    let mut crates: BTreeMap<&str, Vec<&File>> = BTreeMap::new();
    for file in
        tree.files.iter().filter(|file| file.path.ends_with(".rs") && !file.is_test() && !file.is_generated())
    {
        if let Some(owner) = workspace.owner(&file.path) {
            crates.entry(&owner.folder).or_default().push(file);
        }
    }
    let all: Vec<&File> = crates.values().flatten().copied().collect();
    if median(&all) > MEDIAN_LINES {
        let long: Vec<String> = crates
            .iter()
            .filter(|(_, files)| median(files) > MEDIAN_LINES)
            .map(|(folder, files)| format!("{folder} {}", median(files)))
            .collect();
        let what =
            format!("the median source file has {} lines; by crate: {}", median(&all), long.join(", "));
        found.push(Finding::new("Cargo.toml", 0, "median-length", what));
    }
    for (folder, files) in &crates {
        found.extend(comment_share(folder, files));
    }
    found
}

fn median(files: &[&File]) -> usize {
    let mut lengths: Vec<usize> = files.iter().map(|file| file.text.lines().count()).collect();
    lengths.sort_unstable();
    lengths.get(lengths.len() / 2).copied().unwrap_or(0)
}

fn comment_share(folder: &str, files: &[&File]) -> Option<Finding> {
    let plain = |line: &&String| {
        let line = line.trim_start();
        line.starts_with("//") && !line.starts_with("///") && !line.starts_with("//!")
    };
    let comments: usize = files.iter().map(|file| file.masked.comments.iter().filter(plain).count()).sum();
    let filled = |line: &&str| !line.trim().is_empty();
    let lines: usize = files.iter().map(|file| file.text.lines().filter(filled).count()).sum();
    let share = (comments * 100).checked_div(lines)?;
    (lines >= COMMENTED_LINES && !COMMENT_SHARE.contains(&share)).then(|| {
        let what = format!("{share} % of {lines} lines are comments, outside of {COMMENT_SHARE:?} %");
        Finding::new(&format!("{folder}/"), 0, "comment-share", what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    #[track_caller]
    fn check(files: &[(&str, &str)], expected: &[(&str, &str)]) {
        let package = Package::new("a", "a");
        let workspace = Workspace { root: "/w".into(), target: "/t".into(), packages: vec![package] };
        let required: Vec<_> = REQUIRED.iter().map(|(path, _)| (*path, "")).collect();
        let mut tree = Tree::of(&[&required[..], files].concat());
        let mut found: Vec<_> = tree.files.iter().flat_map(check_file).collect();
        found.extend(check_tree(&workspace, &tree));
        let found: Vec<_> = found.iter().map(|finding| (finding.path.as_str(), finding.rule)).collect();
        assert_eq!(found, expected);
        tree.files.clear();
    }

    #[test]
    fn modules_are_not_named_mod() {
        check(&[("a/src/b/mod.rs", "x\n")], &[("a/src/b/mod.rs", "no-mod-rs")]);
        check(&[("a/src/b.rs", "x\n")], &[]);
    }

    #[test]
    fn examples_are_numbered() {
        check(&[("examples/hello/Cargo.toml", "")], &[("examples/hello/Cargo.toml", "example-number")]);
        check(&[("examples/01-hello/Cargo.toml", ""), ("examples/quickstart.yaml", "")], &[]);
    }

    #[test]
    fn most_files_are_short() {
        let long = "x\n".repeat(201);
        check(&[("a/src/b.rs", &long)], &[("Cargo.toml", "median-length")]);
        check(&[("a/src/b.rs", &long), ("a/src/c.rs", "x\n"), ("a/src/d.rs", "x\n")], &[]);
        check(&[("a/tests/b.rs", &long)], &[]);
    }

    #[test]
    fn the_share_of_comments_is_noted() {
        let code = "x();\n".repeat(390);
        check(
            &[("a/src/b.rs", &code), ("a/src/c.rs", &"// y\n".repeat(100)), ("a/src/d.rs", "")],
            &[("a/", "comment-share")],
        );
        check(&[("a/src/b.rs", &code), ("a/src/c.rs", &"// y\n".repeat(20)), ("a/src/d.rs", "")], &[]);
        check(
            &[("a/src/b.rs", &code), ("a/src/c.rs", &"/// y\n".repeat(20)), ("a/src/d.rs", "")],
            &[("a/", "comment-share")],
        );
    }

    #[test]
    fn the_documents_that_a_reader_looks_for_exist() {
        let tree = Tree::of(&[]);
        let workspace = Workspace { root: "/w".into(), target: "/t".into(), packages: Vec::new() };
        assert_eq!(check_tree(&workspace, &tree).len(), REQUIRED.len());
    }
}
