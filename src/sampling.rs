//! From the facts of a video and the caller's options to sample points. Pure: this stage reads nothing.

mod choose;
mod options;
mod regular;
mod sample_plan;

pub use choose::{Scanned, choose};
pub use options::{Sampling, SamplingOptions};
pub use regular::{keyframes, plan, scan_points};
pub use sample_plan::{SamplePlan, SamplePoint};
