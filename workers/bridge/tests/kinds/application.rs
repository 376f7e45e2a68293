//! Which children the application makes of its entries, and how little it does when little changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use fsm_core::table::Case;
use fsm_core::*;
use fsm_worker_bridge::RollupState;
use fsm_worker_bridge::application::{Application, ApplicationConfig, Sections};
use fsm_worker_bridge::bridge::BridgeConfig;
use fsm_worker_bridge::group::{Group, GroupConfig};
use proptest::prelude::*;
use serde_json::{Value, json};

fn config(sections: Value) -> ApplicationConfig {
    let mut all = json!({
        "agent": {"name": "edge-01", "location": {"enterprise": "acme", "site": "cologne"}},
        "templates": {"press": {
            "parameters": {"ip": {"type": "string"}},
            "connection": {"tcp": {"host": "{{ ip }}", "port": 502}}
        }},
    });
    all.as_object_mut().unwrap().extend(sections.as_object().unwrap().clone());
    serde_json::from_value::<Sections>(all).unwrap().into_config().0
}

fn try_derive(
    config: &ApplicationConfig,
    variables: &VariableBundle,
    previous: Option<&ChildrenSpecs>,
) -> Result<ChildrenSpecs, DeriveError> {
    let spec = UserSpec { config: Arc::new(config.clone()), variables: variables.clone() };
    let cx = DeriveContext::new(variables, previous, &());
    Application::derive_desired_state(&spec, &cx).map(|desired| desired.children_specs.unwrap())
}

fn derive(config: &ApplicationConfig, previous: Option<&ChildrenSpecs>) -> ChildrenSpecs {
    try_derive(config, &VariableBundle::default(), previous).unwrap()
}

fn bridge(spec: &ChildSpec) -> BridgeConfig {
    serde_json::from_value(spec.config.to_value()).unwrap()
}

#[test]
fn each_entry_becomes_a_child_in_declared_order() {
    let children = derive(
        &config(json!({
            "workers": [{"name": "greeter", "kind": "hello", "config": {"mood_file": "/m"}, "depends_on": ["press-7"]}],
            "dataflows": [{"name": "copy", "input": {"mqtt": {}}, "output": {"drop": {}}, "variables": {"a": 1},
                           "pipeline": [{"map": "$vars.a"}], "location": {"area": "hall"}}],
            "bridges": [
                {"name": "press-7", "template": "press", "location": {"line": "l4"}, "variables": {"ip": "10.0.0.7"}},
                {"name": "scale-1", "connection": {"tcp": {"host": "a", "port": 1}}, "enabled": false}
            ],
        })),
        None,
    );
    let kinds: Vec<_> = children.iter().map(|spec| (spec.name.as_str(), &*spec.kind)).collect();
    let expected = [("press-7", "bridge"), ("scale-1", "bridge"), ("copy", "dataflow"), ("greeter", "hello")];
    assert_eq!(kinds, expected);

    let press = children.get("press-7").unwrap();
    assert_eq!(*press.variables, [("ip".to_owned(), json!("10.0.0.7"))].into());
    let config = bridge(press);
    assert!(config.template.is_some(), "the bridge renders it, not the application");
    assert_eq!(config.location.path(), "acme.cologne.l4");
    assert!(!children.get("scale-1").unwrap().enabled);

    let copy = children.get("copy").unwrap().config.to_value();
    assert_eq!(copy["input"], json!({"mqtt": {}}));
    assert_eq!(copy["vars"]["a"], 1);
    assert_eq!(copy["vars"]["location_topic"], "acme/cologne/hall");
    assert_eq!(children.get("greeter").unwrap().depends_on()[0].condition, Condition::Healthy);
}

#[test]
fn bridges_without_a_location_of_their_own_share_the_agents() {
    let children = derive(
        &config(json!({"bridges": [{"name": "a", "template": "press"}, {"name": "b", "template": "press"}]})),
        None,
    );
    let location = |name: &str| match &children.get(name).unwrap().config {
        ChildConfig::Typed(config) => {
            Arc::clone(&config.as_any().downcast_ref::<BridgeConfig>().unwrap().location)
        }
        other => panic!("{other:?}"),
    };
    assert!(Arc::ptr_eq(&location("a"), &location("b")));
}

fn rows(rows: Value) -> Value {
    json!({"bridges": [{
        "for_each": {"file": "devices.csv", "rows": rows},
        "name": "press-{{ item.id }}", "template": "press",
        "location": {"line": "{{ item.line }}"}, "variables": {"ip": "{{ item.ip }}"}, "enabled": "{{ item.on }}"
    }]})
}

