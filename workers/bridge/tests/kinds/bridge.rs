//! What a bridge makes of its children, and which children it makes of its template.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use fsm_core::table::Case;
use fsm_core::*;
use fsm_templating::{Location, Template};
use fsm_worker_bridge::bridge::*;
use proptest::prelude::*;
use serde_json::{Value, json};

use BridgeState::*;

fn case(connection: Phase, read: (Phase, &'static str), write: Phase) -> Case<Bridge> {
    Case::new(BridgeConfig::default())
        .child("connection", connection, "C")
        .child("read", read.0, read.1)
        .child("write", write, "W")
}

const IDLE: (Phase, &str) = (Phase::Running, "Idle");
const ACTIVE: (Phase, &str) = (Phase::Running, "Active");

/// Every phase that a child can be seen in, for the flow `read`.
const FLOWS: [(Phase, &str); 7] = [
    (Phase::Stopped, "Stopped"),
    (Phase::Starting, "TryingToStart"),
    IDLE,
    ACTIVE,
    (Phase::Degraded, "Degraded"),
    (Phase::Stopping, "TryingToStop"),
    (Phase::Completed, "Completed"),
];

// spec: S-16 — the table of `next`: each state with each connection and each flow.
#[test]
fn each_state_answers_each_situation() {
    for connection in Phase::ALL {
        let is_up = *connection == Phase::Running;
        for read in FLOWS {
            let ask = |state| case(*connection, read, Phase::Running).next(state);
            ask(Stopped).moves_to(WaitingForConnection);
            ask(Stopping).moves_to(WaitingForConnection);
            if is_up {
                ask(WaitingForConnection).moves_to(WaitingForFlows);
            } else {
                ask(WaitingForConnection).stays().because("connection is C");
            }
            for state in BridgeState::FLOWS_RUN {
                let is_starting = matches!(read.0, Phase::Stopped | Phase::Starting);
                let expected = match (is_up, read) {
                    (false, _) => DegradedConnection,
                    (true, ACTIVE) => Active,
                    (true, (Phase::Running | Phase::Completed, _)) => Idle,
                    // What was too late once stays degraded until it is there.
                    (true, _) if is_starting && state == DegradedFlow => DegradedFlow,
                    (true, _) if is_starting => WaitingForFlows,
                    (true, _) => DegradedFlow,
                };
                let answer = ask(state);
                if expected == state {
                    answer.stays()
                } else {
                    answer.moves_to(expected)
                };
            }
        }
    }
}

#[test]
fn one_flow_that_carries_data_makes_the_bridge_active() {
    let write_active = Case::<Bridge>::new(BridgeConfig::default())
        .child("read", Phase::Running, "Idle")
        .child("write", Phase::Running, "Active");
    write_active.next(Idle).moves_to(Active);
    case(Phase::Running, ACTIVE, Phase::Degraded).next(Active).moves_to(DegradedFlow).because("write is W");
}

#[test]
fn flows_that_do_not_start_in_time_degrade_it() {
    let starting = || case(Phase::Running, (Phase::Starting, "TryingToStart"), Phase::Running);
    starting().next(WaitingForFlows).stays().wakes().because("read is TryingToStart");
    starting().in_state_for(Duration::from_secs(29)).next(WaitingForFlows).stays();
    starting().in_state_for(Duration::from_secs(30)).next(WaitingForFlows).moves_to(DegradedFlow);
}

// spec: S-13
#[test]
fn a_disabled_flow_is_not_waited_for() {
    let config: BridgeConfig = serde_json::from_value(json!({"read": {"enabled": false}})).unwrap();
    let case = Case::<Bridge>::new(config).child("connection", Phase::Running, "Up").child(
        "read",
        Phase::Stopped,
        "Stopped",
    );
    case.next(WaitingForFlows).moves_to(Idle).because("no flow is enabled");
}

#[test]
fn a_bridge_without_a_connection_starts_its_flows_at_once() {
    let case = Case::<Bridge>::new(BridgeConfig::default()).child("read", Phase::Running, "Active");
    case.next(WaitingForConnection).moves_to(WaitingForFlows);
    case.next(WaitingForFlows).moves_to(Active);
}

// spec: S-24 — shutdown: children first, and what was forced doesn't hold it up for ever.
#[test]
fn it_stops_after_its_children() {
    let at_rest = || case(Phase::Stopped, (Phase::Stopped, "Stopped"), Phase::Completed);
    let alive = || case(Phase::Stopped, (Phase::Stopping, "TryingToStop"), Phase::Stopped);
    for state in BridgeState::ALL {
        let expected = match state {
            Stopped => {
                at_rest().stop(Stopped).stays();
                continue;
            }
            Stopping => Stopped,
            WaitingForConnection | WaitingForFlows | Idle | Active | DegradedConnection | DegradedFlow => {
                Stopping
            }
        };
        at_rest().stop(*state).moves_to(expected);
    }
    alive().stop(Stopping).stays().wakes().because("1 children are not at rest");
    alive().in_state_for(Duration::from_secs(10)).stop(Stopping).moves_to(Stopped).because("forced");
}

/// Children of which one can't be made.
struct OneInvalid(&'static str, Reason);

impl ChildrenSource for OneInvalid {
    fn get(&self, name: &str) -> Option<ChildView<'_>> {
        let is_invalid = name == self.0;
        // A flow that can't be made comes before a connection that is lost.
        let (phase, state) = match (is_invalid, name) {
            (true, _) => (Phase::Degraded, ""),
            (false, "connection") => (Phase::Degraded, "Down"),
            (false, _) => (Phase::Running, "Active"),
        };
        let name = ["connection", "read", "write"].into_iter().find(|known| *known == name)?;
        let mut view = ChildView::new(name, phase, state, &self.1, Moment::ZERO);
        view.invalid = is_invalid;
        Some(view)
    }
    fn at(&self, _index: usize) -> Option<ChildView<'_>> {
        None
    }
}

