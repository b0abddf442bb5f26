//! The limits and the estimated cost of a request.

use super::config::ChatConfig;
use super::cost::Prices;
use super::params::SamplingParams;
use super::tokens::{self, ImageTokens, UNKNOWN_IMAGE_TOKENS};
use crate::chat::{Message, Part, Role, Usage};
use crate::money::Money;
use crate::timeline::Load;

/// The assumed context of an unknown model of a hosted provider, in tokens.
const HOSTED_CONTEXT: u64 = 128_000;
/// The same for local servers, where memory is scarce.
const LOCAL_CONTEXT: u64 = 32_768;
/// The assumed tokens of an answer where no limit is set.
const ANSWER_TOKENS: u64 = 1000;
/// The same with hidden reasoning.
const REASONED_ANSWER_TOKENS: u64 = 4000;

/// The limits and prices of requests to one model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModelLimits {
    /// The provider's name.
    pub provider: String,
    /// The model's name.
    pub model: String,
    /// Maximum number of images in a request.
    pub max_images: usize,
    /// See [`Limits::max_request_image_bytes`](crate::limits::Limits::max_request_image_bytes).
    pub max_image_bytes: u64,
    /// Maximum number of tokens of request and answer together.
    pub context_tokens: u64,
    /// Whether `context_tokens` is known; otherwise it is a cautious assumption.
    pub is_context_known: bool,
    /// Tokens of one answer: the limit where one is set, otherwise an assumption.
    pub answer_tokens: u64,
    /// Prices; unknown ones are None.
    pub prices: Prices,
    /// The sampling parameters.
    pub params: SamplingParams,
}

impl ModelLimits {
    /// The limits of the model in `config`.
    #[must_use]
    pub fn of(config: &ChatConfig) -> Self {
        let (limits, facts) = (config.request_limits(), config.facts.as_ref());
        let known = facts.and_then(|facts| facts.context);
        let guess = if config.provider.may_cut_context { LOCAL_CONTEXT } else { HOSTED_CONTEXT };
        let usual = if facts.is_some_and(|facts| facts.reasoning) { REASONED_ANSWER_TOKENS } else { ANSWER_TOKENS };
        Self {
            provider: config.provider.name.clone(),
            model: config.model.clone(),
            max_images: limits.max_request_frames,
            max_image_bytes: limits.max_request_image_bytes,
            context_tokens: known.unwrap_or(guess),
            is_context_known: known.is_some(),
            answer_tokens: config.params.max_tokens.map_or(usual, u64::from),
            prices: config.prices(),
            params: config.params.clone(),
        }
    }

    /// The capacity of one request. Room for the answer and a fifth of the remaining tokens stay free, since token counts are
    /// estimates.
    #[must_use]
    pub fn capacity(&self) -> Load {
        let room = self.context_tokens.saturating_sub(self.answer_tokens).max(self.context_tokens / 4);
        Load {
            n_frames: self.max_images as u64,
            n_bytes: self.max_image_bytes,
            n_tokens: room / 5 * 4,
            n_millis: u64::MAX,
        }
    }

    /// Tokens of messages, estimated.
    #[must_use]
    pub fn tokens(&self, messages: &[Message]) -> u64 {
        tokens::prompt_tokens(&self.model, messages, self.params.detail).likely
    }

    /// The load of the parts of a user message.
    #[must_use]
    pub fn load(&self, parts: Vec<Part>) -> Load {
        let images = parts.iter().filter_map(|part| if let Part::Image(image) = part { Some(image) } else { None });
        let (n_frames, n_bytes) = images.fold((0, 0), |(n, sum), image| (n + 1, sum + image.bytes.len() as u64));
        Load { n_frames, n_bytes, n_tokens: self.tokens(&[Message { role: Role::User, parts }]), n_millis: 0 }
    }

    /// Tokens of an image of `width` by `height` pixels, estimated.
    #[must_use]
    pub fn image_tokens(&self, width: u32, height: u32) -> u64 {
        let formula = ImageTokens::of_model(&self.model);
        formula.map_or(UNKNOWN_IMAGE_TOKENS, |formula| formula.tokens(width, height, self.params.detail))
    }

    /// Tokens of all choices of an answer.
    #[must_use]
    pub fn all_answer_tokens(&self) -> u64 {
        self.answer_tokens.saturating_mul(u64::from(self.params.n.unwrap_or(1)))
    }

    /// The assumed tokens of hidden reasoning of an answer without a limit.
    #[must_use]
    pub fn reasoning_tokens(&self) -> u64 {
        self.answer_tokens.saturating_sub(ANSWER_TOKENS)
    }

    /// The cost of this many tokens; None where a price is unknown.
    #[must_use]
    pub fn cost(&self, prompt_tokens: u64, answer_tokens: u64) -> Option<Money> {
        let (prompt_tokens, completion_tokens) = (Some(prompt_tokens), Some(answer_tokens));
        self.prices.cost(&Usage { prompt_tokens, completion_tokens, ..Usage::default() })
    }
}
