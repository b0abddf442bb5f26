//! The decoded samples of one packet.

use super::downmix::ChannelRole;
use crate::libav::DecodedAudio;
use crate::time::Timestamp;

/// The samples of one packet.
pub(super) struct DecodedChunk {
    /// Container time of the first sample; None where the chunk follows the previous one directly.
    pub(super) time: Option<Timestamp>,
    /// Interleaved.
    pub(super) samples: Vec<f32>,
    pub(super) rate_hz: u32,
    /// One role for each channel.
    pub(super) layout: Vec<ChannelRole>,
    /// Silence in place of a packet that could not be decoded.
    pub(super) is_damaged: bool,
}

impl DecodedChunk {
    pub(super) fn n_frames(&self) -> usize {
        self.samples.len() / self.layout.len().max(1)
    }
}

impl From<DecodedAudio> for DecodedChunk {
    fn from(block: DecodedAudio) -> Self {
        Self {
            time: block.time,
            samples: block.samples,
            rate_hz: block.rate_hz,
            layout: ChannelRole::of_layout(&block.speakers),
            is_damaged: block.is_damaged,
        }
    }
}
