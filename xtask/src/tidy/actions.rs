//! A rule about actions: each one of a worker crate is run again and again by a test.

use super::rules::Finding;
use super::tokens;
use super::tree::{File, Tree};

/// What runs an action again and again.
const VERIFY: &str = "verify_action_idempotency";

pub(crate) fn check(file: &File, tree: &Tree) -> Vec<Finding> {
    let Some(folder) = crate_folder(&file.path).filter(|_| !file.is_test()) else { return Vec::new() };
    let Ok(parsed) = syn::parse_file(&file.text) else { return Vec::new() };
    let actions: Vec<String> = parsed.items.iter().filter_map(implements_action).collect();
    if actions.is_empty() {
        return Vec::new();
    }
    let verified = verified(folder, tree);
    let enums = parsed.items.iter().filter_map(|item| {
        let syn::Item::Enum(item) = item else { return None };
        actions.contains(&item.ident.to_string()).then_some(item)
    });
    let mut found = Vec::new();
    for item in enums {
        for variant in &item.variants {
            let action = format!("{}::{}", item.ident, variant.ident);
            if !verified.iter().any(|call| names(call, &action)) {
                let line = variant.ident.span().start().line;
                let what = format!("no test shows that `{action}` is idempotent");
                found.push(Finding::new(&file.path, line, "idempotency-test", what));
            }
        }
    }
    found
}

/// `workers/bridge` for a file of that crate.
fn crate_folder(path: &str) -> Option<&str> {
    let (name, rest) = path.strip_prefix("workers/")?.split_once('/')?;
    rest.starts_with("src/").then(|| &path[.."workers/".len() + name.len()])
}

/// The type of an `impl Action for Type`.
fn implements_action(item: &syn::Item) -> Option<String> {
    let syn::Item::Impl(item) = item else { return None };
    let (of, _) = item.trait_.as_ref()?;
    let syn::Type::Path(path) = &*item.self_ty else { return None };
    (of.segments.last()?.ident == "Action")
        .then(|| path.path.segments.last().map(|last| last.ident.to_string()))?
}

/// The arguments of all checks in a crate's tests, without blanks.
fn verified(folder: &str, tree: &Tree) -> Vec<String> {
    let tests = format!("{folder}/tests/");
    let files = tree.files.iter().filter(|file| file.path.starts_with(&tests) && file.text.contains(VERIFY));
    let calls = files.filter_map(|file| file.text.parse().ok()).flat_map(tokens::words);
    calls
        .filter(|word| word.name() == VERIFY)
        .map(|word| word.body.replace(char::is_whitespace, ""))
        .collect()
}

/// Whether the arguments name this action, and not one whose name begins alike.
fn names(call: &str, action: &str) -> bool {
    call.match_indices(action).any(|(at, _)| {
        !call[at + action.len()..].starts_with(|next: char| next.is_alphanumeric() || next == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIONS: &str =
        "/// Acts.\npub enum FlowAction {\n    Start,\n    StartAll,\n}\nimpl Action for FlowAction {}\n";

    #[track_caller]
    fn check_actions(test: &str, expected: &[usize]) {
        let tree =
            Tree::of(&[("workers/flow/src/worker.rs", ACTIONS), ("workers/flow/tests/actions.rs", test)]);
        let found: Vec<_> = check(&tree.files[0], &tree).iter().map(|finding| finding.line).collect();
        assert_eq!(found, expected);
        assert!(check(&tree.files[1], &tree).is_empty());
    }

    // spec: A-11
    #[test]
    fn an_action_without_a_test_of_its_idempotency_is_a_finding() {
        check_actions("", &[3, 4]);
        check_actions(
            "fn a() { verify_action_idempotency(fresh, FlowAction::Start, 3, check).await; }",
            &[4],
        );
        check_actions(
            "fn a() { verify_action_idempotency(fresh, FlowAction::StartAll, 3, check).await; }",
            &[3],
        );
        check_actions("fn a() { FlowAction::Start; FlowAction::StartAll; }", &[3, 4]);
    }

    #[test]
    fn only_workers_have_actions_to_test() {
        let tree = Tree::of(&[
            ("fsm-testkit/src/workers.rs", ACTIONS),
            ("workers/flow/src/state.rs", "enum A { B }"),
        ]);
        assert!(tree.files.iter().all(|file| check(file, &tree).is_empty()));
    }
}
