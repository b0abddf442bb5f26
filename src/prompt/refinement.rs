//! An earlier answer, which is written anew as the user wishes.

use super::fence::Fence;
use super::task::Refinement;
use crate::sanitize::clean_text;

/// The earlier answer, fenced: it may quote the recording. None where there is none.
pub(super) fn earlier_answer(refinement: Option<&Refinement>, fence: &Fence) -> Option<String> {
    let lines: Vec<String> = clean_text(&refinement?.answer).lines().map(|line| fence.line(line)).collect();
    Some(format!("Your earlier answer to this task:\n{}", fence.wrap(&format!("\n{}\n", lines.join("\n").trim()))))
}
