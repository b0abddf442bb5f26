//! FLAC files: 16 bits a sample, streamed; the head, with the length and the checksum of all samples, comes last.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use super::block::AudioBlock;
use super::convert::to_i16;
use crate::advice::{Advice, Setting};
use crate::error::{Error, Result};
use crate::libav::{FlacEncoder, STREAMINFO_BYTES};

/// Most samples of one channel that the head can count (RFC 9639, section 8.2): 36 bits.
const MAX_SAMPLES: u64 = (1 << 36) - 1;

/// Writes blocks as FLAC to anything that can seek.
pub struct FlacWriter<W: Write + Seek> {
    writer: W,
    encoder: FlacEncoder,
    channels: u16,
    rate_hz: u32,
    n_samples: u64,
    buffer: Vec<u8>,
}

impl<W: Write + Seek> FlacWriter<W> {
    /// Begins a file; the writer stands at the start of an empty one.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a rate or number of channels that FLAC does not hold, [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn new(mut writer: W, rate_hz: u32, channels: u16) -> Result<Self> {
        let encoder = FlacEncoder::new(rate_hz, channels)?;
        writer.write_all(&head(&[0; STREAMINFO_BYTES])).map_err(broken)?;
        Ok(Self { writer, encoder, channels, rate_hz, n_samples: 0, buffer: Vec::new() })
    }

    /// Appends a block. Samples beyond full scale are clipped.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a block of another rate or channel count, [`ErrorKind::Limit`](crate::ErrorKind::Limit) past 2^36 samples, and
    /// [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn write(&mut self, block: &AudioBlock) -> Result<()> {
        if (block.rate_hz, block.channels) != (self.rate_hz, self.channels) {
            let problem = format!("a block of {} Hz and {} channels does not fit", block.rate_hz, block.channels);
            return Err(Error::usage("flac", problem, ""));
        }
        self.n_samples += block.samples.len() as u64 / u64::from(self.channels);
        if self.n_samples > MAX_SAMPLES {
            return Err(Error::limit(
                "flac",
                "the audio is longer than FLAC can count",
                Advice::SetTo(Setting::AudioFormat, "wav".into()),
            ));
        }
        self.buffer.clear();
        self.encoder.push(block.samples.iter().map(|sample| to_i16(*sample)), &mut self.buffer)?;
        self.writer.write_all(&self.buffer).map_err(broken)
    }

    /// Samples in one channel so far.
    #[must_use]
    pub fn n_samples(&self) -> u64 {
        self.n_samples
    }

    /// Writes what is left, completes the head and flushes.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io), and [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where the encoder fails.
    pub fn finish(mut self) -> Result<()> {
        self.buffer.clear();
        let stream_info = self.encoder.finish(&mut self.buffer)?;
        self.writer.write_all(&self.buffer).map_err(broken)?;
        self.writer.seek(SeekFrom::Start(0)).map_err(broken)?;
        self.writer.write_all(&head(&stream_info)).map_err(broken)?;
        self.writer.flush().map_err(broken)
    }
}

/// All that stands before the frames (RFC 9639, section 8): the one block of metadata, marked as the last.
fn head(stream_info: &[u8; STREAMINFO_BYTES]) -> Vec<u8> {
    let mut head = b"fLaC\x80\x00\x00".to_vec();
    head.push(STREAMINFO_BYTES as u8);
    head.extend(stream_info);
    head
}

fn broken(error: std::io::Error) -> Error {
    Error::io(Path::new("flac"), error)
}
