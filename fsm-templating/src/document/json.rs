//! Reads JSON strictly, with places: serde_json gives none for values.

use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::Entry as Slot;
use serde_json::Value;

use super::load::{Limits, Loaded, duplicate, too_deep};
use super::{Entry, Kind, Node, Scalar, Style};
use crate::diagnostic::{Diagnostic, codes};
use crate::source::{Place, Source, Span};

pub(super) fn parse(source: &Arc<Source>, limits: Limits) -> Loaded<Node> {
    let mut reader = Reader { source, text: source.text(), at: 0, limits };
    reader.at = if reader.text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let node = reader.value(0)?;
    reader.space();
    match reader.at == reader.text.len() {
        true => Ok(node),
        false => Err(reader.unexpected("the end of the document")),
    }
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    text: &'a str,
    at: usize,
    limits: Limits,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Loaded<Node> {
        self.space();
        if depth > self.limits.depth {
            return Err(too_deep(self.place(self.at), self.limits));
        }
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => self.object(depth)?,
            Some(b'[') => self.array(depth)?,
            Some(b'"') => text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(_) | None => self.word()?,
        };
        Ok(Node::new(kind, self.place(start)))
    }

    fn object(&mut self, depth: usize) -> Loaded<Kind> {
        let mut map = IndexMap::new();
        self.at += 1;
        self.space();
        while self.peek() != Some(b'}') {
            if !map.is_empty() {
                self.expect(b',', "`,` or `}`")?;
                self.space();
            }
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in double quotes"));
            }
            let key = self.string()?;
            let key_place = self.place(start);
            self.space();
            self.expect(b':', "`:`")?;
            let value = self.value(depth + 1)?;
            match map.entry(key) {
                Slot::Occupied(slot) => {
                    let slot: indexmap::map::OccupiedEntry<'_, String, Entry> = slot;
                    return Err(duplicate(slot.key(), key_place, slot.get().key_place.clone()));
                }
                Slot::Vacant(slot) => slot.insert(Entry { key_place, value }),
            };
            self.space();
        }
        self.at += 1;
        Ok(Kind::Mapping(map))
    }

    fn array(&mut self, depth: usize) -> Loaded<Kind> {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        while self.peek() != Some(b']') {
            if !items.is_empty() {
                self.expect(b',', "`,` or `]`")?;
            }
            items.push(self.value(depth + 1)?);
            self.space();
        }
        self.at += 1;
        Ok(Kind::Sequence(items))
    }

    fn string(&mut self) -> Loaded<String> {
        let start = self.at;
        let mut escaped = false;
        for (offset, byte) in self.text.as_bytes()[start + 1..].iter().enumerate() {
            match byte {
                b'\\' if !escaped => escaped = true,
                b'"' if !escaped => {
                    self.at = start + offset + 2;
                    let raw = &self.text[start..self.at];
                    return serde_json::from_str(raw).map_err(|error| {
                        let place = self.place(start);
                        syntax(place, &format!("this text is not valid: {}", reason(&error)))
                    });
                }
                _ => escaped = false,
            }
        }
        self.at = self.text.len();
        Err(syntax(self.place(start), "this text has no closing quote"))
    }

    fn number(&mut self) -> Loaded<Kind> {
        let start = self.at;
        let rest = &self.text[start..];
        let end =
            rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        self.at += end;
        let raw = &rest[..end];
        let integer = !raw.contains(['.', 'e', 'E']);
        let number = serde_json::from_str::<serde_json::Number>(raw)
            .map_err(|_| Diagnostic::error(codes::BAD_NUMBER, "this is not a number JSON can hold"));
        match number {
            // serde_json turns an integer that is too large into a float, which loses digits.
            Ok(number) if integer && number.is_f64() => {
                let error = Diagnostic::error(codes::BAD_NUMBER, "this integer needs more than 64 bits");
                Err(Box::new(error.at(self.place(start)).help("write it in quotes if it is meant as a text")))
            }
            Ok(number) if integer => Ok(scalar(Value::Number(number))),
            // Its floats may be off by the last bit.
            Ok(number) => Ok(scalar(raw.parse::<f64>().map_or(Value::Number(number), Value::from))),
            Err(error) => Err(Box::new(error.at(self.place(start)))),
        }
    }

    fn word(&mut self) -> Loaded<Kind> {
        let rest = &self.text[self.at..];
        for (word, value) in
            [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)]
        {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(scalar(value));
            }
        }
        Err(self.unexpected("a value"))
    }

    fn expect(&mut self, byte: u8, what: &str) -> Loaded<()> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected(what));
        }
        self.at += 1;
        Ok(())
    }

    fn unexpected(&self, expected: &str) -> Box<Diagnostic> {
        let found = match self.text[self.at..].chars().next() {
            Some(c) if !c.is_control() => format!("`{c}`"),
            Some(_) => "a control character".into(),
            None => "the end of the document".into(),
        };
        let place = self.source.place(Span::new(self.at, self.at + usize::from(self.at < self.text.len())));
        syntax(place, &format!("expected {expected}, found {found}"))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn place(&self, start: usize) -> Place {
        self.source.place(Span::new(start, self.at))
    }
}

fn syntax(place: Place, message: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(codes::SYNTAX, message).at(place))
}

/// serde_json's message without the position, which counts from the beginning of the string.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line").next().unwrap_or_default().to_owned()
}

fn scalar(value: Value) -> Kind {
    Kind::Scalar(Scalar { value, style: Style::Plain })
}

fn text(text: String) -> Kind {
    Kind::Scalar(Scalar { value: Value::String(text), style: Style::Quoted })
}
