//! What a run may cost: a plan within the limit before, and a purse that is asked before each request.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::chat::ChatResponse;
use crate::error::{Error, Result};
use crate::llm::{Detail, ModelLimits, SamplingParams};
use crate::money::Money;
use crate::timeline::Load;
use crate::video::fit;

/// Before fewer frames than this are looked at, their pictures are made smaller.
const FEW_FRAMES: usize = 8;
/// Widths that pictures are made smaller to, in pixels.
const SMALLER: [u32; 3] = [512, 384, 256];
/// Tokens of a frame's label, and what a server puts around a picture.
const LABEL_TOKENS: u64 = 16;
/// Bytes of a JPEG picture for each 100 pixels, taken large.
const BYTES_OF_100_PIXELS: u64 = 40;

/// The most that a run may spend; None is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpendLimit {
    /// Money, by the table of prices.
    pub cost: Option<Money>,
    /// Tokens of all requests and answers together.
    pub tokens: Option<u64>,
}

impl SpendLimit {
    /// Whether there is any limit.
    #[must_use]
    pub fn is_limited(self) -> bool {
        self != Self::default()
    }

    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where money is limited and the model's price is not known.
    pub fn check(self, terms: &ModelLimits) -> Result<()> {
        if self.cost.is_some() && terms.cost(0, 0).is_none() {
            let problem = format!("the price of {} is not known", terms.model);
            return Err(Error::usage("--max-cost", problem, "limit the run by --max-tokens-total"));
        }
        Ok(())
    }

    pub(super) fn allows(self, tokens: u64, cost: Option<Money>) -> bool {
        let is_cheap = self.cost.is_none_or(|most| cost.is_some_and(|cost| cost <= most));
        is_cheap && self.tokens.is_none_or(|most| tokens <= most)
    }
}

impl fmt::Display for SpendLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.cost, self.tokens) {
            (Some(cost), Some(tokens)) => write!(f, "{cost} and {tokens} tokens"),
            (Some(cost), None) => write!(f, "{cost}"),
            (None, Some(tokens)) => write!(f, "{tokens} tokens"),
            (None, None) => f.write_str("any amount"),
        }
    }
}

/// What is to be asked about, before a frame is decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// Frames that were asked for.
    pub n_frames: usize,
    /// Width and height of the video's frames in pixels.
    pub size: (u32, u32),
    /// Width of the pictures at most.
    pub max_width: u32,
    /// Tokens of the words.
    pub word_tokens: u64,
    /// Tokens that stand in each request besides its evidence.
    pub frame_tokens: u64,
}

/// What is looked at so that the run stays within its allowance.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice {
    pub n_frames: usize,
    pub max_width: u32,
    pub params: SamplingParams,
    /// What was changed, as phrases; empty where all fits as it was asked for.
    pub changes: Vec<String>,
}

/// Fits a wish into an allowance: fewer frames, then smaller ones, then low detail, and then as few frames as must be.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where not even one small frame fits.
pub(super) fn fit_into(wish: &Wish, allowance: SpendLimit, terms: &ModelLimits) -> Result<Choice> {
    let widths = [wish.max_width].into_iter().chain(SMALLER.into_iter().filter(|width| *width < wish.max_width));
    let mut rungs: Vec<(u32, ModelLimits)> = widths.map(|width| (width, terms.clone())).collect();
    // A smaller picture that is as many tokens helps nothing.
    let is_idle = |next: &mut (u32, ModelLimits), before: &mut (u32, ModelLimits)| {
        picture_tokens(wish, next.0, &next.1) >= picture_tokens(wish, before.0, &before.1)
    };
    rungs.dedup_by(is_idle);
    let low = SamplingParams { detail: Some(Detail::Low), ..terms.params.clone() };
    rungs.push((rungs[rungs.len() - 1].0, ModelLimits { params: low, ..terms.clone() }));
    rungs.dedup_by(is_idle);
    let most = |(width, terms): &(u32, ModelLimits)| {
        let fits = |n: usize| {
            let (tokens, cost) = expected(wish, n, *width, terms);
            allowance.allows(tokens, cost)
        };
        (0..=wish.n_frames).rev().find(|n| fits(*n))
    };
    let enough = wish.n_frames.min(FEW_FRAMES);
    let last = rungs.len() - 1;
    for (at, rung) in rungs.iter().enumerate() {
        let fewest = if at == last { wish.n_frames.min(1) } else { enough };
        if let Some(n_frames) = most(rung).filter(|n| *n >= fewest) {
            return Ok(choice(wish, terms, n_frames, rung));
        }
    }
    let (tokens, cost) = expected(wish, wish.n_frames.min(1), rungs[last].0, &rungs[last].1);
    let cost = cost.map(|cost| format!(", {cost}")).unwrap_or_default();
    let option = if allowance.cost.is_some() { "--max-cost" } else { "--max-tokens-total" };
    let problem = format!("{allowance} is less than the least that this file takes: {tokens} tokens{cost}");
    Err(Error::usage(option, problem, "raise it, or look at a part of the file (--start, --end, --no-transcript)"))
}

