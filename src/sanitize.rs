//! Makes untrusted text (speech, titles, file names, answers of a model) safe to print and to put into Markdown.
//!
//! Cleaning removes invisible characters that a terminal or a model interprets: terminal escape sequences, control
//! characters, direction overrides, invisible "tag" letters. The Markdown functions also ensure that the text cannot
//! load anything (no HTML, images or links) or change the structure around it.

use std::iter::Peekable;
use std::str::Chars;

/// The text as one line, without escape sequences, control and invisible characters, and with collapsed white space.
#[must_use]
pub fn clean_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in clean_text(text).split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// The text with its lines, without escape sequences, control and invisible characters; line ends are `\n`.
#[must_use]
pub fn clean_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\u{9b}' => skip_csi(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut chars),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{b}' | '\u{c}' => out.push('\n'),
            '\n' | '\t' => out.push(c),
            c if is_unseen(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Characters without a shape of their own that steer terminals, direction or models. Joiners stay: scripts and
/// emoji need them.
#[must_use]
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn skip_escape(chars: &mut Peekable<Chars<'_>>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_csi(chars);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            chars.next();
            skip_string(chars);
        }
        // ESC, any intermediates, one final character (ECMA-35).
        _ => {
            while chars.next_if(|c| matches!(c, ' '..='/')).is_some() {}
            chars.next_if(|c| matches!(c, '0'..='~'));
        }
    }
}

/// Parameters and intermediates, then one final character (ECMA-48, 5.4).
fn skip_csi(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|c| matches!(c, ' '..='?')).is_some() {}
    chars.next_if(|c| matches!(c, '@'..='~'));
}

/// Up to the string terminator; an unterminated one ends with its line, so that it cannot swallow what follows.
fn skip_string(chars: &mut Peekable<Chars<'_>>) {
    while let Some(c) = chars.next_if(|c| *c != '\n' && *c != '\r') {
        match c {
            '\u{7}' | '\u{9c}' => return,
            '\u{1b}' => {
                chars.next_if_eq(&'\\');
                return;
            }
            _ => {}
        }
    }
}

/// The first `max_chars` characters of a text, as one line, with `…` where something is left out.
#[must_use]
pub fn excerpt(text: &str, max_chars: usize) -> String {
    let mut line = clean_line(text);
    if let Some((end, _)) = line.char_indices().nth(max_chars) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// The text as one line of Markdown that renders literally: no emphasis, code, HTML, images, links or footnotes.
#[must_use]
pub fn markdown_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let line = clean_line(text);
    let mut chars = line.chars().peekable();
    let mut before = None;
    while let Some(c) = chars.next() {
        let after = chars.peek().copied();
        let wordy = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let escape = match c {
            '\\' | '`' | '*' => true,
            '_' => !(wordy(before) && wordy(after)),
            '~' => before == Some('~') || after == Some('~'),
            '#' | '>' | '+' | '-' | '=' => before.is_none(),
            _ => false,
        };
        if escape {
            out.push('\\');
        }
        if c == '&' && (wordy(after) || after == Some('#')) {
            out.push_str("&amp;");
        } else {
            push_inert(&mut out, before, c, after);
        }
        before = Some(c);
    }
    without_footnotes(out)
}

/// Markdown of a model, made inert and confined: no HTML, images, links or numbered footnotes; headings below level 2; an
/// open code fence is closed.
#[must_use]
pub fn markdown_block(text: &str) -> String {
    let text = clean_text(text);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let deeper = 3usize.saturating_sub(lines.iter().filter_map(|l| heading_level(l)).min().unwrap_or(3));
    let mut out = String::with_capacity(text.len() + 64);
    let mut fence: Option<CodeFence<'_>> = None;
    for line in lines {
        let indent = &line[..line.len() - line.trim_start().len()];
        let body = line.trim();
        match &fence {
            Some(open) if open.is_closed_by(line) => fence = None,
            Some(_) => {}
            None => fence = CodeFence::opened_by(line),
        }
        if heading_level(line).is_some() {
            out.extend(std::iter::repeat_n('#', deeper));
        } else if !body.is_empty() && body.bytes().all(|b| b == b'=') {
            // A line of = or - under a paragraph would make it a heading of level 1 or 2.
            out.push_str(indent);
            out.push('\\');
        } else if !body.is_empty() && body.bytes().all(|b| b == b'-') {
            out.push_str(indent);
            out.push_str(if body.len() < 3 { "\\-" } else { "***" });
            out.push('\n');
            continue;
        }
        let shown = inert_line(line);
        out.push_str(&if fence.is_some() { shown } else { without_footnotes(shown) });
        out.push('\n');
    }
    if let Some(open) = fence {
        out.push_str(open.indent);
        out.extend(std::iter::repeat_n(open.mark, open.length));
        out.push('\n');
    }
    out
}

