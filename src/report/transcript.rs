//! A transcript as one JSON document, to be kept and read back; `docs/output.md` describes each key.

use serde::{Deserialize, Serialize};

use super::safe_json::to_text;
use super::version;
use crate::error::Result;
use crate::transcript::Transcript;

/// Version of the JSON document: increased whenever a key changes its meaning or is removed.
pub const TRANSCRIPT_VERSION: u32 = 1;

const NAME: &str = "the transcript";

#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct TranscriptDocument<'a> {
    #[cfg_attr(feature = "schema", schemars(extend("const" = TRANSCRIPT_VERSION)))]
    schema_version: u32,
    #[serde(flatten)]
    transcript: &'a Transcript,
}

/// The document, indented, with a trailing newline.
///
/// # Errors
/// [`ErrorKind::Io`](crate::ErrorKind::Io) if the JSON writer fails.
pub fn render(transcript: &Transcript) -> Result<String> {
    to_text(&TranscriptDocument { schema_version: TRANSCRIPT_VERSION, transcript })
}

/// Reads what [`render`] wrote. Rendered again, it is the same to the byte.
///
/// # Errors
/// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if it is not a transcript, [`ErrorKind::Unsupported`](
/// crate::ErrorKind::Unsupported) if its schema version is not [`TRANSCRIPT_VERSION`].
pub fn parse(text: &str) -> Result<Transcript> {
    version::check(NAME, text, TRANSCRIPT_VERSION)?;
    let malformed = |error| version::malformed(NAME, error);
    // A flattened struct does not refuse unknown keys: the version is taken out, and the rest is read as it is.
    let mut document: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).map_err(malformed)?;
    document.remove("schema_version");
    Transcript::deserialize(serde_json::Value::Object(document)).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::time::{TimeRange, Timestamp};
    use crate::transcript::{Segment, TranscriptSource};

    fn transcript() -> Transcript {
        let range = TimeRange::new(Timestamp::from_millis(1_234), Timestamp::from_millis(5_678));
        let segment = Segment { speaker: Some("A".into()), ..Segment::new(range, "one\u{202e}two") };
        Transcript::new(TranscriptSource::Api { model: "whisper-1".into() }, Some("en".into()), vec![segment])
    }

    #[test]
    fn a_transcript_reads_back_to_the_byte() {
        let text = render(&transcript()).unwrap();
        assert!(text.starts_with("{\n  \"schema_version\": 1,\n"), "{text}");
        let read = parse(&text).unwrap();
        assert_eq!(read.segments[0].text, "one\u{202e}two");
        assert_eq!(render(&read).unwrap(), text);
    }

    #[test]
    fn other_versions_and_unknown_keys_are_refused() {
        let text = render(&transcript()).unwrap();
        let newer = parse(&text.replacen("\"schema_version\": 1", "\"schema_version\": 2", 1)).unwrap_err();
        assert_eq!(newer.kind, ErrorKind::Unsupported);
        assert!(newer.to_string().contains("schema version 2, but version 1"), "{newer}");
        for broken in [
            text.replacen("\"language\"", "\"langauge\"", 1),
            text.replacen("  \"schema_version\": 1,\n", "", 1),
            "[]".to_owned(),
            text[..text.len() / 2].to_owned(),
        ] {
            assert_eq!(parse(&broken).unwrap_err().kind, ErrorKind::Malformed, "{broken}");
        }
    }
}
