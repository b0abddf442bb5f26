//! Where decoded chunks lie on the clock of the stream: gaps become silence, samples before the start are cut.

use super::chunk::DecodedChunk;
use crate::limits::MAX_STATED_SECONDS;
use crate::media::MediaInfo;
use crate::time::{TimeBase, Timestamp};

/// Places decoded chunks, in samples counted from the first stored one.
pub(super) struct SampleClock {
    /// Container time of the first stored sample.
    anchor: Timestamp,
    /// One stored sample.
    base: TimeBase,
    /// Position of the next chunk if nothing is missing.
    stored: i64,
    /// The first sample that has not been returned.
    next: i64,
    /// Silence that may still be inserted, in samples.
    silence_left: i64,
    /// Whether the container stores times; else the chunks follow each other.
    has_times: bool,
}

/// Formats, by libav's names, without times of packets: libav guesses them from byte positions and the bit rate, which
/// are off by some milliseconds for codecs with packets of several sizes (WMA in WAV).
const WITHOUT_TIMES: [&str; 4] = ["wav", "w64", "aiff", "au"];

/// How a chunk is returned: first silence, then all but its first `n_cut` frames.
pub(super) struct Placement {
    pub(super) silence: i64,
    pub(super) n_cut: usize,
}

impl SampleClock {
    /// A clock whose zero is `anchor`; the first `n_skipped` samples are not returned, and the first chunk lies after
    /// `n_lead` samples of damage.
    pub(super) fn new(anchor: Timestamp, base: TimeBase, n_lead: u64, n_skipped: i64, media: &MediaInfo) -> Self {
        let stored = n_lead.min(1 << 40) as i64;
        let has_times = !WITHOUT_TIMES.contains(&media.format.as_str());
        Self { anchor, base, stored, next: n_skipped, silence_left: max_silence(media, base), has_times }
    }

    /// None where the chunk ends before the first sample that is due.
    pub(super) fn place(&mut self, chunk: &DecodedChunk) -> Option<Placement> {
        let n = chunk.n_frames() as i64;
        if let Some(time) = chunk.time.filter(|_| self.has_times) {
            let claimed = time.minus(self.anchor).plus(half_tick(self.base)).floor_to(self.base);
            // Containers round times to a millisecond or a 90 kHz tick, so a difference below 50 ms is no gap. A chunk
            // that claims to be earlier than the last sample follows it directly: a clock that restarts or stands
            // still must not lose samples.
            let tolerance = i64::from(self.base.den() / self.base.num() / 20);
            if claimed > self.stored.saturating_add(tolerance) {
                self.stored = claimed;
            }
        }
        let at = self.stored;
        self.stored = self.stored.saturating_add(n);
        let end = self.stored;
        if end <= self.next {
            return None;
        }
        let n_cut = self.next.saturating_sub(at).max(0);
        let mut silence = at.saturating_sub(self.next).max(0);
        if silence > self.silence_left {
            tracing::warn!(silence, "ignoring a gap in the audio times that is longer than the file");
            silence = 0;
            self.anchor = self.anchor.plus(Timestamp::new(at - self.next, self.base));
            self.stored = self.next.saturating_add(n - n_cut);
        }
        self.silence_left -= silence;
        self.next = self.next.saturating_add(silence).saturating_add(n - n_cut);
        Some(Placement { silence, n_cut: n_cut as usize })
    }
}

/// Half a sample, which turns rounding down into rounding to the nearest.
pub(super) fn half_tick(base: TimeBase) -> Timestamp {
    TimeBase::new(base.num(), base.den().saturating_mul(2)).map_or(Timestamp::ZERO, |half| Timestamp::new(1, half))
}

/// The total silence that gaps may add, in samples: at most the claimed duration of the container, and a day.
fn max_silence(media: &MediaInfo, base: TimeBase) -> i64 {
    let day = Timestamp::new(MAX_STATED_SECONDS, TimeBase::SECONDS);
    let hour = Timestamp::new(3600, TimeBase::SECONDS);
    media.duration.unwrap_or(hour).min(day).floor_to(base).max(0)
}
