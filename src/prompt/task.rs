//! What is written about a recording: the built-in tasks, and how long and in which language the answer is.

use std::fmt::{self, Write as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::advice::Setting;
use crate::error::Error;
use crate::timeline::Timeline;

const SUMMARY: &str = "\
Write a summary in Markdown without a title. Begin with one or two sentences that say what this is and what its main \
point is. Then list the main points in order of time, one list item each, with their evidence. If there is important text \
on the screen, list it last.";

const DETAILED: &str = "\
Write a detailed account in Markdown without a title. Begin with two or three sentences that say what this is and what its \
main point is. Then give one part to each topic, in order of time: a heading of level 3, then paragraphs that say who does or says \
what, with names, numbers and reasons. Every sentence has its evidence.";

const CHAPTERS: &str = "\
List the chapters in Markdown without a title, in order of time: one list item each, with the evidence of its beginning in \
parentheses, a title of two to seven words in bold, and one sentence that says what happens in it.";

const MINUTES: &str = "\
Write the minutes of this meeting in Markdown without a title, in parts with headings of level 3: Participants (those who are \
named or shown), Topics (what was discussed, in order of time), Decisions, Action items (what, who, and by when if that was said), \
Open questions. Leave out a part to which nothing belongs. If this is no meeting, say so in the first sentence, and then write what \
was discussed and decided. Every statement has its evidence.";

const CLASSIFY: &str = "\
Choose the one label that fits this recording best as a whole, judged by what is shown and said. Give the reason in one to three \
sentences, with their evidence.";

const EXTRACT: &str = "\
Extract data from this recording: fill in the form below with what is shown and said, and with nothing else. For what the \
evidence does not state, use null, an empty list or an empty text, or leave it out, as the form allows.";

/// Begins the answer to a question that the evidence does not answer.
pub const NOT_IN_RECORDING: &str = "Not in this recording:";

const QUESTION: &str = "\
Answer this question about the recording, in Markdown without a title: the answer first, then only what is needed to understand it. \
Every sentence has its evidence. If the evidence does not answer the question, say so in the first sentence, beginning with \"Not in \
this recording:\" in English, and do not answer from general knowledge. The question:";

/// A built-in task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SummaryTask {
    /// The main points.
    #[default]
    Summary,
    /// A detailed account, topic by topic.
    Detailed,
    /// The chapters, from the sections of the records.
    Chapters,
    /// The minutes of a meeting.
    Minutes,
    /// One of several labels, with the reason.
    Classify,
    /// Data of a form that the user gives.
    Extract,
    /// The answer to a question.
    Qa,
}

impl SummaryTask {
    /// Its name in jobs: `summary`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Detailed => "detailed",
            Self::Chapters => "chapters",
            Self::Minutes => "minutes",
            Self::Classify => "classify",
            Self::Extract => "extract",
            Self::Qa => "qa",
        }
    }
}

/// About how long the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SummaryLength {
    /// 80 words.
    Short,
    /// 250 words.
    Medium,
    /// 800 words.
    Long,
    /// This many words, at least 1.
    Words(u32),
}

impl SummaryLength {
    /// About how many words.
    #[must_use]
    pub fn words(self) -> u32 {
        match self {
            Self::Short => 80,
            Self::Medium => 250,
            Self::Long => 800,
            Self::Words(n) => n,
        }
    }
}

/// Reads `short`, `medium`, `long`, or a number of words from 1 to 100000.
impl FromStr for SummaryLength {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "short" => Ok(Self::Short),
            "medium" => Ok(Self::Medium),
            "long" => Ok(Self::Long),
            _ => {
                let n_words = text.parse().ok().filter(|n| (1..=100_000).contains(n));
                n_words.map(Self::Words).ok_or_else(|| {
                    let problem = format!("{text} is no length");
                    Error::setting(Setting::Length, problem, "write short, medium, long or a number of words")
                })
            }
        }
    }
}

impl fmt::Display for SummaryLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("short"),
            Self::Medium => f.write_str("medium"),
            Self::Long => f.write_str("long"),
            Self::Words(n) => write!(f, "{n}"),
        }
    }
}

