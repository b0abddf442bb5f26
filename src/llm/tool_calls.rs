//! Reads the tool calls of a response, whole or streamed. All of it is untrusted.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use crate::chat::ToolCall;

/// More calls of one answer are ignored, with a warning.
const MAX_CALLS: usize = 32;
/// More calls of a stream are not even collected.
const MAX_STREAMED_CALLS: usize = 128;
/// Longer arguments are cut off, and so are no JSON.
const MAX_ARGUMENT_BYTES: usize = 64 << 10;
/// Maximum length of a name, as APIs accept it.
const MAX_NAME_CHARS: usize = 64;
/// Longer IDs are replaced. `LiteLLM` appends signatures of several KB to its IDs.
const MAX_ID_BYTES: usize = 16 << 10;
/// Larger data of the provider is not kept.
const MAX_PROVIDER_BYTES: usize = 1 << 20;

/// What is sent back with a call: Gemini's signature; Anthropic's blocks of reasoning, which its reader puts here.
pub(super) const CALL_DATA: &str = "extra_content";
/// What is sent back with the message of the calls: `OpenRouter`'s reasoning with its signatures, and `DeepSeek`'s.
pub(super) const MESSAGE_DATA: [&str; 2] = ["reasoning_details", "reasoning_content"];

/// The calls in `tool_calls` of a message in the form of the OpenAI API. Ollama has no IDs, and arguments as an object.
pub(super) fn read(message: &Value) -> Vec<ToolCall> {
    let listed = message.get("tool_calls").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if listed.len() > MAX_CALLS {
        tracing::warn!("the model asks for {} tools at once; the first {MAX_CALLS} are read", listed.len());
    }
    let mut calls: Vec<ToolCall> = Vec::new();
    for call in listed.iter().filter(|call| call.is_object()).take(MAX_CALLS) {
        let of_function = |name: &str| call.pointer(&format!("/function/{name}")).unwrap_or(&Value::Null);
        let id = read_id(call.get("id").and_then(Value::as_str), &calls);
        let name = read_name(of_function("name").as_str().unwrap_or_default());
        let mut data = Map::new();
        copy(call, CALL_DATA, &mut data);
        if calls.is_empty() {
            for field in MESSAGE_DATA {
                copy(message, field, &mut data);
            }
        }
        let provider_data = Some(Value::Object(data)).filter(is_kept);
        calls.push(ToolCall { id, name, arguments: read_arguments(of_function("arguments")), provider_data });
    }
    calls
}

fn copy(from: &Value, field: &str, data: &mut Map<String, Value>) {
    if let Some(value) = from.get(field).filter(|value| !value.is_null()) {
        data.insert(field.to_owned(), value.clone());
    }
}

fn is_kept(data: &Value) -> bool {
    if data == &json!({}) {
        return false;
    }
    let n_bytes = data.to_string().len();
    if n_bytes > MAX_PROVIDER_BYTES {
        tracing::warn!(
            "{n_bytes} bytes of provider data of a tool call are not kept: the maximum is {MAX_PROVIDER_BYTES}"
        );
    }
    n_bytes <= MAX_PROVIDER_BYTES
}

fn read_id(id: Option<&str>, others: &[ToolCall]) -> String {
    let is_free = |id: &str| others.iter().all(|other| other.id != id);
    let is_sound = |id: &&str| {
        (1..=MAX_ID_BYTES).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) && is_free(id)
    };
    // One of these is free: the others have fewer IDs.
    let made = || (others.len()..=2 * others.len()).map(|number| format!("call_{number}")).find(|id| is_free(id));
    id.filter(is_sound).map(str::to_owned).or_else(made).unwrap_or_default()
}

fn read_name(name: &str) -> String {
    let fine = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    let name: String = name.trim().chars().take(MAX_NAME_CHARS).map(fine).collect();
    if name.is_empty() { "_".to_owned() } else { name }
}

