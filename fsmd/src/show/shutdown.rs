//! How long a shutdown may take, for a person who has to choose its deadline (S-24).

use fsm_core::HumanDuration;
use serde::Deserialize;

use super::paint::Paint;

/// The longest chain of stops that wait for each other, and the time that a shutdown has.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct LongestStop {
    takes: HumanDuration,
    deadline: HumanDuration,
    chain: Vec<Stop>,
}

/// A node of that chain, and the time that it has to stop.
#[derive(Debug, Clone, Deserialize)]
struct Stop {
    path: String,
    within: HumanDuration,
}

/// The chain as a table, its sum, and what that means for the deadline.
pub(crate) fn shutdown(longest: &LongestStop, paint: Paint) -> String {
    let LongestStop { takes, deadline, chain } = longest;
    if chain.is_empty() {
        return "the tree is empty: nothing has to stop\n".to_owned();
    }
    let first = chain.iter().map(|stop| stop.path.len()).max().unwrap_or(0);
    let mut out =
        String::from("the longest chain of stops, who stops first above; everything else stops beside it\n");
    for Stop { path, within } in chain {
        out.push_str(&format!("  {path:first$}  within {within}\n"));
    }
    out.push_str(&format!("\n{}  {takes}, if each takes all of its time\n", paint.dim("it takes")));
    out.push_str(&format!("{}  {deadline} (supervision.shutdown_timeout)\n", paint.dim("deadline")));
    if takes <= deadline {
        out.push_str("a shutdown has time enough for it\n");
        return out;
    }
    let short = HumanDuration::new(takes.get().saturating_sub(deadline.get()));
    out.push_str(&paint.bad(&format!(
        "the deadline is {short} too short: a shutdown may have to force nodes of this chain"
    )));
    out.push_str(&format!(
        "\n  = help: set `supervision.shutdown_timeout` to {takes} or more, or give these nodes a shorter \
         `policy.stop_timeout`\n"
    ));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shown(takes: &str, deadline: &str, chain: &[(&str, &str)]) -> String {
        let chain: Vec<_> =
            chain.iter().map(|(path, within)| serde_json::json!({"path": path, "within": within})).collect();
        let value = serde_json::json!({"takes": takes, "deadline": deadline, "chain": chain});
        shutdown(&serde_json::from_value(value).unwrap(), Paint::plain())
    }

    // spec: S-24
    #[test]
    fn a_deadline_that_is_too_short_is_told_with_what_to_do() {
        insta::assert_snapshot!(shown("40s", "30s", &[("/edge/flow", "10s"), ("/edge", "30s")]), @r"
        the longest chain of stops, who stops first above; everything else stops beside it
          /edge/flow  within 10s
          /edge       within 30s

        it takes  40s, if each takes all of its time
        deadline  30s (supervision.shutdown_timeout)
        the deadline is 10s too short: a shutdown may have to force nodes of this chain
          = help: set `supervision.shutdown_timeout` to 40s or more, or give these nodes a shorter `policy.stop_timeout`
        ");
    }

    // spec: S-24
    #[test]
    fn a_deadline_that_is_just_long_enough_is_fine() {
        let told = shown("30s", "30s", &[("/edge", "30s")]);
        assert!(told.ends_with("a shutdown has time enough for it\n") && !told.contains("help"), "{told}");
        assert_eq!(shown("0s", "30s", &[]), "the tree is empty: nothing has to stop\n");
    }
}
