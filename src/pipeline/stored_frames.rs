//! The encoded frames of an input in the store: a manifest as JSON, then the images.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::extract::Extraction;
use super::frame_options::FrameOptions;
use super::input_identity::InputIdentity;
use crate::blocking::run_blocking;
use crate::error::{Error, Result};
use crate::frame_diff::FrameScore;
use crate::media::{EncodedImage, FrameReason, ImageFormat};
use crate::report::SamplingSummary;
use crate::store::{EntryKey, StoreAccess};
use crate::time::{TimeBase, TimeRange, Timestamp};
use crate::timeline::TimelineFrame;

/// Raised when the same options give other frames.
const STAGE_VERSION: u32 = 1;
/// Larger sets of frames are not stored: they would push out everything else.
const MAX_BYTES: usize = 512 << 20;

/// Frames that are kept for the model.
#[derive(Clone, Default)]
pub(super) struct KeptFrames {
    pub frames: Vec<TimelineFrame>,
    /// Why each of `frames` was chosen, and whether it is suspect.
    pub reasons: Vec<(Option<FrameReason>, bool)>,
    /// None where there is no video.
    pub extraction: Option<Extraction>,
}

/// Where the frames of an input are stored.
pub(super) struct FramesPlace {
    store: StoreAccess,
    identity: InputIdentity,
    key: EntryKey,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    sampling: SamplingSummary,
    range: TimeRange,
    decoder: String,
    frames: Vec<StoredFrame>,
}

#[derive(Serialize, Deserialize)]
struct StoredFrame {
    frame_idx: usize,
    /// Ticks and their base: a time in seconds would lose the base.
    pts: (i64, TimeBase),
    time: (i64, TimeBase),
    size: (u32, u32),
    format: ImageFormat,
    n_bytes: usize,
    score: FrameScore,
    reason: Option<FrameReason>,
    is_suspect: bool,
}

impl FramesPlace {
    pub fn new(store: &StoreAccess, identity: InputIdentity, options: &FrameOptions) -> Self {
        let FrameOptions { sampling, tolerance, sequence_rate, decoder, size, dedup, encode, .. } = options;
        // Debug names every field: a new one changes the key.
        let what = format!("{sampling:?} {tolerance:?} {sequence_rate:?} {decoder:?} {size:?} {dedup:?} {encode:?}");
        let key = EntryKey {
            stage: "frames".to_owned(),
            stage_version: STAGE_VERSION,
            content: identity.content.clone(),
            options: [("frames".to_owned(), what.into())].into(),
            producer: None,
            prompt_version: None,
        };
        Self { store: store.clone(), identity, key }
    }

    /// The frames of an earlier run; None if there are none, or if the job redoes all work.
    pub async fn read(&self) -> Option<KeptFrames> {
        let (store, key) = (self.store.clone(), self.key.clone());
        let read = run_blocking(move || {
            let Some(opened) = store.open().filter(|_| !store.is_fresh()) else { return Ok(None) };
            let Some(bytes) = opened.get(&key).map(Bytes::from) else { return Ok(None) };
            let kept = decode(&bytes);
            if kept.is_none() {
                opened.set_aside(&key, &bytes, "its frames cannot be read");
            }
            Ok(kept)
        });
        read.await.ok().flatten()
    }

    /// Stores frames that are complete. A failure is a warning in the log.
    pub async fn keep(self, kept: &KeptFrames) {
        let n_bytes: usize = kept.frames.iter().map(|frame| frame.image.bytes.len()).sum();
        let is_complete = kept
            .extraction
            .as_ref()
            .is_some_and(|done| done.problems.is_empty() && done.sampling.lost_because.is_none());
        if !is_complete || n_bytes > MAX_BYTES {
            return;
        }
        let kept = kept.clone();
        let done = run_blocking(move || {
            let Some(store) = self.store.open() else { return Ok(()) };
            if let Some(path) = self.identity.changed() {
                tracing::warn!("{}: the file has changed; its frames are not stored", path.display());
                return Ok(());
            }
            store.put(&self.key, &self.identity.origin, &encode(kept)?)
        });
        if let Err(error) = done.await {
            tracing::warn!("{error}; the frames are not stored");
        }
    }
}

