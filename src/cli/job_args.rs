//! Flags to a [`Job`].

use std::path::PathBuf;

use vidgist::error::{Error, Result};
use vidgist::job::{
    AudioFileFormat, AudioJob, CaptionFormat, CaptionJob, DescribeJob, ExistingCaptions, FramesJob, ImageOptions,
    ImageTransport, Job, ModelOptions, ParamOptions, PromptOptions, SamplingMethod, SamplingOptions, ServerOptions,
    SpendOptions, SummarizeJob, Task, TrackOptions, TranscribeJob, TranscriptChoice, TranscriptFormat,
    TranscriptOptions, TranslateJob, parse_ratio,
};
use vidgist::llm::Detail;
use vidgist::media::{ImageFormat, Ratio};
use vidgist::prompt::SummaryTask;
use vidgist::report::Format;
use vidgist::transcribe::ChannelMode;
use vidgist::video::DecoderBackend;

use super::args::{
    self, AnswerArgs, AskArgs, AudioArgs, CaptionArgs, ChannelsArg, Command, DecoderChoice, DescribeArgs,
    DescriptionFormat, DetailChoice, EvidenceArgs, FramesArgs, ImageArgs, ImageFormatArg, ModelArgs, PromptArgs,
    ReportArgs, ReportFormat, RequestArgs, SamplingArgs, ServerArgs, SoundFileFormat, StreamChoice, Stt, SummarizeArgs,
    TrackArgs, TranscribeArgs, TranscriptArgs, TranscriptFormatArg, TranslateArgs,
};
use super::text_file::read_text;

/// The job of a command; None for commands that are none.
pub fn job(command: &Command) -> Result<Option<Job>> {
    Ok(Some(Job::new(match command {
        Command::Summarize(args) => Task::Summarize(summarize(args, args.requests.dry_run)?),
        Command::Plan(args) => Task::Summarize(summarize(args, true)?),
        Command::Ask(args) => Task::Summarize(ask(args)?),
        Command::Caption(args) => Task::Caption(caption(args)?),
        Command::Frames(args) => Task::Frames(frames(args)?),
        Command::Audio(args) => Task::Audio(audio(args)),
        Command::DescribeAudio(args) => Task::DescribeAudio(describe(args)),
        Command::Transcribe(args) => Task::Transcribe(transcribe(args)),
        Command::Translate(args) => Task::Translate(translate(args)),
        _ => return Ok(None),
    })))
}

fn summarize(args: &SummarizeArgs, dry_run: bool) -> Result<SummarizeJob> {
    let SummarizeArgs { evidence, task, report, .. } = args;
    Ok(SummarizeJob {
        embed_chapters: args.embed_chapters.clone(),
        image_transport: match args.image_transport {
            args::ImageTransportArg::Data => ImageTransport::Data,
            args::ImageTransportArg::Url => ImageTransport::Url,
        },
        task: match task.task {
            args::TaskArg::Summary => SummaryTask::Summary,
            args::TaskArg::Detailed => SummaryTask::Detailed,
            args::TaskArg::Chapters => SummaryTask::Chapters,
            args::TaskArg::Minutes => SummaryTask::Minutes,
            args::TaskArg::Classify => SummaryTask::Classify,
            args::TaskArg::Extract => SummaryTask::Extract,
        },
        labels: task.labels.clone(),
        schema: task.schema.as_deref().map(|path| read_text(path, "write a JSON Schema")).transpose()?,
        length: task.length,
        refine: task.refine.clone(),
        prompt: prompt(&args.prompt)?,
        model: model(&args.model),
        spend: SpendOptions { dry_run, ..spend(&args.requests) },
        ..answered(&args.input, evidence, &task.answer, report)?
    })
}

/// A question is a summary of the task `qa`.
fn ask(args: &AskArgs) -> Result<SummarizeJob> {
    Ok(SummarizeJob {
        task: SummaryTask::Qa,
        question: Some(args.question.clone()),
        model: model(&args.model),
        spend: spend(&args.requests),
        ..answered(&args.input, &args.evidence, &args.answer, &args.report)?
    })
}

/// What summaries and answers to questions have in common.
fn answered(input: &str, evidence: &EvidenceArgs, answer: &AnswerArgs, report: &ReportArgs) -> Result<SummarizeJob> {
    Ok(SummarizeJob {
        input: input.to_owned(),
        join: evidence.join.files(),
        sampling: sampling(&evidence.sampling)?,
        images: images(&evidence.images),
        track: track(&evidence.track),
        transcript: transcript(&evidence.transcript),
        output_language: answer.output_language.clone(),
        context: answer.context.clone(),
        strict: answer.strict,
        verify: answer.verify,
        look_frames: answer.look,
        output: report.output.clone(),
        format: match report.format {
            ReportFormat::Markdown => Format::Markdown,
            ReportFormat::Json => Format::Json,
            ReportFormat::Html => Format::Html,
        },
        link_media: report.link_media,
        inline_pictures: report.inline_pictures,
        ..SummarizeJob::default()
    })
}

