//! `fsmd exec` and `fsmd executions`.

use std::io::Write;
use std::process::{Output, Stdio};

use serde_json::{Value, json};

use super::Site;
use crate::rig::{fsmd, text, verb};

impl Site {
    fn verb(&self, args: &[&str]) -> Output {
        self.verb_with(args, "")
    }

    fn verb_with(&self, args: &[&str], input: &str) -> Output {
        let server = format!("http://{}", self.daemon.address);
        let mut command = fsmd();
        command.args(args).args(["--server", &server]).current_dir(self.files.folder());
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }
}

#[track_caller]
fn gives(output: &Output, code: i32, out: &str) -> String {
    let said = text(&output.stderr);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(code), out), "{said}");
    said
}

// spec: U-11
#[tokio::test]
async fn what_a_run_gives_is_on_stdout_errors_are_on_stderr_and_the_exit_code_says_which() {
    let site = Site::start().await;
    site.files.write("input.json", "\"from a file\"");
    gives(&site.verb(&["exec", "greet", "--input", "\"press 7\""]), 0, "hello, press 7\n");
    gives(&site.verb(&["exec", "greet", "--input", "@input.json"]), 0, "hello, from a file\n");
    gives(&site.verb_with(&["exec", "greet", "--input", "-"], "\"stdin\""), 0, "hello, stdin\n");
    gives(&site.verb(&["exec", "line/count"]), 0, "[\n  1,\n  2\n]\n");
    gives(&site.verb(&["exec", "--agent", "/edge/job", "cancel"]), 0, "");
    let said = gives(&site.verb(&["exec", "print"]), 1, "");
    assert!(
        said.contains("error: the run did not succeed: no paper") && said.contains("fsmd executions "),
        "{said}"
    );
    let said = gives(&site.verb(&["exec", "greeet"]), 1, "");
    assert!(said.contains("did you mean `greet`?"), "{said}");
    let said = gives(&site.verb(&["exec", "waits", "--timeout", "300ms", "--cancel-on-timeout"]), 4, "");
    assert!(said.contains("after 300ms the run is running"), "{said}");
    let told: Value = serde_json::from_slice(&site.verb(&["exec", "greet", "-o", "json"]).stdout).unwrap();
    assert_eq!((&told["status"], &told["output"]), (&json!("success"), &json!("hello, \n")));
    let failed = site.verb(&["exec", "print", "-o", "json"]);
    let told: Value = serde_json::from_slice(&failed.stdout).unwrap();
    assert_eq!((failed.status.code(), &told["error"]["name"]), (Some(1), &json!("Printer")));
    for (args, hint) in [
        (&["exec"][..], "name a tool"),
        (&["exec", "--agent", "/edge/job"], "name the action"),
        (&["exec", "--agent", "edge", "x"], "fsmd tree"),
        (&["exec", "greet", "--input", "press 7"], "quotes of its own"),
        (&["exec", "greet", "--workflow", "x"], "cannot be used with"),
        (&["executions", "--status", "done"], "--status"),
    ] {
        let output = verb(args.iter().copied());
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        assert!(text(&output.stderr).contains(hint), "{args:?}: {}", text(&output.stderr));
    }
}

// spec: U-11, X-21, X-22, X-24
#[tokio::test]
async fn runs_are_begun_listed_shown_and_cancelled() {
    let site = Site::start().await;
    gives(&site.verb(&["executions"]), 0, "nothing was run, as far as is known\n");
    let begun = site.verb(&["exec", "waits", "--async", "--key", "once"]);
    let id = text(&begun.stdout).trim().to_owned();
    let url = format!("/v1/exec/{id}");
    gives(&site.verb(&["exec", "waits", "--async", "--key", "once"]), 0, &format!("{id}\n"));
    site.becomes(&url, "running").await;
    site.verb(&["exec", "print"]);
    let listed = text(&site.verb(&["executions"]).stdout);
    let lines: Vec<&str> = listed.lines().collect();
    assert!(
        lines.len() == 2 && lines[0].contains("task  print  failure") && lines[1].starts_with(&id),
        "{listed}"
    );
    let listed =
        text(&site.verb(&["executions", "--status", "running", "--tool", "waits", "--since", "10m"]).stdout);
    assert!(listed.lines().count() == 1 && listed.contains("task  waits  running"), "{listed}");
    gives(&site.verb(&["executions", "--kind", "workflow"]), 0, "nothing was run, as far as is known\n");
    gives(&site.verb(&["executions", "--cancel", &id]), 0, &format!("{id} is being cancelled\n"));
    site.becomes(&url, "cancelled").await;
    gives(&site.verb(&["executions", "--cancel", &id]), 0, &format!("{id} had ended before: cancelled\n"));
    let shown = text(&site.verb(&["executions", &id]).stdout);
    assert!(
        shown.starts_with("cancelled  task waits\n") && shown.contains("somebody cancelled it"),
        "{shown}"
    );
    let told: Value = serde_json::from_slice(&site.verb(&["executions", &id, "-o", "json"]).stdout).unwrap();
    assert_eq!(told["exec_id"], *id);
    let said = gives(&site.verb(&["executions", "nobody"]), 1, "");
    assert!(said.contains("there is no execution `nobody`"), "{said}");
}
