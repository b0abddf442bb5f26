//! Reads one audio stream of one file from its start to its end.

use std::path::Path;

use super::block::{AudioBlock, PcmFormat};
use super::chunk::DecodedChunk;
use super::claimed_length::ClaimedLength;
use super::decode::PacketDecoder;
use super::downmix::{ChannelRole, Downmixer};
use super::placement::{SampleClock, half_tick};
use super::resample::Resampler;
use super::unify::{RateUnifier, Unified};
use crate::advice::{Advice, Setting};
use crate::error::{Error, ErrorCode, Result};
use crate::media::{AudioStream, MediaInfo};
use crate::time::{TimeBase, TimeBounds, Timestamp};

/// Sample rates that are read and written, in Hz: telephone codecs to studio formats.
const RATES_HZ: std::ops::RangeInclusive<u32> = 1000..=768_000;

/// Packets tried at the start before a stream counts as undecodable: enough for a damaged head of some seconds.
const MAX_LEADING_DAMAGE: u64 = 200;

/// Silence emitted in one block; a hole in the sound can be long, a block must not be.
const MAX_SILENT_FRAMES: i64 = 48_000;

/// Reads one audio stream of one file: see [`AudioReader`](super::AudioReader).
pub(super) struct StreamReader {
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
    claimed: Option<ClaimedLength>,
    /// The range that is returned.
    bounds: TimeBounds,
    /// One stored sample of a channel.
    stored_base: TimeBase,
    /// Frames at the stored rate that were mixed, silence included.
    n_mixed: i64,
    /// Those in the range of which only one channel was taken, because the channels cancel each other.
    n_unmixed: i64,
    is_done: bool,
}

