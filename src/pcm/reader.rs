//! Reads one audio stream from its start to its end.

use std::path::Path;

use super::block::{AudioBlock, PcmFormat};
use super::chunk::DecodedChunk;
use super::decode::PacketDecoder;
use super::downmix::{ChannelRole, Downmixer};
use super::placement::{SampleClock, half_tick};
use super::resample::Resampler;
use super::unify::{RateUnifier, Unified};
use crate::advice::{Advice, Setting};
use crate::error::{Error, ErrorCode, Result};
use crate::media::{AudioStream, MediaInfo};
use crate::time::{TimeBase, Timestamp};

/// Sample rates that are read and written, in Hz: telephone codecs to studio formats.
const RATES_HZ: std::ops::RangeInclusive<u32> = 1000..=768_000;

/// Packets tried at the start before a stream counts as undecodable: enough for a damaged head of some seconds.
const MAX_LEADING_DAMAGE: u64 = 200;

/// Silence emitted in one block; a hole in the sound can be long, a block must not be.
const MAX_SILENT_FRAMES: i64 = 48_000;

/// Reads one audio stream from its start to its end: an iterator of [`AudioBlock`]s, each beginning where the one
/// before ended.
///
/// Packets that cannot be decoded, and holes in the container's times, come out as silence of the same length, so
/// that what follows keeps its time. After an error the iterator ends.
pub struct AudioReader {
    name: String,
    decoder: PacketDecoder,
    first: Option<DecodedChunk>,
    clock: SampleClock,
    downmixer: Downmixer,
    resampler: Option<Resampler>,
    /// Silence still to be emitted before `held`.
    silence: i64,
    held: Option<Vec<f32>>,
    unifier: RateUnifier,
    rate_hz: u32,
    channels: u16,
    /// What the channels of the blocks are for.
    layout: Vec<ChannelRole>,
    /// Time of the first sample returned, on the shared clock.
    start: Timestamp,
    n_frames: u64,
    claimed: Option<Timestamp>,
    is_done: bool,
}

impl AudioReader {
    /// Opens `path` and decodes as far as the first sound. `media` and `stream` are what the probe said of it.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where no decoder is there for the codec in this container, [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where
    /// nothing can be decoded, [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a rate or channel count that cannot be made, [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn open(path: &Path, media: &MediaInfo, stream: &AudioStream, want: &PcmFormat) -> Result<Self> {
        let name = path.display().to_string();
        if let Some(rate) = want.rate_hz.filter(|rate| !RATES_HZ.contains(rate)) {
            let problem = format!("{rate} Hz is out of range");
            return Err(Error::setting(Setting::AudioRate, problem, "use 1000 to 768000 Hz, 16000 for speech"));
        }
        let mut decoder = PacketDecoder::open(path, stream)?;
        let (first, n_before, first_time) = first_sound(&name, stream, &mut decoder)?;
        let (rate_in_hz, stored) = (first.rate_hz, first.layout.len() as u16);
        let channels = want.channels.unwrap_or(stored);
        if channels != stored && !matches!(channels, 1 | 2) {
            let problem = format!("{name} has {stored} channels, which cannot become {channels}");
            return Err(Error::setting(Setting::AudioChannels, problem, "use 1 or 2, or keep them as stored"));
        }
        let Some(base) = TimeBase::of_rate(rate_in_hz).filter(|_| RATES_HZ.contains(&rate_in_hz)) else {
            return Err(Error::malformed(name, format!("its sample rate of {rate_in_hz} Hz is invalid"), ""));
        };
        let rate_hz = want.rate_hz.unwrap_or(rate_in_hz);
        let resampler = (rate_hz != rate_in_hz).then(|| Resampler::new(rate_in_hz, rate_hz, channels)).transpose()?;

