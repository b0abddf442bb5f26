//! Limits on requests and tokens per minute: the user's, and those that the server reports.
//!
//! Tokens are reserved by estimate and corrected after the server has counted, which general rate limiters do not support.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::config::RequestLimits;
use super::reset_header;
use super::retry_hints::MAX_RETRY_AFTER;

const MINUTE: Duration = Duration::from_mins(1);

/// The limits of one server.
#[derive(Debug)]
pub(super) struct RateLimit {
    requests: Quota,
    tokens: Quota,
    /// The server requested a pause until this time.
    paused_until: Option<Instant>,
}

impl RateLimit {
    /// A new state: nothing was sent yet.
    pub fn new(limits: &RequestLimits) -> Self {
        let quota = |max| Quota { max, taken: VecDeque::new(), sum: 0, server: None };
        Self {
            requests: quota(limits.max_requests_per_minute.map(|n| i64::from(n.max(1)))),
            tokens: quota(limits.max_tokens_per_minute.map(|n| i64::try_from(n.max(1)).unwrap_or(i64::MAX))),
            paused_until: None,
        }
    }

    /// Reserves a request of `n_tokens`, or returns when to try again.
    pub fn take(&mut self, n_tokens: u64, now: Instant) -> Result<(), Instant> {
        let n_tokens = i64::try_from(n_tokens).unwrap_or(i64::MAX);
        let at = self.requests.free_at(1, now).max(self.tokens.free_at(n_tokens, now));
        let at = self.paused_until.map_or(at, |until| at.max(until));
        if at > now {
            return Err(at);
        }
        self.requests.take(1, now);
        self.tokens.take(n_tokens, now);
        Ok(())
    }

    /// The server counted `counted` tokens for a request reserved as `estimated`.
    pub fn correct(&mut self, estimated: u64, counted: u64, now: Instant) {
        let signed = |n| i64::try_from(n).unwrap_or(i64::MAX);
        // The server's own remaining count is already exact.
        self.tokens.remember(signed(counted).saturating_sub(signed(estimated)), now);
    }

    /// The server requests a pause of all requests.
    pub fn pause(&mut self, wait: Duration, now: Instant) {
        let until = now + wait.min(MAX_RETRY_AFTER);
        self.paused_until = Some(self.paused_until.map_or(until, |before| before.max(until)));
    }

    /// Reads the server's limits from response headers; `wall` is the reference of dates.
    pub fn read_headers(&mut self, headers: &HeaderMap, now: Instant, wall: SystemTime) {
        for (quota, what) in [(&mut self.requests, "requests"), (&mut self.tokens, "tokens")] {
            let server = ServerQuota::read(headers, ["x-ratelimit-", "", "-", what], now, wall)
                .or_else(|| ServerQuota::read(headers, ["anthropic-ratelimit-", what, "-", ""], now, wall));
            quota.server = server.or(quota.server.take());
        }
    }
}

/// The limit of one quantity.
#[derive(Debug)]
struct Quota {
    /// The user's limit for any minute.
    max: Option<i64>,
    /// The amounts reserved within the last minute, and their sum.
    taken: VecDeque<(Instant, i64)>,
    sum: i64,
    server: Option<ServerQuota>,
}

impl Quota {
    /// When this amount may be reserved. An amount above the limit is allowed when nothing else is reserved.
    fn free_at(&mut self, amount: i64, now: Instant) -> Instant {
        while let Some((_, amount)) = self.taken.front().copied().filter(|(at, _)| now >= *at + MINUTE) {
            self.sum -= amount;
            self.taken.pop_front();
        }
        if self.server.as_ref().is_some_and(|server| now >= server.full_at) {
            self.server = None;
        }
        let by_server = self.server.as_ref().map_or(now, |server| server.free_at(amount, now));
        let Some(max) = self.max else { return by_server };
        let (mut left, mut by_user) = (self.sum, now);
        for (at, amount_then) in &self.taken {
            if left <= 0 || left.saturating_add(amount) <= max {
                break;
            }
            left -= amount_then;
            by_user = *at + MINUTE;
        }
        by_server.max(by_user)
    }

