//! Captions as text files: each beside its image, under the same name.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::task::Captions;
use crate::advice::{Advice, Setting};
use crate::error::{Error, Result};
use crate::fs::{frame_file_name, other_captioned_frames, write_file, write_frame};
use crate::input::Source;
use crate::job::{CaptionFormat, ExistingCaptions};
use crate::media::EncodedImage;
use crate::report::caption::CaptionRow;
use crate::sanitize::shown_input;

/// Where the texts of a run are written.
#[derive(Debug)]
pub(super) struct CaptionTexts {
    /// The output folder; None writes beside the inputs.
    root: Option<PathBuf>,
    existing: ExistingCaptions,
    /// The place of each input's texts, by the input as rows show it.
    places: Mutex<HashMap<String, InputTexts>>,
}

/// The texts of one input.
#[derive(Debug)]
struct InputTexts {
    place: TextPlace,
    /// The file names of the frames of this run.
    frames: HashSet<String>,
    /// Whether all of its frames were read.
    is_read: bool,
    /// Whether the frames of this run that the folder has already are the same images, so that it is of this input: the
    /// inputs of two runs may have one name. None where it has none of them.
    is_same_input: Option<bool>,
}

/// Frames and captions of an earlier run that were kept.
#[derive(Debug)]
pub(super) struct EarlierTexts {
    pub folder: PathBuf,
    pub n_files: usize,
    /// How to delete them.
    pub advice: Advice,
}

/// The place of one input's texts.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TextPlace {
    /// This file: the input is an image, and the text is beside it.
    File(PathBuf),
    /// This folder, with an image of each frame.
    Folder(PathBuf),
}

impl CaptionTexts {
    /// The texts of a task; None where it has another format.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where there is no output folder, or one beside which texts are to be written.
    pub fn of(task: &Captions) -> Result<Option<Self>> {
        if task.format != CaptionFormat::Txt {
            return Ok(None);
        }
        let root = task.output.clone();
        if root.is_some() == task.beside {
            let (setting, problem, advice) = if task.beside {
                (Setting::Beside, "excludes an output folder", Advice::Unset(Setting::Output))
            } else {
                let advice = Advice::Set(Setting::Output).or(Advice::Set(Setting::Beside));
                (Setting::OutputFormat, "txt needs an output folder", advice)
            };
            return Err(Error::setting(setting, problem, advice));
        }
        Ok(Some(Self { root, existing: task.existing, places: Mutex::default() }))
    }

    /// Decides where the texts of an input go, before its frames are read.
    pub fn begin_input(&self, input: &str, source: &Source) {
        let path = Path::new(input);
        let mut places = self.places();
        let with_end = |end: &str| PathBuf::from(format!("{input}{end}"));
        let place = match &self.root {
            None if matches!(source, Source::Picture(_)) => {
                // `a.jpg` and `a.png` have one name.
                let text = TextPlace::File(path.with_extension("txt"));
                if is_taken(&places, &text) { TextPlace::File(with_end(".txt")) } else { text }
            }
            None => {
                let folder = TextPlace::Folder(path.with_extension(""));
                let is_file = path.extension().is_none();
                if is_file || is_taken(&places, &folder) { TextPlace::Folder(with_end(".frames")) } else { folder }
            }
            Some(root) => {
                let stem = path.file_stem().map_or("input".into(), |stem| stem.to_string_lossy());
                let mut folder = TextPlace::Folder(root.join(&*stem));
                for number in 2.. {
                    if !is_taken(&places, &folder) {
                        break;
                    }
                    folder = TextPlace::Folder(root.join(format!("{stem}.{number}")));
                }
                folder
            }
        };
        let texts = InputTexts { place, frames: HashSet::new(), is_read: false, is_same_input: None };
        places.entry(shown_input(input)).or_insert(texts);
    }

    /// Notes that all frames of an input were read.
    pub fn end_input(&self, input: &str) {
        if let Some(texts) = self.places().get_mut(&shown_input(input)) {
            texts.is_read = true;
        }
    }

