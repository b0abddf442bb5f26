//! Packets to samples: Symphonia for the codecs that it decodes exactly, libav for the rest. The packets come from
//! libav in both cases, so that times, edit lists and lengths are the same whichever decoder reads them.

mod codec;
mod symphonia;
mod trim;

use std::path::Path;

use super::chunk::DecodedChunk;
use crate::error::Result;
use crate::libav::{AudioPackets, AudioStreamDecoder};
use crate::media::AudioStream;

use symphonia::SymphoniaDecoder;

/// The decoder of a stream.
pub(super) enum PacketDecoder {
    Symphonia(Box<SymphoniaDecoder>),
    Libav(Box<AudioStreamDecoder>, String),
}

impl PacketDecoder {
    /// Chooses a decoder by codec, and logs the reason.
    pub(super) fn open(path: &Path, stream: &AudioStream) -> Result<Self> {
        let packets = AudioPackets::open(path, stream.stream_idx)?;
        let decoder = match SymphoniaDecoder::open(&packets.parameters(), &path.display().to_string()) {
            Ok(decoder) => Self::Symphonia(Box::new(decoder.with_packets(packets))),
            Err(reason) => Self::Libav(Box::new(AudioStreamDecoder::new(packets)?), reason),
        };
        let (name, reason) = decoder.choice();
        tracing::info!("{}: {} is decoded by {name}: {reason}", path.display(), stream.codec);
        Ok(decoder)
    }

    /// The decoder's name, and why it was chosen.
    pub(super) fn choice(&self) -> (&'static str, &str) {
        match self {
            Self::Symphonia(_) => ("Symphonia", "the same samples as libav's decoder"),
            Self::Libav(_, reason) => ("libav", reason),
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<DecodedChunk>> {
        match self {
            Self::Symphonia(decoder) => decoder.next(),
            Self::Libav(decoder, _) => Ok(decoder.next_block()?.map(DecodedChunk::from)),
        }
    }

    pub(super) fn n_damaged(&self) -> u64 {
        match self {
            Self::Symphonia(decoder) => decoder.n_damaged(),
            Self::Libav(decoder, _) => decoder.n_damaged(),
        }
    }
}
