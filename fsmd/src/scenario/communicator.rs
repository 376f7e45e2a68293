//! A communicator and a relay that is away, forgetful, strict, busy, broken and behind a proxy. They talk over a real socket.

use fsm_core::{ChildSpec, Worker};
use fsm_supervisor::EventKind;
use fsm_testkit::workers::{Scripted, ScriptedConfig};
use fsm_worker_communicator::relay::{Fault, Relay};
use fsm_worker_communicator::{Communicator, Message, Operation};
use serde_json::json;
use tokio::time::timeout;

use super::cast::{child, parent, start, stop};
use super::stage::QUICK;
use super::story::{equal, expects};
use super::{Broken, Outcome, Stage};

const OURS: &str = "/house/relay";
const HALL: &str = "/house/hall";
const TOKEN: &str = "the token of the house";
/// The token that the relay takes later.
const ANOTHER: &str = "another token";
/// Lamps of the hall: to put it off and on makes a hundred events, half of what fits into the buffer.
const LAMPS: usize = 10;
/// So often makes twice of what fits, and less than the tree keeps for those who are late.
const ENOUGH: usize = 4;
/// What the relay asks to wait for, in seconds of the table.
const ASKED: u32 = 60;

/// The house with its communicator and, from when it is there, its hall.
fn house(relay: &Relay, token: &str, hall: bool) -> Result<ChildSpec, Broken> {
    let ours = child("relay", Communicator::KIND)?.with_config(json!({
        "url": relay.url(), "auth_token": token, "proxy": "none", "push_interval": "10ms", "buffer": {"up": 200},
    }));
    let lamps = (0..LAMPS).fold(ScriptedConfig::default(), |hall, n| {
        hall.child(&format!("lamp-{n}"), ScriptedConfig::default())
    });
    let lamps = child("hall", Scripted::KIND)?.with_config(serde_json::to_value(lamps)?);
    parent("house", [Some(ours), hall.then_some(lamps)].into_iter().flatten())
}

/// Waits for something at the relay.
async fn soon<T>(stage: &Stage, what: &str, coming: impl Future<Output = T>) -> Result<T, Broken> {
    timeout(stage.patience(), coming).await.map_err(|_| Broken::new(format!("it waited in vain for {what}")))
}

/// The states of the hall that the relay knows of, in the order in which they came.
fn told(received: &[Message]) -> Vec<&str> {
    let of_hall = |message: &&Message| message.kind == "status" && message.payload["path"] == HALL;
    received.iter().filter(of_hall).filter_map(|message| message.payload["to"].as_str()).collect()
}

/// Everything that the hall went through is at the relay: nothing is lost, and nothing came in another order.
async fn all_arrived(stage: &mut Stage, relay: &Relay) -> Outcome {
    let states = stage.states_of(HALL);
    let enough = relay.until(|book| told(&book.received).len() >= states.len());
    soon(stage, "all states of the hall at the relay", enough).await?;
    relay.book(|book| equal("what the relay was told", told(&book.received), states))
}

/// The hall goes off and on again.
async fn something_happens(stage: &mut Stage) -> Outcome {
    stage.command(stop(HALL)?).await?;
    stage.until(HALL, "Stopped").await?;
    stage.command(start(HALL)?).await?;
    stage.until(HALL, "Running").await?;
    Ok(())
}

/// Whether it once was degraded for this reason.
fn was_degraded_by(stage: &mut Stage, why: &str) -> bool {
    let tells = |kind: &EventKind| {
        matches!(kind, EventKind::StateTransition { to: "Degraded", reason, .. }
            if reason.to_string().contains(why))
    };
    stage.events_of(OURS).any(|event| tells(&event.kind))
}

/// Whatever the relay does, what happens arrives there, each once and in order.
pub(super) async fn gets_through(stage: &mut Stage) -> Outcome {
    let mut relay = Relay::start(TOKEN, "house-1").await?;
    is_away(stage, &mut relay).await?;
    commands(stage, &relay).await?;
    logs_in_again(stage, &relay).await?;
    is_refused(stage, &relay).await?;
    is_slowed_down(stage, &relay).await?;
    meets_errors(stage, &relay).await?;
    all_arrived(stage, &relay).await?;
    relay.book(|book| {
        equal("what came twice", book.duplicates, 0)?;
        equal("requests for anything else", book.strays.len(), 0)
    })
}