fn row(id: u32) -> Value {
    json!({"id": id, "line": format!("l{id}"), "ip": format!("10.0.0.{id}"), "on": "true"})
}

// spec: T-9
#[test]
fn each_row_becomes_a_bridge() {
    let mut off = row(8);
    off["on"] = json!("false");
    let children = derive(&config(rows(json!([row(7), off]))), None);
    let seven = children.get("press-7").unwrap();
    assert_eq!(*seven.variables, [("ip".to_owned(), json!("10.0.0.7"))].into());
    assert_eq!(bridge(seven).location.path(), "acme.cologne.l7");
    assert!(seven.enabled && !children.get("press-8").unwrap().enabled);
}

#[track_caller]
fn check_collision(sections: Value, parts: &[&str]) {
    let error = try_derive(&config(sections), &VariableBundle::default(), None).unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "expected `{part}` in `{error}`");
    }
}

// spec: S-10, T-9
#[test]
fn a_name_that_is_there_twice_names_both_places() {
    check_collision(
        rows(json!([row(7), row(8), row(7)])),
        &["`press-7`", "row 1 of bridges[0] (devices.csv)", "row 3 of bridges[0] (devices.csv)", "rename"],
    );
    let mut mixed = rows(json!([row(7)]));
    mixed["workers"] = json!([{"name": "a", "kind": "hello"}, {"name": "press-7", "kind": "hello"}]);
    check_collision(mixed, &["row 1 of bridges[0]", "workers[1]"]);

    // Also where the clash comes with a reload.
    let before = derive(&config(rows(json!([row(7), row(8)]))), None);
    for clash in [json!([row(7), row(7)]), json!([row(7), row(8), row(8)])] {
        let clash = config(rows(clash));
        assert!(try_derive(&clash, &VariableBundle::default(), Some(&before)).is_err());
    }
}

#[track_caller]
fn check_fault(children: &ChildrenSpecs, name: &str, field: Option<&str>, parts: &[&str]) {
    let fault =
        children.get(name).unwrap_or_else(|| panic!("no {name} in {children:?}")).fault.clone().unwrap();
    assert_eq!(fault.field(), field, "{fault}");
    for part in parts {
        assert!(fault.to_string().contains(part), "expected `{part}` in `{fault}`");
    }
}

// spec: S-14
#[test]
fn a_bad_entry_is_shown_and_the_others_go_on() {
    let children = derive(
        &config(json!({"bridges": [
            {"name": "good", "template": "press"},
            {"name": "Bad Name", "template": "press"},
            {"name": "a", "template": "pres"},
            {"name": "b", "template": "press", "location": {"site": "paris"}},
            {"name": "c", "template": "press", "location": {"sight": "paris"}},
            {"name": "d", "template": "press", "enabled": "maybe"},
            {"name": "e", "template": "press", "variables": {"global": 1}},
        ], "workers": [
            {"name": "f", "kind": "hello", "children": [{"name": "x", "kind": "hello"}]},
            {"name": "g", "config": {"a": 1}},
        ]})),
        None,
    );
    assert!(children.get("good").unwrap().fault.is_none());
    check_fault(&children, "bridges-1", Some("name"), &["Bad Name"]);
    check_fault(&children, "a", Some("template"), &["no template `pres`", "did you mean `press`?"]);
    check_fault(&children, "b", Some("location"), &["cologne", "paris", "last word"]);
    check_fault(&children, "c", Some("location"), &["sight"]);
    check_fault(&children, "d", Some("enabled"), &["neither true nor false"]);
    check_fault(&children, "e", Some("variables"), &["`global` is reserved"]);
    check_fault(&children, "f", Some("children"), &["belong to a group"]);
    check_fault(&children, "g", Some("config"), &["a group has no config"]);
}

#[test]
fn a_bad_row_is_shown_and_the_others_go_on() {
    let mut no_ip = row(8);
    no_ip.as_object_mut().unwrap().remove("ip");
    let mut bad_name = row(9);
    bad_name["id"] = json!("Nine!");
    let mut elsewhere = row(10);
    elsewhere["on"] = json!("perhaps");
    let config = config(rows(json!([row(7), no_ip, bad_name, elsewhere])));
    let children = derive(&config, None);
    assert_eq!(children.len(), 4);
    assert!(children.get("press-7").unwrap().fault.is_none());
    check_fault(&children, "press-8", None, &["row 2 of bridges[0] (devices.csv)", "ip"]);
    check_fault(&children, "bridges-0-row-3", None, &["row 3", "press-Nine!", "slug"]);
    check_fault(&children, "press-10", None, &["row 4", "enabled"]);
    let again = derive(&config, Some(&children));
    assert!(children.iter().zip(again.iter()).all(|(a, b)| Arc::ptr_eq(a, b)), "faults are stable");
}