impl PathOf for OneInvalid {
    fn path_of(&self, _node: NodeId) -> NodePath {
        NodePath::try_new("/edge/press-7").unwrap()
    }
}

#[test]
fn a_child_that_cannot_be_made_comes_first() {
    let (name, config) = (ChildName::try_new("press-7").unwrap(), BridgeConfig::default());
    for (invalid, degraded) in
        [("connection", DegradedConnection), ("read", DegradedFlow), ("write", DegradedFlow)]
    {
        let children = OneInvalid(invalid, Reason::new("the port is no number"));
        let core = SnapshotCore {
            whoami: Whoami::new(&name, "bridge", NodeId::new(1, Incarnation::new(1)), 1, &children),
            now: Moment::ZERO,
            wake: Cell::new(None),
            children: ChildrenView::new(ChildrenCounts::default(), &children),
            last_action: None,
            attempts: 0,
            failures: 0,
            retry_after: None,
            entered_at: Moment::ZERO,
            observation: None,
            desired: Generation::new(1),
        };
        for state in BridgeState::FLOWS_RUN {
            let decision = state.next(&Snapshot::<Bridge>::new(&core, &config, &()));
            let expected = format!("{invalid} is invalid: the port is no number");
            assert_eq!(decision.reason().to_string(), expected);
            match decision.step() {
                Step::Move(to) => assert_eq!((*to, state == degraded), (degraded, false)),
                Step::Stay => assert_eq!(state, degraded),
                Step::Act(_) | Step::Remove | Step::Restart => panic!("{decision:?}"),
            }
        }
        // A bridge that never had its connection holds its flows.
        let waiting = WaitingForConnection.next(&Snapshot::<Bridge>::new(&core, &config, &()));
        assert!(matches!(waiting.step(), Step::Stay), "{waiting:?}");
    }
}

