//! Every kind as it is simulated. Kinds that touch nothing outside are themselves.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fsm_core::{Outcome, RegisterError, Registry, Worker};
use fsm_worker_bridge::application::Application;
use fsm_worker_bridge::bridge::Bridge;
use fsm_worker_bridge::connection::{
    Connection, ConnectionAction, ConnectionConfig, ConnectionObserved, Failure, FailureClass,
};
use fsm_worker_bridge::group::Group;
use fsm_worker_broker::{BrokerAction, BrokerConfig, BrokerObserved, MqttBroker};
use fsm_worker_communicator::{
    Communicator, CommunicatorAction, CommunicatorConfig, CommunicatorObserved, ErrorClass, Operation,
    Trouble as RelayTrouble,
};
use fsm_worker_dataflow::config::FlowConfig;
use fsm_worker_dataflow::{Dataflow, FlowAction, FlowObserved, Health, Trouble as FlowTrouble};
use fsm_worker_examples::child::{Child, ChildAction, ChildConfig, ChildObserved};
use fsm_worker_examples::failing::{Failing, FailingAction, FailingConfig, FailingObserved};
use fsm_worker_examples::hello::{Hello, HelloAction, HelloConfig, HelloObserved, Mood};
use fsm_worker_examples::panicking::{Panicking, PanickingAction, PanickingConfig, PanickingObserved};
use fsm_worker_examples::parent::Parent;
use fsm_worker_examples::slow::{Slow, SlowAction, SlowConfig, SlowObserved};
use fsm_worker_examples::template_demo::TemplateDemo;
use fsm_worker_persistence::{Persistence, PersistenceAction, PersistenceConfig, PersistenceObserved};
use fsm_worker_process::{
    Exit, Process, ProcessAction, ProcessConfig, ProcessObserved, Ready, RunEnd, Step, StepAction,
    StepConfig, StepObserved, Stream, StreamAction, StreamConfig, StreamObserved, ToolAction, ToolConfig,
    ToolObserved, ToolWorker, Workflow,
};
use fsm_worker_simulator::{DeviceSimulator, SimulatorAction, SimulatorConfig, SimulatorObserved};

use super::World;
use super::stand_in::{Effect, Simulated, StandIn};
use super::world::{Sight, Trouble};

/// All kinds that [`kinds::registry`](crate::kinds::registry) has, on a world in memory.
///
/// # Errors
/// [`RegisterError`] when two of them take one name; a mistake of this program.
pub fn registry(world: &World) -> Result<Registry, RegisterError> {
    let mut registry = Registry::new();
    registry
        .register(Application)?
        .register(Group)?
        .register(Bridge)?
        .register_io::<Connection, _>(StandIn::new(world))?
        .alias("protocol_converter", Bridge::KIND)?
        .register_io::<Dataflow, _>(StandIn::new(world))?
        .register_io::<MqttBroker, _>(StandIn::new(world))?
        .register_io::<DeviceSimulator, _>(StandIn::new(world))?
        .register_io::<Hello, _>(StandIn::new(world))?
        .register(Parent)?
        .register_io::<Child, _>(StandIn::new(world))?
        .register(TemplateDemo)?
        // What goes wrong is the simulation's business: those that do wrong on purpose are well here.
        .register_io::<Failing, _>(StandIn::new(world))?
        .register_io::<Slow, _>(StandIn::new(world))?
        .register_io::<Panicking, _>(StandIn::new(world))?
        .register_io::<Persistence, _>(StandIn::new(world))?
        .register_io::<Communicator, _>(StandIn::new(world))?
        .register_io::<Process, _>(StandIn::new(world))?
        .register_io::<Stream, _>(StandIn::new(world))?
        .register_io::<ToolWorker, _>(StandIn::new(world))?
        .register(Workflow)?
        .register_io::<Step, _>(StandIn::new(world))?;
    Ok(registry)
}

impl Simulated for Connection {
    fn peer(config: &ConnectionConfig) -> Option<Arc<str>> {
        Some(Arc::clone(config.label()))
    }

