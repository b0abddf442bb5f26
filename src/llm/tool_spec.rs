//! Tools that a model may ask for, and the order of calls and results in a conversation.

use serde::Serialize;
use serde_json::Value;

use crate::chat::{Message, Part, Role};
use crate::error::{Error, Result};

/// Maximum length of a tool's name.
const MAX_NAME_BYTES: usize = 64;

/// A tool that the model may ask for. The caller runs it and sends the result with the next request.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToolSpec {
    /// The name: 1 to 64 letters, digits, `_` and `-`.
    pub name: String,
    /// What the tool does and when to use it, for the model.
    pub description: String,
    /// The JSON schema of the arguments: an object.
    pub parameters: Value,
}

/// A tool in the form that `OpenAI` and Ollama share.
#[derive(Serialize)]
pub(super) struct FunctionTool<'a> {
    r#type: &'static str,
    function: &'a ToolSpec,
}

impl<'a> FunctionTool<'a> {
    pub fn new(function: &'a ToolSpec) -> Self {
        Self { r#type: "function", function }
    }
}

/// The calls of a message.
pub(super) fn calls(message: &Message) -> impl Iterator<Item = &crate::chat::ToolCall> {
    message.parts.iter().filter_map(|part| if let Part::ToolCall(call) = part { Some(call) } else { None })
}

/// The results in a message: the ID of the call, and the text.
pub(super) fn results(message: &Message) -> impl Iterator<Item = (&str, &str)> {
    message.parts.iter().filter_map(|part| match part {
        Part::ToolResult { call_id, text } => Some((call_id.as_str(), text.as_str())),
        _ => None,
    })
}

/// Checks what all APIs require: sound names and schemas, calls only in assistant messages and together with the tools,
/// and one result for each call in the message after it. `server` is for errors.
pub(super) fn check(server: &str, messages: &[Message], tools: &[ToolSpec]) -> Result<()> {
    let refuse = |problem: String| Err(Error::usage(server, problem, ""));
    for tool in tools {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if !(1..=MAX_NAME_BYTES).contains(&tool.name.len()) || !tool.name.bytes().all(is_fine) {
            return refuse(format!(
                "{:?} is not a valid name of a tool: use up to 64 letters, digits, _ and -",
                tool.name
            ));
        }
        if !tool.parameters.is_object() {
            return refuse(format!("the schema of the tool {} must be a JSON object", tool.name));
        }
    }
    for (idx, message) in messages.iter().enumerate() {
        if calls(message).next().is_some() {
            if message.role != Role::Assistant {
                return refuse("a tool call is not in an assistant message".into());
            }
            if tools.is_empty() {
                return refuse("the request has tool calls but not the tools".into());
            }
            if messages.get(idx + 1).is_none_or(|next| next.role != Role::User) {
                return refuse("no user message with the results follows a tool call".into());
            }
        }
        if results(message).next().is_some() && message.role != Role::User {
            return refuse("the result of a tool call is not in a user message".into());
        }
        let before = idx.checked_sub(1).and_then(|before| messages.get(before));
        let mut open: Vec<&str> = before.into_iter().flat_map(calls).map(|call| call.id.as_str()).collect();
        for (id, _) in results(message) {
            match open.iter().position(|call| *call == id) {
                Some(at) => drop(open.swap_remove(at)),
                None => return refuse(format!("a result is for no tool call of the message before it: {id:?}")),
            }
        }
        if let Some(id) = open.first() {
            return refuse(format!("a tool call has no result: {id:?}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chat::ToolCall;

    #[test]
    fn each_call_has_one_result_in_the_message_after_it() {
        let call = |id: &str| Part::ToolCall(ToolCall::new(id, "frames", json!({})));
        let result = |id: &str| Part::ToolResult { call_id: id.into(), text: "none".into() };
        let text = || Part::Text("a".into());
        let turn = |role, parts: Vec<Part>| Message { role, parts };
        let (user, model) = (|parts| turn(Role::User, parts), |parts| turn(Role::Assistant, parts));
        let tools = [ToolSpec { name: "frames".into(), description: String::new(), parameters: json!({}) }];
        let problem = |messages: &[Message], tools: &[ToolSpec]| {
            check("host", messages, tools).err().map_or_else(String::new, |error| error.problem)
        };
        let table: [(Vec<Message>, &str); 10] = [
            (vec![user(vec![text()])], ""),
            (vec![user(vec![text()]), model(vec![text()]), user(vec![text()])], ""),
            (vec![model(vec![text(), call("1"), call("2")]), user(vec![result("2"), text(), result("1")])], ""),
            (
                vec![model(vec![call("1")]), user(vec![result("1")]), model(vec![call("1")]), user(vec![result("1")])],
                "",
            ),
            (vec![model(vec![call("1")]), user(vec![text()])], "no result"),
            (vec![model(vec![call("1")])], "no user message"),
            (vec![model(vec![call("1")]), user(vec![result("1"), result("1")])], "no tool call of the message before"),
            (vec![model(vec![text()]), user(vec![result("1")])], "no tool call of the message before"),
            (vec![user(vec![call("1")])], "not in an assistant message"),
            (vec![model(vec![call("1"), result("1")])], "no user message"),
        ];
        for (messages, said) in table {
            let problem = problem(&messages, &tools);
            assert_eq!(problem.is_empty(), said.is_empty(), "{problem} {messages:?}");
            assert!(problem.contains(said), "{problem}");
        }
        let messages = [model(vec![call("1")]), user(vec![result("1")])];
        assert!(problem(&messages, &[]).contains("not the tools"));
        for name in ["", "a b", "é", &"x".repeat(65)] {
            let tool = ToolSpec { name: name.into(), ..tools[0].clone() };
            assert!(problem(&messages, &[tool]).contains("not a valid name"), "{name}");
        }
        let tool = ToolSpec { parameters: json!([]), ..tools[0].clone() };
        assert!(problem(&messages, &[tool]).contains("must be a JSON object"));
    }
}
