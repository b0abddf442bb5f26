//! Vidgist turns video and sound into text.
//!
//! ```text
//! source -> probe -> sampling -> frames -> score, encode --\
//!               \-> subtitles, or audio -> transcript ------> timeline -> windows -> answer -> report
//! ```
//!
//! The short ways: [`Video::open`] reads frames, [`summarize()`] and [`transcribe()`] do the whole job. A [`job::Job`] says
//! as data what is wanted, and an [`engine::Engine`] runs it with events on the way. Each stage can be used alone.
//!
//! Times are exact ([`time::Timestamp`]) and share one clock. The library never prints, never ends the process and never
//! reads the environment; it logs through `tracing`.
//!
//! # Frames
//!
//! ```
//! use std::time::Duration;
//! use vidgist::{Sampling, Video};
//!
//! let video = Video::open("fixtures/talk.mp4")?.max_width(320);
//! for frame in video.frames(Sampling::every(Duration::from_secs(5)))? {
//!     let frame = frame?;
//!     println!("{} {}x{}", frame.time, frame.width, frame.height);
//! }
//! # Ok::<(), vidgist::Error>(())
//! ```
//!
//! # A summary by a vision model
//!
//! ```no_run
//! # async fn example() -> vidgist::Result<()> {
//! let report = vidgist::summarize("talk.mp4").model("openai:gpt-4o-mini").api_key("sk-...").run().await?;
//! if let Some(answer) = &report.answer {
//!     println!("{}", answer.choices[0].text);
//! }
//! # Ok(())
//! # }
//! ```

pub mod advice;
pub mod analyze;
pub mod audio;
pub mod audio_facts;
mod blocking;
pub mod chat;
mod citation_syntax;
pub mod digest;
pub mod documents;
pub mod encode;
pub mod engine;
pub mod error;
pub mod event;
mod facade;
pub mod frame_diff;
pub mod fs;
pub mod grounding;
mod heif;
pub mod http;
pub mod input;
pub mod job;
pub mod language;
pub mod libav;
pub mod limits;
pub mod llm;
pub mod media;
pub mod money;
pub mod pcm;
pub mod pipeline;
pub mod probe;
mod program;
pub mod prompt;
pub mod record;
pub mod report;
pub mod sampling;
pub mod sanitize;
pub mod sentence;
pub mod source;
pub mod store;
pub mod time;
pub mod timeline;
pub mod transcribe;
pub mod transcript;
pub mod video;
mod webp_animation;

pub use error::{Error, ErrorCode, ErrorKind, Result};
pub use facade::{Frames, Summary, Transcription, Video, summarize, transcribe};
pub use sampling::Sampling;
