//! Opens a source: its facts, and its video where it has one.

use crate::error::Result;
use crate::input::Source;
use crate::limits::Limits;
use crate::media::{MediaInfo, Ratio};
use crate::probe;
use crate::video;

/// Reads the facts of any source. `sequence_rate` is the frame rate of an image sequence.
///
/// Files are not decoded. A stream or a camera is opened with OpenCV and closed again.
///
/// # Errors
/// As [`probe::probe`] for files and [`video::opencv::probe_live`] for streams and cameras.
pub fn probe_source(source: &Source, sequence_rate: Ratio, limits: &Limits) -> Result<MediaInfo> {
    if source.is_live() { video::opencv::probe_live(source) } else { probe::probe(source, sequence_rate, limits) }
}
