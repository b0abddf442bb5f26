//! Paths of model files for whisper.cpp.

use std::path::Path;

use crate::advice::Advice;
use crate::error::{Error, Result};

/// The advice for a damaged model file.
pub(super) fn download_again() -> Advice {
    Advice::Run("models pull".into())
}

/// The path as a foreign library takes it.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) if the path is not UTF-8 or contains a NUL.
pub(super) fn as_utf8(path: &Path) -> Result<&str> {
    path.to_str()
        .filter(|text| !text.contains('\0'))
        .ok_or_else(|| Error::usage(path.display(), "the path of a model must be valid UTF-8", "move the file"))
}
