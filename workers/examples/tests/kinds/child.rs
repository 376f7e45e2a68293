//! The table of `child`, and its socket.

use std::net::{Ipv4Addr, SocketAddr};

use fsm_core::table::Case;
use fsm_core::{Goal, Observed, Outcome, Signal};
use fsm_worker_examples::child::*;
use tokio::net::TcpStream;

use crate::node::Node;

const ASKED: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const OTHER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

fn case(observed: ChildObserved) -> Case<Child> {
    Case::new(ChildConfig::default().with_leave_after(2)).observed(observed)
}

fn linked() -> ChildObserved {
    ChildObserved::linked(ASKED, OTHER)
}

fn elsewhere() -> ChildObserved {
    ChildObserved::linked(OTHER, OTHER)
}

fn served() -> ChildObserved {
    linked().with_visitors(2, true)
}

// spec: S-25 — the table of `next`: every state in every situation.
#[test]
fn each_state_answers_each_situation() {
    use ChildState::*;
    for observed in [ChildObserved::default, linked, elsewhere, served] {
        case(observed()).next(Stopped).moves_to(TryingToConnect);
        case(observed()).next(TryingToDisconnect).moves_to(TryingToConnect);
        case(observed()).stop(Stopped).stays();
        case(observed()).stop(TryingToConnect).moves_to(TryingToDisconnect);
        case(observed()).stop(Connected).moves_to(TryingToDisconnect);
    }
    case(ChildObserved::default()).next(TryingToConnect).acts("connect");
    case(elsewhere()).next(TryingToConnect).acts("connect").because("address changed");
    case(linked()).next(TryingToConnect).moves_to(Connected);
    case(served()).next(TryingToConnect).moves_to(Connected);

    case(ChildObserved::default()).next(Connected).moves_to(TryingToConnect).because("lost");
    case(elsewhere()).next(Connected).moves_to(TryingToConnect).because("address changed");
    case(linked()).next(Connected).stays();
    case(served()).next(Connected).removes().because("2 visitors");
    case(served()).outdated().next(Connected).stays();

    case(linked()).stop(TryingToDisconnect).acts("disconnect");
    case(elsewhere()).stop(TryingToDisconnect).acts("disconnect");
    case(ChildObserved::default()).stop(TryingToDisconnect).moves_to(Stopped);
}

#[test]
fn a_failed_connect_says_how_often_and_why() {
    case(ChildObserved::default())
        .after("connect", Outcome::Failure)
        .next(ChildState::TryingToConnect)
        .acts("connect")
        .because("after 1 attempts: as the case says");
}

// spec: S-24 — what can't be observed never prevents stopping.
#[test]
fn a_child_that_cannot_be_observed_stops_all_the_same() {
    let blind = || Case::<Child>::new(ChildConfig::default());
    blind().stop(ChildState::TryingToDisconnect).acts("disconnect");
    blind().after("disconnect", Outcome::Failure).stop(ChildState::TryingToDisconnect).acts("disconnect");
    blind().after("connect", Outcome::Success).stop(ChildState::TryingToDisconnect).acts("disconnect");
    blind()
        .after("disconnect", Outcome::Success)
        .stop(ChildState::TryingToDisconnect)
        .moves_to(ChildState::Stopped);
}

#[test]
fn visitors_alone_decide_nothing() {
    assert!(linked().with_visitors(1, false).same_for_decisions(&linked()));
    assert!(!served().same_for_decisions(&linked()));
    assert!(!elsewhere().same_for_decisions(&linked()));
}

#[test]
fn leaving_after_nobody_is_refused() {
    let error = Case::<Child>::new(ChildConfig::default().with_leave_after(0)).derive().unwrap_err();
    assert_eq!(error.field(), Some("leave_after"));
}

fn address(node: &Node<Child>) -> SocketAddr {
    node.observed.as_ref().unwrap().link.as_ref().unwrap().address
}

