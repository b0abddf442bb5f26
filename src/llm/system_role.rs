//! For models without a system role: its text goes to the start of the first user message.

use crate::chat::{Message, Part, Role};

/// The same messages without system messages.
pub(super) fn fold(messages: &[Message]) -> Vec<Message> {
    let (system, mut others): (Vec<Message>, Vec<Message>) =
        messages.iter().cloned().partition(|message| message.role == Role::System);
    let rules: Vec<Part> = system.into_iter().flat_map(|message| message.parts).collect();
    match others.iter_mut().find(|message| message.role == Role::User) {
        Some(first) => drop(first.parts.splice(0..0, rules)),
        None => others.push(Message { role: Role::User, parts: rules }),
    }
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(role: Role, text: &str) -> Message {
        Message { role, parts: vec![Part::Text(text.into())] }
    }

    #[test]
    fn the_rules_come_first_in_the_user_message() {
        let texts = |messages: &[Message]| -> Vec<Vec<String>> {
            let part = |part: &Part| if let Part::Text(text) = part { text.clone() } else { String::new() };
            fold(messages).iter().map(|message| message.parts.iter().map(part).collect()).collect()
        };
        let (rules, task) = (text(Role::System, "rules"), text(Role::User, "task"));
        assert_eq!(texts(&[rules.clone(), task.clone()]), [["rules", "task"]]);
        assert_eq!(texts(std::slice::from_ref(&task)), [["task"]]);
        assert_eq!(texts(&[rules]), [["rules"]]);
        assert!(fold(&[task]).iter().all(|message| message.role == Role::User));
    }
}
