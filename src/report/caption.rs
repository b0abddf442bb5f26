//! One line for each captioned frame: JSON Lines and CSV.

use serde::{Deserialize, Serialize};

use super::safe_json;
use crate::chat::Usage;
use crate::error::Result;
use crate::media::EncodedImage;
use crate::money::Money;
use crate::sanitize::shown_input;
use crate::time::{TimeBase, Timestamp};

/// One frame with its caption, or with the reason why it has none.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct CaptionRow {
    /// The path, as the user named it or as found in a folder.
    pub input: String,
    /// Index of the frame among those of this file and run, from 0; None where the file itself could not be read.
    pub frame_idx: Option<usize>,
    /// Presentation time on the stream's own clock, in ticks of `time_base`.
    pub pts: Option<i64>,
    /// Length of a tick in seconds, as `num/den`.
    pub time_base: Option<TimeBase>,
    /// Presentation time on the shared clock, in seconds.
    #[serde(rename = "seconds")]
    pub time: Option<Timestamp>,
    /// Whether the decoder reported an error in the frame or in one that it refers to; None where no frame could be read.
    pub suspect: Option<bool>,
    /// The caption: untrusted; None where there is none.
    pub caption: Option<String>,
    /// The reason why it is missing or incomplete.
    pub error: Option<String>,
    /// The reasoning of the model, if the server sent it, on the first frame of its request: untrusted.
    pub reasoning: Option<String>,
    /// The model.
    pub model: String,
    /// The identifier of the prompt.
    pub prompt_version: String,
    /// SHA-256 of the picture that was sent.
    pub image_sha256: Option<String>,
    /// Tokens of the request, on the first of its frames alone, so that sums are right.
    pub usage: Option<Usage>,
    /// Its cost, on the first of its frames alone; None where the price is not known.
    #[serde(rename = "cost_usd")]
    pub cost: Option<Money>,
}

/// The identity of a caption: a frame with the same key need not be captioned again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CaptionKey {
    /// The file.
    pub input: String,
    /// Presentation time of the frame on the stream's own clock: two frames may show the same.
    pub pts: i64,
    /// SHA-256 of the picture.
    pub image_sha256: String,
    /// The model.
    pub model: String,
    /// The wording.
    pub prompt_version: String,
}

/// The part of an earlier run's row that is needed to continue.
#[derive(Debug, Deserialize)]
struct KeptCaption {
    input: String,
    pts: Option<i64>,
    caption: Option<String>,
    error: Option<String>,
    model: String,
    prompt_version: String,
    image_sha256: Option<String>,
}

/// The columns of the CSV form.
pub const CSV_HEAD: &str = "input,frame_idx,pts,time_base,seconds,suspect,caption,error,model,prompt_version,image_sha256,prompt_tokens,completion_tokens,cost_usd\n";

impl CaptionRow {
    /// A row without a caption yet.
    #[must_use]
    pub fn new(input: &str, image: &EncodedImage, sha256: String, model: &str, prompt_version: &str) -> Self {
        Self {
            frame_idx: Some(image.frame_idx),
            pts: Some(image.pts.ticks()),
            time_base: Some(image.pts.base()),
            time: Some(image.time),
            image_sha256: Some(sha256),
            ..Self::failed(input, None, model, prompt_version)
        }
    }

    /// The row of a file of which no frame could be read.
    #[must_use]
    pub fn failed(input: &str, error: Option<String>, model: &str, prompt_version: &str) -> Self {
        Self {
            input: shown_input(input),
            frame_idx: None,
            pts: None,
            time_base: None,
            time: None,
            suspect: None,
            caption: None,
            error,
            reasoning: None,
            model: model.to_owned(),
            prompt_version: prompt_version.to_owned(),
            image_sha256: None,
            usage: None,
            cost: None,
        }
    }