// spec: S-15, S-16 — losing the connection stops no flow.
#[test]
fn flows_run_from_the_first_connection_to_the_stop() {
    let flow = derive(&template(), vars(&[]), None).get("read").unwrap().extras.clone().unwrap().start_when;
    for state in BridgeState::ALL {
        let runs = !matches!(state, Stopped | WaitingForConnection | Stopping);
        assert_eq!(flow.holds(state.name(), state.phase()), runs, "{state:?}");
    }
}

fn template() -> BridgeConfig {
    let template = Template::from_value(&json!({
        "parameters": {"ip": {"type": "string"}, "port": {"type": "integer", "default": 502}},
        "connection": {"tcp": {"host": "{{ ip }}", "port": "{{ port }}"}, "interval": "5s"},
        "read": {
            "input": {"modbus": {"address": "{{ ip }}:{{ port }}"}},
            "pipeline": [{"topic": {"expr": "\"umh/v1/\\($location_topic)/_raw/\\($vars.line)\""}}],
            "output": {"mqtt": {"url": "{{ global.broker }}"}}
        },
        "write": {
            "input": {"mqtt": {"url": "{{ global.broker }}", "topic": "{{ location_topic }}/{{ name }}/{{ internal.id }}"}},
            "output": {"modbus": {"address": "{{ ip }}"}}
        }
    }))
    .unwrap();
    let location = Location::from_pairs([("enterprise", "acme"), ("line", "l4")]).unwrap();
    BridgeConfig::of_template(template, Arc::new(location))
}

