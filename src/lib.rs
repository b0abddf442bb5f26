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
//! use vidgist::pipeline::{Allowance, Ask, Event, Job, Stop, run};
//! use vidgist::plan::{PlanOptions, Sampling};
//! use vidgist::{encode, model, prompt, report, source, transcribe};
//!
//! # async fn example() -> vidgist::Result<()> {
//! let limits = Limits::default();
//! let sampling = Sampling::Interval("5s".parse()?);
//! let words = transcribe::subtitles::Subtitles { explicit: None, language: None, limits };
//! let model = Arc::new(model::builtin::Builtin);
//! let job = Job {
//!     source: source::Source::identify("talk.mp4")?,
//!     sampling: PlanOptions { sampling, start: None, end: None, max_frames: Some(100) },
//!     sequence_rate: Ratio::ONE,
//!     decoder: vidgist::video::Decoder::Auto,
//!     dedup: false,
//!     contact_sheet: false,
//!     max_width: 768,
//!     encode: encode::EncodeOptions::default(),
//!     words: vec![Arc::new(words)],
//!     needs_words: false,
//!     ask: Some(Ask { model, prompt: prompt::PromptOptions::default(), fence: 0x5eed_1234, is_live: false, concurrency: 4, allowance: Allowance::default(), dry_run: None }),
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

pub mod audio;
pub mod change;
pub mod encode;
pub mod error;
pub mod files;
pub mod language;
pub mod libav;
pub mod limits;
pub mod media;
pub mod message;
pub mod model;
pub mod money;
pub mod pipeline;
pub mod plan;
pub mod probe;
pub mod prompt;
pub mod report;
pub mod service;
pub mod source;
pub mod time;
pub mod timeline;
pub mod transcribe;
pub mod transcript;
pub mod untrusted;
pub mod video;

pub use error::{Error, Result};
