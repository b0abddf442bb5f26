//! Writes audio files while reading; a file is complete or does not exist.

use std::fs::File;
use std::io::{BufWriter, Cursor};
use std::path::Path;

use bytes::Bytes;
use serde::Serialize;

use super::wav::WavWriter;
use crate::error::{Error, Result};
use crate::pcm::{AudioBlock, AudioReader, FlacWriter};
use crate::time::{TimeBase, TimeRange, Timestamp};

/// Formats of audio files. Both hold the same 16-bit samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Uncompressed PCM; RF64 beyond 4 GiB.
    Wav,
    /// Losslessly compressed; up to 8 channels.
    Flac,
}

/// The written audio.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AudioSummary {
    /// Samples in one channel.
    pub n_samples: u64,
    /// Sample rate in Hz.
    pub rate_hz: u32,
    /// Number of channels.
    pub channels: u16,
    /// Time of the first sample on the shared clock: media time = time in the file + this.
    pub start: Timestamp,
    /// Duration.
    pub duration: Timestamp,
    /// Packets that could not be decoded and were replaced by silence.
    pub n_damaged: u64,
    /// Whether it is a WAV file of more than 4 GiB, which programs without RF64 support read incorrectly.
    pub is_rf64: bool,
}

/// Writes the rest of `reader` to `path`, whatever its extension: to a temporary file in the same folder, synced, then
/// renamed, so that a failure leaves no partial file.
///
/// # Errors
/// The reader's own, [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for audio that the format cannot hold, and [`ErrorKind::Io`](crate::ErrorKind::Io).
pub fn write(reader: &mut AudioReader, path: &Path, format: FileFormat) -> Result<AudioSummary> {
    let io = |e: std::io::Error| Error::io(path, e);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".vidgist-").suffix(".tmp");
    // The mode of any new file, subject to the umask, instead of the private mode of temporary files.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder).map_err(io)?;
    let (rate_hz, channels) = (reader.rate_hz(), reader.channels());
    let mut start = None;
    let mut sink = FileWriter::new(file.as_file(), format, rate_hz, channels)?;
    for block in reader.by_ref() {
        let block = block?;
        start.get_or_insert(block.time);
        sink.write(&block)?;
    }
    let (n_samples, is_rf64) = sink.finish()?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|e| io(e.error))?;
    let base = TimeBase::of_rate(rate_hz).unwrap_or(TimeBase::NANOS);
    Ok(AudioSummary {
        n_samples,
        rate_hz,
        channels,
        start: start.unwrap_or(reader.start()),
        duration: Timestamp::new(n_samples as i64, base),
        n_damaged: reader.n_damaged(),
        is_rf64,
    })
}

/// The rest of `reader` as a WAV file in memory, at most `max_seconds`, and its range on the shared clock. Open the reader
/// with the desired rate and channels.
///
/// # Errors
/// The reader's own.
pub fn wav_bytes(reader: &mut AudioReader, max_seconds: u32) -> Result<(Bytes, TimeRange)> {
    let (rate_hz, channels) = (reader.rate_hz(), reader.channels());
    let base = TimeBase::of_rate(rate_hz).unwrap_or(TimeBase::NANOS);
    let mut left = max_seconds as usize * rate_hz as usize * usize::from(channels);
    let (mut start, mut n_samples) = (reader.start(), 0);
    let mut wav = Cursor::new(Vec::new());
    let mut sink = WavWriter::new(&mut wav, rate_hz, channels)?;
    while left > 0 {
        let Some(mut block) = reader.next().transpose()? else { break };
        block.samples.truncate(left);
        left -= block.samples.len();
        if n_samples == 0 {
            start = block.time;
        }
        sink.write(&block)?;
        n_samples = sink.n_samples();
    }
    sink.finish()?;
    let end = start.plus(Timestamp::new(n_samples as i64, base));
    Ok((wav.into_inner().into(), TimeRange::new(start, end)))
}

/// A file that is being written.
enum FileWriter<'a> {
    Wav(WavWriter<BufWriter<&'a File>>),
    Flac(FlacWriter<BufWriter<&'a File>>),
}

impl<'a> FileWriter<'a> {
    fn new(file: &'a File, format: FileFormat, rate_hz: u32, channels: u16) -> Result<Self> {
        let writer = BufWriter::with_capacity(1 << 16, file);
        Ok(match format {
            FileFormat::Wav => Self::Wav(WavWriter::new(writer, rate_hz, channels)?),
            FileFormat::Flac => Self::Flac(FlacWriter::new(writer, rate_hz, channels)?),
        })
    }

    fn write(&mut self, block: &AudioBlock) -> Result<()> {
        match self {
            Self::Wav(sink) => sink.write(block),
            Self::Flac(sink) => sink.write(block),
        }
    }

    /// The samples in one channel, and whether it became RF64.
    fn finish(self) -> Result<(u64, bool)> {
        match self {
            Self::Wav(sink) => {
                let told = (sink.n_samples(), sink.is_rf64());
                sink.finish().map(|()| told)
            }
            Self::Flac(sink) => {
                let told = (sink.n_samples(), false);
                sink.finish().map(|()| told)
            }
        }
    }
}
