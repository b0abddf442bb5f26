//! The video of a recording in several files: each part has its own decoder, on the clock of the whole.

use super::reader::{FrameReader, FrameSink, ReadOutcome};
use super::size::TargetSize;
use crate::error::{Error, ErrorKind, Result};
use crate::time::Timestamp;

/// Reads each part in turn, by its reader and from where it starts. Parts may differ in size, codec and rate.
pub(super) struct JoinedReader<'a> {
    pub(super) parts: Vec<PartReader<'a>>,
}

/// The reader of one part.
pub(super) struct PartReader<'a> {
    /// Where the part starts on the clock of the whole.
    pub(super) offset: Timestamp,
    /// Or why it cannot be read.
    pub(super) reader: std::result::Result<Box<dyn FrameReader + 'a>, String>,
}

impl FrameReader for JoinedReader<'_> {
    fn name(&self) -> String {
        self.parts.iter().find_map(|part| Some(part.reader.as_ref().ok()?.name())).unwrap_or_default()
    }

    fn read(&mut self, points: &[Timestamp], target: TargetSize, sink: &mut FrameSink<'_>) -> Result<ReadOutcome> {
        let (mut whole, mut n_read, mut failure) = (ReadOutcome::default(), 0, None);
        let offsets: Vec<Timestamp> = self.parts.iter().map(|part| part.offset).collect();
        for (PartReader { offset, reader }, local) in self.parts.iter_mut().zip(split(points, &offsets)) {
            let mut is_unread = |why: String| {
                whole.unread.push(why);
                whole.missing.extend(local.iter().map(|point| point.plus(*offset)));
            };
            let reader = match reader {
                Ok(_) if local.is_empty() => continue,
                Ok(reader) => reader,
                Err(why) => {
                    is_unread(why.clone());
                    continue;
                }
            };
            let mut is_sink_error = false;
            let outcome = reader.read(&local, target, &mut |mut frame| {
                frame.time = frame.time.plus(*offset);
                sink(frame).inspect_err(|_| is_sink_error = true)
            });
            match outcome {
                Ok(outcome) => {
                    n_read += 1;
                    whole.add(outcome, *offset);
                }
                Err(error) if is_sink_error || !is_damage(&error) => return Err(error),
                Err(error) => {
                    is_unread(error.to_string());
                    failure = failure.or(Some(error));
                }
            }
        }
        failure.filter(|_| n_read == 0).map_or(Ok(whole), Err)
    }
}

/// The points (sorted, on the clock of the whole) of each part, on its own clock: from where it starts to where the next one
/// does. `offsets` are sorted.
pub(super) fn split(points: &[Timestamp], offsets: &[Timestamp]) -> Vec<Vec<Timestamp>> {
    let mut rest = points;
    let own = |(at, offset): (usize, &Timestamp)| {
        let n_own = offsets.get(at + 1).map_or(rest.len(), |next| rest.partition_point(|point| point < next));
        let (own, after) = rest.split_at(n_own);
        rest = after;
        own.iter().map(|point| point.minus(*offset)).collect()
    };
    offsets.iter().enumerate().map(own).collect()
}

/// Whether an error is about the contents of one file, so that the others can be read.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Malformed | ErrorKind::Io)
}

impl ReadOutcome {
    /// Adds the outcome of a part that starts at `offset`.
    fn add(&mut self, part: Self, offset: Timestamp) {
        self.n_frames += part.n_frames;
        self.n_decoded += part.n_decoded;
        self.n_repeated += part.n_repeated;
        self.n_suspect += part.n_suspect;
        self.n_damaged += part.n_damaged;
        self.missing.extend(part.missing.into_iter().map(|point| point.plus(offset)));
        self.unread.extend(part.unread);
    }
}
