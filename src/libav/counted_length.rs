//! The length of audio files that do not state one: the sum of their packets.

use ffmpeg_the_third::ffi;

use super::Demuxer;
use crate::media::MediaInfo;
use crate::time::Timestamp;

/// Formats, by libav's names, whose stated length is not that of all their packets: the first header of an MP3 counts
/// the frames of the file that it was written for, also where several files are joined.
const COUNTED: [&str; 1] = ["mp3"];

impl Demuxer {
    /// The length of a file with one audio stream, counted, if libav's is a guess from the bit rate or a header that
    /// counts less than the file holds. None for other files, or if the file cannot be read to its end.
    pub(super) fn counted_length(&self, info: &MediaInfo) -> Option<Timestamp> {
        // SAFETY: the container is open.
        #[expect(unsafe_code, reason = "the wrapper does not say how the duration was found")]
        let method = unsafe { (*self.input.as_ptr()).duration_estimation_method };
        let is_guessed = method == ffi::AVDurationEstimationMethod::BITRATE;
        let [stream] = info.audio.as_slice() else { return None };
        let has_video = info.video.iter().any(|video| !video.is_cover);
        if has_video || !(is_guessed || COUNTED.contains(&info.format.as_str())) {
            return None;
        }
        let mut demuxer = self.reopen().ok()?;
        demuxer.keep_only(&[stream.stream_idx]);
        let mut n_ticks = 0_i64;
        while let Some(packet) = demuxer.next_packet().ok()? {
            if packet.stream_idx() == stream.stream_idx {
                n_ticks = n_ticks.saturating_add(packet.duration());
            }
        }
        let counted = Timestamp::new(n_ticks, demuxer.time_base(stream.stream_idx));
        // The encoder's delay before the start is not heard.
        let delay = stream.start.zip(stream.first_packet).map_or(Timestamp::ZERO, |(start, first)| start.minus(first));
        Some(counted.minus(delay.max(Timestamp::ZERO))).filter(|length| *length > Timestamp::ZERO)
    }
}
