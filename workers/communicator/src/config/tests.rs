//! What is taken, what is refused and with which way out, and that the token is never shown.

use super::*;

fn read(more: &str) -> Result<CommunicatorConfig, String> {
    let json = format!(r#"{{"url": "https://relay.example.com/", "auth_token": "hunter2"{more}}}"#);
    serde_json::from_str(&json).map_err(|error| error.to_string())
}

#[track_caller]
fn check_refused(json: &str, expected: &str) {
    let error =
        serde_json::from_str::<CommunicatorConfig>(json).expect_err("a bad config was taken").to_string();
    assert!(error.contains(expected), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn bad_values_are_refused_with_a_way_out() {
    let url = |url: &str| format!(r#"{{"url": "{url}", "auth_token": "x"}}"#);
    check_refused(&url("relay.example.com"), "write https://HOST");
    check_refused(&url("ftp://relay.example.com"), "write https://HOST");
    check_refused(&url("https://u:hunter2@relay.example.com"), "without user");
    check_refused(&url("https://relay.example.com?token=hunter2"), "without user");
    check_refused(&url("http://relay.example.com"), "http:// to `relay.example.com` would show the token");
    check_refused(r#"{"url": "https://a"}"#, "missing field `auth_token`");
    for (more, expected) in [
        (r#", "poll_timeout": "500ms""#, "`poll_timeout` of 500ms is out of range: write 1s to 5m"),
        (r#", "push_interval": "1ms""#, "write 10ms to 1h"),
        (r#", "batch": 0"#, "write 1 to 1000"),
        (r#", "buffer": {"up": 100}"#, "write 200 to 100000"),
        (r#", "instance": "a b""#, "`a b` is no instance id"),
        (r#", "proxy": "http://u:hunter2@proxy:3128""#, "this is no proxy"),
        (r#", "commands": ["reboot"]"#, "unknown variant `reboot`"),
        (r#", "token": "hunter2""#, "unknown field `token`"),
    ] {
        let error = read(more).expect_err("a bad config was taken");
        assert!(error.contains(expected) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn what_is_local_may_be_in_the_clear() {
    for url in ["http://127.0.0.1:1", "http://localhost", "http://[::1]:80/base/"] {
        let url: RelayUrl = url.parse().expect("local");
        assert!(url.route("/v2/instance/pull").ends_with("/v2/instance/pull"));
        assert!(!url.route("/v2").contains("//v2"), "{url}");
    }
}

// spec: W-5
#[test]
fn a_token_is_never_shown_and_a_config_is_written_as_it_is_read() {
    let config = read("").expect("a good config");
    let shown = format!("{config:?} {}", serde_json::to_string(&config).expect("plain data"));
    assert!(!shown.contains("hunter2") && shown.contains("[secret]"), "{shown}");
    let reference = r#"{"url": "https://a", "auth_token": {"secret": {"env": "T"}}}"#;
    let config: CommunicatorConfig = serde_json::from_str(reference).expect("a good config");
    let text = Secret::with_references(|| serde_json::to_string(&config).expect("plain data"));
    assert_eq!(serde_json::from_str::<CommunicatorConfig>(&text).expect("its own output"), config);
}

// spec: W-1
#[test]
fn a_role_allows_what_those_before_it_allow_and_a_list_narrows_it() {
    let allowed = |more: &str| -> Vec<_> {
        let config = read(more).expect("a good config");
        CommandName::ALL.into_iter().filter(|name| config.allows(*name)).map(CommandName::as_str).collect()
    };
    assert_eq!(allowed(r#", "role": "read""#), ["plan"]);
    assert_eq!(allowed(""), ["plan", "retry", "stop", "start", "exec"]);
    assert_eq!(allowed(r#", "role": "admin""#), ["plan", "apply", "retry", "stop", "start", "exec"]);
    assert_eq!(allowed(r#", "commands": ["stop", "apply"]"#), ["stop"]);
}

// spec: S-11
#[test]
fn only_other_buffers_need_a_restart() {
    use fsm_core::Config;
    let config = read("").expect("a good config");
    let restarts = |more: &str| read(more).expect("a good config").needs_restart(&config);
    assert!(restarts(r#", "buffer": {"down": 500}"#));
    assert!(!restarts(r#", "push_interval": "2s", "role": "read", "instance": "a", "batch": 7"#));
}

// spec: W-1
#[test]
fn the_page_of_the_protocol_knows_every_field_command_and_error() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/relay.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    let schema = schemars::schema_for!(CommunicatorConfig);
    let fields = schema.get("properties").and_then(|fields| fields.as_object()).expect("it has fields");
    let commands = CommandName::ALL.into_iter().map(CommandName::as_str);
    let classes = crate::ErrorClass::ALL.into_iter().map(crate::ErrorClass::as_str);
    let words = fields.keys().cloned().chain(commands.chain(classes).map(str::to_owned));
    for word in words {
        assert!(page.contains(&format!("`{word}`")), "docs/relay.md lacks `{word}`");
    }
}
