//! Packets to samples: Symphonia's decoders behind one small type, where a second one has its place.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::audio::{Channels, Position};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::FormatReader;
use symphonia::core::formats::probe::Hint;
use symphonia::core::io::MediaSourceStream;
use symphonia::core::packet::Packet;
use symphonia::core::units;

use super::mix::Role;
use crate::error::{Error, Result};
use crate::libav::Demuxer;
use crate::limits::Limits;
use crate::media::{AudioStream, MediaInfo};
use crate::time::{TimeBase, Timestamp};

/// Frames of silence that stand for one damaged packet, at most: no codec packs a longer one.
const MAX_PACKET_FRAMES: u64 = 65_536;

/// One packet's samples.
pub(super) struct Chunk {
    /// Container time of the first decoded sample, before trimming; None where the packets simply follow on.
    pub(super) time: Option<Timestamp>,
    /// Encoder delay that the decoder took off the front, in frames.
    pub(super) n_trimmed: u64,
    /// Interleaved.
    pub(super) samples: Vec<f32>,
    pub(super) rate_hz: u32,
    /// One role for each channel.
    pub(super) layout: Vec<Role>,
    /// Silence in place of a packet that could not be decoded.
    pub(super) is_damaged: bool,
    /// Decoded for what follows, not to be heard.
    pub(super) is_hidden: bool,
}

impl Chunk {
    pub(super) fn n_frames(&self) -> usize {
        self.samples.len() / self.layout.len().max(1)
    }
}

/// Who decodes. One for now: what Symphonia cannot do is refused here, and libav's decoders will stand beside it.
pub(super) enum Decoder {
    Symphonia(Box<Symphonia>),
}

impl Decoder {
    pub(super) fn open(path: &Path, media: &MediaInfo, stream: &AudioStream) -> Result<Self> {
        Ok(Self::Symphonia(Box::new(Symphonia::open(path, media, stream)?)))
    }

    pub(super) fn next(&mut self) -> Result<Option<Chunk>> {
        match self {
            Self::Symphonia(symphonia) => symphonia.next(),
        }
    }

    pub(super) fn n_damaged(&self) -> u64 {
        match self {
            Self::Symphonia(symphonia) => symphonia.n_damaged,
        }
    }
}

/// Where the packets come from.
enum Packets {
    /// Symphonia's own reader: exact for containers that hold sound alone.
    Own(Box<dyn FormatReader>),
    /// libav: Symphonia ignores edit lists, start delays and holes.
    Libav { demuxer: Demuxer, base: TimeBase },
}

pub(super) struct Symphonia {
    name: String,
    packets: Packets,
    decoder: Box<dyn AudioDecoder>,
    track_id: u32,
    stream_idx: usize,
    /// Rate and layout as last decoded, else as claimed.
    rate_hz: u32,
    layout: Vec<Role>,
    /// Frames of the last decoded packet.
    n_last: u64,
    n_damaged: u64,
}

/// One packet to be decoded.
struct Encoded {
    packet: Packet,
    time: Option<Timestamp>,
    /// Claimed length in frames.
    n_frames: u64,
    is_hidden: bool,
}

impl Symphonia {
    fn open(path: &Path, media: &MediaInfo, stream: &AudioStream) -> Result<Self> {
        let refused = || {
            let container = media.format.split(',').next().unwrap_or_default();
            let problem = format!("{} sound in {container} is not read yet", stream.codec);
            let advice = "convert the sound first: ffmpeg -i FILE -vn -ac 2 -c:a flac sound.flac";
            Error::unsupported(path.display(), problem, advice)
        };
        let container = Container::of(&media.format).ok_or_else(refused)?;
        if !container.holds(&stream.codec) {
            return Err(refused());
        }
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let source = MediaSourceStream::new(Box::new(file), symphonia::core::io::MediaSourceStreamOptions::default());
        let reader = guarded(|| {
            let (format, meta) = Default::default();
            symphonia::default::get_probe().probe(&Hint::new(), source, format, meta)
        })
        .map_err(|e| match e {
            SymphoniaError::Unsupported(_) => refused(),
            e => malformed(path, &e),
        })?;
        // Found by a stray sync word inside another container, sound would be noise.
        if reader.format_info().short_name != container.symphonia_name() {
            return Err(refused());
        }
        let audio_idx = media.audio.iter().position(|a| a.stream_idx == stream.stream_idx).unwrap_or(0);
        let (track_id, mut parameters) = track(reader.as_ref(), media, audio_idx).ok_or_else(refused)?;
        // A claim of the file that only sets a buffer's first size.
        parameters.max_frames_per_packet = parameters.max_frames_per_packet.filter(|n| *n <= MAX_PACKET_FRAMES);
        let decoder = guarded(|| {
            symphonia::default::get_codecs().make_audio_decoder(&parameters, &AudioDecoderOptions::default())
        })
        .map_err(|e| match e {
            SymphoniaError::Unsupported(_) => refused(),
            e => malformed(path, &e),
        })?;
        let packets = if container.is_read_by_libav() {
            let mut demuxer = Demuxer::open(path, &Limits::default())?;
            demuxer.keep_only(&[stream.stream_idx]);
            Packets::Libav { base: demuxer.time_base(stream.stream_idx), demuxer }
        } else {
            Packets::Own(reader)
        };
        let claimed = parameters.sample_rate.or(stream.sample_rate_hz).unwrap_or(0);
        Ok(Self {
            name: path.display().to_string(),
            packets,
            decoder,
            track_id,
            stream_idx: stream.stream_idx,
            rate_hz: claimed,
            layout: Role::usual(usize::from(stream.channels.unwrap_or(1)).max(1)),
            n_last: 0,
            n_damaged: 0,
        })
    }

