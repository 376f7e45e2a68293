//! Replaces the part of a document that a command writes, and leaves the rest to its authors.

use anyhow::{Result, bail};

/// The text between `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
pub(crate) fn between<'a>(document: &'a str, name: &str) -> Result<&'a str> {
    let (begin, end) = (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"));
    let Some((_, rest)) = document.split_once(&begin) else { bail!("the document lacks `{begin}`") };
    let Some((part, _)) = rest.split_once(&end) else { bail!("the document lacks `{end}` after `{begin}`") };
    Ok(part)
}

/// The document with another text between the markers.
pub(crate) fn replace(document: &str, name: &str, text: &str) -> Result<String> {
    let part = between(document, name)?;
    let start = part.as_ptr() as usize - document.as_ptr() as usize;
    let (before, after) = (&document[..start], &document[start + part.len()..]);
    Ok(format!("{before}\n{}\n{after}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_marked_part_changes() {
        let document = "a\n<!-- x:begin -->\nold\n<!-- x:end -->\nb\n";
        let replaced = replace(document, "x", "new\n").expect("marked");
        assert_eq!(replaced, "a\n<!-- x:begin -->\nnew\n<!-- x:end -->\nb\n");
        assert_eq!(replace(&replaced, "x", "new\n").expect("marked"), replaced);
    }

    #[test]
    fn a_missing_marker_is_named() {
        let error = replace("a\n<!-- x:begin -->\n", "x", "").expect_err("no end");
        assert!(error.to_string().contains("x:end"));
    }
}
