//! Tells Rust's comments from its code and literals, so that a rule about one is not fooled by another.

/// A file in two layers of the same lines: what is not in a layer is blank there.
#[derive(Default)]
pub(crate) struct Masked {
    /// Code without comments; literals are emptied to their quotes.
    pub(crate) code: Vec<String>,
    /// The text of comments, with their slashes.
    pub(crate) comments: Vec<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Layer {
    Code,
    Comment,
    Literal,
}

/// Splits a file into its layers.
pub(crate) fn mask(text: &str) -> Masked {
    let mut masked = Masked::default();
    let (mut code, mut comment) = (String::new(), String::new());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let (layer, length) = token(rest, code.chars().next_back());
        for char in rest[..length.max(next.len_utf8())].chars() {
            if char == '\n' {
                masked.code.push(std::mem::take(&mut code));
                masked.comments.push(std::mem::take(&mut comment));
                continue;
            }
            code.push(if layer == Layer::Code { char } else { ' ' });
            comment.push(if layer == Layer::Comment { char } else { ' ' });
        }
        rest = &rest[length.max(next.len_utf8())..];
    }
    masked.code.push(code);
    masked.comments.push(comment);
    masked
}

/// The layer and the length in bytes of what `rest` begins with.
fn token(rest: &str, before: Option<char>) -> (Layer, usize) {
    if rest.starts_with("//") {
        return (Layer::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Layer::Comment, block_comment(rest));
    }
    let in_word = before.is_some_and(|char| char.is_alphanumeric() || char == '_');
    if !in_word && let Some(length) = raw_string(rest) {
        return (Layer::Literal, length);
    }
    if rest.starts_with('"') {
        return (Layer::Literal, quoted(rest, '"'));
    }
    if rest.starts_with('\'') && is_char(rest) {
        return (Layer::Literal, quoted(rest, '\''));
    }
    (Layer::Code, rest.chars().next().map_or(0, char::len_utf8))
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_u32, 0);
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// `r"…"`, `r#"…"#`, `br"…"`, `cr"…"`.
fn raw_string(rest: &str) -> Option<usize> {
    let after =
        rest.strip_prefix("br").or_else(|| rest.strip_prefix("cr")).or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = rest.len() - body.len();
    Some(body.find(&end).map_or(rest.len(), |at| start + at + end.len()))
}

fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, char) in rest.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            end if end == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A character literal, not a lifetime.
fn is_char(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), Some(_)) => true,
        (Some(_), Some('\'')) => true,
        (Some(_) | None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, code: &str, comments: &str) {
        let masked = mask(text);
        let join = |lines: &[String]| {
            let words = |line: &String| line.split_whitespace().collect::<Vec<_>>().join(" ");
            lines.iter().map(words).collect::<Vec<_>>().join("|")
        };
        assert_eq!((join(&masked.code).as_str(), join(&masked.comments).as_str()), (code, comments));
        assert_eq!(masked.code.len(), text.split('\n').count());
    }

    #[test]
    fn comments_are_told_from_code() {
        check("a(); // why\nb();", "a();|b();", "// why|");
        check("a /* x /* y */\n z */ b", "a| b".replace("| ", "|").as_str(), "/* x /* y */|z */");
    }

    #[test]
    fn slashes_in_literals_are_no_comment() {
        check(r#"a("http://x"); // c"#, "a( );", "// c");
        check(r##"a(r#"// "no" "#, '"', b'/')"##, "a( , , b )", "");
        check(r#"a("\"// no")"#, "a( )", "");
    }

    #[test]
    fn lifetimes_are_no_character_literals() {
        check("fn a<'a>(x: &'a str) {} // c", "fn a<'a>(x: &'a str) {}", "// c");
        check(r"a('\'', 'x')", "a( , )", "");
    }

    #[test]
    fn a_name_that_ends_in_r_begins_no_raw_string() {
        check(r#"bar"x" // c"#, "bar", "// c");
    }
}