    fn next(&mut self) -> Result<Option<Chunk>> {
        let Some(encoded) = self.next_packet()? else { return Ok(None) };
        let n_trimmed = encoded.packet.trim_start.get();
        let decoded = guarded(|| {
            let buffer = self.decoder.decode(&encoded.packet)?;
            let mut samples = vec![0.0f32; buffer.samples_interleaved()];
            buffer.copy_to_slice_interleaved(&mut samples);
            Ok((samples, buffer.spec().rate(), roles(buffer.spec().channels())))
        });
        let (samples, is_damaged) = match decoded {
            Ok((samples, rate_hz, layout)) if !layout.is_empty() => {
                self.n_last = (samples.len() / layout.len()) as u64 + n_trimmed + encoded.packet.trim_end.get();
                (self.rate_hz, self.layout) = (rate_hz, layout);
                (samples, false)
            }
            Ok(_)
            | Err(SymphoniaError::DecodeError(_) | SymphoniaError::IoError(_) | SymphoniaError::Unsupported(_)) => {
                self.n_damaged += 1;
                let n = if self.n_last > 0 { self.n_last } else { encoded.n_frames };
                let n = n.min(MAX_PACKET_FRAMES).saturating_sub(n_trimmed) as usize;
                (vec![0.0; n * self.layout.len()], true)
            }
            Err(e) => return Err(malformed(Path::new(&self.name), &e)),
        };
        Ok(Some(Chunk {
            time: encoded.time,
            n_trimmed,
            samples: samples.into_iter().map(|s| if s.is_finite() { s } else { 0.0 }).collect(),
            rate_hz: self.rate_hz,
            layout: self.layout.clone(),
            is_damaged,
            is_hidden: encoded.is_hidden,
        }))
    }

    fn next_packet(&mut self) -> Result<Option<Encoded>> {
        match &mut self.packets {
            Packets::Libav { demuxer, base } => {
                while let Some(packet) = demuxer.next_packet()? {
                    if packet.stream_idx() != self.stream_idx {
                        continue;
                    }
                    let length = Timestamp::new(packet.duration(), *base);
                    let n_frames =
                        TimeBase::of_rate(self.rate_hz).map_or(0, |rate| length.floor_to(rate).max(0) as u64);
                    let (zero, n) = (units::Timestamp::new(0), units::Duration::new(n_frames));
                    return Ok(Some(Encoded {
                        packet: Packet::new(self.track_id, zero, n, packet.data()),
                        time: packet.pts().map(|pts| Timestamp::new(pts, *base)),
                        n_frames,
                        is_hidden: packet.is_discard(),
                    }));
                }
                self.n_damaged += u64::from(demuxer.n_read_errors());
                Ok(None)
            }
            Packets::Own(reader) => loop {
                match guarded(|| reader.next_packet()) {
                    Ok(Some(packet)) if packet.track_id != self.track_id => {}
                    // These containers count in samples.
                    Ok(Some(packet)) => {
                        let n_frames = packet.block_dur().get();
                        return Ok(Some(Encoded { packet, time: None, n_frames, is_hidden: false }));
                    }
                    Ok(None) => return Ok(None),
                    Err(SymphoniaError::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                        return Ok(None);
                    }
                    Err(SymphoniaError::IoError(e)) => return Err(Error::io(Path::new(&self.name), e)),
                    Err(e) => {
                        // A reader that lost its way does not find it again; what came is kept, the length tells.
                        tracing::warn!("{}: the sound ends early: {e}", self.name);
                        self.n_damaged += 1;
                        return Ok(None);
                    }
                }
            },
        }
    }
}

