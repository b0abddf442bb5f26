//! Vidgist turns video and sound into text.
//!
//! ```text
//! source -> probe -> plan -> frames -> score, encode --\
//!               \-> subtitles, or sound -> transcript --> timeline -> prompt -> model -> report
//! ```
//!
//! [`pipeline::run`] goes the whole way; each arrow is a module that can be used by itself. Times are exact
//! ([`time::Timestamp`]) and share one clock. Nothing here prints, ends the process or reads the environment; what is
//! worth knowing on the way is told through `tracing`.
//!
//! # Example
//!
//! A summary by the built-in model, without any network, of one frame every five seconds:
//!
//! ```no_run
//! use std::sync::Arc;
//! use vidgist::limits::Limits;
//! use vidgist::media::Ratio;
//! use vidgist::pipeline::{SpendLimit, Ask, Event, Job, Stop, run};
//! use vidgist::sampling::{SamplingOptions, Sampling};
//! use vidgist::{encode, llm, prompt, report, source, transcribe};
//!
//! # async fn example() -> vidgist::Result<()> {
//! let limits = Limits::default();
//! let sampling = Sampling::Interval("5s".parse()?);
//! let words = transcribe::subtitles::Subtitles { explicit: None, language: None, limits };
//! let model = Arc::new(llm::DIGESTMOD::Digest);
//! let job = Job {
//!     source: source::Source::identify("talk.mp4")?,
//!     sampling: SamplingOptions { sampling, start: None, end: None, max_frames: Some(100) },
//!     sequence_rate: Ratio::ONE,
//!     decoder: vidgist::video::Decoder::Auto,
//!     dedup: false,
//!     contact_sheet: false,
//!     max_width: 768,
//!     encode: encode::EncodeOptions::default(),
//!     words: vec![Arc::new(words)],
//!     needs_words: false,
//!     ask: Some(Ask { model, prompt: prompt::PromptOptions::default(), fence: 0x5eed_1234, is_live: false, concurrency: 4, allowance: SpendLimit::default(), dry_run: None }),
//!     output: None,
//!     cache: None,
//!     limits,
//! };
//! let mut events = run(job, Stop::default());
//! while let Some(event) = events.recv().await {
//!     if let Event::Finished(outcome) = event {
//!         let report = (*outcome)?;
//!         assert_eq!(report.status(), report::Status::Complete);
//!         let _markdown = report::render(&report, report::Format::Markdown)?;
//!     }
//! }
//! # Ok(())
//! # }
//! ```

pub mod advice;
pub mod audio;
mod blocking;
pub mod chat;
pub mod digest;
pub mod encode;
pub mod error;
pub mod frame_diff;
pub mod fs;
pub mod http;
pub mod language;
pub mod libav;
pub mod limits;
pub mod llm;
pub mod media;
pub mod money;
pub mod pipeline;
pub mod probe;
pub mod prompt;
pub mod report;
pub mod sampling;
pub mod sanitize;
pub mod source;
pub mod time;
pub mod timeline;
pub mod transcribe;
pub mod transcript;
pub mod video;

pub use error::{Error, ErrorCode, ErrorKind, Result};