/// The length of the manifest as 8 bytes, little-endian, the manifest, the images in order.
fn encode(kept: KeptFrames) -> Result<Vec<u8>> {
    let internal = |problem: String| Error::internal("frames for the store", problem, "");
    let Some(Extraction { sampling, range, decoder, .. }) = kept.extraction else {
        return Err(internal("they have no source".to_owned()));
    };
    let exact = |time: Timestamp| (time.ticks(), time.base());
    let frames = kept.frames.iter().zip(&kept.reasons).map(|(TimelineFrame { image, score }, (reason, is_suspect))| {
        StoredFrame {
            frame_idx: image.frame_idx,
            pts: exact(image.pts),
            time: exact(image.time),
            size: (image.width, image.height),
            format: image.format,
            n_bytes: image.bytes.len(),
            score: *score,
            reason: *reason,
            is_suspect: *is_suspect,
        }
    });
    let manifest = Manifest { sampling, range, decoder, frames: frames.collect() };
    let manifest = serde_json::to_vec(&manifest).map_err(|error| internal(error.to_string()))?;
    let mut bytes = (manifest.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(&manifest);
    for frame in &kept.frames {
        bytes.extend_from_slice(&frame.image.bytes);
    }
    Ok(bytes)
}

/// None where the bytes are not what [`encode`] writes.
fn decode(bytes: &Bytes) -> Option<KeptFrames> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let (manifest, images) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    let Manifest { sampling, range, decoder, frames } = serde_json::from_slice(manifest).ok()?;
    let mut kept = KeptFrames::default();
    let mut rest = images;
    for frame in frames {
        let (image, behind) = rest.split_at_checked(frame.n_bytes)?;
        rest = behind;
        let image = EncodedImage {
            frame_idx: frame.frame_idx,
            pts: Timestamp::new(frame.pts.0, frame.pts.1),
            time: Timestamp::new(frame.time.0, frame.time.1),
            width: frame.size.0,
            height: frame.size.1,
            format: frame.format,
            // Shares the bytes of the entry.
            bytes: bytes.slice_ref(image),
        };
        kept.frames.push(TimelineFrame { image, score: frame.score });
        kept.reasons.push((frame.reason, frame.is_suspect));
    }
    let sampling = SamplingSummary { from_store: true, ..sampling };
    kept.extraction = Some(Extraction { sampling, range, decoder, problems: Vec::new() });
    rest.is_empty().then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_to_the_byte() {
        let base = TimeBase::new(1, 90_000).expect("a base");
        let frame = |frame_idx: usize, bytes: &'static [u8]| TimelineFrame {
            image: EncodedImage {
                frame_idx,
                pts: Timestamp::new(9000 * frame_idx as i64 + 1, base),
                time: Timestamp::new(9000 * frame_idx as i64, base),
                width: 3,
                height: 2,
                format: ImageFormat::Jpeg,
                bytes: Bytes::from_static(bytes),
            },
            score: FrameScore { sharpness: 1.5, change: 0.25 },
        };
        let extraction = Extraction {
            sampling: SamplingSummary::default(),
            range: TimeRange::new(Timestamp::ZERO, Timestamp::new(90_001, base)),
            decoder: "libav".into(),
            problems: Vec::new(),
        };
        let kept = KeptFrames {
            frames: vec![frame(0, b"first"), frame(1, b""), frame(2, b"third")],
            reasons: vec![(Some(FrameReason::Interval), false), (None, true), (Some(FrameReason::Last), false)],
            extraction: Some(extraction),
        };
        let bytes = encode(kept.clone()).expect("bytes");
        let found = decode(&bytes.clone().into()).expect("frames");
        for (a, b) in found.frames.iter().zip(&kept.frames) {
            assert_eq!((a.image.pts.ticks(), a.image.pts.base()), (b.image.pts.ticks(), b.image.pts.base()));
            assert_eq!((a.image.time, &a.image.bytes), (b.image.time, &b.image.bytes));
        }
        assert_eq!((found.frames.len(), &found.reasons), (3, &kept.reasons));
        let done = found.extraction.expect("an extraction");
        assert!(done.sampling.from_store);
        assert_eq!((done.range.end, &*done.decoder), (Timestamp::new(90_001, base), "libav"));
        for n in [0, 7, 8, bytes.len() - 1] {
            assert!(decode(&bytes[..n].to_vec().into()).is_none(), "{n} bytes");
        }
        assert!(decode(&[&bytes[..], b"x"].concat().into()).is_none());
    }
}
