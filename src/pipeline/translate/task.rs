//! What is translated into which language, and what became of it.

use std::path::PathBuf;
use std::sync::Arc;

use super::super::transcribe::FileTranscript;
use super::super::transcript::TranscriptSearch;
use crate::advice::Setting;
use crate::analyze::{DryRun, SpendLimit};
use crate::error::{Error, Result};
use crate::job::TranscriptFormat;
use crate::language;
use crate::llm::ChatModel;
use crate::report::Total;
use crate::report::estimate::Estimate;
use crate::sanitize::clean_line;

/// Characters of a target language in words: "formal Brazilian Portuguese".
const MAX_LANGUAGE_CHARS: usize = 60;

/// A translation of one transcript.
#[derive(Clone)]
pub struct Translate {
    /// A media file, a subtitle file, or an address.
    pub input: String,
    /// The files that continue it as one recording; None reads it alone.
    pub join: Option<Vec<String>>,
    /// Whether the input is a subtitle file: see [`is_subtitle_file`](super::is_subtitle_file).
    pub is_subtitle_file: bool,
    /// The language of the translation.
    pub target: TargetLanguage,
    /// Where the transcript comes from.
    pub transcript: TranscriptSearch,
    /// Translates.
    pub model: Arc<dyn ChatModel>,
    /// Requests at a time.
    pub concurrency: usize,
    /// The most that the run may spend.
    pub spend_limit: SpendLimit,
    /// If set, nothing is sent or written, and the result has an estimate of what would be sent.
    pub dry_run: Option<DryRun>,
    /// How the translation is written.
    pub format: TranscriptFormat,
    /// The file; None keeps the translation in the result.
    pub output: Option<PathBuf>,
}

/// The language of a translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetLanguage {
    /// As the user named it.
    pub name: String,
    /// Its tag: `ko`, `pt-BR`; None where the name has none.
    pub tag: Option<String>,
}

impl TargetLanguage {
    /// Reads a tag (`ko`, `pt-BR`) or a name in words (`Korean`, `formal German`).
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where it is empty, too long, or a tag of no known language.
    pub fn parse(text: &str) -> Result<Self> {
        let name = clean_line(text);
        let refuse = |problem: String| {
            let advice = "name it by its code (ko, pt-BR) or in English (Korean)";
            Err(Error::setting(Setting::TargetLanguage, problem, advice))
        };
        if name.is_empty() {
            return refuse("is empty".to_owned());
        }
        if name.chars().count() > MAX_LANGUAGE_CHARS {
            return refuse(format!("is longer than {MAX_LANGUAGE_CHARS} characters"));
        }
        if !language::is_tag(&name) {
            let tag = language::two_letter_code(&name).map(str::to_owned);
            return Ok(Self { name, tag });
        }
        if !language::is_known(&name) {
            return refuse(format!("{name} is not the code of a known language"));
        }
        Ok(Self { tag: Some(name.clone()), name })
    }

    /// The language as a model understands it: `Korean (ko)`.
    #[must_use]
    pub fn for_model(&self) -> String {
        match language::english_name(&self.name).filter(|english| !english.eq_ignore_ascii_case(&self.name)) {
            Some(english) if self.tag.as_ref() == Some(&self.name) => format!("{english} ({})", self.name),
            _ => self.name.clone(),
        }
    }

    /// Whether text in the language of `tag` needs no translation. A region or script that only the target has makes
    /// another language: from `pt` to `pt-BR`.
    #[must_use]
    pub fn is(&self, tag: &str) -> bool {
        let Some(target) = &self.tag else { return false };
        let has_parts = target.contains(['-', '_']);
        language::is_same(target, tag)
            && (!has_parts || target.replace('_', "-").eq_ignore_ascii_case(&tag.replace('_', "-")))
    }
}

/// What became of a translation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TranslateResult {
    /// The transcript, with the translated text in each cue; cues, times and speakers are those of the original.
    pub file: FileTranscript,
    /// Cues that were translated.
    pub n_translated: usize,
    /// Cues that were copied: without letters, or in the target language already.
    pub n_copied: usize,
    /// Cues that have no translation and keep their original text.
    pub untranslated: Vec<UntranslatedCues>,
    /// The requests and their cost.
    pub total: Total,
    /// What a dry run would send.
    pub estimate: Option<Estimate>,
}

impl TranslateResult {
    /// Whether every cue is translated or copied, and nothing is missing.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.untranslated.is_empty() && self.file.missing.is_empty()
    }
}

/// Consecutive cues that have no translation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UntranslatedCues {
    /// The number of the first one, from 1.
    pub first: usize,
    /// The number of the last one.
    pub last: usize,
    /// Why, as a phrase.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_tags_or_names() {
        for (text, tag, for_model) in [
            ("ko", Some("ko"), "Korean (ko)"),
            ("kor", Some("kor"), "Korean (kor)"),
            ("pt-BR", Some("pt-BR"), "Portuguese (pt-BR)"),
            (" Korean ", Some("ko"), "Korean"),
            ("formal German", None, "formal German"),
            ("한국어", None, "한국어"),
        ] {
            let target = TargetLanguage::parse(text).expect(text);
            assert_eq!((target.tag.as_deref(), &*target.for_model()), (tag, for_model), "{text}");
        }
        for text in ["", " \n", "xx", "qqx-Foo", &"a".repeat(61)] {
            assert!(TargetLanguage::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_region_that_only_the_target_has_is_another_language() {
        let is = |target: &str, tag: &str| TargetLanguage::parse(target).expect(target).is(tag);
        assert!(is("en", "en-US") && is("en", "eng") && is("Korean", "ko") && is("pt-BR", "pt_br"));
        assert!(!is("pt-BR", "pt") && !is("zh-Hant", "zh-Hans") && !is("ko", "en") && !is("formal German", "de"));
    }
}
