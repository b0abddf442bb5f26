//! Spending limits: shrink the plan to fit, then reserve the cost of each request before it is sent.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::advice::{Advice, Setting};
use crate::chat::ChatResponse;
use crate::error::{Error, ErrorCode, Result};
use crate::llm::{Detail, ModelLimits, SamplingParams};
use crate::money::Money;
use crate::time::{TimeRange, Timestamp};
use crate::timeline::{Load, Passage};
use crate::video::fit;

/// Frames are made smaller before fewer frames than this are used.
const FEW_FRAMES: usize = 8;
/// The smaller widths that are tried, in pixels.
const SMALLER: [u32; 3] = [512, 384, 256];
/// Tokens of a frame's label and of what a server adds around an image.
const LABEL_TOKENS: u64 = 16;
/// The longest window: over more time, models lose events.
pub(super) const MAX_WINDOW_MILLIS: u64 = 300_000;
/// A window may hold this many frames without speech, however far they are apart.
const MIN_WINDOW_FRAMES: u64 = 8;
/// Recordings that are longer than this are divided into sections.
const MIN_SECTIONED_MILLIS: u64 = 600_000;
/// Bytes of a JPEG image per 100 pixels, a high estimate.
const BYTES_OF_100_PIXELS: u64 = 40;

/// The most that a run may spend; None means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpendLimit {
    /// Money, by the price table.
    pub cost: Option<Money>,
    /// Tokens of all requests and answers.
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
    pub fn check(self, limits: &ModelLimits) -> Result<()> {
        if self.cost.is_some() && limits.cost(0, 0).is_none() {
            let problem = format!("the price of {} is not known", limits.model);
            return Err(Error::setting(Setting::MaxCost, problem, Advice::Set(Setting::MaxTokensTotal)));
        }
        Ok(())
    }

    pub(crate) fn allows(self, tokens: u64, cost: Option<Money>) -> bool {
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

/// The evidence that is planned, before a frame is decoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FramePlan {
    /// Planned frames.
    pub n_frames: usize,
    /// Width and height of the video's frames in pixels.
    pub size: (u32, u32),
    /// Maximum width of the images in pixels.
    pub max_width: u32,
    /// Tokens of the transcript.
    pub word_tokens: u64,
    /// Tokens of each request without its evidence.
    pub frame_tokens: u64,
    /// Milliseconds of the recording.
    pub n_millis: u64,
    /// Whether the sections are the answer.
    pub lists_chapters: bool,
}

/// The requests after those of the windows, where records and sections fit into one each.
pub(super) fn n_merges(n_windows: usize, n_millis: u64, lists_chapters: bool) -> usize {
    if n_windows <= 1 && !lists_chapters {
        return 0;
    }
    usize::from(is_sectioned(n_millis, lists_chapters)) + usize::from(!lists_chapters)
}

/// Whether a recording is longer than one window.
pub(crate) fn is_windowed(range: TimeRange) -> bool {
    range.length().millis().unsigned_abs() > MAX_WINDOW_MILLIS
}

/// Whether records are divided into sections.
pub(super) fn is_sectioned(n_millis: u64, lists_chapters: bool) -> bool {
    lists_chapters || n_millis > MIN_SECTIONED_MILLIS
}

/// The milliseconds of a passage, as a window counts them: those of its speech, and of what follows it no more than an eighth
/// of a window, so that frames far apart do not get a window each.
pub(super) fn window_millis(passage: Passage<'_>) -> u64 {
    let spoken_until = passage.words.iter().map(|word| word.range.end).max().unwrap_or(passage.range.start);
    let spoken_until = spoken_until.max(passage.range.start).min(passage.range.end);
    let millis = |from: Timestamp, to: Timestamp| to.minus(from).millis().unsigned_abs();
    let silence = millis(spoken_until, passage.range.end).min(MAX_WINDOW_MILLIS / MIN_WINDOW_FRAMES);
    millis(passage.range.start, spoken_until) + silence
}

/// A plan that stays within a spending limit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FittedPlan {
    pub n_frames: usize,
    pub max_width: u32,
    pub params: SamplingParams,
    /// What was changed, as phrases; empty where the plan fitted unchanged.
    pub changes: Vec<String>,
}

