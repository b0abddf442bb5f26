//! What an entry is found by.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::content::ContentId;

/// The version of the format of entries. It is part of their names, so that versions of vidgist with other formats use one
/// folder side by side.
pub(super) const FORMAT_VERSION: u32 = 1;

/// Everything that decides the result of a stage. It names no file and holds no key of a server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryKey {
    /// The stage: `transcript`.
    pub stage: String,
    /// The version of the stage: increased when it gives other results for the same content and options.
    pub stage_version: u32,
    /// The content of the input.
    pub content: ContentId,
    /// The options that decide the result, by name.
    pub options: BTreeMap<String, Value>,
    /// The decoder or the model; None if the stage has none.
    pub producer: Option<String>,
    /// The version of the prompt; None if no prompt is sent.
    pub prompt_version: Option<u32>,
}

impl EntryKey {
    /// The name of the entry: the BLAKE3 of the format and the key as JSON, whose fields and options have a fixed order.
    pub(super) fn id(&self) -> String {
        self.id_in_format(FORMAT_VERSION)
    }

    fn id_in_format(&self, version: u32) -> String {
        // Maps with text keys and plain values are always written.
        blake3::hash(&serde_json::to_vec(&(version, self)).unwrap_or_default()).to_hex().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_key_decides_and_the_order_of_options_does_not() {
        let key = EntryKey {
            stage: "transcript".into(),
            stage_version: 1,
            content: ContentId::of(b"a"),
            options: [("language".to_owned(), "en".into()), ("words".to_owned(), true.into())].into(),
            producer: Some("base".into()),
            prompt_version: None,
        };
        let mut reversed = key.clone();
        reversed.options = key.options.iter().rev().map(|(name, value)| (name.clone(), value.clone())).collect();
        assert_eq!(reversed.id(), key.id());
        let changed = [
            EntryKey { stage: "frames".into(), ..key.clone() },
            EntryKey { stage_version: 2, ..key.clone() },
            EntryKey { content: ContentId::of(b"b"), ..key.clone() },
            EntryKey { options: BTreeMap::new(), ..key.clone() },
            EntryKey { producer: None, ..key.clone() },
            EntryKey { prompt_version: Some(1), ..key.clone() },
        ];
        let ids: std::collections::HashSet<String> = changed.iter().chain([&key]).map(EntryKey::id).collect();
        assert_eq!(ids.len(), changed.len() + 1);
        assert!(!ids.contains(&key.id_in_format(FORMAT_VERSION + 1)));
        // Another ID for the same key makes all stored results useless: increase `FORMAT_VERSION` only for a new format.
        assert_eq!(key.id(), "bc10ea25fa0305db3ac2562bb5790ef0e970a8011ba0f45b9a25ac743c7f51b0");
    }
}
