//! Decoding audio through libavcodec, which also removes encoder delay and padding.

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::format::Sample;
use ffmpeg_the_third::format::sample::Type;

use super::audio_packets::{AudioPackets, speakers};
use super::{errno, known};
use crate::error::Result;
use crate::time::{TimeBase, Timestamp};

/// Samples of one decoded block over all channels, at most: 64 MB. The longest block of any codec is below a tenth.
const MAX_BLOCK_SAMPLES: usize = 1 << 24;

/// Frames of silence that replace one damaged packet, at most: no codec packs a longer one.
const MAX_PACKET_FRAMES: i64 = 65_536;

/// Failures that a decoder may report at the end of its stream, where no packet can be blamed.
const MAX_FINAL_FAILURES: u32 = 100;

/// The decoded samples of one packet.
pub(crate) struct DecodedAudio {
    /// Container time of the first sample; None where the container has no times.
    pub(crate) time: Option<Timestamp>,
    /// Interleaved.
    pub(crate) samples: Vec<f32>,
    /// Sample rate in Hz; 0 where nothing has been decoded and the container does not say.
    pub(crate) rate_hz: u32,
    /// The speaker of each channel by libav's number, which equals that of WAVE files up to 17; -1 where the stream
    /// does not say.
    pub(crate) speakers: Vec<i32>,
    /// Silence in place of a packet that could not be decoded.
    pub(crate) is_damaged: bool,
}

/// Decodes one audio stream from its start.
pub(crate) struct AudioStreamDecoder {
    packets: AudioPackets,
    base: TimeBase,
    decoder: ffmpeg::decoder::Audio,
    frame: ffmpeg::frame::Audio,
    /// Rate and speakers as last decoded, else as claimed.
    rate_hz: u32,
    speakers: Vec<i32>,
    /// Frames of the last decoded block.
    n_last: i64,
    /// Time and length of the packet that is being decoded, unless an edit list hides it.
    packet: Option<(Option<i64>, i64)>,
    is_draining: bool,
    n_final_failures: u32,
    n_damaged: u64,
}

impl AudioStreamDecoder {
    /// Opens the decoder of the stream.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where libav has no decoder for the codec.
    pub(crate) fn new(packets: AudioPackets) -> Result<Self> {
        let decoder = packets.decoder()?;
        let parameters = packets.parameters();
        Ok(Self {
            base: packets.time_base(),
            rate_hz: parameters.rate_hz,
            speakers: parameters.speakers,
            packets,
            decoder,
            frame: ffmpeg::frame::Audio::empty(),
            n_last: 0,
            packet: None,
            is_draining: false,
            n_final_failures: 0,
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
                Err(ffmpeg::Error::Other { errno: errno::EAGAIN }) if !self.is_draining => {
                    if !self.feed()?
                        && let Some(block) = self.damaged()
                    {
                        return Ok(Some(block));
                    }
                }
                Err(_) if self.is_draining => {
                    self.n_final_failures += 1;
                    if self.n_final_failures > MAX_FINAL_FAILURES {
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
        if let Some(packet) = self.packets.next_packet()? {
            self.packet = (!packet.is_discard()).then(|| (packet.pts(), packet.duration()));
            return Ok(self.decoder.send_packet(&packet.inner).is_ok());
        }
        self.n_damaged += self.packets.n_read_errors();
        self.is_draining = true;
        // A refusal means that the decoder is at its end already, which the next call reports.
        let _ = self.decoder.send_eof();
        Ok(true)
    }

    /// Silence as long as the packet that failed; None where an edit list hides it, or its length is unknown.
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

    /// The decoded frame; None where its sizes or its format are invalid.
    fn decoded(&mut self) -> Option<DecodedAudio> {
        let samples = interleaved(&self.frame)?;
        // SAFETY: the frame is valid while borrowed, and so is the layout in it.
        #[expect(unsafe_code, reason = "the wrapper maps unknown channel numbers to its own enum")]
        let speakers = unsafe { speakers(&raw const (*self.frame.as_ptr()).ch_layout) };
        self.speakers = speakers?;
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
