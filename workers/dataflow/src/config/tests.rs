//! Configs are valid once they exist, and say what is wrong when they can't.

use serde_json::json;

use super::*;

#[track_caller]
fn refused(value: serde_json::Value, says: &[&str]) {
    let error = serde_json::from_value::<FlowConfig>(value).unwrap_err().to_string();
    for part in says {
        assert!(error.contains(part), "`{part}` is missing in: {error}");
    }
}

fn flow(input: serde_json::Value, output: serde_json::Value) -> serde_json::Value {
    json!({"input": input, "output": output})
}

#[test]
fn bad_configs_say_what_is_wrong() {
    let mqtt = |more: serde_json::Value| {
        let mut input = json!({"url": "mqtt://h", "topic": "a"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        flow(json!({ "mqtt": input }), json!({"drop": {}}))
    };
    refused(mqtt(json!({"url": "http://h"})), &["mqtt://", "`http`"]);
    refused(mqtt(json!({"url": "broker:1883"})), &["mqtt://"]);
    refused(mqtt(json!({"url": "mqtt://me:geheim@h"})), &["password"]);
    refused(mqtt(json!({"url": "mqtt://h:99999"})), &["`99999`", "port"]);
    refused(mqtt(json!({"url": "mqtt://h/topic"})), &["/topic"]);
    refused(mqtt(json!({"topic": "a/#/b"})), &["a/#/b", "malformed"]);
    refused(mqtt(json!({"topic": ["a", "b+"]})), &["b+"]);
    refused(mqtt(json!({"topic": []})), &["empty"]);
    refused(mqtt(json!({"topic": "$share/g"})), &["$share/GROUP/FILTER"]);
    refused(mqtt(json!({"qos": 3})), &["0, 1 or 2"]);
    refused(mqtt(json!({"tpoic": "a"})), &["tpoic", "topic"]);
    refused(mqtt(json!({"keep_alive": "30"})), &["`30`", "500ms"]);
    refused(flow(json!({"mqqt": {}}), json!({"drop": {}})), &["mqqt", "http_server"]);
    refused(
        flow(json!({"generate": {}}), json!({"mqtt": {"url": "mqtt://h", "topic": "a/+"}})),
        &["wildcard `+`"],
    );
    refused(
        flow(json!({"generate": {}}), json!({"file": {"path": "f", "max_size": "8 miles"}})),
        &["8 miles", "8MiB"],
    );
    refused(flow(json!({"http_server": {"listen": "nowhere"}}), json!({"drop": {}})), &["socket address"]);
}

#[test]
fn a_password_in_a_url_is_never_repeated() {
    let error = serde_json::from_value::<MqttUrl>(json!("mqtt://me:geheim@h")).unwrap_err().to_string();
    assert!(!error.contains("geheim"), "{error}");
}

#[test]
fn urls_are_read_and_written() {
    for (text, tls, host, port, written) in [
        ("mqtt://h", false, "h", 1883, "mqtt://h:1883"),
        ("mqtts://h", true, "h", 8883, "mqtts://h:8883"),
        ("tcp://10.0.0.1:9/", false, "10.0.0.1", 9, "mqtt://10.0.0.1:9"),
        ("mqtt://[::1]:7", false, "::1", 7, "mqtt://[::1]:7"),
        ("mqtt://[::1]", false, "::1", 1883, "mqtt://[::1]:1883"),
        ("mqtt://me@h", false, "h", 1883, "mqtt://me@h:1883"),
    ] {
        let url: MqttUrl = text.parse().unwrap();
        assert_eq!((url.tls(), url.host(), url.port()), (tls, host, port), "{text}");
        assert_eq!(url.to_string(), written);
        assert_eq!(written.parse::<MqttUrl>().unwrap(), url);
    }
}

#[test]
fn filters_match_as_mqtt_says() {
    for (filter, topic, matches) in [
        ("a/b", "a/b", true),
        ("a/b", "a/b/c", false),
        ("a/+", "a/b", true),
        ("a/+", "a", false),
        ("a/+", "a/", true),
        ("a/+/c", "a/b/c", true),
        ("#", "a/b", true),
        ("a/#", "a", true),
        ("a/#", "a/b/c", true),
        ("a/#", "ab", false),
        ("+/+", "/a", true),
        ("#", "$SYS/x", false),
        ("+/x", "$SYS/x", false),
        ("$SYS/#", "$SYS/x", true),
        ("$share/g/a/+", "a/b", true),
        ("$share/g/#", "$SYS/x", false),
    ] {
        assert_eq!(TopicFilter::try_new(filter).unwrap().matches(topic), matches, "{filter} {topic}");
    }
}

#[test]
fn sizes_are_read_and_written() {
    for (text, bytes, written) in
        [("8MiB", 8 << 20, "8MiB"), ("64 KiB", 65_536, "64KiB"), ("10MB", 10_000_000, "10MB"), ("7", 7, "7B")]
    {
        let size: ByteSize = text.parse().unwrap();
        assert_eq!((size.get(), size.to_string()), (bytes, written.to_owned()), "{text}");
    }
    for bad in ["", "0", "MiB", "-1", "1.5MiB", "9 mib", "99999999999GiB"] {
        assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
    }
}

#[test]
fn a_config_survives_being_written_and_read() {
    let value = json!({
        "input": {"mqtt": {"url": "mqtt://h:1883", "topic": ["a", "b/#"], "qos": 2, "version": "3.1.1", "dedicated": true}},
        "pipeline": [{"map": ".x"}, {"topic": "t"}, {"topic": {"expr": "\"a\""}}, {"filter": "true"}, {"tag": {"tag": "t"}}],
        "output": {"file": {"path": "f", "fsync": "never", "line": "topic_payload"}},
        "on_error": {"dead_letter": {"stdout": {}}},
        "expect_every": "5s"
    });
    let config: FlowConfig = serde_json::from_value(value).unwrap();
    let again: FlowConfig = serde_json::from_value(serde_json::to_value(&config).unwrap()).unwrap();
    assert_eq!(config, again);
}

#[test]
fn only_what_the_running_flow_does_needs_a_new_one() {
    let config: FlowConfig =
        serde_json::from_value(flow(json!({"generate": {}}), json!({"drop": {}}))).unwrap();
    let mut judged = config.clone();
    judged.fresh_within = Duration::from_secs(1).into();
    judged.expect_every = Some(Duration::from_secs(1).into());
    assert!(!judged.needs_new_flow(&config));
    let mut other = config.clone();
    other.vars.insert("a".into(), 1.into());
    assert!(other.needs_new_flow(&config));
}

#[test]
fn the_schema_knows_all_fields() {
    let schema = serde_json::to_value(schemars::schema_for!(FlowConfig)).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    for field in ["input", "pipeline", "output", "vars", "on_error", "max_in_flight", "max_bytes"] {
        assert!(properties.contains_key(field), "{field}");
    }
    assert_eq!(schema["additionalProperties"], false);
}
