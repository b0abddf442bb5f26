//! Answers that are data: validated, and shown as text.

use crate::chat::{ChatResponse, FinishReason};
use crate::llm::DataSchema;

/// Reads the data out of an answer and makes its text Markdown: a label as a heading before its reason, other data as a code
/// block. What is missing, and why, where the reply does not match the schema: its text stays as it is.
pub fn read_data(response: &mut ChatResponse, schema: &DataSchema) -> Option<(String, String)> {
    let first = response.choices.first_mut()?;
    match schema.read(&first.text) {
        Ok(value) => {
            let field = |name: &str| value.get(name).and_then(|field| field.as_str());
            first.text = match (schema.has_labels(), field("label"), field("reason")) {
                (true, Some(label), Some(reason)) => format!("### {label}\n\n{}", reason.trim()),
                _ => format!("```json\n{value:#}\n```"),
            };
            first.data = Some(value);
            None
        }
        // What follows from the finish reason is reported with it.
        Err(_) if !matches!(first.finish, FinishReason::Stop | FinishReason::Other(_)) => None,
        Err(why) => {
            let what = if schema.has_labels() { "the label" } else { "the data" };
            Some((what.to_owned(), format!("the model's reply cannot be used: {why}")))
        }
    }
}