/// Fits a plan into a spending limit: fewer frames, then smaller ones, then low detail, then as few frames as needed.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where not even one small frame fits.
pub(crate) fn fit_plan(plan: &FramePlan, limit: SpendLimit, limits: &ModelLimits) -> Result<FittedPlan> {
    let widths = [plan.max_width].into_iter().chain(SMALLER.into_iter().filter(|width| *width < plan.max_width));
    let mut rungs: Vec<(u32, ModelLimits)> = widths.map(|width| (width, limits.clone())).collect();
    // A smaller image with as many tokens does not help.
    let is_idle = |next: &mut (u32, ModelLimits), before: &mut (u32, ModelLimits)| {
        picture_tokens(plan, next.0, &next.1) >= picture_tokens(plan, before.0, &before.1)
    };
    rungs.dedup_by(is_idle);
    let low = SamplingParams { detail: Some(Detail::Low), ..limits.params.clone() };
    rungs.push((rungs[rungs.len() - 1].0, ModelLimits { params: low, ..limits.clone() }));
    rungs.dedup_by(is_idle);
    let most = |(width, limits): &(u32, ModelLimits)| {
        let fits = |n: usize| {
            let (tokens, cost) = expected(plan, n, *width, limits);
            limit.allows(tokens, cost)
        };
        (0..=plan.n_frames).rev().find(|n| fits(*n))
    };
    let enough = plan.n_frames.min(FEW_FRAMES);
    let last = rungs.len() - 1;
    for (at, rung) in rungs.iter().enumerate() {
        let fewest = if at == last { plan.n_frames.min(1) } else { enough };
        if let Some(n_frames) = most(rung).filter(|n| *n >= fewest) {
            return Ok(fitted(plan, limits, n_frames, rung));
        }
    }
    let (tokens, cost) = expected(plan, plan.n_frames.min(1), rungs[last].0, &rungs[last].1);
    let cost = cost.map(|cost| format!(", {cost}")).unwrap_or_default();
    let setting = if limit.cost.is_some() { Setting::MaxCost } else { Setting::MaxTokensTotal };
    let problem = format!("{limit} is less than the minimum for this file: {tokens} tokens{cost}");
    let advice = Advice::Raise(setting).or(Advice::Set(Setting::Start)).or(Advice::Set(Setting::End));
    Err(Error::setting(setting, problem, advice).with_code(ErrorCode::SpendLimit))
}

fn fitted(
    plan: &FramePlan,
    limits: &ModelLimits,
    n_frames: usize,
    (max_width, rung): &(u32, ModelLimits),
) -> FittedPlan {
    let mut changes = Vec::new();
    if n_frames < plan.n_frames {
        changes.push(format!("{n_frames} of {} frames are used", plan.n_frames));
    }
    if n_frames > 0 && *max_width < plan.max_width {
        changes.push(format!("images are at most {max_width} pixels wide instead of {}", plan.max_width));
    }
    if n_frames > 0 && rung.params.detail != limits.params.detail {
        changes.push("images are sent in low detail".to_owned());
    }
    FittedPlan { n_frames, max_width: *max_width, params: rung.params.clone(), changes }
}

fn picture_tokens(plan: &FramePlan, max_width: u32, limits: &ModelLimits) -> u64 {
    let (width, height) = fit(plan.size, max_width);
    limits.image_tokens(width, height)
}

/// Expected tokens and money of a whole run over `n_frames` frames.
fn expected(plan: &FramePlan, n_frames: usize, max_width: u32, limits: &ModelLimits) -> (u64, Option<Money>) {
    let n = n_frames as u64;
    let (width, height) = fit(plan.size, max_width);
    let n_bytes = n * (u64::from(width) * u64::from(height) * BYTES_OF_100_PIXELS / 100);
    let evidence = n * (picture_tokens(plan, max_width, limits) + LABEL_TOKENS) + plan.word_tokens;
    let most = limits.capacity();
    let room = most.n_tokens.saturating_sub(plan.frame_tokens).max(1);
    // Without speech, frames alone fill the windows.
    let n_millis = if plan.word_tokens > 0 {
        plan.n_millis
    } else {
        plan.n_millis.min(n.saturating_mul(MAX_WINDOW_MILLIS / MIN_WINDOW_FRAMES))
    };
    let n_windows = n
        .div_ceil(most.n_frames.max(1))
        .max(n_bytes.div_ceil(most.n_bytes.max(1)))
        .max(evidence.div_ceil(room))
        .max(n_millis.div_ceil(MAX_WINDOW_MILLIS))
        .max(1);
    let n_merges =
        n_merges(usize::try_from(n_windows).unwrap_or(usize::MAX), plan.n_millis, plan.lists_chapters) as u64;
    let prompt =
        evidence + n_windows * plan.frame_tokens + n_merges * merge_tokens(limits, plan.frame_tokens, n_windows);
    // The last request is for all choices, the others for one each.
    let answers = (n_windows + n_merges - 1) * limits.answer_tokens + limits.all_answer_tokens();
    (prompt + answers, limits.cost(prompt, answers))
}

