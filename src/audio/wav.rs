//! WAV files: 16-bit PCM, streamed.

use std::io::{BufWriter, Seek, Write};
use std::path::Path;

use serde::Serialize;

use super::{AudioBlock, AudioReader};
use crate::error::{Error, Result};
use crate::time::{TimeBase, Timestamp};

/// Bytes of samples that a WAV file can hold: its lengths are 32 bits, and its head is counted in one of them.
const MAX_DATA_BYTES: u64 = u32::MAX as u64 - 1024;

/// What was written.
#[derive(Clone, Debug, Serialize)]
pub struct AudioSummary {
    /// Samples in one channel.
    pub n_samples: u64,
    /// Samples a second in one channel.
    pub rate_hz: u32,
    /// Number of channels.
    pub channels: u16,
    /// Time of the first sample on the shared clock: add it to a time in the sound to get one in the media.
    pub start: Timestamp,
    /// Length of the sound.
    pub duration: Timestamp,
    /// Packets that could not be decoded, silence in their place.
    pub n_damaged: u64,
}

/// Writes blocks as 16-bit PCM to anything that can seek.
pub struct WavSink<W: Write + Seek> {
    inner: hound::WavWriter<W>,
    channels: u16,
    rate_hz: u32,
    n_samples: u64,
}

impl<W: Write + Seek> WavSink<W> {
    /// Begins a file at the writer's position.
    ///
    /// # Errors
    /// [`Error::Io`] where the head cannot be written.
    pub fn new(writer: W, rate_hz: u32, channels: u16) -> Result<Self> {
        let spec = hound::WavSpec {
            channels,
            sample_rate: rate_hz,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let inner = hound::WavWriter::new(writer, spec).map_err(broken)?;
        Ok(Self { inner, channels, rate_hz, n_samples: 0 })
    }

    /// Appends a block. Samples beyond full scale are clipped.
    ///
    /// # Errors
    /// [`Error::Limit`] before the file would pass 4 GiB, [`Error::Usage`] for a block of another rate or channel
    /// count, [`Error::Io`].
    pub fn write(&mut self, block: &AudioBlock) -> Result<()> {
        if (block.rate_hz, block.channels) != (self.rate_hz, self.channels) {
            let problem = format!("a block of {} Hz and {} channels does not fit", block.rate_hz, block.channels);
            return Err(Error::usage("wav", problem, ""));
        }
        let n_bytes = (self.n_samples * u64::from(self.channels) + block.samples.len() as u64) * 2;
        if n_bytes > MAX_DATA_BYTES {
            let advice = "ask for fewer channels or a lower rate, such as --channels 1 --rate 16000";
            return Err(Error::limit("wav", "a WAV file holds at most 4 GiB", advice));
        }
        // hound's fast writer asserts that the whole block is written, which it is here.
        let mut writer = self.inner.get_i16_writer(block.samples.len() as u32);
        for sample in &block.samples {
            writer.write_sample(to_i16(*sample));
        }
        writer.flush().map_err(broken)?;
        self.n_samples += block.samples.len() as u64 / u64::from(self.channels);
        Ok(())
    }

    /// Completes the head with the lengths and flushes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<()> {
        self.inner.finalize().map_err(broken)
    }
}

/// Writes all that `reader` still has to `path`: to a temporary name beside it, synced, then renamed, so that a
/// failure leaves no half file behind.
///
/// # Errors
/// The reader's own, and those of [`WavSink`].
pub fn write(reader: &mut AudioReader, path: &Path) -> Result<AudioSummary> {
    let io = |e: std::io::Error| Error::io(path, e);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".vidgist-").suffix(".wav");
    // As any new file: what the user's umask leaves, not the private mode of temporary files.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder).map_err(io)?;
    let summary = write_to(reader, BufWriter::with_capacity(1 << 16, file.as_file()))?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|e| io(e.error))?;
    Ok(summary)
}

/// Writes all that `reader` still has to `writer`.
///
/// # Errors
/// As for [`write()`].
pub fn write_to<W: Write + Seek>(reader: &mut AudioReader, writer: W) -> Result<AudioSummary> {
    let (rate_hz, channels) = (reader.rate_hz(), reader.channels());
    let mut sink = WavSink::new(writer, rate_hz, channels)?;
    let mut start = None;
    for block in reader.by_ref() {
        let block = block?;
        start.get_or_insert(block.time);
        sink.write(&block)?;
    }
    let n_samples = sink.n_samples;
    sink.finish()?;
    let base = TimeBase::of_rate(rate_hz).unwrap_or(TimeBase::NANOS);
    Ok(AudioSummary {
        n_samples,
        rate_hz,
        channels,
        start: start.unwrap_or(reader.start()),
        duration: Timestamp::new(n_samples as i64, base),
        n_damaged: reader.n_damaged(),
    })
}

/// The nearest 16-bit value; beyond full scale the ends.
fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round() as i16
}

fn broken(error: hound::Error) -> Error {
    match error {
        hound::Error::IoError(e) => Error::io(Path::new("wav"), e),
        e => Error::malformed("wav", e.to_string(), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_round_and_clip() {
        let cases = [(0.0, 0), (1.0, 32_767), (7.5, 32_767), (-1.0, -32_768), (-9.0, -32_768), (f32::NAN, 0)];
        for (sample, value) in cases {
            assert_eq!(to_i16(sample), value);
        }
        // Every stored value comes back.
        for value in i16::MIN..=i16::MAX {
            assert_eq!(to_i16(f32::from(value) / 32_768.0), value);
        }
    }

    #[test]
    fn four_gibibytes_are_refused_before_the_lengths_wrap() {
        let mut sink = WavSink::new(std::io::Cursor::new(Vec::new()), 16_000, 1).unwrap();
        let block = AudioBlock { time: Timestamp::ZERO, samples: vec![0.5; 100], rate_hz: 16_000, channels: 1 };
        sink.write(&block).unwrap();
        sink.n_samples = MAX_DATA_BYTES / 2 - 100;
        sink.write(&block).unwrap();
        let error = sink.write(&block).unwrap_err();
        assert!(matches!(error, Error::Limit(_)), "{error}");
    }
}
