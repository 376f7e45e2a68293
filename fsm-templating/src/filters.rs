//! The filters this project adds (T-10), and bounded forms of those that could fill the memory.

use std::borrow::Cow;

use minijinja::{Environment, Error, ErrorKind, Value};

/// Largest text a template may make, in bytes: a config scalar of 16 MiB is already a mistake.
pub(crate) const MAX_TEXT: usize = 16 << 20;

pub(crate) fn install(env: &mut Environment<'static>) {
    env.add_filter("slug", |text: Cow<'_, str>| slug(&text));
    env.add_filter("uns", |text: Cow<'_, str>| uns(&text));
    env.add_filter("replace", replace);
    env.add_filter("join", join);
    // `debug` and `pprint` print values; `namespace` is for assignments, which are not offered; the others allocate
    // by a number that the template gives.
    for name in ["debug", "namespace"] {
        env.remove_global(name);
    }
    for name in ["pprint", "format", "indent", "batch", "slice", "safe", "escape", "e"] {
        env.remove_filter(name);
    }
}

/// Makes a name out of any text: lower case letters, digits and single hyphens.
///
/// ```
/// assert_eq!(fsm_templating::slug("Presse Nr. 7 (Süd)"), "presse-nr-7-sued");
/// ```
#[must_use]
pub fn slug(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => out.push(c),
            'ä' => out.push_str("ae"),
            'ö' => out.push_str("oe"),
            'ü' => out.push_str("ue"),
            'ß' => out.push_str("ss"),
            'à' | 'á' | 'â' | 'ã' | 'å' => out.push('a'),
            'ç' => out.push('c'),
            'è' | 'é' | 'ê' | 'ë' => out.push('e'),
            'ì' | 'í' | 'î' | 'ï' => out.push('i'),
            'ñ' => out.push('n'),
            'ò' | 'ó' | 'ô' | 'õ' | 'ø' => out.push('o'),
            'ù' | 'ú' | 'û' => out.push('u'),
            _ if out.ends_with('-') || out.is_empty() => {}
            _ => out.push('-'),
        }
    }
    if out.ends_with('-') {
        out.pop();
    }
    out
}

/// Makes one segment of a topic out of any text: `/`, `+`, `#`, `.`, `$` at the beginning, white space and control
/// characters become `_`, and so does an empty text.
///
/// The dot counts, because paths of the unified namespace are joined by it.
///
/// ```
/// assert_eq!(fsm_templating::uns("Line 4/a.b#"), "Line_4_a_b_");
/// ```
#[must_use]
pub fn uns(text: &str) -> String {
    if text.is_empty() {
        return "_".into();
    }
    let escape = |(at, c): (usize, char)| {
        let bad = matches!(c, '/' | '+' | '#' | '.') || c.is_whitespace() || c.is_control();
        if bad || (at == 0 && c == '$') { '_' } else { c }
    };
    text.char_indices().map(escape).collect()
}

fn replace(text: Cow<'_, str>, from: Cow<'_, str>, to: Cow<'_, str>) -> Result<String, Error> {
    let growth = text.matches(&*from).count().saturating_mul(to.len());
    bounded(text.len().saturating_add(growth))?;
    Ok(text.replace(&*from, &to))
}

fn join(items: &Value, separator: Option<&str>) -> Result<String, Error> {
    let separator = separator.unwrap_or_default();
    let mut out = String::new();
    for (index, item) in items.try_iter()?.enumerate() {
        if item.is_undefined() {
            return Err(Error::from(ErrorKind::UndefinedError));
        }
        if index > 0 {
            out.push_str(separator);
        }
        match item.as_str() {
            Some(text) => out.push_str(text),
            None => out.push_str(&item.to_string()),
        }
        bounded(out.len())?;
    }
    Ok(out)
}

pub(crate) fn bounded(len: usize) -> Result<(), Error> {
    match len > MAX_TEXT {
        true => Err(Error::new(ErrorKind::OutOfFuel, "the text is larger than 16 MiB")),
        false => Ok(()),
    }
}
