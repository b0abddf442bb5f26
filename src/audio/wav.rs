//! Writes WAV files of 16-bit PCM as a stream. Files over 4 GiB become RF64 (EBU Tech 3306), which has 64-bit lengths.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;

use crate::error::{Error, Result};
use crate::pcm::{AudioBlock, to_i16};

/// Room for the chunk of 64-bit lengths: its content, held free by a `JUNK` chunk until it is needed.
const WIDE_BYTES: u32 = 28;

/// The 32-bit length that refers to the chunk of 64-bit lengths.
const SEE_WIDE: u32 = u32::MAX;

/// Writes blocks as 16-bit PCM to anything that can seek.
pub struct WavWriter<W: Write + Seek> {
    writer: W,
    channels: u16,
    rate_hz: u32,
    n_samples: u64,
    /// Largest count that a 32-bit length may hold; only the test has another.
    max_narrow: u64,
    buffer: Vec<u8>,
}

impl<W: Write + Seek> WavWriter<W> {
    /// Starts a file; the writer is at the start of an empty one.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the head cannot be written.
    pub fn new(writer: W, rate_hz: u32, channels: u16) -> Result<Self> {
        let max_narrow = u64::from(u32::MAX) - 1;
        let buffer = Vec::new();
        let mut sink = Self { writer, channels, rate_hz, n_samples: 0, max_narrow, buffer };
        let head = sink.head();
        sink.writer.write_all(&head).map_err(broken)?;
        Ok(sink)
    }

    /// Appends a block. Samples beyond full scale are clipped.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a block of another rate or channel count, [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn write(&mut self, block: &AudioBlock) -> Result<()> {
        if (block.rate_hz, block.channels) != (self.rate_hz, self.channels) {
            let problem = format!("a block of {} Hz and {} channels does not fit", block.rate_hz, block.channels);
            return Err(Error::usage("wav", problem, ""));
        }
        self.buffer.clear();
        self.buffer.extend(block.samples.iter().flat_map(|sample| to_i16(*sample).to_le_bytes()));
        self.writer.write_all(&self.buffer).map_err(broken)?;
        self.n_samples += block.samples.len() as u64 / u64::from(self.channels);
        Ok(())
    }

    /// Samples in one channel so far.
    #[must_use]
    pub fn n_samples(&self) -> u64 {
        self.n_samples
    }

    /// Whether what was written so far needs 64-bit lengths: more than 4 GiB.
    #[must_use]
    pub fn is_rf64(&self) -> bool {
        self.riff_bytes() > self.max_narrow
    }

    /// Completes the head with the lengths and flushes.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn finish(mut self) -> Result<()> {
        self.writer.seek(SeekFrom::Start(0)).map_err(broken)?;
        let head = self.head();
        self.writer.write_all(&head).map_err(broken)?;
        self.writer.flush().map_err(broken)
    }

    fn data_bytes(&self) -> u64 {
        self.n_samples * u64::from(self.channels) * 2
    }

    /// `WAVE_FORMAT_EXTENSIBLE` is what more than two channels ask for.
    fn format_bytes(&self) -> u32 {
        if self.channels > 2 { 40 } else { 16 }
    }

    /// All but the file's first eight bytes.
    fn riff_bytes(&self) -> u64 {
        self.data_bytes() + u64::from(4 + 8 + WIDE_BYTES + 8 + self.format_bytes() + 8)
    }

    /// All that stands before the samples, with the lengths as they are now.
    fn head(&self) -> Vec<u8> {
        let (riff, data, is_wide) = (self.riff_bytes(), self.data_bytes(), self.is_rf64());
        let format_bytes = self.format_bytes();
        let is_extensible = format_bytes > 16;
        let narrow = |n: u64| if is_wide { SEE_WIDE } else { n as u32 }.to_le_bytes();
        let mut head = Vec::with_capacity(104);
        head.extend(if is_wide { b"RF64" } else { b"RIFF" });
        head.extend(narrow(riff));
        head.extend(b"WAVE");
        head.extend(if is_wide { b"ds64" } else { b"JUNK" });
        head.extend(WIDE_BYTES.to_le_bytes());
        if is_wide {
            head.extend([riff, data, self.n_samples].iter().flat_map(|n| n.to_le_bytes()));
            // No further lengths follow.
            head.extend([0; 4]);
        } else {
            head.extend([0; WIDE_BYTES as usize]);
        }
        head.extend(b"fmt ");
        head.extend(format_bytes.to_le_bytes());
        let frame_bytes = self.channels.saturating_mul(2);
        head.extend(if is_extensible { 0xfffe_u16 } else { 1 }.to_le_bytes());
        head.extend(self.channels.to_le_bytes());
        head.extend(self.rate_hz.to_le_bytes());
        head.extend(self.rate_hz.saturating_mul(u32::from(frame_bytes)).to_le_bytes());
        head.extend(frame_bytes.to_le_bytes());
        head.extend(16_u16.to_le_bytes());
        if is_extensible {
            // 5.1 and 7.1 in the order that decoders give; for other counts no speaker is claimed.
            let speakers: u32 = match self.channels {
                6 => 0x3f,
                8 => 0x63f,
                _ => 0,
            };
            head.extend(22_u16.to_le_bytes());
            head.extend(16_u16.to_le_bytes());
            head.extend(speakers.to_le_bytes());
            // KSDATAFORMAT_SUBTYPE_PCM.
            head.extend(b"\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71");
        }
        head.extend(b"data");
        head.extend(narrow(data));
        head
    }
}

fn broken(error: std::io::Error) -> Error {
    Error::io(Path::new("wav"), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Source;
    use crate::limits::Limits;
    use crate::media::Ratio;
    use crate::pcm::{AudioReader, PcmFormat};
    use crate::time::Timestamp;

    /// Writes `n` blocks of 100 frames with a smaller limit of 32-bit lengths, and reads the file back.
    fn written_and_read(channels: u16, n: usize, max_narrow: u64) -> (bool, Vec<f32>, Vec<f32>) {
        let file = tempfile::NamedTempFile::with_suffix(".wav").unwrap();
        let mut sink = WavWriter::new(file.as_file(), 8000, channels).unwrap();
        sink.max_narrow = max_narrow;
        let samples: Vec<f32> = (0..100 * usize::from(channels)).map(|i| i as f32 / 1024.0).collect();
        for _ in 0..n {
            let block = AudioBlock { time: Timestamp::ZERO, samples: samples.clone(), rate_hz: 8000, channels };
            sink.write(&block).unwrap();
        }
        let is_rf64 = sink.is_rf64();
        sink.finish().unwrap();
        let source = Source::Media(file.path().to_owned());
        let media = crate::probe::probe(&source, Ratio::ONE, &Limits::default()).unwrap();
        let reader = AudioReader::open(file.path(), &media, &media.audio[0], &PcmFormat::default()).unwrap();
        assert_eq!((reader.rate_hz(), reader.channels()), (8000, channels));
        let read = reader.flat_map(|block| block.unwrap().samples).collect();
        (is_rf64, samples.repeat(n), read)
    }

    #[test]
    fn past_four_gibibytes_the_lengths_have_64_bits() {
        for channels in [1, 2, 6, 8] {
            let (is_rf64, wrote, read) = written_and_read(channels, 20, 3000);
            assert!(is_rf64 && wrote == read, "{channels} channels: {} samples read", read.len());
            let (is_rf64, wrote, read) = written_and_read(channels, 20, u64::from(u32::MAX) - 1);
            assert!(!is_rf64 && wrote == read, "{channels} channels: {} samples read", read.len());
        }
    }
}
