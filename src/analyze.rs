//! From the evidence to an answer: windows that fit into one request each, a request per window, and one that merges.

pub mod budget;
mod data;
mod estimate;
mod look_request;
mod map;
mod merge;
mod passages;
mod question;
mod refine;
mod reply;
mod second_look;
mod sections;
mod stored_answers;
mod task;
mod verify;
mod views;

pub use budget::SpendLimit;
pub use data::read_data;
pub use estimate::estimate;

pub(crate) use map::frame_tokens;
pub use map::{Analyzer, Answered};
pub use question::matches_speech;
pub use refine::refined;
pub use stored_answers::StoredAnswers;
pub use task::{Analysis, Answerer, DryRun};
pub use views::{Crop, FrameView, ReadFrame, ViewReader};