    /// The identity of its caption; None if no picture was read.
    #[must_use]
    pub fn key(&self) -> Option<CaptionKey> {
        Some(CaptionKey {
            input: self.input.clone(),
            pts: self.pts?,
            image_sha256: self.image_sha256.clone()?,
            model: self.model.clone(),
            prompt_version: self.prompt_version.clone(),
        })
    }

    /// The row as one line of JSON.
    ///
    /// # Errors
    /// As [`safe_json::to_line`].
    pub fn to_json(&self) -> Result<String> {
        safe_json::to_line(self)
    }

    /// The row as one line of CSV (RFC 4180); see [`CSV_HEAD`].
    #[must_use]
    pub fn to_csv(&self) -> String {
        let number = |value: Option<String>| value.unwrap_or_default();
        let usage = self.usage.unwrap_or_default();
        let cells = [
            self.input.clone(),
            number(self.frame_idx.map(|n| n.to_string())),
            number(self.pts.map(|n| n.to_string())),
            number(self.time_base.map(|base| format!("{}/{}", base.num(), base.den()))),
            number(self.time.map(|time| time.secs_f64().to_string())),
            number(self.suspect.map(|is_suspect| is_suspect.to_string())),
            self.caption.clone().unwrap_or_default(),
            self.error.clone().unwrap_or_default(),
            self.model.clone(),
            self.prompt_version.clone(),
            self.image_sha256.clone().unwrap_or_default(),
            number(usage.prompt_tokens.map(|n| n.to_string())),
            number(usage.completion_tokens.map(|n| n.to_string())),
            number(self.cost.map(Money::dollars)),
        ];
        csv_line(cells.map(|cell| inert(&cell)))
    }
}

/// The key of a line that an earlier run wrote; None if the line is truncated or has no complete caption.
#[must_use]
pub fn kept_key(line: &str) -> Option<CaptionKey> {
    let kept: KeptCaption = serde_json::from_str(line).ok()?;
    if kept.caption.is_none() || kept.error.is_some() {
        return None;
    }
    let (input, model, prompt_version) = (kept.input, kept.model, kept.prompt_version);
    Some(CaptionKey { input, pts: kept.pts?, image_sha256: kept.image_sha256?, model, prompt_version })
}

/// One CSV record with its line end.
fn csv_line<const N: usize>(cells: [String; N]) -> String {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    // Writing to a Vec does not fail, and the cells are UTF-8.
    let _ = writer.write_record(cells);
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

/// A cell without control characters; text that a spreadsheet would run as a formula gets a leading apostrophe.
fn inert(cell: &str) -> String {
    let cell: String = cell.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    let is_formula = cell.starts_with(['=', '+', '-', '@']) && cell.parse::<f64>().is_err();
    if is_formula { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        for (cell, expected) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "'=1+1"),
            ("-3.5", "-3.5"),
            ("two\nlines\u{1b}", "\"two\nlines \""),
        ] {
            assert_eq!(csv_line([inert(cell), String::new()]), format!("{expected},\n"));
        }
        let row = CaptionRow::failed("a.mp4", Some("broken".into()), "m", "1");
        assert_eq!(row.to_csv().matches(',').count(), CSV_HEAD.matches(',').count());
    }

    #[test]
    fn only_whole_lines_with_a_caption_are_kept() {
        let mut row = CaptionRow::failed("a.mp4", None, "m", "1");
        (row.image_sha256, row.pts) = (Some("00".into()), Some(7));
        assert_eq!(kept_key(&row.to_json().unwrap()), None, "no caption yet");
        row.caption = Some("a dog".into());
        let line = row.to_json().unwrap();
        assert_eq!(kept_key(&line), row.key());
        assert_eq!(kept_key(&line[..line.len() - 9]), None, "cut by a crash");
        assert_eq!(kept_key(""), None);
        row.error = Some("cut off at the token limit".into());
        assert_eq!(kept_key(&row.to_json().unwrap()), None, "an incomplete caption is requested again");
    }
}