fn caption(args: &CaptionArgs) -> Result<CaptionJob> {
    Ok(CaptionJob {
        inputs: args.inputs.clone(),
        playlist: args.playlist,
        output: args.output.clone(),
        format: args.format.map(|format| match format {
            args::CaptionFormatArg::Jsonl => CaptionFormat::Jsonl,
            args::CaptionFormatArg::Csv => CaptionFormat::Csv,
            args::CaptionFormatArg::Txt => CaptionFormat::Txt,
        }),
        resume: args.resume,
        existing: match args.existing.captions {
            _ if args.existing.overwrite => ExistingCaptions::Overwrite,
            args::ExistingCaptionsArg::Skip => ExistingCaptions::Skip,
            args::ExistingCaptionsArg::Append => ExistingCaptions::Append,
            args::ExistingCaptionsArg::Prepend => ExistingCaptions::Prepend,
        },
        beside: args.existing.beside,
        frames_per_request: Some(args.frames_per_request).filter(|n| *n != 1),
        batch: args.batch,
        sampling: sampling(&args.sampling)?,
        images: images(&args.images),
        track: track(&args.track),
        transcript: transcript(&args.transcript),
        prompt: prompt(&args.prompt)?,
        model: model(&args.model),
        spend: spend(&args.requests),
    })
}

fn frames(args: &FramesArgs) -> Result<FramesJob> {
    Ok(FramesJob {
        input: args.input.clone(),
        join: args.join.files(),
        output: args.output.clone(),
        contact_sheet: args.contact_sheet,
        sampling: sampling(&args.sampling)?,
        images: images(&args.images),
    })
}

fn audio(args: &AudioArgs) -> AudioJob {
    AudioJob {
        input: args.input.clone(),
        join: args.join.files(),
        output: args.output.clone(),
        format: args.format.map(|format| match format {
            SoundFileFormat::Wav => AudioFileFormat::Wav,
            SoundFileFormat::Flac => AudioFileFormat::Flac,
        }),
        rate_hz: args.rate,
        channels: args.channels,
        all_tracks: args.all_tracks,
        track: track(&args.track),
        start: args.range.start,
        end: args.range.end,
    }
}

fn describe(args: &DescribeArgs) -> DescribeJob {
    DescribeJob {
        inputs: args.inputs.clone(),
        playlist: args.playlist,
        join: args.join.join,
        output: args.output.clone(),
        format: match args.format {
            DescriptionFormat::Markdown => Format::Markdown,
            DescriptionFormat::Json => Format::Json,
        },
        waveform: args.waveform.clone(),
        spectrogram: args.spectrogram.clone(),
        send_audio: args.send_audio,
        track: track(&args.track),
        start: args.range.start,
        end: args.range.end,
        transcript: transcript(&args.transcript),
        model: model(&args.model),
    }
}

fn transcribe(args: &TranscribeArgs) -> TranscribeJob {
    TranscribeJob {
        inputs: args.inputs.clone(),
        playlist: args.playlist,
        join: args.join.join,
        output: args.output.clone(),
        format: args.format.into(),
        track: track(&args.track),
        start: args.range.start,
        end: args.range.end,
        transcript: transcript(&args.transcript),
        base_url: args.base_url.clone(),
        server: server(&args.server),
    }
}

fn translate(args: &TranslateArgs) -> TranslateJob {
    TranslateJob {
        input: args.input.clone(),
        join: args.join.files(),
        to: args.to.clone(),
        output: args.output.clone(),
        format: args.format.map(TranscriptFormatArg::into),
        track: track(&args.track),
        start: args.range.start,
        end: args.range.end,
        transcript: transcript(&args.transcript),
        model: model(&args.model),
        spend: spend(&args.requests),
    }
}

impl From<TranscriptFormatArg> for TranscriptFormat {
    fn from(format: TranscriptFormatArg) -> Self {
        match format {
            TranscriptFormatArg::Srt => Self::Srt,
            TranscriptFormatArg::Vtt => Self::Vtt,
            TranscriptFormatArg::Txt => Self::Txt,
            TranscriptFormatArg::Md => Self::Md,
            TranscriptFormatArg::Json => Self::Json,
        }
    }
}

fn sampling(args: &SamplingArgs) -> Result<SamplingOptions> {
    let sequence_fps = ratio("--sequence-fps", &args.sequence_fps)?;
    Ok(SamplingOptions {
        method: args.sampling.map(|method| match method {
            args::SamplingMethodArg::Interval => SamplingMethod::Interval,
            args::SamplingMethodArg::Keyframe => SamplingMethod::Keyframe,
            args::SamplingMethodArg::Scene => SamplingMethod::Scene,
            args::SamplingMethodArg::Budget => SamplingMethod::Budget,
        }),
        interval: args.interval,
        fps: args.fps.as_deref().map(|text| ratio("--fps", text)).transpose()?,
        at: args.at.clone(),
        tolerance: args.tolerance,
        start: args.start,
        end: args.end,
        max_frames: args.max_frames,
        dedup: args.dedup,
        sequence_fps: Some(sequence_fps).filter(|rate| *rate != Ratio::ONE),
        decoder: match args.decoder {
            DecoderChoice::Auto => DecoderBackend::Auto,
            DecoderChoice::Opencv => DecoderBackend::OpenCv,
        },
    })
}

