//! Recognizes refusals of requests that are too long for the model, in the wordings of many servers, and reads the limit.

use serde_json::Value;

use super::request_error::RefusalDetails;

/// Wordings of servers; the comments name the server.
const WORDS: [&str; 23] = [
    // OpenAI, DeepSeek, vLLM, OpenRouter, LM Studio, SGLang, Ollama
    "context length",
    "context window",
    // llama.cpp
    "context size",
    "maximum context",
    // vLLM
    "maximum model length",
    "max_model_len",
    "longer than the maximum",
    "exceeds the model's maximum",
    // Anthropic
    "prompt is too long",
    // xAI
    "maximum prompt length",
    // Gemini: "The input token count (…) exceeds the maximum number of tokens allowed (…)"
    "maximum number of tokens",
    "input token count",
    // Mistral
    "too large for model",
    // Bedrock, Cohere
    "input is too long",
    "too many tokens",
    "too many input tokens",
    // Groq
    "reduce the length of the messages",
    // Text Generation Inference, Together
    "`inputs` tokens",
    "inputs must have less than",
    // Images
    "too many images",
    "too much media",
    "image(s) may be provided",
    "maximum number of images",
];

/// Words before the maximum number of tokens.
const BEFORE_LIMIT: [&str; 17] = [
    "maximum model length of ",
    "maximum context length of ",
    "maximum context length is ",
    "maximum prompt length is ",
    "maximum input length of ",
    "model's context length (",
    "context length (",
    "(context length ",
    "context length of ",
    "context length is only ",
    "context length is ",
    "context size (",
    "context window of ",
    "context limit of ",
    "maximum number of tokens allowed (",
    "must be <= ",
    "tokens > ",
];

/// Words before the number of tokens that the server counted.
const BEFORE_COUNT: [&str; 12] = [
    "prompt (length ",
    "prompt (total length ",
    "the input (",
    "input token count (",
    "prompt is too long: ",
    "prompt contains ",
    "request contains ",
    "resulted in ",
    "you requested ",
    "you passed ",
    "given: ",
    "request (",
];

/// Whether a message says that a request is too long.
pub(super) fn is_about_length(message: &str) -> bool {
    let message = message.to_lowercase();
    max_images(&message).is_some() || WORDS.iter().any(|words| message.contains(words))
}

/// The limits in a refusal: in fields of `error` (llama.cpp), or in the message.
pub(super) fn limits(message: &str, error: &Value) -> RefusalDetails {
    let message = message.to_lowercase();
    let field = |name: &str| error.get(name).and_then(Value::as_u64);
    let after = |words: &[&str]| words.iter().find_map(|words| number_after(&message, words));
    RefusalDetails {
        // Mistral: "too large for model with 32768 maximum context length"
        max_tokens: field("n_ctx")
            .or_else(|| after(&BEFORE_LIMIT))
            .or_else(|| number_after(&message, "for model with "))
            .filter(|n| *n > 0),
        n_tokens: field("n_prompt_tokens").or_else(|| after(&BEFORE_COUNT)),
        max_images: max_images(&message),
        ..RefusalDetails::default()
    }
}

/// "At most 5 image(s) may be provided in one prompt" (vLLM), "at most 5 images" (others).
fn max_images(message: &str) -> Option<usize> {
    let at = message.find("at most ")? + "at most ".len();
    let digits = message[at..].split(|c: char| !c.is_ascii_digit()).next()?;
    let unit = message[at + digits.len()..].trim_start();
    digits.parse().ok().filter(|n| *n > 0 && unit.starts_with("image"))
}

/// The number directly after `words`; thousands may be separated by commas.
fn number_after(message: &str, words: &str) -> Option<u64> {
    let rest = &message[message.find(words)? + words.len()..];
    let digits: String =
        rest.chars().take_while(|c| c.is_ascii_digit() || *c == ',').filter(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_wordings_of_servers_are_recognized_and_their_limits_read() {
        #[rustfmt::skip]
        let table = [
            // vLLM
            ("The decoder prompt (length 33012) is longer than the maximum model length of 32768. Make sure that `max_model_len` is no smaller than the number of text tokens plus multimodal tokens.", Some(32_768), Some(33_012)),
            ("The prompt (total length 40000) is too long to fit into the model (context length 32768).", Some(32_768), Some(40_000)),
            ("This model's maximum context length is 32768 tokens. However, you requested 40000 tokens (39000 in the messages, 1000 in the completion).", Some(32_768), Some(40_000)),
            // OpenAI
            ("This model's maximum context length is 128000 tokens. However, your messages resulted in 150000 tokens.", Some(128_000), Some(150_000)),
            // SGLang
            ("The input (33012 tokens) is longer than the model's context length (32768 tokens).", Some(32_768), Some(33_012)),
            // llama.cpp
            ("the request exceeds the available context size (4096 tokens), try increasing it", Some(4096), None),
            // Anthropic
            ("prompt is too long: 210,000 tokens > 200,000 maximum", Some(200_000), Some(210_000)),
            // Gemini
            ("The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", Some(1_048_576), Some(1_200_000)),
            // Mistral
            ("Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length", Some(32_768), Some(40_000)),
            // xAI
            ("This model's maximum prompt length is 131072 but the request contains 537812 tokens.", Some(131_072), Some(537_812)),
            // Text Generation Inference
            ("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 20 `max_new_tokens`", Some(4096), Some(5000)),
            // Groq
            ("Please reduce the length of the messages or completion.", None, None),
            // Bedrock
            ("Input is too long for requested model.", None, None),
        ];
        for (message, max_tokens, n_tokens) in table {
            assert!(is_about_length(message), "{message}");
            let found = limits(message, &Value::Null);
            assert_eq!((found.max_tokens, found.n_tokens), (max_tokens, n_tokens), "{message}");
        }
        let fields = json!({"n_ctx": 512, "n_prompt_tokens": 700});
        let found = limits("too big", &fields);
        assert_eq!((found.max_tokens, found.n_tokens), (Some(512), Some(700)));
    }

    #[test]
    fn limits_of_images_are_read() {
        for (message, expected) in [
            ("At most 5 image(s) may be provided in one prompt.", Some(5)),
            ("at most 12 images are allowed", Some(12)),
            ("At most 5 items", None),
            ("n must be at most 4", None),
        ] {
            assert_eq!(max_images(&message.to_lowercase()), expected, "{message}");
            assert_eq!(is_about_length(message), expected.is_some(), "{message}");
        }
        for message in ["slow down", "temperature must be at most 2", "invalid image", "the model does not exist"] {
            assert!(!is_about_length(message), "{message}");
        }
    }
}
