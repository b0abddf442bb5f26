//! Separates a model's answer from its reasoning, and removes markup that some models put around the answer.

/// The opening and closing tags of reasoning blocks, as templates of open models write them.
const REASONING_TAGS: [(&str, &str); 8] = [
    // DeepSeek R1, Qwen 3, GLM, MiniMax and others
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    // Magistral
    ("[THINK]", "[/THINK]"),
    // Kimi-VL
    ("◁think▷", "◁/think▷"),
    // Seed-OSS
    ("<seed:think>", "</seed:think>"),
    // gpt-oss (harmony)
    ("<|channel|>analysis<|message|>", "<|end|>"),
];

/// Tokens that enclose an answer; the text between them is the answer. GLM-4.1V and 4.5V, Qwen-VL derivatives, harmony.
const WRAPPERS: [&str; 7] = [
    "<|begin_of_box|>",
    "<|end_of_box|>",
    "<answer>",
    "</answer>",
    "<|start|>assistant",
    "<|channel|>final<|message|>",
    "<|return|>",
];

/// Tokens that end a turn: some servers do not remove them.
const END_TOKENS: [&str; 8] =
    ["<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|end|>", "<end_of_turn>", "</s>", "<|return|>"];

/// Languages of a code fence that contains prose or JSON rather than code.
const PROSE_FENCES: [&str; 7] = ["", "markdown", "md", "text", "txt", "plaintext", "json"];

/// An answer, and the reasoning that came before it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AnswerText {
    pub answer: String,
    pub reasoning: Option<String>,
}

impl AnswerText {
    /// Splits the text of a response.
    pub fn parse(text: &str) -> Self {
        let (reasoning, rest) = split_reasoning(text);
        let rest = if reasoning.is_empty() { rest } else { rest.trim_start() };
        Self { answer: without_markup(rest), reasoning: joined(reasoning) }
    }

    /// Adds reasoning that the server sent in a field of its own.
    pub fn with_reasoning(mut self, first: &str) -> Self {
        self.reasoning = joined([first.to_owned()].into_iter().chain(self.reasoning));
        self
    }
}

fn joined(parts: impl IntoIterator<Item = String>) -> Option<String> {
    let parts = parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty());
    let text = parts.collect::<Vec<_>>().join("\n\n");
    (!text.is_empty()).then_some(text)
}

/// The reasoning blocks at the start of a text, and the rest of it. A block that is not closed takes all of the text: the
/// answer was cut off.
fn split_reasoning(text: &str) -> (Vec<String>, &str) {
    let (mut blocks, mut rest) = (Vec::new(), text);
    loop {
        let trimmed = rest.trim_start().trim_start_matches("<|start|>assistant");
        let Some((open, close)) = REASONING_TAGS.into_iter().find(|(open, _)| trimmed.starts_with(open)) else { break };
        let body = &trimmed[open.len()..];
        let Some(end) = body.find(close) else {
            blocks.push(body.to_owned());
            return (blocks, "");
        };
        blocks.push(body[..end].to_owned());
        rest = &body[end + close.len()..];
    }
    // Some templates put the opening tag into the prompt. The closing tag must end its line: a caption may quote one.
    if blocks.is_empty() {
        let closing = |(open, close): (&str, &str)| {
            let (at, end) = rest.find(close).map(|at| (at, at + close.len()))?;
            let ends_line = rest[end..].trim_start_matches([' ', '\t', '\r']);
            let is_orphan = !rest[..at].contains(open) && (ends_line.is_empty() || ends_line.starts_with('\n'));
            is_orphan.then_some((at, end))
        };
        let tags = REASONING_TAGS.into_iter().filter(|(_, close)| *close != "<|end|>");
        if let Some((at, end)) = tags.filter_map(closing).min() {
            blocks.push(rest[..at].to_owned());
            rest = &rest[end..];
        }
    }
    (blocks, rest)
}

/// The answer without wrapper tokens, tokens that end a turn, and a code fence around all of it. A text without any is
/// unchanged.
fn without_markup(text: &str) -> String {
    let is_wrapped = |text: &str| {
        let text = text.trim();
        text.contains("<|begin_of_box|>")
            || text.contains("<|channel|>final<|message|>")
            || (text.starts_with("<answer>") && text.ends_with("</answer>"))
    };
    let unwrapped = if is_wrapped(text) {
        WRAPPERS.iter().fold(text.to_owned(), |text, token| text.replace(token, ""))
    } else {
        text.to_owned()
    };
    let mut rest = if is_wrapped(text) { unwrapped.trim() } else { unwrapped.as_str() };
    while let Some(before) = END_TOKENS.iter().find_map(|token| rest.trim_end().strip_suffix(token)) {
        rest = before.trim_end();
    }
    without_fence(rest).unwrap_or(rest).to_owned()
}

/// The content of the one code fence that encloses all of `text`.
fn without_fence(text: &str) -> Option<&str> {
    let body = text.trim();
    let mark = ["```", "~~~"].into_iter().find(|mark| body.starts_with(mark) && body.ends_with(mark))?;
    let body = body.strip_prefix(mark)?.strip_suffix(mark)?;
    if body.contains(mark) {
        return None;
    }
    match body.split_once('\n') {
        Some((language, content)) => {
            let is_prose = PROSE_FENCES.contains(&language.trim().to_ascii_lowercase().as_str());
            is_prose.then(|| content.trim_end())
        }
        // On one line: ```a dog```
        None => Some(body.trim()),
    }
}

/// Removes reasoning blocks from a text that arrives in pieces.
#[derive(Debug, Default)]
pub(super) struct ReasoningFilter {
    state: FilterState,
    /// Text that may be the start of a tag, or reasoning.
    held: String,
}

