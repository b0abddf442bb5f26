//! The video of a recording in several files: each part has its own decoder, on the clock of the whole.

use std::borrow::Cow;
use std::path::Path;

use super::index::FrameIndex;
use super::reader::{FrameReader, FrameSink, ReadOutcome};
use super::size::TargetSize;
use super::{DecoderBackend, FileVideo, VideoSource};
use crate::error::Result;
use crate::input::Source;
use crate::limits::Limits;
use crate::media::{DecodeCost, MediaInfo};
use crate::time::Timestamp;

impl VideoSource {
    /// As [`VideoSource::open`], of a joined recording.
    pub(super) fn open_joined(
        source: &Source,
        info: &MediaInfo,
        decoder: DecoderBackend,
        limits: &Limits,
        cache: Option<&Path>,
    ) -> Result<Option<Self>> {
        let (mut parts, mut failure) = (Vec::new(), None);
        for part in &info.parts {
            let file = Source::Media(part.path.clone());
            let video = match Self::open(&file, &part.media, decoder, limits, cache) {
                Ok(Some(video)) => Ok(video),
                Ok(None) => continue,
                Err(error) if error.is_damage() => {
                    let why = error.to_string();
                    failure = failure.or(Some(error));
                    Err(why)
                }
                Err(error) => return Err(error),
            };
            parts.push(FileVideo { offset: part.offset, video });
        }
        let Some((_, first)) = readable(&parts).next() else { return failure.map_or(Ok(None), Err) };
        let (stream, index) = (first.stream.clone(), joined_index(&parts));
        Ok(Some(Self { stream, index, source: source.clone(), decoder, limits: *limits, parts }))
    }

    /// The video of each file that can be read: several of a joined recording, with their names.
    pub(crate) fn files(&self) -> impl Iterator<Item = (Option<String>, &Self)> {
        let alone = self.parts.is_empty().then_some((None, self));
        readable(&self.parts).map(|(_, video)| (Some(video.source.name()), video)).chain(alone)
    }

    /// As [`VideoSource::index_all`], of each part.
    pub(super) fn index_all_parts(&mut self) -> Result<()> {
        for FileVideo { video, .. } in &mut self.parts {
            let Ok(file) = video else { continue };
            let why = match file.index_all() {
                Ok(()) if file.index.as_ref().is_some_and(|index| index.keyframes().is_empty()) => {
                    format!("{}: its video has no keyframe", file.source.name())
                }
                Ok(()) => continue,
                Err(error) if error.is_damage() => error.to_string(),
                Err(error) => return Err(error),
            };
            *video = Err(why);
        }
        self.index = joined_index(&self.parts).or(self.index.take());
        Ok(())
    }

    /// As [`VideoSource::decode_costs`], of the parts.
    pub(super) fn joined_costs(&self, points: &[Timestamp]) -> Result<Option<(Cow<'_, FrameIndex>, Vec<DecodeCost>)>> {
        let mut indexes = Vec::new();
        for (part, own) in self.parts.iter().zip(split(points, &self.parts)) {
            let Ok(video) = &part.video else { continue };
            if own.is_empty() {
                continue;
            }
            let Some(index) = video.index_around(&own)? else { return Ok(None) };
            indexes.push((part.offset, index));
        }
        let indexes: Vec<_> = indexes.iter().map(|(offset, index)| (*offset, index.as_ref())).collect();
        Ok(FrameIndex::joined_with_costs(&indexes).map(|(index, costs)| (Cow::Owned(index), costs)))
    }

    /// As [`VideoSource::reader`], of the parts.
    pub(super) fn joined_reader(&self) -> Box<dyn FrameReader + '_> {
        Box::new(JoinedReader { parts: &self.parts, name: None })
    }
}

/// The files that can be read, and where they start.
fn readable(parts: &[FileVideo]) -> impl Iterator<Item = (Timestamp, &VideoSource)> {
    parts.iter().filter_map(|part| Some((part.offset, part.video.as_ref().ok()?)))
}

fn joined_index(parts: &[FileVideo]) -> Option<FrameIndex> {
    let indexes = readable(parts).filter_map(|(offset, video)| Some((offset, video.index.as_ref()?)));
    FrameIndex::joined(&indexes.collect::<Vec<_>>())
}

/// Reads each part in turn, by its reader and from where it starts. Parts may differ in size, codec and rate. The reader of
/// a part is open only while it is read, and only if frames of it are wanted: a recording may have hundreds of files.
struct JoinedReader<'a> {
    parts: &'a [FileVideo],
    /// The name of the first reader, once there was one.
    name: Option<String>,
}

impl FrameReader for JoinedReader<'_> {
    fn name(&self) -> String {
        self.name.clone().unwrap_or_default()
    }

    fn read(&mut self, points: &[Timestamp], target: TargetSize, sink: &mut FrameSink<'_>) -> Result<ReadOutcome> {
        let (mut whole, mut n_read, mut failure) = (ReadOutcome::default(), 0, None);
        for (FileVideo { offset, video }, local) in self.parts.iter().zip(split(points, self.parts)) {
            let mut is_unread = |why: String| {
                whole.unread.push(why);
                whole.missing.extend(local.iter().map(|point| point.plus(*offset)));
            };
            let video = match video {
                Ok(_) if local.is_empty() => continue,
                Ok(video) => video,
                Err(why) => {
                    is_unread(why.clone());
                    continue;
                }
            };
            let mut is_sink_error = false;
            let outcome = video.reader().and_then(|mut reader| {
                self.name.get_or_insert_with(|| reader.name());
                reader.read(&local, target, &mut |mut frame| {
                    frame.time = frame.time.plus(*offset);
                    sink(frame).inspect_err(|_| is_sink_error = true)
                })
            });
            match outcome {
                Ok(outcome) => {
                    n_read += 1;
                    whole.add(outcome, *offset);
                }
                Err(error) if is_sink_error || !error.is_damage() => return Err(error),
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
/// does. The parts are sorted.
fn split(points: &[Timestamp], parts: &[FileVideo]) -> Vec<Vec<Timestamp>> {
    let mut rest = points;
    let own = |(at, part): (usize, &FileVideo)| {
        let n_own = parts.get(at + 1).map_or(rest.len(), |next| rest.partition_point(|point| *point < next.offset));
        let (own, after) = rest.split_at(n_own);
        rest = after;
        own.iter().map(|point| point.minus(part.offset)).collect()
    };
    parts.iter().enumerate().map(own).collect()
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
