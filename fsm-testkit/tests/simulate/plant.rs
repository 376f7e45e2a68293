//! The plant: lines with machines, in a world that outlives processes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fsm_core::{
    Action, ActionContext, ActionError, ChildSpec, ChildrenSpecs, CollectContext, CollectError, Config,
    Decision, Dependency, DeriveContext, DeriveError, DesiredState, Infrastructure, NoAction, NodePath,
    Observed, Phase, Policy, Registry, Snapshot, Sort, StartWhen, State, StopSnapshot, UserSpec, Worker, act,
    go, remove, restart, stay,
};
use fsm_testkit::simulate::{Simulation, Stage, simulate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is true of a machine, whoever looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Facts {
    on: bool,
    speed: u32,
    sick: bool,
    /// Its controller crashes on what it sees.
    poison: bool,
    /// It asks to be started over.
    confused: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct World(Arc<Mutex<BTreeMap<NodePath, Facts>>>, Arc<Mutex<BTreeSet<&'static str>>>);

/// The networks of the plant.
const NETS: [&str; 2] = ["front:502", "back:502"];

impl World {
    fn of<T>(&self, path: &NodePath, work: impl FnOnce(&mut Facts) -> T) -> T {
        work(self.0.lock().unwrap().entry(path.clone()).or_default())
    }

    fn any(&self, value: u64, work: impl FnOnce(&mut Facts)) {
        let mut machines = self.0.lock().unwrap();
        let count = machines.len().max(1);
        if let Some(facts) = machines.values_mut().nth(value as usize % count) {
            work(facts);
        }
    }

    fn is_cut(&self, net: &str) -> bool {
        self.1.lock().unwrap().contains(net)
    }

    fn cut(&self, value: u64, is_cut: bool) {
        let (net, mut cut) = (NETS[value as usize % NETS.len()], self.1.lock().unwrap());
        if is_cut {
            cut.insert(net)
        } else {
            cut.remove(net)
        };
    }

    fn heal(&self) {
        self.1.lock().unwrap().clear();
        for facts in self.0.lock().unwrap().values_mut() {
            *facts = Facts { on: facts.on, speed: facts.speed, ..Facts::default() };
        }
    }
}

pub(crate) struct Machine(World);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct MachineConfig {
    pub(crate) speed: u32,
    pub(crate) address: String,
    /// The network that it is on.
    pub(crate) net: Option<String>,
}

impl Config for MachineConfig {
    fn needs_restart(&self, old: &Self) -> bool {
        self.address != old.address
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Seen {
    on: bool,
    speed: u32,
    sick: bool,
    poison: bool,
    confused: bool,
}

impl Observed<MachineConfig> for Seen {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Start,
    Stop,
}

impl Action for Order {
    const NAMES: &'static [&'static str] = &["start", "stop"];
    fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum MachineState {
    #[default]
    Stopped,
    TryingToStart,
    Running,
    Degraded,
    TryingToStop,
}

impl Worker for Machine {
    const KIND: &'static str = "machine";
    const POLICY: Policy = Policy::DEFAULT;
    type Config = MachineConfig;
    type Observed = Seen;
    type State = MachineState;
    type Action = Order;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<MachineConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<MachineConfig>, DeriveError> {
        Ok(DesiredState::running(spec))
    }

    fn infrastructure(config: &MachineConfig) -> Option<Infrastructure> {
        config.net.as_deref().map(|net| Infrastructure::tcp(net, net))
    }

    async fn collect_observed_state(&self, cx: CollectContext<'_, Self>) -> Result<Seen, CollectError> {
        if cx.config().net.as_deref().is_some_and(|net| self.0.is_cut(net)) {
            return Err(CollectError::new("simulated: no answer"));
        }
        let facts = self.0.of(&cx.identity().path, |facts| *facts);
        Ok(Seen {
            on: facts.on,
            speed: facts.speed,
            sick: facts.sick,
            poison: facts.poison,
            confused: facts.confused,
        })
    }

    async fn execute(&self, action: Order, cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        let path = &cx.identity().path;
        if cx.config().net.as_deref().is_some_and(|net| self.0.is_cut(net)) {
            return Err(ActionError::transient("simulated: no answer"));
        }
        // In two steps, so that it can be torn between them.
        if action == Order::Start {
            self.0.of(path, |facts| facts.speed = cx.config().speed);
        }
        cx.sleep(Duration::from_millis(20)).await;
        self.0.of(path, |facts| facts.on = action == Order::Start);
        Ok(())
    }
}

impl State<Machine> for MachineState {
    const ALL: &'static [Self] =
        &[Self::Stopped, Self::TryingToStart, Self::Running, Self::Degraded, Self::TryingToStop];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::TryingToStart => "TryingToStart",
            Self::Running => "Running",
            Self::Degraded => "Degraded",
            Self::TryingToStop => "TryingToStop",
        }
    }
    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::TryingToStart => Phase::Starting,
            Self::Running => Phase::Running,
            Self::Degraded => Phase::Degraded,
            Self::TryingToStop => Phase::Stopping,
        }
    }
    fn sort(self) -> Sort {
        match self {
            Self::TryingToStart | Self::TryingToStop => Sort::Trying,
            Self::Stopped | Self::Running | Self::Degraded => Sort::Passive,
        }
    }
    fn next(self, s: &Snapshot<'_, Machine>) -> Decision<Machine> {
        let seen = s.observed();
        if seen.poison {
            std::panic::resume_unwind(Box::new("simulated poison"));
        }
        let right = seen.on && seen.speed == s.config().speed;
        match self {
            Self::Stopped | Self::TryingToStop => go(Self::TryingToStart, "it should run"),
            Self::TryingToStart if right => go(Self::Running, "it runs"),
            Self::TryingToStart => act(Order::Start, "it does not run as it should"),
            Self::Running | Self::Degraded if seen.confused => restart("it is confused"),
            Self::Running | Self::Degraded if !right => {
                go(Self::TryingToStart, "it does not run as it should")
            }
            Self::Running if seen.sick => go(Self::Degraded, "it is sick"),
            Self::Running => stay("it runs"),
            Self::Degraded if seen.sick => stay("it is sick"),
            Self::Degraded => go(Self::Running, "it is well"),
        }
    }
    fn stop(self, s: &StopSnapshot<'_, Machine>) -> Decision<Machine> {
        match self {
            Self::Stopped => remove("it stands still"),
            Self::TryingToStart | Self::Running | Self::Degraded => go(Self::TryingToStop, "told to stop"),
            Self::TryingToStop => {
                let off = s.observed().is_some_and(|seen| !seen.on);
                let done = s
                    .last_action()
                    .is_some_and(|a| a.name == "stop" && a.outcome == fsm_core::Outcome::Success);
                if off || s.observed().is_none() && done {
                    go(Self::Stopped, "it stands still")
                } else {
                    act(Order::Stop, "it still runs")
                }
            }
        }
    }
}

/// Has machines and lines below it, and nothing else.
pub(crate) struct Line;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LineConfig {
    pub(crate) machines: Vec<Entry>,
    pub(crate) lines: Vec<(String, LineConfig)>,
    pub(crate) all_or_none: bool,
}

impl Config for LineConfig {}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) speed: u32,
    pub(crate) address: String,
    pub(crate) net: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) late: bool,
    pub(crate) off: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum LineState {
    #[default]
    Stopped,
    Running,
    Degraded,
}

