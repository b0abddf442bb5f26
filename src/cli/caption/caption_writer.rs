//! Where rows of captions go.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use vidgist::error::Error;
use vidgist::fs::{frame_file_name, write_file, write_frame};
use vidgist::media::EncodedImage;
use vidgist::report::caption::{CSV_HEAD, CaptionKey, CaptionRow, kept_key};

use super::super::args::CaptionFormat;
use super::super::print;

/// Where the rows go.
pub(super) struct Sink {
    format: CaptionFormat,
    /// The file that rows are appended to; None is stdout, or a folder of texts.
    file: Option<(PathBuf, File)>,
    folder: Option<PathBuf>,
    /// Whether rows of an earlier run stand before those of this one.
    is_resumed: bool,
    /// The inputs in their order.
    pub(super) order: Vec<String>,
    /// Folder of each input's texts, where two inputs have one name.
    folders: HashMap<String, PathBuf>,
}

/// The captions of an earlier run, and their lines; failed and half rows are left out.
pub(super) fn held(path: &Path) -> Result<(HashSet<CaptionKey>, String)> {
    let (mut done, mut text) = (HashSet::new(), String::new());
    if path.exists() {
        let held = std::fs::read_to_string(path).map_err(|error| Error::io(path, error))?;
        for line in held.lines() {
            if let Some(key) = kept_key(line) {
                done.insert(key);
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    Ok((done, text))
}

impl Sink {
    /// Rows go to stdout.
    pub(super) fn new(format: CaptionFormat) -> Self {
        Self { format, file: None, folder: None, is_resumed: false, order: Vec::new(), folders: HashMap::new() }
    }

    /// Opens the output; where it goes on with what an earlier run wrote, `text` is that.
    pub(super) fn open(format: CaptionFormat, output: Option<&Path>, text: Option<String>) -> Result<Self> {
        let mut sink = Self::new(format);
        let Some(path) = output else {
            if format == CaptionFormat::Txt {
                return Err(Error::usage("--format txt", "needs a folder", "name it with -o DIR").into());
            }
            if format == CaptionFormat::Csv {
                print(CSV_HEAD)?;
            }
            return Ok(sink);
        };
        if format == CaptionFormat::Txt {
            sink.folder = Some(path.to_owned());
            return Ok(sink);
        }
        let io = |error| Error::io(path, error);
        if text.is_none() && path.exists() && std::fs::metadata(path).map_err(io)?.len() > 0 {
            let advice = "go on with it by --resume, or name another file";
            return Err(Error::usage(path.display(), "is there already", advice).into());
        }
        let mut text = text.unwrap_or_default();
        sink.is_resumed = !text.is_empty();
        if format == CaptionFormat::Csv {
            text.push_str(CSV_HEAD);
        }
        write_file(path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path).map_err(io)?;
        sink.file = Some((path.to_owned(), file));
        Ok(sink)
    }

    pub(super) fn write(&mut self, row: &CaptionRow, image: Option<&EncodedImage>) -> Result<()> {
        let line = match self.format {
            CaptionFormat::Jsonl => row.to_json()?,
            CaptionFormat::Csv => row.to_csv(),
            CaptionFormat::Txt => return self.write_text(row, image),
        };
        match &mut self.file {
            Some((path, file)) => {
                let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
                Ok(written.map_err(|error| Error::io(path, error))?)
            }
            None => Ok(print(&line)?),
        }
    }

    /// The picture, and the caption beside it under the same name.
    fn write_text(&mut self, row: &CaptionRow, image: Option<&EncodedImage>) -> Result<()> {
        let (Some(root), Some(image), Some(caption)) = (&self.folder, image, &row.caption) else { return Ok(()) };
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
        Ok(print(&format!("{}\n", picture.with_extension("txt").display()))?)
    }

    /// Puts the rows of several runs into the order of one.
    pub(super) fn finish(self) -> Result<()> {
        let Some((path, _)) = self.file.filter(|_| self.is_resumed) else { return Ok(()) };
        let held = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
        let place: HashMap<&str, usize> = self.order.iter().enumerate().map(|(at, input)| (&**input, at)).collect();
        let mut lines: Vec<_> = held
            .lines()
            .map(|line| {
                let row: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
                let input = row["input"].as_str().and_then(|input| place.get(input)).copied();
                (input.unwrap_or(usize::MAX), row["frame_idx"].as_u64(), line)
            })
            .collect();
        // Rows of inputs that this run did not have stay behind, in their order.
        lines.sort_by_key(|(input, frame_idx, _)| (*input, *frame_idx));
        let text: String = lines.iter().flat_map(|(_, _, line)| [*line, "\n"]).collect();
        Ok(write_file(&path, text.as_bytes())?)
    }
}
