//! One sample rate for a stream whose rate changes, as in joined MP3 files.

use super::chunk::DecodedChunk;
use super::resample::Resampler;
use crate::error::Result;

/// Converts chunks of other rates to the rate of the first one.
pub(super) struct RateUnifier {
    rate_hz: u32,
    converter: Option<Converter>,
}

/// The part of the stream that is being resampled.
struct Converter {
    resampler: Resampler,
    /// The last chunk, without its samples.
    last: DecodedChunk,
}

/// What becomes of a chunk.
pub(super) enum Unified {
    /// The chunk at the rate of the first one; the resampler may hold its samples back.
    Chunk(DecodedChunk),
    /// The samples that the resampler still held, and the chunk that ended the resampled part.
    Tail(DecodedChunk, DecodedChunk),
}

impl RateUnifier {
    pub(super) fn new(rate_hz: u32) -> Self {
        Self { rate_hz, converter: None }
    }

    /// # Errors
    /// Those of [`Resampler::new`].
    pub(super) fn unify(&mut self, chunk: DecodedChunk) -> Result<Unified> {
        let is_same_part = |last: &DecodedChunk| (last.rate_hz, &last.layout) == (chunk.rate_hz, &chunk.layout);
        if self.converter.as_ref().is_some_and(|converter| !is_same_part(&converter.last))
            && let Some(tail) = self.finish()?
        {
            return Ok(Unified::Tail(tail, chunk));
        }
        if chunk.rate_hz == self.rate_hz {
            return Ok(Unified::Chunk(chunk));
        }
        let DecodedChunk { samples, time, rate_hz, layout, is_damaged } = chunk;
        let is_first = self.converter.is_none();
        let mut converter = if let Some(converter) = self.converter.take() {
            converter
        } else {
            tracing::warn!("the sample rate changes from {} to {rate_hz} Hz; converting it back", self.rate_hz);
            let resampler = Resampler::new(rate_hz, self.rate_hz, layout.len() as u16)?;
            Converter { resampler, last: DecodedChunk { samples: Vec::new(), time: None, rate_hz, layout, is_damaged } }
        };
        // What the resampler holds back would look like a gap: only the first chunk keeps its time.
        let resampled = DecodedChunk {
            samples: converter.resampler.push(&samples)?,
            time: time.filter(|_| is_first),
            rate_hz: self.rate_hz,
            layout: converter.last.layout.clone(),
            is_damaged,
        };
        self.converter = Some(converter);
        Ok(Unified::Chunk(resampled))
    }

    /// The samples that are still held back at the end of a resampled part; None where there are none.
    pub(super) fn finish(&mut self) -> Result<Option<DecodedChunk>> {
        let Some(mut converter) = self.converter.take() else { return Ok(None) };
        let samples = converter.resampler.finish()?;
        let tail = DecodedChunk { samples, rate_hz: self.rate_hz, time: None, ..converter.last };
        Ok((!tail.samples.is_empty()).then_some(tail))
    }
}
