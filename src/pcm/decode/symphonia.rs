//! Symphonia's decoders, fed with packets that libav demultiplexes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::packet::PacketRef;
use symphonia::core::units;

use super::codec::{frames_per_block, parameters};
use super::trim::Trimmer;
use crate::error::{Error, Result};
use crate::libav::{AudioPackets, CodecParameters, Packet};
use crate::pcm::chunk::DecodedChunk;
use crate::pcm::downmix::ChannelRole;
use crate::time::{TimeBase, Timestamp};

/// Frames of silence that replace one damaged packet, at most: no codec packs a longer one.
const MAX_PACKET_FRAMES: usize = 65_536;

/// A stream that Symphonia decodes.
pub(in crate::pcm) struct SymphoniaDecoder {
    core: Core,
    packets: AudioPackets,
    base: TimeBase,
    trimmer: Trimmer,
    /// Frames of the last decoded packet.
    n_last: usize,
    n_damaged: u64,
    is_done: bool,
}

/// A decoder that was made from the parameters of a stream.
pub(super) struct Core {
    name: String,
    inner: Box<dyn AudioDecoder>,
    codec: AudioCodecId,
    stream: CodecParameters,
    /// Rate and layout as last decoded, else as claimed.
    rate_hz: u32,
    layout: Vec<ChannelRole>,
}

/// The samples of one packet, before trimming.
struct Decoded {
    samples: Vec<f32>,
    rate_hz: u32,
    channels: Channels,
}

impl SymphoniaDecoder {
    /// # Errors
    /// The reason why libav decodes the stream.
    pub(super) fn open(stream: &CodecParameters, name: &str) -> Result<Core, String> {
        let parameters = parameters(stream)?;
        let inner = make(&parameters).map_err(|error| format!("Symphonia refused it ({error})"))?;
        Ok(Core {
            name: name.to_owned(),
            inner,
            codec: parameters.codec,
            stream: stream.clone(),
            rate_hz: stream.rate_hz,
            layout: ChannelRole::of_layout(&stream.speakers),
        })
    }

    pub(super) fn n_damaged(&self) -> u64 {
        self.n_damaged
    }

    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file can no longer be read, and
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where the decoder cannot go on.
    pub(super) fn next(&mut self) -> Result<Option<DecodedChunk>> {
        while let Some(packet) = self.packets.next_packet()? {
            if let Some(extradata) = packet.new_extradata() {
                self.core.replace_headers(extradata);
            }
            if let Some(samples) = self.core.decode(&packet)? {
                let n_channels = self.core.layout.len();
                let n_frames = samples.len() / n_channels;
                if n_frames > 0 {
                    self.n_last = n_frames;
                }
                let Some(kept) = self.trimmer.trim(&packet, n_frames) else { continue };
                let mut samples = samples;
                samples.truncate((kept.n_front + kept.n_frames) * n_channels);
                samples.drain(..kept.n_front * n_channels);
                return Ok(Some(self.chunk(&packet, kept.n_front, samples, false)));
            }
            self.n_damaged += 1;
            if let Some(silence) = self.silence(&packet) {
                return Ok(Some(self.chunk(&packet, 0, silence, true)));
            }
        }
        if !self.is_done {
            self.is_done = true;
            self.n_damaged += self.packets.n_read_errors();
        }
        Ok(None)
    }

    fn chunk(&self, packet: &Packet, n_front: usize, samples: Vec<f32>, is_damaged: bool) -> DecodedChunk {
        let rate = TimeBase::of_rate(self.core.rate_hz).unwrap_or(TimeBase::NANOS);
        let front = Timestamp::new(n_front as i64, rate);
        DecodedChunk {
            time: packet.pts().map(|pts| Timestamp::new(pts, self.base).plus(front)),
            samples,
            rate_hz: self.core.rate_hz,
            layout: self.core.layout.clone(),
            is_damaged,
        }
    }

    /// Silence as long as a packet that cannot be decoded; None where an edit list hides it.
    fn silence(&self, packet: &Packet) -> Option<Vec<f32>> {
        let length = Timestamp::new(packet.duration(), self.base);
        let claimed = TimeBase::of_rate(self.core.rate_hz).map_or(0, |rate| length.floor_to(rate).max(0) as usize);
        let n_frames = if self.n_last > 0 { self.n_last } else { claimed }.min(MAX_PACKET_FRAMES);
        (!packet.is_discard()).then(|| vec![0.0; n_frames * self.core.layout.len()])
    }
}

impl Core {
    pub(super) fn with_packets(self, packets: AudioPackets) -> SymphoniaDecoder {
        let base = packets.time_base();
        let trimmer = Trimmer::default();
        SymphoniaDecoder { core: self, packets, base, trimmer, n_last: 0, n_damaged: 0, is_done: false }
    }

