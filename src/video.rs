//! What OpenCV does for frames.

pub mod score;
