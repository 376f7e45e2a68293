//! The checks: what must hold of every answer, and of the graph that they make.

use std::collections::{BTreeMap, BTreeSet};

use fsm_core::{Arg, Phase, Sort, State, Worker};

use super::explore::{Answer, Explored, Stepped, is_gone, is_well};
use super::finding::{case_code, path_to, question_code, state_code, test_code};
use super::situation::Situation;
use super::space::Space;
use super::{Check, Finding};

mod circles;
mod ends;

/// Findings of one check that are shown: the others are the same mistake more often than not.
const SHOWN: usize = 3;

/// A check: what is wrong, each thing told apart by a key, the simplest situation first.
type Made = Vec<Finding>;

/// Runs all checks that the model doesn't leave out.
pub(super) fn all<W: Worker>(space: &Space<'_, W>, explored: &Explored) -> Vec<Finding> {
    let mut found = Vec::new();
    for check in Check::ALL {
        if space.model.exceptions.iter().any(|(left_out, _)| left_out == check) {
            continue;
        }
        found.extend(match check {
            Check::Panic => panics(space, explored),
            Check::Purity => purity(space, explored),
            Check::Reason => reasons(space, explored),
            Check::Sort => sorts(space, explored),
            Check::Flapping => circles::flapping(space, explored),
            Check::StopStartsNothing => stop_starts_nothing(space, explored),
            Check::Reached => reached(space, explored),
            Check::Removal => ends::removal(space, explored, false),
            Check::BlindRemoval => ends::removal(space, explored, true),
            Check::Trap => ends::traps(space, explored),
        });
    }
    found
}

/// Keeps the first finding of each key, and only a few.
struct Few<K> {
    seen: BTreeSet<K>,
    made: Made,
}

impl<K: Ord> Few<K> {
    fn new() -> Self {
        Self { seen: BTreeSet::new(), made: Vec::new() }
    }

    fn add(&mut self, key: K, make: impl FnOnce() -> Finding) {
        if self.made.len() < SHOWN && self.seen.insert(key) {
            self.made.push(make());
        }
    }
}

fn finding<W: Worker>(
    space: &Space<'_, W>,
    explored: &Explored,
    (check, place): (Check, u32),
    what: String,
    test: Option<String>,
) -> Finding {
    Finding { check, what, path: path_to(space, explored, place), test }
}

/// `next` or `stop`, as it is called in texts.
const fn question(at: Situation) -> &'static str {
    if at.stop { "stop" } else { "next" }
}