fn unchanged(before: &ChildrenSpecs, after: &ChildrenSpecs) -> Vec<String> {
    let same =
        |spec: &&Arc<ChildSpec>| before.get(spec.name.as_str()).is_some_and(|old| Arc::ptr_eq(old, spec));
    after.iter().filter(same).map(|spec| spec.name.to_string()).collect()
}

// spec: T-1 — P7's shape: what did not change keeps its pointer.
#[test]
fn only_what_changed_is_made_anew() {
    let entries = |ips: [&str; 3]| {
        let all = ips.iter().zip(["a", "b", "c"]);
        let all: Vec<_> = all
            .map(|(ip, name)| json!({"name": name, "template": "press", "variables": {"ip": ip}}))
            .collect();
        json!({"bridges": all})
    };
    let before = derive(&config(entries(["1", "2", "3"])), None);
    assert_eq!(
        unchanged(&before, &derive(&config(entries(["1", "2", "3"])), Some(&before))),
        ["a", "b", "c"]
    );
    let after = derive(&config(entries(["1", "9", "3"])), Some(&before));
    assert_eq!(unchanged(&before, &after), ["a", "c"]);
    assert_eq!(after.get("b").unwrap().variables["ip"], "9");
}

#[test]
fn rows_that_come_go_and_move_leave_the_others_alone() {
    let of = |ids: &[u32]| config(rows(ids.iter().map(|id| row(*id)).collect()));
    let before = derive(&of(&[1, 2, 3, 4]), None);
    let check = |ids: &[u32], kept: &[&str]| {
        let after = derive(&of(ids), Some(&before));
        assert_eq!(after, derive(&of(ids), None));
        assert_eq!(unchanged(&before, &after), kept, "{ids:?}");
    };
    check(&[1, 2, 3, 4, 5], &["press-1", "press-2", "press-3", "press-4"]);
    check(&[1, 3, 4], &["press-1", "press-3", "press-4"]);
    check(&[0, 1, 2, 3, 4], &["press-1", "press-2", "press-3", "press-4"]);
    check(&[4, 3, 2, 1], &["press-4", "press-3", "press-2", "press-1"]);
    check(&[1, 9, 3, 4], &["press-1", "press-3", "press-4"]);
    check(&[], &[]);
}

// spec: T-9 — `index` is an input of the rows that mention it.
#[test]
fn a_row_that_moved_is_another_only_if_it_counts() {
    let of = |name: &str, ids: &[u32]| {
        let rows: Vec<_> = ids.iter().map(|id| row(*id)).collect();
        config(json!({"bridges": [{"for_each": {"rows": rows}, "name": name, "template": "press"}]}))
    };
    let names =
        |children: &ChildrenSpecs| children.iter().map(|spec| spec.name.to_string()).collect::<Vec<_>>();
    let counted = "press-{{ item.id }}-{{ index }}";
    let before = derive(&of(counted, &[1, 2, 3]), None);
    let after = derive(&of(counted, &[1, 3]), Some(&before));
    assert_eq!(names(&after), ["press-1-0", "press-3-1"]);
    assert_eq!(unchanged(&before, &after), ["press-1-0"]);
}

/// Counts renders.
#[derive(Default)]
struct Renders(std::cell::Cell<u32>);

