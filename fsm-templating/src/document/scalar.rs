//! Reads plain scalars by the YAML 1.2 core schema.

use serde_json::{Number, Value};

/// A plain scalar looks like a number that JSON can't hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} can't be held: {why}")]
pub struct BadNumber {
    what: &'static str,
    why: &'static str,
}

/// Reads an unquoted scalar: null, true, 42, 0x2A, 1.5e3; anything else is a text.
///
/// # Errors
/// [`BadNumber`] for infinity, NaN, and integers beyond 64 bits.
///
/// ```
/// use fsm_templating::resolve_plain;
/// assert_eq!(resolve_plain("0x1F").unwrap(), 31);
/// assert_eq!(resolve_plain("yes").unwrap(), "yes", "YAML 1.2 has one word for each boolean");
/// ```
pub fn resolve_plain(text: &str) -> Result<Value, BadNumber> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => match number(text)? {
            Some(number) => Value::Number(number),
            None => Value::String(text.to_owned()),
        },
    })
}

pub(super) fn number(text: &str) -> Result<Option<Number>, BadNumber> {
    // Most scalars are words: leave at the first character.
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Ok(None);
    }
    let too_large = BadNumber { what: "an integer", why: "it needs more than 64 bits" };
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let fits = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
            return match fits {
                false => Ok(None),
                true => u64::from_str_radix(digits, radix).map(|n| Some(n.into())).map_err(|_| too_large),
            };
        }
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Err(BadNumber { what: "infinity or NaN", why: "JSON has no form for it" });
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|b| b.is_ascii_digit()) {
        let text = text.strip_prefix('+').unwrap_or(text);
        let signed = text.parse::<i64>().map(Number::from);
        return signed.or_else(|_| text.parse::<u64>().map(Number::from)).map(Some).map_err(|_| too_large);
    }
    if !looks_like_float(unsigned) {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(float) => Number::from_f64(float)
            .map(Some)
            .ok_or(BadNumber { what: "a number", why: "it is beyond the range of a 64-bit float" }),
        Err(_) => Ok(None),
    }
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn looks_like_float(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let exponent_ok = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    let mantissa_ok = match mantissa.split_once('.') {
        Some((whole, part)) => digits(whole) && digits(part) && !(whole.is_empty() && part.is_empty()),
        None => !mantissa.is_empty() && digits(mantissa),
    };
    exponent_ok && mantissa_ok
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn core_schema_decides_types() {
        for (text, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("true", json!(true)),
            ("TRUE", json!(true)),
            ("no", json!("no")),
            ("42", json!(42)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("18446744073709551615", json!(u64::MAX)),
            ("0o17", json!(15)),
            ("0x", json!("0x")),
            ("0xfg", json!("0xfg")),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("1e3", json!(1000.0)),
            ("-1.5E-1", json!(-0.15)),
            ("1e", json!("1e")),
            (".", json!(".")),
            ("-", json!("-")),
            ("+", json!("+")),
            ("10.0.0.7", json!("10.0.0.7")),
            ("1s", json!("1s")),
            ("12:30", json!("12:30")),
            ("2026-11-21", json!("2026-11-21")),
        ] {
            assert_eq!(resolve_plain(text).as_ref(), Ok(&value), "{text:?}");
        }
    }

    #[test]
    fn numbers_that_json_lacks_are_errors() {
        for text in [
            ".inf",
            "-.INF",
            ".nan",
            "18446744073709551616",
            "-9223372036854775809",
            "0xFFFFFFFFFFFFFFFFF",
            "1e999",
        ] {
            assert!(resolve_plain(text).is_err(), "{text}");
        }
    }
}
