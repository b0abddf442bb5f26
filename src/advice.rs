//! What to try after an error, as data: the command renders a [`Setting`] as a flag, a server as a field.

use std::fmt;

use serde::Serialize;

/// What the reader of an error can try. Its `Display` names settings in words (`lower the maximum width`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "do", content = "what")]
#[non_exhaustive]
pub enum Advice {
    /// Nothing useful is known.
    #[default]
    None,
    /// In words, without a flag or a field.
    Text(String),
    /// Give a setting a value.
    Set(Setting),
    /// Give a setting this value.
    SetTo(Setting, String),
    /// Leave a setting out.
    Unset(Setting),
    /// Give a setting a larger value.
    Raise(Setting),
    /// Give a setting a smaller value.
    Lower(Setting),
    /// Check the value of a setting.
    Check(Setting),
    /// Set the environment variable that holds a provider's API key.
    SetKey(String),
    /// Run a subcommand with these arguments: `models pull base`.
    Run(String),
    /// One of these.
    AnyOf(Vec<Advice>),
}

impl Advice {
    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        match self {
            Self::None => true,
            Self::Text(text) => text.is_empty(),
            Self::AnyOf(several) => several.iter().all(Self::is_none),
            _ => false,
        }
    }

    /// This advice, or another.
    #[must_use]
    pub fn or(self, other: impl Into<Self>) -> Self {
        let other = other.into();
        match (self, other) {
            (one, other) if other.is_none() => one,
            (one, other) if one.is_none() => other,
            (Self::AnyOf(mut several), other) => {
                several.push(other);
                Self::AnyOf(several)
            }
            (one, other) => Self::AnyOf(vec![one, other]),
        }
    }

    /// Send less in one request: fewer frames, or smaller ones.
    #[must_use]
    pub fn send_less() -> Self {
        Self::Raise(Setting::Interval).or(Self::Lower(Setting::MaxFrames)).or(Self::Lower(Setting::MaxWidth))
    }

    /// The text, with settings and subcommands as `names` writes them.
    #[must_use]
    pub fn render(&self, names: &dyn AdviceNames) -> String {
        match self {
            Self::None => String::new(),
            Self::Text(text) => text.clone(),
            Self::Set(setting) => names.set(*setting, None),
            Self::SetTo(setting, value) => names.set(*setting, Some(value)),
            Self::Unset(setting) => format!("leave out {}", names.setting(*setting)),
            Self::Raise(setting) => format!("raise {}", names.setting(*setting)),
            Self::Lower(setting) => format!("lower {}", names.setting(*setting)),
            Self::Check(setting) => format!("check {}", names.setting(*setting)),
            Self::SetKey(variable) => format!("set {variable}"),
            Self::Run(subcommand) => names.run(subcommand),
            Self::AnyOf(several) => {
                let texts: Vec<String> =
                    several.iter().filter(|one| !one.is_none()).map(|one| one.render(names)).collect();
                match texts.split_last() {
                    Some((last, [])) => last.clone(),
                    Some((last, others)) => format!("{}, or {last}", others.join(", ")),
                    None => String::new(),
                }
            }
        }
    }
}

/// How a front end names settings and subcommands.
pub trait AdviceNames {
    /// A setting: `--max-width`.
    fn setting(&self, setting: Setting) -> String;
    /// The advice to give a setting a value: `pass --max-width 512`.
    fn set(&self, setting: Setting, value: Option<&str>) -> String;
    /// The advice to run a subcommand: `run: vidgist probe`.
    fn run(&self, subcommand: &str) -> String;
}

/// Settings in words, as the library itself names them.
struct PlainNames;

impl AdviceNames for PlainNames {
    fn setting(&self, setting: Setting) -> String {
        setting.to_string()
    }

    fn set(&self, setting: Setting, value: Option<&str>) -> String {
        match value {
            Some(value) => format!("set {setting} to {value}"),
            None => format!("set {setting}"),
        }
    }

