//! Packets to samples: Symphonia for what it gets right to the sample, libav for the rest.

mod symphonia;

use std::path::Path;

use super::downmix::Role;
use crate::error::{Error, ErrorKind, Result};
use crate::libav::{SoundBlock, SoundReader};
use crate::media::{AudioStream, MediaInfo};
use crate::time::Timestamp;

use symphonia::{Container, Symphonia};

/// One packet's samples.
pub(super) struct Chunk {
    /// Container time of the first sample; None where the packets simply follow on.
    pub(super) time: Option<Timestamp>,
    /// Encoder delay that the decoder took off the front and did not count, in frames.
    pub(super) n_trimmed: u64,
    /// Interleaved.
    pub(super) samples: Vec<f32>,
    pub(super) rate_hz: u32,
    /// One role for each channel.
    pub(super) layout: Vec<Role>,
    /// Silence in place of a packet that could not be decoded.
    pub(super) is_damaged: bool,
}

impl Chunk {
    pub(super) fn n_frames(&self) -> usize {
        self.samples.len() / self.layout.len().max(1)
    }
}

/// Who decodes.
pub(super) enum Decoder {
    Symphonia(Box<Symphonia>),
    Libav(Box<SoundReader>),
}

impl Decoder {
    /// Chooses by what the file holds, and says why in the log.
    pub(super) fn open(path: &Path, media: &MediaInfo, stream: &AudioStream) -> Result<Self> {
        let (name, codec) = (path.display(), &stream.codec);
        let container = media.format.split(',').next().unwrap_or_default();
        let reason = match Container::of(&media.format) {
            None => format!("times and edit lists of {container} are libav's to read"),
            Some(own) if !own.holds(codec) => format!("Symphonia does not read {codec} in {container} exactly"),
            Some(own) => match Symphonia::open(path, own, media, stream) {
                Ok(reader) => {
                    tracing::info!("{name}: {codec} is decoded by Symphonia: exact to the sample in {container}");
                    return Ok(Self::Symphonia(Box::new(reader)));
                }
                Err(error @ Error { kind: ErrorKind::Io, .. }) => return Err(error),
                Err(error) => format!("Symphonia refused it ({error})"),
            },
        };
        tracing::info!("{name}: {codec} is decoded by libav: {reason}");
        Ok(Self::Libav(Box::new(SoundReader::open(path, stream.stream_idx)?)))
    }

    pub(super) fn next(&mut self) -> Result<Option<Chunk>> {
        match self {
            Self::Symphonia(symphonia) => symphonia.next(),
            Self::Libav(reader) => Ok(reader.next_block()?.map(Chunk::from)),
        }
    }

    pub(super) fn n_damaged(&self) -> u64 {
        match self {
            Self::Symphonia(symphonia) => symphonia.n_damaged(),
            Self::Libav(reader) => reader.n_damaged(),
        }
    }
}

impl From<SoundBlock> for Chunk {
    fn from(block: SoundBlock) -> Self {
        Self {
            time: block.time,
            n_trimmed: 0,
            samples: block.samples,
            rate_hz: block.rate_hz,
            layout: Role::of_layout(&block.speakers),
            is_damaged: block.is_damaged,
        }
    }
}
