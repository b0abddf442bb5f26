//! Plans sample points from the facts of a video and the caller's options. Pure: this stage reads no file.

mod choose;
mod near;
mod regular;
mod sample_plan;
mod spec;

pub use choose::{Scanned, choose};
pub use near::{Choices, cheapest, reach};
pub use regular::{keyframes, plan, scan_points};
pub use sample_plan::{SamplePlan, SamplePoint};
pub use spec::{Sampling, SamplingSpec, default_max_frames};