fn inert_line(line: &str) -> String {
    let mut out = String::with_capacity(line.len() + 8);
    let mut chars = line.chars().peekable();
    let mut before = None;
    while let Some(c) = chars.next() {
        push_inert(&mut out, before, c, chars.peek().copied());
        before = Some(c);
    }
    out
}

/// The Markdown with `[^1]` escaped, since reports have numbered footnotes of their own. The bracket is what is escaped:
/// cmark-gfm writes `[\^1]` with two closing brackets.
fn without_footnotes(text: String) -> String {
    if !text.contains("[^") {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = &*text;
    while let Some(at) = rest.find("[^") {
        let label = &rest[at + 2..];
        let n_digits = label.bytes().take_while(u8::is_ascii_digit).count();
        out.push_str(&rest[..at]);
        let is_escaped = (out.len() - out.trim_end_matches('\\').len()) % 2 == 1;
        if !is_escaped && n_digits > 0 && label[n_digits..].starts_with(']') {
            out.push('\\');
        }
        out.push_str("[^");
        rest = label;
    }
    out + rest
}

/// Appends one character, escaped if it would start a tag, an image, a link or a definition.
fn push_inert(out: &mut String, before: Option<char>, c: char, after: Option<char>) {
    match c {
        '<' if after.is_some_and(|c| c.is_alphabetic() || matches!(c, '/' | '!' | '?')) => {
            // The author's own backslash would turn the entity's ampersand into text.
            let slashes = out.len() - out.trim_end_matches('\\').len();
            if slashes % 2 == 1 {
                out.pop();
            }
            out.push_str("&lt;");
        }
        '(' | '[' | ':' if before == Some(']') => {
            out.push('\\');
            out.push(c);
        }
        '[' if before == Some('!') => out.push_str("\\["),
        c => out.push(c),
    }
}

/// Level of an ATX heading, 1 to 6; None if the line is not one.
fn heading_level(line: &str) -> Option<usize> {
    let body = line.trim_start_matches(' ');
    let hashes = body.len() - body.trim_start_matches('#').len();
    let rest = &body[hashes..];
    let is_heading =
        line.len() - body.len() < 4 && (1..=6).contains(&hashes) && (rest.is_empty() || rest.starts_with([' ', '\t']));
    is_heading.then_some(hashes)
}

/// An open code fence: its character, its length, its indent.
struct CodeFence<'a> {
    indent: &'a str,
    mark: char,
    length: usize,
}

impl<'a> CodeFence<'a> {
    fn opened_by(line: &'a str) -> Option<Self> {
        let body = line.trim_start();
        let mark = body.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let length = body.len() - body.trim_start_matches(mark).len();
        let is_inline = mark == '`' && body[length..].contains('`');
        (length >= 3 && !is_inline).then(|| Self { indent: &line[..line.len() - body.len()], mark, length })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        let body = line.trim();
        body.len() >= self.length && body.chars().all(|c| c == self.mark)
    }
}

/// An input that is safe to show: a URL without password and query, which may hold tokens; a path is unchanged.
#[must_use]
pub fn shown_input(input: &str) -> String {
    match url::Url::parse(input) {
        Ok(mut url) if url.has_host() => {
            // Only a URL without a host fails here.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            let had_query = url.query().is_some();
            url.set_query(None);
            url.set_fragment(None);
            format!("{url}{}", if had_query { "?..." } else { "" })
        }
        _ => input.to_owned(),
    }
}