/// The containers that are read, by libav's name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Wav,
    Flac,
    Mp3,
    Adts,
    Ogg,
    Aiff,
    Caf,
    Mp4,
    Matroska,
}

impl Container {
    fn of(format: &str) -> Option<Self> {
        format.split(',').find_map(|name| {
            Some(match name {
                "wav" => Self::Wav,
                "flac" => Self::Flac,
                "mp3" => Self::Mp3,
                "aac" => Self::Adts,
                "ogg" => Self::Ogg,
                "aiff" => Self::Aiff,
                "caf" => Self::Caf,
                "mov" | "mp4" => Self::Mp4,
                "matroska" | "webm" => Self::Matroska,
                _ => return None,
            })
        })
    }

    fn symphonia_name(self) -> &'static str {
        match self {
            Self::Wav => "wave",
            Self::Flac => "flac",
            Self::Mp3 => "mp3",
            Self::Adts => "aac",
            Self::Ogg => "ogg",
            Self::Aiff => "aiff",
            Self::Caf => "caf",
            Self::Mp4 => "isomp4",
            Self::Matroska => "matroska",
        }
    }

    fn is_read_by_libav(self) -> bool {
        matches!(self, Self::Mp4 | Self::Matroska)
    }

    /// Whether a codec came out right to the sample in this container; the rest would be noise or a shifted clock.
    fn holds(self, codec: &str) -> bool {
        let is_pcm = codec.starts_with("pcm_") && !codec.starts_with("pcm_bluray") && !codec.starts_with("pcm_dvd");
        match self {
            Self::Wav => is_pcm || matches!(codec, "adpcm_ms" | "adpcm_ima_wav"),
            Self::Flac => codec == "flac",
            Self::Mp3 => codec == "mp3",
            Self::Adts => codec == "aac",
            Self::Ogg => matches!(codec, "vorbis" | "flac"),
            Self::Aiff => is_pcm,
            Self::Caf => is_pcm || codec == "alac",
            // Big-endian PCM above 16 bits was decoded as little-endian: loud noise.
            Self::Mp4 => {
                matches!(codec, "aac" | "alac" | "mp3" | "flac" | "pcm_s16le" | "pcm_s16be" | "pcm_s24le" | "pcm_f32le")
            }
            Self::Matroska => matches!(codec, "aac" | "alac" | "mp3" | "flac" | "vorbis") || is_pcm,
        }
    }
}

/// Symphonia's track for the n-th audio stream; None where its view of the container is not libav's.
fn track(reader: &dyn FormatReader, media: &MediaInfo, audio_idx: usize) -> Option<(u32, AudioCodecParameters)> {
    let audio = |track: &symphonia::core::formats::Track| {
        let parameters = track.codec_params.as_ref()?.audio()?;
        Some((track.id, parameters.clone()))
    };
    let stream_idx = media.audio.get(audio_idx)?.stream_idx;
    let tracks: Vec<_> = reader.tracks().iter().filter_map(audio).collect();
    if tracks.len() == media.audio.len() {
        return tracks.into_iter().nth(audio_idx);
    }
    // Tracks of codecs that it does not know have no kind; the place among all tells then.
    reader.tracks().get(stream_idx).and_then(audio)
}

/// Runs Symphonia with its panics turned into errors: hostile files have made its parsers panic, and one bad file
/// must not end a run over many. Its state is not used again after a failure that ends the reading.
fn guarded<T>(run: impl FnOnce() -> Result<T, SymphoniaError>) -> Result<T, SymphoniaError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or(Err(SymphoniaError::LimitError("the decoder failed in itself")))
}

fn malformed(path: &Path, error: &SymphoniaError) -> Error {
    Error::malformed(path.display(), format!("its sound cannot be read: {error}"), "check it with ffprobe")
}

fn roles(channels: &Channels) -> Vec<Role> {
    let Channels::Positioned(mask) = channels else { return Role::usual(channels.count()) };
    if mask.bits().is_power_of_two() {
        return vec![Role::Centre];
    }
    mask.iter()
        .map(|position| match position {
            Position::FRONT_LEFT => Role::Left,
            Position::FRONT_RIGHT => Role::Right,
            Position::FRONT_CENTER => Role::Centre,
            Position::LFE1 | Position::LFE2 => Role::Lfe,
            Position::REAR_LEFT | Position::SIDE_LEFT => Role::SurroundLeft,
            Position::REAR_RIGHT | Position::SIDE_RIGHT => Role::SurroundRight,
            Position::REAR_CENTER => Role::SurroundCentre,
            _ => Role::Other,
        })
        .collect()
}
