//! A provider's batch API: requests that are answered within a day, at half the price.
//!
//! ```text
//! requests.jsonl -> upload -> create -> status, status, … -> results.jsonl, a line for each request, in any order
//! ```
//!
//! Requests and results are kept in files, so that memory stays flat and nothing is lost at a restart.

mod api;
mod files;
mod messages;
mod transfer;
mod types;

pub use self::api::BatchApi;
pub use self::types::{BatchEnd, BatchState, BatchSummary, Created};
pub use super::batch_support::{BatchDialect, BatchSupport};
