//! The frames of a video stream and their times, from a scan of its packets.

use std::path::Path;

use super::avi::n_avi_chunks;
use super::entry::PacketEntry;
use super::picture::{PacketParser, PacketPicture};
use super::times::{decoded_times, first_displayable, last_duration};
use crate::error::{Error, Result};
use crate::libav::Demuxer;
use crate::limits::Limits;
use crate::media::VideoStream;
use crate::time::{TimeBase, TimeRange, Timestamp};

/// The frames of one video stream in presentation order.
#[derive(Clone, Debug)]
pub struct FrameIndex {
    /// Presentation times in ticks of `base`, sorted, at least one.
    pub(super) pts: Vec<i64>,
    /// Presentation times of the keyframes, sorted.
    pub(super) keys: Vec<i64>,
    /// Packets in decoding order, including those that are not displayed; empty where `is_exact` is false. For a very
    /// long file only the packets around the sample points.
    pub(in crate::video) packets: Vec<PacketEntry>,
    /// First tick after the last frame.
    pub(super) end: i64,
    pub(super) base: TimeBase,
    /// The container's start time.
    pub(super) start: Timestamp,
    /// Whether the packets carry presentation times. Otherwise the times come from the decoder, and only the order of the
    /// frames is reliable.
    pub is_exact: bool,
    /// Whether this holds only the first and last frames of a very long file; the reader finds the others.
    pub(in crate::video) is_outline: bool,
    /// Number of packets of the stream, including those that are not displayed and empty ones that repeat a frame; None
    /// where not all were read.
    pub n_packets: Option<u64>,
    /// Number of read errors.
    pub n_read_errors: u32,
    /// Bytes that a decoder must read before its first packet, wherever it starts; mostly empty.
    pub(in crate::video) preamble: Vec<u8>,
}

