//! Each state against each thing it can see.

use std::sync::Arc;
use std::time::Duration;

use fsm_core::table::Case;
use serde_json::{Map, Value, json};

use super::StreamState::{
    Crashed, Degraded, Running, Stopped, TryingToReload, TryingToStart, TryingToStop, WaitingReady,
};
use super::*;
use crate::ending::Exit;
use crate::stream::{StreamConfig, StreamObserved};

fn stream(text: Value) -> StreamConfig {
    let map: Map<String, Value> = text.as_object().expect("a map").clone();
    StreamConfig::new(map)
}

fn config() -> StreamConfig {
    stream(json!({"input": {"generate": {}}, "output": {"drop": {}}}))
}

fn other() -> StreamConfig {
    stream(json!({"input": {"stdin": {}}, "output": {"drop": {}}}))
}

fn written() -> StreamObserved {
    StreamObserved { written: Some(Arc::new(config())), ..Default::default() }
}

fn alive(deployed: StreamConfig) -> StreamObserved {
    let mut seen = StreamObserved { deployed: Some(Arc::new(deployed)), ..written() };
    seen.process.alive = true;
    seen
}

fn unwell() -> StreamObserved {
    let mut seen = alive(config());
    (seen.process.ready, seen.process.unwell) = (true, Some("503".into()));
    seen
}

fn left() -> StreamObserved {
    let mut seen = alive(config());
    (seen.process.alive, seen.process.ended, seen.process.exit) = (false, true, Some(Exit::Code(1)));
    seen
}

fn case(observed: StreamObserved) -> Case<Stream> {
    Case::new(config()).observed(observed)
}

#[test]
fn a_config_is_written_before_the_engine_is_started() {
    case(StreamObserved::default()).next(Stopped).moves_to(TryingToStart);
    case(StreamObserved::default()).next(TryingToStart).acts("write_config");
    case(StreamObserved::default())
        .after("write_config", Outcome::Failure)
        .next(TryingToStart)
        .acts("write_config")
        .because("as the case says");
    case(written()).next(TryingToStart).acts("start");
    case(alive(config())).next(TryingToStart).moves_to(WaitingReady);
}

#[test]
fn an_engine_is_believed_when_it_answers_and_well_when_it_is_connected() {
    case(alive(config())).next(WaitingReady).stays();
    case(alive(config())).in_state_for(Duration::from_secs(30)).next(WaitingReady).moves_to(Crashed);
    case(unwell()).next(WaitingReady).moves_to(Running);
    case(unwell()).next(Running).moves_to(Degraded).because("503");
    case(unwell()).next(Degraded).stays();
    case(alive(config())).next(Degraded).moves_to(Running);
    case(alive(config())).next(Running).stays();
}

#[test]
fn another_config_reloads_it_and_one_that_is_refused_leaves_it_as_it_is() {
    for state in [WaitingReady, Running, Degraded] {
        case(alive(other())).next(state).moves_to(TryingToReload);
    }
    case(alive(other())).next(TryingToReload).acts("reload");
    case(alive(other()))
        .after("reload", Outcome::Failure)
        .next(TryingToReload)
        .acts("reload")
        .because("reload failed: as the case says");
    case(alive(config())).next(TryingToReload).moves_to(WaitingReady);
    case(written()).next(TryingToReload).moves_to(TryingToStart);
}

#[test]
fn an_engine_that_leaves_comes_again() {
    for state in [TryingToStart, WaitingReady, Running, Degraded, TryingToReload] {
        case(left()).next(state).moves_to(Crashed).because("exit code 1");
    }
    case(left()).next(Crashed).restarts();
    case(alive(config())).next(Crashed).acts("kill");
    case(written()).next(Running).moves_to(TryingToStart);
}

#[test]
fn it_stops_until_nothing_is_seen() {
    case(StreamObserved::default()).stop(Stopped).stays();
    for state in [TryingToStart, WaitingReady, Running, Degraded, TryingToReload, Crashed] {
        case(alive(config())).stop(state).moves_to(TryingToStop);
    }
    case(alive(config())).stop(Stopped).moves_to(TryingToStop);
    case(alive(config())).stop(TryingToStop).acts("stop");
    case(left()).stop(TryingToStop).acts("stop");
    case(written()).stop(TryingToStop).moves_to(Stopped);
    Case::<Stream>::new(config()).after("stop", Outcome::Success).stop(TryingToStop).moves_to(Stopped);
    case(alive(config())).next(TryingToStop).moves_to(TryingToStart);
}

#[test]
fn what_cannot_work_is_refused_with_its_place() {
    for (config, place, why) in [
        (stream(json!({"output": {"drop": {}}})), "stream", "needs an `input`"),
        (stream(json!({"input": {"stdin": {}}})), "stream", "needs an `output`"),
        (stream(json!({"input": {}, "output": {}, "http": {"enabled": false}})), "stream.http", "over HTTP"),
        (stream(json!({"input": {}, "output": {}, "http": {"address": "x"}})), "stream.http", "`x`"),
        (
            stream(json!({"input": {}, "output": {}, "http": {"address": "127.0.0.1:0"}})),
            "stream.http",
            "port",
        ),
        (StreamConfig { engine: vec![String::new()], ..config() }, "engine", "empty"),
        (StreamConfig { allow_env: vec!["LD_PRELOAD".into()], ..config() }, "allow_env", "LD_PRELOAD"),
    ] {
        let error = Case::<Stream>::new(config).derive().expect_err("it can't work");
        assert_eq!(error.field(), Some(place), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    }
}
