//! The frame index of a video: presentation times and packets, read without decoding.

mod avi;
mod cache;
mod costs;
mod entry;
mod frame_index;
mod picture;
mod sparse;
mod times;

pub(super) use entry::{PacketEntry, is_same};
pub use frame_index::FrameIndex;