impl Worker for Line {
    const KIND: &'static str = "line";
    const POLICY: Policy = Policy::DEFAULT.without_observation();
    type Config = LineConfig;
    type Observed = ();
    type State = LineState;
    type Action = NoAction;
    type Handle = ();

    fn derive_desired_state(
        spec: &UserSpec<LineConfig>,
        _cx: &DeriveContext<'_>,
    ) -> Result<DesiredState<LineConfig>, DeriveError> {
        let mut children = ChildrenSpecs::new();
        let wrong = |error: &dyn std::fmt::Display| DeriveError::config(error.to_string());
        for entry in &spec.config.machines {
            let config =
                MachineConfig { speed: entry.speed, address: entry.address.clone(), net: entry.net.clone() };
            let mut child = ChildSpec::try_new(&entry.name, "machine").map_err(|e| wrong(&e))?;
            child = child.with_typed_config(config).with_enabled(!entry.off);
            if let Some(after) = &entry.after {
                child = child.with_dependency(Dependency::on(after.parse().map_err(|e| wrong(&e))?));
            }
            if entry.late {
                child = child.with_start_when(StartWhen::Phases(vec![Phase::Running, Phase::Degraded]));
            }
            children.try_add(child).map_err(|e| wrong(&e))?;
        }
        for (name, line) in &spec.config.lines {
            let child = ChildSpec::try_new(name, "line").map_err(|e| wrong(&e))?;
            children.try_add(child.with_typed_config(line.clone())).map_err(|e| wrong(&e))?;
        }
        Ok(DesiredState::running(spec).with_children(children))
    }

    async fn collect_observed_state(&self, _cx: CollectContext<'_, Self>) -> Result<(), CollectError> {
        Ok(())
    }

