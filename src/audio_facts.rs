//! Measurements of one audio stream as data: loudness, peaks, silences, and ranges of speech, music and other sounds.

use serde::{Deserialize, Serialize};

use crate::time::{TimeRange, Timestamp};

/// Measurements of one audio stream. Times are on the clock that audio and video share.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AudioFacts {
    /// From the first sample to the end of the last.
    #[serde(flatten)]
    pub range: TimeRange,
    /// Sample rate in Hz.
    pub rate_hz: u32,
    /// Number of channels.
    pub channels: u16,
    /// Integrated loudness in LUFS (EBU R128); None if nothing is louder than its gate of -70 LUFS.
    pub loudness_lufs: Option<f64>,
    /// Loudness range in LU (EBU Tech 3342); None as above, and for audio shorter than three seconds.
    pub loudness_range_lu: Option<f64>,
    /// Highest true peak of any channel in dBTP (ITU-R BS.1770-4, annex 2); None if every sample is 0.
    pub true_peak_dbtp: Option<f64>,
    /// Ranges in which all channels together stay below -50 dBFS for at least half a second; exact to 10 ms.
    pub silences: Vec<TimeRange>,
    /// Classified ranges that cover the whole stream without gaps, in steps of half a second.
    pub stretches: Vec<SoundStretch>,
    /// Packets that could not be decoded and were replaced by silence.
    pub n_damaged: u64,
}

impl AudioFacts {
    /// Seconds of one class.
    #[must_use]
    pub fn seconds_of(&self, kind: SoundKind) -> f64 {
        self.stretches.iter().filter(|s| s.kind == kind).map(|s| s.range.length().secs_f64()).sum()
    }

    /// Seconds of silence in pauses of half a second or more.
    #[must_use]
    pub fn silent_seconds(&self) -> f64 {
        self.silences.iter().map(|range| range.length().secs_f64()).sum()
    }
}

/// Says that a mono mix took one channel for some of the time.
pub(crate) fn single_channel_notice(seconds: f64) -> String {
    format!("its channels cancel each other in the mono mix; for {seconds:.0} s only the loudest one was used")
}

/// A range of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SoundStretch {
    /// Its time range.
    #[serde(flatten)]
    pub range: TimeRange,
    /// Its class.
    pub kind: SoundKind,
}

/// Classes of audio, by simple features.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum SoundKind {
    /// Speech, alone or over quieter sounds.
    Speech,
    /// Music.
    Music,
    /// Neither speech nor music: noise, hum, effects.
    Other,
    /// Nothing above -50 dBFS.
    Silence,
}

/// The level of audio over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AudioLevels {
    /// Time of the first sample on the shared clock.
    pub start: Timestamp,
    /// The duration of each value; the last may stand for less.
    pub step: Timestamp,
    /// The largest absolute sample of each step over all channels, in 255ths of full scale. At most 1000.
    pub peaks: Vec<u8>,
}