/// The last component of a path or URL; the whole if it has no components.
#[must_use]
pub fn short_name(input: &str) -> String {
    let shown = shown_input(input);
    let shown = shown.trim_end_matches("?...").trim_end_matches('/');
    shown.rsplit(['/', '\\']).next().filter(|name| !name.is_empty()).unwrap_or(shown).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        for (dirty, clean) in [
            ("a\u{1b}[31mred\u{1b}[0m", "ared"),
            ("a\u{1b}]52;c;c2VjcmV0\u{7}b", "ab"),
            ("a\u{1b}]8;;http://x\u{1b}\\b", "ab"),
            ("a\u{9d}52;c;x\u{9c}b", "ab"),
            ("a\u{1b}]0;open\nb", "a b"),
            ("safe\u{202e}cod.exe", "safecod.exe"),
            ("tag\u{e0041}\u{e0042}s", "tags"),
            ("  two\r\n lines\t", "two lines"),
            ("\u{1b}(Bx\u{8}\u{0}y", "xy"),
            ("نمی\u{200c}خواهم 👩\u{200d}🚀", "نمی\u{200c}خواهم 👩\u{200d}🚀"),
        ] {
            assert_eq!(clean_line(dirty), clean, "{dirty:?}");
        }
    }

    #[test]
    fn a_line_shows_as_it_stands() {
        for (text, markdown) in [
            ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
            ("![x](http://evil/x.png)", "!\\[x]\\(http://evil/x.png)"),
            ("[a](javascript:b)", "[a]\\(javascript:b)"),
            ("[a]: http://evil", "[a]\\: http://evil"),
            ("*very* `odd` __x__ snake_case", "\\*very\\* \\`odd\\` \\_\\_x\\_\\_ snake_case"),
            ("# not a title", "\\# not a title"),
            ("a < b & c &lt; AT&T", "a < b & c &amp;lt; AT&amp;T"),
            ("\\<b>", "\\\\&lt;b>"),
            ("[Music] 5 - 3", "[Music] 5 - 3"),
            ("so [^1][^22] [^a] [^1 [^ \\[^1]", "so \\[^1]\\[^22] [^a] [^1 [^ \\\\\\[^1]"),
        ] {
            assert_eq!(markdown_line(text), markdown);
        }
    }

    #[test]
    fn a_block_keeps_its_markdown_but_stays_confined() {
        let answer = "# Top\n\nText **bold**, \\<i>\n===\n\n- a [l](http://x)\n--\n## Sub\n```rust\nlet a;";
        let expected =
            "### Top\n\nText **bold**, &lt;i>\n\\===\n\n- a [l]\\(http://x)\n\\-\n#### Sub\n```rust\nlet a;\n```\n";
        assert_eq!(markdown_block(answer), expected);
        assert_eq!(markdown_block("### Sub\nx\n"), "### Sub\nx\n");
        assert_eq!(
            markdown_block("So [^1].\n```\n[^1]\n```\n[^1]: \\[^1] \\\\[^1]"),
            "So \\[^1].\n```\n[^1]\n```\n\\[^1]\\: \\[^1] \\\\\\[^1]\n"
        );
    }

    #[test]
    fn inputs_lose_their_secrets_and_gain_names() {
        assert_eq!(shown_input("https://me:pw@h.example/a/v.mp4?sig=1#f"), "https://h.example/a/v.mp4?...");
        assert_eq!(short_name("https://me:pw@h.example/a/v.mp4?sig=1"), "v.mp4");
        assert_eq!(shown_input("/tmp/talk?.mp4"), "/tmp/talk?.mp4");
        assert_eq!(short_name("/tmp/talk.mp4"), "talk.mp4");
        assert_eq!(short_name("talk.mp4"), "talk.mp4");
        assert_eq!(short_name("-"), "-");
    }

    proptest! {
        #[test]
        fn cleaning_is_done_once(text in "[\\x00-\\x7fa-z\u{1b}\u{9b}\u{9d}\u{7}\u{202e}\\n\\[\\]]{0,40}") {
            let once = clean_text(&text);
            prop_assert!(!once.chars().any(|c| is_unseen(c) && c != '\n' && c != '\t'));
            prop_assert_eq!(clean_text(&once), once);
        }

        #[test]
        fn no_tag_and_no_link_survives(text in "[\\\\<>a/!\\[\\]\\(:`#=\\-\\n ]{0,40}") {
            for out in [markdown_block(&text), markdown_line(&text)] {
                let forbidden = ["<a", "</", "<!", "](", "][", "]:", "!["];
                prop_assert!(!forbidden.iter().any(|f| out.contains(f)), "{:?}", out);
            }
        }
    }
}
