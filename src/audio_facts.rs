//! Measurements of one audio stream as data: loudness, peaks, silences, and ranges of speech, music and other sounds.

use serde::Serialize;

use crate::time::TimeRange;

/// What was measured of one audio stream. Times are on the clock that sound and picture share.
#[derive(Clone, Debug, Serialize)]
pub struct AudioFacts {
    /// From the first sample to the end of the last.
    #[serde(flatten)]
    pub range: TimeRange,
    /// Samples a second in one channel.
    pub rate_hz: u32,
    /// Number of channels.
    pub channels: u16,
    /// Integrated loudness in LUFS (EBU R128); None where nothing is louder than its gate of -70 LUFS.
    pub loudness_lufs: Option<f64>,
    /// Loudness range in LU (EBU Tech 3342); None as above, and for a sound below three seconds.
    pub loudness_range_lu: Option<f64>,
    /// Highest true peak of any channel in dBTP (ITU-R BS.1770-4, annex 2); None where every sample is 0.
    pub true_peak_dbtp: Option<f64>,
    /// Where all channels together stay below -50 dBFS for at least half a second; exact to 10 ms.
    pub silences: Vec<TimeRange>,
    /// The whole range without gaps, by half seconds.
    pub stretches: Vec<SoundStretch>,
    /// Packets that could not be decoded, silence in their place.
    pub n_damaged: u64,
}

impl AudioFacts {
    /// Seconds of one kind.
    #[must_use]
    pub fn seconds_of(&self, kind: SoundKind) -> f64 {
        self.stretches.iter().filter(|s| s.kind == kind).map(|s| s.range.length().secs_f64()).sum()
    }

    /// Seconds of silence, pauses of half a second included.
    #[must_use]
    pub fn silent_seconds(&self) -> f64 {
        self.silences.iter().map(|range| range.length().secs_f64()).sum()
    }
}

/// A stretch of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SoundStretch {
    /// When.
    #[serde(flatten)]
    pub range: TimeRange,
    /// What it sounds like.
    pub kind: SoundKind,
}

/// What a stretch of sound is, as far as its features tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SoundKind {
    /// Somebody speaks, alone or over something quieter.
    Speech,
    /// Tones that change.
    Music,
    /// Sound that is neither: noise, a hum, effects.
    Other,
    /// Nothing above -50 dBFS.
    Silence,
}