impl RenderObserver for Renders {
    fn start(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }
    fn rendered(&self, _took: std::time::Duration, _error: Option<DeriveErrorKind>) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn rows_that_stay_are_not_rendered_again() {
    let of = |ids: &[u32]| config(rows(ids.iter().map(|id| row(*id)).collect()));
    let before = derive(&of(&[1, 2, 3, 4]), None);
    let check = |ids: &[u32], rows: u32| {
        let (spec, variables, renders) =
            (UserSpec::new(of(ids)), VariableBundle::default(), Renders::default());
        let _ = Application::derive_desired_state(
            &spec,
            &DeriveContext::new(&variables, Some(&before), &renders),
        );
        // The name first, then what may use it.
        assert_eq!(renders.0.get(), 2 * rows, "{ids:?}");
    };
    check(&[1, 2, 3, 4], 0);
    check(&[1, 9, 3, 4], 1);
    check(&[1, 2, 3, 4, 5], 1);
    check(&[1, 3, 4], 0);
    // The first one, to learn that names moved.
    check(&[4, 3, 2, 1], 1);
}

// A row without a name of its own is called by its place: the same place in the tree may be another row of another entry.
#[test]
fn a_nameless_row_is_called_by_where_it_is_now() {
    let of = |first: &[u32], second: &[u32]| {
        let entry = |ids: &[u32], bad: bool| {
            let mut all: Vec<_> = ids.iter().map(|id| row(*id)).collect();
            all.extend(bad.then(|| json!({"id": "Not Good", "line": "l", "ip": "i", "on": true})));
            rows(all.into())["bridges"][0].clone()
        };
        config(json!({"bridges": [entry(first, false), entry(second, true)]}))
    };
    let before = derive(&of(&[1], &[2]), None);
    assert!(before.get("bridges-1-row-2").is_some());
    let after = of(&[1, 2], &[]);
    assert_eq!(derive(&after, Some(&before)), derive(&after, None));
}

#[test]
fn a_changed_template_or_agent_changes_its_bridges_only() {
    let all = json!({
        "bridges": [{"name": "a", "template": "press"}, {"name": "b", "connection": {}}],
        "workers": [{"name": "w", "kind": "hello"}]
    });
    let before = derive(&config(all.clone()), None);
    let mut other = all.clone();
    other["templates"] = json!({"press": {"connection": {"tcp": {"host": "x", "port": 1}}}});
    assert_eq!(unchanged(&before, &derive(&config(other), Some(&before))), ["b", "w"]);
    let mut moved = all;
    moved["agent"] = json!({"name": "edge-01", "location": {"enterprise": "other"}});
    assert_eq!(unchanged(&before, &derive(&config(moved), Some(&before))), ["w"]);
}

#[test]
fn a_global_variable_touches_only_rows_that_mention_it() {
    let of = |name: &str| {
        config(json!({"bridges": [
            {"for_each": {"rows": [{"id": 1}]}, "name": "plain-{{ item.id }}", "template": "press"},
            {"for_each": {"rows": [{"id": 1}]}, "name": name, "template": "press"}
        ]}))
    };
    let global =
        |site: &str| VariableBundle::default().with_global([("site".to_owned(), json!(site))].into());
    // Mentioned, but with the same result: made anew, and the same.
    let same = of("{{ 'x' if global.site else 'y' }}-{{ item.id }}");
    let before = try_derive(&same, &global("paris"), None).unwrap();
    let after = try_derive(&same, &global("rome"), Some(&before)).unwrap();
    assert_eq!(unchanged(&before, &after), ["plain-1", "x-1"]);

    let config = of("{{ global.site }}-{{ item.id }}");
    let before = try_derive(&config, &global("paris"), None).unwrap();
    let after = try_derive(&config, &global("rome"), Some(&before)).unwrap();
    assert_eq!(unchanged(&before, &after), ["plain-1"]);
    assert!(after.get("rome-1").is_some());
}

#[test]
fn equal_configs_are_equal_by_hash_and_different_ones_are_not() {
    let a = config(rows(json!([row(1), row(2)])));
    assert_eq!(a, a.clone());
    assert_eq!(a, config(rows(json!([row(1), row(2)]))));
    assert_ne!(a, config(rows(json!([row(1), row(3)]))));
    assert_ne!(a, config(rows(json!([row(1)]))));
    let workers = |names: &[&str]| {
        let all: Vec<_> = names.iter().map(|name| json!({"name": name, "kind": "hello"})).collect();
        config(json!({"workers": all}))
    };
    assert_ne!(workers(&["a"]), workers(&["a", "b"]));
    let mut other_template = rows(json!([row(1), row(2)]));
    other_template["templates"] = json!({"press": {}});
    assert_ne!(a, config(other_template));
    let mut other_agent = rows(json!([row(1), row(2)]));
    other_agent["agent"] = json!({"name": "edge-02"});
    assert_ne!(a, config(other_agent));
}

#[test]
fn a_config_survives_writing_and_reading() {
    let mut all = rows(json!([row(1), row(2)]));
    all["dataflows"] = json!([{"name": "copy", "input": {}, "output": {}}]);
    all["workers"] = json!([{"name": "hall", "children": [{"name": "w", "kind": "hello"}]}]);
    let config = config(all);
    let written = serde_json::to_value(&config).unwrap();
    let read: ApplicationConfig = serde_json::from_value(written).unwrap();
    assert_eq!(read, config);
    assert_eq!(derive(&read, None), derive(&config, None));
}

#[test]
fn an_unknown_key_of_an_entry_is_an_error() {
    let sections = |bridge: Value| {
        serde_json::from_value::<Sections>(json!({"agent": {"name": "edge"}, "bridges": [bridge]}))
            .map(|_| ())
    };
    sections(json!({"name": "a", "template": "t"})).unwrap();
    let error = sections(json!({"name": "a", "templat": "t"})).unwrap_err().to_string();
    assert!(error.contains("unknown field `templat`"), "{error}");
}

#[test]
fn a_group_holds_workers_and_groups() {
    let all = config(json!({"workers": [{"name": "hall-a", "children": [
        {"name": "inner", "children": [{"name": "deep", "kind": "hello"}], "enabled": false},
        {"name": "one", "kind": "hello", "start_when": {"phases": ["running"]}, "variables": {"a": 1}}
    ]}]}));
    let children = derive(&all, None);
    let hall = children.get("hall-a").unwrap();
    assert_eq!(hall.kind, "group");
    let config: GroupConfig = serde_json::from_value(hall.config.to_value()).unwrap();
    let members = |previous: Option<&ChildrenSpecs>| {
        let (spec, variables) = (UserSpec::new(config.clone()), VariableBundle::default());
        let cx = DeriveContext::new(&variables, previous, &());
        Group::derive_desired_state(&spec, &cx).unwrap().children_specs.unwrap()
    };
    let first = members(None);
    assert_eq!(
        first.iter().map(|s| (s.name.as_str(), &*s.kind)).collect::<Vec<_>>(),
        [("inner", "group"), ("one", "hello")]
    );
    assert!(!first.get("inner").unwrap().enabled);
    assert!(first.get("one").unwrap().extras.as_ref().unwrap().start_when.holds("", Phase::Running));
    assert_eq!(unchanged(&first, &members(Some(&first))), ["inner", "one"]);

    let twice: GroupConfig =
        serde_json::from_value(json!({"children": [{"name": "a"}, {"name": "a"}]})).unwrap();
    let error = Case::<Group>::new(twice).derive().unwrap_err();
    assert_eq!(error.field(), Some("children[1].name"));
}

// spec: S-35 — the table of `application` and `group`.
#[test]
fn a_rollup_is_as_healthy_as_its_children() {
    use RollupState::*;
    for phase in Phase::ALL {
        let case = Case::<Group>::new(GroupConfig::default())
            .child("a", Phase::Running, "A")
            .child("b", *phase, "B");
        let is_well = matches!(phase, Phase::Running | Phase::Completed | Phase::Stopped);
        match (is_well, phase) {
            // Just told to run, or kept in Stopped: the next look tells.
            (_, Phase::Stopped) => case.next(Stopped).moves_to(Degraded).because("starting"),
            (true, _) => case.next(Stopped).moves_to(Running),
            (false, _) => case.next(Stopped).moves_to(Degraded).because("1 of 2"),
        };
        if is_well {
            case.next(Running).stays();
            case.next(Degraded).moves_to(Running);
        } else {
            case.next(Running).moves_to(Degraded).because("1 of 2 children are not healthy");
            case.next(Degraded).stays();
        }
        case.stop(Stopped).stays();
        case.stop(Running).moves_to(Stopped);
        case.stop(Degraded).moves_to(Stopped);
    }
    let app = Case::<Application>::new(config(json!({})));
    app.next(Stopped).moves_to(Running);
}

prop_compose! {
    fn some_rows()(rows in prop::collection::btree_map(0_u32..12, 0_u32..4, 0..10), order in any::<bool>()) -> Vec<Value> {
        let rows: BTreeMap<u32, u32> = rows;
        let mut all: Vec<Value> = rows.into_iter().map(|(id, ip)| {
            let mut row = row(id);
            row["ip"] = json!(ip.to_string());
            row
        }).collect();
        if order { all.reverse(); }
        all
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    // Capability 3: the same input gives the same output, whatever was derived before; and what is equal is shared.
    #[test]
    fn derive_is_pure(now in some_rows(), past in some_rows()) {
        let (now, past) = (config(rows(now.into())), config(rows(past.into())));
        let before = derive(&past, None);
        let fresh = derive(&now, None);
        let after = derive(&now, Some(&before));
        prop_assert_eq!(&fresh, &after);
        for spec in after.iter() {
            if let Some(old) = before.get(spec.name.as_str()) {
                prop_assert_eq!(Arc::ptr_eq(old, spec), old == spec);
            }
        }
    }
}
