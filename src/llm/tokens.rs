//! Estimates the tokens of a request before it is sent, by the formulas that providers publish.
//!
//! Providers round, change their formulas and scale images first: an error of a quarter is common.

use std::str::FromStr;
use std::sync::LazyLock;

use super::params::Detail;
use super::tool_spec::ToolSpec;
use crate::chat::{Message, Part};

static FAMILIES: LazyLock<Vec<(String, ImageTokens)>> = LazyLock::new(|| {
    let table: toml::Table = include_str!("image_tokens.toml").parse().expect("a test reads it");
    let read = |(prefix, formula): (String, toml::Value)| {
        let formula = formula.as_str().and_then(|text| text.parse().ok()).expect("a test reads it");
        (prefix.to_ascii_lowercase(), formula)
    };
    table.into_iter().map(read).collect()
});

/// Bytes per second of the audio that is sent: 16-bit, 16 kHz, mono.
const SOUND_BYTES_PER_SECOND: u64 = 32_000;
/// Gemini's tokens per second of audio; other providers publish no formula.
const SOUND_TOKENS_PER_SECOND: u64 = 32;
/// Tokens added to each message.
const MESSAGE_TOKENS: u64 = 4;
/// Tokens per image for unknown models: a frame of 768 by 432 pixels in cells of 28.
pub(super) const UNKNOWN_IMAGE_TOKENS: u64 = 448;

/// How a model family counts the tokens of an image. Sizes are in pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ImageTokens {
    /// `OpenAI` until gpt-5: fit into 2048 squared, the shorter side to 768, then tiles of 512; `detail: low` is `base`.
    Tiles {
        /// Tokens of any image.
        base: u64,
        /// Tokens of a tile.
        tile: u64,
    },
    /// Later `OpenAI` models: patches of 32, the image shrunk until there are at most `budget`; tokens are patches times
    /// `factor`.
    Patches {
        /// Tokens per patch.
        factor: f64,
        /// Maximum number of patches.
        budget: u64,
    },
    /// Cells of `side`, after the longer side is shrunk to `edge` (0: not shrunk): Anthropic, Qwen, Pixtral.
    Cells {
        /// A cell's side.
        side: u64,
        /// Maximum length of the image's longer side.
        edge: u64,
        /// Tokens in addition to the cells.
        extra: u64,
    },
    /// The same for every size, by `detail`: Gemini since 3.
    Tiers {
        /// `detail: low`.
        low: u64,
        /// `detail: medium`; vidgist does not send it.
        medium: u64,
        /// Any other detail.
        high: u64,
    },
    /// One tile up to 384 on both sides, else tiles of 768: Gemini until 2.5.
    Gemini {
        /// Tokens of a tile.
        tile: u64,
    },
    /// Cells of `side` plus one, each of `tile` tokens: Grok.
    Grid {
        /// A cell's side.
        side: u64,
        /// Tokens per cell.
        tile: u64,
    },
    /// Cells of `side`, at most `most`, each of `tile` tokens: Llama.
    Capped {
        /// A cell's side.
        side: u64,
        /// Tokens per cell.
        tile: u64,
        /// Maximum number of cells.
        most: u64,
    },
}

impl FromStr for ImageTokens {
    type Err = String;

    /// Parses a formula of `image_tokens.toml`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_ascii_whitespace();
        let kind = words.next().unwrap_or_default();
        let numbers: Option<Vec<f64>> = words.map(|word| word.parse().ok().filter(|n: &f64| *n >= 0.0)).collect();
        let whole = |number: f64| number as u64;
        match (kind, numbers.as_deref()) {
            ("tiles", Some(&[base, tile])) => Ok(Self::Tiles { base: whole(base), tile: whole(tile) }),
            ("patches", Some(&[factor, budget])) => Ok(Self::Patches { factor, budget: whole(budget).max(1) }),
            ("cells", Some(&[side, edge, extra])) => {
                Ok(Self::Cells { side: whole(side).max(1), edge: whole(edge), extra: whole(extra) })
            }
            ("tiers", Some(&[low, medium, high])) => {
                Ok(Self::Tiers { low: whole(low), medium: whole(medium), high: whole(high) })
            }
            ("gemini", Some(&[tile])) => Ok(Self::Gemini { tile: whole(tile) }),
            ("grid", Some(&[side, tile])) => Ok(Self::Grid { side: whole(side).max(1), tile: whole(tile) }),
            ("capped", Some(&[side, tile, most])) => {
                Ok(Self::Capped { side: whole(side).max(1), tile: whole(tile), most: whole(most) })
            }
            _ => Err(format!("{text:?} is not a formula")),
        }
    }
}