#[tokio::test]
async fn it_connects_serves_moves_and_disconnects() {
    let mut node = Node::new(Child, ChildConfig::default());
    let _ = node.settle(Goal::Run).await;
    assert_eq!(node.state, ChildState::Connected);
    let first = address(&node);
    TcpStream::connect(first).await.expect("a connected child takes visitors");

    // A changed address is taken in place: the old socket is closed, a new one is open.
    let other = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0));
    node.reconfigure(ChildConfig::default().with_listen(other));
    let _ = node.settle(Goal::Run).await;
    assert_eq!((node.state, address(&node).ip()), (ChildState::Connected, other.ip()));
    assert!(TcpStream::connect(first).await.is_err(), "the old socket is closed");
    assert_eq!(node.tasks(), 1);

    let second = address(&node);
    let _ = node.settle(Goal::Stop).await;
    assert_eq!(node.state, ChildState::Stopped);
    assert!(TcpStream::connect(second).await.is_err(), "a stopped child holds no socket");
    assert_eq!(node.tasks(), 0, "and no task");
    assert_eq!(node.ran, ["connect", "connect", "disconnect"]);
}

// spec: S-20 — a child that removes itself.
#[tokio::test]
async fn it_asks_to_be_removed_after_its_last_visitor() {
    let mut node = Node::new(Child, ChildConfig::default().with_leave_after(2));
    let _ = node.settle(Goal::Run).await;
    for _ in 0..2 {
        TcpStream::connect(address(&node)).await.unwrap();
    }
    // Accepting is another task's work: look until it is done, each look gives that task its turn.
    for _ in 0..1000 {
        if node.collect().await.unwrap().served_all {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(node.settle(Goal::Run).await.signal(), Signal::NeedsRemoval);
}

#[tokio::test]
async fn connecting_and_disconnecting_twice_changes_nothing_more() {
    let mut node = Node::new(Child, ChildConfig::default());
    node.execute(ChildAction::Disconnect).await.unwrap();
    node.execute(ChildAction::Connect).await.unwrap();
    node.collect().await.unwrap();
    let first = address(&node);
    for _ in 0..3 {
        node.execute(ChildAction::Connect).await.unwrap();
        node.collect().await.unwrap();
        assert_eq!((address(&node), node.tasks()), (first, 1));
    }
    for _ in 0..2 {
        node.execute(ChildAction::Disconnect).await.unwrap();
        assert!(node.collect().await.unwrap().link.is_none());
    }
}

// spec: A-5 — the future of a disconnect is dropped at its first wait.
#[tokio::test]
async fn a_disconnect_that_is_cut_off_still_closes() {
    let mut node = Node::new(Child, ChildConfig::default());
    let _ = node.settle(Goal::Run).await;
    let address = address(&node);
    {
        let disconnect = std::pin::pin!(node.execute(ChildAction::Disconnect));
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(disconnect.poll(&mut cx).is_pending(), "it waits for the socket to be closed");
    }
    // The serving task ends when it gets its turn.
    for _ in 0..1000 {
        if node.tasks() == 0 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(node.tasks(), 0);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn an_address_in_use_is_worth_another_try() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut node = Node::new(Child, ChildConfig::default().with_listen(taken.local_addr().unwrap()));
    let error = node.execute(ChildAction::Connect).await.unwrap_err();
    assert!(!error.is_permanent());
    assert!(error.chain().contains("can't listen on 127.0.0.1"), "{}", error.chain());
    drop(taken);
    node.execute(ChildAction::Connect).await.unwrap();
}

// spec: S-31 — the config makes collections fail; the child keeps what it has.
#[tokio::test]
async fn collections_fail_on_demand_and_it_still_stops() {
    let mut node = Node::new(Child, ChildConfig::default());
    let _ = node.settle(Goal::Run).await;
    node.reconfigure(ChildConfig::default().with_fail_collection(true));
    let error = node.collect().await.unwrap_err();
    assert!(error.to_string().contains("fail_collection"), "{error}");
    assert_eq!(node.tasks(), 1, "a failed look changes nothing");
    let _ = node.settle(Goal::Stop).await;
    assert_eq!((node.state, node.tasks()), (ChildState::Stopped, 0));
}