    /// The interleaved samples of a packet, and nothing where the codec needs another packet first; None where it is
    /// damaged.
    fn decode(&mut self, packet: &Packet) -> Result<Option<Vec<f32>>> {
        let decoded = match self.decode_once(packet) {
            // A decoder of MP3 accepts one sample rate and channel count; a joined file changes them.
            Err(SymphoniaError::DecodeError(_)) => self.decode_anew(packet),
            decoded => decoded,
        };
        match decoded {
            Ok(decoded) if decoded.channels.count() > 0 => {
                self.rate_hz = decoded.rate_hz;
                self.layout = self.layout_of(&decoded.channels);
                let finite = |sample: f32| if sample.is_finite() { sample } else { 0.0 };
                Ok(Some(decoded.samples.into_iter().map(finite).collect()))
            }
            Ok(_)
            | Err(SymphoniaError::DecodeError(_) | SymphoniaError::IoError(_) | SymphoniaError::Unsupported(_)) => {
                Ok(None)
            }
            Err(error) => {
                let problem = format!("its audio cannot be decoded: {error}");
                Err(Error::malformed(&self.name, problem, "check it with ffprobe"))
            }
        }
    }

    /// Decodes with a new decoder, which replaces the old one where the packet has another format.
    fn decode_anew(&mut self, packet: &Packet) -> Result<Decoded, SymphoniaError> {
        let parameters = parameters(&self.stream).map_err(|_| SymphoniaError::Unsupported("codec"))?;
        let mut other = make(&parameters)?;
        std::mem::swap(&mut self.inner, &mut other);
        let decoded = self.decode_once(packet);
        let is_changed = decoded.as_ref().is_ok_and(|decoded| {
            !decoded.samples.is_empty()
                && (decoded.rate_hz, decoded.channels.count()) != (self.rate_hz, self.layout.len())
        });
        if is_changed {
            return decoded;
        }
        self.inner = other;
        Err(SymphoniaError::DecodeError("damaged packet"))
    }

    fn decode_once(&mut self, packet: &Packet) -> Result<Decoded, SymphoniaError> {
        let data = packet.data();
        let (block_bytes, n_channels) = (self.stream.block_bytes, self.stream.speakers.len());
        let Some(n_frames) = frames_per_block(self.codec, block_bytes, n_channels) else {
            return self.decode_block(data, 0);
        };
        // ADPCM: Symphonia's buffer holds one block, and only whole blocks can be decoded.
        let mut blocks = data.chunks_exact(block_bytes);
        let first = blocks.next().ok_or(SymphoniaError::DecodeError("a part of a block"))?;
        let mut decoded = self.decode_block(first, n_frames)?;
        for block in blocks {
            decoded.samples.extend(self.decode_block(block, n_frames)?.samples);
        }
        Ok(decoded)
    }

    fn decode_block(&mut self, data: &[u8], n_frames: u64) -> Result<Decoded, SymphoniaError> {
        guarded(|| {
            let packet = PacketRef::new(0, units::Timestamp::new(0), units::Duration::new(n_frames), data);
            let buffer = self.inner.decode_ref(&packet)?;
            let mut samples = vec![0.0; buffer.samples_interleaved()];
            buffer.copy_to_slice_interleaved(&mut samples);
            Ok(Decoded { samples, rate_hz: buffer.spec().rate(), channels: buffer.spec().channels().clone() })
        })
    }

    /// Begins again with other headers: the next stream of a chained Ogg file.
    fn replace_headers(&mut self, extradata: &[u8]) {
        let stream = CodecParameters { extradata: extradata.to_vec(), ..self.stream.clone() };
        // Headers that cannot be read leave the decoder as it is: its packets count as damaged then.
        if let Ok(inner) = parameters(&stream).and_then(|p| make(&p).map_err(|error| error.to_string())) {
            (self.inner, self.stream) = (inner, stream);
        }
    }

    /// The container's layout where it fits; it may be more exact than that of the codec.
    fn layout_of(&self, channels: &Channels) -> Vec<ChannelRole> {
        if channels.count() == self.stream.speakers.len() {
            return ChannelRole::of_layout(&self.stream.speakers);
        }
        let Channels::Positioned(mask) = channels else { return ChannelRole::usual(channels.count()) };
        let numbers: Vec<i32> = mask.iter().map(|position| position.bits().trailing_zeros() as i32).collect();
        ChannelRole::of_layout(&numbers)
    }
}

fn make(parameters: &AudioCodecParameters) -> Result<Box<dyn AudioDecoder>, SymphoniaError> {
    guarded(|| symphonia::default::get_codecs().make_audio_decoder(parameters, &AudioDecoderOptions::default()))
}

/// Runs Symphonia with its panics turned into errors: hostile files have made its parsers panic, and one bad file
/// must not end a run over many.
fn guarded<T>(run: impl FnOnce() -> Result<T, SymphoniaError>) -> Result<T, SymphoniaError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(SymphoniaError::LimitError("the decoder panicked")))
}
