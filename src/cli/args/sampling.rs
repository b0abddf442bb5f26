//! Which frames are read.

use clap::{Args, ValueEnum};
use vidgist::time::{Timestamp, Tolerance};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SamplingMethodArg {
    /// One frame per interval
    Interval,
    /// Keyframes only; decodes nothing else
    Keyframe,
    /// One frame per shot
    Scene,
    /// --max-frames frames, more where the video changes more
    Budget,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Frames")]
pub struct SamplingArgs {
    /// Sampling method [default: interval]
    #[arg(long, value_name = "METHOD", conflicts_with_all = ["fps", "at"])]
    pub sampling: Option<SamplingMethodArg>,
    /// Sampling interval: 5s, 500ms, 1m [default: 1s for summarize, 5s for frames and caption]
    #[arg(long, value_name = "TIME", conflicts_with_all = ["fps", "at"])]
    pub interval: Option<Timestamp>,
    /// Frames per second: 0.5, 2, 30000/1001
    #[arg(long, value_name = "RATE", conflicts_with = "at")]
    pub fps: Option<String>,
    /// Sample at these times: 12s,1:04,01:02:03.5
    #[arg(long, value_name = "TIMES", value_delimiter = ',')]
    pub at: Vec<Timestamp>,
    /// Distance that a frame may have from its sample point, so that frames that are cheaper to decode are taken: 50% of the
    /// interval, or a time; 0 is exact [default: 0 for frames; 50% for summarize and caption without --interval, --fps, --at]
    #[arg(long, value_name = "TOLERANCE")]
    pub tolerance: Option<Tolerance>,
    /// Start time
    #[arg(long, value_name = "TIME")]
    pub start: Option<Timestamp>,
    /// End time, exclusive
    #[arg(long, value_name = "TIME")]
    pub end: Option<Timestamp>,
    /// Maximum number of frames, spread over the whole range [default for summarize and for budget: 4 times the root of the seconds, 50 to 600]
    #[arg(long, value_name = "N")]
    pub max_frames: Option<usize>,
    /// Remove frames that look the same as a recent one; keeps the last frame
    #[arg(long)]
    pub dedup: bool,
    /// Frame rate of a folder or pattern of images
    #[arg(long, value_name = "RATE", default_value = "1", hide_short_help = true)]
    pub sequence_fps: String,
    /// Decoder backend
    #[arg(long, value_name = "DECODER", default_value = "auto", hide_short_help = true)]
    pub decoder: DecoderChoice,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DecoderChoice {
    /// libav for files, which decodes only what the sampled frames need; OpenCV for other sources
    Auto,
    /// OpenCV, which decodes every frame
    Opencv,
}
