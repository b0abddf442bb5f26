//! Recognizes refusals of requests with tools, in the wordings of many servers.

/// Wordings of servers, without quotation marks; the comments name the server.
const WORDS: [&str; 18] = [
    // vLLM: "auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set
    "enable-auto-tool-choice",
    "tool-call-parser to be set",
    // llama.cpp: tools param requires --jinja flag
    "tools param requires",
    "tool_choice param requires",
    // llama.cpp, with a schema for the answer
    "grammar with tools",
    "grammar constraints with tools",
    // Ollama
    "not support tools",
    // Bedrock; OpenRouter: No endpoints found that support tool use
    "not support tool use",
    "found that support tool use",
    "not support tool calling",
    // DeepSeek, Together
    "not support function calling",
    "tools are not supported",
    "tool use is not supported",
    // Groq
    "tool calling is not supported",
    "function calling is not supported",
    // Gemini, Mistral
    "function calling is not enabled",
    // Gemini, with a schema for the answer
    "function calling with a response mime type",
    // OpenAI since gpt-5.4, where reasoning is on
    "function tools with reasoning",
];

/// Whether an error response of this status and message says that the server or the model has no tool calls, or has none
/// with the other parameters of the request.
pub(super) fn is_tool_refusal(status: u16, message: &str) -> bool {
    if !matches!(status, 400 | 404 | 405 | 422 | 500 | 501) {
        return false;
    }
    let message = message.to_lowercase().replace("doesn't", "does not").replace(['`', '\'', '"'], "");
    WORDS.iter().any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_without_tools_are_recognized() {
        #[rustfmt::skip]
        let table = [
            (400, "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set", true),
            (500, "tools param requires --jinja flag", true),
            (400, "registry.ollama.ai/library/moondream:latest does not support tools", true),
            (404, "No endpoints found that support tool use. To learn more about provider routing, visit: …", true),
            (400, "`tool calling` is not supported with this model", true),
            (400, "This model doesn't support tool use in streaming mode.", true),
            (400, "deepseek-reasoner does not support Function Calling", true),
            (400, "Function calling is not enabled for models/gemma-3-27b-it", true),
            (400, "Function calling with a response mime type: 'application/json' is unsupported", true),
            (400, "Function tools with reasoning_effort are not supported for gpt-5.6 in /v1/chat/completions. \
                To use function tools, use /v1/responses or set reasoning_effort to 'none'.", true),
            (400, "Invalid 'tools[0].function.name': string does not match pattern.", false),
            (400, "image input is not supported", false),
            (429, "this plan does not support tools: slow down", false),
            (404, "No endpoints found that support image input", false),
            (500, "The server had an error", false),
        ];
        for (status, message, expected) in table {
            assert_eq!(is_tool_refusal(status, message), expected, "{status} {message}");
        }
    }
}
