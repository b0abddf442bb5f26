//! Decoding one audio stream: packets to blocks of floats, encoder delay and padding taken off by libavcodec.

use std::path::Path;

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::ffi;
use ffmpeg_the_third::format::Sample;
use ffmpeg_the_third::format::sample::Type;

use super::{Demuxer, Packet, known};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::time::{TimeBase, Timestamp};

/// Samples of one decoded block over all channels, at most: 64 MB. The longest block of any codec is below a tenth.
const MAX_BLOCK_SAMPLES: usize = 1 << 24;

/// Frames of silence that stand for one damaged packet, at most: no codec packs a longer one.
const MAX_PACKET_FRAMES: i64 = 65_536;

/// Failures that a decoder may report at the end of its stream, where no packet can be blamed.
const MAX_LAST_FAILURES: u32 = 100;

/// What one packet became.
pub(crate) struct DecodedAudio {
    /// Container time of the first sample; None where the container has no times.
    pub(crate) time: Option<Timestamp>,
    /// Interleaved.
    pub(crate) samples: Vec<f32>,
    /// Samples a second in one channel; 0 where nothing was decoded so far and the container does not say.
    pub(crate) rate_hz: u32,
    /// For each channel the speaker it is for, by libav's number, which is that of WAVE files up to 17; -1 where the
    /// stream does not say.
    pub(crate) speakers: Vec<i32>,
    /// Silence in place of a packet that could not be decoded.
    pub(crate) is_damaged: bool,
}

/// Reads and decodes one audio stream from its start.
pub(crate) struct AudioStreamDecoder {
    demuxer: Demuxer,
    stream_idx: usize,
    base: TimeBase,
    decoder: ffmpeg::decoder::Audio,
    frame: ffmpeg::frame::Audio,
    /// Rate and speakers as last decoded, else as claimed.
    rate_hz: u32,
    speakers: Vec<i32>,
    /// Frames of the last decoded block.
    n_last: i64,
    /// Time and length of the packet that is being decoded, unless it is not to be heard.
    packet: Option<(Option<i64>, i64)>,
    is_draining: bool,
    n_last_failures: u32,
    n_damaged: u64,
}

impl AudioStreamDecoder {
    /// Opens a local file and the decoder of its stream `stream_idx`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where libav has no decoder for the stream, and those of [`Demuxer::open`].
    pub(crate) fn open(path: &Path, stream_idx: usize) -> Result<Self> {
        let mut demuxer = Demuxer::open(path, &Limits::default())?;
        demuxer.keep_only(&[stream_idx]);
        let opened = demuxer.input.stream(stream_idx).and_then(|stream| {
            let mut context = ffmpeg::codec::Context::from_parameters(stream.parameters()).ok()?.decoder();
            // Trimming moves a block's time, for which the decoder needs the packets' clock.
            // SAFETY: the context is ours, allocated and not opened yet.
            #[expect(unsafe_code, reason = "the wrapper sets the packets' time base of encoders alone")]
            unsafe {
                (*context.as_mut_ptr()).pkt_timebase = stream.time_base().into();
            }
            let parameters = stream.parameters();
            let n_channels = (parameters.ch_layout().channels() as usize).clamp(1, 64);
            Some((context.audio().ok()?, parameters.sample_rate(), n_channels))
        });
        let (decoder, rate_hz, n_channels) = opened.ok_or_else(|| {
            let codec = demuxer.input.stream(stream_idx).map_or("unknown", |s| s.parameters().id().name());
            let problem = format!("libav has no decoder for its sound ({codec})");
            Error::unsupported(&demuxer.name, problem, "convert the sound with the program that made the file")
        })?;
        Ok(Self {
            base: demuxer.time_base(stream_idx),
            demuxer,
            stream_idx,
            decoder,
            frame: ffmpeg::frame::Audio::empty(),
            rate_hz,
            speakers: vec![-1; n_channels],
            n_last: 0,
            packet: None,
            is_draining: false,
            n_last_failures: 0,
            n_damaged: 0,
        })
    }

    /// Packets that could not be decoded so far.
    pub(crate) fn n_damaged(&self) -> u64 {
        self.n_damaged
    }

    /// The next block; None at the end.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file can no longer be read.
    pub(crate) fn next_block(&mut self) -> Result<Option<DecodedAudio>> {
        loop {
            match self.decoder.receive_frame(&mut self.frame) {
                Ok(()) => match self.decoded() {
                    Some(block) => return Ok(Some(block)),
                    None => self.n_damaged += 1,
                },
                Err(ffmpeg::Error::Eof) => return Ok(None),
                Err(ffmpeg::Error::Other { errno: super::errno::EAGAIN }) if !self.is_draining => {
                    if !self.feed()?
                        && let Some(block) = self.damaged()
                    {
                        return Ok(Some(block));
                    }
                }
                Err(_) if self.is_draining => {
                    self.n_last_failures += 1;
                    if self.n_last_failures > MAX_LAST_FAILURES {
                        return Ok(None);
                    }
                }
                Err(_) => {
                    if let Some(block) = self.damaged() {
                        return Ok(Some(block));
                    }
                }
            }
        }
    }

    /// Hands the next packet to the decoder; false where it was refused.
    fn feed(&mut self) -> Result<bool> {
        while let Some(packet) = self.demuxer.next_packet()? {
            // An empty packet would end the stream.
            if packet.stream_idx() == self.stream_idx && !packet.data().is_empty() {
                self.packet = (!packet.is_discard()).then(|| (packet.pts(), packet.duration()));
                return Ok(self.decoder.send_packet(&packet.inner).is_ok());
            }
        }
        self.n_damaged += u64::from(self.demuxer.n_read_errors());
        self.is_draining = true;
        // Refused means that it is at its end already, which the next call tells.
        let _ = self.decoder.send_eof();
        Ok(true)
    }