async fn is_away(stage: &mut Stage, relay: &mut Relay) -> Outcome {
    stage.says("the relay is away: it tries to log in");
    relay.close().await;
    stage.apply(house(relay, TOKEN, false)?).await?;
    stage.until_observed(OURS, "no network", |seen| seen["trouble"]["class"] == "network").await?;
    equal("its state", stage.entry(OURS).await?.state, "TryingToAuthenticate")?;

    stage.says("meanwhile much happens, more than its buffer holds: the rest waits");
    stage.apply(house(relay, TOKEN, true)?).await?;
    stage.until(HALL, "Running").await?;
    for _ in 0..ENOUGH {
        something_happens(stage).await?;
    }
    let seen = stage.until_observed(OURS, "backpressure", |seen| seen["pressed_up"] == true).await?;
    expects(seen["unsent"].as_u64() <= Some(200), || format!("200 are kept at most: {}", seen["unsent"]))?;

    stage.says("the relay is there: it logs in, and all of it goes up");
    relay.reopen().await?;
    stage.until(OURS, "Syncing").await?;
    all_arrived(stage, relay).await?;
    let seen = stage.until_observed(OURS, "room", |seen| seen["pressed_up"] == false).await?;
    equal("events that were lost", seen["lost"].as_u64(), Some(0))?;
    equal("logins", relay.book(|book| book.answered(Operation::Login, 200)), 1)
}

async fn commands(stage: &mut Stage, relay: &Relay) -> Outcome {
    stage.says("commands come down: the hall is put off and on");
    for (id, name, state) in [("c-1", "stop", "Stopped"), ("c-2", "start", "Running")] {
        relay.send(&Message::new(id, name, "", json!({"path": HALL})));
        let receipt = soon(stage, "a receipt", relay.receipt(id)).await?;
        equal("the outcome", receipt.payload["outcome"].as_str(), Some("success"))?;
        stage.until(HALL, state).await?;
    }
    stage.says("one that is not for it is refused, with the reason");
    relay.send(&Message::new("c-3", "apply", "", json!({"files": {"fsmd.yaml": "version: 1"}})));
    let receipt = soon(stage, "a receipt", relay.receipt("c-3")).await?;
    equal("the outcome", receipt.payload["outcome"].as_str(), Some("failure"))
}

async fn logs_in_again(stage: &mut Stage, relay: &Relay) -> Outcome {
    stage.says("its session expires: it logs in again, and what happens arrives");
    let logins = relay.book(|book| book.answered(Operation::Login, 200));
    relay.expire_sessions();
    something_happens(stage).await?;
    all_arrived(stage, relay).await?;
    equal("logins", relay.book(|book| book.answered(Operation::Login, 200)), logins + 1)
}

async fn is_refused(stage: &mut Stage, relay: &Relay) -> Outcome {
    stage.says("the relay takes another token only: it is told no, once, and does not ask again");
    relay.book(|book| book.token = ANOTHER.into());
    relay.expire_sessions();
    let entry = stage.until(OURS, "AuthFailed").await?;
    expects(entry.reason.contains("invalid_token"), || format!("it should say why: {}", entry.reason))?;
    let requests = relay.book(|book| book.requests.len());
    // As long as ten waits after a network error.
    stage.passes(20 * QUICK).await;
    relay.book(|book| {
        equal("logins that were refused", book.answered(Operation::Login, 401), 1)?;
        equal("requests since", book.requests.len() - requests, 0)
    })?;

    stage.says("it is given that token");
    stage.apply(house(relay, ANOTHER, true)?).await?;
    stage.until(OURS, "Syncing").await?;
    equal("its token in its reasons", stage.entry(OURS).await?.reason.contains(ANOTHER), false)
}

async fn is_slowed_down(stage: &mut Stage, relay: &Relay) -> Outcome {
    stage.says("the relay asks it to wait: 429");
    relay.fail(Operation::Push, [Fault::RetryAfter(429, ASKED.to_string())]);
    let began = stage.now();
    something_happens(stage).await?;
    all_arrived(stage, relay).await?;
    let waited = stage.now() - began;
    expects(waited >= QUICK * ASKED, || {
        format!("it should wait as long as it was asked to, not {waited:?}")
    })?;
    expects(was_degraded_by(stage, "429"), || "its state should tell of it".into())?;
    equal("answers of that kind", relay.book(|book| book.answered(Operation::Push, 429)), 1)
}

async fn meets_errors(stage: &mut Stage, relay: &Relay) -> Outcome {
    stage.says("the relay fails three times: 503");
    relay.fail(Operation::Push, std::iter::repeat_n(Fault::Status(503, "down"), 3));
    something_happens(stage).await?;
    all_arrived(stage, relay).await?;
    expects(was_degraded_by(stage, "503"), || "its state should tell of it".into())?;
    equal("answers of that kind", relay.book(|book| book.answered(Operation::Push, 503)), 3)?;

    stage.says("somebody else answers: the page of a proxy");
    relay.fail(Operation::Push, [Fault::Page(200)]);
    something_happens(stage).await?;
    all_arrived(stage, relay).await?;
    expects(was_degraded_by(stage, "proxy"), || "its state should tell of it".into())?;
    stage.until(OURS, "Syncing").await?;
    Ok(())
}
