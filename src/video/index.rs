//! Where the frames of a video are: their times, read from the packets without decoding.

mod cache;
mod entry;
mod frame_index;
mod sparse;
mod times;

pub(super) use entry::{PacketEntry, is_same};
pub use frame_index::FrameIndex;