    async fn execute(&self, action: NoAction, _cx: ActionContext<'_, Self>) -> Result<(), ActionError> {
        match action {}
    }
}

impl State<Line> for LineState {
    const ALL: &'static [Self] = &[Self::Stopped, Self::Running, Self::Degraded];

    fn name(self) -> &'static str {
        match self {
            Self::Stopped => "Stopped",
            Self::Running => "Running",
            Self::Degraded => "Degraded",
        }
    }
    fn phase(self) -> Phase {
        match self {
            Self::Stopped => Phase::Stopped,
            Self::Running => Phase::Running,
            Self::Degraded => Phase::Degraded,
        }
    }
    fn sort(self) -> Sort {
        Sort::Passive
    }
    fn next(self, s: &Snapshot<'_, Line>) -> Decision<Line> {
        let counts = s.children().counts();
        let (wanted, reason) = match counts.degraded {
            0 => (Self::Running, "all its machines are well"),
            _ => (Self::Degraded, "not all its machines are well"),
        };
        if self == wanted { stay(reason) } else { go(wanted, reason) }
    }
    fn stop(self, _s: &StopSnapshot<'_, Line>) -> Decision<Line> {
        match self {
            Self::Stopped => stay("stopped"),
            Self::Running | Self::Degraded => go(Self::Stopped, "told to stop"),
        }
    }
}

fn machine(name: &str) -> Entry {
    Entry { name: name.into(), speed: 1, ..Entry::default() }
}

fn on(net: &str, entry: Entry) -> Entry {
    Entry { net: Some(net.into()), ..entry }
}

fn root(config: LineConfig) -> ChildSpec {
    ChildSpec::try_new("plant", "line").unwrap().with_typed_config(config)
}

/// Six machines on two lines, one after another and one late; three other configs of them, and two machines more at run time.
pub(crate) fn plant() -> Simulation {
    simulate(|| {
        let world = World::default();
        let kinds = world.clone();
        let registry = move || {
            let mut registry = Registry::new();
            registry.register(Machine(kinds.clone())).unwrap().register(Line).unwrap();
            registry
        };
        let front = LineConfig {
            machines: vec![
                on(NETS[0], machine("saw")),
                on(NETS[0], Entry { after: Some("saw".into()), ..machine("drill") }),
                Entry { late: true, ..machine("press") },
            ],
            ..LineConfig::default()
        };
        let back = LineConfig {
            machines: vec![machine("saw"), on(NETS[1], machine("oven")), on(NETS[1], machine("belt"))],
            ..front.clone()
        };
        let whole = LineConfig {
            lines: vec![("front".into(), front.clone()), ("back".into(), back.clone())],
            machines: vec![machine("boiler")],
            all_or_none: false,
        };
        let faster = {
            let mut config = whole.clone();
            config.lines[0].1.machines[0].speed = 2;
            config.lines[1].1.machines[1].address = "elsewhere".into();
            config.lines[1].1.machines[2].off = true;
            config
        };
        let turned = {
            let mut config = whole.clone();
            config.lines.reverse();
            config.lines[0].1.machines.reverse();
            config
        };
        let smaller = LineConfig { lines: vec![("front".into(), back)], ..whole.clone() };
        let path = |text: &str| NodePath::try_new(text).unwrap();
        let extra = |name: &str| ChildSpec::try_new(name, "machine").unwrap();
        let disturb = |work: fn(&mut Facts)| {
            let world = world.clone();
            move |value| world.any(value, work)
        };
        let calm = world.clone();
        let (cut, mend, reach) = (world.clone(), world.clone(), world.clone());
        Stage::new(registry, root(whole))
            .variant(root(faster))
            .variant(root(turned))
            .variant(root(smaller))
            .extra(path("/plant/front"), extra("robot"))
            .extra(path("/plant/back/oven"), extra("fan"))
            .disturb("a machine stops by itself", disturb(|facts| facts.on = false))
            .disturb("a machine falls sick", disturb(|facts| facts.sick = true))
            .disturb("a machine is well again", disturb(|facts| facts.sick = false))
            .disturb("a machine becomes poison", disturb(|facts| facts.poison = true))
            .disturb("a machine is poison no more", disturb(|facts| facts.poison = false))
            .disturb("a machine is confused", disturb(|facts| facts.confused = true))
            .disturb("a network is cut", move |value| cut.cut(value, true))
            .disturb("a network is mended", move |value| mend.cut(value, false))
            .reachable(move |net| !reach.is_cut(net))
            .calm(move || calm.heal())
    })
}
