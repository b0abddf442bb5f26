//! Tools, tool calls and their results, read as strictly in each dialect.

use serde_json::{Map, Value, json};

use super::chat::{Chat, object};
use super::http::Refusal;
use super::{Fault, Shared, lock};

/// The chat with the calls that the model answers, where the next fault says so.
pub(super) fn asked(mut chat: Chat, shared: &Shared) -> Chat {
    if let Some(Some(Fault::Calls(calls))) = lock(&shared.faults).front() {
        chat.calls = calls.iter().map(|(name, arguments)| ((*name).to_owned(), (*arguments).to_owned())).collect();
    }
    chat
}

fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(400, message, None, None)
}

fn is_name(name: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(is_fine)
}

fn text<'a>(of: &'a Map<String, Value>, name: &str) -> Result<&'a str, Refusal> {
    of.get(name).and_then(Value::as_str).ok_or_else(|| bad(format!("{name} must be a text")))
}

/// Checks `tools` of OpenAI's and Ollama's.
pub(super) fn check_functions(top: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(tools) = top.get("tools") else { return Ok(()) };
    let tools = tools.as_array().filter(|tools| !tools.is_empty()).ok_or_else(|| bad("tools: an empty array"))?;
    for tool in tools {
        let tool = object(tool, "tools", &["type", "function"])?;
        let function = tool.get("function").filter(|_| tool.get("type") == Some(&json!("function")));
        let function = object(function.unwrap_or(&Value::Null), "function", &["name", "description", "parameters"])?;
        check_spec(function, "parameters")?;
    }
    Ok(())
}

/// Checks `tools` of Anthropic's.
pub(super) fn check_tools(top: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(tools) = top.get("tools") else { return Ok(()) };
    let tools = tools.as_array().filter(|tools| !tools.is_empty()).ok_or_else(|| bad("tools: an empty array"))?;
    tools.iter().try_for_each(|tool| {
        check_spec(object(tool, "tools", &["name", "description", "input_schema"])?, "input_schema")
    })
}

fn check_spec(spec: &Map<String, Value>, schema: &str) -> Result<(), Refusal> {
    text(spec, "description")?;
    if !is_name(text(spec, "name")?) {
        return Err(bad("tools: string does not match pattern '^[a-zA-Z0-9_-]+$'"));
    }
    if spec.get(schema).is_none_or(|schema| schema["type"] != "object") {
        return Err(bad(format!("tools: {schema}: schema must be of type object")));
    }
    Ok(())
}

/// The calls that wait for their results.
#[derive(Default)]
pub(super) struct Open(Vec<String>);

impl Open {
    fn call(&mut self, id: &str, name: &str, has_tools: bool) -> Result<(), Refusal> {
        if !has_tools {
            return Err(bad("tool calls without tools"));
        }
        if !is_name(name) || id.is_empty() || self.0.iter().any(|open| open == id) {
            return Err(bad(format!("a tool call {id:?} of {name:?}")));
        }
        self.0.push(id.to_owned());
        Ok(())
    }

    fn result(&mut self, id: &str) -> Result<(), Refusal> {
        let at = self.0.iter().position(|open| open == id);
        let at = at.ok_or_else(|| bad(format!("unexpected result of a tool call: {id:?}")))?;
        self.0.remove(at);
        Ok(())
    }

    /// Nothing but results may follow a call until each has one.
    pub fn check_closed(&self) -> Result<(), Refusal> {
        if self.0.is_empty() { Ok(()) } else { Err(bad(format!("tool calls without results: {:?}", self.0))) }
    }