fn vars(own: &[(&str, Value)]) -> VariableBundle {
    let mut user: Vars = [("ip".to_owned(), json!("10.0.0.7")), ("line".to_owned(), json!("l4"))].into();
    user.extend(own.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let global = [("broker".to_owned(), json!("mqtt://b")), ("other".to_owned(), json!(1))].into();
    let mut bundle = VariableBundle::default().with_user(user).unwrap().with_global(global);
    let node = NodeId::new(1, Incarnation::new(1));
    bundle.internal =
        Identity::new(NodePath::try_new("/edge/press-7").unwrap(), "bridge", node, 0, 1).internal();
    bundle
}

fn try_derive(
    config: &BridgeConfig,
    variables: VariableBundle,
    previous: Option<&ChildrenSpecs>,
) -> Result<ChildrenSpecs, DeriveError> {
    let spec = UserSpec { config: Arc::new(config.clone()), variables: variables.clone() };
    let cx = DeriveContext::new(&variables, previous, &());
    Bridge::derive_desired_state(&spec, &cx).map(|desired| desired.children_specs.unwrap())
}

fn derive(
    config: &BridgeConfig,
    variables: VariableBundle,
    previous: Option<&ChildrenSpecs>,
) -> ChildrenSpecs {
    try_derive(config, variables, previous).unwrap()
}

// spec: T-2, T-3, T-4
#[test]
fn the_template_becomes_a_connection_and_flows() {
    let children = derive(&template(), vars(&[]), None);
    let names: Vec<_> = children.iter().map(|spec| (spec.name.as_str(), &*spec.kind)).collect();
    assert_eq!(names, [("connection", "connection"), ("read", "dataflow"), ("write", "dataflow")]);

    let connection = children.get("connection").unwrap();
    assert_eq!(connection.config.to_value(), json!({"tcp": {"host": "10.0.0.7", "port": 502}}));
    let interval = connection.extras.as_ref().unwrap().policy.interval.unwrap();
    assert_eq!(interval.get(), Duration::from_secs(5));

    let read = children.get("read").unwrap().config.to_value();
    assert_eq!(read["input"]["modbus"]["address"], "10.0.0.7:502");
    assert_eq!(read["output"]["mqtt"]["url"], "mqtt://b");
    assert_eq!(
        read["vars"],
        json!({"ip": "10.0.0.7", "line": "l4", "location_topic": "acme/l4", "location_path": "acme.l4", "name": "press-7"})
    );
    let write = children.get("write").unwrap().config.to_value();
    let topic = write["input"]["mqtt"]["topic"].as_str().unwrap();
    assert!(topic.starts_with("acme/l4/press-7/"), "{topic}");
    assert_eq!(
        write["vars"],
        json!({"location_topic": "acme/l4", "location_path": "acme.l4", "name": "press-7"}),
        "a flow that doesn't ask for variables isn't touched by them"
    );
}

#[test]
fn the_connection_that_is_rendered_is_one() {
    let mut registry = Registry::new();
    fsm_worker_bridge::register(&mut registry).unwrap();
    let children = derive(&template(), vars(&[]), None);
    let raw = children.get("connection").unwrap().config.to_value();
    registry.get("connection").unwrap().read_config(&raw).unwrap();
}

// spec: T-1 — only what a render really used is its input.
#[test]
fn children_keep_their_specs_while_what_they_used_is_the_same() {
    let config = template();
    let before = derive(&config, vars(&[]), None);
    let same = |after: &ChildrenSpecs| -> Vec<bool> {
        before.iter().zip(after.iter()).map(|(a, b)| Arc::ptr_eq(a, b)).collect()
    };
    assert_eq!(same(&derive(&config, vars(&[]), Some(&before))), [true, true, true]);

    let mut other_global = vars(&[]);
    other_global.global =
        Arc::new([("broker".to_owned(), json!("mqtt://b")), ("other".to_owned(), json!(2))].into());
    assert_eq!(same(&derive(&config, other_global, Some(&before))), [true, true, true]);

    // Of the flows only `read` has a jq program that asks for `$vars`.
    let after = derive(&config, vars(&[("note", json!("new"))]), Some(&before));
    assert_eq!(same(&after), [true, false, true]);

    assert_eq!(
        same(&derive(&config, vars(&[("ip", json!("10.0.0.8"))]), Some(&before))),
        [false, false, false]
    );

    let mut disabled = config.clone();
    disabled.write = Some(serde_json::from_value(json!({"enabled": false})).unwrap());
    let after = derive(&disabled, vars(&[]), Some(&before));
    assert_eq!(same(&after), [true, true, false]);
    assert!(!after.get("write").unwrap().enabled);
}

#[test]
fn inline_sections_are_taken_as_they_are() {
    let config: BridgeConfig = serde_json::from_value(json!({
        "connection": {"tcp": {"host": "10.0.0.8", "port": 4001}},
        "read": {"input": {"tcp": {}}, "output": {"stdout": {"text": "{{ ip }}"}}, "enabled": false}
    }))
    .unwrap();
    let children = derive(&config, vars(&[]), None);
    assert_eq!(children.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>(), ["connection", "read"]);
    let read = children.get("read").unwrap();
    assert!(!read.enabled);
    let value = read.config.to_value();
    assert_eq!(value["output"]["stdout"]["text"], "{{ ip }}", "nothing outside templates is rendered");
    assert!(value.get("enabled").is_none(), "it is the bridge's word, not the flow's");

    let again = derive(&config, vars(&[]), Some(&children));
    assert!(children.iter().zip(again.iter()).all(|(a, b)| Arc::ptr_eq(a, b)));
    let mut changed = config.clone();
    changed.connection = Some(json!({"tcp": {"host": "10.0.0.9", "port": 4001}}));
    let after = derive(&changed, vars(&[]), Some(&children));
    assert!(!Arc::ptr_eq(children.get("connection").unwrap(), after.get("connection").unwrap()));
    assert!(Arc::ptr_eq(read, after.get("read").unwrap()));
}

#[track_caller]
fn check_refused(config: Value, variables: VariableBundle, kind: DeriveErrorKind, parts: &[&str]) {
    let config: BridgeConfig = serde_json::from_value(config).unwrap();
    let error = try_derive(&config, variables, None).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(error.to_string().contains(part), "expected `{part}` in `{error}`");
    }
    assert!(!error.to_string().contains("10.0.0.7"), "a value is shown: {error}");
}

