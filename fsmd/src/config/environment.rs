//! `${NAME}` and `${NAME:-default}`: filled in when the file is loaded, in scalars only (C-4).

use fsm_templating::{Diagnostic, Diagnostics, Node, Style, nearest, resolve_plain};
use serde_json::Value;

use super::codes;

/// Fills in every scalar of the document.
pub(super) fn fill_in(document: &mut Node, found: &mut Diagnostics) {
    document.for_each_scalar_mut(&mut |path, scalar, place| {
        let Value::String(text) = &scalar.value else { return };
        if !text.contains("${") {
            return;
        }
        match filled(text, &|name| std::env::var(name).ok()) {
            Ok(filled) => {
                let plain = scalar.style == Style::Plain;
                // A plain scalar is read again: `port: ${PORT}` is a number.
                let read = plain.then(|| resolve_plain(&filled).ok()).flatten();
                scalar.value = read.unwrap_or(Value::String(filled));
            }
            Err(name) => {
                let set: Vec<String> =
                    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect();
                let hint = nearest(&name, set.iter().map(String::as_str))
                    .map(|near| format!(", or did you mean `{near}`?"))
                    .unwrap_or_default();
                let help = format!("set it, give a default as in `${{{name}:-default}}`{hint}");
                let message = format!("the environment variable `{name}` is not set");
                found.push(
                    Diagnostic::error(codes::UNSET, message)
                        .at(place.clone())
                        .path(path.to_string())
                        .help(help),
                );
            }
        }
    });
}

/// The text with all variables filled in, or the name of one that is not set. What is not of the form stays as it is.
fn filled(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let inner = &rest[start + 2..];
        let Some(end) = inner.find('}') else { break };
        let (name, default) = match inner[..end].split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (&inner[..end], None),
        };
        if is_name(name) {
            match environment(name).filter(|value| !value.is_empty() || default.is_none()) {
                Some(value) => out.push_str(&value),
                None => out.push_str(default.ok_or(name)?),
            }
        } else {
            out.push_str(&rest[start..start + 2 + end + 1]);
        }
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(out)
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(name: &str) -> Option<String> {
        match name {
            "HOST" => Some("plc-7".into()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&str, &str>) {
        assert_eq!(filled(text, &environment), expected.map(str::to_owned).map_err(str::to_owned));
    }

    // spec: C-4
    #[test]
    fn a_variable_is_filled_in_wherever_it_stands_in_a_text() {
        check("mqtt://${HOST}:1883", Ok("mqtt://plc-7:1883"));
        check("${HOST}${HOST}", Ok("plc-7plc-7"));
        check("${NOBODY:-x}", Ok("x"));
        check("${NOBODY:-}", Ok(""));
        check("${EMPTY:-x}", Ok("x"));
        check("${EMPTY}", Ok(""));
    }

    // spec: C-4
    #[test]
    fn an_unset_variable_without_default_is_an_error_that_names_it() {
        check("${NOBODY}", Err("NOBODY"));
    }

    #[test]
    fn what_is_no_variable_stays_as_it_is() {
        check("${", Ok("${"));
        check("${a b}", Ok("${a b}"));
        check("$HOST {HOST}", Ok("$HOST {HOST}"));
    }
}