fn choice(wish: &Wish, terms: &ModelLimits, n_frames: usize, (max_width, rung): &(u32, ModelLimits)) -> Choice {
    let mut changes = Vec::new();
    if n_frames < wish.n_frames {
        changes.push(format!("{n_frames} of {} frames are looked at", wish.n_frames));
    }
    if n_frames > 0 && *max_width < wish.max_width {
        changes.push(format!("pictures are {max_width} pixels wide in place of {}", wish.max_width));
    }
    if n_frames > 0 && rung.params.detail != terms.params.detail {
        changes.push("pictures are looked at in low detail".to_owned());
    }
    Choice { n_frames, max_width: *max_width, params: rung.params.clone(), changes }
}

fn picture_tokens(wish: &Wish, max_width: u32, terms: &ModelLimits) -> u64 {
    let (width, height) = fit(wish.size, max_width);
    terms.image_tokens(width, height)
}

/// Tokens and money of a whole run over `n_frames` frames.
fn expected(wish: &Wish, n_frames: usize, max_width: u32, terms: &ModelLimits) -> (u64, Option<Money>) {
    let n = n_frames as u64;
    let (width, height) = fit(wish.size, max_width);
    let n_bytes = n * (u64::from(width) * u64::from(height) * BYTES_OF_100_PIXELS / 100);
    let evidence = n * (picture_tokens(wish, max_width, terms) + LABEL_TOKENS) + wish.word_tokens;
    let most = terms.capacity();
    let room = most.n_tokens.saturating_sub(wish.frame_tokens).max(1);
    let n_windows =
        n.div_ceil(most.n_frames.max(1)).max(n_bytes.div_ceil(most.n_bytes.max(1))).max(evidence.div_ceil(room)).max(1);
    let (for_merge, of_windows) = if n_windows > 1 {
        (merge_tokens(terms, wish.frame_tokens, n_windows), n_windows * terms.answer_tokens)
    } else {
        (0, 0)
    };
    let prompt = evidence + n_windows * wish.frame_tokens + for_merge;
    let answers = of_windows + terms.all_answer_tokens();
    (prompt + answers, terms.cost(prompt, answers))
}

/// Tokens of the request that makes one answer of those about so many windows.
pub(super) fn merge_tokens(terms: &ModelLimits, frame_tokens: u64, n_windows: u64) -> u64 {
    n_windows.saturating_mul(terms.answer_tokens + LABEL_TOKENS).saturating_add(frame_tokens)
}

/// What one request may hold besides its rules, facts and task.
pub(super) fn room(terms: &ModelLimits, frame_tokens: u64) -> Load {
    let most = terms.capacity();
    Load { n_tokens: most.n_tokens.saturating_sub(frame_tokens).max(1), ..most }
}

/// Keeps a run within its allowance while it goes on.
#[derive(Debug, Default)]
pub(super) struct SpendTracker {
    allowance: SpendLimit,
    spent: Mutex<Reservation>,
}

/// Tokens and money that are held back for a request, or were spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reservation {
    tokens: u64,
    cost: Money,
}

impl SpendTracker {
    pub fn new(allowance: SpendLimit) -> Self {
        Self { allowance, spent: Mutex::default() }
    }

    /// Holds back what a request is expected to take; the reason, where it would cross the limit.
    pub fn hold(&self, terms: &ModelLimits, prompt_tokens: u64) -> Result<Reservation, String> {
        let answer_tokens = terms.all_answer_tokens();
        let cost = terms.cost(prompt_tokens, answer_tokens);
        let wanted =
            Reservation { tokens: prompt_tokens.saturating_add(answer_tokens), cost: cost.unwrap_or(Money::ZERO) };
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let after =
            Reservation { tokens: spent.tokens.saturating_add(wanted.tokens), cost: spent.cost.plus(wanted.cost) };
        if !self.allowance.allows(after.tokens, cost.map(|_| after.cost)) {
            return Err(format!(
                "it was not asked, since the run would take more than the {} that it may",
                self.allowance
            ));
        }
        *spent = after;
        Ok(wanted)
    }

    /// Puts what was held back in the place of what the answer took; where the server did not count it, it stays.
    pub fn settle(&self, held: Reservation, answer: &ChatResponse) {
        let counted = answer.usage.and_then(|usage| usage.prompt_tokens.zip(usage.completion_tokens));
        let tokens = counted.map_or(held.tokens, |(prompt, completion)| prompt.saturating_add(completion));
        self.replace(held, Reservation { tokens, cost: answer.cost.unwrap_or(held.cost) });
    }

    /// Gives back what was held for a request that the server did not take.
    pub fn give_back(&self, held: Reservation) {
        self.replace(held, Reservation::default());
    }

