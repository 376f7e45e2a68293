//! Builds the tree from YAML events: aliases and merges are resolved here, within limits.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;
use indexmap::map::Entry as Slot;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use serde_json::Value;

use super::load::{Limits, Loaded, duplicate, too_deep};
use super::{Entry, Kind, Node, Scalar, Style, resolve_plain};
use crate::diagnostic::{Diagnostic, codes};
use crate::source::{Place, Source, Span};

pub(super) fn parse(source: &Arc<Source>, limits: Limits) -> Loaded<Node> {
    let mut builder = Builder {
        source,
        offsets: Offsets::new(source.text()),
        limits,
        stack: Vec::new(),
        anchors: HashMap::new(),
        added: Weight::default(),
        root: None,
    };
    for event in Parser::new_from_str(source.text()) {
        let (event, span) = event.map_err(|error| builder.syntax(&error))?;
        let place = builder.place(span);
        builder.event(event, place)?;
    }
    let nothing = || Node::new(scalar(Value::Null, Style::Plain), source.place(Span::new(0, 0)));
    Ok(builder.root.unwrap_or_else(nothing))
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    offsets: Offsets<'a>,
    limits: Limits,
    stack: Vec<Frame>,
    anchors: HashMap<usize, (Node, Weight)>,
    added: Weight,
    root: Option<Node>,
}

/// A container that is not closed yet.
struct Frame {
    anchor: usize,
    start: Place,
    open: Open,
}

enum Open {
    Sequence(Vec<Node>),
    Mapping { map: IndexMap<String, Entry>, key: Option<(String, Place)>, merges: Vec<Node> },
}

