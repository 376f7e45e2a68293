//! Which paths and names get a series of their own: a cap on labels whose values come from a config (M-1).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::layout::OTHER;

/// Which nodes get series of their own beside those of their kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum PerPath {
    /// None: the label `path` is empty.
    #[default]
    Off,
    /// These paths; all others share `_other`.
    Only(BTreeSet<String>),
    /// Every path, first come first served, up to the cap; all others share `_other`.
    All,
}

/// Label values in use and how often; a value that nobody uses makes room for another.
#[derive(Debug, Default)]
pub(crate) struct Places {
    used: BTreeMap<Arc<str>, usize>,
}

impl Places {
    /// Takes a place for a value; gives the label that stands for it.
    pub(crate) fn take(&mut self, value: &str, cap: usize) -> Arc<str> {
        if let Some((label, users)) = self.used.get_key_value(value).map(|(label, n)| (Arc::clone(label), *n))
        {
            self.used.insert(Arc::clone(&label), users + 1);
            return label;
        }
        if self.used.len() >= cap {
            return Arc::from(OTHER);
        }
        let label: Arc<str> = Arc::from(value);
        self.used.insert(Arc::clone(&label), 1);
        label
    }

    /// Gives a place back. Labels that hold no place, such as `_other`, are ignored.
    pub(crate) fn give_back(&mut self, label: &str) {
        if let Some(users) = self.used.get_mut(label) {
            *users -= 1;
            if *users == 0 {
                self.used.remove(label);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: M-1
    #[test]
    fn what_is_over_the_cap_folds_and_a_freed_place_is_taken_again() {
        let mut places = Places::default();
        assert_eq!(&*places.take("/a", 2), "/a");
        assert_eq!(&*places.take("/b", 2), "/b");
        assert_eq!(&*places.take("/c", 2), "_other");
        assert_eq!(&*places.take("/a", 2), "/a", "who has a place keeps it");
        places.give_back("/a");
        assert_eq!(&*places.take("/c", 2), "_other", "/a is still in use once");
        places.give_back("/a");
        places.give_back("_other");
        assert_eq!(&*places.take("/c", 2), "/c");
    }
}
