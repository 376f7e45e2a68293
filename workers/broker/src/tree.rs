//! Who wants a topic: a tree over topic levels, so that a publish costs what matches and not what exists.

use std::cell::Cell;
use std::collections::HashMap;

use crate::topic;
use crate::wire::{Qos, SubscribeOptions};

/// A session's place in the hub.
pub(crate) type SessionKey = usize;

#[derive(Debug, Clone, Copy)]
struct Entry {
    session: SessionKey,
    options: SubscribeOptions,
}

#[derive(Debug)]
struct Group {
    name: Box<str>,
    members: Vec<Entry>,
    /// Whose turn it is.
    turn: Cell<usize>,
}

#[derive(Debug, Default)]
struct Node {
    children: HashMap<Box<[u8]>, Node>,
    any: Option<Box<Node>>,
    /// Subscriptions whose filter ends here.
    here: Leaf,
    /// Subscriptions whose filter ends with `#` here.
    below: Leaf,
}

#[derive(Debug, Default)]
struct Leaf {
    entries: Vec<Entry>,
    groups: Vec<Group>,
}

/// One session that gets a message, with the strongest of its matching subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) session: SessionKey,
    pub(crate) qos: Qos,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    /// Subscription identifier; 0 is none.
    pub(crate) id: u32,
}

/// All subscriptions of all sessions.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    root: Node,
    len: usize,
}

impl Tree {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds or replaces; `true` when the subscription is new.
    pub(crate) fn insert(
        &mut self,
        subscription: topic::Subscription<'_>,
        session: SessionKey,
        options: SubscribeOptions,
    ) -> bool {
        let mut node = &mut self.root;
        let mut below = false;
        for level in topic::levels(subscription.filter.as_bytes()) {
            node = match level {
                b"#" => {
                    below = true;
                    break;
                }
                b"+" => node.any.get_or_insert_default(),
                // Two look-ups, so that an existing level allocates no key.
                _ if node.children.contains_key(level) => {
                    node.children.get_mut(level).expect("looked up in the line above")
                }
                _ => node.children.entry(level.into()).or_default(),
            };
        }
        let leaf = if below { &mut node.below } else { &mut node.here };
        let entries = leaf.members(subscription.group);
        let entry = Entry { session, options };
        let new = match entries.iter_mut().find(|other| other.session == session) {
            Some(known) => {
                *known = entry;
                false
            }
            None => {
                entries.push(entry);
                true
            }
        };
        self.len += usize::from(new);
        new
    }

    /// Removes; `true` when the subscription was there.
    pub(crate) fn remove(&mut self, subscription: topic::Subscription<'_>, session: SessionKey) -> bool {
        let levels: Vec<&[u8]> = topic::levels(subscription.filter.as_bytes()).collect();
        let removed = self.root.remove(&levels, subscription.group, session);
        self.len -= usize::from(removed);
        removed
    }

    /// Collects into `found` each session that wants `topic`, once. Of each group that shares a subscription
    /// it takes one member, a connected one if there is any. A session gets one entry more for each
    /// subscription identifier that it gave.
    pub(crate) fn find(&self, topic: &[u8], connected: impl Fn(SessionKey) -> bool, found: &mut Vec<Match>) {
        found.clear();
        self.root.find(topic::levels(topic), topic.first() != Some(&b'$'), &connected, found);
        if found.len() < 2 {
            return;
        }
        // Subscriptions with identifiers of their own stay apart: a copy names the subscription it is for.
        found.sort_unstable_by_key(|entry| (entry.session, entry.id));
        found.dedup_by(|other, kept| {
            let same = (other.session, other.id) == (kept.session, kept.id);
            if same {
                kept.no_local &= other.no_local;
                kept.retain_as_published |= other.retain_as_published;
                kept.qos = kept.qos.max(other.qos);
            }
            same
        });
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        self.children.is_empty() && self.any.is_none() && self.here.is_empty() && self.below.is_empty()
    }

    fn find<'a>(
        &self,
        mut levels: impl Iterator<Item = &'a [u8]> + Clone,
        wildcards: bool,
        connected: &impl Fn(SessionKey) -> bool,
        found: &mut Vec<Match>,
    ) {
        if wildcards {
            self.below.collect(connected, found);
        }
        let Some(level) = levels.next() else {
            self.here.collect(connected, found);
            return;
        };
        if let Some(child) = self.children.get(level) {
            child.find(levels.clone(), true, connected, found);
        }
        if wildcards && let Some(any) = &self.any {
            any.find(levels, true, connected, found);
        }
    }

    fn remove(&mut self, levels: &[&[u8]], group: Option<&str>, session: SessionKey) -> bool {
        match levels {
            [] => self.here.remove(group, session),
            [b"#"] => self.below.remove(group, session),
            [b"+", rest @ ..] => {
                let Some(any) = &mut self.any else { return false };
                let removed = any.remove(rest, group, session);
                if any.is_empty() {
                    self.any = None;
                }
                removed
            }
            [level, rest @ ..] => {
                let Some(child) = self.children.get_mut(*level) else { return false };
                let removed = child.remove(rest, group, session);
                if child.is_empty() {
                    self.children.remove(*level);
                }
                removed
            }
        }
    }
}

