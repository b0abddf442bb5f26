//! Reads the audio of a recording, which may be in several files.

use std::collections::VecDeque;
use std::path::Path;

use super::block::{AudioBlock, PcmFormat};
use super::downmix::ChannelRole;
use super::placement::half_tick;
use super::reader::StreamReader;
use crate::error::{Error, ErrorKind, Result};
use crate::input::shown_name;
use crate::media::{AudioStream, MediaInfo, MediaPart};
use crate::time::{TimeBase, TimeBounds, Timestamp};

/// Silence emitted in one block, in samples of each channel.
const MAX_SILENT_FRAMES: i64 = 48_000;

/// Reads one audio stream from its start to its end: an iterator of [`AudioBlock`]s, each beginning where the one
/// before ended. The files of a joined recording follow each other on one clock, at the rate and with the channels of the
/// first.
///
/// Packets that cannot be decoded, holes in the container's times, and files of a joined recording that cannot be read
/// come out as silence of the same length, so that what follows keeps its time. After an error the iterator ends.
pub struct AudioReader {
    name: String,
    current: StreamReader,
    /// Where the current file starts on the clock of the whole.
    offset: Timestamp,
    /// The files after the current one.
    rest: VecDeque<MediaPart>,
    /// The position of the stream among the audio streams, and its language.
    wanted: (usize, Option<String>),
    bounds: TimeBounds,
    /// Time of the first sample, once one was returned.
    start: Option<Timestamp>,
    /// Samples returned in each channel.
    n_returned: i64,
    /// A block behind silence.
    held: Option<AudioBlock>,
    /// Of the files before the current one.
    n_damaged: u64,
    missing_seconds: f64,
    single_channel_seconds: f64,
    failure: Option<Error>,
}