/// Tokens of a request that merges the answers about `n_windows` windows.
pub(crate) fn merge_tokens(limits: &ModelLimits, frame_tokens: u64, n_windows: u64) -> u64 {
    n_windows.saturating_mul(limits.answer_tokens + LABEL_TOKENS).saturating_add(frame_tokens)
}

/// What one request may hold in addition to its rules, facts and task.
pub(crate) fn room(limits: &ModelLimits, frame_tokens: u64) -> Load {
    let most = limits.capacity();
    Load { n_tokens: most.n_tokens.saturating_sub(frame_tokens).max(1), ..most }
}

/// Keeps a run within its spending limit.
#[derive(Debug, Default)]
pub(crate) struct SpendTracker {
    limit: SpendLimit,
    spent: Mutex<Reservation>,
}

/// Tokens and money that are reserved for a request, or were spent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reservation {
    tokens: u64,
    cost: Money,
}

impl SpendTracker {
    pub fn new(limit: SpendLimit) -> Self {
        Self { limit, spent: Mutex::default() }
    }

    /// Whether `n` more requests of this size stay within the limit.
    pub fn has_room(&self, limits: &ModelLimits, prompt_tokens: u64, n: u64) -> bool {
        let (prompt_tokens, answer_tokens) =
            (prompt_tokens.saturating_mul(n), limits.all_answer_tokens().saturating_mul(n));
        let spent = *self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let cost = limits.cost(prompt_tokens, answer_tokens).map(|cost| spent.cost.plus(cost));
        let tokens = spent.tokens.saturating_add(prompt_tokens).saturating_add(answer_tokens);
        self.limit.allows(tokens, cost)
    }

    /// Reserves what a request is expected to take.
    ///
    /// # Errors
    /// The reason, where it would exceed the limit.
    pub fn reserve(&self, limits: &ModelLimits, prompt_tokens: u64) -> Result<Reservation, String> {
        let answer_tokens = limits.all_answer_tokens();
        let cost = limits.cost(prompt_tokens, answer_tokens);
        let wanted =
            Reservation { tokens: prompt_tokens.saturating_add(answer_tokens), cost: cost.unwrap_or(Money::ZERO) };
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let after =
            Reservation { tokens: spent.tokens.saturating_add(wanted.tokens), cost: spent.cost.plus(wanted.cost) };
        if !self.limit.allows(after.tokens, cost.map(|_| after.cost)) {
            return Err(format!("the request was not sent, because the run would exceed its limit of {}", self.limit));
        }
        *spent = after;
        Ok(wanted)
    }

    /// Replaces a reservation by what the response took; where the server did not count, the reservation stays.
    pub fn settle(&self, reservation: Reservation, answer: &ChatResponse) {
        let counted = answer.usage.and_then(|usage| usage.prompt_tokens.zip(usage.completion_tokens));
        let tokens = counted.map_or(reservation.tokens, |(prompt, completion)| prompt.saturating_add(completion));
        self.replace(reservation, Reservation { tokens, cost: answer.cost.unwrap_or(reservation.cost) });
    }

    /// Settles a reservation by the outcome of its request. Where it is unknown whether the request is charged, the
    /// reservation stays.
    pub fn settle_outcome(&self, reservation: Reservation, outcome: &Result<ChatResponse>) {
        match outcome {
            Ok(response) => self.settle(reservation, response),
            Err(error) if error.is_limit() || error.code == ErrorCode::ToolsUnsupported => self.release(reservation),
            Err(_) => {}
        }
    }

