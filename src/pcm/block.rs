//! A block of samples, and the format in which samples are requested.

use crate::time::Timestamp;

/// The requested format of decoded samples. None means "as stored".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PcmFormat {
    /// Sample rate in Hz.
    pub rate_hz: Option<u32>,
    /// Number of channels: 1, 2 or as many as stored.
    pub channels: Option<u16>,
}

/// Consecutive samples without a gap.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AudioBlock {
    /// Time of the first sample on the shared clock.
    pub time: Timestamp,
    /// Samples, channels interleaved, nominally -1 to 1.
    pub samples: Vec<f32>,
    /// Sample rate in Hz.
    pub rate_hz: u32,
    /// Number of channels.
    pub channels: u16,
}