    /// Handles frames and captions of an earlier run at times that this run did not sample. With `Overwrite` they are
    /// deleted, if this run `is_complete` and they are of the same input. Otherwise they are kept, because captions may
    /// have been edited; returns each folder with the number of such files.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) about a file that cannot be deleted.
    pub fn settle_earlier(&self, is_complete: bool) -> Result<Vec<EarlierTexts>> {
        let mut kept = Vec::new();
        for texts in self.places().values().filter(|texts| texts.is_read && self.root.is_some()) {
            let TextPlace::Folder(folder) = &texts.place else { continue };
            let earlier = other_captioned_frames(folder, &texts.frames);
            if earlier.is_empty() {
                continue;
            }
            let advice = match texts.is_same_input {
                _ if self.existing != ExistingCaptions::Overwrite => Advice::Set(Setting::Overwrite),
                _ if !is_complete => Advice::from("run the same command again"),
                Some(true) => {
                    for path in earlier {
                        std::fs::remove_file(&path).map_err(|error| Error::io(&path, error))?;
                    }
                    continue;
                }
                _ => Advice::from("they may be of another input of the same name; delete them, or name another folder"),
            };
            kept.push(EarlierTexts { folder: folder.clone(), n_files: earlier.len(), advice });
        }
        kept.sort_by(|a, b| a.folder.cmp(&b.folder));
        Ok(kept)
    }

    /// Whether a frame has a caption that is kept.
    pub fn keeps(&self, input: &str, image: &EncodedImage) -> bool {
        if let Some(texts) = self.places().get_mut(input) {
            let name = frame_file_name(image);
            if let (ExistingCaptions::Overwrite, TextPlace::Folder(folder)) = (self.existing, &texts.place)
                && texts.is_same_input != Some(false)
                && let Ok(bytes) = std::fs::read(folder.join(&name))
            {
                texts.is_same_input = Some(bytes == image.bytes);
            }
            texts.frames.insert(name);
        }
        let text = self.path(input, image).filter(|_| self.existing == ExistingCaptions::Skip);
        text.and_then(|path| std::fs::read_to_string(path).ok()).is_some_and(|text| !text.trim().is_empty())
    }

    /// Writes a complete caption, and the image of a frame beside it; the path of the text.
    pub fn write(&self, row: &CaptionRow, image: Option<&EncodedImage>) -> Result<Option<PathBuf>> {
        // An incomplete caption would be kept by the next run.
        let caption = row.caption.as_ref().filter(|_| row.error.is_none());
        let (Some(image), Some(caption)) = (image, caption) else { return Ok(None) };
        let place = self.places().get(&row.input).map(|texts| texts.place.clone());
        if let Some(TextPlace::Folder(folder)) = &place {
            write_frame(image, folder)?;
        }
        let Some(path) = self.path(&row.input, image) else { return Ok(None) };
        let earlier = || match std::fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().to_owned()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(Error::io(&path, error)),
        };
        let lines = match self.existing {
            ExistingCaptions::Skip | ExistingCaptions::Overwrite => [String::new(), caption.clone()],
            ExistingCaptions::Append => [earlier()?, caption.clone()],
            ExistingCaptions::Prepend => [caption.clone(), earlier()?],
        };
        let text: String = lines.iter().filter(|line| !line.is_empty()).flat_map(|line| [line, "\n"]).collect();
        write_file(&path, text.as_bytes())?;
        Ok(Some(path))
    }

    fn path(&self, input: &str, image: &EncodedImage) -> Option<PathBuf> {
        Some(match &self.places().get(input)?.place {
            TextPlace::File(path) => path.clone(),
            TextPlace::Folder(folder) => folder.join(frame_file_name(image)).with_extension("txt"),
        })
    }

    fn places(&self) -> MutexGuard<'_, HashMap<String, InputTexts>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_taken(places: &HashMap<String, InputTexts>, place: &TextPlace) -> bool {
    places.values().any(|taken| taken.place == *place)
}
