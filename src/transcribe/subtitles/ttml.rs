//! TTML, the W3C's Timed Text Markup Language, with its profiles IMSC, DFXP, EBU-TT-D and SMPTE-TT.

use std::collections::HashMap;

use super::cues::Cues;
use super::markup::{self, VoiceSpan};
use super::ttml_clock::Clock;
use super::xml::{self, Element, Node};
use crate::language;

/// When an element is shown, in milliseconds.
#[derive(Clone, Copy, PartialEq)]
struct Active {
    start: i64,
    /// None if no element states it.
    end: Option<i64>,
    /// Whether the element or one around it has times.
    is_timed: bool,
    /// Whether all of these times could be read.
    is_valid: bool,
}

/// What applies to the contents of an element.
#[derive(Clone)]
struct Scope {
    name: String,
    active: Active,
    /// In a sequential container: when the next child starts.
    next_start: Option<i64>,
    /// Whether text here is shown, and is not metadata or a reading aid.
    is_shown: bool,
    /// An identifier of the document's agents.
    agent: Option<String>,
}

/// Consecutive text of one paragraph that is shown at the same time.
struct TextRun {
    active: Active,
    agent: Option<String>,
    text: String,
}

#[derive(Default)]
struct TtmlReader {
    cues: Cues,
    clock: Clock,
    scopes: Vec<Scope>,
    runs: Vec<TextRun>,
    /// The names of agents by their identifiers.
    agents: HashMap<String, String>,
    /// The identifier of the agent whose name is being read.
    agent: Option<String>,
    /// The time of the programme's start, if the document's clock does not start at zero.
    offset: i64,
    n_images: usize,
}

pub(super) fn parse(text: &str) -> Cues {
    let mut document = TtmlReader::default();
    let end = xml::read(text, &mut |node| match node {
        Node::Open(element) => document.open(&element),
        Node::Text(text) => document.text(&text),
        Node::Close => document.close(),
    });
    // The last paragraph of a cut file.
    document.end_paragraph();
    let mut cues = document.cues;
    cues.damage = end;
    if !cues.segments.is_empty() {
        cues.n_dropped += std::mem::take(&mut cues.untimed).len();
    } else if cues.untimed.is_empty() && document.n_images > 0 {
        cues.damage = Some("its subtitles are images, which cannot be read as text".to_owned());
    }
    cues.with_ends()
}

impl TtmlReader {
    fn open(&mut self, element: &Element) {
        let parent = self.scopes.last().cloned().unwrap_or_else(|| Scope {
            name: String::new(),
            active: Active { start: 0, end: None, is_timed: false, is_valid: true },
            next_start: None,
            is_shown: false,
            agent: None,
        });
        let mut scope = Scope { name: element.name.clone(), next_start: None, ..parent };
        match element.name.as_str() {
            "tt" => {
                self.clock = Clock::new(element);
                let tag = element.attribute("lang").filter(|tag| language::is_tag(tag));
                self.cues.language = tag.map(str::to_owned);
            }
            "body" | "div" | "p" | "span" => {
                scope.active = self.active(element);
                if element.attribute("timeContainer") == Some("seq") {
                    scope.next_start = Some(scope.active.start);
                }
                if let Some(agent) = element.attribute("agent").or(element.attribute("speaker")) {
                    scope.agent = Some(agent.to_owned());
                }
                if element.name == "p" {
                    self.end_paragraph();
                    scope.is_shown = true;
                }
                // Ruby: the reading of the base text beside it.
                if element.attribute("ruby").is_some_and(|ruby| ruby.starts_with("text") || ruby == "delimiter") {
                    scope.is_shown = false;
                }
                self.n_images += usize::from(element.attribute("backgroundImage").is_some());
            }
            "br" => self.text("\n"),
            "image" => self.n_images += 1,
            "agent" => self.agent = element.attribute("id").map(str::to_owned),
            _ => scope.is_shown = false,
        }
        self.scopes.push(scope);
    }

    /// When an element is shown: in its parent's time, or after its predecessor in a sequential container.
    fn active(&self, element: &Element) -> Active {
        let (around, next_start) = match self.scopes.last() {
            Some(parent) => (parent.active, parent.next_start),
            None => (Active { start: 0, end: None, is_timed: false, is_valid: true }, None),
        };
        let mut is_valid = around.is_valid;
        let mut time = |name: &str| {
            let text = element.attribute(name).filter(|text| *text != "indefinite")?;
            let millis = self.clock.millis(text);
            is_valid &= millis.is_some();
            millis
        };
        let (begin, end, dur) = (time("begin"), time("end"), time("dur"));
        let is_timed = around.is_timed || begin.is_some() || end.is_some() || dur.is_some() || !is_valid;
        let mut base = next_start.unwrap_or(around.start);
        // Some programs write the times of the whole document where those of the parent are due.
        let is_never_shown = around.end.is_some_and(|last| base + begin.unwrap_or(0) >= last);
        if is_never_shown && begin.is_some_and(|begin| begin >= around.start && around.end > Some(begin)) {
            base = 0;
        }
        let start = base + begin.unwrap_or(0);
        let stated = end.map(|end| base + end).into_iter().chain(dur.map(|dur| start + dur)).min();
        let end = stated.into_iter().chain(around.end).min();
        Active { start, end, is_timed, is_valid }
    }

