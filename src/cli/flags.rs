//! Errors and advice as the command words them: settings are flags.

use vidgist::Error;
use vidgist::advice::{Advice, AdviceNames, Setting};

/// The flag of a setting.
pub const fn flag(setting: Setting) -> &'static str {
    match setting {
        Setting::At => "--at",
        Setting::AudioChannels | Setting::ChannelMode => "--channels",
        Setting::AudioFormat | Setting::OutputFormat => "--format",
        Setting::AudioRate => "--rate",
        Setting::BaseUrl => "--base-url",
        Setting::Batch => "--batch",
        Setting::Beside => "--beside",
        Setting::CaFile => "--ca-file",
        Setting::Captions => "--captions",
        Setting::Context => "--context",
        Setting::Decoder => "--decoder",
        Setting::Detail => "--detail",
        Setting::DryRun => "--dry-run",
        Setting::EmbedChapters => "--embed-chapters",
        Setting::End => "--end",
        Setting::Fps => "--fps",
        Setting::FramesPerRequest => "--frames-per-request",
        Setting::HubUrl => "--hub",
        Setting::ImageFormat => "--image-format",
        Setting::ImageTransport => "--image-transport",
        Setting::Interval => "--interval",
        Setting::InlinePictures => "--inline-pictures",
        Setting::Labels => "--labels",
        Setting::Language => "--language",
        Setting::Length => "--length",
        Setting::LinkMedia => "--link-media",
        Setting::LookFrames => "--look",
        Setting::MaxCost => "--max-cost",
        Setting::MaxFrames => "--max-frames",
        Setting::MaxTokens => "--max-tokens",
        Setting::MaxTokensTotal => "--max-tokens-total",
        Setting::MaxWidth => "--max-width",
        Setting::MaxEdge => "--max-edge",
        Setting::Model => "--model",
        Setting::NChoices => "--n",
        Setting::Output => "--output",
        Setting::Overwrite => "--overwrite",
        Setting::Playlist => "--playlist",
        Setting::OutputLanguage => "--output-language",
        Setting::Prompt => "--prompt",
        Setting::Question => "the question",
        Setting::ReasoningEffort => "--reasoning-effort",
        Setting::Refine => "--refine",
        Setting::Resume => "--resume",
        Setting::Sampling => "--sampling",
        Setting::Schema => "--schema",
        Setting::Seed => "--seed",
        Setting::SendAudio => "--send-audio",
        Setting::SendKeyUnencrypted => "--send-key-unencrypted",
        Setting::SequenceFps => "--sequence-fps",
        Setting::ShowRequests => "--show-requests",
        Setting::Spectrogram => "--spectrogram",
        Setting::Start => "--start",
        Setting::Stop => "--stop",
        Setting::StrictParams => "--strict-params",
        Setting::Strict => "--strict",
        Setting::Stt => "--stt",
        Setting::SttBaseUrl => "--stt-base-url",
        Setting::SttModel => "--stt-model",
        Setting::SubtitleEncoding => "--subtitle-encoding",
        Setting::System => "--system",
        Setting::Task => "--task",
        Setting::TargetLanguage => "--to",
        Setting::Temperature => "--temperature",
        Setting::Timeout => "--timeout",
        Setting::Tolerance => "--tolerance",
        Setting::TopP => "--top-p",
        Setting::TotalTimeout => "--total-timeout",
        Setting::Track => "--track",
        Setting::Transcript => "--transcript",
        Setting::Translate => "--translate",
        Setting::Verify => "--verify",
        Setting::Waveform => "--waveform",
        Setting::WhisperModel => "--whisper-model",
        Setting::WordTimes => "--words",
        _ => "its flag",
    }
}

/// Names settings by their flags.
struct Flags;

impl AdviceNames for Flags {
    fn setting(&self, setting: Setting) -> String {
        flag(setting).to_owned()
    }

    fn set(&self, setting: Setting, value: Option<&str>) -> String {
        match value {
            Some(value) => format!("pass {} {value}", flag(setting)),
            None => format!("pass {}", flag(setting)),
        }
    }

    fn run(&self, subcommand: &str) -> String {
        format!("run: vidgist {subcommand}")
    }
}

/// Advice with flags: `lower --max-width`.
pub fn advice(advice: &Advice) -> String {
    advice.render(&Flags)
}

/// An error with flags: `--max-cost: is too low; raise --max-cost`.
pub fn error_text(error: &Error) -> String {
    if error.is_interrupted() {
        return error.problem.clone();
    }
    let subject = error.setting.map_or_else(|| error.input.clone(), |setting| flag(setting).to_owned());
    let mut text = format!("{subject}: {}", error.problem);
    if !error.advice.is_none() {
        text.push_str("; ");
        text.push_str(&advice(&error.advice));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_has_a_flag() {
        let without: Vec<Setting> =
            Setting::ALL.iter().copied().filter(|setting| flag(*setting) == "its flag").collect();
        assert_eq!(without, []);
    }
}
