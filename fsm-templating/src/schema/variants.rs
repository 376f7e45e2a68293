//! `oneOf` and `anyOf`: finds out which alternative is meant, so that the error is about that one.

use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::{Checker, describe};
use crate::diagnostic::{Diagnostic, Diagnostics, codes};
use crate::document::{Kind, Node, Path, Segment};
use crate::suggest::did_you_mean;

/// The alternatives of an enum as serde tags it from outside: `input: stdin`, `input: {mqtt: {…}}`.
#[derive(Default)]
struct Tagged<'a> {
    /// Variants that are a name only.
    names: Vec<&'a str>,
    /// Variants with settings.
    settings: IndexMap<&'a str, &'a Value>,
}

type Alternatives<'a> = Vec<(&'a Value, &'a Map<String, Value>)>;

impl<'a> Checker<'a> {
    pub(super) fn variants(
        &self,
        node: &Node,
        alternatives: &'a [Value],
        path: &mut Path,
        found: &mut Diagnostics,
    ) {
        let all: Alternatives<'a> = alternatives.iter().filter_map(|s| Some((s, self.resolve(s)?))).collect();
        let is_null = |map: &Map<String, Value>| map.get("type").is_some_and(|name| name == "null");
        if all.iter().any(|(_, map)| is_null(map)) && describe::type_fits(&Value::String("null".into()), node)
        {
            return;
        }
        let all: Alternatives<'a> = all.into_iter().filter(|(_, map)| !is_null(map)).collect();
        match all.as_slice() {
            [] => {}
            [(only, _)] => self.check(node, only, path, found),
            _ => match (tagged(&all), internal_tag(&all)) {
                (Some(tagged), _) => self.tagged(node, &tagged, path, found),
                (None, Some(tag)) => self.internal(node, tag, &all, path, found),
                (None, None) => self.untagged(node, &all, path, found),
            },
        }
    }

    fn tagged(&self, node: &Node, tagged: &Tagged<'a>, path: &mut Path, found: &mut Diagnostics) {
        let known =
            || tagged.names.iter().copied().chain(tagged.settings.keys().copied()).collect::<Vec<_>>();
        let unknown = |name: &str| {
            let error = Diagnostic::error(codes::UNKNOWN_VARIANT, format!("unknown name `{name}`"));
            error.maybe_help(did_you_mean(name, known()))
        };
        match &node.kind {
            Kind::Mapping(map) => {
                for (name, entry) in map {
                    let place = entry.key_place.clone();
                    match tagged.settings.get(name.as_str()) {
                        Some(schema) => {
                            path.push(Segment::Key(name.clone()));
                            self.check(&entry.value, schema, path, found);
                            path.pop();
                        }
                        None if tagged.names.contains(&name.as_str()) => {
                            let message = format!("`{name}` has no settings");
                            let error = Diagnostic::error(codes::UNKNOWN_VARIANT, message).at(place);
                            self.report(found, path, error.help(format!("write `{name}` alone, as a text")));
                        }
                        None => self.report(found, path, unknown(name).at(place)),
                    }
                }
                if map.len() != 1 {
                    let message = format!("expected exactly one key here, found {}", map.len());
                    let place = map.get_index(1).map_or(node.place(), |(_, entry)| &entry.key_place);
                    let error = Diagnostic::error(codes::UNKNOWN_VARIANT, message).at(place.clone());
                    let names: Vec<_> = known().iter().map(|name| format!("`{name}`")).collect();
                    self.report(found, path, error.help(format!("keep one of {}", names.join(", "))));
                }
            }
            Kind::Scalar(_) | Kind::Sequence(_) => {
                let error = match node.as_str() {
                    Some(text) if tagged.names.contains(&text) => return,
                    Some(text) if tagged.settings.contains_key(text) => {
                        let message = format!("`{text}` needs settings");
                        let error = Diagnostic::error(codes::UNKNOWN_VARIANT, message);
                        error.help(format!("write {{{text}: {{…}}}}"))
                    }
                    Some(text) => unknown(text),
                    None => {
                        let names: Vec<_> = known().iter().map(|name| format!("`{name}`")).collect();
                        let message =
                            format!("expected one of {}, found {}", names.join(", "), describe::found(node));
                        Diagnostic::error(codes::WRONG_TYPE, message)
                    }
                };
                self.report(found, path, error.at(node.place().clone()));
            }
        }
    }

