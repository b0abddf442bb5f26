//! Sound files, written as they are read, whole or not at all.

use std::io::BufWriter;
use std::path::Path;

use serde::Serialize;

use super::AudioReader;
use super::wav::WavSink;
use crate::error::{Error, Result};
use crate::time::{TimeBase, Timestamp};

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
    /// Whether it is a WAV file of more than 4 GiB, which programs that do not know RF64 read wrongly.
    pub is_rf64: bool,
}

/// Writes all that `reader` still has to `path`: to a temporary name beside it, synced, then renamed, so that a
/// failure leaves no half file behind.
///
/// # Errors
/// The reader's own, and [`Error::Io`].
pub fn write(reader: &mut AudioReader, path: &Path) -> Result<AudioSummary> {
    let io = |e: std::io::Error| Error::io(path, e);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".vidgist-").suffix(".tmp");
    // As any new file: what the user's umask leaves, not the private mode of temporary files.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let file = builder.tempfile_in(folder).map_err(io)?;
    let (rate_hz, channels) = (reader.rate_hz(), reader.channels());
    let mut start = None;
    let mut sink = WavSink::new(BufWriter::with_capacity(1 << 16, file.as_file()), rate_hz, channels)?;
    for block in reader.by_ref() {
        let block = block?;
        start.get_or_insert(block.time);
        sink.write(&block)?;
    }
    let (n_samples, is_rf64) = (sink.n_samples(), sink.is_rf64());
    sink.finish()?;
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
