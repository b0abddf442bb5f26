//! Packets to samples: Symphonia for what it gets right to the sample, libav for the rest.

mod symphonia;

use std::path::Path;

use super::chunk::DecodedChunk;
use crate::error::{Error, ErrorKind, Result};
use crate::libav::AudioStreamDecoder;
use crate::media::{AudioStream, MediaInfo};

use symphonia::{Container, Symphonia};

/// Who decodes.
pub(super) enum PacketDecoder {
    Symphonia(Box<Symphonia>),
    Libav(Box<AudioStreamDecoder>),
}

impl PacketDecoder {
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
        Ok(Self::Libav(Box::new(AudioStreamDecoder::open(path, stream.stream_idx)?)))
    }

    pub(super) fn next(&mut self) -> Result<Option<DecodedChunk>> {
        match self {
            Self::Symphonia(symphonia) => symphonia.next(),
            Self::Libav(reader) => Ok(reader.next_block()?.map(DecodedChunk::from)),
        }
    }

    pub(super) fn n_damaged(&self) -> u64 {
        match self {
            Self::Symphonia(symphonia) => symphonia.n_damaged(),
            Self::Libav(reader) => reader.n_damaged(),
        }
    }
}
