//! What several tests share.

pub mod browser;
pub mod canaries;
pub mod command;
pub mod documents;
pub mod fake_server;
pub mod heif_grid;
pub mod long_film;
pub mod marks;
pub mod programs;
pub mod python;
pub mod recorder;
pub mod sample;
pub mod shapes;
mod skip;
pub mod snapshot;
pub mod summaries;
pub mod web_pages;

pub use skip::{shared, skip};