impl StreamReader {
    /// Opens `path` and decodes as far as the first sound. `media` and `stream` are what the probe said of it.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where no decoder is there for the codec in this container, [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where
    /// nothing can be decoded, [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a rate or channel count that cannot be made, [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub(super) fn open(path: &Path, media: &MediaInfo, stream: &AudioStream, want: &PcmFormat) -> Result<Self> {
        let name = crate::input::shown_name(path);
        if let Some(rate) = want.rate_hz.filter(|rate| !RATES_HZ.contains(rate)) {
            let problem = format!("{rate} Hz is out of range");
            return Err(Error::setting(Setting::AudioRate, problem, "use 1000 to 768000 Hz, 16000 for speech"));
        }
        if let Some(scheme) = &stream.encryption {
            let problem = format!("its audio is encrypted ({scheme})");
            let error = Error::unsupported(&name, problem, "use a copy without encryption");
            return Err(error.with_code(ErrorCode::Encrypted));
        }
        let mut decoder = PacketDecoder::open(path, stream)?;
        let (first, n_before, first_time) = first_sound(&name, stream, media.audio.len(), &mut decoder)?;
        let (rate_in_hz, stored) = (first.rate_hz, first.layout.len() as u16);
        let channels = want.channels.unwrap_or(stored);
        if channels != stored && !matches!(channels, 1 | 2) {
            let problem = format!("{name} has {stored} channels, which cannot be mixed to {channels}");
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
            claimed: ClaimedLength::of(media, stream, start),
            bounds: TimeBounds::default(),
            stored_base: base,
            n_mixed: 0,
            n_unmixed: 0,
            is_done: false,
        })
    }

    /// Samples a second in one channel of the blocks.
    pub(super) fn rate_hz(&self) -> u32 {
        self.rate_hz
    }

    /// Number of channels of the blocks.
    pub(super) fn channels(&self) -> u16 {
        self.channels
    }

    /// What each channel of the blocks carries.
    pub(super) fn layout(&self) -> &[ChannelRole] {
        &self.layout
    }

    /// The decoder of the stream, `Symphonia` or `libav`, and why it was chosen.
    pub(super) fn decoder(&self) -> (&'static str, &str) {
        self.decoder.choice()
    }

    /// Time of the first sample on the shared clock.
    pub(super) fn start(&self) -> Timestamp {
        self.start.plus(Timestamp::new(self.n_before() as i64, self.base()))
    }

    /// Only the samples in `bounds` from here on. The part before is decoded and dropped, the part behind is not read.
    pub(super) fn set_bounds(&mut self, bounds: TimeBounds) {
        self.bounds = bounds;
    }

    /// One sample of the blocks.
    fn base(&self) -> TimeBase {
        TimeBase::of_rate(self.rate_hz).unwrap_or(TimeBase::NANOS)
    }

    /// The number of the first sample at or after `time`, counted from the start of the stream.
    fn frame_at(&self, time: Timestamp) -> u64 {
        let ticks = Timestamp::ZERO.minus(time.minus(self.start)).floor_to(self.base());
        u64::try_from(-ticks).unwrap_or(0)
    }

    /// Frames before the range.
    fn n_before(&self) -> u64 {
        self.bounds.start.map_or(0, |from| self.frame_at(from))
    }

    /// Packets that could not be decoded so far, silence in their place.
    pub(super) fn n_damaged(&self) -> u64 {
        self.decoder.n_damaged()
    }

    /// Seconds of audio decoded so far, from the start of the stream.
    pub(super) fn seconds_read(&self) -> f64 {
        self.n_frames as f64 / f64::from(self.rate_hz)
    }

    /// The time after the last decoded sample, on the shared clock.
    pub(super) fn position(&self) -> Timestamp {
        self.start.plus(Timestamp::new(self.n_frames as i64, self.base()))
    }

    /// The seconds that are missing at the end: at the end of the reader, what it lacks of the length that the
    /// container states. None where nothing is missing, or where the container states no length.
    pub(super) fn missing_seconds(&self) -> Option<f64> {
        let end = self.position();
        if self.bounds.end.is_some_and(|to| end >= to) {
            return None;
        }
        let claimed = self.claimed?;
        let stated = self.bounds.end.map_or(claimed.end, |to| to.min(claimed.end));
        ClaimedLength { end: stated, ..claimed }.missing_seconds(end)
    }

    /// Seconds of the range, as far as it was read, for which a mono mix takes only the loudest channel, because the
    /// channels cancel each other.
    pub(super) fn single_channel_seconds(&self) -> f64 {
        Timestamp::new(self.n_unmixed, self.stored_base).secs_f64()
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
            let first = self.n_mixed.saturating_add(place.silence);
            self.n_mixed = first.saturating_add((chunk.n_frames() - place.n_cut) as i64);
            if self.downmixer.takes_one_channel() {
                self.n_unmixed += self.n_in_range(first, self.n_mixed);
            }
        }
    }

    /// How many of the stored frames from `first` until before `end` lie in the range.
    fn n_in_range(&self, first: i64, end: i64) -> i64 {
        let frame_at = |time: Timestamp| time.minus(self.start).floor_to(self.stored_base);
        let first = self.bounds.start.map_or(first, |from| frame_at(from).max(first));
        let end = self.bounds.end.map_or(end, |to| frame_at(to).min(end));
        end.saturating_sub(first).max(0)
    }

    /// The part of a block that lies in the range; its first frame is number `n_first` of the stream.
    fn bounded(&self, mut samples: Vec<f32>, n_first: u64) -> Option<(Vec<f32>, u64)> {
        let n_frames = (samples.len() / usize::from(self.channels)) as u64;
        let n_cut = self.n_before().saturating_sub(n_first).min(n_frames);
        let n_kept = self.bounds.end.map_or(n_frames, |to| self.frame_at(to).saturating_sub(n_first).min(n_frames));
        samples.truncate(n_kept as usize * usize::from(self.channels));
        samples.drain(..(n_cut as usize * usize::from(self.channels)).min(samples.len()));
        (!samples.is_empty()).then_some((samples, n_first + n_cut))
    }

    fn next_block(&mut self) -> Result<Option<AudioBlock>> {
        loop {
            if self.bounds.end.is_some_and(|to| self.n_frames >= self.frame_at(to)) {
                return Ok(None);
            }
            if self.is_done {
                return Ok(None);
            }
            let mixed = self.next_mixed()?;
            self.is_done |= mixed.is_none();
            let samples = match (&mut self.resampler, mixed) {
                (Some(resampler), Some(samples)) => resampler.push(&samples)?,
                (Some(resampler), None) => resampler.finish()?,
                (None, Some(samples)) => samples,
                (None, None) => return Ok(None),
            };
            if samples.is_empty() {
                continue;
            }
            let n_first = self.n_frames;
            self.n_frames += (samples.len() / usize::from(self.channels)) as u64;
            let Some((samples, n_first)) = self.bounded(samples, n_first) else { continue };
            let time = self.start.plus(Timestamp::new(n_first as i64, self.base()));
            return Ok(Some(AudioBlock { time, samples, rate_hz: self.rate_hz, channels: self.channels }));
        }
    }
}

impl Iterator for StreamReader {
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
    n_tracks: usize,
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
        let advice = if n_tracks > 1 { Advice::Set(Setting::Track) } else { Advice::None };
        Error::malformed(name, format!("{what} holds no samples"), advice).with_code(ErrorCode::NoAudio)
    })
}
