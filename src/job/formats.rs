//! The formats of outputs.

use serde::{Deserialize, Serialize};

/// How captions are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaptionFormat {
    /// A JSON object per line.
    #[default]
    Jsonl,
    /// A table.
    Csv,
    /// Each frame as an image, with its caption in a text file beside it.
    Txt,
}

/// What becomes of captions that are in text files already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExistingCaptions {
    /// They are kept, and their frames are not sent.
    #[default]
    Skip,
    /// The new caption follows them.
    Append,
    /// The new caption precedes them.
    Prepend,
    /// The new caption replaces them.
    Overwrite,
}

/// How a transcript is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TranscriptFormat {
    /// `SubRip`.
    #[default]
    Srt,
    /// `WebVTT`.
    Vtt,
    /// The text alone.
    Txt,
    /// Markdown: each segment with its time.
    Md,
    /// For programs: segments, words, confidence, language, source.
    Json,
}

/// How audio is written, with 16 bits per sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioFileFormat {
    /// Uncompressed; RF64 past 4 GiB.
    Wav,
    /// Lossless compression, up to 8 channels.
    Flac,
}