fn images(args: &ImageArgs) -> ImageOptions {
    ImageOptions {
        max_width: args.max_width,
        max_edge: args.max_edge,
        jpeg_quality: args.jpeg_quality,
        format: args.image_format.map(ImageFormatArg::into),
    }
}

impl From<ImageFormatArg> for ImageFormat {
    fn from(format: ImageFormatArg) -> Self {
        match format {
            ImageFormatArg::Jpeg => Self::Jpeg,
            ImageFormatArg::Png => Self::Png,
            ImageFormatArg::Webp => Self::Webp,
        }
    }
}

fn transcript(args: &TranscriptArgs) -> TranscriptOptions {
    TranscriptOptions {
        source: if args.no_transcript { Some(TranscriptChoice::None) } else { args.stt.map(Stt::into) },
        file: args.transcript.clone(),
        language: args.language.first().filter(|_| args.language.len() == 1).cloned(),
        languages: if args.language.len() > 1 { args.language.clone() } else { Vec::new() },
        multilingual: args.multilingual,
        channels: match args.channels {
            ChannelsArg::Auto => ChannelMode::Auto,
            ChannelsArg::Split => ChannelMode::Split,
            ChannelsArg::Mix => ChannelMode::Mix,
        },
        subtitle_encoding: args.subtitle_encoding.clone(),
        whisper_model: args.whisper_model.clone(),
        translate: args.translate,
        words: args.words,
        stt_model: args.stt_model.clone(),
        stt_base_url: args.stt_base_url.clone(),
    }
}

impl From<Stt> for TranscriptChoice {
    fn from(stt: Stt) -> Self {
        match stt {
            Stt::Auto => Self::Auto,
            Stt::Subtitles => Self::Subtitles,
            Stt::Whisper => Self::Whisper,
            Stt::Api => Self::Api,
            Stt::None => Self::None,
        }
    }
}

fn track(args: &TrackArgs) -> TrackOptions {
    TrackOptions { number: args.track, language: args.audio_language.clone() }
}

fn prompt(args: &PromptArgs) -> Result<PromptOptions> {
    Ok(PromptOptions {
        task: text_or_file(args.prompt.as_ref(), args.prompt_file.as_ref())?,
        system: args.system.clone(),
    })
}

/// The options of a model.
pub fn model(args: &ModelArgs) -> ModelOptions {
    ModelOptions {
        name: args.model.clone(),
        base_url: args.base_url.clone(),
        stream: match args.stream {
            StreamChoice::Auto => None,
            StreamChoice::Always => Some(true),
            StreamChoice::Never => Some(false),
        },
        strict_params: args.strict_params,
        params: ParamOptions {
            temperature: args.temperature,
            max_tokens: args.max_tokens,
            top_p: args.top_p,
            n: args.n,
            stop: args.stop.clone(),
            seed: args.seed,
            detail: args.detail.map(|detail| match detail {
                DetailChoice::Low => Detail::Low,
                DetailChoice::High => Detail::High,
                DetailChoice::Auto => Detail::Auto,
                DetailChoice::Original => Detail::Original,
            }),
            reasoning_effort: args.reasoning_effort.clone(),
        },
        server: server(&args.server),
    }
}

/// The options of a server.
pub fn server(args: &ServerArgs) -> ServerOptions {
    ServerOptions {
        timeout: args.timeout,
        total_timeout: args.total_timeout,
        concurrency: args.concurrency,
        max_requests_per_minute: args.max_requests_per_minute,
        max_tokens_per_minute: args.max_tokens_per_minute,
        ca_file: args.ca_file.clone(),
        send_key_unencrypted: args.send_key_unencrypted,
    }
}

fn spend(args: &RequestArgs) -> SpendOptions {
    SpendOptions {
        max_cost: args.max_cost.clone(),
        max_tokens_total: args.max_tokens_total,
        dry_run: args.dry_run,
        show_requests: args.show_requests,
    }
}

fn ratio(flag: &str, text: &str) -> Result<Ratio> {
    parse_ratio(text)
        .ok_or_else(|| Error::usage(flag, format!("{text} is not a rate above 0"), "write it as 2, 0.5 or 30000/1001"))
}

/// A text given on the command line or in a file.
fn text_or_file(text: Option<&String>, file: Option<&PathBuf>) -> Result<Option<String>> {
    match (text, file) {
        (Some(text), _) => Ok(Some(text.clone())),
        (None, Some(path)) => read_text(path, "write the text in UTF-8").map(Some),
        (None, None) => Ok(None),
    }
}
