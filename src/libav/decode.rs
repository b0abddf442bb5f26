//! Decodes one video stream.

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::codec::threading;

use super::{Demuxer, Packet};
use crate::error::{Error, Result};

/// A decoder of one video stream.
pub(crate) struct VideoDecoder {
    inner: ffmpeg::decoder::Video,
    frame: ffmpeg::frame::Video,
    n_damaged: u64,
}

impl Demuxer {
    /// Creates a decoder for the packets of `stream_idx` that uses up to `n_threads` threads.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where libav was built without this codec.
    pub(crate) fn video_decoder(&self, stream_idx: usize, n_threads: usize) -> Result<VideoDecoder> {
        let stream = self.input.stream(stream_idx);
        let opened = stream.and_then(|stream| {
            let mut context = ffmpeg::codec::Context::from_parameters(stream.parameters()).ok()?.decoder();
            // The decoder estimates missing frame times in the packets' time base.
            // SAFETY: the context is ours, allocated and not opened yet.
            #[expect(unsafe_code, reason = "the wrapper sets the time base only for encoders")]
            unsafe {
                (*context.as_mut_ptr()).pkt_timebase = stream.time_base().into();
            }
            let mut threads = threading::Config::kind(threading::Type::Frame);
            threads.count = n_threads;
            context.set_threading(threads);
            context.video().ok()
        });
        let inner = opened.ok_or_else(|| {
            Error::unsupported(&self.name, "libav has no decoder for its video", "convert it with ffmpeg to H.264")
        })?;
        Ok(VideoDecoder { inner, frame: ffmpeg::frame::Video::empty(), n_damaged: 0 })
    }
}

impl VideoDecoder {
    /// Sends the next packet; None ends the stream. Packets that cannot be decoded are counted.
    pub(crate) fn send(&mut self, packet: Option<&Packet>) {
        let sent = match packet {
            Some(packet) => self.inner.send_packet(&packet.inner),
            None => self.inner.send_eof(),
        };
        self.n_damaged += u64::from(sent.is_err());
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

    /// The next decoded frame; None where another packet is needed, or at the end.
    pub(crate) fn receive(&mut self) -> Option<&ffmpeg::frame::Video> {
        loop {
            match self.inner.receive_frame(&mut self.frame) {
                Ok(()) => return Some(&self.frame),
                Err(ffmpeg::Error::InvalidData) => self.n_damaged += 1,
                Err(_) => return None,
            }
        }
    }
}
