//! Configs that can't be used, beside one that can.

use fsm_core::{ChildSpec, Dependency, Worker};
use fsm_worker_examples::hello::Hello;
use fsm_worker_examples::parent::ParentChild;
use serde_json::{Value, json};

use super::cast::{child, parent, scripted};
use super::story::{equal, expects};
use super::{Broken, Outcome, Stage};

/// A parent of greeters with these configs, by name, and of one that is well. They start one after another: how quickly they
/// are with their files is nothing that virtual time decides.
fn family(configs: &[(&str, Value)]) -> Result<ChildSpec, Broken> {
    let mut children = vec![scripted("well")?];
    for (name, config) in configs {
        let before = children.last().map(|child| Dependency::on(child.name.clone()));
        let greeter = child(name, Hello::KIND)?.with_config(config.clone());
        children.push(before.into_iter().fold(greeter, ParentChild::with_dependency));
    }
    parent("family", children)
}

/// A wrong type, an unknown key, nothing at all: each is its own node's fault, and is named.
pub(super) async fn bad_beside_good(stage: &mut Stage) -> Outcome {
    let good =
        json!({"mood_file": stage.folder().join("mood"), "greeting_file": stage.folder().join("greeting")});
    let mut mistyped = good.clone();
    mistyped["greeting"] = json!(["good", "morning"]);
    let mut unknown = good.clone();
    unknown["greetings"] = json!("good morning");

    stage.says("one child has a wrong type in its config, one an unknown key, one no config at all");
    let bad = [("mistyped", mistyped), ("unknown", unknown), ("empty", Value::Null)];
    stage.apply(family(&bad)?).await?;
    stage.until("/family/well", "Running").await?;
    for (name, named) in [("mistyped", "`greeting`"), ("unknown", "`greetings`"), ("empty", "`mood_file`")] {
        let path = format!("/family/{name}");
        let view = stage.node(&path).await?;
        expects(view.invalid, || format!("{path} should be invalid"))?;
        let error = view.error.clone().unwrap_or_default();
        expects(error.contains(named), || format!("the error of {path} should name {named}: {error}"))?;
        expects(view.reason.contains(named), || format!("its reason, too: {}", view.reason))?;
    }
    stage.until("/family", "Degraded").await?;
    equal("the good child", stage.entry("/family/well").await?.state, "Running")?;
    let starts = stage.world.calls("/family/well").starts;

    stage.says("the three configs are mended");
    // Each has a greeting of its own to keep.
    let mended = ["mistyped", "unknown", "empty"].map(|name| {
        let mut config = good.clone();
        config["greeting_file"] = json!(stage.folder().join(name));
        (name, config)
    });
    stage.apply(family(&mended)?).await?;
    stage.until("/family", "Running").await?;
    equal("starts of the good child", stage.world.calls("/family/well").starts, starts)
}