fn read_arguments(arguments: &Value) -> Value {
    let text = match arguments {
        Value::Null => return json!({}),
        Value::String(text) if text.trim().is_empty() => return json!({}),
        Value::String(text) => Cow::Borrowed(text.as_str()),
        other => Cow::Owned(other.to_string()),
    };
    if text.len() > MAX_ARGUMENT_BYTES {
        let end = (0..=MAX_ARGUMENT_BYTES).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        return Value::String(text[..end].to_owned());
    }
    serde_json::from_str(&text).unwrap_or_else(|_| Value::String(text.into_owned()))
}

/// The arguments of a call that is sent back: an object, since APIs and chat templates refuse anything else.
pub(super) fn sent_arguments(call: &ToolCall) -> Cow<'_, Value> {
    match &call.arguments {
        object @ Value::Object(_) => Cow::Borrowed(object),
        other => Cow::Owned(json!({"arguments": other})),
    }
}

/// The calls of a streamed choice, in pieces.
#[derive(Debug, Default)]
pub(super) struct PartialCalls(Vec<PartialCall>);

#[derive(Debug, Default)]
struct PartialCall {
    index: u64,
    id: String,
    name: String,
    arguments: String,
    data: Value,
}

impl PartialCalls {
    /// Takes the `tool_calls` of one delta, and returns how many bytes it added.
    pub fn take(&mut self, delta: &Value) -> usize {
        let pieces = delta.get("tool_calls").and_then(Value::as_array).into_iter().flatten();
        pieces.map(|piece| self.take_piece(piece)).sum()
    }

    fn take_piece(&mut self, piece: &Value) -> usize {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let (id, name) = (text(piece.get("id")), text(piece.pointer("/function/name")));
        let arguments = match piece.pointer("/function/arguments") {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => String::new(),
            Some(object) => object.to_string(),
        };
        let index = piece.get("index").and_then(Value::as_u64);
        let known = self.0.iter().rposition(|call| index.is_none_or(|index| call.index == index));
        let known = known.filter(|at| !self.0[*at].is_over(&id, &name));
        if known.is_none() {
            if self.0.len() >= MAX_STREAMED_CALLS {
                return 0;
            }
            let last = self.0.last().map_or(0, |call| call.index);
            self.0.push(PartialCall { index: index.unwrap_or(last), ..PartialCall::default() });
        }
        let at = known.unwrap_or(self.0.len() - 1);
        let call = &mut self.0[at];
        if call.id.is_empty() {
            call.id.clone_from(&id);
        }
        if call.name.is_empty() {
            call.name.clone_from(&name);
        }
        call.arguments.push_str(&arguments);
        let mut n_bytes = id.len() + name.len() + arguments.len();
        if let Some(data) = piece.get(CALL_DATA).filter(|data| !data.is_null()) {
            n_bytes += data.to_string().len();
            call.data = data.clone();
        }
        n_bytes
    }

    /// The calls as in a message that is not streamed, in the order of their indices.
    pub fn into_value(mut self) -> Value {
        // Stable: calls that share an index stay in the order of their arrival.
        self.0.sort_by_key(|call| call.index);
        let call = |call: PartialCall| json!({"id": call.id, "function": {"name": call.name, "arguments": call.arguments}, CALL_DATA: call.data});
        self.0.into_iter().map(call).collect()
    }
}