    /// An assistant or tool message of OpenAI's; whether it is one of the two.
    pub fn openai(&mut self, message: &Value, has_tools: bool) -> Result<bool, Refusal> {
        match message["role"].as_str() {
            Some("assistant") => {
                self.check_closed()?;
                let keys = ["role", "content", "tool_calls", "reasoning_details", "reasoning_content"];
                let message = object(message, "an assistant message", &keys)?;
                let calls = message.get("tool_calls").map(|calls| calls.as_array().filter(|calls| !calls.is_empty()));
                let calls = calls.map(|calls| calls.ok_or_else(|| bad("tool_calls: an empty array"))).transpose()?;
                let is_text = message.get("content").is_some_and(Value::is_string);
                if !(is_text || calls.is_some() && message.get("content") == Some(&Value::Null)) {
                    return Err(bad("an assistant message: content"));
                }
                for call in calls.into_iter().flatten() {
                    let call = object(call, "tool_calls", &["id", "type", "function", "extra_content"])?;
                    let function = object(&call["function"], "function", &["name", "arguments"])?;
                    // As chat templates read them.
                    let arguments = serde_json::from_str::<Value>(text(function, "arguments")?);
                    if call["type"] != "function" || !arguments.is_ok_and(|arguments| arguments.is_object()) {
                        return Err(bad("tool_calls: type or arguments"));
                    }
                    self.call(text(call, "id")?, text(function, "name")?, has_tools)?;
                }
                Ok(true)
            }
            Some("tool") => {
                let message = object(message, "a tool message", &["role", "content", "tool_call_id"])?;
                text(message, "content")?;
                self.result(text(message, "tool_call_id")?)?;
                Ok(true)
            }
            _ => self.check_closed().map(|()| false),
        }
    }

    /// A block of Anthropic's; whether it is of tools or of reasoning. `place` counts the blocks before it; reasoning is on,
    /// so that an answer with calls begins with it.
    pub fn anthropic(&mut self, role: &str, block: &Value, place: usize, has_tools: bool) -> Result<bool, Refusal> {
        match (role, block["type"].as_str()) {
            ("assistant", Some("thinking")) => {
                if block != &json!({"type": "thinking", "thinking": "Hm.", "signature": "x"}) || place > 0 {
                    return Err(bad(format!("thinking blocks cannot be modified: {block}")));
                }
                Ok(true)
            }
            ("assistant", Some("tool_use")) => {
                let block = object(block, "tool_use", &["type", "id", "name", "input"])?;
                if place == 0 {
                    return Err(bad("expected thinking or redacted_thinking, but found tool_use"));
                }
                if !block.get("input").is_some_and(Value::is_object) {
                    return Err(bad("tool_use: input: Input should be a valid dictionary"));
                }
                self.call(text(block, "id")?, text(block, "name")?, has_tools)?;
                Ok(true)
            }
            ("user", Some("tool_result")) => {
                let block = object(block, "tool_result", &["type", "tool_use_id", "content"])?;
                if block.get("content").is_some_and(|content| content.as_str().is_none_or(str::is_empty)) {
                    return Err(bad("tool_result: content"));
                }
                self.result(text(block, "tool_use_id")?)?;
                Ok(true)
            }
            ("user", _) => self.check_closed().map(|()| false),
            _ => Ok(false),
        }
    }

    /// An assistant or tool message of Ollama's; whether it is one of the two. Names stand for the IDs that it has not.
    pub fn ollama(&mut self, message: &Value, has_tools: bool) -> Result<bool, Refusal> {
        match message["role"].as_str() {
            Some("assistant") => {
                self.check_closed()?;
                let message = object(message, "messages", &["role", "content", "tool_calls"])?;
                text(message, "content")?;
                for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
                    let call = object(call, "tool_calls", &["function"])?;
                    let function = object(&call["function"], "function", &["name", "arguments"])?;
                    if !function.get("arguments").is_some_and(Value::is_object) {
                        return Err(bad("cannot unmarshal into Go struct field ToolCallFunction.arguments"));
                    }
                    if !has_tools || !is_name(text(function, "name")?) {
                        return Err(bad("tool_calls"));
                    }
                    self.0.push(text(function, "name")?.to_owned());
                }
                Ok(true)
            }
            Some("tool") => {
                let message = object(message, "messages", &["role", "content", "tool_name"])?;
                text(message, "content")?;
                self.result(text(message, "tool_name")?)?;
                Ok(true)
            }
            _ => self.check_closed().map(|()| false),
        }
    }
}
