//! Audio decoding: the packets of one audio stream become blocks of samples, with times on the clock that audio and
//! video share. Also FLAC encoding of such blocks.
//!
//! Everything streams: a reader holds one packet, one block and the resampler's window, whatever the length of the
//! file.

mod block;
mod chunk;
mod claimed_length;
mod convert;
mod decode;
mod downmix;
mod flac;
mod joined;
mod peaks;
mod placement;
mod reader;
mod resample;
mod unify;

pub use block::{AudioBlock, PcmFormat};
pub use flac::FlacWriter;
pub use joined::AudioReader;
pub use peaks::PeakMeter;

pub(crate) use convert::to_i16;
pub(crate) use downmix::{ChannelRole, Downmixer};
pub(crate) use resample::Resampler;
