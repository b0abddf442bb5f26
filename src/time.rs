//! Exact time: integer ticks of a rational time base, seconds only at the edges.

mod bounds;
mod from_seconds;
mod tolerance;

pub use bounds::TimeBounds;
pub use tolerance::Tolerance;

use std::cmp::Ordering;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Length of one tick in seconds, as the fraction `num / den`; both are at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "String", extend("pattern" = "^[1-9][0-9]*/[1-9][0-9]*$")))]
pub struct TimeBase {
    num: u32,
    den: u32,
}

impl TimeBase {
    /// One nanosecond.
    pub const NANOS: Self = Self { num: 1, den: 1_000_000_000 };
    /// One millisecond.
    pub const MILLIS: Self = Self { num: 1, den: 1000 };
    /// One second.
    pub const SECONDS: Self = Self { num: 1, den: 1 };

    /// A time base of `num / den` seconds, reduced; None if either is 0.
    #[must_use]
    pub const fn new(num: u32, den: u32) -> Option<Self> {
        if num == 0 || den == 0 {
            return None;
        }
        let divisor = gcd(num as u128, den as u128) as u32;
        Some(Self { num: num / divisor, den: den / divisor })
    }

    /// The time base of a sample clock: one tick is one sample; None if `rate_hz` is 0.
    #[must_use]
    pub fn of_rate(rate_hz: u32) -> Option<Self> {
        Self::new(1, rate_hz)
    }

    /// Numerator, in seconds.
    #[must_use]
    pub fn num(self) -> u32 {
        self.num
    }

    /// Denominator.
    #[must_use]
    pub fn den(self) -> u32 {
        self.den
    }
}

impl fmt::Display for TimeBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.num, self.den)
    }
}

/// Written as text: `1/90000`.
impl Serialize for TimeBase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeBase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let base = text.split_once('/').and_then(|(num, den)| Self::new(num.parse().ok()?, den.parse().ok()?));
        base.ok_or_else(|| D::Error::custom(format!("{text:?} is not a time base such as 1/90000")))
    }
}

/// A point in time, or a length of time: `ticks * base` seconds, exactly.
///
/// Comparison is by value: 1 tick of 1/2 equals 2 ticks of 1/4. Negative times are before the clock's zero.
///
/// ```
/// use vidgist::time::Timestamp;
/// let t: Timestamp = "1:04.5".parse()?;
/// assert_eq!(t, "64500ms".parse()?);
/// assert_eq!(t.to_string(), "00:01:04.500");
/// # Ok::<(), vidgist::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "f64"))]
pub struct Timestamp {
    ticks: i64,
    base: TimeBase,
}

impl Timestamp {
    /// The clock's zero.
    pub const ZERO: Self = Self { ticks: 0, base: TimeBase::SECONDS };

    /// `ticks` of `base`.
    #[must_use]
    pub fn new(ticks: i64, base: TimeBase) -> Self {
        Self { ticks, base }
    }

    /// A time of whole nanoseconds, held in the coarsest base that is exact (so that sums with a container's own
    /// base stay exact).
    #[must_use]
    pub fn from_nanos(nanos: i64) -> Self {
        let shared = gcd(u128::from(nanos.unsigned_abs()), 1_000_000_000);
        let base = TimeBase { num: 1, den: (1_000_000_000 / shared) as u32 };
        Self { ticks: nanos / shared as i64, base }
    }