fn name<W: Worker>(space: &Space<'_, W>, at: Situation) -> &'static str {
    space.state(at.state).name()
}

fn describe<W: Worker>(space: &Space<'_, W>, answer: &Answer) -> String {
    let step = match &answer.step {
        Stepped::Stay => "stays".to_owned(),
        Stepped::Move(to) => format!("moves to {}", space.state(*to).name()),
        Stepped::Act { shown, .. } => format!("runs {shown}"),
        Stepped::Remove => "asks to be removed".to_owned(),
        Stepped::Restart => "asks to be restarted".to_owned(),
    };
    format!("{step} because `{}`", answer.reason)
}

fn panics<W: Worker>(space: &Space<'_, W>, explored: &Explored) -> Made {
    let mut few = Few::new();
    for ((at, node), place) in explored.nodes.iter().zip(0..) {
        let Some(Err(text)) = &node.answer else { continue };
        few.add((at.state, at.stop), || {
            let what = format!("`{}` of {} panics: {text}", question(*at), name(space, *at));
            let test = test_code(space, *at, "it_answers_without_a_panic", "drop(answer);");
            finding(space, explored, (Check::Panic, place), what, Some(test))
        });
    }
    few.made
}

/// All situations again, from the last to the first: a state that remembers or counts answers otherwise.
fn purity<W: Worker>(space: &Space<'_, W>, explored: &Explored) -> Made {
    let mut few = Few::new();
    let answers: Vec<_> = explored.answers().collect();
    for (place, at, first) in answers.into_iter().rev() {
        let then = space.ask(at);
        let same = then.as_ref().is_ok_and(|then| is_same(first, then));
        if !same {
            few.add((at.state, at.stop), || {
                let then = match &then {
                    Ok(then) => describe(space, then),
                    Err(text) => format!("panics: {text}"),
                };
                let what = format!(
                    "asked twice, {} gives two answers to `{}`: it {}, and then it {then}",
                    name(space, at),
                    question(at),
                    describe(space, first)
                );
                let test = format!(
                    "#[test]\nfn it_answers_twice_the_same() {{\n    let case = {}\n    ;\n    let ask = || format!(\"{{:?}}\", \
                     case{});\n    assert_eq!(ask(), ask());\n}}\n",
                    case_code(space, at).replace('\n', "\n    "),
                    question_code(space, at)
                );
                finding(space, explored, (Check::Purity, place), what, Some(test.replace("\n    ;", ";")))
            });
        }
    }
    few.made
}

fn is_same(a: &Answer, b: &Answer) -> bool {
    a.step == b.step && a.wake == b.wake && a.reason.to_string() == b.reason.to_string()
}

fn reasons<W: Worker>(space: &Space<'_, W>, explored: &Explored) -> Made {
    let mut few = Few::new();
    for (place, at, answer) in explored.answers() {
        let places = answer.reason.text().matches("{}").count();
        let values = answer.reason.args().iter().filter(|arg| **arg != Arg::None).count();
        let wrong = if answer.reason.to_string().trim().is_empty() {
            "an empty reason".to_owned()
        } else if places != values {
            format!("a reason with {places} places and {values} values, `{}`", answer.reason.text())
        } else {
            continue;
        };
        few.add((at.state, at.stop, answer.reason.text()), || {
            let what = format!("`{}` of {} gives {wrong}", question(at), name(space, at));
            let must = "let reason = answer.decision.reason();\n    \
                        let values = reason.args().iter().filter(|arg| **arg != Arg::None).count();\n    \
                        assert!(!reason.to_string().trim().is_empty());\n    \
                        assert_eq!(reason.text().matches(\"{}\").count(), values, \"{reason:?}\");";
            let test = test_code(space, at, "it_says_why", must);
            finding(space, explored, (Check::Reason, place), what, Some(test))
        });
    }
    few.made
}

fn sorts<W: Worker>(space: &Space<'_, W>, explored: &Explored) -> Made {
    let mut few = Few::new();
    let mut works = BTreeMap::new();
    for (place, at, answer) in explored.answers() {
        let state = space.state(at.state);
        let acts = matches!(answer.step, Stepped::Act { .. });
        match state.sort() {
            Sort::Passive if acts => few.add((at.state, at.stop), || {
                let what = format!(
                    "{} is passive, and `{}` {}",
                    name(space, at),
                    question(at),
                    describe(space, answer)
                );
                let must = "assert!(!matches!(answer.decision.step(), Step::Act(_)), \"{answer:?}\");";
                let test = test_code(space, at, "a_passive_state_never_acts", must);
                finding(space, explored, (Check::Sort, place), what, Some(test))
            }),
            Sort::Trying if answer.step == Stepped::Stay && answer.wake.is_none() => {
                few.add((at.state, at.stop), || {
                    let what = format!(
                        "{} is trying, and `{}` {} and without a deadline: it acts, moves on, or waits with one (`in_state_for`)",
                        name(space, at),
                        question(at),
                        describe(space, answer)
                    );
                    let must = "let waits = matches!(answer.decision.step(), Step::Stay) && answer.wake.is_none();\n    \
                                assert!(!waits, \"{answer:?}\");";
                    let test = test_code(space, at, "a_trying_state_does_not_wait_for_ever", must);
                    finding(space, explored, (Check::Sort, place), what, Some(test))
                });
            }
            Sort::Working if !at.stop => {
                let (_, acted) = works.entry(at.state).or_insert((place, false));
                *acted |= acts;
            }
            Sort::Working | Sort::Passive | Sort::Trying => {}
        }
    }
    for (state, (place, acted)) in works {
        if !acted {
            few.add((state, false), || {
                let what = format!("{} is working, and never acts", space.state(state).name());
                finding(space, explored, (Check::Sort, place), what, None)
            });
        }
    }
    few.made
}

fn stop_starts_nothing<W: Worker>(space: &Space<'_, W>, explored: &Explored) -> Made {
    let mut starting = BTreeSet::new();
    for (_, at, answer) in explored.answers() {
        let starts = !at.stop && space.state(at.state).phase() == Phase::Starting;
        if let (true, Stepped::Act { action, .. }) = (starts, &answer.step)
            && !space.model.stop_may.contains(&space.action_name(*action))
        {
            starting.insert(*action);
        }
    }
    let mut few = Few::new();
    for (place, at, answer) in explored.answers().filter(|(_, at, _)| at.stop) {
        let phase = space.state(at.state).phase();
        let wrong = match &answer.step {
            Stepped::Move(to) => match space.state(*to).phase() {
                Phase::Starting | Phase::Running => true,
                // From rest there is nothing that could get worse.
                Phase::Degraded => phase.is_at_rest(),
                Phase::Stopped | Phase::Stopping | Phase::Completed => false,
            },
            Stepped::Act { action, .. } => starting.contains(action),
            Stepped::Restart => true,
            Stepped::Stay | Stepped::Remove => false,
        };
        if wrong {
            few.add((at.state, kind_of(&answer.step)), || {
                let what = format!("told to stop, {} {}: that starts work", name(space, at), describe(space, answer));
                let must = match &answer.step {
                    Stepped::Move(to) => format!(
                        "let starts = matches!(answer.decision.step(), Step::Move({}));\n    assert!(!starts, \"{{answer:?}}\");",
                        state_code(space, *to)
                    ),
                    Stepped::Act { action, .. } => format!(
                        "let starts = matches!(answer.decision.step(), Step::Act(action) if action.name() == {:?});\n    \
                         assert!(!starts, \"{{answer:?}}\");",
                        space.action_name(*action)
                    ),
                    Stepped::Restart | Stepped::Stay | Stepped::Remove => {
                        "assert!(!matches!(answer.decision.step(), Step::Restart), \"{answer:?}\");".into()
                    }
                };
                let test = test_code(space, at, "a_stop_starts_no_work", &must);
                finding(space, explored, (Check::StopStartsNothing, place), what, Some(test))
            });
        }
    }
    few.made
}

/// A number per sort of step, to tell findings apart.
const fn kind_of(step: &Stepped) -> u8 {
    match step {
        Stepped::Stay => 0,
        Stepped::Move(_) => 1,
        Stepped::Act { .. } => 2,
        Stepped::Remove => 3,
        Stepped::Restart => 4,
    }
}

fn reached<W: Worker>(_space: &Space<'_, W>, explored: &Explored) -> Made {
    let reached: BTreeSet<u8> = explored.nodes.keys().map(|at| at.state).collect();
    let all = W::State::ALL.iter().zip(0..).filter(|(_, place)| !reached.contains(place));
    all.map(|(state, _)| Finding {
        check: Check::Reached,
        what: format!(
            "{} is never reached: list the config or observation that leads there, or remove the state",
            state.name()
        ),
        path: Vec::new(),
        test: None,
    })
    .collect()
}

/// Which situations lead to a good one through the cooperative world.
fn leads_to_good(explored: &Explored, good: impl Fn(u32, Situation) -> bool) -> Vec<bool> {
    let count = explored.nodes.len();
    // Sources by target, as runs of one list.
    let mut begins = vec![0_u32; count + 1];
    for (_, to) in &explored.friendly {
        begins[*to as usize + 1] += 1;
    }
    for at in 0..count {
        begins[at + 1] += begins[at];
    }
    let mut sources = vec![0_u32; explored.friendly.len()];
    let mut free = begins.clone();
    for (from, to) in &explored.friendly {
        let slot = &mut free[*to as usize];
        sources[*slot as usize] = *from;
        *slot += 1;
    }
    let places = explored.nodes.keys().zip(0..);
    let mut open: Vec<u32> =
        places.filter(|(at, place)| good(*place, **at)).map(|(_, place)| place).collect();
    let mut leads = vec![false; count];
    for place in &open {
        leads[*place as usize] = true;
    }
    while let Some(place) = open.pop() {
        let (first, last) = (begins[place as usize] as usize, begins[place as usize + 1] as usize);
        for from in &sources[first..last] {
            if !std::mem::replace(&mut leads[*from as usize], true) {
                open.push(*from);
            }
        }
    }
    leads
}