/// How much a subtree is: an alias adds that much again.
#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, place: Place) -> Loaded<()> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => Err(fail(
                codes::MANY_DOCUMENTS,
                "a second document begins here",
                place,
                "one document per file: split the file, or remove the `---`",
            )),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(id) => self.alias(id, place),
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref(), place)
            }
            Event::SequenceStart(anchor, tag) => {
                check_container_tag(tag.as_deref(), "seq", &place)?;
                self.open(anchor, place, Open::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                check_container_tag(tag.as_deref(), "map", &place)?;
                self.open(
                    anchor,
                    place,
                    Open::Mapping { map: IndexMap::new(), key: None, merges: Vec::new() },
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(place),
        }
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        place: Place,
    ) -> Loaded<()> {
        let style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        };
        // Keys are names: `1:` and `true:` are the names "1" and "true".
        if self.wants_key() && tag.is_none() {
            let is_null = style == Style::Plain && matches!(text, "" | "~");
            if is_null {
                return Err(bad_key(place, self.source));
            }
            let value = Value::String(text.to_owned());
            return self.add(Node::new(scalar(value, style), place), anchor);
        }
        let value = match tag {
            Some(tag) => tagged(tag, text, &place)?,
            None if style == Style::Plain => {
                resolve_plain(text).map_err(|error| bad_number(&error.to_string(), &place))?
            }
            None => Value::String(text.to_owned()),
        };
        self.add(Node::new(scalar(value, style), place), anchor)
    }

    fn wants_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { open: Open::Mapping { key: None, .. }, .. }))
    }

    fn open(&mut self, anchor: usize, start: Place, open: Open) -> Loaded<()> {
        if self.stack.len() >= self.limits.depth {
            return Err(too_deep(start, self.limits));
        }
        if self.wants_key() {
            // The mapping that lacks a key may itself be the outer brace of `{{ … }}`.
            return Err(bad_key(start, self.source));
        }
        self.stack.push(Frame { anchor, start, open });
        Ok(())
    }

    fn close(&mut self, end: Place) -> Loaded<()> {
        let Some(frame) = self.stack.pop() else { return Ok(()) };
        let span = Span { start: frame.start.span().start, end: end.span().end.max(frame.start.span().end) };
        let kind = match frame.open {
            Open::Sequence(items) => Kind::Sequence(items),
            Open::Mapping { mut map, merges, .. } => {
                for merged in merges {
                    self.merge(&mut map, merged)?;
                }
                Kind::Mapping(map)
            }
        };
        self.add(Node::new(kind, self.source.place(span)), frame.anchor)
    }

    fn add(&mut self, node: Node, anchor: usize) -> Loaded<()> {
        if anchor > 0 {
            let weight = weigh(&node);
            self.charge(weight, node.place())?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut frame.open {
            Open::Sequence(items) => items.push(node),
            Open::Mapping { map, key, merges } => match key.take() {
                None => match node.as_str() {
                    Some(name) => *key = Some((name.to_owned(), node.place().clone())),
                    None => return Err(bad_key(node.place().clone(), self.source)),
                },
                Some((name, place)) if name == "<<" && is_plain(&place) => merges.push(node),
                Some((name, key_place)) => match map.entry(name) {
                    Slot::Occupied(slot) => {
                        return Err(duplicate(slot.key(), key_place, slot.get().key_place.clone()));
                    }
                    Slot::Vacant(slot) => {
                        slot.insert(Entry { key_place, value: node });
                    }
                },
            },
        }
        Ok(())
    }

    fn alias(&mut self, id: usize, place: Place) -> Loaded<()> {
        let Some((node, weight)) = self.anchors.get(&id) else {
            let message = "this alias stands inside what it repeats";
            return Err(fail(
                codes::BAD_ALIAS,
                message,
                place,
                "an alias must come after the end of its anchor",
            ));
        };
        let (node, weight) = (node.clone(), *weight);
        let depth = depth(&node);
        self.charge(weight, &place)?;
        if self.stack.len() + depth > self.limits.depth {
            return Err(too_deep(place, self.limits));
        }
        self.add(node, 0)
    }

    fn charge(&mut self, weight: Weight, place: &Place) -> Loaded<()> {
        self.added.nodes = self.added.nodes.saturating_add(weight.nodes);
        self.added.bytes = self.added.bytes.saturating_add(weight.bytes);
        if self.added.nodes > self.limits.alias_nodes || self.added.bytes > self.limits.alias_bytes {
            let message = "the aliases of this document repeat too much";
            let help = "write the repeated part once, as a template with parameters";
            return Err(fail(codes::BAD_ALIAS, message, place.clone(), help));
        }
        Ok(())
    }

    /// `<<: *base`, or a list of them: explicit keys win, then earlier ones.
    fn merge(&mut self, map: &mut IndexMap<String, Entry>, merged: Node) -> Loaded<()> {
        let place = merged.place().clone();
        match merged.kind {
            Kind::Mapping(entries) => {
                for (key, entry) in entries {
                    map.entry(key).or_insert(entry);
                }
                Ok(())
            }
            Kind::Sequence(items) if items.iter().all(|item| item.as_mapping().is_some()) => {
                items.into_iter().try_for_each(|item| self.merge(map, item))
            }
            Kind::Sequence(_) | Kind::Scalar(_) => {
                let help = "write `<<: *name`, where `&name` marks a mapping";
                Err(fail(codes::BAD_ALIAS, "`<<` merges a mapping, or a list of mappings", place, help))
            }
        }
    }

    fn place(&mut self, span: saphyr_parser::Span) -> Place {
        let start = self.offsets.byte(span.start.index());
        let end = self.offsets.byte(span.end.index());
        self.source.place(Span::new(start, end))
    }

    fn syntax(&mut self, error: &ScanError) -> Box<Diagnostic> {
        let at = self.offsets.byte(error.marker().index());
        let place = self.source.place(Span::new(at, at + 1));
        let info = error.info();
        let (message, help) = if info.contains("recursion limit") {
            // The scanner looks ahead and stops before our own limit is seen.
            return too_deep(place, self.limits);
        } else if info.contains("unknown anchor") {
            let text = "this alias has no anchor before it";
            return fail(codes::BAD_ALIAS, text, place, "mark the value to repeat with `&name` further up");
        } else if info.contains("tab") {
            ("a tab is used for indentation", "YAML is indented with spaces")
        } else if info.contains("mapping values are not allowed") {
            ("a `:` can't stand here", "put the text into quotes if the `:` belongs to it")
        } else {
            (info, "")
        };
        // The unquoted template mark is the most frequent way to get here.
        let (line, _) = place.source().line(place.line_col().0);
        let help = if line.contains(": {{") { QUOTE_HELP } else { help };
        let error = Diagnostic::error(codes::SYNTAX, message).at(place.clone());
        Box::new(if help.is_empty() { error } else { error.help(help) })
    }
}

const QUOTE_HELP: &str = "put a value that begins with `{{` into quotes: \"{{ … }}\"; it keeps its type";

fn bad_key(place: Place, source: &Arc<Source>) -> Box<Diagnostic> {
    let start = place.span().start as usize;
    let text = source.text();
    let mark = start > 0 && text.get(start - 1..start + 1) == Some("{{");
    match mark {
        true => {
            let whole = source.place(Span::new(start - 1, start + 1));
            fail(codes::BAD_KEY, "a template mark stands here without quotes", whole, QUOTE_HELP)
        }
        false => {
            fail(codes::BAD_KEY, "this key is not a text", place, "write the key as a word, or in quotes")
        }
    }
}

