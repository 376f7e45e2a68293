//! Which runners wait to be woken, each at most once, however often it looks in vain.

/// Runners without work. A runner that was woken for nothing (by a cancel that came too late) must not be listed twice: the one
/// wake-up meant for another runner would be lost on it.
#[derive(Default)]
pub(super) struct Idle {
    /// The last one is the warmest.
    list: Vec<usize>,
    listed: Vec<bool>,
}

impl Idle {
    pub(super) fn add(&mut self, runner: usize) {
        if self.listed.len() <= runner {
            self.listed.resize(runner + 1, false);
        }
        if !self.listed[runner] {
            self.listed[runner] = true;
            self.list.push(runner);
        }
    }

    /// The runner found work by itself.
    pub(super) fn remove(&mut self, runner: usize) {
        if self.listed.get(runner) == Some(&true) {
            self.listed[runner] = false;
            self.list.retain(|listed| *listed != runner);
        }
    }

    /// The runner to wake.
    pub(super) fn pop(&mut self) -> Option<usize> {
        let runner = self.list.pop()?;
        self.listed[runner] = false;
        Some(runner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runner_woken_in_vain_is_listed_once() {
        let mut idle = Idle::default();
        for runner in [5, 3, 3, 3] {
            idle.add(runner);
        }
        assert_eq!((idle.pop(), idle.pop(), idle.pop()), (Some(3), Some(5), None));
    }

    #[test]
    fn runner_that_found_work_itself_is_not_woken() {
        let mut idle = Idle::default();
        idle.add(1);
        idle.add(2);
        idle.remove(2);
        idle.remove(7);
        assert_eq!((idle.pop(), idle.pop()), (Some(1), None));
    }
}