    /// A time of whole milliseconds.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self::new(millis, TimeBase::MILLIS)
    }

    /// The nearest nanosecond to a float of seconds; None if it is not finite or out of range (about 292 years).
    #[must_use]
    pub fn from_secs_f64(seconds: f64) -> Option<Self> {
        let nanos = seconds * 1e9;
        (nanos.is_finite() && nanos.abs() < 9.2e18).then(|| Self::from_nanos(nanos.round() as i64))
    }

    /// Number of ticks.
    #[must_use]
    pub fn ticks(self) -> i64 {
        self.ticks
    }

    /// Length of a tick.
    #[must_use]
    pub fn base(self) -> TimeBase {
        self.base
    }

    /// Seconds as a float, for people and for JSON; the exact value is ticks and base.
    #[must_use]
    pub fn secs_f64(self) -> f64 {
        self.ticks as f64 * f64::from(self.base.num) / f64::from(self.base.den)
    }

    /// The nearest whole millisecond (halves away from zero).
    #[must_use]
    pub fn millis(self) -> i64 {
        let (n, d) = (i128::from(self.ticks) * i128::from(self.base.num) * 2000, i128::from(self.base.den));
        let doubled = n / d;
        clamp_i64(i128::midpoint(doubled, doubled.signum()))
    }

    /// The number of whole ticks of `base` at or before this time (rounded towards the past).
    ///
    /// A frame with presentation time `pts` in `base` is at or before this time exactly if `pts <= floor_to(base)`.
    #[must_use]
    pub fn floor_to(self, base: TimeBase) -> i64 {
        let n = i128::from(self.ticks) * i128::from(self.base.num) * i128::from(base.den);
        let d = i128::from(self.base.den) * i128::from(base.num);
        clamp_i64(n.div_euclid(d))
    }

    /// The exact sum; rounded to a nanosecond only if no common base of both fits 32 bits.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        self.combine(other, 1)
    }

    /// The exact difference; rounded to a nanosecond only if no common base of both fits 32 bits.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        self.combine(other, -1)
    }

    /// This time multiplied by `n`.
    #[must_use]
    pub fn times(self, n: i64) -> Self {
        Self { ticks: self.ticks.saturating_mul(n), base: self.base }
    }

    /// Whether this time is before the clock's zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.ticks < 0
    }

    /// `MM:SS.s`, or `H:MM:SS.s` from one hour on: the label that a model reads beside an image.
    /// Rounded towards the past, so that a label never names a later moment than the frame's.
    #[must_use]
    pub fn label(self) -> String {
        let tenths = self.label_tenths();
        let sign = if tenths < 0 { "-" } else { "" };
        let t = tenths.unsigned_abs();
        let (h, m, s, d) = (t / 36_000, t / 600 % 60, t / 10 % 60, t % 10);
        if h > 0 { format!("{sign}{h}:{m:02}:{s:02}.{d}") } else { format!("{sign}{m:02}:{s:02}.{d}") }
    }

    /// The tenths of a second of [`Timestamp::label`].
    pub(crate) fn label_tenths(self) -> i64 {
        self.floor_to(TimeBase { num: 1, den: 10 })
    }

    /// `5s` or `0.04s`: exact to the nanosecond, and read again as the same time.
    #[must_use]
    pub fn exact_text(self) -> String {
        let nanos = self.nanos();
        let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
        let mut text = seconds.to_string();
        if rest != 0 {
            // Writing to a String does not fail.
            let _ = write!(text, ".{rest:09}");
            text.truncate(text.trim_end_matches('0').len());
        }
        text + "s"
    }

    fn combine(self, other: Self, sign: i128) -> Self {
        let (an, ad) = (u128::from(self.base.num), u128::from(self.base.den));
        let (bn, bd) = (u128::from(other.base.num), u128::from(other.base.den));
        // Both times are whole multiples of gcd(an/ad, bn/bd) = gcd(an*bd, bn*ad) / (ad*bd).
        let num = gcd(an * bd, bn * ad);
        let den = ad * bd;
        let shared = gcd(num, den);
        let (num, den) = (num / shared, den / shared);
        let scale = |n: u128, d: u128, ticks: i64| i128::from(ticks) * ((n * den) / (d * num)) as i128;
        let sum = scale(an, ad, self.ticks) + sign * scale(bn, bd, other.ticks);
        // The sum itself may need a coarser base than its parts did.
        let shared = gcd(sum.unsigned_abs(), den).max(1);
        let (sum, den) = (sum / shared as i128, den / shared);
        match (u32::try_from(num), u32::try_from(den), i64::try_from(sum)) {
            (Ok(num), Ok(den), Ok(ticks)) => Self { ticks, base: TimeBase { num, den } },
            _ => Self::from_nanos(clamp_i64(i128::from(self.nanos()) + sign * i128::from(other.nanos()))),
        }
    }

    fn nanos(self) -> i64 {
        self.floor_to(TimeBase::NANOS)
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        // 2^63 * 2^32 * 2^32 stays below 2^127.
        let left = i128::from(self.ticks) * i128::from(self.base.num) * i128::from(other.base.den);
        let right = i128::from(other.ticks) * i128::from(other.base.num) * i128::from(self.base.den);
        left.cmp(&right)
    }
}

