//! Which frames a job reads from a source, and how it encodes them.

use std::path::PathBuf;

use super::input::probe_source;
use crate::encode::EncodeOptions;
use crate::error::Result;
use crate::input::Source;
use crate::limits::Limits;
use crate::media::{MediaInfo, Ratio};
use crate::sampling::{SamplingSpec, default_max_frames};
use crate::time::Tolerance;
use crate::video::{DecoderBackend, SizeLimit, VideoSource};

/// Which frames are read from a source, and how they are encoded.
#[derive(Clone, Debug)]
pub struct FrameOptions {
    /// Which moments are read.
    pub sampling: SamplingSpec,
    /// Whether a specification without a maximum number of frames gets one by the length of its range: see
    /// [`default_max_frames`].
    pub is_limited_by_length: bool,
    /// How far a frame may be from its sample point, so that one that is cheaper to decode is taken.
    pub tolerance: Tolerance,
    /// Pictures per second of an image sequence.
    pub sequence_rate: Ratio,
    /// The decoder backend.
    pub decoder: DecoderBackend,
    /// Maximum size; frames are never enlarged.
    pub size: SizeLimit,
    /// Whether frames that show what a recent one showed are dropped.
    pub dedup: bool,
    /// How frames are encoded.
    pub encode: EncodeOptions,
    /// Folder for what later runs can reuse; None keeps nothing.
    pub cache: Option<PathBuf>,
    /// Limits on what is accepted.
    pub limits: Limits,
}

impl FrameOptions {
    /// Exact frames, at most 768 pixels wide, as JPEG, without a cache.
    #[must_use]
    pub fn new(sampling: SamplingSpec) -> Self {
        Self {
            sampling,
            is_limited_by_length: false,
            tolerance: Tolerance::EXACT,
            sequence_rate: Ratio::ONE,
            decoder: DecoderBackend::Auto,
            size: SizeLimit { max_width: Some(768), max_edge: None },
            dedup: false,
            encode: EncodeOptions::default(),
            cache: None,
            limits: Limits::default(),
        }
    }

    /// The same with a maximum number of frames, where the length of the video sets it.
    #[must_use]
    pub(super) fn limited(mut self, video: Option<&VideoSource>) -> Self {
        let SamplingSpec { start, end, max_frames, .. } = &mut self.sampling;
        if self.is_limited_by_length && max_frames.is_none() {
            let length = video.and_then(|video| video.index.as_ref()).map(|index| {
                let range = index.range();
                let (start, end) = (start.map_or(range.start, |at| at.max(range.start)), end.unwrap_or(range.end));
                end.min(range.end).minus(start)
            });
            *max_frames = Some(default_max_frames(length));
        }
        self
    }

    /// The facts of a source, and its video where it has one. Blocks.
    pub(super) fn open(&self, source: &Source) -> Result<(MediaInfo, Option<VideoSource>)> {
        let cache = self.cache.as_ref().map(|folder| folder.join("index"));
        let info = probe_source(source, self.sequence_rate, &self.limits)?;
        let video = VideoSource::open(source, &info, self.decoder, &self.limits, cache.as_deref())?;
        Ok((info, video))
    }
}
