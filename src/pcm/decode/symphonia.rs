//! Symphonia's readers and decoders, for the containers that hold sound alone.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::FormatReader;
use symphonia::core::formats::probe::Hint;
use symphonia::core::io::MediaSourceStream;
use symphonia::core::packet::Packet;

use crate::error::{Error, Result};
use crate::media::{AudioStream, MediaInfo};
use crate::pcm::chunk::DecodedChunk;
use crate::pcm::downmix::ChannelRole;

/// Frames of silence that stand for one damaged packet, at most: no codec packs a longer one.
const MAX_PACKET_FRAMES: u64 = 65_536;

pub(in crate::pcm) struct Symphonia {
    name: String,
    reader: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track_id: u32,
    /// Rate and layout as last decoded, else as claimed.
    rate_hz: u32,
    layout: Vec<ChannelRole>,
    /// Frames of the last decoded packet.
    n_last: u64,
    n_damaged: u64,
}

impl Symphonia {
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file cannot be read; the rest means that another decoder should try.
    pub(super) fn open(path: &Path, container: Container, media: &MediaInfo, stream: &AudioStream) -> Result<Self> {
        let refused = || Error::unsupported(path.display(), "it takes the file for something else", "");
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let source = MediaSourceStream::new(Box::new(file), symphonia::core::io::MediaSourceStreamOptions::default());
        let reader = guarded(|| {
            let (format, meta) = Default::default();
            symphonia::default::get_probe().probe(&Hint::new(), source, format, meta)
        })
        .map_err(|e| malformed(path, &e))?;
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
        .map_err(|e| malformed(path, &e))?;
        let claimed = parameters.sample_rate.or(stream.sample_rate_hz).unwrap_or(0);
        Ok(Self {
            name: path.display().to_string(),
            reader,
            decoder,
            track_id,
            rate_hz: claimed,
            layout: ChannelRole::usual(usize::from(stream.channels.unwrap_or(1)).max(1)),
            n_last: 0,
            n_damaged: 0,
        })
    }

    pub(super) fn n_damaged(&self) -> u64 {
        self.n_damaged
    }

    pub(super) fn next(&mut self) -> Result<Option<DecodedChunk>> {
        let Some(packet) = self.next_packet()? else { return Ok(None) };
        let n_trimmed = packet.trim_start.get();
        let decoded = guarded(|| {
            let buffer = self.decoder.decode(&packet)?;
            let mut samples = vec![0.0f32; buffer.samples_interleaved()];
            buffer.copy_to_slice_interleaved(&mut samples);
            Ok((samples, buffer.spec().rate(), roles(buffer.spec().channels())))
        });
        let (samples, is_damaged) = match decoded {
            Ok((samples, rate_hz, layout)) if !layout.is_empty() => {
                self.n_last = (samples.len() / layout.len()) as u64 + n_trimmed + packet.trim_end.get();
                (self.rate_hz, self.layout) = (rate_hz, layout);
                (samples, false)
            }
            Ok(_)
            | Err(SymphoniaError::DecodeError(_) | SymphoniaError::IoError(_) | SymphoniaError::Unsupported(_)) => {
                self.n_damaged += 1;
                // These containers count in samples.
                let n = if self.n_last > 0 { self.n_last } else { packet.block_dur().get() };
                let n = n.min(MAX_PACKET_FRAMES).saturating_sub(n_trimmed) as usize;
                (vec![0.0; n * self.layout.len()], true)
            }
            Err(e) => return Err(malformed(Path::new(&self.name), &e)),
        };
        Ok(Some(DecodedChunk {
            time: None,
            n_trimmed,
            samples: samples.into_iter().map(|s| if s.is_finite() { s } else { 0.0 }).collect(),
            rate_hz: self.rate_hz,
            layout: self.layout.clone(),
            is_damaged,
        }))
    }

    fn next_packet(&mut self) -> Result<Option<Packet>> {
        loop {
            match guarded(|| self.reader.next_packet()) {
                Ok(Some(packet)) if packet.track_id != self.track_id => {}
                Ok(packet) => return Ok(packet),
                Err(SymphoniaError::IoError(e)) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(SymphoniaError::IoError(e)) => return Err(Error::io(Path::new(&self.name), e)),
                Err(e) => {
                    // A reader that lost its way does not find it again; what came is kept, the length tells.
                    tracing::warn!("{}: the sound ends early: {e}", self.name);
                    self.n_damaged += 1;
                    return Ok(None);
                }
            }
        }
    }
}

/// The containers that Symphonia reads here. Those that may hold pictures too are left to libav: Symphonia ignores
/// edit lists, start delays and holes in the times.
#[derive(Clone, Copy)]
pub(super) enum Container {
    Wav,
    Flac,
    Mp3,
    Ogg,
    Aiff,
}

impl Container {
    /// From libav's names of the format.
    pub(super) fn of(format: &str) -> Option<Self> {
        format.split(',').find_map(|name| {
            Some(match name {
                "wav" => Self::Wav,
                "flac" => Self::Flac,
                "mp3" => Self::Mp3,
                "ogg" => Self::Ogg,
                "aiff" => Self::Aiff,
                _ => return None,
            })
        })
    }

    fn symphonia_name(self) -> &'static str {
        match self {
            Self::Wav => "wave",
            Self::Flac => "flac",
            Self::Mp3 => "mp3",
            Self::Ogg => "ogg",
            Self::Aiff => "aiff",
        }
    }

    /// Whether a codec came out right to the sample in this container; the rest would be noise or a shifted clock.
    pub(super) fn holds(self, codec: &str) -> bool {
        match self {
            Self::Wav => codec.starts_with("pcm_") || matches!(codec, "adpcm_ms" | "adpcm_ima_wav"),
            Self::Aiff => codec.starts_with("pcm_"),
            Self::Flac => codec == "flac",
            Self::Mp3 => codec == "mp3",
            Self::Ogg => matches!(codec, "vorbis" | "flac"),
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

fn roles(channels: &Channels) -> Vec<ChannelRole> {
    let Channels::Positioned(mask) = channels else { return ChannelRole::usual(channels.count()) };
    let numbers: Vec<i32> = mask.iter().map(|position| position.bits().trailing_zeros() as i32).collect();
    ChannelRole::of_layout(&numbers)
}
