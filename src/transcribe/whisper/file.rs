//! The format of a model's file, checked before whisper.cpp reads it: there, a number out of bounds aborts the process.
//!
//! All little-endian: a magic word, eleven settings, the mel filters, the vocabulary, then the tensors up to the end of
//! the file (whisper.cpp, `whisper_model_load`).

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use super::model_path::download_again;
use crate::error::{Error, Result};

const MAGIC: u32 = 0x6767_6d6c;
/// The valid values of each setting, in file order; the largest model has the upper ends.
const SETTINGS: [(&str, std::ops::RangeInclusive<i32>); 11] = [
    ("vocabulary", 51_000..=60_000),
    ("audio context", 1500..=1500),
    ("audio state", 384..=1280),
    ("audio heads", 6..=20),
    ("audio layers", 2..=32),
    ("text context", 448..=448),
    ("text state", 384..=1280),
    ("text heads", 6..=20),
    ("text layers", 2..=32),
    ("mel bands", 80..=128),
    ("tensor type", 0..=4000),
];
const N_FFT: u32 = 201;
/// Bytes of one vocabulary entry or name.
const MAX_NAME: u32 = 512;
/// Tensor types of ggml: number, elements per block, bytes per block.
const TYPES: [(u32, u64, u64); 12] = [
    (0, 1, 4),
    (1, 1, 2),
    (2, 32, 18),
    (3, 32, 20),
    (6, 32, 22),
    (7, 32, 24),
    (8, 32, 34),
    (10, 256, 84),
    (11, 256, 110),
    (12, 256, 144),
    (13, 256, 176),
    (14, 256, 210),
];

/// Checks the structure of the file at `path`; reads only a small part of it.
pub(super) fn check(path: &Path) -> Result<()> {
    let io = |error| Error::io(path, error);
    let file = File::open(path).map_err(io)?;
    let n_bytes = file.metadata().map_err(io)?.len();
    let mut parser = ModelFileParser { file: BufReader::new(file), at: 0, n_bytes };
    parser.check().map_err(|problem| {
        let problem = format!("is not a Whisper model in whisper.cpp's format: {problem}");
        Error::malformed(path.display(), problem, download_again())
    })
}

struct ModelFileParser {
    file: BufReader<File>,
    at: u64,
    n_bytes: u64,
}

impl ModelFileParser {
    fn check(&mut self) -> std::result::Result<(), String> {
        if self.read_u32()? != MAGIC {
            return Err("the magic number is wrong".to_owned());
        }
        for (name, range) in &SETTINGS {
            let value = self.read_u32()? as i32;
            if !range.contains(&value) {
                return Err(format!("its {name} is {value}, which is out of range"));
            }
        }
        let n_mel = self.read_u32()?;
        let n_fft = self.read_u32()?;
        if !(80..=128).contains(&n_mel) || n_fft != N_FFT {
            return Err(format!("its mel filters are {n_mel} by {n_fft}"));
        }
        self.skip(u64::from(n_mel) * u64::from(n_fft) * 4)?;
        let n_vocabulary = self.read_u32()?;
        if n_vocabulary > 60_000 {
            return Err(format!("its vocabulary has {n_vocabulary} entries"));
        }
        for _ in 0..n_vocabulary {
            let length = self.read_length()?;
            self.skip(length)?;
        }
        let mut n_tensors = 0;
        while self.at < self.n_bytes {
            self.tensor()?;
            n_tensors += 1;
        }
        if n_tensors == 0 { Err("it has no tensors".to_owned()) } else { Ok(()) }
    }

    fn tensor(&mut self) -> std::result::Result<(), String> {
        let n_dims = self.read_u32()?;
        let length = self.read_length()?;
        let kind = self.read_u32()?;
        if !(1..=3).contains(&n_dims) {
            return Err(format!("a tensor has {n_dims} dimensions"));
        }
        let mut n_elements = 1_u64;
        for _ in 0..n_dims {
            n_elements = n_elements.saturating_mul(u64::from(self.read_u32()?));
        }
        let Some((_, block, bytes)) = TYPES.iter().find(|(number, ..)| *number == kind) else {
            return Err(format!("a tensor has the unknown type {kind}"));
        };
        if n_elements == 0 || !n_elements.is_multiple_of(*block) {
            return Err(format!("a tensor has {n_elements} elements"));
        }
        self.skip(length)?;
        self.skip((n_elements / block).saturating_mul(*bytes))
    }

    fn read_u32(&mut self) -> std::result::Result<u32, String> {
        let mut bytes = [0; 4];
        self.file.read_exact(&mut bytes).map_err(|_| "it is truncated".to_owned())?;
        self.at += 4;
        Ok(u32::from_le_bytes(bytes))
    }

    fn read_length(&mut self) -> std::result::Result<u64, String> {
        let length = self.read_u32()?;
        if length > MAX_NAME { Err(format!("a name is {length} bytes long")) } else { Ok(u64::from(length)) }
    }

    fn skip(&mut self, n: u64) -> std::result::Result<(), String> {
        if n > self.n_bytes.saturating_sub(self.at) {
            return Err("it is truncated".to_owned());
        }
        self.at += n;
        self.file.seek_relative(n as i64).map_err(|error| error.to_string())
    }
}
