//! Rules that are seen line by line: the form of text, and what comments must and must not say.

use super::rules::Finding;
use super::tree::{File, Tree};

/// Hard cap of a source file; above the soft one it is worth asking whether it holds two ideas.
const HARD_CAP: usize = 800;
/// A file of this length is still read in one sitting.
const SOFT_CAP: usize = 500;

/// The form that every text file has.
pub(crate) fn check_any(file: &File) -> Vec<Finding> {
    let mut found = Vec::new();
    if file.is_generated() {
        return found;
    }
    let mut add = |line, what: &str| found.push(Finding::new(&file.path, line, "text-form", what));
    for (index, line) in file.text.split('\n').enumerate() {
        if line.ends_with('\r') {
            add(index + 1, "the line ends with CR LF");
        } else if line.ends_with([' ', '\t']) {
            add(index + 1, "blanks at the end of the line");
        }
    }
    if !file.text.is_empty() && (!file.text.ends_with('\n') || file.text.ends_with("\n\n")) {
        add(file.text.lines().count(), "the file doesn't end with one line break");
    }
    found
}

/// Rules about the lines and comments of a Rust file.
pub(crate) fn check_rust(file: &File, tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |line, rule, what: String| found.push(Finding::new(&file.path, line, rule, what));
    let length = file.text.lines().count();
    if !file.is_generated() {
        if length > HARD_CAP {
            add(0, "file-length", format!("{length} lines, more than {HARD_CAP}"));
        } else if length > SOFT_CAP {
            add(0, "file-long", format!("{length} lines, more than {SOFT_CAP}"));
        }
    }
    let first_line = file.text.lines().find(|line| !line.starts_with("#!")).unwrap_or_default();
    match first_line.strip_prefix("//!").map(str::trim) {
        Some(doc) if doc.split_whitespace().count() >= 3 => {}
        Some(doc) => add(1, "module-doc", format!("`{doc}` doesn't say why the module exists")),
        None => add(1, "module-doc", "the file doesn't begin with its documentation".into()),
    }
    for (index, comment) in file.masked.comments.iter().enumerate() {
        let comment = comment.trim();
        if comment.is_empty() {
            continue;
        }
        let line = index + 1;
        for word in ["TODO", "FIXME", "XXX"] {
            if has_word(comment, word) {
                add(line, "unfinished", format!("`{word}` in a comment"));
            }
        }
        if let Some(cited) = comment.trim_start_matches(['/', '!', ' ']).strip_prefix("spec:")
            && let Err(what) = spec_ids(cited)
        {
            add(line, "spec-id", what);
        }
        for reference in markdown_files(comment) {
            if !resolves(file, tree, reference) {
                add(line, "file-reference", format!("there is no `{reference}`"));
            }
        }
    }
    found
}

/// The ids of a citation: `S-10`, `J3`; a dash after those letters that have one.
pub(crate) fn spec_ids(cited: &str) -> Result<Vec<&str>, String> {
    let ends = [" — ", ": ", " ("].iter().filter_map(|end| cited.find(end));
    let (list, words) = cited.split_at(ends.min().unwrap_or(cited.len()));
    let mut ids = Vec::new();
    for id in list.split(',').map(str::trim) {
        if !is_spec_id(id) {
            return Err(format!("`{id}` is no requirement id"));
        }
        ids.push(id);
    }
    match words.split([' ', ',', '(', ')']).find(|word| is_spec_id(word)) {
        Some(id) => Err(format!("`{id}` stands in the words, where no list of cited ids finds it")),
        None => Ok(ids),
    }
}

/// Letters whose ids are written with a dash, and those without.
const DASHED: &str = "SATCDWMXNEHKFU";
const PLAIN: &str = "IJP";

fn is_spec_id(id: &str) -> bool {
    let Some(letter) = id.chars().next() else { return false };
    let number = match &id[letter.len_utf8()..] {
        rest if DASHED.contains(letter) => rest.strip_prefix('-').unwrap_or(""),
        rest if PLAIN.contains(letter) => rest,
        _ => "",
    };
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|char: char| !char.is_alphanumeric() && char != '_').any(|found| found == word)
}

