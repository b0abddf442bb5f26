//! One small talk with everything in it, for the tests of prompt and report.
#![allow(dead_code, reason = "each test file uses its part")]

use bytes::Bytes;
use serde_json::json;
use vidgist::chat::ModelDescription;
use vidgist::chat::{ChatResponse, Choice, FinishReason, PromptEstimate, Usage};
use vidgist::frame_diff::FrameScore;
use vidgist::media::{EncodedImage, ImageFormat, MediaInfo};
use vidgist::money::Money;
use vidgist::record::{EventRecord, Section};
use vidgist::report::{Dropped, MadeWith, Report, SamplingSummary, StageTime, Total, WindowReport};
use vidgist::sentence::{CheckedSentence, GroundingProblem};
use vidgist::time::{TimeBase, TimeRange, Timestamp, Tolerance};
use vidgist::timeline::{Timeline, TimelineFrame};
use vidgist::transcript::{Segment, Transcript, TranscriptSource, Word};

pub fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub fn media() -> MediaInfo {
    let media = json!({
        "input": "talks/ships.mp4",
        "format": "mov,mp4",
        "size_bytes": 1_234_567,
        "start": 0.0,
        "duration": 95.5,
        "title": "Ships & stars",
        "uploader": null,
        "description": null,
        "video": [{
            "stream_idx": 0,
            "codec": "h264",
            "width": 1920,
            "height": 1080,
            "sample_aspect": {"num": 1, "den": 1},
            "rotation": "0",
            "is_mirrored": false,
            "frame_rate": {"num": 30_000, "den": 1001},
            "pixel_format": "yuv420p",
            "color": {"matrix": "bt709", "range": "tv", "transfer": null, "primaries": null},
            "field_order": "progressive",
            "time_base": "1/30000",
            "start": 0.0,
            "duration": 95.5,
            "n_frames": 2862,
            "timing": "stored",
            "encryption": null,
            "language": null,
            "is_default": true,
            "is_cover": false
        }],
        "audio": [{
            "stream_idx": 1,
            "codec": "aac",
            "sample_rate_hz": 48_000,
            "channels": 2,
            "start": 0.0,
            "first_packet": -0.021,
            "duration": 95.5,
            "encryption": null,
            "language": "en",
            "title": null,
            "is_default": true
        }],
        "subtitles": [{
            "stream_idx": 2,
            "codec": "mov_text",
            "is_text": true,
            "language": "en",
            "is_default": false,
            "is_forced": false
        }],
        "chapters": [{"start": 0.0, "end": 4.0, "title": "Opening"}],
        "motion_video": {"at_byte": 3_000_000, "duration": 2.5},
        "damage": []
    });
    serde_json::from_value(media).expect("facts of a file")
}

pub fn frame(frame_idx: usize, millis: i64, sharpness: f64, change: f64) -> TimelineFrame {
    let image = EncodedImage {
        frame_idx,
        pts: Timestamp::new(millis * 30, TimeBase::new(1, 30_000).expect("a base")),
        time: at(millis),
        width: 768,
        height: 432,
        format: ImageFormat::Jpeg,
        bytes: Bytes::from(format!("picture {frame_idx}")),
    };
    TimelineFrame { image, score: FrameScore { sharpness, change } }
}

pub fn segment(start: i64, end: i64, text: &str) -> Segment {
    Segment::new(TimeRange::new(at(start), at(end)), text)
}

pub fn transcript() -> Transcript {
    let mut guest = segment(31_000, 34_000, "Thank you. The ships were late.");
    guest.speaker = Some("Guest".into());
    guest.confidence = Some(0.93);
    guest.words = vec![Word { range: TimeRange::new(at(31_000), at(31_400)), text: "Thank".into() }];
    let segments = vec![
        segment(500, 2500, "Good evening,\nand welcome."),
        segment(12_000, 15_500, "Tonight we talk of ships."),
        guest,
        segment(90_000, 95_000, "Good night."),
    ];
    let source = TranscriptSource::Embedded { stream_idx: 2, codec: "mov_text".into() };
    Transcript::new(source, Some("en".into()), segments)
}