    fn replace(&self, old: Reservation, new: Reservation) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.tokens = spent.tokens.saturating_sub(old.tokens).saturating_add(new.tokens);
        spent.cost = Money::from_picos(spent.cost.picos().saturating_sub(old.cost.picos())).plus(new.cost);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::Usage;
    use crate::http::{ServerConfig, parse_base_url};
    use crate::llm::ChatConfig;

    fn terms(url: &str, model: &str) -> ModelLimits {
        let server = ServerConfig::new(parse_base_url(url).expect("an address"));
        ModelLimits::of(&ChatConfig::new(server, model))
    }

    /// 0.15 dollars a million tokens in, 0.60 out; a picture is 2833 tokens and 5667 for each tile.
    fn mini() -> ModelLimits {
        terms("https://api.openai.com/v1", "gpt-4o-mini")
    }

    const WISH: Wish = Wish { n_frames: 50, size: (1920, 1080), max_width: 768, word_tokens: 2000, frame_tokens: 500 };

    fn tokens(n: u64) -> SpendLimit {
        SpendLimit { tokens: Some(n), ..SpendLimit::default() }
    }

    fn dollars(text: &str) -> SpendLimit {
        SpendLimit { cost: Money::parse_dollars(text), ..SpendLimit::default() }
    }

    #[test]
    fn first_fewer_frames_then_smaller_ones_then_low_detail() {
        // A frame of 768 by 432 is 2833 + 2 * 5667 tokens, of 512 by 288 or less 2833 + 5667, in low detail 2833.
        let table = [
            ("1", 50, 768, None),
            ("0.05", 21, 768, None),
            ("0.02", 8, 768, None),
            ("0.015", 10, 512, None),
            ("0.008", 16, 512, Some(Detail::Low)),
            ("0.0025", 3, 512, Some(Detail::Low)),
        ];
        for (most, n_frames, max_width, detail) in table {
            let choice = fit_into(&WISH, dollars(most), &mini()).expect(most);
            assert_eq!(
                (choice.n_frames, choice.max_width, choice.params.detail),
                (n_frames, max_width, detail),
                "{most}"
            );
        }
        let changes = fit_into(&WISH, dollars("0.008"), &mini()).expect("a choice").changes;
        assert_eq!(
            changes,
            [
                "16 of 50 frames are looked at",
                "pictures are 512 pixels wide in place of 768",
                "pictures are looked at in low detail"
            ]
        );
        let error = fit_into(&WISH, dollars("0.0001"), &mini()).expect_err("too little").to_string();
        assert!(error.starts_with("--max-cost: $0.0001 is less than the least that this file takes: "), "{error}");
    }

    #[test]
    fn an_unknown_price_is_no_price() {
        let unknown = terms("http://localhost:9/v1", "m");
        let error = dollars("1").check(&unknown).expect_err("no price").to_string();
        assert_eq!(error, "--max-cost: the price of m is not known; limit the run by --max-tokens-total");
        assert!(dollars("1").check(&mini()).is_ok() && tokens(1).check(&unknown).is_ok());
    }

    #[test]
    fn a_purse_counts_what_is_held_and_what_was_spent() {
        let terms = ModelLimits { answer_tokens: 100, ..mini() };
        let purse = SpendTracker::new(tokens(1000));
        let first = purse.hold(&terms, 500).expect("600");
        assert!(purse.hold(&terms, 400).is_err(), "1100");
        let usage = Usage { prompt_tokens: Some(300), completion_tokens: Some(50), ..Usage::default() };
        purse.settle(first, &ChatResponse { usage: Some(usage), ..ChatResponse::new(Vec::new()) });
        let second = purse.hold(&terms, 550).expect("350 and 650");
        assert!(purse.hold(&terms, 0).is_err(), "all is spent");
        purse.give_back(second);
        let third = purse.hold(&terms, 550).expect("as before");
        purse.settle(third, &ChatResponse::new(Vec::new()));
        assert!(purse.hold(&terms, 0).is_err(), "what nobody counted is as expected");
    }

    proptest! {
        #[test]
        fn a_choice_is_within_its_allowance(
            n_frames in 0_usize..300, word_tokens in 0_u64..50_000, most in 1_u64..2_000_000,
            width in 16_u32..4000, max_width in 16_u32..2000, is_mini in any::<bool>(),
        ) {
            let terms = if is_mini { mini() } else { terms("http://localhost:9/v1", "m") };
            let wish = Wish { n_frames, size: (width, 1080), max_width, word_tokens, frame_tokens: 500 };
            if let Ok(choice) = fit_into(&wish, tokens(most), &terms) {
                let terms = ModelLimits { params: choice.params.clone(), ..terms };
                prop_assert!(expected(&wish, choice.n_frames, choice.max_width, &terms).0 <= most);
                prop_assert!(choice.n_frames <= n_frames && choice.max_width <= max_width);
                prop_assert_eq!(choice.n_frames == 0, n_frames == 0);
            }
        }
    }
}