/// Names of Markdown files in a comment. Addresses are left to their readers.
fn markdown_files(comment: &str) -> impl Iterator<Item = &str> {
    comment
        .split(|char: char| char.is_whitespace() || "`()[]<>,;\"'#*".contains(char))
        .map(|word| word.trim_end_matches(['.', ':']))
        .filter(|word| word.ends_with(".md") && word.len() > 3 && !word.contains("://"))
}

/// Whether a file is named from the root, from `docs/` or from a folder above the comment.
fn resolves(file: &File, tree: &Tree, reference: &str) -> bool {
    let mut folder = file.path.as_str();
    let from_above = std::iter::from_fn(|| {
        folder = folder.rsplit_once('/')?.0;
        Some(folder)
    });
    ["", "docs"]
        .into_iter()
        .chain(from_above)
        .any(|folder| super::docs::join(folder, reference).is_some_and(|path| tree.contains(&path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(usize, &str)]) {
        let tree = Tree::of(&[("a/src/b.rs", text), ("docs/semantics.md", ""), ("a/README.md", "")]);
        let file = &tree.files[0];
        let found = [check_any(file), check_rust(file, &tree)].concat();
        let found: Vec<_> = found.iter().map(|finding| (finding.line, finding.rule)).collect();
        assert_eq!(found, expected);
    }

    const DOC: &str = "//! Says why it exists.\n";

    #[test]
    fn the_first_line_says_why_the_module_exists() {
        check(DOC, &[]);
        check("use a::b;\n", &[(1, "module-doc")]);
        check("//! Helpers\n", &[(1, "module-doc")]);
        check("#![allow(dead_code)]\n//! Says why it exists.\n", &[]);
    }

    #[test]
    fn long_files_are_noted_and_too_long_ones_refused() {
        check(&format!("{DOC}{}", "a();\n".repeat(499)), &[]);
        check(&format!("{DOC}{}", "a();\n".repeat(500)), &[(0, "file-long")]);
        check(&format!("{DOC}{}", "a();\n".repeat(800)), &[(0, "file-length")]);
        check(&format!("{DOC}// @generated\n{}", "a();\n".repeat(800)), &[]);
    }

    #[test]
    fn text_ends_where_it_ends() {
        check("//! Says why it exists. \n", &[(1, "text-form")]);
        check("//! Says why it exists.\n\n", &[(2, "text-form")]);
        check("//! Says why it exists.", &[(1, "text-form")]);
        check("//! Says why it exists.\r\n", &[(1, "text-form")]);
    }

    #[test]
    fn later_is_not_a_comment() {
        check(&format!("{DOC}// TODO: later\n"), &[(2, "unfinished")]);
        check(&format!("{DOC}// The todo list of the user.\nlet a = \"TODO\";\n"), &[]);
    }

    #[test]
    fn citations_are_lists_of_requirement_ids() {
        check(&format!("{DOC}// spec: S-10, J3, P12 — removal\n"), &[]);
        check(&format!("{DOC}// spec: D-1: what is unacknowledged comes again\n"), &[]);
        check(&format!("{DOC}// spec: D-1 (and D-2)\n"), &[(2, "spec-id")]);
        check(&format!("{DOC}// spec: S10\n"), &[(2, "spec-id")]);
        check(&format!("{DOC}// spec: S-10 A-6\n"), &[(2, "spec-id")]);
        check(&format!("{DOC}// spec: S-10 — and A-6\n"), &[(2, "spec-id")]);
        check(&format!("{DOC}// spec: Q-1\n"), &[(2, "spec-id")]);
        check(&format!("{DOC}// spec: J-3\n"), &[(2, "spec-id")]);
    }

    #[test]
    fn files_that_comments_name_exist() {
        check(&format!("{DOC}// As docs/semantics.md and semantics.md say (README.md).\n"), &[]);
        check(&format!("{DOC}// See notes.md §6.\n"), &[(2, "file-reference")]);
        check(&format!("{DOC}// See https://example.org/notes.md.\n"), &[]);
    }
}
