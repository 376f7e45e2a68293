//! Rules that need Rust's syntax: what stands in lib.rs, how items are named, what tests may do.

use quote::ToTokens as _;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

use super::rules::Finding;
use super::tokens::{self, Form, Word};
use super::tree::File;

/// Lines above a `select!` in which its note may stand.
const NOTE_LINES: usize = 4;

/// Words that the project has another word for, as part of a type's name.
const FOREIGN_WORDS: [&str; 3] = ["Actor", "Instance", "Manager"];

pub(crate) fn check(file: &File) -> Vec<Finding> {
    let parsed = match syn::parse_file(&file.text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let what = error.to_string();
            return vec![Finding::new(&file.path, error.span().start().line, "parse", what)];
        }
    };
    let mut visitor = Visitor { file, found: Vec::new(), in_test: file.is_test(), paused: false };
    // An example is one page, wherever it stands.
    if file.path.ends_with("src/lib.rs") && !file.path.starts_with("examples/") {
        visitor.check_lib(&parsed);
    }
    visitor.visit_file(&parsed);
    visitor.check_words(&tokens::words(parsed.into_token_stream()));
    visitor.found
}

struct Visitor<'a> {
    file: &'a File,
    found: Vec<Finding>,
    /// Inside `#[cfg(test)]` or a file of tests.
    in_test: bool,
    /// Inside a test with paused time, where a sleep costs nothing.
    paused: bool,
}