impl ImageTokens {
    /// The formula of a model, by the start of its name after the vendor; None if unknown.
    #[must_use]
    pub fn of_model(model: &str) -> Option<Self> {
        let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
        let fitting = FAMILIES.iter().filter(|(prefix, _)| name.starts_with(prefix.as_str()));
        fitting.max_by_key(|(prefix, _)| prefix.len()).map(|(_, formula)| *formula)
    }

    /// Tokens of an image of `width` by `height` pixels.
    #[must_use]
    pub fn tokens(self, width: u32, height: u32, detail: Option<Detail>) -> u64 {
        let (width, height) = (u64::from(width.max(1)), u64::from(height.max(1)));
        let cells = |side: u64| width.div_ceil(side) * height.div_ceil(side);
        match self {
            Self::Tiles { base, .. } if detail == Some(Detail::Low) => base,
            Self::Tiles { base, tile } => {
                let (width, height) = fit_tiles(width as f64, height as f64);
                base + tile * ((width / 512.0).ceil() * (height / 512.0).ceil()) as u64
            }
            Self::Patches { factor, budget } => {
                let budget = if detail == Some(Detail::Original) { 10_000.max(budget) } else { budget };
                (n_patches(width, height, budget) as f64 * factor).ceil() as u64
            }
            Self::Cells { side, edge, extra } => {
                let longest = width.max(height);
                let shrink =
                    |length: u64| if edge > 0 && longest > edge { (length * edge / longest).max(1) } else { length };
                shrink(width).div_ceil(side) * shrink(height).div_ceil(side) + extra
            }
            Self::Tiers { low, .. } if detail == Some(Detail::Low) => low,
            Self::Tiers { high, .. } => high,
            Self::Gemini { tile } if width <= 384 && height <= 384 => tile,
            Self::Gemini { tile } => tile * cells(768),
            Self::Grid { side, tile } => (cells(side) + 1) * tile,
            Self::Capped { side, tile, most } => cells(side).min(most) * tile,
        }
    }

    /// The minimum for an image, whatever the server does with `detail` and size.
    fn least(self, width: u32, height: u32) -> u64 {
        match self {
            Self::Tiles { base, .. } => base,
            Self::Tiers { low, .. } => low / 4,
            Self::Gemini { tile } | Self::Grid { tile, .. } | Self::Capped { tile, .. } => tile,
            // The factor applies to the price, not to the context.
            Self::Patches { .. } => self.tokens(width, height, None) / 2,
            Self::Cells { .. } => self.tokens(width, height, None),
        }
    }
}

fn fit_tiles(width: f64, height: f64) -> (f64, f64) {
    let into = (2048.0 / width.max(height)).min(1.0);
    let (width, height) = (width * into, height * into);
    let shorter = (768.0 / width.min(height)).min(1.0);
    // A side scaled exactly to a tile border must not exceed it by a rounding error.
    ((width * shorter).round(), (height * shorter).round())
}

/// Patches of 32 pixels after shrinking to `budget` (`OpenAI`, "Images and vision", calculating costs).
fn n_patches(width: u64, height: u64, budget: u64) -> u64 {
    let n = width.div_ceil(32) * height.div_ceil(32);
    if n <= budget {
        return n;
    }
    let (width, height) = (width as f64, height as f64);
    let ratio = (budget as f64 * 1024.0 / (width * height)).sqrt();
    let whole = |length: f64| (length * ratio / 32.0).floor() / (length * ratio / 32.0);
    let ratio = ratio * whole(width).min(whole(height));
    let patches = |length: f64| (length * ratio / 32.0 - 1e-9).ceil().max(1.0) as u64;
    (patches(width) * patches(height)).min(budget)
}

