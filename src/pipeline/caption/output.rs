//! Where captions are written, and what an earlier run wrote there.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::advice::{Advice, Setting};
use crate::error::{Error, ErrorCode, Result};
use crate::event::{Event, EventSender};
use crate::fs::{frame_file_name, write_file, write_frame};
use crate::job::CaptionFormat;
use crate::media::EncodedImage;
use crate::report::caption::{CSV_HEAD, CaptionKey, CaptionRow, kept_key};

/// Writes the rows, and sends an event for each.
pub(super) struct CaptionWriter {
    format: CaptionFormat,
    /// The file that rows are appended to; None for rows that are events alone, and for a folder of texts.
    file: Option<(PathBuf, File)>,
    folder: Option<PathBuf>,
    /// Whether rows of an earlier run stand before those of this one.
    is_resumed: bool,
    /// The inputs in their order.
    pub(super) order: Vec<String>,
    /// The folder of each input's texts, where two inputs have one name.
    folders: HashMap<String, PathBuf>,
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
        let (order, folders) = (Vec::new(), HashMap::new());
        Self { format, file: None, folder: None, is_resumed: false, order, folders, events }
    }

    /// Opens the output; `text` is what an earlier run wrote, where this one continues it.
    pub(super) fn open(
        format: CaptionFormat,
        output: Option<&Path>,
        text: Option<String>,
        events: EventSender,
    ) -> Result<Self> {
        let mut writer = Self::new(format, events);
        let Some(path) = output else {
            if format == CaptionFormat::Txt {
                let advice = Advice::Set(Setting::Output);
                return Err(Error::setting(Setting::OutputFormat, "txt needs an output folder", advice));
            }
            return Ok(writer);
        };
        if format == CaptionFormat::Txt {
            writer.folder = Some(path.to_owned());
            return Ok(writer);
        }
        let io = |error| Error::io(path, error);
        if text.is_none() && path.exists() && std::fs::metadata(path).map_err(io)?.len() > 0 {
            let advice = Advice::Set(Setting::Resume).or("name another file");
            return Err(Error::usage(path.display(), "exists already", advice).with_code(ErrorCode::OutputExists));
        }
        let mut text = text.unwrap_or_default();
        writer.is_resumed = !text.is_empty();
        if format == CaptionFormat::Csv {
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
        let written = self.write_text(&row, image)?;
        self.events.send(Event::Caption { row: Box::new(row) }).await;
        if let Some(path) = written {
            self.events.send(Event::Written { path }).await;
        }
        Ok(())
    }

    /// The image, and the caption beside it under the same name; the path of the text.
    fn write_text(&mut self, row: &CaptionRow, image: Option<&EncodedImage>) -> Result<Option<PathBuf>> {
        // An incomplete caption is not kept: the next run requests it again.
        let caption = row.caption.as_ref().filter(|_| row.error.is_none());
        let (Some(root), Some(image), Some(caption)) = (&self.folder, image, caption) else { return Ok(None) };
        let folder = if let Some(folder) = self.folders.get(&row.input) {
            folder.clone()
        } else {
            let stem = Path::new(&row.input).file_stem().map_or("input".into(), |stem| stem.to_string_lossy());
            let taken: HashSet<&PathBuf> = self.folders.values().collect();
            let mut folder = root.join(&*stem);
            for number in 2.. {
                if !taken.contains(&folder) {
                    break;
                }
                folder = root.join(format!("{stem}.{number}"));
            }
            self.folders.insert(row.input.clone(), folder.clone());
            folder
        };
        let picture = write_frame(image, &folder)?;
        write_file(&folder.join(frame_file_name(image)).with_extension("txt"), format!("{caption}\n").as_bytes())?;
        Ok(Some(picture.with_extension("txt")))
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