fn bad_number(message: &str, place: &Place) -> Box<Diagnostic> {
    fail(codes::BAD_NUMBER, message, place.clone(), "write it in quotes if it is meant as a text")
}

fn fail(code: crate::diagnostic::Code, message: &str, place: Place, help: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(code, message).at(place).help(help))
}

fn scalar(value: Value, style: Style) -> Kind {
    Kind::Scalar(Scalar { value, style })
}

/// `"<<"` in quotes is a key like any other.
fn is_plain(key: &Place) -> bool {
    key.source().slice(key.span()) == "<<"
}

fn tagged(tag: &Tag, text: &str, place: &Place) -> Loaded<Value> {
    let unknown = || unknown_tag(tag, place);
    if !tag.is_yaml_core_schema() {
        // `!` alone says: as it is, a text.
        let non_specific = tag.handle.is_empty() && tag.suffix == "!";
        return if non_specific { Ok(Value::String(text.to_owned())) } else { Err(unknown()) };
    }
    let value = match tag.suffix.as_str() {
        "str" => return Ok(Value::String(text.to_owned())),
        "int" | "float" | "bool" | "null" => {
            resolve_plain(text).map_err(|error| bad_number(&error.to_string(), place))?
        }
        _ => return Err(unknown()),
    };
    let (value, fits) = match tag.suffix.as_str() {
        "int" => (value.clone(), value.is_i64() || value.is_u64()),
        "float" => (value.as_f64().map_or(Value::Null, Value::from), value.is_number()),
        "bool" => (value.clone(), value.is_boolean()),
        _ => (value.clone(), value.is_null()),
    };
    match fits {
        true => Ok(value),
        false => {
            let message = format!("this is not what the tag `!!{}` says", tag.suffix);
            Err(Box::new(Diagnostic::error(codes::WRONG_TYPE, message).at(place.clone())))
        }
    }
}

fn check_container_tag(tag: Option<&Tag>, expected: &str, place: &Place) -> Loaded<()> {
    match tag {
        Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == expected) => Err(unknown_tag(tag, place)),
        Some(_) | None => Ok(()),
    }
}

fn unknown_tag(tag: &Tag, place: &Place) -> Box<Diagnostic> {
    let shown = if tag.is_yaml_core_schema() { "!!" } else { tag.handle.as_str() };
    let message = format!("the tag `{shown}{}` is not supported", tag.suffix);
    fail(codes::UNKNOWN_TAG, &message, place.clone(), "remove the tag")
}

fn weigh(node: &Node) -> Weight {
    let add = |a: Weight, b: Weight| Weight { nodes: a.nodes + b.nodes, bytes: a.bytes + b.bytes };
    match &node.kind {
        Kind::Scalar(scalar) => Weight { nodes: 1, bytes: scalar.value.as_str().map_or(8, str::len) },
        Kind::Sequence(items) => items.iter().map(weigh).fold(Weight { nodes: 1, bytes: 0 }, add),
        Kind::Mapping(map) => map.iter().fold(Weight { nodes: 1, bytes: 0 }, |sum, (key, entry)| {
            add(add(sum, Weight { nodes: 0, bytes: key.len() }), weigh(&entry.value))
        }),
    }
}

fn depth(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar(_) => 0,
        Kind::Sequence(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Kind::Mapping(map) => 1 + map.values().map(|entry| depth(&entry.value)).max().unwrap_or(0),
    }
}

/// Turns the parser's character indices into byte offsets.
struct Offsets<'a> {
    text: &'a str,
    /// Byte offset of each [`STEP`](Self::STEP)-th character; empty when all characters are one byte.
    marks: Vec<usize>,
}

impl<'a> Offsets<'a> {
    /// Far enough apart to cost little memory, near enough that the walk from one costs little time.
    const STEP: usize = 64;

    fn new(text: &'a str) -> Self {
        let marks = match text.is_ascii() {
            true => Vec::new(),
            false => text.char_indices().step_by(Self::STEP).map(|(at, _)| at).collect(),
        };
        Self { text, marks }
    }

    fn byte(&self, index: usize) -> usize {
        if self.marks.is_empty() {
            return index.min(self.text.len());
        }
        let Some(mark) = self.marks.get(index / Self::STEP) else { return self.text.len() };
        let rest = &self.text[*mark..];
        rest.char_indices().nth(index % Self::STEP).map_or(self.text.len(), |(at, _)| mark + at)
    }
}
