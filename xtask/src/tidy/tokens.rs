//! Rules that are seen in a stream of tokens, because macros hide their bodies from a syntax tree.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A name followed by `!` or by parentheses, or a bare word: what the rules look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// The path as written, without blanks: `tokio::time::sleep`, `assert`.
    pub(crate) path: String,
    pub(crate) line: usize,
    /// The line of the closing delimiter, if there is one.
    pub(crate) end: usize,
    pub(crate) form: Form,
    /// The tokens between the delimiters, as text.
    pub(crate) body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Macro,
    Call,
    Method,
    Attribute,
}

/// Every call, method call, macro and attribute, at any depth.
pub(crate) fn words(tokens: TokenStream) -> Vec<Word> {
    let mut found = Vec::new();
    collect(tokens, &mut found);
    found
}

fn collect(tokens: TokenStream, found: &mut Vec<Word>) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, tree) in trees.iter().enumerate() {
        let TokenTree::Group(group) = tree else { continue };
        if let Some((path, line, form)) = named(&trees[..at], group.delimiter()) {
            let end = group.span_close().start().line;
            found.push(Word { path, line, end, form, body: group.stream().to_string() });
        } else if group.delimiter() == Delimiter::Bracket && is_attribute(&trees[..at]) {
            let text = group.stream().to_string();
            let path = text.split(['(', '=']).next().unwrap_or_default().replace(' ', "");
            let (line, end) = (group.span_open().start().line, group.span_close().start().line);
            found.push(Word { path, line, end, form: Form::Attribute, body: text });
            continue;
        }
        collect(group.stream(), found);
    }
}

/// The path before a group, if the group is its call or its macro's body.
fn named(before: &[TokenTree], delimiter: Delimiter) -> Option<(String, usize, Form)> {
    let punct =
        |tree: Option<&TokenTree>, char| matches!(tree, Some(TokenTree::Punct(p)) if p.as_char() == char);
    let is_macro = punct(before.last(), '!');
    let mut rest = if is_macro { &before[..before.len() - 1] } else { before };
    if !is_macro && delimiter != Delimiter::Parenthesis {
        return None;
    }
    let mut parts = Vec::new();
    let line = loop {
        let Some((TokenTree::Ident(ident), shorter)) = rest.split_last() else { return None };
        parts.push(ident.to_string());
        rest = shorter;
        let double_colon = punct(rest.last(), ':') && rest.len() > 2 && punct(rest.get(rest.len() - 2), ':');
        if !double_colon || !matches!(rest.get(rest.len().wrapping_sub(3)), Some(TokenTree::Ident(_))) {
            break ident.span().start().line;
        }
        rest = &rest[..rest.len() - 2];
    };
    // `fn name(` declares it.
    if matches!(rest.last(), Some(TokenTree::Ident(ident)) if ident == "fn") {
        return None;
    }
    parts.reverse();
    let form = match (is_macro, punct(rest.last(), '.')) {
        (true, _) => Form::Macro,
        (false, true) => Form::Method,
        (false, false) => Form::Call,
    };
    Some((parts.join("::"), line, form))
}

fn is_attribute(before: &[TokenTree]) -> bool {
    let at = |back: usize| before.len().checked_sub(back).and_then(|index| before.get(index));
    let is =
        |tree: Option<&TokenTree>, char| matches!(tree, Some(TokenTree::Punct(p)) if p.as_char() == char);
    is(at(1), '#') || (is(at(1), '!') && is(at(2), '#'))
}

impl Word {
    /// The last part of the path.
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit("::").next().unwrap_or(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, Form)]) {
        let found = words(text.parse().expect("tokens"));
        let found: Vec<_> = found.iter().map(|word| (word.path.as_str(), word.form)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn calls_methods_and_macros_are_told_apart() {
        check("tokio::time::sleep(d).await", &[("tokio::time::sleep", Form::Call)]);
        check("a.sleep(d)", &[("sleep", Form::Method)]);
        check("fn sleep(d: D) { todo!() }", &[("todo", Form::Macro)]);
        check("tokio::select! { _ = a.b() => {} }", &[("tokio::select", Form::Macro), ("b", Form::Method)]);
        check("<T as A>::b(c)", &[("b", Form::Call)]);
    }

    #[test]
    fn attributes_are_found_in_macro_bodies_too() {
        check(
            "proptest! { #[should_panic(expected = \"x\")] fn a() {} }",
            &[("proptest", Form::Macro), ("should_panic", Form::Attribute)],
        );
        check("#![expect(dead_code)]", &[("expect", Form::Attribute)]);
    }
}
