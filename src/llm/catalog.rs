//! What is known of single models: `models.toml`, which `scripts/update-models` makes.

use std::collections::HashMap;
use std::sync::LazyLock;

use jiff::civil::Date;
use serde::Deserialize;

use super::cost::{Prices, TokenPrice};

static TABLE: LazyLock<HashMap<String, HashMap<String, CatalogEntry>>> =
    LazyLock::new(|| toml::from_str(include_str!("models.toml")).expect("a test reads it"));

/// A model whose end is nearer than this is warned of.
const NEAR_DAYS: i32 = 90;

/// What is known of a model; None is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is one cell of a table")]
pub struct CatalogEntry {
    /// Most tokens of a request.
    pub context: Option<u64>,
    /// Most tokens of an answer.
    pub output: Option<u64>,
    /// Price of a token of the request.
    pub input_usd: Option<TokenPrice>,
    /// The same where the provider had it in its cache.
    pub cached_usd: Option<TokenPrice>,
    /// Price of a token of the answer.
    pub output_usd: Option<TokenPrice>,
    /// Whether it takes pictures.
    #[serde(default)]
    pub vision: bool,
    /// Whether it takes sound.
    #[serde(default)]
    pub audio: bool,
    /// Whether it reasons before it answers.
    #[serde(default)]
    pub reasoning: bool,
    /// Whether it can be held to a JSON schema.
    #[serde(default)]
    pub json_schema: bool,
    /// Whether it takes temperature and `top_p`.
    #[serde(default = "yes")]
    pub sampling: bool,
    /// The day on which the provider switches it off, `YYYY-MM-DD`.
    pub ends: Option<String>,
}

fn yes() -> bool {
    true
}

impl CatalogEntry {
    /// What is known of a provider's model; None where nothing is. A dated name (`gpt-4o-2024-11-20`) that has no row
    /// of its own is that of the plain one.
    #[must_use]
    pub fn of(provider: &str, model: &str) -> Option<&'static Self> {
        let table = TABLE.get(provider)?;
        table.get(model).or_else(|| table.get(without_date(model)?))
    }

    /// Whether anything is known of the provider's models.
    #[must_use]
    pub fn knows(provider: &str) -> bool {
        TABLE.contains_key(provider)
    }

    /// What its tokens cost.
    #[must_use]
    pub fn prices(&self) -> Prices {
        Prices { input: self.input_usd, cached: self.cached_usd, output: self.output_usd }
    }

    /// A warning about its announced end, on the day `today`; None if the end is far away or not announced.
    #[must_use]
    pub fn end_warning(&self, today: Date) -> Option<String> {
        let ends = self.ends.as_deref()?;
        match today.until(parse_day(ends)?).ok()?.get_days() {
            ..=0 => Some(format!("was to be switched off on {ends}")),
            1..=NEAR_DAYS => Some(format!("will be switched off on {ends}")),
            _ => None,
        }
    }
}

/// `gpt-4o` of `gpt-4o-2024-11-20`, `claude-opus-4-5` of `claude-opus-4-5-20251101`.
fn without_date(model: &str) -> Option<&str> {
    let is_day = |text: &str| parse_day(text).is_some();
    let is_number = |text: &str| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
    let split = |len: usize| {
        let (plain, end) = model.split_at_checked(model.len().checked_sub(len + 1)?)?;
        Some((plain, end.strip_prefix('-')?))
    };
    let dated = split(10).filter(|(_, end)| is_day(end)).or_else(|| split(8).filter(|(_, end)| is_number(end)));
    dated.map(|(plain, _)| plain)
}

/// The day of `YYYY-MM-DD`, and of no other format.
fn parse_day(text: &str) -> Option<Date> {
    text.parse().ok().filter(|_| text.len() == 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Money;

    #[test]
    fn only_whole_dates_are_days() {
        for text in ["1970-01-01", "2000-02-29", "2026-11-24"] {
            assert_eq!(parse_day(text).map(|day| day.to_string()).as_deref(), Some(text));
        }
        for text in ["2026-13-01", "2026-02-30", "2026-1-1", "+026-11-24", "soon", "2026-11-24T00:00:00Z"] {
            assert_eq!(parse_day(text), None, "{text}");
        }
    }

    #[test]
    fn a_model_is_found_under_its_plain_and_its_dated_name() {
        let mini = CatalogEntry::of("openai", "gpt-4o-mini").expect("it must work until its end");
        assert_eq!(mini.input_usd, Some(TokenPrice(Money::from_picos(150_000))), "0.15 dollars a million");
        assert_eq!((mini.context, mini.vision, mini.sampling), (Some(128_000), true, true));
        assert_eq!(CatalogEntry::of("openai", "gpt-4o-mini-2024-07-18"), Some(mini));
        assert_eq!(
            CatalogEntry::of("anthropic", "claude-haiku-4-5-20251001"),
            CatalogEntry::of("anthropic", "claude-haiku-4-5")
        );
        assert!(CatalogEntry::of("anthropic", "claude-haiku-4-5").is_some());
        for (provider, model) in
            [("openai", "gpt-99"), ("generic", "gpt-4o"), ("openai", "-2024-07-18"), ("openai", "é-2024-07-18")]
        {
            assert_eq!(CatalogEntry::of(provider, model), None, "{provider} {model}");
        }
    }

    #[test]
    fn an_end_of_life_that_is_near_or_past_gives_a_warning() {
        let ends = |day: &str| CatalogEntry { ends: Some(day.to_owned()), ..CatalogEntry::default() };
        let today = parse_day("2026-11-24").expect("a day");
        assert_eq!(ends("2027-03-01").end_warning(today), None);
        assert_eq!(ends("2027-01-14").end_warning(today).as_deref(), Some("will be switched off on 2027-01-14"));
        assert_eq!(ends("2026-11-24").end_warning(today).as_deref(), Some("was to be switched off on 2026-11-24"));
        assert_eq!(CatalogEntry::default().end_warning(today), None);
    }

    #[test]
    fn the_default_models_see_and_have_no_near_end() {
        let today = parse_day("2026-11-24").expect("a day");
        for provider in super::super::provider::Providers::default().iter() {
            let Some(model) = &provider.default_model else { continue };
            let facts = CatalogEntry::of(&provider.name, model).unwrap_or_else(|| panic!("{}: {model}", provider.name));
            assert!(facts.vision && facts.end_warning(today).is_none(), "{model}: {facts:?}");
        }
    }
}
