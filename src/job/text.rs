//! Exact times and rates as text: `5s`, `0.04s`, `30000/1001`.

use serde::{Deserialize, Deserializer, Serializer};

use crate::media::Ratio;
use crate::time::{TimeBase, Timestamp};

/// Whether a value need not be written.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// `2` or `30000/1001`.
pub(super) fn ratio_text(ratio: Ratio) -> String {
    if ratio.den == 1 { ratio.num.to_string() } else { format!("{}/{}", ratio.num, ratio.den) }
}

/// Reads `2`, `0.5`, `29.97` or `30000/1001` exactly; None where it is not a rate above 0.
#[must_use]
pub fn parse_ratio(text: &str) -> Option<Ratio> {
    let (num, den) = if let Some((num, den)) = text.split_once('/') {
        (num.parse().ok()?, den.parse().ok()?)
    } else {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > 6 || !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return None;
        }
        (format!("{whole}{fraction}").parse().ok()?, 10u32.checked_pow(fraction.len() as u32)?)
    };
    TimeBase::new(num, den).map(|base| Ratio { num: base.num(), den: base.den() })
}

macro_rules! as_text {
    ($module:ident, $value:ty, $to_text:expr, $parse:expr) => {
        pub(super) mod $module {
            use super::*;

            #[expect(clippy::ref_option, reason = "serde's signature")]
            pub fn serialize<S: Serializer>(value: &Option<$value>, serializer: S) -> Result<S::Ok, S::Error> {
                match value {
                    Some(value) => serializer.serialize_str(&$to_text(*value)),
                    None => serializer.serialize_none(),
                }
            }

            pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<$value>, D::Error> {
                let Some(text) = Option::<String>::deserialize(deserializer)? else { return Ok(None) };
                $parse(&text).map(Some).map_err(serde::de::Error::custom)
            }
        }
    };
}

as_text!(time, Timestamp, Timestamp::exact_text, |text: &str| text.parse::<Timestamp>());
as_text!(ratio, Ratio, ratio_text, |text: &str| parse_ratio(text)
    .ok_or_else(|| format!("{text} is not a rate above 0; write it as 2, 0.5 or 30000/1001")));

/// Lists of times.
pub(super) mod times {
    use serde::ser::SerializeSeq as _;

    use super::{Deserialize as _, Deserializer, Serializer, Timestamp};

    pub fn serialize<S: Serializer>(value: &[Timestamp], serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(value.len()))?;
        for time in value {
            list.serialize_element(&time.exact_text())?;
        }
        list.end()
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Timestamp>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_exact() {
        for (text, num, den) in
            [("2", 2, 1), ("0.5", 1, 2), ("29.97", 2997, 100), ("30000/1001", 30_000, 1001), (".25", 1, 4)]
        {
            assert_eq!(parse_ratio(text), Some(Ratio { num, den }), "{text}");
            assert_eq!(parse_ratio(&ratio_text(Ratio { num, den })), Some(Ratio { num, den }), "{text}");
        }
        for bad in ["", "0", "0/1", "1/0", "-1", "1e3", "x", "1.2.3", "1/2/3"] {
            assert_eq!(parse_ratio(bad), None, "{bad}");
        }
    }

    #[test]
    fn times_are_exact() {
        for (text, expected) in
            [("5s", "5s"), ("40ms", "0.04s"), ("1:04.5", "64.5s"), ("1h", "3600s"), ("1us", "0.000001s")]
        {
            let time: Timestamp = text.parse().expect(text);
            assert_eq!(time.exact_text(), expected);
            assert_eq!(time.exact_text().parse::<Timestamp>().expect(expected), time);
        }
    }
}
