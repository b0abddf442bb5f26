//! Where captions are written, and what an earlier run wrote there.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::task::Captions;
use super::texts::CaptionTexts;
use crate::advice::{Advice, Setting};
use crate::error::{Error, ErrorCode, Result};
use crate::event::{Event, EventSender};
use crate::fs::write_file;
use crate::job::{CaptionFormat, ExistingCaptions};
use crate::media::EncodedImage;
use crate::report::caption::{CSV_HEAD, CaptionKey, CaptionRow, kept_key};

/// Writes the rows, and sends an event for each.
pub(super) struct CaptionWriter {
    format: CaptionFormat,
    /// The file that rows are appended to; None for rows that are events alone, and for a folder of texts.
    file: Option<(PathBuf, File)>,
    /// The texts, where they are the format.
    texts: Option<Arc<CaptionTexts>>,
    /// Whether rows of an earlier run stand before those of this one.
    is_resumed: bool,
    /// The inputs in their order.
    pub(super) order: Vec<String>,
    events: EventSender,
}

/// The captions of an earlier run, and their lines; rows that failed or are cut off are left out.
pub(super) fn earlier_captions(path: &Path) -> Result<(HashSet<CaptionKey>, String)> {
    let (mut done, mut text) = (HashSet::new(), String::new());
    if path.exists() {
        let earlier = std::fs::read_to_string(path).map_err(|error| Error::io(path, error))?;
        for line in earlier.lines() {
            if let Some(key) = kept_key(line) {
                done.insert(key);
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    Ok((done, text))
}

impl CaptionWriter {
    /// Rows are events alone.
    pub(super) fn new(format: CaptionFormat, events: EventSender) -> Self {
        Self { format, file: None, texts: None, is_resumed: false, order: Vec::new(), events }
    }

    /// Opens the output; `text` is what an earlier run wrote, where this one continues it.
    pub(super) fn open(
        task: &Captions,
        texts: Option<Arc<CaptionTexts>>,
        text: Option<String>,
        events: EventSender,
    ) -> Result<Self> {
        let mut writer = Self { texts, ..Self::new(task.format, events) };
        let Some(path) = task.output.as_deref().filter(|_| writer.texts.is_none()) else { return Ok(writer) };
        let overwrites = task.existing == ExistingCaptions::Overwrite;
        let io = |error| Error::io(path, error);
        if text.is_none() && !overwrites && path.exists() && std::fs::metadata(path).map_err(io)?.len() > 0 {
            let advice = Advice::Set(Setting::Resume).or(Advice::Set(Setting::Overwrite)).or("name another file");
            return Err(Error::usage(path.display(), "exists already", advice).with_code(ErrorCode::OutputExists));
        }
        let mut text = text.unwrap_or_default();
        writer.is_resumed = !text.is_empty();
        if task.format == CaptionFormat::Csv {
            text.push_str(CSV_HEAD);
        }
        write_file(path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path).map_err(io)?;
        writer.file = Some((path.to_owned(), file));
        Ok(writer)
    }

    /// Writes a row, then sends its event.
    pub(super) async fn write(&mut self, row: CaptionRow, image: Option<&EncodedImage>) -> Result<()> {
        if let Some((path, file)) = &mut self.file {
            let line = if self.format == CaptionFormat::Csv { row.to_csv() } else { row.to_json()? };
            let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
            written.map_err(|error| Error::io(path, error))?;
        }
        let written = self.texts.as_ref().map_or(Ok(None), |texts| texts.write(&row, image))?;
        self.events.send(Event::Caption { row: Box::new(row) }).await;
        if let Some(path) = written {
            self.events.send(Event::Written { path }).await;
        }
        Ok(())
    }

    /// Sorts the rows of several runs into the order of one.
    pub(super) fn finish(self) -> Result<()> {
        let Some((path, _)) = self.file.filter(|_| self.is_resumed) else { return Ok(()) };
        let earlier = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
        let place: HashMap<&str, usize> = self.order.iter().enumerate().map(|(at, input)| (&**input, at)).collect();
        let mut lines: Vec<_> = earlier
            .lines()
            .map(|line| {
                let row: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
                let input = row["input"].as_str().and_then(|input| place.get(input)).copied();
                (input.unwrap_or(usize::MAX), row["frame_idx"].as_u64(), line)
            })
            .collect();
        // Rows of inputs that this run did not have stay at the end, in their order.
        lines.sort_by_key(|(input, frame_idx, _)| (*input, *frame_idx));
        let text: String = lines.iter().flat_map(|(_, _, line)| [*line, "\n"]).collect();
        write_file(&path, text.as_bytes())
    }
}
