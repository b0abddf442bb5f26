//! How many requests and tokens a minute: what the user allows, and what the server says is left.
//!
//! Tokens are taken by estimate and corrected when the server has counted, which is why no general limiter serves.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;
use tokio::time::Instant;

use super::config::RequestLimits;
use super::reset_header;
use super::retry_policy::MAX_OBEYED;

const MINUTE: Duration = Duration::from_mins(1);

/// What may be sent, and when.
#[derive(Debug)]
pub(super) struct RateLimit {
    requests: Quota,
    tokens: Quota,
    /// The server asked all to wait until then.
    paused_until: Option<Instant>,
}

impl RateLimit {
    /// Nothing was sent yet.
    pub fn new(load: &RequestLimits) -> Self {
        let quota = |most| Quota { most, taken: VecDeque::new(), sum: 0, said: None };
        Self {
            requests: quota(load.max_requests_per_minute.map(|n| i64::from(n.max(1)))),
            tokens: quota(load.max_tokens_per_minute.map(|n| i64::try_from(n.max(1)).unwrap_or(i64::MAX))),
            paused_until: None,
        }
    }

    /// Takes a request of `n_tokens`; or says when to ask again.
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

    /// A request that was taken as `estimated` tokens was `counted`.
    pub fn correct(&mut self, estimated: u64, counted: u64, now: Instant) {
        let signed = |n| i64::try_from(n).unwrap_or(i64::MAX);
        // What the server says is left was counted by itself.
        self.tokens.remember(signed(counted).saturating_sub(signed(estimated)), now);
    }

    /// The server asks for a pause, which holds for every request.
    pub fn pause(&mut self, wait: Duration, now: Instant) {
        let until = now + wait.min(MAX_OBEYED);
        self.paused_until = Some(self.paused_until.map_or(until, |before| before.max(until)));
    }

    /// Reads what a reply says is left; `wall` is the time that a date is held against.
    pub fn heed(&mut self, headers: &HeaderMap, now: Instant, wall: SystemTime) {
        for (quota, what) in [(&mut self.requests, "requests"), (&mut self.tokens, "tokens")] {
            let said = Said::read(headers, ["x-ratelimit-", "", "-", what], now, wall)
                .or_else(|| Said::read(headers, ["anthropic-ratelimit-", what, "-", ""], now, wall));
            quota.said = said.or(quota.said.take());
        }
    }
}

/// One of the two.
#[derive(Debug)]
struct Quota {
    /// Within any minute, as the user allows.
    most: Option<i64>,
    /// What was taken within the last minute, and their sum.
    taken: VecDeque<(Instant, i64)>,
    sum: i64,
    said: Option<Said>,
}

impl Quota {
    /// When so much may be taken. More than is ever allowed may be taken when nothing else was.
    fn free_at(&mut self, amount: i64, now: Instant) -> Instant {
        while let Some((_, amount)) = self.taken.front().copied().filter(|(at, _)| now >= *at + MINUTE) {
            self.sum -= amount;
            self.taken.pop_front();
        }
        if self.said.as_ref().is_some_and(|said| now >= said.full_at) {
            self.said = None;
        }
        let by_server = self.said.as_ref().map_or(now, |said| said.free_at(amount, now));
        let Some(most) = self.most else { return by_server };
        let (mut left, mut by_user) = (self.sum, now);
        for (at, amount_then) in &self.taken {
            if left <= 0 || left.saturating_add(amount) <= most {
                break;
            }
            left -= amount_then;
            by_user = *at + MINUTE;
        }
        by_server.max(by_user)
    }

    fn take(&mut self, amount: i64, now: Instant) {
        if let Some(said) = &mut self.said {
            said.left -= amount as f64;
        }
        self.remember(amount, now);
    }

    fn remember(&mut self, amount: i64, now: Instant) {
        if self.most.is_some() && amount != 0 {
            self.taken.push_back((now, amount));
            self.sum = self.sum.saturating_add(amount);
        }
    }
}

/// What a server said is left of its own limit.
#[derive(Debug)]
struct Said {
    left: f64,
    at: Instant,
    /// When the limit is whole again.
    full_at: Instant,
    /// The limit; None where it did not say.
    limit: Option<f64>,
    /// How much comes back each second; None where it is not known, and all comes at the end.
    per_second: Option<f64>,
}

impl Said {
    /// Reads three headers, whose names are made of `parts` with `limit`, `remaining` or `reset` in the empty place.
    fn read(headers: &HeaderMap, parts: [&str; 4], now: Instant, wall: SystemTime) -> Option<Self> {
        let text = |word: &str| {
            let name: String = match parts {
                [first, "", dash, last] => [first, word, dash, last].concat(),
                [first, middle, dash, _] => [first, middle, dash, word].concat(),
            };
            headers.get(name.as_str())?.to_str().ok().map(str::trim)
        };
        // Azure says -1 and 0 for what it does not know.
        let number = |word| text(word)?.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
        let limit = number("limit");
        let left = number("remaining").filter(|_| limit != Some(0.0))?;
        let reset = reset_header::read(text("reset")?, wall).filter(|reset| !reset.is_zero())?;
        let per_second = limit.filter(|limit| *limit > left).map(|limit| (limit - left) / reset.as_secs_f64());
        // A day's limit is not waited for: the server says so itself when it is asked.
        Some(Self { left, at: now, full_at: now + reset.min(MAX_OBEYED), limit, per_second })
    }

