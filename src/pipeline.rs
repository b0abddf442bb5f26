//! How each kind of job is done, from live parts: readers, transcribers, models. [`crate::engine`] makes these parts out
//! of a [`Job`](crate::job::Job).

pub mod audio;
pub mod caption;
mod dedup;
pub mod describe_audio;
mod embed;
mod extract;
mod frame_options;
pub mod frames;
pub(crate) mod input;
mod input_identity;
mod near;
mod run;
mod select;
mod site;
mod source_frames;
mod stored_frames;
mod stored_transcript;
pub mod summarize;
mod timing;
pub mod transcribe;
mod transcript;
pub mod translate;

pub use frame_options::FrameOptions;
pub use input::{TrackChoice, identify, probe_source};
pub use run::{Context, Run, start};
pub(crate) use site::probe_site;
pub use transcript::TranscriptSearch;
