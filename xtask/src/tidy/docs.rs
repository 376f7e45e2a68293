//! Rules about documents: links lead somewhere, tests named behind a link are there, and the bird's eye view stays one.

use std::collections::BTreeSet;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::rules::Finding;
use super::tree::{File, Tree};

/// Beyond this the architecture page is no bird's eye view any more.
const ARCHITECTURE_LINES: usize = 300;

pub(crate) fn check(file: &File, tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    let lines = file.text.lines().count();
    if file.path == "ARCHITECTURE.md" && lines > ARCHITECTURE_LINES {
        found.push(Finding::new(&file.path, 0, "architecture-length", format!("{lines} lines")));
    }
    for (event, range) in Parser::new_ext(&file.text, Options::ENABLE_TABLES).into_offset_iter() {
        let (Event::Start(Tag::Link { dest_url, .. }) | Event::Start(Tag::Image { dest_url, .. })) = event
        else {
            continue;
        };
        if let Err(what) = resolve(file, tree, &dest_url) {
            let line = file.text[..range.start].matches('\n').count() + 1;
            found.push(Finding::new(&file.path, line, "link", what));
        }
    }
    found.extend(named_functions(file, tree));
    found
}

/// Functions that are named right behind a link to a Rust file, as in ``[table](tests/table.rs) `a_rule`, `another_rule` ``: they
/// are in that file.
fn named_functions(file: &File, tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut link: Option<&File> = None;
    let mut inside = false;
    for (event, range) in Parser::new_ext(&file.text, Options::ENABLE_TABLES).into_offset_iter() {
        if let Event::Start(Tag::Link { dest_url, .. }) = &event {
            link = target(file, dest_url).ok().and_then(|path| tree.file(&path));
            link = link.filter(|to| to.path.ends_with(".rs"));
            inside = true;
        } else if let Event::End(TagEnd::Link) = event {
            inside = false;
        } else if inside {
            // What the link is called.
        } else if let (Event::Code(name), Some(to)) = (&event, link) {
            if is_function_name(name) && !defines(to, name) {
                let line = file.text[..range.start].matches('\n').count() + 1;
                let what = format!("`{}` has no function `{name}`", to.path);
                found.push(Finding::new(&file.path, line, "test-reference", what));
            }
        } else if !is_separator(&event) {
            link = None;
        }
    }
    found
}

/// Whether what stands between a link and a name, or between two names, ties them together.
fn is_separator(event: &Event<'_>) -> bool {
    if let Event::Text(text) = event {
        matches!(text.trim(), "" | "," | "and")
    } else {
        *event == Event::SoftBreak
    }
}

fn is_function_name(name: &str) -> bool {
    name.contains('_') && name.chars().all(|char| matches!(char, 'a'..='z' | '0'..='9' | '_'))
}

fn defines(file: &File, name: &str) -> bool {
    let definition = format!("fn {name}");
    let mut ends = file.masked.code.iter().filter_map(|line| line.split_once(&definition));
    ends.any(|(_, rest)| rest.starts_with(['(', '<']))
}

fn resolve(file: &File, tree: &Tree, target: &str) -> Result<(), String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(());
    }
    let anchor = target.split_once('#').map_or("", |(_, anchor)| anchor);
    let path = self::target(file, target)?;
    if !tree.contains(&path) {
        return Err(format!("`{target}` leads to `{path}`, which does not exist"));
    }
    match tree.file(&path).filter(|to| !anchor.is_empty() && to.path.ends_with(".md")) {
        Some(to) if !anchors(&to.text).contains(anchor) => {
            Err(format!("`{path}` has no heading `#{anchor}`"))
        }
        Some(_) | None => Ok(()),
    }
}

/// The path that a link of this file leads to.
fn target(file: &File, target: &str) -> Result<String, String> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    match target.split_once('#').map_or(target, |(path, _)| path) {
        "" => Ok(file.path.clone()),
        path => join(folder, path).ok_or_else(|| format!("`{target}` leads out of the repository")),
    }
}