impl FrameIndex {
    /// Reads every packet of `stream`. `start` is the container's start time.
    ///
    /// # Errors
    /// As opening the file; [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where the stream has no packet.
    pub fn scan(path: &Path, stream: &VideoStream, start: Timestamp, limits: &Limits) -> Result<Self> {
        let mut demuxer = Demuxer::open(path, limits)?;
        demuxer.keep_only(&[stream.stream_idx]);
        let parser = PacketParser::new(&stream.codec, demuxer.extradata(stream.stream_idx));
        let (mut pts, mut keys, mut packets, mut preamble) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut n_packets, mut n_without_pts) = (0, 0u64);
        let mut last = (i64::MIN, 0);
        while let Some(packet) = demuxer.next_packet()? {
            if packet.stream_idx() != stream.stream_idx || packet.data().is_empty() {
                continue;
            }
            if n_packets == 0 {
                preamble = parser.x264_message(packet.data()).unwrap_or_default();
            }
            n_packets += 1;
            n_without_pts += u64::from(packet.pts().is_none());
            let Some(time) = packet.pts().or(packet.dts()) else { continue };
            let picture = parser.picture(packet.data());
            packets.push(PacketEntry::new(&packet, time, picture));
            if packet.is_discard() || picture == PacketPicture::Hidden {
                continue;
            }
            pts.push(time);
            if packet.is_key() {
                keys.push(time);
            }
            last = last.max((time, packet.duration()));
        }
        if n_packets == 0 {
            let problem = format!("its {} video stream contains no frame", stream.codec);
            return Err(Error::malformed(path.display(), problem, "check the file with ffprobe"));
        }
        let is_exact = n_without_pts == 0 && !pts.is_empty();
        if is_exact {
            if let Some(first) = first_displayable(path, stream, &packets, limits)? {
                pts.retain(|time| *time >= first);
            }
        } else {
            (pts, keys) = decoded_times(path, stream, !packets.is_empty(), limits)?;
            packets = Vec::new();
            last.0 = pts.last().copied().unwrap_or(last.0);
        }
        for times in [&mut pts, &mut keys] {
            times.sort_unstable();
            times.dedup();
        }
        if demuxer.is_avi() {
            n_packets = n_packets.max(n_avi_chunks(path, stream.stream_idx).unwrap_or(0));
        }
        let end = last.0.saturating_add(last_duration(last.1, &pts, stream));
        Ok(Self {
            pts,
            keys,
            packets,
            end,
            base: stream.time_base,
            start,
            is_exact,
            is_outline: false,
            n_packets: Some(n_packets),
            n_read_errors: demuxer.n_read_errors(),
            preamble,
        })
    }

    /// `n` frames, one per tick of `base`, from 0.
    pub(in crate::video) fn regular(n: usize, base: TimeBase) -> Self {
        let pts: Vec<i64> = (0..n as i64).collect();
        Self::of_times(pts.clone(), pts, n as i64, base)
    }

    /// Frames, some of which are keyframes, at these ticks of `base`; `end` is the first tick after the last.
    pub(in crate::video) fn of_times(pts: Vec<i64>, keys: Vec<i64>, end: i64, base: TimeBase) -> Self {
        let n_frames = pts.len() as u64;
        Self {
            end,
            keys,
            pts,
            packets: Vec::new(),
            base,
            start: Timestamp::ZERO,
            is_exact: true,
            is_outline: false,
            n_packets: Some(n_frames),
            n_read_errors: 0,
            preamble: Vec::new(),
        }
    }

    /// The frames of a joined recording: of each file those before the next one starts. Times are rounded up to a nanosecond,
    /// so that the frame of such a time is the same one in its file. None without files.
    pub(in crate::video) fn joined(parts: &[(Timestamp, &Self)]) -> Option<Self> {
        let (last_offset, last) = parts.last()?;
        let nanos = |time: Timestamp| -Timestamp::ZERO.minus(time).floor_to(TimeBase::NANOS);
        let all = |own: &dyn Fn(&Self, usize) -> Vec<Timestamp>| {
            let own = parts.iter().enumerate().map(|(at, (offset, index))| {
                own(index, Self::n_joined(parts, at)).into_iter().map(|time| nanos(time.plus(*offset)))
            });
            let mut ticks: Vec<i64> = own.flatten().collect();
            ticks.sort_unstable();
            ticks.dedup();
            ticks
        };
        let frames = |index: &Self, n_frames: usize| (0..n_frames).map(|number| index.time(number)).collect();
        let keyframes = |index: &Self, n_frames: usize| {
            let behind = index.pts.get(n_frames);
            let n_keys = behind.map_or(index.keys.len(), |behind| index.keys.partition_point(|key| key < behind));
            index.keyframes().into_iter().take(n_keys).collect()
        };
        Some(Self {
            pts: all(&frames),
            keys: all(&keyframes),
            packets: Vec::new(),
            end: nanos(last.range().end.plus(*last_offset)),
            base: TimeBase::NANOS,
            start: Timestamp::ZERO,
            is_exact: parts.iter().all(|(_, index)| index.is_exact),
            is_outline: parts.iter().any(|(_, index)| index.is_outline),
            n_packets: parts.iter().map(|(_, index)| index.n_packets).sum(),
            n_read_errors: parts.iter().map(|(_, index)| index.n_read_errors).sum(),
            preamble: Vec::new(),
        })
    }

    /// The number of frames of one of `parts` that begin before the next one starts.
    pub(super) fn n_joined(parts: &[(Timestamp, &Self)], at: usize) -> usize {
        let (offset, index) = parts[at];
        parts.get(at + 1).map_or(index.n_frames(), |(next, _)| index.n_before(next.minus(offset)))
    }

    /// Whether packets of the stream are missing from [`FrameIndex::packets`].
    pub(in crate::video) fn has_gaps(&self) -> bool {
        self.packets.first().is_some_and(|packet| packet.follows_gap)
    }

    /// The container's start time, on the stream's own clock.
    pub(in crate::video) fn container_start(&self) -> Timestamp {
        self.start
    }

    /// Number of the packet of the first frame.
    pub(in crate::video) fn first_displayed(&self) -> usize {
        self.packets.iter().position(|packet| packet.pts == self.pts[0]).unwrap_or(0)
    }

    /// Number of frames.
    #[must_use]
    pub fn n_frames(&self) -> usize {
        self.pts.len()
    }

    /// From the start of the first frame to the end of the last, on the shared clock.
    #[must_use]
    pub fn range(&self) -> TimeRange {
        TimeRange::new(self.time(0), Timestamp::new(self.end, self.base).minus(self.start))
    }

    /// Times of the keyframes, on the shared clock, sorted.
    #[must_use]
    pub fn keyframes(&self) -> Vec<Timestamp> {
        let time = |pts: &i64| Timestamp::new(*pts, self.base).minus(self.start);
        self.keys.iter().map(time).collect()
    }

    /// Presentation time of a frame on the stream's own clock.
    #[must_use]
    pub fn pts(&self, number: usize) -> Timestamp {
        Timestamp::new(self.pts[number], self.base)
    }

    /// Presentation time of a frame on the shared clock.
    #[must_use]
    pub fn time(&self, number: usize) -> Timestamp {
        self.pts(number).minus(self.start)
    }

    /// Number, from 0 in presentation order, of the frame displayed at `point` on the shared clock: the last with
    /// pts <= point; before the first frame, the first.
    #[must_use]
    pub fn displayed_at(&self, point: Timestamp) -> usize {
        let ticks = point.plus(self.start).floor_to(self.base);
        self.pts.partition_point(|pts| *pts <= ticks).saturating_sub(1)
    }

    /// The frames displayed at `points` (sorted), each once, with its first point.
    pub(in crate::video) fn wanted(&self, points: &[Timestamp]) -> Vec<(usize, Timestamp)> {
        let mut wanted: Vec<(usize, Timestamp)> =
            points.iter().map(|point| (self.displayed_at(*point), *point)).collect();
        wanted.dedup_by_key(|(number, _)| *number);
        wanted
    }

    /// Presentation time, in ticks, of the frame after the one at `ticks`; of the first frame where that is None.
    pub(in crate::video) fn following(&self, ticks: Option<i64>) -> Option<i64> {
        self.pts.get(ticks.map_or(0, |ticks| self.pts.partition_point(|pts| *pts <= ticks))).copied()
    }

    /// Number of the frame whose pts is nearest to `ticks`; None where none is within `tolerance` ticks.
    pub(in crate::video) fn nearest(&self, ticks: i64, tolerance: i64) -> Option<usize> {
        let after = self.pts.partition_point(|pts| *pts < ticks);
        [after.checked_sub(1), Some(after)]
            .into_iter()
            .flatten()
            .filter_map(|number| Some((self.pts.get(number)?.abs_diff(ticks), number)))
            .min()
            .filter(|(distance, _)| *distance <= tolerance.unsigned_abs())
            .map(|(_, number)| number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index(pts: Vec<i64>, base: TimeBase, start: Timestamp) -> FrameIndex {
        let end = pts[pts.len() - 1] + 1;
        FrameIndex {
            keys: pts.clone(),
            pts,
            packets: Vec::new(),
            end,
            base,
            start,
            is_exact: true,
            is_outline: false,
            n_packets: None,
            n_read_errors: 0,
            preamble: Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn the_frame_at_a_point_is_the_last_one_not_after_it(
            gaps in prop::collection::vec(1i64..5000, 1..60), first in -5000i64..5000, start in -5000i64..5000,
            den in 1u32..90_001, point in 0i64..10_000)
        {
            let mut pts = vec![first];
            for gap in gaps { pts.push(pts[pts.len() - 1] + gap); }
            let base = TimeBase::new(1, den).unwrap();
            let index = index(pts, base, Timestamp::new(start, base));
            let point = Timestamp::from_millis(point);
            let found = index.displayed_at(point);
            let brute = (0..index.n_frames()).rev().find(|n| index.time(*n) <= point).unwrap_or(0);
            prop_assert_eq!(found, brute);
        }
    }

    #[test]
    fn a_frame_wanted_twice_comes_once() {
        let index = index(vec![0, 10, 20], TimeBase::SECONDS, Timestamp::ZERO);
        let points = [0, 5, 12, 19, 30].map(|s| Timestamp::new(s, TimeBase::SECONDS));
        let wanted: Vec<usize> = index.wanted(&points).into_iter().map(|(n, _)| n).collect();
        assert_eq!(wanted, [0, 1, 2]);
        assert_eq!(index.nearest(11, 1), Some(1));
        assert_eq!(index.nearest(15, 4), None);
    }
}