    fn seen(config: &Arc<ConnectionConfig>, sight: Sight<ConnectionConfig>) -> ConnectionObserved {
        let target = Arc::clone(config.label());
        let seen = match sight.trouble {
            Some(Trouble::Away) => {
                let failure = Failure::new(FailureClass::Refused, "simulated: nobody listens there");
                ConnectionObserved::down(target, failure)
            }
            Some(Trouble::Silent) => {
                let failure = Failure::new(FailureClass::TimedOut, "simulated: no answer in time");
                ConnectionObserved::down(target, failure)
            }
            Some(Trouble::Ill | Trouble::Slow) | None => ConnectionObserved::up(target),
        };
        seen.with_changes(sight.changes)
    }

    fn effect(action: &ConnectionAction) -> Effect {
        match action {
            ConnectionAction::Probe => Effect::Ask,
        }
    }
}

impl Simulated for Dataflow {
    fn seen(config: &Arc<FlowConfig>, sight: Sight<FlowConfig>) -> FlowObserved {
        let mut seen = FlowObserved::absent();
        if sight.started.is_none() {
            return seen;
        }
        let silent = || match config.expect_every {
            Some(every) => Health::Degraded(FlowTrouble::Silent(every)),
            None => Health::Idle,
        };
        seen.health = match sight.trouble {
            _ if sight.ended => Health::Failed("simulated: its task was ended".into()),
            Some(Trouble::Away) => {
                Health::Degraded(FlowTrouble::NoSource("simulated: the peer is away".into()))
            }
            Some(Trouble::Ill) => Health::Degraded(FlowTrouble::Errors("simulated: no number".into())),
            Some(Trouble::Silent) => silent(),
            Some(Trouble::Slow) => Health::Degraded(FlowTrouble::Stalled(
                1,
                Duration::from_secs(config.ack_timeout.get().as_secs()).into(),
            )),
            None => Health::Active,
        };
        seen.running = !sight.ended;
        seen.deployed = sight.started;
        seen
    }

    fn effect(action: &FlowAction) -> Effect {
        match action {
            FlowAction::Start => Effect::Start,
            FlowAction::Stop => Effect::Stop,
        }
    }
}

impl Simulated for MqttBroker {
    fn serves(config: &BrokerConfig) -> Option<String> {
        Some(config.listen.to_string())
    }

    fn seen(_config: &Arc<BrokerConfig>, sight: Sight<BrokerConfig>) -> BrokerObserved {
        let mut seen = BrokerObserved::absent();
        if sight.ended || sight.started.is_none() {
            return seen;
        }
        (seen.listening, seen.alive) = (true, true);
        seen.address = "simulated".into();
        seen.losing = sight.trouble == Some(Trouble::Slow);
        seen.panicking = sight.trouble == Some(Trouble::Ill);
        seen.deployed = sight.started;
        seen
    }

    fn effect(action: &BrokerAction) -> Effect {
        match action {
            BrokerAction::Start => Effect::Start,
            BrokerAction::Stop => Effect::Stop,
        }
    }
}

impl Simulated for DeviceSimulator {
    fn seen(_config: &Arc<SimulatorConfig>, sight: Sight<SimulatorConfig>) -> SimulatorObserved {
        let mut seen = SimulatorObserved::absent();
        if sight.ended || sight.started.is_none() {
            return seen;
        }
        seen.alive = true;
        // One that neither lets it in nor refuses is silent.
        seen.connected = !matches!(sight.trouble, Some(Trouble::Away | Trouble::Silent));
        seen.error = (sight.trouble == Some(Trouble::Away)).then(|| "simulated: connection refused".into());
        seen.skipping = matches!(sight.trouble, Some(Trouble::Slow | Trouble::Ill));
        seen.deployed = sight.started;
        seen
    }

    fn effect(action: &SimulatorAction) -> Effect {
        match action {
            SimulatorAction::Start => Effect::Start,
            SimulatorAction::Stop => Effect::Stop,
        }
    }
}

impl Simulated for Hello {
    const STAYS: bool = true;

    fn seen(config: &Arc<HelloConfig>, sight: Sight<HelloConfig>) -> HelloObserved {
        let mood = match sight.trouble {
            Some(Trouble::Ill) => Mood::Sad,
            Some(Trouble::Silent) => Mood::Unknown,
            Some(Trouble::Away | Trouble::Slow) | None => Mood::Happy,
        };
        let there = |old: &Arc<HelloConfig>| !sight.ended && old.greeting_file == config.greeting_file;
        HelloObserved::new(mood, sight.started.filter(there).map(|old| old.greeting.clone()))
    }

