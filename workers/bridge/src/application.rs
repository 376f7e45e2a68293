//! `application`: the root. One child per entry of `bridges`, `dataflows` and `workers`, in this order.

mod config;
mod derive;
mod rows;
mod sections;
mod unit;
mod worker;

pub use config::{Agent, ApplicationConfig};
pub use sections::Sections;
pub use worker::Application;
