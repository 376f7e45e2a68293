//! What goes wrong inside one scalar, before it is known where the scalar stands. Never holds a value (T-5).

use std::ops::Range;

use minijinja::{Error, ErrorKind};

use super::context::RenderContext;
use super::parameters::Parameters;
use super::split::SplitError;
use crate::diagnostic::{Code, Diagnostic, codes};
use crate::suggest::{did_you_mean, nearest};

/// An error in a scalar; the range counts in bytes of the scalar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) range: Range<usize>,
    pub(super) label: Option<String>,
    pub(super) help: Option<String>,
}

impl Fault {
    pub(super) fn new(code: Code, message: impl Into<String>, range: Range<usize>) -> Self {
        Self { code, message: message.into(), range, label: None, help: None }
    }

    pub(super) fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into().or(self.help);
        self
    }

    pub(super) fn into_diagnostic(self) -> Diagnostic {
        let error = Diagnostic::error(self.code, self.message).maybe_help(self.help);
        match self.label {
            Some(label) => error.label(label),
            None => error,
        }
    }

    pub(super) fn of_split(error: SplitError) -> Self {
        match error {
            SplitError::Unclosed { range, end } => {
                let help = "to write the opening sign itself, use {% raw %}…{% endraw %}";
                let message = format!("this template mark has no `{end}`");
                Self::new(codes::TEMPLATE_SYNTAX, message, range).help(help.to_owned())
            }
            SplitError::Forbidden { range, name } => {
                let go_style = matches!(name.as_str(), "range" | "end" | "with" | "template" | "define");
                let message = format!("the statement `{name}` is not offered in templates");
                let help = match go_style {
                    true => "this is the style of Go templates; here it is {% for x in xs %}…{% endfor %}",
                    false => "use `if`, `for` and `raw`, or put the value into a variable",
                };
                Self::new(codes::FORBIDDEN_STATEMENT, message, range).help(help.to_owned())
            }
            SplitError::TooMuch { range, what } => {
                Self::new(codes::TEMPLATE_LIMIT, format!("the template is too large: {what}"), range)
            }
        }
    }

    /// `{{ .IP }}` and `{{ if .IP }}`: the second would even be taken for a variable called `if`.
    pub(super) fn of_go_style(source: &str, offset: usize) -> Option<Self> {
        let (at, name) = go_style(source)?;
        let at = offset + at;
        let help = format!("this is the style of Go templates; here it is {{{{ {} }}}}", name.to_lowercase());
        Some(
            Self::new(codes::GO_STYLE, format!("`.{name}` is not a variable"), at..at + 1 + name.len())
                .help(help),
        )
    }

    /// A compile error of minijinja. `source` is what was compiled, at `offset` in the scalar.
    pub(super) fn of_compile(error: &Error, source: &str, offset: usize) -> Self {
        let range = range_of(error, source, offset);
        if let Some(fault) = Self::of_go_style(source, offset) {
            return fault;
        }
        let detail = error.detail().unwrap_or("this is not an expression");
        let help = source.trim().is_empty().then(|| "write the name of a variable: {{ ip }}".to_owned());
        Self::new(codes::TEMPLATE_SYNTAX, detail, range).help(help)
    }

    /// An error of minijinja while it evaluated `source`, which stands at `offset` in the scalar.
    pub(super) fn of_eval(
        error: &Error,
        source: &str,
        offset: usize,
        missing: &[String],
        cx: &RenderContext<'_>,
        parameters: &Parameters,
    ) -> Self {
        let range = range_of(error, source, offset);
        let detail = error.detail().unwrap_or_default();
        let failed = |message: &str| Self::new(codes::TEMPLATE_FAILED, message, range.clone());
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "minijinja's kinds: the rest needs no words of its own"
        )]
        match error.kind() {
            ErrorKind::UndefinedError => {
                let named = quoted(detail).map(str::to_owned).or_else(|| missing.last().cloned());
                match named {
                    Some(name) => {
                        unknown(&name, place_of(&name, source, offset).unwrap_or(range), cx, parameters)
                    }
                    None => failed("a part of this expression is undefined"),
                }
            }
            ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction => {
                unknown_function(error.kind(), detail, range)
            }
            ErrorKind::UnknownMethod => {
                let message = "this method does not exist";
                Self::new(codes::UNKNOWN_FUNCTION, message, range)
                    .help("use a filter: {{ x | upper }}".to_owned())
            }
            ErrorKind::OutOfFuel => {
                let what = if detail.is_empty() { "it takes too many steps" } else { detail };
                Self::new(codes::TEMPLATE_LIMIT, format!("the template does too much: {what}"), range)
            }
            ErrorKind::MissingArgument => failed("an argument is missing"),
            ErrorKind::TooManyArguments => failed("there are too many arguments"),
            // Only details that name types; others may hold values.
            ErrorKind::InvalidOperation if is_about_types(detail) => failed(detail),
            ErrorKind::NonPrimitive => failed("a list or mapping stands where a single value is needed"),
            ErrorKind::SyntaxError => Self::of_compile(error, source, offset),
            _ => failed("this expression fails for the values it gets"),
        }
    }
}

