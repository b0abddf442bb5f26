//! Money, exactly: whole trillionths of a US dollar, since a token costs millionths of a dollar and less.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Trillionths in a dollar.
const PICO: u64 = 1_000_000_000_000;

/// An amount of US dollars in whole trillionths; up to 18 million dollars, where it saturates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "f64", extend("minimum" = 0)))]
pub struct Money {
    picos: u64,
}

impl Money {
    /// Zero.
    pub const ZERO: Self = Self { picos: 0 };

    /// An amount in trillionths of a dollar.
    #[must_use]
    pub const fn from_picos(picos: u64) -> Self {
        Self { picos }
    }

    /// The amount in trillionths of a dollar.
    #[must_use]
    pub const fn picos(self) -> u64 {
        self.picos
    }

    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { picos: self.picos.saturating_add(other.picos) }
    }

    /// `n` times the amount.
    #[must_use]
    pub const fn times(self, n: u64) -> Self {
        Self { picos: self.picos.saturating_mul(n) }
    }

    /// Half the amount, rounded up.
    #[must_use]
    pub const fn half(self) -> Self {
        Self { picos: self.picos.div_ceil(2) }
    }

    /// The amount in dollars, as a decimal number, exactly: `0.00015`.
    #[must_use]
    pub fn dollars(self) -> String {
        let part = format!("{:012}", self.picos % PICO);
        let part = part.trim_end_matches('0');
        if part.is_empty() { (self.picos / PICO).to_string() } else { format!("{}.{part}", self.picos / PICO) }
    }

    /// Reads dollars as a decimal number, exactly: `0.05`; None if it is not a number, or has more than 12 decimals.
    #[must_use]
    pub fn parse_dollars(text: &str) -> Option<Self> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_number(whole) || !is_number(part) || part.len() > 12 || text.ends_with('.') {
            return None;
        }
        let whole = whole.parse::<u64>().ok()?.checked_mul(PICO)?;
        let part = format!("{part:0<12}").parse::<u64>().ok()?;
        Some(Self { picos: whole.checked_add(part)? })
    }
}

/// `$0.0123`: at least two decimals, at most four significant digits, rounded up.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n_digits = self.picos.checked_ilog10().unwrap_or(0);
        // From one cent up, hundredths of a cent are shown; below, four significant digits.
        let step = if self.picos >= PICO / 100 { PICO / 10_000 } else { 10_u64.pow(n_digits.saturating_sub(3)) };
        let shown = self.picos.div_ceil(step).saturating_mul(step);
        let part = format!("{:012}", shown % PICO);
        let part = part.trim_end_matches('0');
        write!(f, "${}.{part:0<2}", shown / PICO)
    }
}

/// Dollars as a number; the nearest that a JSON reader's float can hold.
impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.picos as f64 / PICO as f64)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        // A cast from a float saturates, and turns NaN into 0.
        Ok(Self { picos: (dollars * PICO as f64).round() as u64 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dollars(text: &str) -> Money {
        Money::parse_dollars(text).expect(text)
    }

    #[test]
    fn dollars_are_read_exactly_and_shown_shortly() {
        assert_eq!(dollars("2.5").picos(), 2_500_000_000_000);
        assert_eq!(dollars("0.000000000001").picos(), 1);
        for text in ["", ".5", "1.", "-1", "1e3", "$1", "0.0000000000001", "99999999999"] {
            assert_eq!(Money::parse_dollars(text), None, "{text}");
        }
        for (money, shown) in [
            ("0", "$0.00"),
            ("0.05", "$0.05"),
            ("1.5", "$1.50"),
            ("12", "$12.00"),
            ("0.0123456", "$0.0124"),
            ("0.000123456", "$0.0001235"),
            ("0.00000001", "$0.00000001"),
            ("3.99999", "$4.00"),
        ] {
            assert_eq!(dollars(money).to_string(), shown, "{money}");
        }
    }

    proptest! {
        #[test]
        fn sums_do_not_depend_on_their_order(amounts in prop::collection::vec(0..u64::from(u32::MAX), 0..50)) {
            let sum = |amounts: &mut dyn Iterator<Item = &u64>| {
                amounts.fold(Money::ZERO, |sum, picos| sum.plus(Money::from_picos(*picos)))
            };
            prop_assert_eq!(sum(&mut amounts.iter()), sum(&mut amounts.iter().rev()));
            prop_assert_eq!(sum(&mut amounts.iter()).picos(), amounts.iter().sum::<u64>());
        }

        #[test]
        fn what_is_shown_is_never_less(picos in 0..u64::MAX / 4) {
            let shown = Money::from_picos(picos).to_string();
            prop_assert!(dollars(&shown[1..]) >= Money::from_picos(picos), "{}", shown);
        }
    }
}