#[derive(Debug, Default)]
enum FilterState {
    /// At the start of the text, or after a block.
    #[default]
    Start,
    /// Inside a block that ends with this tag.
    Inside(&'static str),
    /// In the answer.
    Answer,
}

impl ReasoningFilter {
    /// Takes the next piece, and returns the part of the text that is known to be the answer.
    pub fn feed(&mut self, piece: &str) -> String {
        if matches!(self.state, FilterState::Answer) {
            return piece.to_owned();
        }
        self.held.push_str(piece);
        loop {
            match self.state {
                FilterState::Answer => return std::mem::take(&mut self.held),
                FilterState::Inside(close) => {
                    let Some(end) = self.held.find(close).map(|at| at + close.len()) else { return String::new() };
                    self.held = self.held[end..].to_owned();
                    self.state = FilterState::Start;
                }
                FilterState::Start => {
                    let text = self.held.trim_start();
                    let opened = REASONING_TAGS.into_iter().find(|(open, _)| text.starts_with(open));
                    if let Some((open, close)) = opened {
                        self.held = text[open.len()..].to_owned();
                        self.state = FilterState::Inside(close);
                    } else if REASONING_TAGS.iter().any(|(open, _)| open.starts_with(text)) {
                        // A tag may follow.
                        return String::new();
                    } else {
                        self.held = text.to_owned();
                        self.state = FilterState::Answer;
                    }
                }
            }
        }
    }

    /// The end of the text: what was held back because a tag could have followed.
    pub fn finish(&mut self) -> String {
        match std::mem::take(&mut self.state) {
            FilterState::Start => std::mem::take(&mut self.held),
            FilterState::Inside(_) | FilterState::Answer => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, Option<String>) {
        let AnswerText { answer, reasoning } = AnswerText::parse(text);
        (answer, reasoning)
    }

    #[test]
    fn reasoning_blocks_are_separated() {
        #[rustfmt::skip]
        let table = [
            ("A dog.", "A dog.", None),
            ("<think>\nIs it a dog?\n</think>\n\nA dog.", "A dog.", Some("Is it a dog?")),
            ("<think></think>A dog.", "A dog.", None),
            ("<think>a</think><think>b</think>\nA dog.", "A dog.", Some("a\n\nb")),
            ("<thinking>a</thinking>A dog.", "A dog.", Some("a")),
            ("[THINK]a[/THINK]A dog.", "A dog.", Some("a")),
            ("◁think▷a◁/think▷A dog.", "A dog.", Some("a")),
            ("<seed:think>a</seed:think>A dog.", "A dog.", Some("a")),
            ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>A dog.<|return|>", "A dog.", Some("a")),
            // The opening tag was in the prompt.
            ("Is it a dog?\n</think>\n\nA dog.", "A dog.", Some("Is it a dog?")),
            // Cut off before the answer.
            ("<think>Is it", "", Some("Is it")),
            ("<think>a</think>{\"captions\":[]}", "{\"captions\":[]}", Some("a")),
            // Not reasoning: quoted in an answer.
            ("The slide shows <think> and </think> tags.", "The slide shows <think> and </think> tags.", None),
            ("The slide shows </think> in red.", "The slide shows </think> in red.", None),
        ];
        for (text, answer, reasoning) in table {
            let found = parsed(text);
            assert_eq!((found.0.as_str(), found.1.as_deref()), (answer, reasoning), "{text}");
        }
    }

    #[test]
    fn markup_around_the_answer_is_removed() {
        #[rustfmt::skip]
        let table = [
            ("<|begin_of_box|>A dog.<|end_of_box|>", "A dog."),
            ("The answer is <|begin_of_box|>A dog.<|end_of_box|>", "The answer is A dog."),
            ("<answer>A dog.</answer>", "A dog."),
            ("A dog.<|im_end|>", "A dog."),
            ("A dog.</s>\n<|endoftext|>", "A dog."),
            ("```\nA dog.\n```", "A dog."),
            ("```markdown\n# A dog\n\nruns\n```\n", "# A dog\n\nruns"),
            ("```json\n{\"a\":1}\n```", "{\"a\":1}"),
            ("~~~text\nA dog.\n~~~", "A dog."),
            ("```A dog.```", "A dog."),
            // Kept: part of the answer.
            ("Run:\n```\nls\n```", "Run:\n```\nls\n```"),
            ("```\na\n```\nand\n```\nb\n```", "```\na\n```\nand\n```\nb\n```"),
            ("```rust\nfn a() {}\n```", "```rust\nfn a() {}\n```"),
            ("An HTML tag: <answer>", "An HTML tag: <answer>"),
            ("  A dog. \n", "  A dog. \n"),
        ];
        for (text, answer) in table {
            assert_eq!(parsed(text), (answer.to_owned(), None), "{text}");
        }
        assert_eq!(parsed("<think>a</think>\n```\nA dog.\n```"), ("A dog.".to_owned(), Some("a".to_owned())));
    }

    #[test]
    fn a_stream_shows_only_the_answer_wherever_it_is_cut() {
        for (text, answer) in [
            ("<think>a < b</think>\n\nA <b>dog</b>.", "A <b>dog</b>."),
            ("<think>a</think> <think>b</think>A dog.", "A dog."),
            ("A dog.", "A dog."),
            ("<th", "<th"),
            ("<table>", "<table>"),
            ("<think>never closed", ""),
            ("", ""),
        ] {
            for size in 1..=text.len().max(1) {
                let (mut filter, mut shown) = (ReasoningFilter::default(), String::new());
                let chars: Vec<char> = text.chars().collect();
                for piece in chars.chunks(size) {
                    shown += &filter.feed(&piece.iter().collect::<String>());
                }
                shown += &filter.finish();
                assert_eq!(shown, answer, "{text} in pieces of {size}");
            }
        }
    }
}
