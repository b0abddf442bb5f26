//! Reads the JSON of a response; accepts the omissions and variations of compatible servers.

use serde_json::Value;

use super::answer_text::AnswerText;
use super::tool_calls;
use crate::advice::{Advice, Setting};
use crate::chat::{ChatResponse, Choice, FinishReason, Usage};
use crate::http::{RequestError, RequestErrorKind, tidy};

/// Reads a reply. A reply without text is a failure, unless it has tool calls, the model refused or a filter removed it.
pub(super) fn read(reply: &Value) -> Result<ChatResponse, RequestError> {
    let Some(choices) = reply.get("choices").and_then(Value::as_array) else {
        let problem = "the reply has no `choices`, which the OpenAI API requires";
        return Err(RequestError::new(RequestErrorKind::Final, problem, Advice::Check(Setting::BaseUrl)));
    };
    let choices: Vec<Choice> = choices.iter().map(read_choice).collect();
    check_content(&choices)?;
    let model = reply.get("model").and_then(Value::as_str).map(tidy).filter(|model| !model.is_empty());
    Ok(ChatResponse { model, usage: reply.get("usage").and_then(read_usage), ..ChatResponse::new(choices) })
}

/// The response to a request without tools: a server that sends calls nevertheless has not answered with them.
pub(super) fn without_calls(mut response: ChatResponse) -> Result<ChatResponse, RequestError> {
    for choice in response.choices.iter_mut().filter(|choice| !choice.tool_calls.is_empty()) {
        choice.tool_calls.clear();
        if choice.finish == FinishReason::ToolCalls {
            choice.finish = FinishReason::Other("tool_calls".to_owned());
        }
    }
    check_content(&response.choices)?;
    Ok(response)
}

fn check_content(choices: &[Choice]) -> Result<(), RequestError> {
    let Some(first) = choices.first() else {
        let advice = "send the request again, or check whether the provider's filter removed the answer";
        return Err(RequestError::new(RequestErrorKind::Final, "the reply has no answer: `choices` is empty", advice));
    };
    let has_content = |a: &Choice| {
        let has_text = !a.text.trim().is_empty() || !a.tool_calls.is_empty();
        has_text || matches!(a.finish, FinishReason::ContentFilter | FinishReason::Refusal)
    };
    if choices.iter().any(has_content) { Ok(()) } else { Err(empty(&first.finish)) }
}

fn empty(finish: &FinishReason) -> RequestError {
    match finish {
        FinishReason::Length => RequestError::new(
            RequestErrorKind::Final,
            "the answer is empty: the token limit was reached before the first word, possibly by hidden reasoning",
            Advice::Raise(Setting::MaxTokens),
        ),
        FinishReason::Other(word) if word.is_empty() => {
            RequestError::new(RequestErrorKind::Final, "the answer is empty", "")
        }
        FinishReason::Other(word) => {
            RequestError::new(RequestErrorKind::Final, format!("the answer is empty, finish reason {word}"), "")
        }
        _ => RequestError::new(
            RequestErrorKind::Final,
            "the answer is empty",
            "send the request again, or choose another model",
        ),
    }
}

fn read_choice(choice: &Value) -> Choice {
    let message = choice.get("message").unwrap_or(&Value::Null);
    let refusal = message.get("refusal").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    let parsed = AnswerText::parse(&message.get("content").map_or_else(String::new, read_content));
    let AnswerText { answer: mut text, reasoning } = parsed.with_reasoning(&read_reasoning(message));
    let mut finish = read_finish(choice.get("finish_reason").and_then(Value::as_str).unwrap_or_default());
    if let Some(refusal) = refusal {
        finish = FinishReason::Refusal;
        if text.trim().is_empty() {
            refusal.clone_into(&mut text);
        }
    }
    let tool_calls = tool_calls::read(message);
    // Ollama and others end such an answer with `stop`.
    let asks = matches!(&finish, FinishReason::Stop) || matches!(&finish, FinishReason::Other(word) if is_call(word));
    if asks && !tool_calls.is_empty() {
        finish = FinishReason::ToolCalls;
    }
    Choice { reasoning, tool_calls, ..Choice::new(text, finish) }
}

/// Content is a string, null, or an array of parts (Mistral's reasoning models, some proxies), whose texts are joined.
pub(super) fn read_content(content: &Value) -> String {
    let of_part = |part: &Value| part.as_str().or_else(|| part.get("text")?.as_str()).unwrap_or_default().to_owned();
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(of_part).collect(),
        _ => String::new(),
    }
}

