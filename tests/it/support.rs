//! What several tests share.

pub mod command;
pub mod fake_server;
pub mod marks;
pub mod programs;
pub mod python;
pub mod recorder;
pub mod sample;
mod skip;
pub mod snapshot;

pub use skip::{shared, skip};
