//! Finds who waits for whom in a circle.

use std::collections::BTreeMap;

use fsm_core::ChildName;

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Open,
    Done,
}

/// The first cycle along `edges`, in order, the first name repeated at the end; none when there is none.
pub fn cycle_among(
    names: impl Iterator<Item = ChildName>,
    edges: impl Fn(&ChildName) -> Vec<ChildName>,
) -> Option<Vec<ChildName>> {
    let mut marks: BTreeMap<ChildName, Mark> = BTreeMap::new();
    for start in names {
        if marks.contains_key(&start) {
            continue;
        }
        // A stack of (name, edges still to follow): deep chains must not overflow the call stack.
        marks.insert(start.clone(), Mark::Open);
        let mut stack = vec![(start.clone(), edges(&start))];
        while let Some((name, rest)) = stack.last_mut() {
            let Some(next) = rest.pop() else {
                marks.insert(name.clone(), Mark::Done);
                stack.pop();
                continue;
            };
            match marks.get(&next) {
                Some(Mark::Done) => {}
                Some(Mark::Open) => {
                    let from = stack.iter().position(|(name, _)| *name == next).unwrap_or(0);
                    let mut cycle: Vec<ChildName> =
                        stack[from..].iter().map(|(name, _)| name.clone()).collect();
                    cycle.push(next);
                    return Some(cycle);
                }
                None => {
                    marks.insert(next.clone(), Mark::Open);
                    let edges = edges(&next);
                    stack.push((next, edges));
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ChildName {
        ChildName::try_new(text).unwrap()
    }

    fn find(graph: &[(&str, &[&str])]) -> Option<Vec<String>> {
        let edges = |of: &ChildName| {
            let found = graph.iter().find(|(name, _)| *name == of.as_str());
            found.map_or_else(Vec::new, |(_, to)| to.iter().map(|n| name(n)).collect())
        };
        let cycle = cycle_among(graph.iter().map(|(n, _)| name(n)), edges)?;
        Some(cycle.iter().map(ToString::to_string).collect())
    }

    // spec: S-15
    #[test]
    fn a_cycle_is_found_and_printed_in_order() {
        assert_eq!(find(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"])]).unwrap(), ["b", "c", "b"]);
        assert_eq!(find(&[("a", &["a"])]).unwrap(), ["a", "a"]);
    }

    #[test]
    fn a_diamond_is_no_cycle() {
        assert_eq!(find(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])]), None);
    }
}
