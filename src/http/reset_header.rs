//! The time until a rate limit resets, in the formats of several servers.

use std::time::{Duration, SystemTime};

/// Parses a duration from now: `6m0s`, `12ms`, `1h2m3.5s` (Go's durations, as `OpenAI` and Groq write them), `60` or `0.5`
/// (seconds: Azure), `2026-11-24T00:01:00Z` (RFC 3339: Anthropic), relative to `now`. None for other
/// formats and for times in the past.
pub(super) fn parse(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    go_duration(text).or_else(|| instant(text)?.duration_since(now).ok())
}

/// A duration in Go's format: `58s`, `1m2.5s`, `120ms`.
pub(super) fn go_duration(text: &str) -> Option<Duration> {
    let (mut rest, mut seconds) = (text, 0.0);
    while !rest.is_empty() {
        let n_number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit_on) = rest.split_at(n_number);
        let n_unit = unit_on.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit_on.len());
        let (unit, after) = unit_on.split_at(n_unit);
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    Duration::try_from_secs_f64(seconds).ok().filter(|_| !text.is_empty())
}

fn instant(text: &str) -> Option<SystemTime> {
    let instant: jiff::Timestamp = text.parse().ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(instant.as_second()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_of_several_servers_are_parsed() {
        // Tue, 24 Nov 2026 00:00:00 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(498_744);
        for (text, expected) in [
            ("6m0s", Some(360_000)),
            ("12ms", Some(12)),
            ("1s", Some(1000)),
            ("1h2m3.5s", Some(3_723_500)),
            ("2m59.56s", Some(179_560)),
            ("500µs", Some(0)),
            ("60", Some(60_000)),
            ("0.25", Some(250)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("2026-11-24T00:01:00Z", Some(60_000)),
            ("2026-11-24T01:00:30+01:00", Some(30_000)),
            ("2026-11-23T19:00:05-05:00", Some(5000)),
            ("2027-03-01T00:00:00Z", Some(97 * 86_400_000)),
            // In the past, or another format.
            ("2026-11-23T23:59:59Z", None),
            ("0001-01-01T00:00:00Z", None),
            ("2026-11-24", None),
            ("-1", None),
            ("NaN", None),
            ("1e300", None),
            ("s", None),
            ("5", Some(5000)),
            ("5x", None),
            ("1.2.3s", None),
            ("m5s", None),
            ("", None),
        ] {
            assert_eq!(parse(text, now).map(|wait| wait.as_millis()), expected, "{text}");
        }
    }
}
