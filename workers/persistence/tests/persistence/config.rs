//! What configs say, and which are refused.

use std::time::Duration;

use fsm_core::table::Case;
use fsm_worker_persistence::{ClockTime, Day, Persistence, PersistenceConfig, Window};
use serde_json::json;

fn read(value: serde_json::Value) -> Result<PersistenceConfig, serde_json::Error> {
    serde_json::from_value(value)
}

// spec: W-10
#[test]
fn the_defaults_are_those_of_the_specification() {
    let config = read(json!({})).unwrap();
    let said = json!({
        "compact_every": "5m", "retention": "1h", "maintain_every": "7d", "early": "2d", "late": "2d",
        "window": {"days": ["sat", "sun"], "from": "02:00", "to": "05:00"}
    });
    assert_eq!(config, read(said).unwrap());
    assert!(config.max_records > 0 && config.max_bytes > 0, "there is a size cap");
}

#[track_caller]
fn refused(config: PersistenceConfig, field: &str) {
    let error = Case::<Persistence>::new(config).derive().unwrap_err();
    assert_eq!(error.field(), Some(field), "{error}");
}

#[test]
fn a_config_that_contradicts_itself_is_refused_with_the_field() {
    let config = PersistenceConfig::default;
    refused(config().with_compact_every(Duration::ZERO), "compact_every");
    refused(config().with_maintain_every(Duration::ZERO), "maintain_every");
    refused(config().with_maintain_every(Duration::from_secs(2 * 86_400)), "early");
    refused(config().with_max_records(0), "max_records");
    let (two, five) = (ClockTime::hour(2), ClockTime::hour(5));
    refused(config().with_window(Window::new([], two, five)), "window.days");
    refused(config().with_window(Window::new([Day::Sat], two, two)), "window.to");
    assert!(Case::<Persistence>::new(config()).derive().is_ok());
}

#[test]
fn times_of_the_day_are_read_to_the_minute() {
    for good in ["00:00", "02:00", "23:59"] {
        assert_eq!(good.parse::<ClockTime>().unwrap().to_string(), good);
    }
    for bad in ["", "2", "2:00", "24:00", "12:60", "12:00:00", "noon", "-1:00"] {
        let error = bad.parse::<ClockTime>().unwrap_err();
        assert!(error.contains("write `02:00`"), "{error}");
    }
    let error = read(json!({"window": {"from": "25:00"}})).unwrap_err();
    assert!(error.to_string().contains("`25:00` is no time of the day"), "{error}");
}
