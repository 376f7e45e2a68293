//! One scalar of a template, compiled: plain lookups are done here, everything else by minijinja.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use minijinja::{Environment, Expression};

use super::context::{INTERNAL, Input};
use super::engine::environment;
use super::fault::Fault;
use super::split::{self, Piece};
use crate::location::Level;

/// A scalar with at least one template mark.
pub(super) struct Scalar {
    pub(super) source: Arc<str>,
    pub(super) program: Program,
}

pub(super) enum Program {
    /// Exactly one `{{ … }}`: keeps the type of its value.
    Single(Part),
    /// Text with expressions in it.
    Mixed(Vec<Part>),
    /// Statements: one minijinja template, always a text.
    Block(Box<Environment<'static>>),
}

pub(super) enum Part {
    Text(Box<str>),
    /// `ip`, `global.broker`, `item.address.host`: nearly all of what templates do, without an interpreter.
    Lookup(Lookup),
    Expression(Box<Expression<'static, 'static>>, Range<usize>),
}

pub(super) struct Lookup {
    pub(super) root: Root,
    pub(super) keys: Vec<Box<str>>,
    pub(super) range: Range<usize>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Root {
    Input(Input),
    LocationPath,
    LocationTopic,
}

/// The name a block template has in its own environment.
pub(super) const BLOCK: &str = "scalar";

/// What compiling finds out about a whole template.
#[derive(Default)]
pub(super) struct Names {
    /// Names that minijinja will look up.
    pub(super) roots: BTreeSet<String>,
    /// Flat user variables that may be used.
    pub(super) users: BTreeSet<String>,
}

impl Scalar {
    pub(super) fn compile(text: &str, fuel: u64, names: &mut Names) -> Result<Self, Vec<Fault>> {
        let pieces = split::split(text).map_err(|error| vec![Fault::of_split(error)])?;
        let program = Self::program(text, &pieces, fuel, names)?;
        Ok(Self { source: text.into(), program })
    }

    fn program(text: &str, pieces: &[Piece], fuel: u64, names: &mut Names) -> Result<Program, Vec<Fault>> {
        if let [Piece::Expr(expr)] = pieces {
            return part(text, expr.inner.clone(), fuel, names)
                .map(Program::Single)
                .map_err(|fault| vec![fault]);
        }
        let statements = pieces.iter().any(|piece| match piece {
            Piece::Tag => true,
            Piece::Expr(expr) => expr.trims,
            Piece::Text(_) | Piece::Comment => false,
        });
        if statements {
            return block(text, fuel, names).map_err(|fault| vec![fault]);
        }
        let (mut parts, mut faults) = (Vec::with_capacity(pieces.len()), Vec::new());
        for piece in pieces {
            match piece {
                Piece::Text(range) => parts.push(Part::Text(text[range.clone()].into())),
                Piece::Expr(expr) => match part(text, expr.inner.clone(), fuel, names) {
                    Ok(part) => parts.push(part),
                    Err(fault) => faults.push(fault),
                },
                Piece::Tag | Piece::Comment => {}
            }
        }
        if faults.is_empty() { Ok(Program::Mixed(parts)) } else { Err(faults) }
    }
}

fn part(text: &str, range: Range<usize>, fuel: u64, names: &mut Names) -> Result<Part, Fault> {
    let source = &text[range.clone()];
    if let Some((root, keys)) = lookup(source) {
        if let Root::Input(Input::User(name)) = &root {
            names.users.insert(name.to_string());
        }
        return Ok(Part::Lookup(Lookup { root, keys, range }));
    }
    if let Some(fault) = Fault::of_go_style(source, range.start) {
        return Err(fault);
    }
    let outer = if range.is_empty() {
        range.start.saturating_sub(2)..(range.end + 2).min(text.len())
    } else {
        range.clone()
    };
    let expression = environment(fuel).compile_expression_owned(source.to_owned()).map_err(|error| {
        let fault = Fault::of_compile(&error, source, range.start);
        if source.is_empty() { Fault { range: outer, ..fault } } else { fault }
    })?;
    remember(expression.undeclared_variables(false), names);
    Ok(Part::Expression(Box::new(expression), range))
}

fn block(text: &str, fuel: u64, names: &mut Names) -> Result<Program, Fault> {
    let mut env = environment(fuel).clone();
    env.add_template_owned(BLOCK, text.to_owned()).map_err(|error| Fault::of_compile(&error, text, 0))?;
    let used = env.get_template(BLOCK).map(|template| template.undeclared_variables(false));
    remember(used.unwrap_or_default(), names);
    Ok(Program::Block(Box::new(env)))
}

fn remember(used: impl IntoIterator<Item = String>, names: &mut Names) {
    for name in used {
        if let Some(Root::Input(Input::User(_))) = root(&name) {
            names.users.insert(name.clone());
        }
        names.roots.insert(name);
    }
}

/// `a.b.c`, when nothing but plain names is in it.
fn lookup(source: &str) -> Option<(Root, Vec<Box<str>>)> {
    let mut keys = source.split('.');
    let first = keys.next().filter(|name| is_name(name) && !is_keyword(name))?;
    let mut keys: Vec<Box<str>> = keys.map(|key| is_name(key).then(|| key.into())).collect::<Option<_>>()?;
    let root = match first {
        "global" if keys.is_empty() => Root::Input(Input::Globals),
        "global" => Root::Input(Input::Global(keys.remove(0).into())),
        "internal" => {
            let field = keys.first().filter(|field| INTERNAL.contains(&field.as_ref()))?.clone();
            keys.remove(0);
            Root::Input(Input::Internal(field.into()))
        }
        "location" if keys.is_empty() => Root::Input(Input::WholeLocation),
        "location" => {
            let level = Level::parse(keys.first()?)?;
            keys.remove(0);
            Root::Input(Input::Location(level))
        }
        _ => root(first)?,
    };
    Some((root, keys))
}

/// What a bare name means; `None` for the groups.
pub(super) fn root(name: &str) -> Option<Root> {
    Some(match name {
        "global" | "internal" | "location" => return None,
        "location_path" => Root::LocationPath,
        "location_topic" => Root::LocationTopic,
        "name" => Root::Input(Input::Name),
        "item" => Root::Input(Input::Item),
        "index" => Root::Input(Input::Index),
        _ => Root::Input(Input::User(name.into())),
    })
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_keyword(name: &str) -> bool {
    matches!(
        name,
        "true"
            | "false"
            | "none"
            | "True"
            | "False"
            | "None"
            | "not"
            | "and"
            | "or"
            | "in"
            | "is"
            | "if"
            | "else"
            | "loop"
    )
}
