//! Decodes one video stream.

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::codec::threading;
use ffmpeg_the_third::ffi;

use super::{Demuxer, Packet, messages};
use crate::error::{Error, Result};

/// A decoder of one video stream.
pub(crate) struct VideoDecoder {
    inner: ffmpeg::decoder::Video,
    frame: ffmpeg::frame::Video,
    /// Bytes to put before the first packet.
    preamble: Vec<u8>,
    n_damaged: u64,
    n_reported: u64,
}

impl Demuxer {
    /// Creates a decoder for the packets of `stream_idx` that uses up to `n_threads` threads where that keeps the reports of
    /// errors.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where libav was built without this codec.
    pub(crate) fn video_decoder(&self, stream_idx: usize, n_threads: usize) -> Result<VideoDecoder> {
        let stream = self.input.stream(stream_idx);
        let max_pixels = i64::try_from(self.limits.max_pixels).unwrap_or(i64::MAX);
        let opened = stream.and_then(|stream| {
            let mut context = ffmpeg::codec::Context::from_parameters(stream.parameters()).ok()?.decoder();
            // The decoder estimates missing frame times in the packets' time base.
            // SAFETY: the context is ours, allocated and not opened yet.
            #[expect(unsafe_code, reason = "the wrapper sets the time base only for encoders, and no maximum size")]
            unsafe {
                (*context.as_mut_ptr()).pkt_timebase = stream.time_base().into();
                (*context.as_mut_ptr()).max_pixels = max_pixels;
            }
            let mut threads = threading::Config::kind(threading::Type::Frame);
            threads.count = if conceals_errors(stream.parameters().id().name()) { 1 } else { n_threads };
            context.set_threading(threads);
            context.video().ok()
        });
        let inner = opened.ok_or_else(|| {
            Error::unsupported(&self.name, "libav has no decoder for its video", "convert it with ffmpeg to H.264")
        })?;
        Ok(VideoDecoder {
            inner,
            frame: ffmpeg::frame::Video::empty(),
            preamble: Vec::new(),
            n_damaged: 0,
            n_reported: 0,
        })
    }
}

impl VideoDecoder {
    /// The same decoder, which reads `preamble` before its first packet.
    pub(crate) fn with_preamble(self, preamble: &[u8]) -> Self {
        Self { preamble: preamble.to_owned(), ..self }
    }

    /// Sends the next packet; None ends the stream. Packets that cannot be decoded are counted.
    pub(crate) fn send(&mut self, packet: Option<&Packet>) {
        let n_messages = messages::n_counted();
        let preamble = std::mem::take(&mut self.preamble);
        let sent = match packet {
            Some(packet) if !preamble.is_empty() => self.inner.send_packet(&packet.with_prefix(&preamble).inner),
            Some(packet) => self.inner.send_packet(&packet.inner),
            None => self.inner.send_eof(),
        };
        self.n_damaged += u64::from(sent.is_err());
        self.n_reported += messages::n_counted() - n_messages;
    }

    /// Whether to skip frames that no other frame refers to, from the next packet on.
    pub(crate) fn skip_unreferenced(&mut self, skip: bool) {
        self.inner.skip_frame(if skip { ffmpeg::Discard::NonReference } else { ffmpeg::Discard::Default });
    }

    /// Resets the decoder before a jump to another keyframe.
    pub(crate) fn flush(&mut self) {
        self.inner.flush();
    }

    /// Number of packets that could not be decoded so far.
    pub(crate) fn n_damaged(&self) -> u64 {
        self.n_damaged
    }

    /// Number of messages about missing references so far. The packet is still decoded, and its frame is not flagged.
    pub(crate) fn n_reported(&self) -> u64 {
        self.n_reported
    }

    /// Number of packets by which the result of a packet is delayed: frame threads return results in order.
    pub(crate) fn delay_packets(&self) -> usize {
        // SAFETY: the context is open and lives as long as `self`.
        #[expect(unsafe_code, reason = "the wrapper does not expose the active thread type")]
        let (kind, n_threads) = unsafe {
            let context = &*self.inner.as_ptr();
            (context.active_thread_type, context.thread_count)
        };
        if kind & ffi::FF_THREAD_FRAME == 0 { 0 } else { usize::try_from(n_threads - 1).unwrap_or(0) }
    }

    /// The next decoded frame; None where another packet is needed, or at the end.
    pub(crate) fn receive(&mut self) -> Option<&ffmpeg::frame::Video> {
        loop {
            let n_messages = messages::n_counted();
            let received = self.inner.receive_frame(&mut self.frame);
            self.n_reported += messages::n_counted() - n_messages;
            match received {
                Ok(()) => return Some(&self.frame),
                Err(ffmpeg::Error::InvalidData) => self.n_damaged += 1,
                Err(_) => return None,
            }
        }
    }

    /// The frame that [`VideoDecoder::receive`] returned last.
    pub(crate) fn frame(&self) -> &ffmpeg::frame::Video {
        &self.frame
    }
}

/// Whether libav conceals errors of this codec, and flags the frame or logs a message. Such codecs are decoded on one
/// thread: until FFmpeg 7.1 frame threads lose the flags, messages are counted only on the calling thread, and with slice
/// threads the concealed frame depends on the number of threads.
fn conceals_errors(codec: &str) -> bool {
    ["h264", "hevc", "mpeg", "h263", "flv1", "msmpeg4", "wmv", "vc1", "rv", "svq"]
        .iter()
        .any(|name| codec.starts_with(name))
}

/// Whether the decoder reports errors in the frame: invalid data, a missing reference, or concealed parts.
pub(crate) fn is_flagged(frame: &ffmpeg::frame::Video) -> bool {
    // SAFETY: `frame` is valid while it is borrowed.
    #[expect(unsafe_code, reason = "the wrapper does not expose the decoder's error flags")]
    let errors = unsafe { (*frame.as_ptr()).decode_error_flags };
    errors != 0 || frame.is_corrupt()
}