/// Reasoning in a field of its own: `reasoning_content` (`DeepSeek`, vLLM, llama.cpp), `reasoning` (`OpenRouter`, Groq),
/// `thinking` (Ollama, Anthropic), or parts of type `thinking` in the content (Mistral).
pub(super) fn read_reasoning(message: &Value) -> String {
    let field = ["reasoning_content", "reasoning", "thinking"]
        .iter()
        .find_map(|name| message.get(name)?.as_str().filter(|text| !text.trim().is_empty()));
    if let Some(text) = field {
        return text.to_owned();
    }
    let parts = message.get("content").and_then(Value::as_array).into_iter().flatten();
    parts.filter_map(|part| part.get("thinking")).map(read_content).collect()
}

/// Whether a finish reason says that the model asks for tools, or says nothing.
fn is_call(word: &str) -> bool {
    matches!(word.to_ascii_lowercase().as_str(), "" | "tool_calls" | "tool_use" | "function_call")
}

fn read_finish(word: &str) -> FinishReason {
    match word.to_ascii_lowercase().as_str() {
        "stop" | "eos" | "end_turn" | "stop_sequence" => FinishReason::Stop,
        "length" | "max_tokens" => FinishReason::Length,
        "content_filter" | "safety" => FinishReason::ContentFilter,
        "refusal" => FinishReason::Refusal,
        _ => FinishReason::Other(tidy(word).chars().take(64).collect()),
    }
}

