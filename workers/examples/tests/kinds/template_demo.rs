//! The table of `template_demo`, and what it renders.

use std::sync::Arc;

use fsm_core::table::Case;
use fsm_core::*;
use fsm_templating::Template;
use fsm_worker_examples::template_demo::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn template() -> Template {
    Template::from_value(&json!({
        "parameters": {"topic": {"type": "string", "default": "press"}},
        "input": {"mqtt": {"url": "{{ global.broker }}", "topic": "{{ topic }}/{{ name }}"}},
        "output": {"drop": {}}
    }))
    .unwrap()
}

fn name(text: &str) -> ChildName {
    ChildName::try_new(text).unwrap()
}

fn vars(topic: Value) -> Vars {
    [("topic".to_owned(), topic)].into()
}

fn derive(config: &TemplateDemoConfig, previous: Option<&ChildrenSpecs>) -> ChildrenSpecs {
    let variables = VariableBundle::default().with_global([("broker".to_owned(), json!("mqtt://b"))].into());
    let spec = UserSpec { config: Arc::new(config.clone()), variables: variables.clone() };
    let cx = DeriveContext::new(&variables, previous, &());
    TemplateDemo::derive_desired_state(&spec, &cx).unwrap().children_specs.unwrap()
}

#[test]
fn each_state_answers() {
    let case =
        Case::<TemplateDemo>::new(TemplateDemoConfig::new(template())).child("flow", Phase::Degraded, "D");
    case.next(TemplateDemoState::Stopped).moves_to(TemplateDemoState::Running);
    case.next(TemplateDemoState::Running).stays().because("0 of 1 flows");
    case.stop(TemplateDemoState::Running).moves_to(TemplateDemoState::Stopped);
    case.stop(TemplateDemoState::Stopped).stays();
}

#[test]
fn one_template_makes_one_child() {
    let children = derive(&TemplateDemoConfig::new(template()), None);
    let flow = children.get("flow").unwrap();
    assert_eq!((children.len(), &*flow.kind), (1, "dataflow"));
    assert_eq!(
        flow.config.to_value(),
        json!({"input": {"mqtt": {"url": "mqtt://b", "topic": "press/flow"}}, "output": {"drop": {}}})
    );
}

// spec: S-14, S-17
#[test]
fn one_template_makes_as_many_children_as_the_config_says() {
    let config = TemplateDemoConfig::new(template())
        .with_flow(name("a"), vars(json!("saw")))
        .with_flow(name("bad"), vars(json!(7)))
        .with_flow(name("b"), Vars::new());
    let children = derive(&config, None);
    let topic = |name: &str| children.get(name).unwrap().config.to_value()["input"]["mqtt"]["topic"].clone();
    assert_eq!((topic("a"), topic("b")), (json!("saw/a"), json!("press/b")));
    let fault = children.get("bad").unwrap().fault.clone().unwrap();
    assert!(fault.to_string().contains("topic"), "{fault}");
}

#[test]
fn only_the_flow_whose_variables_changed_is_another() {
    let of = |topic: &str| {
        TemplateDemoConfig::new(template())
            .with_flow(name("a"), vars(json!("saw")))
            .with_flow(name("b"), vars(json!(topic)))
    };
    let before = derive(&of("mill"), None);
    let after = derive(&of("lathe"), Some(&before));
    let same = |name: &str| Arc::ptr_eq(before.get(name).unwrap(), after.get(name).unwrap());
    assert_eq!((same("a"), same("b")), (true, false));
}

#[test]
fn two_flows_of_one_name_are_refused() {
    let config = TemplateDemoConfig::new(template())
        .with_flow(name("a"), Vars::new())
        .with_flow(name("a"), Vars::new());
    let error = Case::<TemplateDemo>::new(config).derive().unwrap_err();
    assert_eq!(error.field(), Some("flows"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    // Capability 3: the same input gives the same output, whatever was derived before.
    #[test]
    fn derive_is_pure(topic in ".{0,12}", other in ".{0,12}") {
        let config = TemplateDemoConfig::new(template()).with_flow(name("a"), vars(json!(topic)));
        let past = TemplateDemoConfig::new(template()).with_flow(name("a"), vars(json!(other)));
        let first = derive(&config, None);
        prop_assert_eq!(&first, &derive(&config, None));
        prop_assert_eq!(&first, &derive(&config, Some(&derive(&past, None))));
    }
}