pub fn timeline() -> Timeline {
    Timeline::new(
        TimeRange::new(at(0), at(95_500)),
        vec![frame(0, 1000, 120.5, 1.0), frame(1, 31_000, 98.25, 0.125), frame(2, 61_000, 240.0, 0.75)],
        Some(transcript()),
    )
}

/// A report with everything in it: partial, two alternatives, one of them cut off.
pub fn report() -> Report {
    let sampling = SamplingSummary {
        method: "interval".into(),
        interval: Some(at(30_000)),
        tolerance: Some(Tolerance::HALF),
        range: TimeRange::new(at(0), at(95_500)),
        n_planned: Some(5),
        longest_gap: Some(at(30_000)),
        from_store: false,
        lost_because: Some("the file is damaged from 01:31.0 on".into()),
        dropped: vec![Dropped {
            pts: 4_050_000,
            time_base: TimeBase::new(1, 90_000).expect("a time base"),
            time: at(45_000),
            same_as: 1,
            mean_difference: 0.004,
            local_difference: 0.05,
        }],
    };
    let mut report = Report::new(media(), sampling, &timeline(), "");
    report.model = Some(ModelDescription {
        name: "some-model".into(),
        endpoint: Some("https://api.example:443".into()),
        is_language_model: true,
    });
    report.answer = Some(ChatResponse {
        choices: vec![
            Choice {
                reasoning: Some("The frames show ships.".into()),
                ..Choice::new("# A talk\n\nOf **ships** (#1, s2).", FinishReason::Stop)
            },
            Choice {
                sentences: vec![CheckedSentence::new("Of ships and", vec![GroundingProblem::NoCitation])],
                ..Choice::new("Of ships and", FinishReason::Length)
            },
            Choice::new("", FinishReason::Other("eos".into())),
        ],
        model: Some("some-model-2026".into()),
        usage: Some(Usage {
            prompt_tokens: Some(1000),
            completion_tokens: Some(200),
            cached_tokens: Some(64),
            reasoning_tokens: Some(12),
        }),
        n_attempts: 2,
        dropped_params: vec!["temperature".into()],
        cost: Some(Money::from_picos(4_340_000_000)),
        estimate: Some(PromptEstimate { prompt_tokens: 1200, prompt_cost: Some(Money::from_picos(3_000_000_000)) }),
        from_store: false,
    });
    let window = |range, outcome: Result<(&ChatResponse, usize), String>| {
        let frames = timeline().frames.into_iter().filter(|frame| TimeRange::contains(range, frame.image.time));
        WindowReport::new(&Timeline::new(range, frames.collect(), None), outcome)
    };
    let mut part = ChatResponse::new(vec![Choice::new("Ships.", FinishReason::Other("eos".into()))]);
    let of = report.answer.as_ref().expect("an answer");
    (part.usage, part.cost, part.estimate, part.n_attempts) = (of.usage, of.cost, of.estimate, 1);
    report.windows = vec![
        window(TimeRange::new(at(0), at(61_000)), Ok((&part, 1))),
        window(TimeRange::new(at(61_000), at(95_500)), Err("the server is down".into())),
    ];
    let mut record = EventRecord::new(0, TimeRange::new(at(31_000), at(61_000)), "The ships are late.");
    (record.frames, record.segments) = (vec![1], vec![2]);
    (record.quote, record.on_screen_text) = (Some("The ships were late".into()), Some("SHIPS".into()));
    record.people = vec!["Ann".into()];
    report.records = vec![record];
    report.sections = vec![Section::new(TimeRange::new(at(31_000), at(95_500)), "Late ships", "Ships (#1).", (0, 1))];
    let mut total = Total::zero();
    total.add_usage(of.usage, of.cost);
    total.add_usage(part.usage, part.cost);
    report.total = Some(total);
    report.changes = vec!["5 of 9 frames are looked at".into()];
    report.miss("the sound of stream 3", "its codec is not read");
    report.timings = vec![StageTime { stage: "decode".into(), seconds: 1.25 }];
    report.made_with = MadeWith {
        vidgist: "0.0.0".into(),
        decoder: Some("OpenCV 4.6.0".into()),
        prompt_version: Some(vidgist::prompt::VERSION),
    };
    report.frames[2].file = Some("frames/frame_000002_t00-01-01.000.jpg".into());
    report
}