    fn free_at(&self, amount: i64, now: Instant) -> Instant {
        let wanted = (amount as f64).min(self.limit.unwrap_or(f64::INFINITY));
        if wanted <= self.left {
            return now;
        }
        let Some(per_second) = self.per_second else { return self.full_at };
        let wait = Duration::try_from_secs_f64((wanted - self.left) / per_second).unwrap_or(MAX_OBEYED);
        (self.at + wait.min(MAX_OBEYED)).min(self.full_at)
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
    fn times(pace: &mut RateLimit, n: usize, n_tokens: u64) -> Vec<u128> {
        let begun = Instant::now();
        let mut now = begun;
        let mut times = Vec::new();
        while times.len() < n {
            match pace.take(n_tokens, now) {
                Ok(()) => times.push((now - begun).as_millis()),
                Err(until) => {
                    assert!(until > now, "it asks to come back at once, for ever");
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
    fn within_any_minute_there_are_so_many_requests() {
        assert_eq!(times(&mut limited(Some(3), None), 7, 9), [0, 0, 0, 60_000, 60_000, 60_000, 120_000]);
        assert_eq!(times(&mut limited(None, None), 1000, u64::MAX), [0; 1000]);
    }

    #[test]
    fn tokens_are_taken_by_estimate_and_corrected() {
        let mut pace = limited(None, Some(1000));
        assert_eq!(times(&mut pace, 3, 400), [0, 0, 60_000]);
        let begun = Instant::now();
        let mut pace = limited(None, Some(1000));
        assert_eq!(pace.take(800, begun), Ok(()));
        pace.correct(800, 300, begun + Duration::from_secs(1));
        assert_eq!(pace.take(700, begun + Duration::from_secs(1)), Ok(()), "the first were 300");
        pace.correct(700, 900, begun + Duration::from_secs(2));
        assert!(pace.take(1, begun + Duration::from_secs(3)).is_err(), "the second were 900");
        // Larger than any minute's worth: alone, but not never.
        assert_eq!(times(&mut limited(None, Some(1000)), 3, 5000), [0, 60_000, 120_000]);
    }

    #[test]
    fn what_the_server_says_is_left_is_shared_out() {
        let begun = Instant::now();
        let after = |millis| begun + Duration::from_millis(millis);
        let mut pace = limited(None, None);
        let said = headers(&[
            ("x-ratelimit-limit-requests", "10"),
            ("x-ratelimit-remaining-requests", "2"),
            ("x-ratelimit-reset-requests", "8s"),
        ]);
        pace.heed(&said, begun, SystemTime::now());
        assert_eq!((pace.take(1, begun), pace.take(1, begun)), (Ok(()), Ok(())));
        assert_eq!(pace.take(1, begun), Err(after(1000)), "one a second comes back");
        assert_eq!(pace.take(1, after(1000)), Ok(()));
        assert_eq!(pace.take(1, after(1000)), Err(after(2000)));
        assert_eq!(pace.take(1, after(8000)), Ok(()), "whole again");
        assert_eq!(pace.take(1, after(8000)), Ok(()), "and nothing is known of it any more");
    }

    #[test]
    fn tokens_that_are_left_at_anthropic() {
        let (begun, wall) = (Instant::now(), SystemTime::UNIX_EPOCH + Duration::from_hours(498_744));
        let mut pace = limited(None, None);
        let said = headers(&[
            ("anthropic-ratelimit-tokens-limit", "10000"),
            ("anthropic-ratelimit-tokens-remaining", "4000"),
            ("anthropic-ratelimit-tokens-reset", "2026-11-24T00:01:00Z"),
        ]);
        pace.heed(&said, begun, wall);
        assert_eq!(pace.take(5000, begun), Err(begun + Duration::from_secs(10)));
        assert_eq!(pace.take(4000, begun), Ok(()));
        assert!(pace.take(1_000_000, begun).is_err_and(|until| until == begun + Duration::from_mins(1)));
    }

    #[test]
    fn what_says_nothing_holds_nobody_up() {
        #[rustfmt::skip]
        let table: [[(&str, &str); 3]; 5] = [
            [("x-ratelimit-limit-requests", "-1"), ("x-ratelimit-remaining-requests", "-1"), ("x-ratelimit-reset-requests", "60")],
            [("x-ratelimit-limit-requests", "0"), ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "60")],
            [("x-ratelimit-limit-requests", "9"), ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "0")],
            [("x-ratelimit-limit-requests", "9"), ("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "soon")],
            [("x-ratelimit-limit-requests", "9"), ("x-ratelimit-remaining-requests", "NaN"), ("x-ratelimit-reset-requests", "60")],
        ];
        for said in table {
            let mut pace = limited(None, None);
            pace.heed(&headers(&said), Instant::now(), SystemTime::now());
            assert_eq!(times(&mut pace, 2, 1), [0, 0], "{said:?}");
        }
        let day = [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "23h59m0s")];
        let mut pace = limited(None, None);
        pace.heed(&headers(&day), Instant::now(), SystemTime::now());
        let begun = Instant::now();
        assert!(pace.take(1, begun).is_err_and(|until| until <= begun + MAX_OBEYED), "nobody waits for a day");
    }

    #[test]
    fn a_pause_holds_for_all_and_is_no_longer_than_is_obeyed() {
        let begun = Instant::now();
        let mut pace = limited(None, None);
        pace.pause(Duration::from_secs(2), begun);
        pace.pause(Duration::from_secs(1), begun);
        assert_eq!(pace.take(1, begun), Err(begun + Duration::from_secs(2)));
        pace.pause(Duration::from_hours(1), begun);
        assert_eq!(pace.take(1, begun + MAX_OBEYED), Ok(()));
    }
}