        // The clock's zero is the first stored sample; what lies before the stream's start is not to be heard, and
        // a decoder that tells times has left it out already, unless it stands for damage.
        let anchor = first_time.or(stream.first_packet).or(stream.start).unwrap_or(media.start);
        let n_early = stream.start.map_or(0, |start| start.minus(anchor).plus(half_tick(base)).floor_to(base)).max(0);
        let n_skipped = if first_time.is_some() && n_before == 0 { 0 } else { n_early };
        let start = anchor.plus(Timestamp::new(n_skipped, base)).minus(media.start);
        let lead = n_before.saturating_mul(first.n_frames() as u64);
        Ok(Self {
            clock: SampleClock::new(anchor, base, lead, n_skipped, media),
            downmixer: Downmixer::new(channels),
            layout: if channels == stored { first.layout.clone() } else { ChannelRole::usual(channels.into()) },
            first: Some(first),
            decoder,
            resampler,
            silence: 0,
            held: None,
            unifier: RateUnifier::new(rate_in_hz),
            rate_hz,
            channels,
            start,
            n_frames: 0,
            // The file lasts from its zero, at which this sound need not have begun.
            claimed: stream.duration.or(media.duration.map(|duration| duration.minus(start))),
            is_done: false,
            name,
        })
    }

    /// Samples a second in one channel of the blocks.
    #[must_use]
    pub fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Number of channels of the blocks.
    #[must_use]
    pub fn channels(&self) -> u16 {
        self.channels
    }

    /// What each channel of the blocks carries.
    #[must_use]
    pub(crate) fn layout(&self) -> &[ChannelRole] {
        &self.layout
    }

    /// The decoder of the stream, `Symphonia` or `libav`, and why it was chosen.
    #[must_use]
    pub fn decoder(&self) -> (&'static str, &str) {
        self.decoder.choice()
    }

    /// The file, for errors.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Time of the first sample on the shared clock.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// Packets that could not be decoded so far, silence in their place.
    #[must_use]
    pub fn n_damaged(&self) -> u64 {
        self.decoder.n_damaged()
    }

    /// Seconds of sound returned so far. At the end, much less than [`AudioReader::claimed`] means that the file is
    /// cut off.
    #[must_use]
    pub fn seconds_read(&self) -> f64 {
        self.n_frames as f64 / f64::from(self.rate_hz)
    }

    /// The length that the container claims; None where it does not say.
    #[must_use]
    pub fn claimed(&self) -> Option<Timestamp> {
        self.claimed
    }

    /// The next samples at the stored rate, mixed to the wanted channels; None at the end.
    fn next_mixed(&mut self) -> Result<Option<Vec<f32>>> {
        loop {
            if self.silence > 0 {
                let n = self.silence.min(MAX_SILENT_FRAMES);
                self.silence -= n;
                return Ok(Some(vec![0.0; n as usize * usize::from(self.channels)]));
            }
            if let Some(samples) = self.held.take() {
                return Ok(Some(samples));
            }
            let chunk = match self.first.take() {
                Some(chunk) => chunk,
                None => match self.decoder.next()? {
                    Some(chunk) => chunk,
                    None => match self.unifier.finish()? {
                        Some(tail) => tail,
                        None => return Ok(None),
                    },
                },
            };
            let chunk = match self.unifier.unify(chunk)? {
                Unified::Chunk(chunk) => chunk,
                // The end of the converted part comes first.
                Unified::Tail(tail, next) => {
                    self.first = Some(next);
                    tail
                }
            };
            let Some(place) = self.clock.place(&chunk) else { continue };
            self.silence = place.silence;
            self.held = Some(self.downmixer.mix(&chunk.samples[place.n_cut * chunk.layout.len()..], &chunk.layout));
        }
    }

    fn next_block(&mut self) -> Result<Option<AudioBlock>> {
        loop {
            let mixed = self.next_mixed()?;
            self.is_done |= mixed.is_none();
            let samples = match (&mut self.resampler, mixed) {
                (Some(resampler), Some(samples)) => resampler.push(&samples)?,
                (Some(resampler), None) => resampler.finish()?,
                (None, Some(samples)) => samples,
                (None, None) => return Ok(None),
            };
            if samples.is_empty() {
                if self.is_done {
                    return Ok(None);
                }
                continue;
            }
            let base = TimeBase::of_rate(self.rate_hz).unwrap_or(TimeBase::NANOS);
            let time = self.start.plus(Timestamp::new(self.n_frames as i64, base));
            self.n_frames += (samples.len() / usize::from(self.channels)) as u64;
            return Ok(Some(AudioBlock { time, samples, rate_hz: self.rate_hz, channels: self.channels }));
        }
    }
}

impl Iterator for AudioReader {
    type Item = Result<AudioBlock>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let block = self.next_block().transpose();
        self.is_done |= !matches!(block, Some(Ok(_)));
        block
    }
}

/// The first chunk that could be decoded, the number of damaged packets before it, and the time of the first of all.
fn first_sound(
    name: &str,
    stream: &AudioStream,
    decoder: &mut PacketDecoder,
) -> Result<(DecodedChunk, u64, Option<Timestamp>)> {
    let (mut n_before, mut time) = (0, None);
    while let Some(chunk) = decoder.next()? {
        time = time.or(chunk.time);
        if !chunk.is_damaged {
            return Ok((chunk, n_before, time));
        }
        n_before += 1;
        if n_before >= MAX_LEADING_DAMAGE {
            break;
        }
    }
    let what = format!("audio stream {} ({})", stream.stream_idx, stream.codec);
    Err(if decoder.n_damaged() > 0 {
        Error::malformed(name, format!("no packet of {what} can be decoded"), "check it with ffprobe")
    } else {
        Error::malformed(name, format!("{what} is empty"), Advice::Set(Setting::Track)).with_code(ErrorCode::NoAudio)
    })
}
