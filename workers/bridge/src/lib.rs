//! Worker kinds that make bridges of templates: `application`, `bridge`, `connection`.

pub mod connection;

mod register;

pub use register::register;
