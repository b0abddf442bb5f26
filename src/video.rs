//! Sorted sample points in, frames out: the contract of every reader, and which reader takes which source.

pub mod contact_sheet;
mod decode_plan;
mod deinterlace;
pub mod index;
mod libav;
pub mod opencv;
mod scale;
pub mod score;
mod stills;
mod tone_map;

use std::path::Path;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::media::{Frame, MediaInfo, VideoStream};
use crate::source::Source;
use crate::time::Timestamp;
use index::FrameIndex;

/// Takes each frame as it comes; an error ends the reading and is returned as it is.
pub type FrameSink<'a> = dyn FnMut(Frame) -> Result<()> + 'a;

/// Reads the frames that are on the screen at given moments.
pub trait FrameReader: Send {
    /// The decoder's name and version, for reports: `OpenCV 4.6.0`.
    fn name(&self) -> String;

    /// Reads, for each of `points` (sorted, on the shared clock), the frame displayed then: the last one with
    /// pts <= point, and before the first frame, the first. A frame on the screen at several points comes once.
    ///
    /// Frames come in time order as RGB24, upright, with square pixels, scaled to `size` (width, height).
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where no frame at all can be decoded, and whatever `sink` returns. Frames lost on the
    /// way are no error: they are in the outcome.
    fn read(&mut self, points: &[Timestamp], size: (u32, u32), sink: &mut FrameSink<'_>) -> Result<ReadOutcome>;
}

/// What became of the sample points.
#[derive(Clone, Debug, Default)]
pub struct ReadOutcome {
    /// Frames that were given to the sink.
    pub n_frames: usize,
    /// Frames that were decoded, wanted or not.
    pub n_decoded: u64,
    /// Sample points that share the frame of the point before.
    pub n_repeated: usize,
    /// Packets that the decoder could not decode.
    pub n_damaged: u64,
    /// Sample points whose frame did not come out, in time order.
    pub missing: Vec<Timestamp>,
}

/// Who decodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decoder {
    /// libav for files, OpenCV for the rest.
    #[default]
    Auto,
    /// OpenCV wherever it can: what is transparent, of high dynamic range, or of a full range that it would cut, is
    /// left to libav.
    OpenCv,
}

/// The video of one source, ready to be planned and read.
pub struct Video {
    /// The stream that is read.
    pub stream: VideoStream,
    /// Where its frames are; None for live sources, whose future is not known.
    pub index: Option<FrameIndex>,
    source: Source,
    decoder: Decoder,
    limits: Limits,
}

impl Video {
    /// Chooses the stream and scans where its frames are; `cache` is a folder in which that is kept for the next run.
    /// None where the source has no picture.
    ///
    /// # Errors
    /// As [`FrameIndex::scan`]; [`ErrorKind::Limit`](crate::ErrorKind::Limit) and [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) for pictures of impossible size.
    pub fn open(
        source: &Source,
        info: &MediaInfo,
        decoder: Decoder,
        limits: &Limits,
        cache: Option<&Path>,
    ) -> Result<Option<Self>> {
        let stream = match decoder {
            Decoder::Auto => info.main_video(),
            // OpenCV reads the first video stream of a container, even a cover.
            Decoder::OpenCv => info.video.first().filter(|v| !v.is_cover),
        };
        let Some(stream) = stream else {
            return Ok(None);
        };
        crate::probe::check_pixels(&info.input, stream.width, stream.height, limits)?;
        let index = match source {
            Source::Media(path) => Some(match decoder {
                Decoder::Auto => match FrameIndex::outline(path, info, stream, limits)? {
                    Some(outline) => outline,
                    None => FrameIndex::scan_cached(path, stream, info.start, limits, cache)?,
                },
                Decoder::OpenCv => FrameIndex::scan_cached(path, stream, info.start, limits, cache)?,
            }),
            Source::Picture(_) => Some(FrameIndex::regular(1, stream.time_base)),
            Source::Sequence { pictures, .. } => Some(FrameIndex::regular(pictures.len(), stream.time_base)),
            Source::Stream(_) | Source::Camera(_) => None,
        };
        Ok(Some(Self { stream: stream.clone(), index, source: source.clone(), decoder, limits: *limits }))
    }

    /// Puts every frame into the index, at the cost of reading all of the file, however long it is.
    ///
    /// # Errors
    /// As [`FrameIndex::scan`].
    pub fn index_all(&mut self) -> Result<()> {
        if let (Source::Media(path), Some(index)) = (&self.source, &mut self.index)
            && index.is_outline
        {
            *index = FrameIndex::scan(path, &self.stream, index.container_start(), &self.limits)?;
        }
        Ok(())
    }

    /// The reader for this source.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) or [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where the decoder does not take it.
    pub fn reader(&self) -> Result<Box<dyn FrameReader + '_>> {
        Ok(match (&self.source, &self.index) {
            (Source::Picture(path), _) => {
                Box::new(stills::StillReader::new(std::slice::from_ref(path), &self.stream, self.limits))
            }
            (Source::Sequence { pictures, .. }, _) => {
                Box::new(stills::StillReader::new(pictures, &self.stream, self.limits))
            }
            (Source::Media(path), Some(index)) => match self.decoder {
                Decoder::OpenCv if opencv::can_show(&self.stream) => {
                    Box::new(opencv::FileReader::open(path, &self.stream, index, &self.limits)?)
                }
                _ => Box::new(libav::PlannedReader::new(path, &self.stream, index, self.limits)),
            },
            _ => Box::new(opencv::LiveReader::open(&self.source, &self.stream)?),
        })
    }
}

/// Width and height of the picture that is `max_width` wide at most, its shape kept, never enlarged.
#[must_use]
pub fn fit((width, height): (u32, u32), max_width: u32) -> (u32, u32) {
    if width <= max_width {
        return (width, height);
    }
    let scaled = (u64::from(height) * u64::from(max_width) + u64::from(width) / 2) / u64::from(width);
    (max_width, scaled.max(1) as u32)
}

fn no_frame(path: &Path, codec: &str) -> Error {
    let problem = format!("no frame of its {codec} video could be decoded");
    Error::malformed(path.display(), problem, "play it with ffplay to see whether it is damaged or encrypted")
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn fitting_keeps_the_shape_and_never_enlarges() {
        assert_eq!(fit((1920, 1080), 768), (768, 432));
        assert_eq!(fit((320, 180), 768), (320, 180));
        assert_eq!(fit((1080, 1920), 768), (768, 1365));
        assert_eq!(fit((10_000, 1), 100), (100, 1));
    }
}
