//! How far a frame may be from its sample point.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{TimeBase, Timestamp};
use crate::error::Error;

/// How far a frame may be from its sample point: a share of the sampling interval, or a time.
///
/// ```
/// use vidgist::time::{Timestamp, Tolerance};
///
/// let half: Tolerance = "50%".parse()?;
/// assert_eq!(half.within(Timestamp::from_millis(5000)), Timestamp::from_millis(2500));
/// assert_eq!("300ms".parse::<Tolerance>()?.to_string(), "0.3s");
/// # Ok::<(), vidgist::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(into = "String", try_from = "String")]
pub enum Tolerance {
    /// A share of the sampling interval, in hundredths of a percent: 5000 is 50 %.
    Share(u32),
    /// A time.
    Time(Timestamp),
}

impl Tolerance {
    /// The frame that is displayed at the sample point, and no other.
    pub const EXACT: Self = Self::Time(Timestamp::ZERO);
    /// Half of the interval.
    pub const HALF: Self = Self::Share(5000);

    /// Whether the frame that is displayed at the sample point is the only one.
    #[must_use]
    pub fn is_exact(self) -> bool {
        match self {
            Self::Share(share) => share == 0,
            Self::Time(time) => time <= Timestamp::ZERO,
        }
    }

    /// The distance that is allowed where sample points are `interval` apart: never more than `interval`.
    #[must_use]
    pub fn within(self, interval: Timestamp) -> Timestamp {
        match self {
            Self::Share(share) => {
                let nanos = i128::from(interval.floor_to(TimeBase::NANOS)) * i128::from(share.min(10_000)) / 10_000;
                Timestamp::from_nanos(nanos as i64)
            }
            Self::Time(time) => time.min(interval),
        }
    }
}

/// `50%`, `12.5%` or `0.3s`.
impl fmt::Display for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(share) => {
                let digits = format!("{}.{:02}", share / 100, share % 100);
                write!(f, "{}%", digits.trim_end_matches('0').trim_end_matches('.'))
            }
            Self::Time(time) => f.write_str(&time.exact_text()),
        }
    }
}

impl From<Tolerance> for String {
    fn from(tolerance: Tolerance) -> Self {
        tolerance.to_string()
    }
}

/// Reads `50%`, `12.5%`, or a time as [`Timestamp`] reads it.
impl FromStr for Tolerance {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let found = match text.strip_suffix('%') {
            Some(percent) => hundredths(percent.trim_end()).map(Self::Share),
            None => text.parse().ok().map(Self::Time),
        };
        found.ok_or_else(|| Error::usage(text, "is not a tolerance", "write it as 50%, 2s or 500ms"))
    }
}

impl TryFrom<String> for Tolerance {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

/// `12.5` as 1250; None where it is not a number with at most two decimals, or too large.
fn hundredths(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > 2 {
        return None;
    }
    whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(format!("{fraction:0<2}").parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for (text, expected) in [
            ("50%", Tolerance::Share(5000)),
            ("12.5%", Tolerance::Share(1250)),
            ("0.01%", Tolerance::Share(1)),
            ("300%", Tolerance::Share(30_000)),
            ("0%", Tolerance::Share(0)),
            ("0s", Tolerance::EXACT),
            ("2.5s", Tolerance::Time(Timestamp::from_millis(2500))),
        ] {
            assert_eq!(text.parse::<Tolerance>().expect(text), expected);
            assert_eq!(expected.to_string(), text);
        }
        assert_eq!(" 50 % ".parse::<Tolerance>().expect("a share"), Tolerance::HALF);
        assert_eq!("0".parse::<Tolerance>().expect("a time"), Tolerance::EXACT);
        for bad in ["", "%", "-5%", "50%%", "1e2%", "half", "-1s", "0.001%", "99999999%", ".5%", "5.%"] {
            assert!(bad.parse::<Tolerance>().is_err(), "{bad}");
        }
    }

    #[test]
    fn is_never_more_than_the_interval() {
        let second = Timestamp::from_millis(1000);
        for (text, millis) in [("50%", 500), ("12.5%", 125), ("100%", 1000), ("300%", 1000), ("0", 0), ("2s", 1000)] {
            let tolerance: Tolerance = text.parse().expect(text);
            assert_eq!(tolerance.within(second), Timestamp::from_millis(millis), "{text}");
            assert_eq!(tolerance.is_exact(), millis == 0);
        }
    }
}
