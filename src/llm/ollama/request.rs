//! From messages to the JSON of `/api/chat`.

use crate::chat::{Part, Role};
use crate::llm::body::RequestBody;
use crate::llm::supported_params::{Adapted, Param};
use crate::llm::{ChatConfig, ChatRequest};

/// Room for the answer where no limit is asked for.
pub(super) const ANSWER_TOKENS: u64 = 2048;
/// The shortest context that is asked for: Ollama's own default.
const MIN_CONTEXT: u64 = 4096;

/// The context for a request of about so many tokens: a quarter more, since estimates are off by that, and the next
/// power of two, since another length makes Ollama load the model anew.
pub(super) fn context(prompt: u64, answer: u64) -> u64 {
    let wanted = prompt.saturating_add(prompt / 4).saturating_add(answer);
    wanted.max(MIN_CONTEXT).checked_next_power_of_two().unwrap_or(u64::MAX)
}

pub(super) fn is_address(part: &Part) -> bool {
    matches!(part, Part::ImageUrl(_))
}

/// The request. Each part is a message of its own: pictures stand before the text of theirs, and would lose the label
/// before them.
pub(super) fn body(config: &ChatConfig, sent: &Adapted, question: &ChatRequest<'_>, n_context: u64) -> RequestBody {
    let params = &config.params;
    let mut body = RequestBody::default();
    body.raw("{\"model\":");
    body.string(&config.model);
    body.raw(",\"messages\":[");
    let parts = question.messages.iter().flat_map(|message| message.parts.iter().map(|part| (message.role, part)));
    for (at, (role, part)) in parts.filter(|(_, part)| !is_address(part)).enumerate() {
        body.raw(if at == 0 { "" } else { "," });
        body.raw(match role {
            Role::System => "{\"role\":\"system\",\"content\":",
            Role::User => "{\"role\":\"user\",\"content\":",
        });
        match part {
            Part::Text(text) | Part::ImageUrl(text) => body.string(text),
            // Refused before: the API has no such part.
            Part::Audio(_) => body.string("(sound)"),
            Part::Image(image) => {
                body.raw("\"\",\"images\":[");
                body.base64(&image.bytes);
                body.raw("]");
            }
        }
        body.raw("}");
    }
    body.raw(if question.stream.is_some() { "],\"stream\":true" } else { "],\"stream\":false" });
    if let Some(format) = question.response_format.filter(|_| sent.takes(Param::ResponseFormat)) {
        body.raw(",\"format\":");
        body.json(format.schema());
    }
    if let Some(effort) = params.reasoning_effort.as_deref().filter(|_| sent.takes(Param::ReasoningEffort)) {
        body.raw(",\"think\":");
        if effort == "none" { body.raw("false") } else { body.string(effort) }
    }
    body.raw(",\"options\":{\"num_ctx\":");
    body.number(n_context);
    if let Some(max_tokens) = params.max_tokens.filter(|_| sent.takes(Param::MaxTokens)) {
        body.raw(",\"num_predict\":");
        body.number(max_tokens);
    }
    if let Some(seed) = params.seed.filter(|_| sent.takes(Param::Seed)) {
        body.raw(",\"seed\":");
        body.number(seed);
    }
    if !params.stop.is_empty() && sent.takes(Param::Stop) {
        body.raw(",\"stop\":");
        body.strings(&params.stop);
    }
    if let Some(temperature) = params.temperature.filter(|_| sent.takes(Param::Temperature)) {
        body.raw(",\"temperature\":");
        body.number(temperature);
    }
    if let Some(top_p) = params.top_p.filter(|_| sent.takes(Param::TopP)) {
        body.raw(",\"top_p\":");
        body.number(top_p);
    }
    body.raw("}}");
    body.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_grows_in_powers_of_two() {
        for (prompt, answer, expected) in
            [(0, 2048, 4096), (1600, 2048, 4096), (1700, 2048, 8192), (13_440, 2048, 32_768), (u64::MAX, 1, u64::MAX)]
        {
            assert_eq!(context(prompt, answer), expected, "{prompt} {answer}");
        }
    }
}
