//! The known speech models, pinned by revision and SHA-256.

use std::path::{Path, PathBuf};

/// A speech model: one file on the public hub, pinned by revision and SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpeechModel {
    /// The name that users write: `base`.
    pub name: &'static str,
    /// The file's name, on the hub and on disk.
    pub file: &'static str,
    /// Its size in bytes.
    pub n_bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: &'static str,
    /// What it is for, in a few words.
    pub about: &'static str,
    /// The repository on the hub.
    pub repository: &'static str,
    /// Its revision.
    pub revision: &'static str,
}

/// `whisper.cpp`'s own collection. Sizes and SHA-256 are the hub's, as published with this revision.
const WHISPER: (&str, &str) = ("ggerganov/whisper.cpp", "5359861c739e955e79d9a303bcbc70fb988958b1");
const SILERO: (&str, &str) = ("ggml-org/whisper-vad", "c5c26827b67dfd053856f92e824e14fdcc123daf");

/// The name of the default model.
pub const DEFAULT: &str = "base";
/// The name of the voice activity model, which every Whisper model requires.
pub const VAD: &str = "silero";

const fn whisper(
    name: &'static str,
    file: &'static str,
    n_bytes: u64,
    sha256: &'static str,
    about: &'static str,
) -> SpeechModel {
    SpeechModel { name, file, n_bytes, sha256, about, repository: WHISPER.0, revision: WHISPER.1 }
}

/// All known models, smallest first.
pub const ALL: [SpeechModel; 6] = [
    SpeechModel {
        name: VAD,
        file: "ggml-silero-v6.2.0.bin",
        n_bytes: 885_098,
        sha256: "2aa269b785eeb53a82983a20501ddf7c1d9c48e33ab63a41391ac6c9f7fb6987",
        about: "voice activity detection; required by all other models",
        repository: SILERO.0,
        revision: SILERO.1,
    },
    whisper(
        "tiny.en",
        "ggml-tiny.en.bin",
        77_704_715,
        "921e4cf8686fdd993dcd081a5da5b6c365bfde1162e72b08d75ac75289920b1f",
        "English only, fastest",
    ),
    whisper(
        "tiny",
        "ggml-tiny.bin",
        77_691_713,
        "be07e048e1e599ad46341c8d2a135645097a538221678b7acdd1b1919c6e1b21",
        "99 languages, fastest",
    ),
    whisper(
        "base",
        "ggml-base-q8_0.bin",
        81_768_585,
        "c577b9a86e7e048a0b7eada054f4dd79a56bbfa911fbdacf900ac5b567cbb7d9",
        "99 languages; the default",
    ),
    whisper(
        "small",
        "ggml-small-q8_0.bin",
        264_464_607,
        "49c8fb02b65e6049d5fa6c04f81f53b867b5ec9540406812c643f177317f779f",
        "99 languages, more accurate, three times the work",
    ),
    whisper(
        "large-v3-turbo",
        "ggml-large-v3-turbo-q8_0.bin",
        874_188_075,
        "317eb69c11673c9de1e1f0d459b253999804ec71ac4c23c17ecf5fbe24e259a1",
        "99 languages, most accurate; slow without a graphics card",
    ),
];

impl SpeechModel {
    /// The model with that name; None if it is unknown.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|model| model.name == name)
    }

    /// The path of its file in `folder`, whether or not it exists.
    #[must_use]
    pub fn path_in(&self, folder: &Path) -> PathBuf {
        folder.join(self.file)
    }

    /// Whether `folder` contains a file of the right size. Its SHA-256 was verified when the file got its name.
    #[must_use]
    pub fn is_in(&self, folder: &Path) -> bool {
        std::fs::metadata(self.path_in(folder)).is_ok_and(|found| found.is_file() && found.len() == self.n_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalog_is_consistent() {
        for model in ALL {
            assert_eq!(SpeechModel::by_name(model.name), Some(&model));
            assert!(model.sha256.len() == 64 && model.sha256.bytes().all(|b| b.is_ascii_hexdigit()), "{model:?}");
            assert!(model.revision.len() == 40, "{model:?}");
        }
        assert!(SpeechModel::by_name(DEFAULT).is_some() && SpeechModel::by_name(VAD).is_some());
    }
}
