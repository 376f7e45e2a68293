//! Holds the project's own rules that a machine can hold, and says how to mend each finding.
//!
//! A rule is waived where it has to be by a comment on the line or the line above:
//! `tidy: allow(rule): reason`. A waiver without a reason, or one that waives nothing, is a finding itself.

mod actions;
mod docs;
mod layout;
mod lexer;
mod lines;
mod manifests;
mod rules;
mod syntax;
mod tokens;
mod tree;
mod waivers;

use anyhow::{Result, bail};

use crate::workspace::Workspace;

pub(crate) use rules::Finding;
use tree::Tree;

/// Checks the whole tree and prints what it found below `under`.
pub(crate) fn run(workspace: &Workspace, under: &str) -> Result<()> {
    let tree = Tree::read(&workspace.root)?;
    let (findings, notes) = check(workspace, &tree);
    let count = |all: &[Finding]| all.iter().filter(|finding| finding.path.starts_with(under)).count();
    for finding in notes.iter().chain(&findings).filter(|finding| finding.path.starts_with(under)) {
        println!("{finding}");
    }
    let (findings, notes) = (count(&findings), count(&notes));
    if findings > 0 {
        bail!("tidy: {findings} findings to mend ({notes} notes)");
    }
    println!("tidy: {} files, nothing to mend, {notes} notes", tree.files.len());
    Ok(())
}

/// Everything found, waivers applied: what must be mended, and what is worth a look.
fn check(workspace: &Workspace, tree: &Tree) -> (Vec<Finding>, Vec<Finding>) {
    let mut found = each_file(tree);
    found.extend(layout::check_tree(workspace, tree));
    found.sort_by(|a, b| (&a.path, a.line, a.rule).cmp(&(&b.path, b.line, b.rule)));
    found.into_iter().partition(|finding| !finding.is_note())
}

/// What is wrong with each file on its own, waivers applied.
fn each_file(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in &tree.files {
        let mut of_file = lines::check_any(file);
        if file.path.ends_with(".rs") && !file.is_fixture(tree) {
            of_file.extend(lines::check_rust(file, tree));
            of_file.extend(syntax::check(file));
            of_file.extend(actions::check(file, tree));
        }
        if file.path.ends_with(".md") {
            of_file.extend(docs::check(file, tree));
        }
        if file.path.ends_with("Cargo.toml") {
            of_file.extend(manifests::check(file));
        }
        of_file.extend(layout::check_file(file));
        found.extend(waivers::apply(file, of_file));
    }
    found
}

/// What is wrong with files that are not in the tree yet, in words.
#[cfg(test)]
pub(crate) fn check_files(files: &[(String, String)]) -> Vec<String> {
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    each_file(&Tree::of(&files)).iter().map(ToString::to_string).collect()
}