impl Serialize for SummaryLength {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SummaryLength {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// An earlier answer, and what is to change in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refinement {
    /// The earlier answer: untrusted.
    pub answer: String,
    /// What the user wishes.
    pub wish: String,
}

/// A document that the user gives as background. It is no evidence: it has no ID, and answers do not cite it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextDocument {
    /// Its name.
    pub name: String,
    /// Its text: untrusted.
    pub text: String,
}

/// Parts of the prompt that the user replaces.
#[derive(Clone, Debug, Default)]
pub struct PromptSpec {
    /// Replaces the rules; the rule about fenced text is always added.
    pub system: Option<String>,
    /// Replaces the built-in task.
    pub task: Option<String>,
    /// The built-in task.
    pub kind: SummaryTask,
    /// The question of the task [`SummaryTask::Qa`].
    pub question: Option<String>,
    /// The JSON Schema of an answer that is data; None for text.
    pub schema: Option<String>,
    /// About how long the answer is; None leaves it to the model.
    pub length: Option<SummaryLength>,
    /// The language of the answer, as the user named it; None leaves it to the task, and for the default task means the
    /// language of the speech.
    pub language: Option<String>,
    /// An earlier answer to the same task, which is to be written anew; None answers the task itself.
    pub refinement: Option<Refinement>,
    /// Documents of the user as background.
    pub context: Vec<ContextDocument>,
    /// The http(s) URL of an input image, sent instead of the first frame's bytes, or on its own if there is no frame
    /// because only the server fetches it.
    pub image_url: Option<String>,
}

/// What the user wishes; None where there is no earlier answer.
pub(super) fn wish(refinement: Option<&Refinement>) -> Option<String> {
    let wish = refinement?.wish.trim();
    Some(format!(
        "Write your earlier answer anew, changed as the user wishes: {wish}\nKeep what the wish does not touch. The evidence and \
         the rules are the same."
    ))
}

/// The task as the last part of a request.
pub(super) fn task(timeline: &Timeline, options: &PromptSpec) -> String {
    let mut task = match (&options.task, options.kind) {
        (Some(task), _) => task.trim_end().to_owned(),
        _ if timeline.frames.is_empty() && !timeline.has_words() && options.image_url.is_none() => {
            "There is no evidence about the content of this file, neither images nor speech: say so in one sentence."
                .into()
        }
        (None, SummaryTask::Summary) => SUMMARY.to_owned(),
        (None, SummaryTask::Detailed) => DETAILED.to_owned(),
        (None, SummaryTask::Chapters) => CHAPTERS.to_owned(),
        (None, SummaryTask::Minutes) => MINUTES.to_owned(),
        (None, SummaryTask::Classify) => CLASSIFY.to_owned(),
        (None, SummaryTask::Extract) => EXTRACT.to_owned(),
        (None, SummaryTask::Qa) => {
            format!("{QUESTION}\n{}", options.question.as_deref().unwrap_or_default().trim())
        }
    };
    if let Some(length) = options.length {
        // Writing to a String does not fail.
        let _ = write!(task, "\n\nWrite about {} words.", length.words());
    }
    match (&options.language, &options.task) {
        (Some(language), _) => {
            let _ = write!(task, "\n\nAnswer in this language: {}", language.trim());
        }
        (None, None) if options.kind == SummaryTask::Extract => {}
        (None, None) if options.kind == SummaryTask::Qa => {
            task.push_str("\n\nAnswer in the language of the question.");
        }
        (None, None) => task.push_str("\n\nAnswer in the language of the speech, or in English if there is none."),
        (None, Some(_)) => {}
    }
    if let Some(wish) = wish(options.refinement.as_ref()) {
        let _ = write!(task, "\n\n{wish}");
    }
    if let Some(schema) = &options.schema {
        let citations = if options.kind == SummaryTask::Extract { ", without citations" } else { "" };
        let _ =
            write!(task, "\n\nAnswer with JSON only{citations}. It must be valid against this JSON Schema:\n{schema}");
    }
    task
}
