//! Rules about documents: links lead somewhere, and the bird's eye view stays one.

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
    found
}

fn resolve(file: &File, tree: &Tree, target: &str) -> Result<(), String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return Ok(());
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let path = match path {
        "" => file.path.clone(),
        _ => join(folder, path).ok_or_else(|| format!("`{target}` leads out of the repository"))?,
    };
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

    #[test]
    fn the_birds_eye_view_stays_short() {
        let long = Tree::of(&[("ARCHITECTURE.md", &"a\n".repeat(301))]);
        assert_eq!(check(&long.files[0], &long)[0].rule, "architecture-length");
        let fits = Tree::of(&[("ARCHITECTURE.md", &"a\n".repeat(300))]);
        assert!(check(&fits.files[0], &fits).is_empty());
    }
}
