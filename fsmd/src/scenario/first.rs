//! The simplest trees: one worker, a parent with two, three levels with variables.

use std::fs;
use std::path::Path;
use std::time::Duration;

use fsm_core::{ChildName, ChildSpec, Dependency, Vars, Worker};
use fsm_worker_examples::child::Child;
use fsm_worker_examples::hello::{Hello, HelloConfig};
use fsm_worker_examples::parent::{Parent, ParentChild};
use fsm_worker_examples::template_demo::TemplateDemo;
use serde_json::{Value, json};

use super::cast::{self, child};
use super::story::{equal, expects};
use super::{Broken, Outcome, Stage};

/// A file says sad: degraded; it says something else: running again.
pub(super) async fn hello(stage: &mut Stage) -> Outcome {
    let (mood, greeting) = (stage.folder().join("mood"), stage.folder().join("greeting"));
    let config = HelloConfig::new(&mood, &greeting).with_greeting("good morning");
    stage.says("a worker of kind hello is started; nobody has written down a mood");
    stage.apply(ChildSpec::try_new("greeter", Hello::KIND)?.with_typed_config(config)).await?;
    stage.until("/greeter", "Running").await?;
    equal("the greeting", fs::read_to_string(&greeting)?.as_str(), "good morning")?;

    stage.says("the mood file says sad");
    fs::write(&mood, "sad")?;
    let entry = stage.until("/greeter", "Degraded").await?;
    equal("its reason", entry.reason.as_str(), "the mood is sad")?;

    stage.says("the mood file says fine");
    fs::write(&mood, "fine")?;
    stage.until("/greeter", "Running").await?;

    stage.says("somebody deletes the greeting");
    fs::remove_file(&greeting)?;
    stage.until_moved("/greeter", "Running", 3).await?;
    equal("the greeting", fs::read_to_string(&greeting)?.as_str(), "good morning")?;
    let states = ["TryingToGreet", "Running", "Degraded", "Running", "TryingToGreet", "Running"];
    equal("its states", stage.states_of("/greeter"), states.to_vec())
}

/// Start in the order of dependencies, stop in reverse, twice.
pub(super) async fn parent(stage: &mut Stage) -> Outcome {
    let second = child("second", Child::KIND)?.with_dependency(Dependency::on(ChildName::try_new("first")?));
    let family = cast::parent("family", [child("first", Child::KIND)?, second])?;
    stage.says("a parent with two children is started; the second waits for the first");
    stage.apply(family).await?;
    stage.until("/family", "Running").await?;
    let connected = stage.moved("/family/first", "Connected")?;
    expects(stage.moved("/family/second", "TryingToConnect")? >= connected, || {
        "the second child should start after the first is connected".into()
    })?;

    stage.says("the parent is told to stop");
    stage.command(cast::stop("/family")?).await?;
    stage.until("/family", "Stopped").await?;
    let last = stage.moved("/family", "Stopped")?;
    for path in ["/family/first", "/family/second"] {
        equal(path, stage.entry(path).await?.state, "Stopped")?;
        expects(stage.moved(path, "Stopped")? <= last, || format!("{path} should stop before its parent"))?;
    }
    equal(
        "who stopped, in order",
        stage.moves_to("Stopped"),
        ["/family/second", "/family/first", "/family"].map(Into::into).to_vec(),
    )?;

    stage.says("and to start again");
    stage.command(cast::start("/family")?).await?;
    stage.until("/family", "Running").await?;
    let states = ["TryingToStart", "Running", "Stopped", "TryingToStart", "Running"];
    equal("the parent's states", stage.states_of("/family"), states.to_vec())
}

/// What the innermost of three levels wrote.
fn written(folder: &Path) -> Result<String, Broken> {
    Ok(fs::read_to_string(folder.join("greeting"))?)
}

fn vars(pairs: &[(&str, &str)]) -> Vars {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect()
}

/// A plant with a line with a cell whose only flow writes down what it was rendered to.
fn plant(folder: &Path, site: &str) -> Result<ChildSpec, Broken> {
    let template = json!({
        "mood_file": folder.join("mood"),
        "greeting_file": folder.join("greeting"),
        "greeting": "{{ global.company }}/{{ site }}/{{ line }}/{{ cell }}",
    });
    let cell = child("cell", TemplateDemo::KIND)?
        .with_config(json!({"template": template, "kind": Hello::KIND}))
        .with_variables(vars(&[("cell", "cell-7"), ("line", "line-2")]));
    let line: ParentChild = child("line", Parent::KIND)?
        .with_config(json!({"children": [cell]}))
        .with_variables(vars(&[("line", "line-1")]));
    Ok(cast::parent("plant", [line])?.with_variables(vars(&[("site", site)])))
}

/// Company, site and cell: each level adds its own, and the nearest wins.
pub(super) async fn variables(stage: &mut Stage) -> Outcome {
    let folder = stage.folder().to_owned();
    let flow = "/plant/line/cell/flow";
    let global = || vars(&[("company", "acme")]);
    stage
        .says("the company is global, the plant knows its site, the line its name, and the cell another one");
    stage.apply_with(plant(&folder, "cologne")?, global()).await?;
    stage.until(flow, "Running").await?;
    equal("what the cell was rendered to", written(&folder)?.as_str(), "acme/cologne/line-2/cell-7")?;

    stage.says("the plant moves: what used the name of the site is rendered anew, in place");
    let before = stage.entry(flow).await?.incarnation;
    let receipt = stage.apply_with(plant(&folder, "bonn")?, global()).await?;
    equal("nodes created or removed", receipt.created.len() + receipt.leaving.len(), 0)?;
    // The old greeting is seen to be wrong with the next observation.
    stage.until_moved(flow, "Running", 2).await?;
    equal("what the cell was rendered to", written(&folder)?.as_str(), "acme/bonn/line-2/cell-7")?;
    equal("its incarnation", stage.entry(flow).await?.incarnation, before)?;

    stage.says("nothing changes: nothing is done");
    let receipt = stage.apply_with(plant(&folder, "bonn")?, global()).await?;
    expects(receipt.is_empty(), || format!("{receipt:?} should be empty"))?;
    stage.passes(Duration::from_secs(10)).await;
    Ok(())
}