/// Estimated tokens of a text: one per four ASCII characters, one per other character.
#[must_use]
pub fn text_tokens(text: &str) -> u64 {
    let (ascii, other) = count(text);
    ascii.div_ceil(4) + other
}

fn count(text: &str) -> (u64, u64) {
    let n_ascii = text.bytes().filter(u8::is_ascii).count() as u64;
    (n_ascii, text.chars().count() as u64 - n_ascii)
}

/// The estimated tokens of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PromptTokens {
    /// The expected number.
    pub likely: u64,
    /// The minimum if the server truncates nothing.
    pub least: u64,
}

impl PromptTokens {
    fn add_text(&mut self, text: &str) {
        let (ascii, other) = count(text);
        self.likely += text_tokens(text);
        // Long words and runs of blanks take few tokens.
        self.least += ascii / 8 + other / 4;
    }

    /// The sum of two parts of a request.
    pub(super) fn plus(self, other: Self) -> Self {
        Self { likely: self.likely.saturating_add(other.likely), least: self.least.saturating_add(other.least) }
    }
}

/// Estimates the tools of a request. Servers add instructions of their own, which are not counted.
#[must_use]
pub fn tool_tokens(tools: &[ToolSpec]) -> PromptTokens {
    let mut sum = PromptTokens::default();
    for tool in tools {
        sum.likely += MESSAGE_TOKENS;
        for text in [&tool.name, &tool.description, &tool.parameters.to_string()] {
            sum.add_text(text);
        }
    }
    sum
}

