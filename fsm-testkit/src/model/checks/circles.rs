//! States that move round in a circle while nothing but time changes.

use std::collections::BTreeSet;

use fsm_core::Worker;

use super::super::explore::{Explored, Stepped};
use super::super::finding::{case_code, state_code};
use super::super::situation::Situation;
use super::super::space::Space;
use super::super::{Check, Finding};
use super::{Few, finding};

/// Where a situation goes by itself: it moves, or its wake-up comes.
fn follow(explored: &Explored, place: u32) -> Option<u32> {
    let (at, node) = explored.nodes.get_index(place as usize)?;
    let answer = node.answer.as_ref()?.as_ref().ok()?;
    let next = match &answer.step {
        Stepped::Move(to) => at.moved(*to),
        Stepped::Stay => at.later(answer.wake.filter(|nanos| *nanos > 0)?),
        // What is asked for changes the world, and with it the input.
        Stepped::Act { .. } | Stepped::Remove | Stepped::Restart => return None,
    };
    explored.place_of(&next).filter(|next| *next != place)
}

pub(super) fn flapping<W: Worker>(space: &Space<'_, W>, explored: &Explored) -> Vec<Finding> {
    let count = explored.nodes.len();
    // Zero is not looked at; else the walk that came by.
    let mut walks = vec![0_u32; count];
    let mut few = Few::new();
    for (start, walk) in (0..count).zip(1_u32..) {
        let mut place = u32::try_from(start).expect("situations are limited");
        while walks[place as usize] == 0 {
            walks[place as usize] = walk;
            match follow(explored, place) {
                Some(next) => place = next,
                None => break,
            }
        }
        let is_circle = walks[place as usize] == walk && follow(explored, place).is_some();
        if !is_circle {
            continue;
        }
        let circle = round(explored, place);
        let states: Vec<u8> = states_of(explored, &circle);
        let key: BTreeSet<u8> = states.iter().copied().collect();
        if key.len() > 1 {
            few.add(key, || describe(space, explored, &circle));
        }
    }
    few.made
}

/// The places of the circle that a place is on.
fn round(explored: &Explored, place: u32) -> Vec<u32> {
    let mut circle = vec![place];
    let mut next = follow(explored, place);
    while let Some(at) = next.filter(|at| !circle.contains(at)) {
        circle.push(at);
        next = follow(explored, at);
    }
    circle
}

fn at(explored: &Explored, place: u32) -> Situation {
    *explored.nodes.get_index(place as usize).expect("places come from the exploration").0
}

fn states_of(explored: &Explored, circle: &[u32]) -> Vec<u8> {
    circle.iter().map(|place| at(explored, *place).state).collect()
}

fn describe<W: Worker>(space: &Space<'_, W>, explored: &Explored, circle: &[u32]) -> Finding {
    let reason = |place: u32| {
        let node = &explored.nodes[place as usize];
        node.answer.as_ref().and_then(|answer| answer.as_ref().ok()).map(|answer| answer.reason.to_string())
    };
    let moves: Vec<(u32, u8)> = circle
        .iter()
        .filter_map(|place| {
            let answer = explored.nodes[*place as usize].answer.as_ref()?.as_ref().ok()?;
            if let Stepped::Move(to) = answer.step { Some((*place, to)) } else { None }
        })
        .collect();
    let round: Vec<String> = moves
        .iter()
        .map(|(place, to)| {
            let from = space.state(at(explored, *place).state);
            let (from, to) = (fsm_core::State::name(from), fsm_core::State::name(space.state(*to)));
            format!("{from} -> {to} ({})", reason(*place).unwrap_or_default())
        })
        .collect();
    let question = if at(explored, circle[0]).stop { "stop" } else { "next" };
    let what =
        format!("`{question}` moves round in a circle while nothing else changes: {}", round.join(", "));
    let mut test = "#[test]\nfn nothing_flaps() {\n    let circle = [\n".to_owned();
    for (place, to) in &moves {
        let from = at(explored, *place);
        let case = case_code(space, from).replace('\n', "\n        ");
        let (from, to) = (state_code(space, from.state), state_code(space, *to));
        test.push_str(&format!("        ({case}.{question}({from}), {to}),\n"));
    }
    test.push_str(
        "    ];\n    \
         let goes_round = circle.iter().all(|(answer, to)| matches!(answer.decision.step(), Step::Move(state) if state == to));\n    \
         assert!(!goes_round, \"{circle:?}\");\n}\n",
    );
    finding(space, explored, (Check::Flapping, circle[0]), what, Some(test))
}