    fn text(&mut self, text: &str) {
        let Some(scope) = self.scopes.last() else { return };
        if scope.is_shown {
            match self.runs.last_mut() {
                Some(run) if run.active == scope.active && run.agent == scope.agent => run.text.push_str(text),
                _ => {
                    self.runs.push(TextRun { active: scope.active, agent: scope.agent.clone(), text: text.to_owned() });
                }
            }
        } else if scope.name == "name"
            && let Some(agent) = &self.agent
        {
            self.agents.entry(agent.clone()).or_default().push_str(text);
        } else if scope.name == "documentStartOfProgramme" {
            self.offset = self.clock.millis(text.trim()).unwrap_or(0);
        }
    }

    fn close(&mut self) {
        let Some(scope) = self.scopes.pop() else { return };
        match scope.name.as_str() {
            "p" => self.end_paragraph(),
            "agent" => self.agent = None,
            _ => {}
        }
        if let Some(parent) = self.scopes.last_mut()
            && parent.next_start.is_some()
            && matches!(scope.name.as_str(), "div" | "p" | "span")
        {
            parent.next_start = scope.active.end.or(Some(scope.active.start));
        }
    }

    fn end_paragraph(&mut self) {
        for run in std::mem::take(&mut self.runs) {
            let speaker = run.agent.as_ref().and_then(|agent| self.agents.get(agent));
            let speaker = speaker.map(|name| markup::collapse_whitespace(name)).filter(|name| !name.is_empty());
            let voices = VoiceSpan::single(speaker, &run.text);
            if voices.is_empty() {
                continue;
            }
            let Active { start, end, is_timed, is_valid } = run.active;
            if !is_timed {
                self.cues.untimed.extend(voices.into_iter().map(|voice| voice.text));
            } else if !is_valid || end.is_some_and(|end| end <= start) {
                self.cues.n_dropped += 1;
            } else {
                self.cues.push_open(start - self.offset, end.map(|end| end - self.offset), voices);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(body: &str) -> Vec<(i64, i64, String)> {
        spans_of(&format!("<tt xmlns=\"http://www.w3.org/ns/ttml\" xml:lang=\"en\"><body>{body}</body></tt>"))
    }

    fn spans_of(document: &str) -> Vec<(i64, i64, String)> {
        let segments = parse(document).normalized().segments.into_iter();
        segments.map(|s| (s.range.start.millis(), s.range.end.millis(), s.text)).collect()
    }

    fn cue(start: i64, end: i64, text: &str) -> (i64, i64, String) {
        (start, end, text.to_owned())
    }

    #[test]
    fn begin_end_and_duration_nest() {
        for (body, expected) in [
            ("<div><p begin='1s' end='2s'>a<br/>b</p></div>", vec![cue(1000, 2000, "a b")]),
            ("<div begin='10s'><p begin='1s' dur='500ms'>a</p></div>", vec![cue(11_000, 11_500, "a")]),
            ("<div begin='10s' end='11s'><p begin='0.5s' end='9s'>a</p></div>", vec![cue(10_500, 11_000, "a")]),
            ("<div><p begin='1s' end='9s' dur='2s'>a</p></div>", vec![cue(1000, 3000, "a")]),
            // Without an end: the next one, or five seconds.
            ("<div><p begin='1s'>a</p><p begin='3s'>b</p></div>", vec![cue(1000, 3000, "a"), cue(3000, 8000, "b")]),
            (
                "<div timeContainer='seq'><p dur='1s'>a</p><p dur='2s'>b</p></div>",
                vec![cue(0, 1000, "a"), cue(1000, 3000, "b")],
            ),
            (
                "<div timeContainer='seq' begin='5s'><p begin='1s' dur='1s'>a</p><p begin='1s' dur='2s'>b</p></div>",
                vec![cue(6000, 7000, "a"), cue(8000, 10_000, "b")],
            ),
            // Times of the whole document inside a timed part.
            ("<div begin='60s' end='120s'><p begin='61s' end='63s'>a</p></div>", vec![cue(61_000, 63_000, "a")]),
        ] {
            assert_eq!(spans(body), expected, "{body}");
        }
    }

    #[test]
    fn spans_have_times_and_speakers_of_their_own() {
        let body = "<p begin='1s' end='9s'><span begin='0s' end='2s'>one <span tts:fontStyle='italic'>two</span></span>\
                    <span begin='2s'>three</span></p><p><span begin='20s' end='21s'>four</span></p>";
        assert_eq!(spans(body), [cue(1000, 3000, "one two"), cue(3000, 9000, "three"), cue(20_000, 21_000, "four")]);
        let document = "<tt:tt xmlns:tt='http://www.w3.org/ns/ttml'><tt:head><tt:metadata>\
            <ttm:agent xml:id='a1' type='person'><ttm:name type='full'>Ann Lee</ttm:name></ttm:agent></tt:metadata></tt:head>\
            <tt:body><tt:div><tt:p begin='00:00:01.000' end='00:00:02.000' ttm:agent='a1'><ttm:desc>not said</ttm:desc>Hi</tt:p>\
            </tt:div></tt:body></tt:tt>";
        let cues = parse(document);
        assert_eq!((cues.segments[0].speaker.as_deref(), &*cues.segments[0].text), (Some("Ann Lee"), "Hi"));
        let ruby = "<p begin='1s' end='2s'><span tts:ruby='container'><span tts:ruby='base'>\u{6f22}</span>\
                    <span tts:ruby='text'>\u{304b}\u{3093}</span></span></p>";
        assert_eq!(spans(ruby), [cue(1000, 2000, "\u{6f22}")]);
    }

    #[test]
    fn clocks_of_frames_ticks_and_programmes() {
        let netflix = "<?xml version='1.0' encoding='UTF-8'?><tt xmlns='http://www.w3.org/ns/ttml' \
            xmlns:ttp='http://www.w3.org/ns/ttml#parameter' ttp:tickRate='10000000' xml:lang='fr'><body><div>\
            <p begin='15000000t' end='30000000t' region='r'><span>\u{c7}a va&nbsp;?</span></p></div></body></tt>";
        assert_eq!(spans_of(netflix), [cue(1500, 3000, "\u{c7}a va ?")]);
        assert_eq!(parse(netflix).language.as_deref(), Some("fr"));
        let frames =
            "<tt ttp:frameRate='25'><body><div><p begin='00:00:01:05' end='00:00:02:10'>a</p></div></body></tt>";
        assert_eq!(spans_of(frames), [cue(1200, 2400, "a")]);
        let ebu = "<tt ttp:timeBase='smpte' ttp:frameRate='25'><head><metadata><ebuttm:documentStartOfProgramme>\
            10:00:00:00</ebuttm:documentStartOfProgramme></metadata></head><body><div>\
            <p begin='10:00:01:00' end='10:00:02:00'>a</p></div></body></tt>";
        assert_eq!(spans_of(ebu), [cue(1000, 2000, "a")]);
    }

    #[test]
    fn entities_are_those_of_xml_alone() {
        let bomb = "<!DOCTYPE tt [<!ENTITY a \"xxxxxxxxxx\"><!ENTITY b \"&a;&a;&a;\">]><tt><body><p begin='1s' end='2s'>\
                    &b;&amp;&#x41;</p></body></tt>";
        assert_eq!(spans_of(bomb), [cue(1000, 2000, "&b;&A")]);
    }

    #[test]
    fn hostile_and_broken_documents() {
        let dropped = |body: &str| parse(&format!("<tt><body>{body}</body></tt>")).n_dropped;
        assert_eq!(dropped("<p begin='-1s' end='2s'>a</p>"), 1);
        assert_eq!(dropped("<p begin='3s' end='2s'>a</p>"), 1);
        assert_eq!(dropped("<p begin='99999999999999999999s'>a</p>"), 1);
        assert_eq!(dropped("<div begin='1s' end='2s'><p begin='5s' end='6s'>never shown</p></div>"), 1);
        assert_eq!(dropped("<p begin='1s' end='2s'> <span/> </p>"), 0, "nothing is said");
        let cut = parse("<tt><body><p begin='1s' end='2s'>whole</p><p begin='2s' end='3s'>ha");
        assert_eq!(cut.segments.len(), 2);
        assert!(cut.damage.is_some_and(|damage| damage.contains("cut")));
        let untimed = parse("<tt><body><p>a</p></body></tt>");
        assert_eq!((untimed.segments.len(), &*untimed.untimed), (0, &["a".to_owned()][..]));
        let images = parse("<tt><body><div begin='1s' end='2s' smpte:backgroundImage='#i'/></body></tt>");
        assert!(images.damage.is_some_and(|damage| damage.contains("images")));
    }
}