    /// Silence as long as the packet that failed; None where it was not to be heard, or its length is not known.
    fn damaged(&mut self) -> Option<DecodedAudio> {
        self.n_damaged += 1;
        let (pts, length) = self.packet.take()?;
        let claimed =
            TimeBase::of_rate(self.rate_hz).map_or(0, |rate| Timestamp::new(length, self.base).floor_to(rate));
        let n_frames = if self.n_last > 0 { self.n_last } else { claimed }.clamp(0, MAX_PACKET_FRAMES) as usize;
        Some(DecodedAudio {
            time: pts.map(|pts| Timestamp::new(pts, self.base)),
            samples: vec![0.0; n_frames * self.speakers.len()],
            rate_hz: self.rate_hz,
            speakers: self.speakers.clone(),
            is_damaged: true,
        })
    }

    /// The decoded frame; None where its sizes or its format make no sense.
    fn decoded(&mut self) -> Option<DecodedAudio> {
        let samples = interleaved(&self.frame)?;
        self.speakers = speakers(&self.frame)?;
        self.rate_hz = self.frame.rate();
        self.n_last = self.frame.samples() as i64;
        Some(DecodedAudio {
            time: self.frame.pts().and_then(known).map(|pts| Timestamp::new(pts, self.base)),
            samples,
            rate_hz: self.rate_hz,
            speakers: self.speakers.clone(),
            is_damaged: false,
        })
    }
}

impl Packet {
    /// Frames at the start of the decoded sound that are not to be heard: the encoder's delay.
    pub(super) fn n_leading(&self) -> u32 {
        let mut size = 0;
        // SAFETY: the packet is valid while `self` is borrowed; what comes back is null or `size` bytes that it owns.
        #[expect(unsafe_code, reason = "the wrapper has no side data of packets by kind")]
        let data = unsafe {
            let kind = ffi::AVPacketSideDataType::SKIP_SAMPLES;
            let data = ffi::av_packet_get_side_data(ffmpeg::packet::Ref::as_ptr(&self.inner), kind, &raw mut size);
            if data.is_null() { &[] } else { std::slice::from_raw_parts(data, size) }
        };
        // The first of its fields, little-endian (libavcodec/packet.h).
        data.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }
}

fn speakers(frame: &ffmpeg::frame::Audio) -> Option<Vec<i32>> {
    // SAFETY: the frame is valid while borrowed; libav checks the index, and answers -1 for layouts without order.
    #[expect(unsafe_code, reason = "the wrapper takes unknown channel numbers for its own enum's")]
    unsafe {
        let layout = &raw const (*frame.as_ptr()).ch_layout;
        let n = u32::try_from((*layout).nb_channels).ok().filter(|n| *n > 0)?;
        Some((0..n).map(|i| ffi::av_channel_layout_channel_from_index(layout, i).0).collect())
    }
}

/// The frame's samples as floats, whatever their format; None for a frame without samples, or of absurd size.
fn interleaved(frame: &ffmpeg::frame::Audio) -> Option<Vec<f32>> {
    const TO_I16: f32 = 1.0 / 32_768.0;
    const TO_I32: f64 = 1.0 / 2_147_483_648.0;
    const TO_I64: f64 = 1.0 / 9_223_372_036_854_775_808.0;
    match frame.format() {
        Sample::None => None,
        Sample::U8(kind) => gather(frame, kind, |s: u8| (f32::from(s) - 128.0) / 128.0),
        Sample::I16(kind) => gather(frame, kind, |s: i16| f32::from(s) * TO_I16),
        Sample::I32(kind) => gather(frame, kind, |s: i32| (f64::from(s) * TO_I32) as f32),
        Sample::I64(kind) => gather(frame, kind, |s: i64| (s as f64 * TO_I64) as f32),
        Sample::F32(kind) => gather(frame, kind, |s: f32| s),
        Sample::F64(kind) => gather(frame, kind, |s: f64| s as f32),
    }
}

/// `T` is the type of the frame's samples.
fn gather<T: Copy>(frame: &ffmpeg::frame::Audio, kind: Type, to_float: impl Fn(T) -> f32) -> Option<Vec<f32>> {
    // SAFETY: the frame is valid while borrowed.
    #[expect(unsafe_code, reason = "the wrapper knows the planes of eight channels at most")]
    let (n_channels, planes) =
        unsafe { ((*frame.as_ptr()).ch_layout.nb_channels, (*frame.as_ptr()).extended_data.cast::<*const T>()) };
    let (n_channels, n_frames) = (usize::try_from(n_channels).ok()?, frame.samples());
    let n_samples = n_channels.checked_mul(n_frames).filter(|n| (1..=MAX_BLOCK_SAMPLES).contains(n))?;
    let (n_planes, n_in_plane) = match kind {
        Type::Packed => (1, n_samples),
        Type::Planar => (n_channels, n_frames),
    };
    let mut out = vec![0.0; n_samples];
    for at in 0..n_planes {
        // SAFETY: extended_data points at one plane for each channel of a planar frame, and at one plane of a packed
        // one (libavutil/frame.h); each holds `n_in_plane` samples of the frame's format, which is `T`.
        #[expect(unsafe_code, reason = "the planes are C arrays")]
        let plane = unsafe {
            let plane = *planes.add(at);
            if plane.is_null() || !plane.is_aligned() {
                return None;
            }
            std::slice::from_raw_parts(plane, n_in_plane)
        };
        for (out, sample) in out.iter_mut().skip(at).step_by(n_planes).zip(plane) {
            let sample = to_float(*sample);
            *out = if sample.is_finite() { sample } else { 0.0 };
        }
    }
    Some(out)
}
