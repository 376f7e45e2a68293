//! Topic names and filters: what is allowed, and what matches.

/// Deepest topic that is taken. The tree is walked recursively; 64 levels are far beyond any naming scheme
/// and far below a stack's end.
pub(crate) const MAX_LEVELS: usize = 64;

/// May this be published to?
pub(crate) fn is_name(topic: &str) -> bool {
    !topic.is_empty() && !topic.contains(['+', '#']) && levels(topic.as_bytes()).count() <= MAX_LEVELS
}

/// May this be subscribed to? A shared subscription's prefix must be off already.
pub(crate) fn is_filter(filter: &str) -> bool {
    let mut depth = 0;
    let mut open = true;
    for level in filter.split('/') {
        depth += 1;
        let wildcard = level.contains(['+', '#']);
        if !open || (wildcard && level.len() != 1) {
            return false;
        }
        open = level != "#";
    }
    !filter.is_empty() && depth <= MAX_LEVELS
}

/// A subscription's filter, and the group that shares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subscription<'a> {
    pub(crate) group: Option<&'a str>,
    pub(crate) filter: &'a str,
}

/// Splits `$share/GROUP/FILTER`; `None` when the whole is not a valid subscription.
pub(crate) fn subscription(text: &str) -> Option<Subscription<'_>> {
    let (group, filter) = match text.strip_prefix("$share/") {
        None => (None, text),
        Some(rest) => {
            let (group, filter) = rest.split_once('/')?;
            if group.is_empty() || group.contains(['+', '#']) {
                return None;
            }
            (Some(group), filter)
        }
    };
    is_filter(filter).then_some(Subscription { group, filter })
}

pub(crate) fn levels(topic: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    topic.split(|byte| *byte == b'/')
}

/// Does `topic` match `filter`? Wildcards never match a first level that starts with `$`.
pub(crate) fn matches(filter: &[u8], topic: &[u8]) -> bool {
    if topic.first() == Some(&b'$') && matches!(filter.first(), Some(b'+' | b'#')) {
        return false;
    }
    let mut names = levels(topic);
    for level in levels(filter) {
        if level == b"#" {
            return true;
        }
        match names.next() {
            Some(name) if level == b"+" || level == name => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

/// The part of a filter that every matching topic starts with.
pub(crate) fn literal_prefix(filter: &[u8]) -> &[u8] {
    let end = filter.iter().position(|byte| matches!(byte, b'+' | b'#')).unwrap_or(filter.len());
    // `a/#` also matches `a`, so the separator before a wildcard is not part of the prefix.
    let prefix = &filter[..end];
    if end < filter.len() { prefix.strip_suffix(b"/").unwrap_or(prefix) } else { prefix }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(filter: &str, topic: &str, expected: bool) {
        assert_eq!(matches(filter.as_bytes(), topic.as_bytes()), expected, "{filter} on {topic}");
        assert!(
            !expected || topic.as_bytes().starts_with(literal_prefix(filter.as_bytes())),
            "{filter} has a prefix that {topic} lacks"
        );
    }

    #[test]
    fn filters_match_as_the_standard_says() {
        check("a/b", "a/b", true);
        check("a/b", "a/b/c", false);
        check("a/b", "a", false);
        check("a/+", "a/b", true);
        check("a/+", "a/", true);
        check("a/+", "a", false);
        check("+/+", "/x", true);
        check("/+", "/x", true);
        check("+", "/x", false);
        check("a/#", "a/b/c", true);
        check("a/#", "a", true);
        check("a/#", "ab", false);
        check("#", "a/b", true);
        check("+/b/#", "a/b", true);
        check("#", "$SYS/x", false);
        check("+/x", "$SYS/x", false);
        check("$SYS/#", "$SYS/x", true);
    }

    #[test]
    fn only_whole_levels_are_wildcards() {
        for good in ["#", "+", "a", "a/#", "+/+/c", "/", "a//b", "$SYS/#"] {
            assert!(is_filter(good), "{good}");
        }
        for bad in ["", "a#", "a/b#", "#/a", "a/#/b", "a+", "+a/b", "a/+b"] {
            assert!(!is_filter(bad), "{bad}");
        }
        assert!(!is_filter(&"a/".repeat(MAX_LEVELS)), "one level too deep");
        assert!(is_name("a/b") && !is_name("") && !is_name("a/+") && !is_name("a/#"));
    }

    #[test]
    fn shared_subscriptions_name_a_group_and_a_filter() {
        let shared = |group, filter| Some(Subscription { group: Some(group), filter });
        assert_eq!(subscription("$share/g/a/#"), shared("g", "a/#"));
        assert_eq!(subscription("a/#"), Some(Subscription { group: None, filter: "a/#" }));
        for bad in ["$share/g", "$share//a", "$share/+/a", "$share/g/", "$share/g/a#"] {
            assert_eq!(subscription(bad), None, "{bad}");
        }
    }
}