/// Estimates the messages of a request to `model`.
#[must_use]
pub fn prompt_tokens(model: &str, messages: &[Message], detail: Option<Detail>) -> PromptTokens {
    let formula = ImageTokens::of_model(model);
    let mut sum = PromptTokens::default();
    for message in messages {
        sum.likely += MESSAGE_TOKENS;
        for part in &message.parts {
            match part {
                Part::Text(text) => sum.add_text(text),
                Part::ToolCall(call) => {
                    sum.likely += MESSAGE_TOKENS;
                    sum.add_text(&call.name);
                    sum.add_text(&call.arguments.to_string());
                }
                Part::ToolResult { text, .. } => {
                    sum.likely += MESSAGE_TOKENS;
                    sum.add_text(text);
                }
                Part::Image(image) => {
                    let (width, height) = (image.width, image.height);
                    sum.likely += formula.map_or(UNKNOWN_IMAGE_TOKENS, |f| f.tokens(width, height, detail));
                    sum.least += formula.map_or(0, |f| f.least(width, height));
                }
                Part::Audio(wav) => sum.likely += wav.len() as u64 / SOUND_BYTES_PER_SECOND * SOUND_TOKENS_PER_SECOND,
                // Its size is unknown here.
                Part::ImageUrl(_) => sum.likely += UNKNOWN_IMAGE_TOKENS,
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn published_examples() {
        const LOW: Option<Detail> = Some(Detail::Low);
        #[rustfmt::skip]
        let table = [
            // OpenAI, "Images and vision": tiles.
            ("gpt-4o", (1024, 1024), None, 765),
            ("gpt-4o", (2048, 4096), None, 1105),
            ("gpt-4o", (4096, 8192), LOW, 85),
            ("gpt-4o", (512, 512), None, 255),
            ("gpt-4o-mini", (1024, 1024), None, 2833 + 4 * 5667),
            ("gpt-4o-mini-2024-07-18", (512, 512), LOW, 2833),
            ("o1", (1024, 1024), None, 75 + 4 * 150),
            // The same page: patches, 1024 and 1452 of them.
            ("gpt-4.1-mini", (1024, 1024), None, 1659),
            ("gpt-4.1-mini", (1800, 2400), None, 2353),
            ("gpt-4.1-nano", (1024, 1024), None, 2520),
            ("o4-mini", (1024, 1024), None, 1762),
            // Frames as they are sent.
            ("openai/gpt-4.1-mini", (768, 432), None, 545),
            // Anthropic, "Vision": cells of 28 pixels.
            ("claude-haiku-4-5", (200, 200), None, 64),
            ("claude-haiku-4-5", (1000, 1000), None, 1296),
            ("claude-haiku-4-5", (1092, 1092), None, 1521),
            ("claude-haiku-4-5", (3136, 1568), None, 56 * 28),
            ("claude-opus-4-7", (2576, 1288), None, 92 * 46),
            // Gemini.
            ("gemini-2.5-flash", (384, 384), None, 258),
            ("gemini-2.5-flash", (1536, 768), None, 516),
            ("gemini-3.5-flash", (768, 432), None, 1120),
            ("gemini-3.5-flash", (768, 432), LOW, 280),
            // Qwen.
            ("qwen3-vl:8b", (768, 432), None, 24 * 14 + 2),
            ("qwen2.5vl", (768, 432), None, 28 * 16 + 2),
            ("Qwen/Qwen2.5-VL-7B-Instruct", (56, 28), None, 4),
            ("grok-4.5", (448, 448), None, 512),
            ("meta-llama/Llama-3.2-11B-Vision-Instruct", (1120, 1120), None, 6404),
        ];
        for (model, (width, height), detail, expected) in table {
            let formula = ImageTokens::of_model(model).unwrap_or_else(|| panic!("{model}"));
            assert_eq!(formula.tokens(width, height, detail), expected, "{model} {width}x{height} {detail:?}");
        }
        assert_eq!(n_patches(1800, 2400, 1536), 1452);
        assert_eq!(ImageTokens::of_model("moondream"), None);
    }

    #[test]
    fn invalid_formulas_are_refused() {
        for text in ["", "tiles", "tiles 1", "tiles 1 2 3", "cells a b c", "patches -1 2", "squares 1 2"] {
            assert!(text.parse::<ImageTokens>().is_err(), "{text}");
        }
    }

    #[test]
    fn text_is_estimated_by_its_characters() {
        assert_eq!(text_tokens(""), 0);
        assert_eq!(text_tokens("four"), 1);
        assert_eq!(text_tokens("A sentence."), 3);
        assert_eq!(text_tokens("動画"), 2);
    }

    #[test]
    fn tools_calls_and_results_are_counted() {
        use crate::chat::{Role, ToolCall};
        let (name, json) = ("frames".to_owned(), serde_json::json!({"text": "x".repeat(400)}));
        let tool = ToolSpec { name, description: "d".repeat(400), parameters: json.clone() };
        let tokens = tool_tokens(&[tool.clone(), tool]);
        assert!((400..440).contains(&tokens.likely) && (190..tokens.likely).contains(&tokens.least), "{tokens:?}");
        let call = Part::ToolCall(ToolCall::new("a", "frames", json));
        let result = Part::ToolResult { call_id: "a".into(), text: "x".repeat(400) };
        let messages =
            [(Role::Assistant, call), (Role::User, result)].map(|(role, part)| Message { role, parts: vec![part] });
        let tokens = prompt_tokens("m", &messages, None);
        assert!((200..240).contains(&tokens.likely) && (98..tokens.likely).contains(&tokens.least), "{tokens:?}");
    }

    proptest! {
        #[test]
        fn patches_keep_their_budget(width in 1_u64..20_000, height in 1_u64..20_000, budget in 1_u64..10_000) {
            let n = n_patches(width, height, budget);
            prop_assert!((1..=budget).contains(&n), "{}", n);
        }

        #[test]
        fn the_least_is_never_more_than_the_likely(
            model in prop::sample::select(vec!["gpt-4o", "gpt-5-mini", "claude-x", "gemini-3", "gemini-2.5", "grok", "qwen3", "pixtral"]),
            width in 1_u32..8000, height in 1_u32..8000,
        ) {
            let formula = ImageTokens::of_model(model).expect("a family");
            prop_assert!(formula.least(width, height) <= formula.tokens(width, height, None));
        }
    }
}
