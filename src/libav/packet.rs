//! One packet of a container.

use std::ffi::c_int;

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::ffi;
use ffmpeg_the_third::packet::{Mut as _, Ref as _};

/// One packet: compressed data of one stream.
pub(crate) struct Packet {
    pub(super) inner: ffmpeg::Packet,
}

impl AsRef<Packet> for Packet {
    fn as_ref(&self) -> &Packet {
        self
    }
}

impl Packet {
    /// Index of its stream among all of the container, from 0.
    pub(crate) fn stream_idx(&self) -> usize {
        self.inner.stream()
    }

    /// Presentation time in ticks of the stream's time base; None where the container has none (AVI).
    pub(crate) fn pts(&self) -> Option<i64> {
        self.inner.pts()
    }

    /// Decoding time in ticks of the stream's time base.
    pub(crate) fn dts(&self) -> Option<i64> {
        self.inner.dts()
    }

    /// Length in ticks of the stream's time base; 0 where it is not known.
    pub(crate) fn duration(&self) -> i64 {
        self.inner.duration().max(0)
    }

    /// Whether decoding can begin here.
    pub(crate) fn is_key(&self) -> bool {
        self.inner.is_key()
    }

    /// Whether the container says that the decoded frame is not shown (an edit list begins later).
    pub(crate) fn is_discard(&self) -> bool {
        // SAFETY: `as_ptr` is the packet that `inner` owns, valid while `self` is borrowed.
        #[expect(unsafe_code, reason = "the safe flags leave AV_PKT_FLAG_DISCARD out")]
        let flags = unsafe { (*self.inner.as_ptr()).flags };
        flags & ffi::AV_PKT_FLAG_DISCARD as c_int != 0
    }

    /// The payload.
    pub(crate) fn data(&self) -> &[u8] {
        self.inner.data().unwrap_or_default()
    }

    /// The same packet with `prefix` before its payload.
    pub(crate) fn with_prefix(&self, prefix: &[u8]) -> Self {
        let mut inner = ffmpeg::Packet::copy(&[prefix, self.data()].concat());
        // SAFETY: both packets are valid; only times, flags and side data are copied.
        #[expect(unsafe_code, reason = "the wrapper does not copy a packet's properties")]
        unsafe {
            // Where memory runs out, times are missing, and the frame counts as lost.
            let _ = ffi::av_packet_copy_props(inner.as_mut_ptr(), self.inner.as_ptr());
        }
        Self { inner }
    }

    /// Frames to remove from the start and from the end of the decoded audio: the encoder's delay and padding. None
    /// where the packet says nothing of it.
    pub(crate) fn trim(&self) -> Option<(u32, u32)> {
        // Little-endian, followed by two bytes of reasons (libavcodec/packet.h).
        let data = self.side_data(ffi::AVPacketSideDataType::SKIP_SAMPLES);
        let field = |at: usize| Some(u32::from_le_bytes(*data.get(at..)?.first_chunk()?));
        Some((field(0)?, field(4)?))
    }

    /// Headers that replace the codec's from this packet on.
    pub(crate) fn new_extradata(&self) -> Option<&[u8]> {
        Some(self.side_data(ffi::AVPacketSideDataType::NEW_EXTRADATA)).filter(|data| !data.is_empty())
    }

    fn side_data(&self, kind: ffi::AVPacketSideDataType) -> &[u8] {
        let mut size = 0;
        // SAFETY: the packet is valid while `self` is borrowed; the result is null or `size` bytes that it owns.
        #[expect(unsafe_code, reason = "the wrapper has no side data of packets by kind")]
        unsafe {
            let data = ffi::av_packet_get_side_data(self.inner.as_ptr(), kind, &raw mut size);
            if data.is_null() { &[] } else { std::slice::from_raw_parts(data, size) }
        }
    }
}
