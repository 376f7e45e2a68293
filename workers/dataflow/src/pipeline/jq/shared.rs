//! Compiled programs by their text. A program depends on nothing else, so who shares one can't tell.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use jaq_core::Filter;

use super::{Data, JqError};

/// So many of the newest are kept although nobody uses them: a check of a config compiles each flow's and lets it go at once.
const KEPT: usize = 16;

#[derive(Default)]
struct Programs {
    living: HashMap<Arc<str>, Weak<Filter<Data>>>,
    newest: VecDeque<Arc<Filter<Data>>>,
    /// The dead are forgotten when there are so many in all.
    limit: usize,
}

static PROGRAMS: LazyLock<Mutex<Programs>> = LazyLock::new(Mutex::default);

/// The program of this text, compiled if nobody has it.
pub(super) fn filter(
    code: &str,
    compile: impl FnOnce() -> Result<Filter<Data>, JqError>,
) -> Result<Arc<Filter<Data>>, JqError> {
    let programs = || PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = programs().living.get(code).and_then(Weak::upgrade) {
        return Ok(known);
    }
    // Not under the lock: it takes long, and two that compile the same at once do no harm.
    let made = Arc::new(compile()?);
    let mut programs = programs();
    let Programs { living, newest, limit } = &mut *programs;
    if living.len() >= *limit {
        living.retain(|_, program| program.strong_count() > 0);
        *limit = (2 * living.len()).max(4 * KEPT);
    }
    living.insert(code.into(), Arc::downgrade(&made));
    newest.push_front(Arc::clone(&made));
    newest.truncate(KEPT);
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::super::{Bindings, Program};
    use super::*;

    fn compiled(code: &str) -> Arc<Filter<Data>> {
        Program::compile(code, &Bindings::new(&indexmap::IndexMap::new())).expect("a program").filter
    }

    // spec: D-4, P25, P31
    #[test]
    fn programs_of_one_text_are_one_and_old_ones_are_let_go() {
        let first = compiled(".a + 1");
        assert!(Arc::ptr_eq(&first, &compiled(".a + 1")));
        assert!(!Arc::ptr_eq(&first, &compiled(".a + 2")));
        let unused = Arc::downgrade(&compiled(".a + 3"));
        assert!(unused.upgrade().is_some(), "the next flow may want it");
        for n in 0..KEPT {
            compiled(&format!(".b + {n}"));
        }
        assert!(unused.upgrade().is_none(), "nobody wanted it");
        assert!(Arc::ptr_eq(&first, &compiled(".a + 1")), "who is used stays shared");
    }
}
