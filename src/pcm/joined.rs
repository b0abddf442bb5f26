//! Reads the audio of a recording, which may be in several files.

use std::collections::VecDeque;
use std::path::Path;

use super::block::{AudioBlock, PcmFormat};
use super::downmix::ChannelRole;
use super::placement::half_tick;
use super::reader::StreamReader;
use crate::error::{Error, Result};
use crate::input::shown_name;
use crate::media::{AudioStream, MediaInfo, MediaPart};
use crate::time::{TimeBase, TimeBounds, TimeRange, Timestamp};

/// Silence emitted in one block, in samples of each channel.
const MAX_SILENT_FRAMES: i64 = 48_000;

/// Reads one audio stream from its start to its end: an iterator of [`AudioBlock`]s, each beginning where the one
/// before ended. The files of a joined recording follow each other on one clock, at the rate and with the channels of the
/// first that can be read; each ends where the next one starts.
///
/// Packets that cannot be decoded, holes in the container's times, and files of a joined recording that cannot be read
/// come out as silence of the same length, so that what follows keeps its time. After an error the iterator ends.
pub struct AudioReader {
    name: String,
    current: StreamReader,
    /// Where the current file starts on the clock of the whole.
    offset: Timestamp,
    /// Where it ends; None where that is not known.
    end: Option<Timestamp>,
    /// The files after the current one.
    rest: VecDeque<MediaPart>,
    /// The position of the stream among the audio streams, and its language.
    wanted: (usize, Option<String>),
    bounds: TimeBounds,
    /// Time of the first sample, once one was returned.
    start: Option<Timestamp>,
    /// Samples returned in each channel.
    n_returned: i64,
    /// The block to return after the silence.
    held: Option<AudioBlock>,
    /// Files before the first that could be opened, and why. They matter where the range includes them.
    unread: Vec<(TimeRange, Error)>,
    /// Totals of the files before the current one.
    n_damaged: u64,
    missing_seconds: f64,
    single_channel_seconds: f64,
    failure: Option<Error>,
    is_done: bool,
}