    fn take(&mut self, amount: i64, now: Instant) {
        if let Some(server) = &mut self.server {
            server.remaining -= amount as f64;
        }
        self.remember(amount, now);
    }

    fn remember(&mut self, amount: i64, now: Instant) {
        if self.max.is_some() && amount != 0 {
            self.taken.push_back((now, amount));
            self.sum = self.sum.saturating_add(amount);
        }
    }
}

/// The remaining amount that a server reported for its own limit.
#[derive(Debug)]
struct ServerQuota {
    remaining: f64,
    at: Instant,
    /// When the limit is fully restored.
    full_at: Instant,
    /// The limit; None where it was not reported.
    limit: Option<f64>,
    /// The amount restored each second; None where it is unknown, and everything is restored at the end.
    per_second: Option<f64>,
}

impl ServerQuota {
    /// Reads three headers; their names are `parts` with `limit`, `remaining` or `reset` in the empty place.
    fn read(headers: &HeaderMap, parts: [&str; 4], now: Instant, wall: SystemTime) -> Option<Self> {
        let text = |word: &str| {
            let name: String = match parts {
                [first, "", dash, last] => [first, word, dash, last].concat(),
                [first, middle, dash, _] => [first, middle, dash, word].concat(),
            };
            headers.get(name.as_str())?.to_str().ok().map(str::trim)
        };
        // Azure reports -1 and 0 for unknown values.
        let number = |word| text(word)?.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
        let limit = number("limit");
        let remaining = number("remaining").filter(|_| limit != Some(0.0))?;
        let reset = reset_header::parse(text("reset")?, wall).filter(|reset| !reset.is_zero())?;
        let per_second =
            limit.filter(|limit| *limit > remaining).map(|limit| (limit - remaining) / reset.as_secs_f64());
        // The wait for a daily limit is capped: the server refuses the request itself.
        Some(Self { remaining, at: now, full_at: now + reset.min(MAX_RETRY_AFTER), limit, per_second })
    }