impl AudioReader {
    /// Opens `path` and decodes as far as the first sound. `media` and `stream` are what the probe said of it. For a joined
    /// recording `path` is ignored.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where no decoder is there for the codec in this container, [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where
    /// nothing can be decoded, [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a rate or channel count that cannot be made, [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn open(path: &Path, media: &MediaInfo, stream: &AudioStream, want: &PcmFormat) -> Result<Self> {
        let position = media.audio.iter().position(|audio| audio.stream_idx == stream.stream_idx).unwrap_or_default();
        let wanted = (position, stream.language.clone());
        let mut rest: VecDeque<MediaPart> = media.parts.iter().cloned().collect();
        let (mut missing_seconds, mut first_error) = (0.0, None);
        let (current, offset) = loop {
            let Some(part) = rest.pop_front() else {
                if let Some(error) = first_error {
                    return Err(error);
                }
                break (StreamReader::open(path, media, stream, want)?, Timestamp::ZERO);
            };
            let Some(stream) = stream_of(&part.media, &wanted) else { continue };
            match StreamReader::open(&part.path, &part.media, stream, want) {
                Ok(reader) => break (reader, part.offset),
                Err(error) if error.kind == ErrorKind::Malformed => {
                    tracing::warn!("{error}; the audio starts after it");
                    missing_seconds += part.media.duration.map_or(0.0, Timestamp::secs_f64);
                    first_error = first_error.or(Some(error));
                }
                Err(error) => return Err(error),
            }
        };
        Ok(Self {
            name: if media.parts.is_empty() { shown_name(path) } else { media.input.clone() },
            current,
            offset,
            rest,
            wanted,
            bounds: TimeBounds::default(),
            start: None,
            n_returned: 0,
            held: None,
            n_damaged: 0,
            missing_seconds,
            single_channel_seconds: 0.0,
            failure: None,
        })
    }

    /// Samples a second in one channel of the blocks.
    #[must_use]
    pub fn rate_hz(&self) -> u32 {
        self.current.rate_hz()
    }

    /// Number of channels of the blocks.
    #[must_use]
    pub fn channels(&self) -> u16 {
        self.current.channels()
    }

    /// What each channel of the blocks carries.
    #[must_use]
    pub(crate) fn layout(&self) -> &[ChannelRole] {
        self.current.layout()
    }

    /// The decoder of the stream, `Symphonia` or `libav`, and why it was chosen.
    #[must_use]
    pub fn decoder(&self) -> (&'static str, &str) {
        self.current.decoder()
    }

    /// The recording, for errors.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Time of the first sample on the shared clock.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.start.unwrap_or_else(|| self.current.start().plus(self.offset))
    }

    /// Only the samples in `bounds`. What comes before in the same file is decoded and dropped, what comes behind is not
    /// read.
    #[must_use]
    pub fn within(mut self, bounds: TimeBounds) -> Self {
        let first = self.start();
        self.bounds = bounds;
        // Where a file has no sound at the start of the range, the range starts with silence.
        self.start = bounds.start.filter(|start| !self.rest.is_empty() && *start > first);
        self.current.set_bounds(local(bounds, self.offset));
        while let Some(next) = self.rest.front()
            && bounds.start.is_some_and(|start| start >= next.offset)
        {
            // Nothing of the current file is in the range.
            if let Err(error) = self.advance(false) {
                self.failure = Some(error);
                break;
            }
        }
        self
    }

    /// Packets that could not be decoded so far, silence in their place.
    #[must_use]
    pub fn n_damaged(&self) -> u64 {
        self.n_damaged + self.current.n_damaged()
    }

    /// Seconds of audio decoded so far, from the start of the stream.
    #[must_use]
    pub fn seconds_read(&self) -> f64 {
        self.offset.secs_f64() + self.current.seconds_read()
    }

    /// The seconds that are missing at the end: at the end of the reader, what it lacks of the length that the
    /// containers state. None where nothing is missing, or where they state no length.
    #[must_use]
    pub fn missing_seconds(&self) -> Option<f64> {
        let missing = self.missing_seconds + self.current.missing_seconds().unwrap_or_default();
        Some(missing).filter(|missing| *missing > 0.0)
    }

    /// Seconds of the range, as far as it was read, for which a mono mix takes only the loudest channel, because the
    /// channels cancel each other. None below half a second, which occurs in any stereo recording.
    #[must_use]
    pub fn single_channel_seconds(&self) -> Option<f64> {
        let seconds = self.single_channel_seconds + self.current.single_channel_seconds();
        Some(seconds).filter(|seconds| *seconds > 0.5)
    }

    /// Opens the next file that can be read; false if there is none. `is_read` tells whether the current one was due.
    fn advance(&mut self, is_read: bool) -> Result<bool> {
        if is_read {
            self.n_damaged += self.current.n_damaged();
            self.missing_seconds += self.current.missing_seconds().unwrap_or_default();
            self.single_channel_seconds += self.current.single_channel_seconds();
        }
        let want = PcmFormat { rate_hz: Some(self.rate_hz()), channels: Some(self.channels()) };
        while let Some(part) = self.rest.pop_front() {
            let stream = stream_of(&part.media, &self.wanted);
            let outcome = stream.map(|stream| StreamReader::open(&part.path, &part.media, stream, &want));
            match outcome {
                Some(Ok(mut reader)) => {
                    reader.set_bounds(local(self.bounds, part.offset));
                    (self.current, self.offset) = (reader, part.offset);
                    return Ok(true);
                }
                Some(Err(error)) if error.kind != ErrorKind::Malformed => return Err(error),
                outcome => {
                    let why = match outcome {
                        Some(Err(error)) => error.to_string(),
                        _ => format!("{}: has no audio stream", part.media.input),
                    };
                    tracing::warn!("{why}; silence takes its place");
                    self.missing_seconds += part.media.duration.map_or(0.0, Timestamp::secs_f64);
                }
            }
        }
        Ok(false)
    }

    /// The next block of a joined recording; None at the end.
    fn next_joined(&mut self) -> Result<Option<AudioBlock>> {
        loop {
            let block = if let Some(block) = self.held.take() {
                block
            } else if let Some(block) = self.current.next() {
                let block = block?;
                AudioBlock { time: block.time.plus(self.offset), ..block }
            } else {
                let end = self.bounds.end;
                let is_due = self.rest.front().is_some_and(|part| end.is_none_or(|end| part.offset < end));
                if is_due && self.advance(true)? {
                    continue;
                }
                return Ok(None);
            };
            if let Some(block) = self.placed(block) {
                return Ok(Some(block));
            }
        }
    }

    /// The block where the one before ended: silence first if it is later, without its beginning if it is earlier.
    fn placed(&mut self, mut block: AudioBlock) -> Option<AudioBlock> {
        let base = TimeBase::of_rate(block.rate_hz)?;
        let channels = usize::from(block.channels);
        let start = *self.start.get_or_insert(block.time);
        let due = start.plus(Timestamp::new(self.n_returned, base));
        let gap = block.time.minus(due).plus(half_tick(base)).floor_to(base);
        if gap > 0 {
            let n_silent = gap.min(MAX_SILENT_FRAMES);
            let silence = AudioBlock { time: due, samples: vec![0.0; n_silent as usize * channels], ..block };
            self.held = Some(block);
            self.n_returned += n_silent;
            return Some(silence);
        }
        let n_cut = (gap.unsigned_abs() as usize * channels).min(block.samples.len());
        block.samples.drain(..n_cut);
        block.time = due;
        self.n_returned += (block.samples.len() / channels) as i64;
        (!block.samples.is_empty()).then_some(block)
    }
}

/// Of a file the stream at the same position, unless another one alone has the language.
fn stream_of<'a>(media: &'a MediaInfo, (position, language): &(usize, Option<String>)) -> Option<&'a AudioStream> {
    let in_place = media.audio.get(*position);
    let is_same = |audio: &&AudioStream| audio.language == *language;
    let same = in_place.filter(is_same).or_else(|| media.audio.iter().find(is_same));
    same.or(in_place).or(media.main_audio())
}

/// The range on the clock of a file that starts at `offset`.
fn local(bounds: TimeBounds, offset: Timestamp) -> TimeBounds {
    let local = |time: Option<Timestamp>| time.map(|time| time.minus(offset));
    TimeBounds { start: local(bounds.start), end: local(bounds.end) }
}

impl Iterator for AudioReader {
    type Item = Result<AudioBlock>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failure.take() {
            self.rest.clear();
            return Some(Err(error));
        }
        if self.rest.is_empty() && self.offset.ticks() == 0 {
            return self.current.next();
        }
        let outcome = self.next_joined();
        if outcome.is_err() {
            self.rest.clear();
        }
        outcome.transpose()
    }
}
