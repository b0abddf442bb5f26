//! Limits that a server reveals when it refuses a request as too long. Later requests that are larger are not sent.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::advice::Advice;
use crate::chat::{Message, Part};
use crate::error::{Error, ErrorCode, Result};
use crate::http::{RefusalDetails, RequestError};

/// What refusals have revealed so far.
#[derive(Debug)]
pub(super) struct LearntLimits {
    /// Requests with a larger estimate are too long.
    max_estimate: AtomicU64,
    max_images: AtomicUsize,
    /// The largest estimate and number of images that the server has accepted: no limit is below them.
    accepted_estimate: AtomicU64,
    accepted_images: AtomicUsize,
}

impl Default for LearntLimits {
    fn default() -> Self {
        Self {
            max_estimate: AtomicU64::new(u64::MAX),
            max_images: AtomicUsize::new(usize::MAX),
            accepted_estimate: AtomicU64::new(0),
            accepted_images: AtomicUsize::new(0),
        }
    }
}

impl LearntLimits {
    /// Checks a request of an estimated `n_tokens`. A request of a single image cannot be divided, so it is always sent.
    pub fn check(&self, server: &str, messages: &[Message], n_tokens: u64) -> Result<()> {
        let n_images = n_images(messages);
        if n_images < 2 {
            return Ok(());
        }
        let (max_tokens, max_images) =
            (self.max_estimate.load(Ordering::Relaxed), self.max_images.load(Ordering::Relaxed));
        let problem = if n_images > max_images {
            format!("the request has {n_images} images; the server has refused more than {max_images}")
        } else if n_tokens > max_tokens {
            format!("the request has about {n_tokens} tokens; the server has refused more than about {max_tokens}")
        } else {
            return Ok(());
        };
        Err(Error::limit(server, problem, Advice::send_less()).with_code(ErrorCode::RequestTooLarge))
    }

    /// Learns from a request of an estimated `n_tokens` that was accepted.
    pub fn accept(&self, messages: &[Message], n_tokens: u64) {
        self.accepted_estimate.fetch_max(n_tokens, Ordering::Relaxed);
        self.accepted_images.fetch_max(n_images(messages), Ordering::Relaxed);
    }

    /// Learns from a request of an estimated `n_tokens` that failed.
    pub fn learn(&self, failure: &RequestError, messages: &[Message], n_tokens: u64) {
        if failure.code != ErrorCode::RequestTooLarge {
            return;
        }
        let details = failure.details.as_deref();
        if let Some(max_images) = details.and_then(|details| details.max_images) {
            let max_images = max_images.max(self.accepted_images.load(Ordering::Relaxed));
            if max_images < self.max_images.fetch_min(max_images, Ordering::Relaxed) {
                tracing::warn!("the server accepts at most {max_images} images in a request");
            }
            return;
        }
        // Without the server's numbers, only requests that are at least as large are known to be too long.
        let max_estimate = details.and_then(|details| scaled(details, n_tokens)).unwrap_or(n_tokens.saturating_sub(1));
        let max_estimate = max_estimate.max(self.accepted_estimate.load(Ordering::Relaxed));
        if n_images(messages) > 1 && max_estimate < self.max_estimate.fetch_min(max_estimate, Ordering::Relaxed) {
            tracing::info!("requests of more than about {max_estimate} tokens are divided from now on");
        }
    }
}

/// The server's limit in the units of our estimate, which may count differently.
fn scaled(details: &RefusalDetails, n_tokens: u64) -> Option<u64> {
    let max_tokens = details.max_tokens?;
    let counted = details.n_tokens.filter(|counted| *counted > max_tokens)?;
    let scaled = u128::from(n_tokens) * u128::from(max_tokens) / u128::from(counted);
    u64::try_from(scaled).ok()
}

fn n_images(messages: &[Message]) -> usize {
    let parts = messages.iter().flat_map(|message| &message.parts);
    parts.filter(|part| matches!(part, Part::Image(_) | Part::ImageUrl(_))).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Role;
    use crate::http::RequestErrorKind;

    fn request(n_images: usize) -> Vec<Message> {
        vec![Message { role: Role::User, parts: vec![Part::ImageUrl("https://h.example/a.jpg".into()); n_images] }]
    }

    fn refusal(details: RefusalDetails) -> RequestError {
        let failure = RequestError::new(RequestErrorKind::Status(400), "too long", "");
        RequestError { details: Some(Box::new(details)), ..failure.with_code(ErrorCode::RequestTooLarge) }
    }

    #[test]
    fn the_limit_is_scaled_to_the_estimate() {
        let limits = LearntLimits::default();
        limits.check("host", &request(9), 1 << 40).expect("nothing is known");
        let details = RefusalDetails { max_tokens: Some(1000), n_tokens: Some(2000), ..RefusalDetails::default() };
        limits.learn(&refusal(details), &request(9), 3000);
        limits.check("host", &request(5), 1500).expect("within the limit");
        let error = limits.check("host", &request(5), 1501).expect_err("above the limit");
        assert_eq!((error.kind, error.code), (crate::ErrorKind::Limit, ErrorCode::RequestTooLarge));
        limits.check("host", &request(1), 9000).expect("a single image is always sent");
    }

    #[test]
    fn without_numbers_only_larger_requests_are_too_long() {
        let limits = LearntLimits::default();
        limits.learn(&refusal(RefusalDetails::default()), &request(9), 3000);
        limits.check("host", &request(9), 2999).expect("smaller");
        limits.check("host", &request(9), 3000).expect_err("as large");
        let other = RequestError::new(RequestErrorKind::Status(400), "bad", "");
        limits.learn(&other, &request(9), 10);
        limits.check("host", &request(9), 2999).expect("another failure says nothing about length");
    }

    #[test]
    fn no_limit_is_below_what_was_accepted() {
        let limits = LearntLimits::default();
        limits.accept(&request(7), 5000);
        limits.learn(&refusal(RefusalDetails::default()), &request(3), 2000);
        limits.check("host", &request(7), 5000).expect("as before");
        let details = RefusalDetails { max_images: Some(1), ..RefusalDetails::default() };
        limits.learn(&refusal(details), &request(9), 3000);
        limits.check("host", &request(7), 5000).expect("as before");
        limits.check("host", &request(8), 5000).expect_err("more images");
    }

    #[test]
    fn the_number_of_images_is_learnt() {
        let limits = LearntLimits::default();
        let details = RefusalDetails { max_images: Some(5), ..RefusalDetails::default() };
        limits.learn(&refusal(details), &request(9), 3000);
        limits.check("host", &request(5), 9000).expect("as many as are accepted");
        limits.check("host", &request(6), 10).expect_err("one more");
    }
}
