//! `child`: connects to a resource, keeps it, loses it, disconnects. The resource is a listening socket of its own.

use std::net::{Ipv4Addr, SocketAddr};

use fsm_core::{Action, Config, Observed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod handle;
mod state;
mod worker;

pub use handle::ChildHandle;
pub use state::ChildState;
pub use worker::Child;

/// What a child connects to, and how it behaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ChildConfig {
    /// Where its socket listens; port 0 takes a free one.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// While true every collection fails; the last observation is kept and ages.
    pub fail_collection: bool,
    /// After so many visitors its work is done, and it leaves the tree.
    pub leave_after: Option<u64>,
}

impl Default for ChildConfig {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 0).into(), fail_collection: false, leave_after: None }
    }
}

impl ChildConfig {
    /// With a socket that listens here.
    #[must_use]
    pub fn with_listen(mut self, listen: SocketAddr) -> Self {
        self.listen = listen;
        self
    }

    /// With collections that fail.
    #[must_use]
    pub fn with_fail_collection(mut self, fail: bool) -> Self {
        self.fail_collection = fail;
        self
    }

    /// With work that is done after so many visitors.
    #[must_use]
    pub fn with_leave_after(mut self, visitors: u64) -> Self {
        self.leave_after = Some(visitors);
        self
    }
}

impl Config for ChildConfig {}

/// What was seen of the resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChildObserved {
    /// The open socket, if there is one.
    pub link: Option<LinkSeen>,
    /// Visitors since it was opened.
    pub visitors: u64,
    /// They are as many as the config asked for.
    pub served_all: bool,
}

/// An open socket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LinkSeen {
    /// The address that was asked for.
    pub listen: SocketAddr,
    /// The address that was got.
    pub address: SocketAddr,
}

impl ChildObserved {
    /// A socket that was asked for as `listen` and got `address`.
    #[must_use]
    pub fn linked(listen: SocketAddr, address: SocketAddr) -> Self {
        Self { link: Some(LinkSeen { listen, address }), ..Self::default() }
    }

    /// With so many visitors.
    #[must_use]
    pub fn with_visitors(mut self, visitors: u64, served_all: bool) -> Self {
        (self.visitors, self.served_all) = (visitors, served_all);
        self
    }
}

impl Observed<ChildConfig> for ChildObserved {
    /// The count of visitors only measures.
    fn same_for_decisions(&self, old: &Self) -> bool {
        self.link == old.link && self.served_all == old.served_all
    }
}

/// What a child can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildAction {
    /// Opens the socket unless it is open as asked for.
    Connect,
    /// Closes the socket if there is one.
    Disconnect,
}

impl Action for ChildAction {
    const NAMES: &'static [&'static str] = &["connect", "disconnect"];

    fn name(&self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Disconnect => "disconnect",
        }
    }
}