    /// Releases the reservation of a request that the server did not accept.
    pub fn release(&self, reservation: Reservation) {
        self.replace(reservation, Reservation::default());
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

    fn model_limits(url: &str, model: &str) -> ModelLimits {
        let server = ServerConfig::new(parse_base_url(url).expect("an address"));
        ModelLimits::of(&ChatConfig::new(server, model))
    }

    /// 0.15 dollars a million tokens in, 0.60 out; a picture is 2833 tokens and 5667 for each tile.
    fn mini() -> ModelLimits {
        model_limits("https://api.openai.com/v1", "gpt-4o-mini")
    }

    const PLAN: FramePlan = FramePlan {
        n_frames: 50,
        size: (1920, 1080),
        max_width: 768,
        word_tokens: 2000,
        frame_tokens: 500,
        n_millis: 300_000,
        lists_chapters: false,
    };

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
            let fitted = fit_plan(&PLAN, dollars(most), &mini()).expect(most);
            assert_eq!(
                (fitted.n_frames, fitted.max_width, fitted.params.detail),
                (n_frames, max_width, detail),
                "{most}"
            );
        }
        let changes = fit_plan(&PLAN, dollars("0.008"), &mini()).expect("a fitted").changes;
        assert_eq!(
            changes,
            [
                "16 of 50 frames are used",
                "images are at most 512 pixels wide instead of 768",
                "images are sent in low detail"
            ]
        );
        let error = fit_plan(&PLAN, dollars("0.0001"), &mini()).expect_err("too little").to_string();
        assert!(error.starts_with("the cost limit: $0.0001 is less than the minimum for this file: "), "{error}");
    }

    #[test]
    fn an_hour_is_expected_to_take_its_windows_and_merges() {
        let limits = ModelLimits { answer_tokens: 1000, ..mini() };
        let tokens = |plan: &FramePlan| expected(plan, plan.n_frames, plan.max_width, &limits).0;
        let short = FramePlan { n_frames: 0, ..PLAN };
        assert_eq!(tokens(&short), 2000 + 500 + 1000, "one request");
        let hour = FramePlan { n_millis: 3_600_000, ..short };
        let merge = merge_tokens(&limits, 500, 12);
        assert_eq!(tokens(&hour), 2000 + 12 * 500 + 2 * merge + 14 * 1000, "twelve windows, the sections, the answer");
        let chapters = FramePlan { lists_chapters: true, ..hour };
        assert_eq!(tokens(&chapters), 2000 + 12 * 500 + merge + 13 * 1000, "the sections are the answer");
        // Without speech, few frames share a window however far they are apart.
        let silent = FramePlan { word_tokens: 0, n_frames: 7, ..hour };
        assert_eq!(tokens(&silent), tokens(&FramePlan { n_millis: 300_000, ..silent }));
    }

    #[test]
    fn an_unknown_price_is_no_price() {
        let unknown = model_limits("http://localhost:9/v1", "m");
        let error = dollars("1").check(&unknown).expect_err("no price").to_string();
        assert_eq!(error, "the cost limit: the price of m is not known; set the token limit of the run");
        assert!(dollars("1").check(&mini()).is_ok() && tokens(1).check(&unknown).is_ok());
    }

    #[test]
    fn a_tracker_counts_what_is_reserved_and_what_was_spent() {
        let limits = ModelLimits { answer_tokens: 100, ..mini() };
        let tracker = SpendTracker::new(tokens(1000));
        let first = tracker.reserve(&limits, 500).expect("600");
        assert!(tracker.reserve(&limits, 400).is_err(), "1100");
        let usage = Usage { prompt_tokens: Some(300), completion_tokens: Some(50), ..Usage::default() };
        tracker.settle(first, &ChatResponse { usage: Some(usage), ..ChatResponse::new(Vec::new()) });
        let second = tracker.reserve(&limits, 550).expect("350 and 650");
        assert!(tracker.reserve(&limits, 0).is_err(), "all is spent");
        tracker.release(second);
        let third = tracker.reserve(&limits, 550).expect("as before");
        tracker.settle(third, &ChatResponse::new(Vec::new()));
        assert!(tracker.reserve(&limits, 0).is_err(), "what nobody counted is as expected");
    }

    proptest! {
        #[test]
        fn a_fitted_is_within_its_limit(
            n_frames in 0_usize..300, word_tokens in 0_u64..50_000, most in 1_u64..2_000_000,
            width in 16_u32..4000, max_width in 16_u32..2000, is_mini in any::<bool>(), n_millis in 0_u64..20_000_000,
        ) {
            let own_limits = if is_mini { mini() } else { model_limits("http://localhost:9/v1", "m") };
            let plan = FramePlan { n_frames, size: (width, 1080), max_width, word_tokens, n_millis, ..PLAN };
            if let Ok(fitted) = fit_plan(&plan, tokens(most), &own_limits) {
                let limits = ModelLimits { params: fitted.params.clone(), ..own_limits };
                prop_assert!(expected(&plan, fitted.n_frames, fitted.max_width, &limits).0 <= most);
                prop_assert!(fitted.n_frames <= n_frames && fitted.max_width <= max_width);
                prop_assert_eq!(fitted.n_frames == 0, n_frames == 0);
            }
        }
    }
}