/// `HH:MM:SS.mmm`, the nearest millisecond; hours have more than two digits if needed.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.millis();
        let sign = if millis < 0 { "-" } else { "" };
        let t = millis.unsigned_abs();
        write!(f, "{sign}{:02}:{:02}:{:02}.{:03}", t / 3_600_000, t / 60_000 % 60, t / 1000 % 60, t % 1000)
    }
}

/// Seconds as a float; the exact value needs ticks and base.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.secs_f64())
    }
}

/// Reads seconds, as the simplest fraction that is written in the same way, otherwise as the nearest nanosecond.
impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        let exact = from_seconds::simplest_fraction(seconds);
        let exact = exact.and_then(|(ticks, den)| Some(Self::new(ticks, TimeBase::new(1, den)?)));
        exact
            .or_else(|| Self::from_secs_f64(seconds))
            .ok_or_else(|| D::Error::custom(format!("{seconds} s is out of range")))
    }
}

/// Reads `90`, `1.5`, `5s`, `500ms`, `1m`, `2h`, `1h2m3.5s`, `1:04`, `01:02:03.250`. Never negative.
impl FromStr for Timestamp {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_nanos(text.trim()).map(Self::from_nanos).ok_or_else(|| {
            crate::Error::usage(text, "is not a time", "write it as 5s, 500ms, 1m30s, 90, 1:04 or 01:02:03.250")
        })
    }
}

fn parse_nanos(text: &str) -> Option<i64> {
    if text.contains(':') {
        let parts: Vec<&str> = text.split(':').collect();
        let (last, heads) = parts.split_last()?;
        if heads.len() > 2 {
            return None;
        }
        let mut minutes: i64 = 0;
        for head in heads {
            if head.is_empty() || !head.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            minutes = minutes.checked_mul(60)?.checked_add(head.parse().ok()?)?;
        }
        let seconds = decimal_nanos(last, 1_000_000_000)?;
        let below_a_minute = seconds < 60_000_000_000;
        return minutes.checked_mul(60_000_000_000)?.checked_add(seconds).filter(|_| below_a_minute);
    }
    let mut rest = text;
    let mut total: i64 = 0;
    loop {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        let unit_nanos = match unit.trim() {
            "" | "s" | "sec" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" => 1000,
            "m" | "min" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        total = total.checked_add(decimal_nanos(number, unit_nanos)?)?;
        if tail.is_empty() {
            return Some(total);
        }
        rest = tail;
    }
}

/// `12.345` units of `unit_nanos`, digits beyond a nanosecond are dropped; no float is involved.
fn decimal_nanos(number: &str, unit_nanos: i64) -> Option<i64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(unit_nanos)?;
    let mut place = i128::from(unit_nanos);
    let mut part: i128 = 0;
    let mut scale: i128 = 1;
    for digit in fraction.bytes().take(18) {
        part = part * 10 + i128::from(digit - b'0');
        scale *= 10;
    }
    place = place * part / scale;
    total = total.checked_add(i64::try_from(place).ok()?)?;
    Some(total)
}

/// A time range, half-open: `start` is inside, `end` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TimeRange {
    /// First instant inside.
    pub start: Timestamp,
    /// First instant after; never before `start`.
    pub end: Timestamp,
}