impl AudioReader {
    /// Opens `path` and decodes as far as the first sound. `media` and `stream` are what the probe said of it. For a joined
    /// recording `path` is ignored, and the first file that can be read is opened.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where no decoder is there for the codec in this container, [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where
    /// nothing can be decoded, [`ErrorKind::Usage`](crate::ErrorKind::Usage) for a rate or channel count that cannot be made, [`ErrorKind::Io`](crate::ErrorKind::Io).
    pub fn open(path: &Path, media: &MediaInfo, stream: &AudioStream, want: &PcmFormat) -> Result<Self> {
        let position = media.audio.iter().position(|audio| audio.stream_idx == stream.stream_idx).unwrap_or_default();
        let wanted = (position, stream.language.clone());
        let mut rest: VecDeque<MediaPart> = media.parts.iter().cloned().collect();
        let mut unread = Vec::new();
        let (current, offset, end) = loop {
            let Some(part) = rest.pop_front() else {
                if !unread.is_empty() {
                    let (_, first) = unread.swap_remove(0);
                    return Err(first);
                }
                break (StreamReader::open(path, media, stream, want)?, Timestamp::ZERO, None);
            };
            let end = end_of(&part, &rest);
            match open_part(&part, &wanted, want) {
                Ok(reader) => break (reader, part.offset, end),
                Err(error) => unread.push((TimeRange::new(part.offset, end.unwrap_or(part.offset)), error)),
            }
        };
        let mut reader = Self {
            name: if media.parts.is_empty() { shown_name(path) } else { media.input.clone() },
            current,
            offset,
            end,
            rest,
            wanted,
            bounds: TimeBounds::default(),
            start: None,
            n_returned: 0,
            held: None,
            unread,
            n_damaged: 0,
            missing_seconds: 0.0,
            single_channel_seconds: 0.0,
            failure: None,
            is_done: false,
        };
        reader.bound_current();
        Ok(reader)
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

    /// Only the samples in `bounds`. What comes before in the same file is decoded and dropped; other files before the range,
    /// and what comes after it, are not read.
    #[must_use]
    pub fn within(mut self, bounds: TimeBounds) -> Self {
        let first = self.start();
        self.bounds = bounds;
        // Where a file has no sound at the start of the range, the range starts with silence.
        self.start = bounds.start.filter(|start| !self.rest.is_empty() && *start > first);
        self.bound_current();
        let has_started = |part: &&MediaPart| bounds.start.is_some_and(|start| part.offset <= start);
        if let Some(n_before) = self.rest.iter().take_while(has_started).count().checked_sub(1) {
            // The range starts in the last of these. Nothing of the current file and of the others is in it.
            self.rest.drain(..n_before);
            self.failure = self.advance(false).err();
        }
        self
    }

    /// Limits the current file to the range, and to where the next file starts.
    fn bound_current(&mut self) {
        let next = self.rest.front().map(|part| part.offset);
        let end = self.bounds.end.into_iter().chain(next).min();
        self.current.set_bounds(local(TimeBounds { end, ..self.bounds }, self.offset));
    }

    /// How much of the time from `start` to `end` is in the range, in seconds.
    fn seconds_in_range(&self, start: Timestamp, end: Option<Timestamp>) -> f64 {
        let start = self.bounds.start.map_or(start, |from| from.max(start));
        let end = end.into_iter().chain(self.bounds.end.filter(|_| end.is_some())).min();
        end.map_or(0.0, |end| end.minus(start).secs_f64().max(0.0))
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

    /// Whether the next file is in the range.
    fn is_due(&self) -> bool {
        self.rest.front().is_some_and(|part| self.bounds.end.is_none_or(|end| part.offset < end))
    }

    /// Opens the next readable file within the range; false if there is none. `is_read` is whether the current file was within
    /// the range.
    ///
    /// # Errors
    /// As the first file that cannot be read, if no file within the range can be.
    fn advance(&mut self, is_read: bool) -> Result<bool> {
        let mut failure = None;
        let want = PcmFormat { rate_hz: Some(self.rate_hz()), channels: Some(self.channels()) };
        while self.is_due()
            && let Some(part) = self.rest.pop_front()
        {
            let end = end_of(&part, &self.rest);
            match open_part(&part, &self.wanted, &want) {
                Ok(reader) => {
                    if is_read {
                        self.n_damaged += self.current.n_damaged();
                        self.missing_seconds += self.current.missing_seconds().unwrap_or_default();
                        self.single_channel_seconds += self.current.single_channel_seconds();
                    }
                    (self.current, self.offset, self.end) = (reader, part.offset, end);
                    self.bound_current();
                    return Ok(true);
                }
                Err(error) if error.is_damage() => {
                    tracing::warn!("{error}; silence takes its place");
                    self.missing_seconds += self.seconds_in_range(part.offset, end);
                    failure = failure.or(Some(error));
                }
                Err(error) => return Err(error),
            }
        }
        failure.filter(|_| self.n_returned == 0).map_or(Ok(false), Err)
    }

    /// Counts the files before the first that could be opened, as far as they are in the range.
    fn settle_unread(&mut self) -> Result<()> {
        for (range, error) in std::mem::take(&mut self.unread) {
            let seconds = self.seconds_in_range(range.start, Some(range.end));
            if seconds > 0.0 && !error.is_damage() {
                return Err(error);
            }
            if seconds > 0.0 {
                tracing::warn!("{error}; the audio starts after it");
                self.missing_seconds += seconds;
            }
        }
        Ok(())
    }

    /// Counts what the current file lacks after an error in its middle.
    fn give_up_current(&mut self, error: Error) -> Result<()> {
        if !error.is_damage() || self.n_returned == 0 && !self.is_due() {
            return Err(error);
        }
        tracing::warn!("{error}; silence takes the place of the rest of the file");
        let lost = self.seconds_in_range(self.current.position().plus(self.offset), self.end);
        // What the stream itself counts is added when the file is left.
        self.missing_seconds += (lost - self.current.missing_seconds().unwrap_or_default()).max(0.0);
        Ok(())
    }

    /// The next block of a joined recording; None at the end.
    fn next_joined(&mut self) -> Result<Option<AudioBlock>> {
        loop {
            let block = if let Some(block) = self.held.take() {
                block
            } else {
                match self.current.next() {
                    Some(Ok(block)) => AudioBlock { time: block.time.plus(self.offset), ..block },
                    Some(Err(error)) => {
                        self.give_up_current(error)?;
                        continue;
                    }
                    None if self.advance(true)? => continue,
                    None => return Ok(None),
                }
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

/// The stream of a file that continues the chosen one: the stream at the same position, unless only another has the same
/// language.
fn stream_of<'a>(media: &'a MediaInfo, (position, language): &(usize, Option<String>)) -> Option<&'a AudioStream> {
    let in_place = media.audio.get(*position);
    let is_same = |audio: &&AudioStream| audio.language == *language;
    let same = in_place.filter(is_same).or_else(|| media.audio.iter().find(is_same));
    same.or(in_place).or(media.main_audio())
}

/// The reader of that stream.
fn open_part(part: &MediaPart, wanted: &(usize, Option<String>), want: &PcmFormat) -> Result<StreamReader> {
    let stream = stream_of(&part.media, wanted)
        .ok_or_else(|| Error::malformed(&part.media.input, "has no audio stream", "check the file with ffprobe"))?;
    StreamReader::open(&part.path, &part.media, stream, want)
}

/// Where a file ends: where the next one starts, or by its duration.
fn end_of(part: &MediaPart, rest: &VecDeque<MediaPart>) -> Option<Timestamp> {
    let next = rest.front().map(|next| next.offset);
    next.or_else(|| part.media.duration.map(|duration| part.offset.plus(duration)))
}

/// The range on the clock of a file that starts at `offset`.
fn local(bounds: TimeBounds, offset: Timestamp) -> TimeBounds {
    let local = |time: Option<Timestamp>| time.map(|time| time.minus(offset));
    TimeBounds { start: local(bounds.start), end: local(bounds.end) }
}

impl Iterator for AudioReader {
    type Item = Result<AudioBlock>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let settled = self.settle_unread();
        if let Some(error) = self.failure.take().or(settled.err()) {
            self.is_done = true;
            return Some(Err(error));
        }
        if self.rest.is_empty() && self.offset.ticks() == 0 {
            return self.current.next();
        }
        let outcome = self.next_joined();
        self.is_done = !matches!(outcome, Ok(Some(_)));
        outcome.transpose()
    }
}
