//! Flows that need no peer: generated messages, files, limits.

use std::fs;

use serde_json::json;

use crate::support::{Running, pool};

// The same messages on each start.
#[tokio::test]
async fn generated_messages_land_in_a_file_in_order() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        let path = folder.path().join(name);
        let config = json!({
            "input": {"generate": {"interval": "0s", "count": 1000, "payload": {"expr": "{n, sq: (.n * .n), who: $vars.who}"}, "topic": "t"}},
            "output": {"file": {"path": path, "line": "topic_payload", "fsync": "never"}},
            "vars": {"who": "me"}
        });
        let mut flow = Running::start("/g", config, &pool("g"));
        flow.ended().await.unwrap();
        assert_eq!(flow.watch.snapshot().messages_out, 1000);
    }
    let [a, b] = ["a", "b"].map(|name| fs::read_to_string(folder.path().join(name)).unwrap());
    assert_eq!(a, b);
    let lines: Vec<_> = a.lines().collect();
    assert_eq!(lines.len(), 1000);
    assert_eq!(lines[7], r#"t {"n":7,"sq":49,"who":"me"}"#);
}

#[tokio::test]
async fn a_file_is_rotated_by_size_and_no_line_is_torn_or_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/log");
    let config = json!({
        "input": {"generate": {"interval": "0s", "count": 500}},
        "output": {"file": {"path": path, "max_size": "1KiB", "keep": 100, "fsync": "never"}}
    });
    let mut flow = Running::start("/f", config, &pool("f"));
    flow.ended().await.unwrap();
    let mut files: Vec<_> =
        fs::read_dir(path.parent().unwrap()).unwrap().map(|f| f.unwrap().path()).collect();
    // The youngest part is `log`, then `.1`, so the oldest comes first when sorted by number, downwards.
    files.sort_by_key(|f| {
        std::cmp::Reverse(f.extension().and_then(|e| e.to_str()?.parse::<u32>().ok()).unwrap_or(0))
    });
    assert!(files.len() > 3, "{files:?}");
    let mut lines = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.len() <= 1024 && text.ends_with('\n'), "{}", file.display());
        lines.extend(text.lines().map(str::to_owned));
    }
    assert_eq!(lines, (0..500).map(|n| format!("{{\"n\":{n}}}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn only_so_many_old_parts_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let config = json!({
        "input": {"generate": {"interval": "0s", "count": 500}},
        "output": {"file": {"path": path, "max_size": "100B", "keep": 2, "fsync": "never"}}
    });
    Running::start("/f", config, &pool("f")).ended().await.unwrap();
    let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["log", "log.1", "log.2"]);
}

// spec: D-1, D-8: a target that can't be written holds the flow back until it can
#[tokio::test]
async fn a_file_that_can_not_be_written_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::create_dir(&path).unwrap();
    let config = json!({
        "input": {"generate": {"interval": "0s", "count": 100}},
        "output": {"file": {"path": path}}
    });
    let mut flow = Running::start("/f", config, &pool("f"));
    let waiting = flow.until("the errors", |s| s.recent_errors == 3).await;
    assert!(waiting.last_error.unwrap().1.contains(&path.display().to_string()));
    assert_eq!((waiting.messages_out, waiting.output_up), (0, false));
    fs::remove_dir(&path).unwrap();
    flow.ended().await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 100);
}

#[tokio::test]
async fn one_message_per_line_whatever_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let config = json!({
        "input": {"generate": {"interval": "0s", "count": 2, "payload": {"text": "a\nb\r\nc"}}},
        "output": {"file": {"path": path}}
    });
    Running::start("/f", config, &pool("f")).ended().await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "a b  c\na b  c\n");
}

// spec: D-6: a filtered message counts as taken; one that became several is done when all are
#[tokio::test]
async fn filtered_and_split_messages_come_to_an_end() {
    let config = json!({
        "input": {"generate": {"interval": "0s", "count": 10}},
        "pipeline": [{"filter": ".n >= 5"}, {"map": "range(.n)"}],
        "output": {"drop": {}}
    });
    let mut flow = Running::start("/s", config, &pool("s"));
    flow.ended().await.unwrap();
    let end = flow.watch.snapshot();
    assert_eq!((end.messages_in, end.messages_out, end.in_flight), (10, 5 + 6 + 7 + 8 + 9, 0));
    assert_eq!(end.dropped(fsm_worker_dataflow::stats::DropReason::Filtered), 5);
    assert!(end.since_out.is_some());
}
