//! Prices of tokens.

use serde::{Deserialize, Deserializer};

use crate::chat::Usage;
use crate::money::Money;

/// The price of one token, written as US dollars per million tokens: `"0.15"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenPrice(pub Money);

impl<'de> Deserialize<'de> for TokenPrice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let dollars = Money::parse_dollars(&text).filter(|money| money.picos() % 1_000_000 == 0);
        let dollars = dollars.ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a price")))?;
        Ok(Self(Money::from_picos(dollars.picos() / 1_000_000)))
    }
}

/// A model's prices. None means unknown, not free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// Per token of the request.
    pub input: Option<TokenPrice>,
    /// Per token of the request that the provider had cached; None uses the full price, which is never lower.
    pub cached: Option<TokenPrice>,
    /// Per token of the answer.
    pub output: Option<TokenPrice>,
}

impl Prices {
    /// The cost of `usage`; None if a price or a count is unknown.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> Option<Money> {
        let (input, output) = (self.input?, self.output?);
        let prompt = usage.prompt_tokens?;
        let cached = usage.cached_tokens.unwrap_or(0).min(prompt);
        let fresh = input.0.times(prompt - cached);
        let from_cache = self.cached.unwrap_or(input).0.times(cached);
        Some(fresh.plus(from_cache).plus(output.0.times(usage.completion_tokens?)))
    }

    /// The cost of this many tokens of a request; None if the price is unknown.
    #[must_use]
    pub fn of_prompt(&self, n_tokens: u64) -> Option<Money> {
        Some(self.input?.0.times(n_tokens))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dollars(text: &str) -> Money {
        Money::parse_dollars(text).expect(text)
    }

    fn prices(input: &str, cached: Option<&str>, output: &str) -> Prices {
        let price = |text: &str| TokenPrice(Money::from_picos(dollars(text).picos() / 1_000_000));
        Prices { input: Some(price(input)), cached: cached.map(price), output: Some(price(output)) }
    }

    #[test]
    fn a_bill_by_hand() {
        // gpt-4o: 2.5, 1.25 and 10 dollars a million. 900 * 2.5 + 100 * 1.25 + 50 * 10 = 2,875 millionths.
        let usage = |prompt, cached, completion| Usage {
            prompt_tokens: prompt,
            cached_tokens: cached,
            completion_tokens: completion,
            reasoning_tokens: Some(7),
        };
        let full = usage(Some(1000), Some(100), Some(50));
        assert_eq!(prices("2.5", Some("1.25"), "10").cost(&full), Some(dollars("0.002875")));
        assert_eq!(prices("2.5", None, "10").cost(&full), Some(dollars("0.003")), "cached as any other");
        let known = prices("2.5", None, "10");
        assert_eq!(known.cost(&usage(None, None, Some(50))), None);
        assert_eq!(known.cost(&usage(Some(1000), None, None)), None);
        assert_eq!(Prices { output: None, ..known }.cost(&full), None, "unknown is not free");
        assert_eq!(Prices::default().of_prompt(10), None);
        assert_eq!(
            known.cost(&usage(Some(10), Some(99), Some(0))),
            Some(dollars("0.000025")),
            "a server that miscounts"
        );
    }
}