    fn free_at(&self, amount: i64, now: Instant) -> Instant {
        let wanted = (amount as f64).min(self.limit.unwrap_or(f64::INFINITY));
        if wanted <= self.remaining {
            return now;
        }
        let Some(per_second) = self.per_second else { return self.full_at };
        let wait = Duration::try_from_secs_f64((wanted - self.remaining) / per_second).unwrap_or(MAX_RETRY_AFTER);
        (self.at + wait.min(MAX_RETRY_AFTER)).min(self.full_at)
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    fn limited(requests: Option<u32>, tokens: Option<u64>) -> RateLimit {
        RateLimit::new(&RequestLimits {
            max_requests_per_minute: requests,
            max_tokens_per_minute: tokens,
            ..RequestLimits::default()
        })
    }

    /// When each of `n` requests goes, in milliseconds from the first.
    fn times(rate: &mut RateLimit, n: usize, n_tokens: u64) -> Vec<u128> {
        let begun = Instant::now();
        let mut now = begun;
        let mut times = Vec::new();
        while times.len() < n {
            match rate.take(n_tokens, now) {
                Ok(()) => times.push((now - begun).as_millis()),
                Err(until) => {
                    assert!(until > now, "an endless loop");
                    now = until;
                }
            }
        }
        times
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header"))
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn requests_are_limited_within_any_minute() {
        assert_eq!(times(&mut limited(Some(3), None), 7, 9), [0, 0, 0, 60_000, 60_000, 60_000, 120_000]);
        assert_eq!(times(&mut limited(None, None), 1000, u64::MAX), [0; 1000]);
    }

    #[test]
    fn tokens_are_reserved_by_estimate_and_corrected() {
        let mut rate = limited(None, Some(1000));
        assert_eq!(times(&mut rate, 3, 400), [0, 0, 60_000]);
        let begun = Instant::now();
        let mut rate = limited(None, Some(1000));
        assert_eq!(rate.take(800, begun), Ok(()));
        rate.correct(800, 300, begun + Duration::from_secs(1));
        assert_eq!(rate.take(700, begun + Duration::from_secs(1)), Ok(()), "the first were 300");
        rate.correct(700, 900, begun + Duration::from_secs(2));
        assert!(rate.take(1, begun + Duration::from_secs(3)).is_err(), "the second were 900");
        // A request above the limit is sent alone.
        assert_eq!(times(&mut limited(None, Some(1000)), 3, 5000), [0, 60_000, 120_000]);
    }

    #[test]
    fn the_remaining_amount_of_the_server_is_spread_over_time() {
        let begun = Instant::now();
        let after = |millis| begun + Duration::from_millis(millis);
        let mut rate = limited(None, None);
        let reported = headers(&[
            ("x-ratelimit-limit-requests", "10"),
            ("x-ratelimit-remaining-requests", "2"),
            ("x-ratelimit-reset-requests", "8s"),
        ]);
        rate.read_headers(&reported, begun, SystemTime::now());
        assert_eq!((rate.take(1, begun), rate.take(1, begun)), (Ok(()), Ok(())));
        assert_eq!(rate.take(1, begun), Err(after(1000)), "one is restored each second");
        assert_eq!(rate.take(1, after(1000)), Ok(()));
        assert_eq!(rate.take(1, after(1000)), Err(after(2000)));
        assert_eq!(rate.take(1, after(8000)), Ok(()), "fully restored");
        assert_eq!(rate.take(1, after(8000)), Ok(()), "and the report has expired");
    }

    #[test]
    fn headers_of_anthropic_are_read() {
        let (begun, wall) = (Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_hours(498_744));
        let mut rate = limited(None, None);
        let reported = headers(&[
            ("anthropic-ratelimit-tokens-limit", "10000"),
            ("anthropic-ratelimit-tokens-remaining", "4000"),
            ("anthropic-ratelimit-tokens-reset", "2026-11-24T00:01:00Z"),
        ]);
        rate.read_headers(&reported, begun, wall);
        assert_eq!(rate.take(5000, begun), Err(begun + Duration::from_secs(10)));
        assert_eq!(rate.take(4000, begun), Ok(()));
        assert!(rate.take(1_000_000, begun).is_err_and(|until| until == begun + Duration::from_mins(1)));
    }

    #[test]
    fn headers_without_information_delay_nothing() {
        #[rustfmt::skip]
        let table: [[(&str, &str); 3]; 5] = [
            [("x-ratelimit-limit-requests", "-1"), ("x-ratelimit-remaining-requests", "-1"), ("x-ratelimit-reset-requests", "60")],
            [("x-ratelimit-limit-requests", "0"), ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "60")],
            [("x-ratelimit-limit-requests", "9"), ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "0")],
            [("x-ratelimit-limit-requests", "9"), ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "soon")],
            [("x-ratelimit-limit-requests", "9"), ("x-ratelimit-remaining-requests", "NaN"), ("x-ratelimit-reset-requests", "60")],
        ];
        for reported in table {
            let mut rate = limited(None, None);
            rate.read_headers(&headers(&reported), Instant::now(), SystemTime::now());
            assert_eq!(times(&mut rate, 2, 1), [0, 0], "{reported:?}");
        }
        let day = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "23h59m0s")];
        let mut rate = limited(None, None);
        rate.read_headers(&headers(&day), Instant::now(), SystemTime::now());
        let begun = Instant::now();
        assert!(rate.take(1, begun).is_err_and(|until| until <= begun + MAX_RETRY_AFTER), "no wait of a day");
    }

    #[test]
    fn a_pause_holds_for_all_requests_up_to_a_maximum() {
        let begun = Instant::now();
        let mut rate = limited(None, None);
        rate.pause(Duration::from_secs(2), begun);
        rate.pause(Duration::from_secs(1), begun);
        assert_eq!(rate.take(1, begun), Err(begun + Duration::from_secs(2)));
        rate.pause(Duration::from_hours(1), begun);
        assert_eq!(rate.take(1, begun + MAX_RETRY_AFTER), Ok(()));
    }
}
