//! Where the cooperative world leads: to rest when told to stop, to a state that is well when told to run.

use std::collections::BTreeSet;

use fsm_core::Worker;

use super::super::explore::{Answer, Explored, Stepped};
use super::super::finding::{state_code, test_code};
use super::super::situation::{Situation, UNSEEN};
use super::super::space::Space;
use super::super::{Check, Finding};
use super::{Few, describe, finding, is_gone, is_well, leads_to_good, name};

fn answer(explored: &Explored, place: u32) -> Option<&Answer> {
    explored.nodes[place as usize].answer.as_ref()?.as_ref().ok()
}

/// It asks to be removed; or it panics, which is a finding of its own.
fn leaves(explored: &Explored, place: u32) -> bool {
    match &explored.nodes[place as usize].answer {
        Some(Ok(answer)) => answer.step == Stepped::Remove,
        Some(Err(_)) => true,
        None => false,
    }
}

/// Told to stop, every situation comes to rest: with observations, or `blind`.
pub(super) fn removal<W: Worker>(space: &Space<'_, W>, explored: &Explored, blind: bool) -> Vec<Finding> {
    let good = |place, at: Situation| at.stop && (is_gone(space, at) || leaves(explored, place));
    let leads = leads_to_good(explored, good);
    let check = if blind { Check::BlindRemoval } else { Check::Removal };
    stuck(space, explored, check, good, |place, at| {
        let concerned = at.stop && (space.observes() && at.seen == UNSEEN) == blind;
        concerned && !leads[place as usize]
    })
}

/// Told to run, every situation leads to a state that is well.
pub(super) fn traps<W: Worker>(space: &Space<'_, W>, explored: &Explored) -> Vec<Finding> {
    let good = |place, at: Situation| !at.stop && (is_well(space, at) || leaves(explored, place));
    let leads = leads_to_good(explored, good);
    stuck(space, explored, Check::Trap, good, |place, at| !at.stop && !leads[place as usize])
}

const NEVER_WELL: &str = "it never comes to a state of phase Running or Completed (`.rests_in([…])` says that a state is \
                          meant to be final)";

/// A finding for each state in which something gets stuck, however it got there.
fn stuck<W: Worker>(
    space: &Space<'_, W>,
    explored: &Explored,
    check: Check,
    good: impl Fn(u32, Situation) -> bool,
    is_stuck: impl Fn(u32, Situation) -> bool,
) -> Vec<Finding> {
    let mut on_from = vec![Vec::new(); explored.nodes.len()];
    for (from, to) in &explored.friendly {
        on_from[*from as usize].push(*to);
    }
    let places = || explored.nodes.keys().zip(0..).filter(|(at, place)| is_stuck(*place, **at));
    // Whoever leads into a stuck state is stuck as well, and only the last one is to blame.
    let mut ends = BTreeSet::new();
    for (_, place) in places() {
        let last = situation(explored, last_of(&on_from, place)).state;
        ends.insert(last);
    }
    // What is seen where all is well should get it on; where that isn't the trouble, anything shows it.
    let is_calm = |place| answer(explored, place).is_none_or(|answer| answer.step == Stepped::Stay);
    let calm = explored.nodes.keys().zip(0..).filter(|(at, place)| good(*place, **at) && is_calm(*place));
    let seen: BTreeSet<(u8, u8)> = calm.map(|(at, _)| (at.config, at.seen)).collect();
    let promising = places().filter(|(at, _)| seen.contains(&(at.config, at.seen)));
    let mut few = Few::new();
    for (end, last) in promising.chain(places()).filter(|(at, _)| ends.contains(&at.state)) {
        let waits = answer(explored, last).is_none_or(|a| a.step == Stepped::Stay && a.wake.is_some());
        if waits && on_from[last as usize].iter().any(|to| situation(explored, *to).state == end.state) {
            // Its deadline comes first.
            continue;
        }
        let end = *end;
        few.add(end.state, || {
            let sees = if check == Check::BlindRemoval { ", and nothing can be observed" } else { "" };
            let (told, never) = if check == Check::Trap {
                ("told to run", NEVER_WELL)
            } else {
                ("told to stop", "it never comes to rest")
            };
            let what = format!(
                "{told} in {}{sees}, {never}, though the world cooperates: {}",
                name(space, end),
                ending(space, explored, last)
            );
            let test = stuck_test(space, explored, last);
            finding(space, explored, (check, last), what, test)
        });
    }
    few.made
}

/// What is answered where it is stuck.
fn ending<W: Worker>(space: &Space<'_, W>, explored: &Explored, place: u32) -> String {
    match answer(explored, place) {
        Some(answer) => format!("it {}", describe(space, answer)),
        None if situation(explored, place).stop => {
            "it is not asked, since a child doesn't come to rest".into()
        }
        None => "it is not asked".into(),
    }
}

fn situation(explored: &Explored, place: u32) -> Situation {
    *explored.nodes.get_index(place as usize).expect("places come from the exploration").0
}

/// Follows the cooperative world, the worker's own doing first, until it comes round or there is no way on.
fn last_of(on_from: &[Vec<u32>], place: u32) -> u32 {
    let mut seen = BTreeSet::from([place]);
    let mut at = place;
    while let Some(next) = on_from[at as usize].iter().find(|to| !seen.contains(to)) {
        seen.insert(*next);
        at = *next;
    }
    at
}

fn stuck_test<W: Worker>(space: &Space<'_, W>, explored: &Explored, at: u32) -> Option<String> {
    let (must, rule) = match &answer(explored, at)?.step {
        Stepped::Stay => (
            "assert!(!matches!(answer.decision.step(), Step::Stay), \"{answer:?}\");".to_owned(),
            "it_gets_on",
        ),
        Stepped::Act { .. } => (
            "// It acts here again and again, and what the action shows doesn't let it move on.\n    \
             assert!(!matches!(answer.decision.step(), Step::Act(_)), \"{answer:?}\");"
                .to_owned(),
            "what_its_action_shows_is_enough",
        ),
        Stepped::Move(to) => (
            format!(
                "assert!(!matches!(answer.decision.step(), Step::Move({})), \"{{answer:?}}\");",
                state_code(space, *to)
            ),
            "it_gets_on_by_another_way",
        ),
        Stepped::Restart => (
            "assert!(!matches!(answer.decision.step(), Step::Restart), \"{answer:?}\");".to_owned(),
            "it_gets_on_by_another_way",
        ),
        Stepped::Remove => return None,
    };
    Some(test_code(space, situation(explored, at), rule, &must))
}