// spec: T-5
#[test]
fn what_is_wrong_with_a_bridge_is_named() {
    let template = |body: Value| json!({"template": body});
    let undefined = template(json!({"connection": {"tcp": {"host": "{{ ipp }}", "port": 1}}}));
    check_refused(
        undefined,
        vars(&[]),
        DeriveErrorKind::Undefined,
        &["ipp", "press-7 → connection.tcp.host", "did you mean `ip`?"],
    );
    let missing =
        template(json!({"parameters": {"unit": {"type": "integer"}}, "read": {"input": "{{ unit }}"}}));
    check_refused(missing, vars(&[]), DeriveErrorKind::Undefined, &["unit"]);
    let wrong = template(json!({"parameters": {"ip": {"type": "integer"}}, "read": {"input": "{{ ip }}"}}));
    check_refused(wrong, vars(&[]), DeriveErrorKind::Type, &["ip"]);
    check_refused(
        template(json!({"conection": {}})),
        vars(&[]),
        DeriveErrorKind::Config,
        &["no section `conection`", "did you mean `connection`?"],
    );
    check_refused(template(json!("text")), vars(&[]), DeriveErrorKind::Config, &["not a mapping"]);
    check_refused(json!({}), vars(&[]), DeriveErrorKind::Config, &["does nothing"]);
    let both = json!({"template": {"connection": {}}, "read": {"enabled": true, "input": {}}});
    check_refused(both, vars(&[]), DeriveErrorKind::Config, &["read.input", "remove `template`"]);
}

// spec: S-14
#[test]
fn a_bad_section_is_its_own_childs_fault() {
    let config: BridgeConfig = serde_json::from_value(json!({
        "connection": {"tcp": {"host": "a", "port": 1}, "interval": "often"},
        "read": {"input": {}}
    }))
    .unwrap();
    let children = derive(&config, vars(&[]), None);
    let fault = children.get("connection").unwrap().fault.as_ref().unwrap();
    assert_eq!(fault.field(), Some("interval"));
    assert!(fsm_core::chain(fault.as_ref()).contains("`often` is not a duration"));
    assert!(children.get("read").unwrap().fault.is_none());

    let flat = Template::from_value(&json!({"read": "mqtt"})).unwrap();
    let children = derive(&BridgeConfig::of_template(flat, Arc::default()), vars(&[]), None);
    assert!(children.get("read").unwrap().fault.is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // Capability 3: the same input gives the same output, whatever was derived before.
    #[test]
    fn derive_is_pure(ip in ".{0,12}", port in 1_u16.., other in ".{0,12}", disabled in any::<bool>()) {
        let mut config = template();
        config.read = disabled.then(|| serde_json::from_value(json!({"enabled": false})).unwrap());
        let now = || vars(&[("ip", json!(ip)), ("port", json!(port))]);
        let first = derive(&config, now(), None);
        let past = derive(&template(), vars(&[("ip", json!(other))]), None);
        prop_assert_eq!(&first, &derive(&config, now(), None));
        prop_assert_eq!(&first, &derive(&config, now(), Some(&first)));
        prop_assert_eq!(&first, &derive(&config, now(), Some(&past)));
        let connection = first.get("connection").unwrap().config.to_value();
        prop_assert_eq!(&connection["tcp"]["host"], &json!(ip), "a value changes no structure");
    }

    // The store writes a config and reads it back.
    #[test]
    fn a_config_survives_writing_and_reading(enabled in any::<bool>(), line in "[a-z]{1,5}") {
        let mut config = template();
        config.location = Arc::new(Location::from_pairs([("line", line.as_str())]).unwrap());
        config.write = Some(serde_json::from_value(json!({"enabled": enabled})).unwrap());
        let written = serde_json::to_value(&config).unwrap();
        prop_assert_eq!(serde_json::from_value::<BridgeConfig>(written).unwrap(), config);
    }
}