    fn effect(action: &HelloAction) -> Effect {
        match action {
            HelloAction::Greet => Effect::Start,
        }
    }
}

impl Simulated for Child {
    fn seen(_config: &Arc<ChildConfig>, sight: Sight<ChildConfig>) -> ChildObserved {
        match sight.started {
            Some(config) if !sight.ended => {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, config.listen.port().max(1_024)));
                ChildObserved::linked(config.listen, address)
            }
            Some(_) | None => ChildObserved::default(),
        }
    }

    fn effect(action: &ChildAction) -> Effect {
        match action {
            ChildAction::Connect => Effect::Start,
            ChildAction::Disconnect => Effect::Stop,
        }
    }
}

/// Whether what was started is still there.
fn is_up<C>(sight: &Sight<C>) -> bool {
    sight.started.is_some() && !sight.ended
}

impl Simulated for Failing {
    fn seen(_config: &Arc<FailingConfig>, sight: Sight<FailingConfig>) -> FailingObserved {
        FailingObserved::new(is_up(&sight))
    }

    fn effect(action: &FailingAction) -> Effect {
        match action {
            FailingAction::Start => Effect::Start,
            FailingAction::Stop => Effect::Stop,
        }
    }
}

impl Simulated for Slow {
    fn seen(_config: &Arc<SlowConfig>, sight: Sight<SlowConfig>) -> SlowObserved {
        SlowObserved::new(is_up(&sight))
    }

    fn effect(action: &SlowAction) -> Effect {
        match action {
            SlowAction::Start | SlowAction::StartBlocking => Effect::Start,
            SlowAction::Stop => Effect::Stop,
        }
    }
}

impl Simulated for Panicking {
    fn seen(_config: &Arc<PanickingConfig>, sight: Sight<PanickingConfig>) -> PanickingObserved {
        PanickingObserved::new(is_up(&sight))
    }

    fn effect(action: &PanickingAction) -> Effect {
        match action {
            PanickingAction::Start => Effect::Start,
            PanickingAction::Stop => Effect::Stop,
        }
    }
}

impl Simulated for Persistence {
    fn seen(_config: &Arc<PersistenceConfig>, sight: Sight<PersistenceConfig>) -> PersistenceObserved {
        let mut seen = PersistenceObserved::default();
        // Due once per process, and when what was done is undone.
        seen.compact = !is_up(&sight);
        match sight.trouble {
            Some(Trouble::Ill | Trouble::Away) => seen.with_trouble("simulated: the store can't be written"),
            Some(Trouble::Silent | Trouble::Slow) | None => seen,
        }
    }

    fn effect(action: &PersistenceAction) -> Effect {
        match action {
            PersistenceAction::Compact => Effect::Start,
            PersistenceAction::Maintain => Effect::Ask,
        }
    }
}

impl Simulated for Communicator {
    fn seen(_config: &Arc<CommunicatorConfig>, sight: Sight<CommunicatorConfig>) -> CommunicatorObserved {
        let mut seen = CommunicatorObserved::default();
        let is_up = is_up(&sight);
        (seen.alive, seen.session) = (is_up, is_up);
        let class = match sight.trouble {
            Some(Trouble::Away) => Some(ErrorClass::Network),
            Some(Trouble::Ill) => Some(ErrorClass::Server),
            Some(Trouble::Silent) => Some(ErrorClass::ProxyPage),
            Some(Trouble::Slow) | None => None,
        };
        seen.trouble =
            class.map(|class| RelayTrouble::new(Operation::Pull, class, "simulated: no good answer"));
        seen.deployed = sight.started;
        seen
    }

    fn effect(action: &CommunicatorAction) -> Effect {
        match action {
            CommunicatorAction::Authenticate => Effect::Start,
            CommunicatorAction::SyncPush | CommunicatorAction::ResetTransport { hang_up: false } => {
                Effect::Ask
            }
            CommunicatorAction::ResetTransport { hang_up: true } => Effect::Stop,
        }
    }
}

