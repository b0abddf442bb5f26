//! What is wrong with a document.

/// Bytes of text before it is cleaned; what is read of a document ends here.
pub(super) const MAX_RAW_TEXT: usize = 4 << 20;

/// Why a document cannot be read, as a phrase.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum DocumentFault {
    Broken(String),
    Other(String),
    TooLarge(String),
}

impl DocumentFault {
    pub(super) fn too_much_text() -> Self {
        Self::TooLarge(format!("has more than {} MiB of text", MAX_RAW_TEXT >> 20))
    }
}