impl Leaf {
    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.groups.is_empty()
    }

    fn members(&mut self, group: Option<&str>) -> &mut Vec<Entry> {
        let Some(name) = group else { return &mut self.entries };
        let index = self.groups.iter().position(|group| &*group.name == name).unwrap_or_else(|| {
            self.groups.push(Group { name: name.into(), members: Vec::new(), turn: Cell::new(0) });
            self.groups.len() - 1
        });
        &mut self.groups[index].members
    }

    fn remove(&mut self, group: Option<&str>, session: SessionKey) -> bool {
        let members = self.members(group);
        let before = members.len();
        members.retain(|entry| entry.session != session);
        let removed = members.len() < before;
        self.groups.retain(|group| !group.members.is_empty());
        removed
    }

    fn collect(&self, connected: &impl Fn(SessionKey) -> bool, found: &mut Vec<Match>) {
        found.extend(self.entries.iter().map(Entry::as_match));
        for group in &self.groups {
            let count = group.members.len();
            let turn = group.turn.get();
            let next = (0..count).map(|step| (turn + step) % count);
            let chosen = next.clone().find(|index| connected(group.members[*index].session));
            if let Some(index) = chosen.or_else(|| next.clone().next()) {
                group.turn.set(index + 1);
                found.push(group.members[index].as_match());
            }
        }
    }
}

impl Entry {
    fn as_match(&self) -> Match {
        Match {
            session: self.session,
            qos: self.options.qos,
            no_local: self.options.no_local,
            retain_as_published: self.options.retain_as_published,
            id: self.options.id,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::RetainHandling;

    fn options(qos: Qos) -> SubscribeOptions {
        SubscribeOptions {
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Always,
            id: 0,
        }
    }

    fn found(tree: &Tree, topic: &str) -> Vec<SessionKey> {
        let mut found = Vec::new();
        tree.find(topic.as_bytes(), |_| true, &mut found);
        found.iter().map(|entry| entry.session).collect()
    }

    fn subscription(text: &str) -> topic::Subscription<'_> {
        topic::subscription(text).expect("test filters are valid")
    }

    #[test]
    fn overlapping_subscriptions_deliver_once_with_the_strongest_promise() {
        let mut tree = Tree::default();
        tree.insert(subscription("a/#"), 7, options(Qos::AtMostOnce));
        tree.insert(subscription("a/+"), 7, options(Qos::ExactlyOnce));
        tree.insert(subscription("a/b"), 7, options(Qos::AtLeastOnce));
        let mut matches = Vec::new();
        tree.find(b"a/b", |_| true, &mut matches);
        assert_eq!(matches.len(), 1);
        assert_eq!(matches[0].qos, Qos::ExactlyOnce);
    }

    #[test]
    fn a_group_takes_turns_and_prefers_connected_members() {
        let mut tree = Tree::default();
        for session in 0..3 {
            tree.insert(subscription("$share/g/a/#"), session, options(Qos::AtLeastOnce));
        }
        let turns: Vec<_> = (0..6).flat_map(|_| found(&tree, "a/b")).collect();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
        let mut matches = Vec::new();
        for _ in 0..4 {
            tree.find(b"a/b", |session| session == 1, &mut matches);
            assert_eq!(matches[0].session, 1, "an offline member got the message");
        }
        tree.find(b"a/b", |_| false, &mut matches);
        assert_eq!(matches.len(), 1, "with nobody there one member's session keeps the message");
    }

    #[test]
    fn an_unsubscribed_tree_is_empty_again() {
        let mut tree = Tree::default();
        let filters = ["a/b/c", "a/+/c", "#", "a/#", "$share/g/a/b"];
        for filter in filters {
            assert!(tree.insert(subscription(filter), 1, options(Qos::AtMostOnce)));
            assert!(!tree.insert(subscription(filter), 1, options(Qos::AtLeastOnce)), "not new twice");
        }
        assert_eq!(tree.len(), filters.len());
        for filter in filters {
            assert!(tree.remove(subscription(filter), 1));
            assert!(!tree.remove(subscription(filter), 1), "{filter} was removed twice");
        }
        assert!(tree.root.is_empty(), "an empty branch stayed");
        assert_eq!(tree.len(), 0);
    }

    proptest! {
        #[test]
        fn the_tree_agrees_with_the_plain_matcher(
            filters in proptest::collection::vec("(\\$|)[ab+]?(/[ab+]?){0,3}(/#)?", 1..8),
            topic in "(\\$|)[ab]?(/[ab]?){0,3}",
        ) {
            let mut tree = Tree::default();
            let mut expected = Vec::new();
            for (session, filter) in filters.iter().enumerate() {
                if topic::is_filter(filter) {
                    tree.insert(subscription(filter), session, options(Qos::AtMostOnce));
                    if topic::matches(filter.as_bytes(), topic.as_bytes()) {
                        expected.push(session);
                    }
                }
            }
            prop_assert_eq!(found(&tree, &topic), expected);
        }
    }
}