impl Simulated for Process {
    fn seen(config: &Arc<ProcessConfig>, sight: Sight<ProcessConfig>) -> ProcessObserved {
        let mut seen = ProcessObserved::default();
        if sight.started.is_none() {
            return seen;
        }
        // One that is ready by its exit has left as soon as it is looked at.
        let is_done = config.ready == Ready::Exit;
        seen.ended = sight.ended || is_done;
        seen.exit = seen.ended.then_some(Exit::Code(i32::from(!is_done)));
        seen.alive = !seen.ended;
        seen.ready = seen.alive && sight.trouble != Some(Trouble::Slow);
        seen.unwell = match sight.trouble {
            Some(Trouble::Away | Trouble::Silent) => Some("simulated: no answer".into()),
            Some(Trouble::Ill) => Some("simulated: it says that it is ill".into()),
            Some(Trouble::Slow) | None => None,
        };
        seen.deployed = sight.started;
        seen
    }

    fn effect(action: &ProcessAction) -> Effect {
        match action {
            ProcessAction::Start => Effect::Start,
            ProcessAction::Stop | ProcessAction::Kill => Effect::Stop,
        }
    }
}

impl Simulated for Stream {
    fn seen(_config: &Arc<StreamConfig>, sight: Sight<StreamConfig>) -> StreamObserved {
        let mut seen = StreamObserved::default();
        let Some(started) = sight.started else { return seen };
        seen.process.ended = sight.ended;
        seen.process.exit = sight.ended.then_some(Exit::Signal(9));
        seen.process.alive = !sight.ended;
        seen.process.ready = seen.process.alive;
        seen.process.unwell = sight
            .trouble
            .is_some_and(|trouble| trouble != Trouble::Slow)
            .then(|| "simulated: its input is not connected".into());
        seen.written = Some(Arc::clone(&started));
        seen.deployed = Some(started);
        seen
    }

    fn effect(action: &StreamAction) -> Effect {
        match action {
            StreamAction::WriteConfig | StreamAction::Start | StreamAction::Reload => Effect::Start,
            StreamAction::Stop | StreamAction::Kill => Effect::Stop,
        }
    }
}

impl Simulated for ToolWorker {
    fn seen(_config: &Arc<ToolConfig>, sight: Sight<ToolConfig>) -> ToolObserved {
        let mut seen = ToolObserved::default();
        if sight.started.is_none() {
            return seen;
        }
        // A result is final: what goes wrong here makes it late, not bad.
        seen.running = sight.trouble == Some(Trouble::Slow);
        seen.end = (!seen.running).then(|| RunEnd::new(Outcome::Success, "simulated: it succeeded"));
        seen.deployed = sight.started;
        seen
    }

    fn effect(action: &ToolAction) -> Effect {
        match action {
            ToolAction::Start => Effect::Start,
            ToolAction::Cancel | ToolAction::Forget => Effect::Stop,
        }
    }
}

impl Simulated for Step {
    fn seen(_config: &Arc<StepConfig>, sight: Sight<StepConfig>) -> StepObserved {
        let mut seen = StepObserved::default();
        if sight.started.is_some() {
            // As a tool's.
            seen.running = sight.trouble == Some(Trouble::Slow);
            seen.end = (!seen.running).then(|| RunEnd::new(Outcome::Success, "simulated: it succeeded"));
        }
        seen
    }

    fn effect(action: &StepAction) -> Effect {
        match action {
            StepAction::Start => Effect::Start,
            StepAction::Cancel => Effect::Stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: K-10
    #[test]
    fn every_kind_can_be_simulated() {
        let simulated = registry(&World::default()).expect("names are unique");
        let real = crate::kinds::for_checking().expect("names are unique");
        let names = |registry: &Registry| {
            let mut names: Vec<_> = registry.names().collect();
            names.sort_unstable();
            names
        };
        assert_eq!(names(&simulated), names(&real));
        for kind in real.kinds() {
            let other = simulated.get(kind.kind()).expect("it is there");
            assert_eq!((other.policy(), other.config_schema()), (kind.policy(), kind.config_schema()));
        }
    }
}