impl Visitor<'_> {
    fn add(&mut self, line: usize, rule: &'static str, what: impl Into<String>) {
        self.found.push(Finding::new(&self.file.path, line, rule, what));
    }

    fn check_lib(&mut self, lib: &syn::File) {
        if lib.items.iter().any(is_proc_macro) {
            return;
        }
        for item in &lib.items {
            if !stands_in_lib(item) {
                self.add(item.span().start().line, "lib-rs", "neither a `mod name;` nor a `pub use`");
            }
        }
    }

    /// Rules that hold wherever the tokens stand, in the body of a macro too.
    fn check_words(&mut self, words: &[Word]) {
        for word in words {
            let line = word.line;
            match (word.form, word.name()) {
                (Form::Attribute, "ignore") => self.add(line, "ignored-test", "`#[ignore]`"),
                (Form::Attribute, "should_panic") => self.add(line, "should-panic", "`#[should_panic]`"),
                (Form::Attribute, "expect" | "allow") if !word.body.contains("reason =") => {
                    self.add(line, "expect-reason", format!("`#[{}]` without a reason", word.name()));
                }
                (Form::Macro, "todo" | "unimplemented") => {
                    self.add(line, "unfinished", format!("`{}!`", word.name()))
                }
                (Form::Macro, "assert") if word.body == "true" => {
                    self.add(line, "empty-assert", "`assert!(true)`")
                }
                (Form::Call, "sleep") if word.path.ends_with("thread::sleep") => {
                    self.add(line, "thread-sleep", format!("`{}`", word.path));
                }
                // A test's queue ends with the test.
                (Form::Call, "unbounded_channel" | "unbounded") if !self.file.is_test() => {
                    self.add(line, "unbounded", format!("`{}`", word.path));
                }
                (Form::Macro, "select") => self.check_select(word),
                (Form::Attribute | Form::Macro | Form::Call | Form::Method, _) => {}
            }
        }
        let intervals = |word: &&Word| {
            let timer = ["time::interval", "time::interval_at"].iter().any(|name| word.path.ends_with(name));
            word.form == Form::Call && (timer || word.path == "interval" || word.path == "interval_at")
        };
        let set = if self.file.is_test() { words.len() } else { 0 }
            + words.iter().filter(|word| word.name() == "set_missed_tick_behavior").count();
        for word in words.iter().filter(intervals).skip(set) {
            self.add(word.line, "missed-ticks", "an interval that doesn't say what to do with missed ticks");
        }
    }

    fn check_select(&mut self, select: &Word) {
        let comments = &self.file.masked.comments;
        let commented = |last: usize, needle: &str| {
            let first = select.line.saturating_sub(NOTE_LINES + 1);
            let lines = comments.get(first..last.min(comments.len())).unwrap_or_default();
            lines.iter().any(|line| !line.trim().is_empty() && line.to_lowercase().contains(needle))
        };
        let noted = commented(select.end, "cancel");
        let is_biased = select.body.trim_start().starts_with("biased");
        let has_reason = commented(select.line + 1, "");
        // A test's own loop is dropped with the test.
        if !noted && !self.file.is_test() && !self.line_in_test(select.line) {
            self.add(select.line, "select-note", "a `select!` without a note on cancellation");
        }
        if is_biased && !has_reason {
            self.add(select.line, "biased-reason", "`biased;` without its reason");
        }
    }

    /// Whether a line stands below the file's `#[cfg(test)]`, which is its last part.
    fn line_in_test(&self, line: usize) -> bool {
        self.file.masked.code.iter().take(line).any(|code| code.trim_start().starts_with("#[cfg(test)]"))
    }

    fn check_name(&mut self, name: &syn::Ident) {
        let text = name.to_string();
        let line = name.span().start().line;
        if let Some(word) = FOREIGN_WORDS.iter().find(|word| camel_words(&text).any(|part| part == **word)) {
            self.add(line, "words", format!("`{text}` says {}", word.to_lowercase()));
        }
        if text == "Error" {
            self.add(line, "error-name", "an error named `Error` doesn't say what failed");
        }
    }

    fn check_enum(&mut self, item: &syn::ItemEnum) {
        let name = item.ident.to_string();
        let public = matches!(item.vis, syn::Visibility::Public(_));
        let open = item.attrs.iter().any(|attr| attr.path().is_ident("non_exhaustive"));
        let library = !["fsmd/", "xtask/"].iter().any(|folder| self.file.path.starts_with(folder));
        let derives_error = item.attrs.iter().any(|attr| {
            attr.path().is_ident("derive") && attr.to_token_stream().to_string().contains("Error")
        });
        let grows = derives_error || name.ends_with("Event");
        if public && grows && !open && library && !self.in_test {
            self.add(
                item.ident.span().start().line,
                "non-exhaustive",
                format!("`{name}` is public and exhaustive"),
            );
        }
    }

    fn check_const(&mut self, name: &syn::Ident, attrs: &[syn::Attribute], value: &syn::Expr, line: usize) {
        let documented = attrs.iter().any(|attr| attr.path().is_ident("doc"));
        if self.in_test || self.file.is_bench() || documented || !is_number(value) || self.is_commented(line)
        {
            return;
        }
        self.add(line, "constant-reason", format!("`{name}` doesn't say why it has this value"));
    }

    /// A comment on the line, or above the group of constants that the line belongs to. Of a group
    /// without a comment only the first constant is found.
    fn is_commented(&self, line: usize) -> bool {
        let comment =
            |line: usize| self.file.masked.comments.get(line - 1).is_some_and(|text| !text.trim().is_empty());
        let constant = |line: usize| {
            self.file.masked.code.get(line - 1).is_some_and(|code| {
                let code = code.trim_start();
                code.starts_with("const ") || (code.starts_with("pub") && code.contains(" const "))
            })
        };
        comment(line) || (line > 1 && (comment(line - 1) || constant(line - 1)))
    }

    fn check_test_fn(&mut self, function: &syn::ItemFn) {
        let name = function.sig.ident.to_string();
        if is_test(&function.attrs) && (name.starts_with("test_") || name == "test" || name == "works") {
            self.add(function.sig.ident.span().start().line, "test-name", format!("`{name}` states no rule"));
        }
        if self.in_test && !self.paused {
            for word in tokens::words(function.block.to_token_stream()) {
                let sleeps = matches!(word.name(), "sleep" | "sleep_until") && word.form == Form::Call;
                if sleeps && !word.path.ends_with("thread::sleep") {
                    self.add(
                        word.line,
                        "sleep-in-test",
                        format!("`{}` in `{name}`, whose time is not paused", word.path),
                    );
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let outer = self.in_test;
        self.in_test |= item.attrs.iter().any(is_cfg_test);
        visit::visit_item_mod(self, item);
        self.in_test = outer;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let outer = self.paused;
        self.paused |=
            item.attrs.iter().any(|attr| attr.to_token_stream().to_string().contains("start_paused = true"));
        self.check_test_fn(item);
        visit::visit_item_fn(self, item);
        self.paused = outer;
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.check_name(&item.ident);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.check_name(&item.ident);
        visit::visit_item_trait(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.check_name(&item.ident);
        self.check_enum(item);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.check_const(&item.ident, &item.attrs, &item.expr, item.const_token.span().start().line);
        visit::visit_item_const(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        let fallible = match &item.sig.output {
            syn::ReturnType::Type(_, output) => {
                let output = output.to_token_stream().to_string();
                output.starts_with("Result <") || output.starts_with("Option <")
            }
            syn::ReturnType::Default => false,
        };
        if item.sig.ident == "new" && fallible {
            self.add(item.sig.ident.span().start().line, "new-fallible", "a `new` that can fail");
        }
        visit::visit_impl_item_fn(self, item);
    }
}

fn is_cfg_test(attr: &syn::Attribute) -> bool {
    let text = attr.to_token_stream().to_string().replace(' ', "");
    text.starts_with("#[cfg(test") || text.starts_with("#[cfg(all(test")
}

fn is_test(attrs: &[syn::Attribute]) -> bool {
    attrs.iter().any(|attr| attr.path().segments.last().is_some_and(|last| last.ident == "test"))
}

fn is_proc_macro(item: &syn::Item) -> bool {
    let syn::Item::Fn(item) = item else { return false };
    let begins = |attr: &syn::Attribute| {
        attr.path().get_ident().is_some_and(|name| name.to_string().starts_with("proc_macro"))
    };
    item.attrs.iter().any(begins)
}

fn stands_in_lib(item: &syn::Item) -> bool {
    if let syn::Item::Mod(item) = item {
        return item.content.is_none();
    }
    if let syn::Item::Use(item) = item {
        return !matches!(item.vis, syn::Visibility::Inherited);
    }
    // The examples of a README run as doctests of an item that is nothing else.
    let for_doctests = || item.to_token_stream().to_string().replace(' ', "").contains("cfg(doctest)");
    matches!(item, syn::Item::ExternCrate(_)) || for_doctests()
}

/// A number other than 0 and 1, or a duration: a value that could as well be another.
fn is_number(value: &syn::Expr) -> bool {
    if let syn::Expr::Lit(literal) = value {
        let free = |number: &syn::LitInt| !matches!(number.base10_digits(), "0" | "1");
        return matches!(&literal.lit, syn::Lit::Int(number) if free(number))
            || matches!(&literal.lit, syn::Lit::Float(_));
    }
    if let syn::Expr::Binary(binary) = value {
        return is_number(&binary.left) || is_number(&binary.right);
    }
    let syn::Expr::Call(call) = value else { return false };
    call.func.to_token_stream().to_string().replace(' ', "").contains("Duration::from_")
}

/// `MessageBus` is `Message`, `Bus`.
fn camel_words(name: &str) -> impl Iterator<Item = &str> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end =
            rest[first.len_utf8()..].find(char::is_uppercase).map_or(rest.len(), |at| at + first.len_utf8());
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

#[cfg(test)]
mod tests;
