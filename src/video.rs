//! Opens the video of a source and selects its frame reader.

mod animation;
pub mod contact_sheet;
mod damage;
mod decode_plan;
mod deinterlace;
mod heif;
pub mod index;
mod joined;
mod libav;
pub mod opencv;
mod reader;
mod reduced_jpeg;
mod scale;
pub mod score;
mod size;
mod stills;
mod tone_map;

use std::borrow::Cow;
use std::path::Path;

use crate::error::{Error, ErrorCode, Result};
use crate::input::Source;
use crate::limits::Limits;
use crate::media::{DecodeCost, MediaInfo, VideoStream};
use crate::time::Timestamp;
use index::FrameIndex;
pub use reader::{FrameReader, FrameSink, ReadOutcome};
pub use size::{SizeLimit, TargetSize, fit};

/// Decoder backend of a video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DecoderBackend {
    /// libav for files, OpenCV for the rest.
    #[default]
    Auto,
    /// OpenCV where it can represent the stream. Transparency, high dynamic range and a full range that OpenCV would
    /// clip are decoded by libav.
    OpenCv,
}

/// The video of one source, opened and indexed, but not decoded.
pub struct VideoSource {
    /// The stream that is read.
    pub stream: VideoStream,
    /// Times and packets of its frames; None for live sources.
    pub index: Option<FrameIndex>,
    source: Source,
    decoder: DecoderBackend,
    limits: Limits,
    /// The files of a joined recording; empty for other sources.
    parts: Vec<FileVideo>,
}

/// The video of one file of a joined recording.
struct FileVideo {
    /// Where the file starts on the clock of the whole.
    offset: Timestamp,
    /// Why it cannot be read, otherwise.
    video: std::result::Result<VideoSource, String>,
}

impl VideoSource {
    /// Selects the video stream and indexes its frames. The index is stored in the folder `cache` and reused by later
    /// runs. Returns None where the source has no video.
    ///
    /// # Errors
    /// As [`FrameIndex::scan`]; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where the video is encrypted;
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) and [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) for frames of an invalid size.
    pub fn open(
        source: &Source,
        info: &MediaInfo,
        decoder: DecoderBackend,
        limits: &Limits,
        cache: Option<&Path>,
    ) -> Result<Option<Self>> {
        if !info.parts.is_empty() {
            return Self::open_joined(source, info, decoder, limits, cache);
        }
        let stream = match decoder {
            DecoderBackend::Auto => info.main_video(),
            // OpenCV always reads the first video stream of a container, even a cover picture.
            DecoderBackend::OpenCv => info.video.first().filter(|v| !v.is_cover),
        };
        let Some(stream) = stream else {
            return Ok(None);
        };
        if let Some(scheme) = &stream.encryption {
            let problem = format!("its video is encrypted ({scheme})");
            return Err(Error::unsupported(&info.input, problem, "use a copy without encryption")
                .with_code(ErrorCode::Encrypted));
        }
        // Probing has checked pictures: very large JPEGs are decoded at a reduced size.
        if !matches!(source, Source::Picture(_) | Source::Sequence { .. }) {
            limits.check_pixels(&info.input, stream.width, stream.height)?;
        }
        let index = match source {
            Source::Media(path) => Some(match decoder {
                DecoderBackend::Auto => match FrameIndex::outline(path, info, stream, limits)? {
                    Some(outline) => outline,
                    None => FrameIndex::scan_cached(path, stream, info.start, limits, cache)?,
                },
                DecoderBackend::OpenCv => FrameIndex::scan_cached(path, stream, info.start, limits, cache)?,
            }),
            Source::Animation(path) => Some(animation::index(path, stream)?),
            Source::Picture(_) => Some(FrameIndex::regular(1, stream.time_base)),
            Source::Sequence { pictures, .. } => Some(FrameIndex::regular(pictures.len(), stream.time_base)),
            Source::Joined { .. } | Source::Stream(_) | Source::Camera(_) => None,
        };
        Ok(Some(Self {
            stream: stream.clone(),
            index,
            source: source.clone(),
            decoder,
            limits: *limits,
            parts: Vec::new(),
        }))
    }

    /// Adds every frame to the index, so that it has every keyframe. Reads the whole file. A file of a joined recording
    /// without a keyframe is left out.
    ///
    /// # Errors
    /// As [`FrameIndex::scan`].
    pub fn index_all(&mut self) -> Result<()> {
        if !self.parts.is_empty() {
            return self.index_all_parts();
        }
        if let (Source::Media(path), Some(index)) = (&self.source, &mut self.index)
            && index.is_outline
        {
            *index = FrameIndex::scan(path, &self.stream, index.container_start(), &self.limits)?;
        }
        Ok(())
    }

    /// The index, of a very long file that of the packets around `points` (sorted, on the shared clock), and the cost of
    /// decoding each of its frames. None for live sources, and where the costs are unknown.
    ///
    /// # Errors
    /// As [`FrameIndex::scan`].
    pub fn decode_costs(&self, points: &[Timestamp]) -> Result<Option<(Cow<'_, FrameIndex>, Vec<DecodeCost>)>> {
        if !self.parts.is_empty() {
            return self.joined_costs(points);
        }
        let index = self.index_around(points)?;
        Ok(index.and_then(|index| index.decode_costs().map(|costs| (index, costs))))
    }

    fn index_around(&self, points: &[Timestamp]) -> Result<Option<Cow<'_, FrameIndex>>> {
        match (&self.source, &self.index) {
            (Source::Media(path), Some(index)) if index.is_outline => {
                let around = FrameIndex::around(path, &self.stream, index.container_start(), points, &self.limits)?;
                Ok(around.map(Cow::Owned))
            }
            (_, index) => Ok(index.as_ref().map(Cow::Borrowed)),
        }
    }

    /// Creates the reader of this source.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) or [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where the decoder does not support the stream.
    pub fn reader(&self) -> Result<Box<dyn FrameReader + '_>> {
        if !self.parts.is_empty() {
            return Ok(self.joined_reader());
        }
        Ok(match (&self.source, &self.index) {
            (Source::Picture(path), _) => {
                Box::new(stills::StillReader::new(std::slice::from_ref(path), &self.stream, self.limits))
            }
            (Source::Sequence { pictures, .. }, _) => {
                Box::new(stills::StillReader::new(pictures, &self.stream, self.limits))
            }
            (Source::Animation(path), Some(index)) => {
                Box::new(animation::AnimationReader::open(path, &self.stream, index)?)
            }
            (Source::Media(path), Some(index)) => match self.decoder {
                DecoderBackend::OpenCv if opencv::can_show(&self.stream) => {
                    Box::new(opencv::FileReader::open(path, &self.stream, index, &self.limits)?)
                }
                _ => Box::new(libav::PlannedReader::new(path, &self.stream, index, self.limits)),
            },
            _ => Box::new(opencv::LiveReader::open(&self.source, &self.stream)?),
        })
    }
}
