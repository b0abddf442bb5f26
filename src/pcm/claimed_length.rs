//! The length that a container states for an audio stream. A guess is not a statement: a length from a bit rate, the
//! frame count of an MP3's first header, or the length of a whole file whose other streams may be longer.

use crate::media::{AudioStream, MediaInfo};
use crate::time::Timestamp;

/// Formats, by libav's names, that state the length of each stream.
const STATED_PER_STREAM: [&str; 12] =
    ["mov", "wav", "w64", "flac", "aiff", "au", "caf", "avi", "ogg", "tta", "ape", "mxf"];
/// Formats that state the length of the file: it is that of the stream where there is no other.
const STATED_FOR_FILE: [&str; 3] = ["matroska", "webm", "asf"];
/// Encoders round to packets, so that a little less than stated is not a loss.
const TOLERANCE_SECONDS: f64 = 0.25;
/// FLAC counts samples (RFC 9639, section 8.2); this is for rounding.
const FLAC_TOLERANCE_SECONDS: f64 = 0.001;

/// Where a stream ends, as its container states it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ClaimedLength {
    /// The end on the shared clock.
    pub(super) end: Timestamp,
    /// Less than this is not a loss.
    pub(super) tolerance_seconds: f64,
}

impl ClaimedLength {
    /// `start` is the time of the first sample on the shared clock. None where the container states no length.
    pub(super) fn of(media: &MediaInfo, stream: &AudioStream, start: Timestamp) -> Option<Self> {
        let is_any = |formats: &[&str]| media.format.split(',').any(|format| formats.contains(&format));
        let is_alone = media.audio.len() == 1 && media.subtitles.is_empty() && media.video.iter().all(|v| v.is_cover);
        let end = if is_any(&STATED_PER_STREAM) {
            start.plus(stream.duration?)
        } else if is_any(&STATED_FOR_FILE) && is_alone {
            // The file lasts from its zero, at which this stream need not begin.
            media.duration?
        } else {
            return None;
        };
        let is_exact = media.format == "flac";
        let tolerance_seconds = if is_exact { FLAC_TOLERANCE_SECONDS } else { TOLERANCE_SECONDS };
        Some(Self { end, tolerance_seconds })
    }

    /// The seconds that are missing where the audio ends at `end`; None where it is whole.
    pub(super) fn missing_seconds(self, end: Timestamp) -> Option<f64> {
        Some(self.end.minus(end).secs_f64()).filter(|lost| *lost > self.tolerance_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(format: &str, n_streams: usize, millis: i64) -> Option<i64> {
        let stream = AudioStream { duration: Some(Timestamp::from_millis(millis)), ..stream() };
        let mut media = MediaInfo::new("talk", format);
        media.duration = Some(Timestamp::from_millis(millis));
        media.audio = vec![stream.clone(); n_streams];
        ClaimedLength::of(&media, &stream, Timestamp::ZERO).map(|claimed| claimed.end.millis())
    }

    fn stream() -> AudioStream {
        AudioStream {
            stream_idx: 0,
            codec: "aac".into(),
            sample_rate_hz: None,
            channels: None,
            start: None,
            first_packet: None,
            duration: None,
            encryption: None,
            language: None,
            title: None,
            is_default: true,
        }
    }

    #[test]
    fn only_stated_lengths_count() {
        for (format, n_streams, stated) in [
            ("mov,mp4,m4a,3gp,3g2,mj2", 2, true),
            ("flac", 1, true),
            ("matroska,webm", 1, true),
            ("matroska,webm", 2, false),
            ("flv", 1, false),
            ("mp3", 1, false),
            ("aac", 1, false),
            ("mpegts", 1, false),
        ] {
            assert_eq!(claimed(format, n_streams, 5000), stated.then_some(5000), "{format}");
        }
    }

    #[test]
    fn flac_is_exact_and_other_formats_round_to_packets() {
        let at = Timestamp::from_millis;
        let claim = |tolerance_seconds| ClaimedLength { end: at(20_000), tolerance_seconds };
        assert_eq!(claim(TOLERANCE_SECONDS).missing_seconds(at(19_800)), None);
        assert!(claim(FLAC_TOLERANCE_SECONDS).missing_seconds(at(19_800)).is_some());
        assert_eq!(claim(FLAC_TOLERANCE_SECONDS).missing_seconds(at(20_000)), None);
    }
}