fn read_usage(usage: &Value) -> Option<Usage> {
    let number = |value: Option<&Value>| {
        let value = value?;
        // Some gateways send floats.
        value.as_u64().or_else(|| value.as_f64().filter(|n| *n >= 0.0).map(|n| n as u64))
    };
    let detail = |of: &str, name: &str| number(usage.get(of).and_then(|details| details.get(name)));
    let read = Usage {
        prompt_tokens: number(usage.get("prompt_tokens")),
        completion_tokens: number(usage.get("completion_tokens")),
        cached_tokens: detail("prompt_tokens_details", "cached_tokens"),
        reasoning_tokens: detail("completion_tokens_details", "reasoning_tokens"),
    };
    (read != Usage::default()).then_some(read)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn one(message: &Value, finish: &Value) -> Result<(String, FinishReason), String> {
        let answer = read(&json!({"choices": [{"message": message, "finish_reason": finish}]}));
        answer.map(|mut a| a.choices.remove(0)).map(|a| (a.text, a.finish)).map_err(|failure| failure.problem)
    }

    #[test]
    fn messages_of_several_servers() {
        let text = |text: &str, finish| Ok((text.to_owned(), finish));
        #[rustfmt::skip]
        let table = [
            (json!({"content": "a"}), json!("stop"), text("a", FinishReason::Stop)),
            (json!({"role": "assistant", "content": "a", "refusal": null}), json!("length"), text("a", FinishReason::Length)),
            (json!({"content": "a"}), json!(null), text("a", FinishReason::Other(String::new()))),
            (json!({"content": "a"}), json!("ta\u{7}g!"), text("a", FinishReason::Other("tag!".into()))),
            (json!({"content": "a"}), json!("MAX_TOKENS"), text("a", FinishReason::Length)),
            (json!({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "a"}, "b"]}), json!("stop"),
                text("ab", FinishReason::Stop)),
            (json!({"content": null, "refusal": "I cannot."}), json!("stop"), text("I cannot.", FinishReason::Refusal)),
            (json!({"content": "<think>is it a?</think>\n\na"}), json!("stop"), text("a", FinishReason::Stop)),
            (json!({"content": "<|begin_of_box|>a<|end_of_box|>"}), json!("stop"), text("a", FinishReason::Stop)),
            (json!({"content": "```\na\n```"}), json!("stop"), text("a", FinishReason::Stop)),
            (json!({"refusal": ""}), json!("content_filter"), text("", FinishReason::ContentFilter)),
            (json!({"content": "part"}), json!("content_filter"), text("part", FinishReason::ContentFilter)),
            (json!(null), json!("refusal"), text("", FinishReason::Refusal)),
        ];
        for (message, finish, expected) in table {
            assert_eq!(one(&message, &finish), expected, "{message} {finish}");
        }
    }

    #[test]
    fn reasoning_is_kept_apart_from_the_answer() {
        for message in [
            json!({"content": "<think>why</think>a"}),
            json!({"content": "a", "reasoning_content": "why"}),
            json!({"content": "a", "reasoning": "why"}),
            json!({"content": "a", "thinking": "why"}),
            json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "why"}]}, {"type": "text", "text": "a"}]}),
            json!({"content": [{"type": "thinking", "thinking": "why"}, {"type": "text", "text": "a"}]}),
        ] {
            let answer = read(&json!({"choices": [{"message": message, "finish_reason": "stop"}]})).expect("an answer");
            let first = &answer.choices[0];
            assert_eq!((first.text.as_str(), first.reasoning.as_deref()), ("a", Some("why")), "{message}");
        }
        let cut = one(&json!({"content": "<think>is it"}), &json!("length")).expect_err("no answer");
        assert!(cut.contains("token limit"), "{cut}");
    }

    #[test]
    fn an_answer_without_text_is_a_failure() {
        for (finish, expected) in [("length", "token limit"), ("stop", "empty"), ("tool_calls", "tool_calls")] {
            for message in [json!({"content": null}), json!({"content": " \n"}), json!({}), json!({"content": 7})] {
                let problem = one(&message, &json!(finish)).expect_err("no text");
                assert!(problem.contains(expected), "{problem}");
            }
        }
        assert!(read(&json!({"choices": []})).is_err());
        assert!(read(&json!({"status": "ok"})).is_err());
    }

    #[test]
    fn tool_calls_are_an_answer_only_where_there_are_tools() {
        let call = json!({"id": "a", "type": "function", "function": {"name": "frames", "arguments": "{\"n\":1}"}});
        let read_one = |content: Value, calls: Value, finish: Value| {
            read(&json!({"choices": [{"message": {"content": content, "tool_calls": calls}, "finish_reason": finish}]}))
        };
        for finish in [json!("tool_calls"), json!("tool_use"), json!("stop"), json!(null)] {
            for content in [json!(null), json!(""), json!("Let me see.")] {
                let response = read_one(content.clone(), json!([call]), finish.clone()).expect("calls");
                let choice = &response.choices[0];
                assert_eq!(choice.finish, FinishReason::ToolCalls, "{finish}");
                assert_eq!(choice.tool_calls, [crate::chat::ToolCall::new("a", "frames", json!({"n": 1}))]);
                let has_text = content == json!("Let me see.");
                assert_eq!(choice.to_message().parts.len(), 1 + usize::from(has_text));
                match without_calls(response) {
                    Ok(response) => {
                        assert!(has_text && response.choices[0].tool_calls.is_empty());
                        assert_ne!(response.choices[0].finish, FinishReason::ToolCalls);
                    }
                    Err(failure) => assert!(!has_text && failure.problem.contains("empty"), "{}", failure.problem),
                }
            }
        }
        // Cut off in the middle of the arguments.
        let response = read_one(json!(null), json!([call]), json!("length")).expect("calls");
        assert_eq!(response.choices[0].finish, FinishReason::Length);
        // No calls, whatever the reason says.
        for calls in [json!(null), json!([]), json!("frames"), json!([null])] {
            let problem = read_one(json!(null), calls.clone(), json!("tool_calls")).expect_err("nothing").problem;
            assert!(problem.contains("finish reason tool_calls"), "{problem}");
            let response = read_one(json!("a"), calls, json!("tool_calls")).expect("text");
            assert_eq!(response.choices[0].finish, FinishReason::Other("tool_calls".into()));
        }
    }

    #[test]
    fn usage_has_only_what_the_server_counted() {
        let usage = |usage: Value| {
            let reply = json!({"choices": [{"message": {"content": "a"}}], "usage": usage});
            read(&reply).expect("an answer").usage
        };
        let full = json!({"prompt_tokens": 9, "completion_tokens": 4.0, "total_tokens": 13,
            "prompt_tokens_details": {"cached_tokens": 8}, "completion_tokens_details": {"reasoning_tokens": null}});
        let expected = Usage {
            prompt_tokens: Some(9),
            completion_tokens: Some(4),
            cached_tokens: Some(8),
            reasoning_tokens: None,
        };
        assert_eq!(usage(full), Some(expected));
        assert_eq!(usage(json!(null)), None);
        assert_eq!(usage(json!({"prompt_tokens": -1})), None);
        assert_eq!(usage(json!("many")), None);
    }
}