    /// `{type: mqtt, …}`.
    fn internal(
        &self,
        node: &Node,
        tag: &str,
        all: &Alternatives<'a>,
        path: &mut Path,
        found: &mut Diagnostics,
    ) {
        let Some(map) = node.as_mapping() else {
            let message = format!("expected a mapping with the key `{tag}`, found {}", describe::found(node));
            self.report(found, path, Diagnostic::error(codes::WRONG_TYPE, message).at(node.place().clone()));
            return;
        };
        let names: Vec<&str> = all.iter().filter_map(|(_, map)| fixed_text(map, tag)).collect();
        let Some(entry) = map.get(tag) else {
            let message = format!("the key `{tag}` is missing");
            let error = Diagnostic::error(codes::MISSING_KEY, message).at(super::first_line(node));
            self.report(found, path, error.help(format!("it is one of {}", names.join(", "))));
            return;
        };
        let name = entry.value.as_str().unwrap_or_default();
        match all.iter().find(|(_, map)| fixed_text(map, tag) == Some(name)) {
            Some((schema, _)) => self.check(node, schema, path, found),
            None => {
                let error = Diagnostic::error(codes::UNKNOWN_VARIANT, format!("unknown name `{name}`"))
                    .at(entry.value.place().clone())
                    .maybe_help(did_you_mean(name, names));
                self.report(found, path, error);
            }
        }
    }

    fn untagged(&self, node: &Node, all: &Alternatives<'a>, path: &mut Path, found: &mut Diagnostics) {
        let fits =
            |map: &Map<String, Value>| map.get("type").is_none_or(|types| describe::type_fits(types, node));
        let mut best: Option<Diagnostics> = None;
        for (schema, _) in all.iter().filter(|(_, map)| fits(map)) {
            let mut tried = Diagnostics::default();
            self.check(node, schema, path, &mut tried);
            if tried.is_empty() {
                return;
            }
            if best.as_ref().is_none_or(|best| tried.len() < best.len()) {
                best = Some(tried);
            }
        }
        match best {
            Some(errors) => found.extend(errors),
            None => {
                let mut words: Vec<_> = all.iter().map(|(_, map)| self.expected(map)).collect();
                words.dedup();
                let message = format!("expected {}, found {}", words.join(" or "), describe::found(node));
                let error = Diagnostic::error(codes::NO_ALTERNATIVE, message).at(node.place().clone());
                self.report(found, path, error);
            }
        }
    }

    /// The alternative that is flattened into a mapping together with other keys.
    pub(super) fn flattened(&self, node: &Node, alternatives: &'a [Value]) -> Option<&'a Map<String, Value>> {
        let map = node.as_mapping()?;
        alternatives.iter().filter_map(|schema| self.resolve(schema)).find(|schema| {
            let required = schema.get("required").and_then(Value::as_array);
            required
                .is_some_and(|keys| keys.iter().filter_map(Value::as_str).all(|key| map.contains_key(key)))
        })
    }
}

/// Takes the alternatives as an externally tagged enum, if they are one.
fn tagged<'a>(all: &Alternatives<'a>) -> Option<Tagged<'a>> {
    let mut out = Tagged::default();
    for (_, map) in all {
        if let Some(name) = map.get("const") {
            out.names.push(name.as_str()?);
        } else if let Some(names) = map.get("enum").and_then(Value::as_array) {
            for name in names {
                out.names.push(name.as_str()?);
            }
        } else {
            let properties = map.get("properties").and_then(Value::as_object).filter(|p| p.len() == 1)?;
            let required = map.get("required").and_then(Value::as_array)?;
            let (name, schema) = properties.iter().next()?;
            // A fixed text in it is a tag inside, not outside.
            if required.first().and_then(Value::as_str) != Some(name) || schema.get("const").is_some() {
                return None;
            }
            out.settings.insert(name, schema);
        }
    }
    Some(out)
}

/// The key that tells the alternatives apart from inside, if there is one.
fn internal_tag<'a>(all: &Alternatives<'a>) -> Option<&'a str> {
    let (_, first) = all.first()?;
    let keys = first.get("properties")?.as_object()?.keys();
    keys.map(String::as_str).find(|key| all.iter().all(|(_, map)| fixed_text(map, key).is_some()))
}

fn fixed_text<'a>(map: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    let property = map.get("properties")?.get(key)?;
    let single = || property.get("enum")?.as_array().filter(|names| names.len() == 1)?.first();
    property.get("const").or_else(single)?.as_str()
}
