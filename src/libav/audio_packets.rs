//! The packets of one audio stream, with the parameters that a decoder needs.

use std::path::Path;

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::ffi;

use super::Demuxer;
use super::packet::Packet;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::time::TimeBase;

/// Reads the packets of one audio stream from its start.
pub(crate) struct AudioPackets {
    demuxer: Demuxer,
    stream_idx: usize,
}

/// Parameters of a codec, as the container gives them.
#[derive(Clone, Debug)]
pub(crate) struct CodecParameters {
    /// The codec by libav's name: `pcm_s16le`, `vorbis`.
    pub(crate) codec: &'static str,
    /// Headers of the stream, in libav's form.
    pub(crate) extradata: Vec<u8>,
    /// Sample rate in Hz; 0 where the container does not say.
    pub(crate) rate_hz: u32,
    /// The speaker of each channel by libav's number; -1 where the container does not say. Never empty.
    pub(crate) speakers: Vec<i32>,
    /// Length of a block that can be decoded by itself, in bytes; 0 where the codec has none.
    pub(crate) block_bytes: usize,
}

impl AudioPackets {
    /// Opens a local file.
    ///
    /// # Errors
    /// Those of [`Demuxer::open`].
    pub(crate) fn open(path: &Path, stream_idx: usize) -> Result<Self> {
        let mut demuxer = Demuxer::open(path, &Limits::default())?;
        demuxer.keep_only(&[stream_idx]);
        Ok(Self { demuxer, stream_idx })
    }

    /// The next packet that holds data; None at the end.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file can no longer be read.
    pub(crate) fn next_packet(&mut self) -> Result<Option<Packet>> {
        while let Some(packet) = self.demuxer.next_packet()? {
            // An empty packet would end the stream.
            if packet.stream_idx() == self.stream_idx && !packet.data().is_empty() {
                return Ok(Some(packet));
            }
        }
        Ok(None)
    }

    /// Places that could not be read so far.
    pub(crate) fn n_read_errors(&self) -> u64 {
        self.demuxer.n_read_errors().into()
    }

    /// Time base of the packets.
    pub(crate) fn time_base(&self) -> TimeBase {
        self.demuxer.time_base(self.stream_idx)
    }

    pub(crate) fn parameters(&self) -> CodecParameters {
        let Some(stream) = self.demuxer.input.stream(self.stream_idx) else {
            let (extradata, speakers) = (Vec::new(), vec![-1]);
            return CodecParameters { codec: "none", extradata, rate_hz: 0, speakers, block_bytes: 0 };
        };
        let parameters = stream.parameters();
        // SAFETY: codecpar belongs to the open stream.
        #[expect(unsafe_code, reason = "the wrapper has no block_align of undecoded streams")]
        let (block_bytes, speakers) = unsafe {
            let raw = (*stream.as_ptr()).codecpar;
            ((*raw).block_align, speakers(&raw const (*raw).ch_layout))
        };
        CodecParameters {
            codec: parameters.id().name(),
            extradata: self.demuxer.extradata(self.stream_idx).to_vec(),
            rate_hz: parameters.sample_rate(),
            speakers: speakers.unwrap_or_else(|| vec![-1]),
            block_bytes: usize::try_from(block_bytes).unwrap_or(0),
        }
    }

    /// libav's decoder for the stream.
    pub(super) fn decoder(&self) -> Result<ffmpeg::decoder::Audio> {
        let stream = self.demuxer.input.stream(self.stream_idx);
        let opened = stream.as_ref().and_then(|stream| {
            let mut context = ffmpeg::codec::Context::from_parameters(stream.parameters()).ok()?.decoder();
            // Trimming moves the time of a block, for which the decoder needs the time base of the packets.
            // SAFETY: the context is ours, allocated and not opened yet.
            #[expect(unsafe_code, reason = "the wrapper sets the time base of packets for encoders only")]
            unsafe {
                (*context.as_mut_ptr()).pkt_timebase = stream.time_base().into();
            }
            context.audio().ok()
        });
        opened.ok_or_else(|| {
            let codec = stream.map_or("unknown", |stream| stream.parameters().id().name());
            let problem = format!("libav has no decoder for its audio codec ({codec})");
            Error::unsupported(&self.demuxer.name, problem, "convert the audio with the program that made the file")
        })
    }
}

/// The speakers of a layout by libav's numbers; None where it has no channels, or more than any codec.
///
/// # Safety
/// `layout` points at an initialised layout.
#[expect(unsafe_code, reason = "the wrapper maps unknown channel numbers to its own enum")]
pub(super) unsafe fn speakers(layout: *const ffi::AVChannelLayout) -> Option<Vec<i32>> {
    // SAFETY: the caller says that the layout is valid; libav checks the index, and returns -1 for layouts without
    // an order.
    unsafe {
        let n = u32::try_from((*layout).nb_channels).ok().filter(|n| (1..=1024).contains(n))?;
        Some((0..n).map(|i| ffi::av_channel_layout_channel_from_index(layout, i).0).collect())
    }
}
