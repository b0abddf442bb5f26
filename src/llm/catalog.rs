//! What is known of single models: `models.toml`, which `scripts/update-models` makes.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::cost::{Prices, TokenPrice};

static TABLE: LazyLock<HashMap<String, HashMap<String, CatalogEntry>>> =
    LazyLock::new(|| toml::from_str(include_str!("models.toml")).expect("a test reads it"));

/// A model whose end is nearer than this is warned of.
const NEAR_DAYS: i64 = 90;

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

    /// What to say of its end on the day `today` (days since 1970-01-01); None where it is far, or not announced.
    #[must_use]
    pub fn end_warning(&self, today: i64) -> Option<String> {
        let ends = self.ends.as_deref()?;
        let left = parse_day(ends)? - today;
        match left {
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

/// Days from 1970-01-01 to `YYYY-MM-DD` (proleptic Gregorian; Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn parse_day(text: &str) -> Option<i64> {
    let mut parts =
        text.splitn(3, '-').map(|part| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse::<i64>()));
    let mut next = || parts.next()??.ok();
    let (year, month, day) = (next()?, next()?, next()?);
    if text.len() != 10 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Money;

    #[test]
    fn days_are_counted_from_1970() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("2000-02-29", Some(11_016)),
            ("2026-11-24", Some(20_781)),
            ("2026-13-01", None),
            ("2026-1-1", None),
            ("+026-11-24", None),
            ("soon", None),
        ] {
            assert_eq!(parse_day(text), expected, "{text}");
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
    fn an_end_is_told_when_it_is_near_or_past() {
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