/// A relative path seen from a folder; `None` if it leads above the root.
pub(crate) fn join(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The anchors of a document as GitHub makes them, and those written as `<a id="…">`.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut anchors = BTreeSet::new();
    let mut heading: Option<String> = None;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        if let Event::Start(Tag::Heading { .. }) = event {
            heading = Some(String::new());
        } else if let (Event::Text(part) | Event::Code(part), Some(heading)) = (&event, &mut heading) {
            heading.push_str(part);
        } else if let Event::End(TagEnd::Heading(_)) = event {
            let slug = slug(&heading.take().unwrap_or_default());
            let numbered = (1..).map(|number| format!("{slug}-{number}"));
            let free = std::iter::once(slug.clone()).chain(numbered).find(|slug| !anchors.contains(slug));
            anchors.extend(free);
        } else if let Event::Html(html) | Event::InlineHtml(html) = event {
            let ids = html.split("id=\"").skip(1).filter_map(|rest| rest.split('"').next());
            anchors.extend(ids.map(str::to_owned));
        }
    }
    anchors
}

fn slug(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|char| char.is_alphanumeric() || " -_".contains(*char));
    kept.flat_map(char::to_lowercase).map(|char| if char == ' ' { '-' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_link(target: &str, expected: Option<&str>) {
        let text = format!("# Top\n\nSee [it]({target}).\n\n`[code](no.md)`\n");
        let other = "# Two words & `code`\n\n## Again\n\n## Again\n\n<a id=\"fixed\"></a>\n";
        let tree = Tree::of(&[("docs/a.md", &text), ("docs/b.md", other), ("fsm-core/src/lib.rs", "")]);
        let found = check(&tree.files[0], &tree);
        assert_eq!(found.first().map(|finding| finding.what.as_str()), expected);
        assert!(found.iter().all(|finding| finding.line == 3));
    }

    #[test]
    fn links_lead_to_files_folders_and_headings() {
        check_link("b.md", None);
        check_link("../fsm-core", None);
        check_link("../fsm-core/src/lib.rs#L7", None);
        check_link("#top", None);
        check_link("b.md#two-words--code", None);
        check_link("b.md#again-1", None);
        check_link("b.md#fixed", None);
        check_link("https://example.org/none.md", None);
    }

    #[test]
    fn links_to_nothing_are_findings() {
        check_link("c.md", Some("`c.md` leads to `docs/c.md`, which does not exist"));
        check_link("b.md#again-2", Some("`docs/b.md` has no heading `#again-2`"));
        check_link("../../b.md", Some("`../../b.md` leads out of the repository"));
        check_link("#bottom", Some("`docs/a.md` has no heading `#bottom`"));
    }

    #[track_caller]
    fn check_names(text: &str, missing: &[&str]) {
        let tests = "#[test]\nfn a_rule() {}\n// fn a_comment()\nasync fn other_rule<T>() {}\n";
        let tree = Tree::of(&[("docs/a.md", text), ("docs/b.md", ""), ("tests/table.rs", tests)]);
        let found = check(&tree.files[0], &tree);
        let expected: Vec<_> =
            missing.iter().map(|name| format!("`tests/table.rs` has no function `{name}`")).collect();
        assert_eq!(found.iter().map(|finding| finding.what.as_str()).collect::<Vec<_>>(), expected);
        assert!(found.iter().all(|finding| finding.rule == "test-reference"));
    }

    #[test]
    fn functions_named_behind_a_link_are_in_its_file() {
        check_names("[table](../tests/table.rs) `a_rule`, `other_rule` and `a_rule`", &[]);
        check_names(
            "| a | b |\n|---|---|\n| x | [table](../tests/table.rs) `a_lie`, `no_rule` |",
            &["a_lie", "no_rule"],
        );
        check_names("[the `table_of` rules](../tests/table.rs) `a_comment`", &["a_comment"]);
        check_names("[table](../tests/table.rs)\n`no_rule`", &["no_rule"]);
        // Other names, other words between, other files.
        check_names(
            "[table](../tests/table.rs) `Table::no_rule`, (`no_rule` of old), and then `no_rule`",
            &[],
        );
        check_names("`no_rule` [b](b.md) `no_rule` [out](https://example.org/a.rs) `no_rule`", &[]);
    }

    #[test]
    fn the_birds_eye_view_stays_short() {
        let long = Tree::of(&[("ARCHITECTURE.md", &"a\n".repeat(301))]);
        assert_eq!(check(&long.files[0], &long)[0].rule, "architecture-length");
        let fits = Tree::of(&[("ARCHITECTURE.md", &"a\n".repeat(300))]);
        assert!(check(&fits.files[0], &fits).is_empty());
    }
}