/// The error for a name that leads nowhere.
pub(super) fn unknown(
    name: &str,
    range: Range<usize>,
    cx: &RenderContext<'_>,
    parameters: &Parameters,
) -> Fault {
    let (root, below) = name.split_once(['.', '[']).map_or((name, None), |(root, rest)| (root, Some(rest)));
    let Some(below) = below else {
        if let Some(parameter) = parameters.get(name) {
            if parameter.required {
                let error = parameter.missing(name);
                return Fault::new(error.code, error.message, range).help(error.help);
            }
            let help = format!("give the parameter a default, or write {{{{ {name} | default('…') }}}}");
            let message = format!("the optional parameter `{name}` is not set and has no default");
            return Fault::new(codes::UNKNOWN_VARIABLE, message, range).help(help);
        }
        let help = did_you_mean(name, cx.names(parameters)).or_else(|| elsewhere(name, cx));
        let fault =
            Fault::new(codes::UNKNOWN_VARIABLE, format!("unknown variable `{name}`"), range).help(help);
        return Fault { label: Some("not set here".into()), ..fault };
    };
    let last = below.rsplit('.').next().unwrap_or(below).trim_matches([']', '\'', '"']);
    let mut known = cx.names_below(root);
    if known.is_empty() {
        // The keys of a user variable that is a mapping, one level deep.
        let map = cx.variables.user.get(root).and_then(|value| value.as_object());
        known = map.map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default();
    }
    let message = match root {
        "location" if known.contains(&last) => format!("the location level `{last}` is not set"),
        _ => format!("unknown variable `{name}`"),
    };
    let help = if known.contains(&last) { None } else { did_you_mean(last, known.iter().copied()) };
    Fault::new(codes::UNKNOWN_VARIABLE, message, range).help(help.map(|help| match root {
        "global" | "internal" | "location" | "item" => format!("{help} (below `{root}`)"),
        _ => help,
    }))
}

/// A name that is known, but below one of the groups.
fn elsewhere(name: &str, cx: &RenderContext<'_>) -> Option<String> {
    ["global", "internal", "location", "item"].into_iter().find_map(|root| {
        let found = nearest(name, cx.names_below(root))?;
        Some(format!("did you mean `{root}.{found}`?"))
    })
}

/// The last name that was looked up in vain, if the template itself has it: a computed one may be a value.
pub(super) fn written<'m>(missing: &'m [String], source: &str) -> Option<&'m str> {
    let name = missing.last()?;
    let last = name.rsplit('.').next().unwrap_or(name);
    let mut words = source.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-');
    words.any(|word| word == last).then_some(name.as_str())
}

fn unknown_function(kind: ErrorKind, detail: &str, range: Range<usize>) -> Fault {
    const FILTERS: [&str; 40] = [
        "abs",
        "attr",
        "bool",
        "capitalize",
        "chain",
        "count",
        "d",
        "default",
        "dictsort",
        "first",
        "float",
        "groupby",
        "int",
        "items",
        "join",
        "last",
        "length",
        "lines",
        "list",
        "lower",
        "map",
        "max",
        "min",
        "reject",
        "rejectattr",
        "replace",
        "reverse",
        "round",
        "select",
        "selectattr",
        "slug",
        "sort",
        "split",
        "string",
        "sum",
        "title",
        "trim",
        "unique",
        "uns",
        "upper",
    ];
    let name = detail.split_whitespace().find(|word| !matches!(*word, "filter" | "test")).unwrap_or_default();
    const TESTS: [&str; 7] = ["defined", "undefined", "none", "string", "number", "mapping", "sequence"];
    let (what, known): (_, &[&str]) = if kind == ErrorKind::UnknownFilter {
        ("filter", &FILTERS)
    } else if kind == ErrorKind::UnknownTest {
        ("test", &TESTS)
    } else {
        ("function", &["range", "dict"])
    };
    let env = matches!(name, "env" | "env_default" | "getenv" | "lookup" | "file" | "include");
    let help = match env {
        true => Some(
            "templates can't read the environment or files: use ${NAME} in the config, or a secret".into(),
        ),
        false => did_you_mean(name, known.iter().copied()),
    };
    Fault::new(codes::UNKNOWN_FUNCTION, format!("there is no {what} `{name}`"), range).help(help)
}

/// `.IP` as in `{{ .IP }}` or `{{ if .IP }}`.
fn go_style(source: &str) -> Option<(usize, &str)> {
    let mut before = ' ';
    for (at, c) in source.char_indices() {
        if c == '.' && (before.is_whitespace() || matches!(before, '(' | '|')) {
            let name = &source[at + 1..];
            let end = name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len());
            if name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
                return Some((at, &name[..end]));
            }
        }
        before = c;
    }
    None
}

fn is_about_types(detail: &str) -> bool {
    detail.starts_with("tried to use ")
        || detail.starts_with("the result is ")
        || detail.starts_with("null has no form")
}

fn quoted(detail: &str) -> Option<&str> {
    let name = detail.split('`').nth(1)?;
    // An element with a computed or unprintable key says nothing.
    (!name.is_empty() && !name.contains("(...)") && !name.contains("[...]")).then_some(name)
}

fn range_of(error: &Error, source: &str, offset: usize) -> Range<usize> {
    let range = error.range().filter(|range| range.start < range.end && range.end <= source.len());
    let range = range.unwrap_or(0..source.len());
    offset + range.start..offset + range.end
}

/// Where a name stands in an expression, as a whole word.
fn place_of(name: &str, source: &str, offset: usize) -> Option<Range<usize>> {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.');
    let whole = |at: usize| {
        !part(source[..at].chars().next_back())
            && !source[at + name.len()..].chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_')
    };
    let (at, _) = source.match_indices(name).find(|(at, _)| whole(*at))?;
    Some(offset + at..offset + at + name.len())
}