impl PartialCall {
    /// Whether a piece with this ID and name begins another call: Ollama's compatible API sends all calls under index 0,
    /// and some servers send no index. A name that comes again, or a new ID in the middle of the arguments, does not.
    fn is_over(&self, id: &str, name: &str) -> bool {
        let is_other = if self.id.is_empty() || id.is_empty() { id == self.id } else { id != self.id };
        let is_whole = self.arguments.trim().is_empty() || serde_json::from_str::<Value>(&self.arguments).is_ok();
        is_other && !name.is_empty() && !self.name.is_empty() && is_whole
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn call(id: &Value, name: &str, arguments: &Value) -> Value {
        json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
    }

    fn of(calls: &[Value]) -> Vec<ToolCall> {
        read(&json!({"tool_calls": calls}))
    }

    #[test]
    fn arguments_are_json_or_the_raw_text() {
        let long = "é".repeat(MAX_ARGUMENT_BYTES);
        #[rustfmt::skip]
        let table = [
            (json!("{\"start\": 1.5}"), json!({"start": 1.5})),
            (json!({"start": 1.5}), json!({"start": 1.5})),
            (json!(""), json!({})),
            (json!(null), json!({})),
            (json!("{\"start\": 1"), json!("{\"start\": 1")),
            (json!("frames(1, 2)"), json!("frames(1, 2)")),
            (json!("[1]"), json!([1])),
            (json!([1]), json!([1])),
            (json!(7), json!(7)),
            (json!(long), json!("é".repeat(MAX_ARGUMENT_BYTES / 2))),
            (json!("[".repeat(1000)), json!("[".repeat(1000))),
        ];
        for (sent, expected) in table {
            let read = of(&[call(&json!("a"), "frames", &sent)]);
            assert_eq!(read, [ToolCall::new("a", "frames", expected)]);
            assert!(sent_arguments(&read[0]).is_object());
        }
        let huge = json!({"list": vec![0; MAX_ARGUMENT_BYTES]});
        let read = of(&[call(&json!("a"), "frames", &huge)]);
        assert!(read[0].arguments.as_str().is_some_and(|text| text.len() == MAX_ARGUMENT_BYTES));
    }

    #[test]
    fn ids_are_unique_and_names_are_sound() {
        let ids: Vec<String> =
            [json!("a"), json!("a"), json!(null), json!(""), json!("call_5"), json!(7), json!("a\u{7}b")]
                .iter()
                .zip(0..)
                .map(|(id, n)| {
                    of(&[call(&json!("a"), "x", &json!({})), call(id, &n.to_string(), &json!({}))])[1].id.clone()
                })
                .collect();
        assert_eq!(ids, ["call_1", "call_1", "call_1", "call_1", "call_5", "call_1", "call_1"]);
        let taken = of(&[json!("call_1"), json!(null), json!(null)].map(|id| call(&id, "x", &json!({}))));
        assert_eq!(taken.iter().map(|call| call.id.as_str()).collect::<Vec<_>>(), ["call_1", "call_2", "call_3"]);
        let long = "x".repeat(100);
        for (name, expected) in [
            ("frames", "frames"),
            (" frames\n", "frames"),
            ("functions.frames", "functions_frames"),
            ("fra\u{1b}[31mmes", "fra__31mmes"),
            ("", "_"),
            (&long, &long[..64]),
        ] {
            assert_eq!(of(&[call(&json!("a"), name, &json!({}))])[0].name, expected);
        }
    }

    #[test]
    fn what_is_no_list_of_calls_has_none_and_long_lists_are_cut() {
        for message in [
            json!({}),
            json!(null),
            json!({"tool_calls": null}),
            json!({"tool_calls": []}),
            json!({"tool_calls": {"id": "a"}}),
            json!({"tool_calls": [null, 7, "frames", []]}),
        ] {
            assert_eq!(read(&message), [], "{message}");
        }
        assert_eq!(of(&[json!({})]), [ToolCall::new("call_0", "_", json!({}))]);
        let many = of(&vec![call(&json!("a"), "x", &json!({})); 500]);
        assert_eq!(many.len(), MAX_CALLS);
    }

    #[test]
    fn data_of_the_provider_is_kept_unless_it_is_too_large() {
        let signature = json!({"google": {"thought_signature": "EoYC"}});
        let mut signed = call(&json!("a"), "x", &json!({}));
        signed[CALL_DATA] = signature.clone();
        let plain = call(&json!("b"), "x", &json!({}));
        let details = json!([{"type": "reasoning.encrypted", "data": "x"}]);
        let read =
            read(&json!({"tool_calls": [signed, plain], "reasoning_details": details, "reasoning_content": null}));
        assert_eq!(read[0].provider_data, Some(json!({CALL_DATA: signature, "reasoning_details": details})));
        assert_eq!(read[1].provider_data, None);
        signed[CALL_DATA] = json!("x".repeat(MAX_PROVIDER_BYTES));
        assert_eq!(of(&[signed])[0].provider_data, None);
    }

    fn streamed(pieces: &[Value]) -> Vec<(String, String, Value)> {
        let mut calls = PartialCalls::default();
        for piece in pieces {
            calls.take(&json!({"tool_calls": [piece]}));
        }
        let calls = read(&json!({"tool_calls": calls.into_value()}));
        calls.into_iter().map(|call| (call.id, call.name, call.arguments)).collect()
    }

    #[test]
    fn streams_of_several_servers() {
        let piece = |index: Value, id: &str, name: &str, arguments: &str| {
            let mut piece = json!({"index": index, "function": {"name": name, "arguments": arguments}});
            if !id.is_empty() {
                piece["id"] = json!(id);
            }
            piece
        };
        let none = Value::Null;
        let expected = vec![
            ("a".to_owned(), "frames".to_owned(), json!({"n": 1})),
            ("b".to_owned(), "transcript".to_owned(), json!({"n": 2})),
        ];
        #[rustfmt::skip]
        let table = [
            // OpenAI.
            vec![piece(json!(0), "a", "frames", ""), piece(json!(0), "", "", "{\"n\""), piece(json!(0), "", "", ":1}"),
                piece(json!(1), "b", "transcript", ""), piece(json!(1), "", "", "{\"n\":2}")],
            // Interleaved, the second first.
            vec![piece(json!(1), "b", "transcript", "{\"n\""), piece(json!(0), "a", "frames", "{\"n\""),
                piece(json!(1), "", "", ":2}"), piece(json!(0), "", "", ":1}")],
            // Arguments before the name.
            vec![piece(json!(0), "", "", "{\"n\""), piece(json!(0), "a", "frames", ":1}"),
                piece(json!(1), "b", "transcript", "{\"n\":2}")],
            // Ollama: one index for all; each is whole.
            vec![piece(json!(0), "a", "frames", "{\"n\":1}"), piece(json!(0), "b", "transcript", "{\"n\":2}")],
            // No index.
            vec![piece(none.clone(), "a", "frames", "{\"n\":1}"), piece(none.clone(), "b", "transcript", "{\"n\":2}")],
            vec![piece(none.clone(), "a", "frames", ""), piece(none.clone(), "", "", "{\"n\":1}"),
                piece(none.clone(), "b", "transcript", "{\"n\":"), piece(none, "", "", "2}")],
            // The name and the ID with each piece; a new ID with each piece.
            vec![piece(json!(0), "a", "frames", "{\"n\""), piece(json!(0), "a", "frames", ":1}"),
                piece(json!(7), "b", "transcript", "{\"n\""), piece(json!(7), "c", "", ":2}")],
            // An object.
            vec![json!({"index": 0, "id": "a", "function": {"name": "frames", "arguments": {"n": 1}}}),
                piece(json!(1), "b", "transcript", "{\"n\":2}")],
        ];
        for pieces in table {
            assert_eq!(streamed(&pieces), expected, "{pieces:?}");
        }
        // Without IDs.
        let calls = streamed(&[piece(json!(0), "", "frames", "{}"), piece(json!(0), "", "frames", "{}")]);
        assert_eq!(calls.iter().map(|(id, ..)| id.as_str()).collect::<Vec<_>>(), ["call_0", "call_1"]);
        let many: Vec<Value> = (0..1000).map(|n| piece(json!(n), "", "frames", "{}")).collect();
        assert_eq!(streamed(&many).len(), MAX_CALLS);
    }

    proptest! {
        #[test]
        fn any_pieces_are_read(pieces in prop::collection::vec(
            (prop::option::of(0_u64..4), "[ab]{0,1}", "[a-z]{0,2}", "[{}:1\"a]{0,4}"), 0..30,
        )) {
            let piece = |(index, id, name, arguments): &(Option<u64>, String, String, String)| {
                json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}})
            };
            let calls = streamed(&pieces.iter().map(piece).collect::<Vec<_>>());
            prop_assert!(calls.len() <= pieces.len().min(MAX_CALLS));
            let mut ids: Vec<&String> = calls.iter().map(|(id, ..)| id).collect();
            ids.sort_unstable();
            ids.dedup();
            prop_assert_eq!(ids.len(), calls.len());
        }
    }
}
