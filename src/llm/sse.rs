//! Server-sent events (WHATWG HTML, 9.2); chat servers use only the `data` field.

use crate::error::ErrorCode;
use crate::http::{RequestError, RequestErrorKind};

/// Maximum size of one event.
const MAX_EVENT_BYTES: usize = 1 << 20;
const BOM: &[u8] = &[0xef, 0xbb, 0xbf];

/// Parses bytes, in chunks of any size, into the data of events. Comments and other fields are ignored.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// The incomplete line.
    line: Vec<u8>,
    /// The data lines of the incomplete event, joined by line feeds.
    data: Option<String>,
    /// Whether the last byte was a carriage return, whose line feed may follow.
    after_cr: bool,
    /// Whether the first line is over.
    has_begun: bool,
}

impl Events {
    /// Takes the next bytes; `on_data` gets the data of each event that they complete.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut on_data: impl FnMut(&str) -> Result<(), RequestError>,
    ) -> Result<(), RequestError> {
        for &byte in bytes {
            let is_rest_of_end = std::mem::take(&mut self.after_cr) && byte == b'\n';
            match byte {
                b'\n' if is_rest_of_end => {}
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    self.end_line(&mut on_data)?;
                }
                byte => self.line.push(byte),
            }
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > MAX_EVENT_BYTES {
                let problem = format!("an event of the stream is larger than {MAX_EVENT_BYTES} bytes");
                return Err(RequestError::new(RequestErrorKind::Final, problem, "").with_code(ErrorCode::TooLarge));
            }
        }
        Ok(())
    }

    /// Ends the stream. An event without its blank line counts, since some servers omit the last one.
    pub fn finish(mut self, mut on_data: impl FnMut(&str) -> Result<(), RequestError>) -> Result<(), RequestError> {
        self.end_line(&mut on_data)?;
        self.data.take().map_or(Ok(()), |data| on_data(&data))
    }

    fn end_line(&mut self, on_data: &mut impl FnMut(&str) -> Result<(), RequestError>) -> Result<(), RequestError> {
        let line = std::mem::take(&mut self.line);
        let line = if self.has_begun { &line[..] } else { line.strip_prefix(BOM).unwrap_or(&line) };
        self.has_begun = true;
        if line.is_empty() {
            return self.data.take().map_or(Ok(()), |data| on_data(&data));
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &[][..]),
        };
        if field == b"data" {
            let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(&value);
                }
                None => self.data = Some(value.into_owned()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<String> {
        let (mut events, mut found) = (Events::default(), Vec::new());
        let mut keep = |data: &str| {
            found.push(data.to_owned());
            Ok(())
        };
        for chunk in chunks {
            events.feed(chunk, &mut keep).expect("small");
        }
        events.finish(&mut keep).expect("small");
        found
    }

    #[test]
    fn events_of_several_servers() {
        for (text, expected) in [
            ("data: a\n\ndata: b\n\n", vec!["a", "b"]),
            ("data:a\r\n\r\ndata: b\r\n\r\n", vec!["a", "b"]),
            ("data: a\r\rdata: b\r\r", vec!["a", "b"]),
            ("\u{feff}data: a\n\n", vec!["a"]),
            (": ping\n\n:\n\ndata: a\n\n", vec!["a"]),
            ("event: x\nid: 3\nretry: 5\ndata: a\n\n", vec!["a"]),
            ("data: a\ndata: b\n\n", vec!["a\nb"]),
            ("data\n\ndata:\n\n", vec!["", ""]),
            ("data:  a\n\n", vec![" a"]),
            ("\n\n\n", vec![]),
            ("data: [DONE]", vec!["[DONE]"]),
            ("data: [DONE]\n", vec!["[DONE]"]),
            ("database: a\n\n", vec![]),
            ("data: \u{feff}a\n\n", vec!["\u{feff}a"]),
        ] {
            assert_eq!(read(&[text.as_bytes()]), expected, "{text:?}");
        }
        assert_eq!(read(&[b"data: \xff\n\n"]), ["\u{fffd}"]);
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut events = Events::default();
        let mut feed = || events.feed(&vec![b'x'; 1 << 16], |_| Ok(()));
        let n_fed = (0..100).take_while(|_| feed().is_ok()).count();
        assert_eq!(n_fed, MAX_EVENT_BYTES >> 16);
        let mut events = Events::default();
        let line = [b"data: ".as_slice(), &[b'x'; 1000], b"\n"].concat();
        let n_fed = (0..5000).take_while(|_| events.feed(&line, |_| Ok(())).is_ok()).count();
        assert!((1000..1100).contains(&n_fed), "{n_fed}");
    }

    proptest! {
        #[test]
        fn chunk_boundaries_do_not_change_the_events(
            lines in prop::collection::vec("(data: ?|: |event:|)[a-zé🎞\u{feff}]{0,6}(\r\n|\n|\r|\n\n|\r\n\r\n)", 0..20),
            cuts in prop::collection::vec(0_usize..400, 0..20),
        ) {
            let text = lines.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|at| at.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&chunks), read(&[&text]));
            let bytes: Vec<&[u8]> = text.chunks(1).collect();
            prop_assert_eq!(read(&bytes), read(&[&text]));
        }
    }
}