impl<'de> Deserialize<'de> for TimeRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Ends {
            start: Timestamp,
            end: Timestamp,
        }
        let Ends { start, end } = Ends::deserialize(deserializer)?;
        Self::checked(start, end).map_err(D::Error::custom)
    }
}

impl TimeRange {
    /// The range from `start` to `end`; empty (at `start`) if `end` is before it.
    #[must_use]
    pub fn new(start: Timestamp, end: Timestamp) -> Self {
        Self { start, end: end.max(start) }
    }

    /// The range from `start` to `end`, or what is wrong if `end` is before `start`.
    pub(crate) fn checked(start: Timestamp, end: Timestamp) -> Result<Self, String> {
        if end < start {
            return Err(format!("the end {end} is before the start {start}"));
        }
        Ok(Self { start, end })
    }

    /// Whether `t` is inside.
    #[must_use]
    pub fn contains(self, t: Timestamp) -> bool {
        self.start <= t && t < self.end
    }

    /// Whether both ranges overlap; an empty range counts as its start.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        (self.start < other.end && other.start < self.end) || self.contains(other.start) || other.contains(self.start)
    }

    /// Length of the range.
    #[must_use]
    pub fn length(self) -> Timestamp {
        self.end.minus(self.start)
    }
}

const fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn clamp_i64(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn t(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn reads_what_people_write() {
        for (text, millis) in [
            ("5s", 5000),
            ("500ms", 500),
            ("1m", 60_000),
            ("1h2m3.5s", 3_723_500),
            ("90", 90_000),
            ("1.5", 1500),
            (".5", 500),
            ("1:04", 64_000),
            ("01:02:03.250", 3_723_250),
            ("0", 0),
            ("2h", 7_200_000),
        ] {
            assert_eq!(t(text).millis(), millis, "{text}");
        }
        for bad in ["", "s", "-1", "1:60", "1::2", "1:2:3:4", "5 parsecs", "1e3", "NaN", "99999999999999999999", "."] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad} must not be a time");
        }
    }

    #[test]
    fn a_frame_on_the_sample_point_is_at_the_sample_point() {
        let ntsc = TimeBase::new(1, 30_000).expect("a base");
        assert_eq!(t("1.001").floor_to(ntsc), 30_030);
        assert_eq!(t("1.000999999").floor_to(ntsc), 30_029);
        assert_eq!(Timestamp::new(-1, TimeBase::SECONDS).floor_to(TimeBase::MILLIS), -1000);
    }

    #[test]
    fn labels_and_display() {
        assert_eq!(t("64.99").label(), "01:04.9");
        assert_eq!(t("3600").label(), "1:00:00.0");
        assert_eq!(Timestamp::from_millis(-1500).to_string(), "-00:00:01.500");
        assert_eq!(t("100h").to_string(), "100:00:00.000");
    }

    proptest! {
        #[test]
        fn sums_are_exact_and_reversible(a in -1_000_000_000i64..1_000_000_000, b in -1_000_000_000i64..1_000_000_000,
                                         an in 1u32..2000, ad in 1u32..100_000, bn in 1u32..2000, bd in 1u32..100_000) {
            // Bases whose common base fits, as every container's do: the fallback to nanoseconds has its own rule.
            prop_assume!(u32::try_from(u64::from(ad) * u64::from(bd)).is_ok());
            let (a, b) = (Timestamp::new(a, TimeBase::new(an, ad).unwrap()), Timestamp::new(b, TimeBase::new(bn, bd).unwrap()));
            prop_assert_eq!(a.plus(b).minus(b), a);
            prop_assert_eq!(a.plus(b), b.plus(a));
        }

        #[test]
        fn order_agrees_with_floor(a in -1_000_000i64..1_000_000, pts in -1_000_000i64..1_000_000, n in 1u32..1001, d in 1u32..90_001) {
            let base = TimeBase::new(n, d).unwrap();
            let at = Timestamp::from_millis(a);
            prop_assert_eq!(Timestamp::new(pts, base) <= at, pts <= at.floor_to(base));
        }
    }
}