    fn run(&self, subcommand: &str) -> String {
        format!("run: vidgist {subcommand}")
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(&PlainNames))
    }
}

impl From<&str> for Advice {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl From<String> for Advice {
    fn from(text: String) -> Self {
        if text.is_empty() { Self::None } else { Self::Text(text) }
    }
}

macro_rules! settings {
    ($($name:ident $words:literal),* $(,)?) => {
        /// A setting of a job or of the configuration. Its `Display` is its name in words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Setting {
            $(#[doc = concat!("Written as `", $words, "`.")] $name,)*
        }

        impl Setting {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name in words: `the maximum width`.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
        }
    };
}

settings! {
    At "the list of times",
    AudioChannels "the number of channels",
    AudioFormat "the audio format",
    AudioRate "the sample rate",
    BaseUrl "the base URL",
    Batch "the batch API",
    Beside "captions beside their images",
    CaFile "the file of certificates",
    Captions "the use of existing captions",
    ChannelMode "how the channels of stereo are transcribed",
    Context "the background documents",
    Decoder "the decoder backend",
    Detail "the image detail",
    DryRun "the dry run",
    EmbedChapters "the copy with chapters",
    End "the end time",
    Fps "the sampling rate",
    FramesPerRequest "the number of frames per request",
    HubUrl "the hub's URL",
    ImageFormat "the image format",
    ImageTransport "the image transport",
    Interval "the sampling interval",
    InlinePictures "inlined pictures",
    Labels "the labels",
    Language "the language",
    Length "the length of the answer",
    LinkMedia "the player of the report page",
    LookFrames "the frames of a second look",
    MaxCost "the cost limit",
    MaxFrames "the maximum number of frames",
    MaxTokens "the token limit of an answer",
    MaxTokensTotal "the token limit of the run",
    MaxWidth "the maximum width",
    MaxEdge "the maximum length of the longer side",
    Model "the model",
    NChoices "the number of choices",
    Output "the output",
    Overwrite "overwriting",
    OutputFormat "the output format",
    Playlist "playlists",
    OutputLanguage "the language of the answer",
    Prompt "the prompt",
    Question "the question",
    ReasoningEffort "the reasoning effort",
    Refine "the refinement",
    Resume "resuming",
    Sampling "the sampling method",
    Schema "the JSON Schema",
    Seed "the seed",
    SendAudio "sending audio",
    SendKeyUnencrypted "sending the key unencrypted",
    SequenceFps "the rate of the image sequence",
    ShowRequests "showing requests",
    Spectrogram "the spectrogram",
    Start "the start time",
    Stop "the stop texts",
    StrictParams "strict parameters",
    Strict "the strict check of sentences",
    Stt "the source of the transcript",
    SttBaseUrl "the transcription endpoint's URL",
    SttModel "the transcription model",
    SubtitleEncoding "the encoding of the subtitles",
    System "the system message",
    Task "the task",
    TargetLanguage "the target language",
    Temperature "the temperature",
    Timeout "the timeout",
    Tolerance "the sampling tolerance",
    TopP "the nucleus sampling threshold",
    TotalTimeout "the total timeout",
    Track "the audio track",
    Transcript "the transcript file",
    Translate "the translation",
    Verify "the verification of sentences",
    Waveform "the waveform",
    WhisperModel "the Whisper model",
    WordTimes "word times",
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_reads_as_a_sentence() {
        assert_eq!(Advice::from(""), Advice::None);
        assert_eq!(
            Advice::send_less().to_string(),
            "raise the sampling interval, lower the maximum number of frames, or lower the maximum width"
        );
        let one = Advice::SetTo(Setting::AudioFormat, "wav".into());
        assert_eq!(one.clone().or("").to_string(), "set the audio format to wav");
        assert_eq!(
            one.or(Advice::Run("probe".into())).to_string(),
            "set the audio format to wav, or run: vidgist probe"
        );
    }
}
