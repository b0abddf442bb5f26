//! The index of a very long file: only its start and end, and the packets around the sample points, found with the
//! container's own index instead of a full scan.

use std::path::Path;

use super::entry::{PacketEntry, is_same};
use super::frame_index::FrameIndex;
use super::picture::{PacketParser, PacketPicture};
use super::times::last_duration;
use crate::error::Result;
use crate::libav::{Demuxer, Packet};
use crate::limits::Limits;
use crate::media::{MediaInfo, VideoStream};
use crate::time::Timestamp;

/// Packets read past a sample point. Decoding and presentation order differ by fewer packets.
const MARGIN_PACKETS: usize = 32;

impl FrameIndex {
    /// Indexes only the first and last frames of a file that is too long to scan. None where it is short enough, or where
    /// its container has no index of keyframes.
    ///
    /// # Errors
    /// As [`FrameIndex::scan`].
    pub(in crate::video) fn outline(
        path: &Path,
        info: &MediaInfo,
        stream: &VideoStream,
        limits: &Limits,
    ) -> Result<Option<Self>> {
        let is_long = info.size_bytes.is_some_and(|n| n > limits.max_scan_bytes);
        let has_index = ["mov", "matroska"].iter().any(|format| info.format.starts_with(format));
        if !is_long || !has_index || info.duration.is_none() || !info.damage.is_empty() {
            return Ok(None);
        }
        let outline = Self::around(path, stream, info.start, &[Timestamp::ZERO], limits)?;
        if outline.is_some() {
            let name = crate::input::shown_name(path);
            tracing::info!("{name}: large file; using the container's index instead of a full scan");
        }
        Ok(outline.map(|index| Self { is_outline: true, ..index }))
    }

    /// Indexes the packets around `points` (sorted, on the shared clock) and at the end. None where seeking does not land
    /// on a keyframe, or where packets carry no times.
    ///
    /// # Errors
    /// As [`FrameIndex::scan`].
    pub(in crate::video) fn around(
        path: &Path,
        stream: &VideoStream,
        start: Timestamp,
        points: &[Timestamp],
        limits: &Limits,
    ) -> Result<Option<Self>> {
        let mut demuxer = Demuxer::open(path, limits)?;
        demuxer.keep_only(&[stream.stream_idx]);
        let parser = PacketParser::new(&stream.codec, demuxer.extradata(stream.stream_idx));
        let (packets, pts, preamble) = (Vec::new(), Vec::new(), Vec::new());
        let mut reading = Reading { demuxer, stream, parser, packets, pts, preamble, last: (i64::MIN, 0) };
        reading.read_preamble()?;
        let end = stream.start.or(Some(start)).zip(stream.duration).map(|(start, length)| start.plus(length));
        let moments = points.iter().map(|point| point.plus(start)).chain(end);
        let mut reached = i64::MIN;
        let n_moments = points.len() + usize::from(end.is_some());
        for (i, moment) in moments.enumerate() {
            let ticks = moment.floor_to(stream.time_base);
            let is_end = i + 1 == n_moments && end.is_some();
            if ticks <= reached && !is_end {
                continue;
            }
            match reading.region(ticks, is_end)? {
                Some(read_until) => reached = read_until,
                None => return Ok(None),
            }
        }
        let Reading { demuxer, packets, mut pts, last, preamble, .. } = reading;
        if pts.is_empty() || end.is_none() {
            return Ok(None);
        }
        pts.sort_unstable();
        pts.dedup();
        let mut keys: Vec<i64> = packets.iter().filter(|packet| packet.is_key).map(|packet| packet.pts).collect();
        keys.retain(|key| pts.binary_search(key).is_ok());
        keys.sort_unstable();
        Ok(Some(Self {
            keys,
            end: last.0.saturating_add(last_duration(last.1, &pts, stream)),
            pts,
            packets,
            base: stream.time_base,
            start,
            is_exact: true,
            is_outline: false,
            n_packets: None,
            n_read_errors: demuxer.n_read_errors(),
            preamble,
        }))
    }
}

struct Reading<'a> {
    demuxer: Demuxer,
    stream: &'a VideoStream,
    parser: PacketParser,
    preamble: Vec<u8>,
    packets: Vec<PacketEntry>,
    pts: Vec<i64>,
    /// Pts of the last displayed frame, and its packet's duration.
    last: (i64, i64),
}

impl Reading<'_> {
    /// Reads the stream's first packet.
    fn read_preamble(&mut self) -> Result<()> {
        let first = self.next()?;
        self.preamble = first.and_then(|packet| self.parser.x264_message(packet.data())).unwrap_or_default();
        Ok(())
    }

    /// Reads from the keyframe before `ticks` until the frame displayed at `ticks` is known; at the end, reads all that
    /// remains. Returns the time up to which all frames are known; None where seeking did not land on a keyframe.
    fn region(&mut self, ticks: i64, is_end: bool) -> Result<Option<i64>> {
        let Some(mut packet) = self.land(ticks)? else { return Ok(None) };
        // The seek may land in a part that is indexed already; the packets that follow it are new and leave no gap.
        let known = self.packets.iter().rposition(|entry| is_same(entry, &packet));
        let mut is_known = known.is_some();
        let mut follows_gap = !is_known;
        let mut n_after = 0;
        loop {
            let Some(pts) = packet.pts() else { return Ok(None) };
            if is_known {
                // Packets after the last indexed one are new.
                is_known = !self.packets.last().is_some_and(|last| is_same(last, &packet));
            } else {
                let picture = self.parser.picture(packet.data());
                self.packets.push(PacketEntry { follows_gap, ..PacketEntry::new(&packet, pts, picture) });
                follows_gap = false;
                if !packet.is_discard() && picture != PacketPicture::Hidden {
                    self.pts.push(pts);
                    self.last = self.last.max((pts, packet.duration()));
                }
            }
            let decoded_at = packet.dts().unwrap_or(pts);
            n_after += usize::from(decoded_at > ticks);
            if n_after > MARGIN_PACKETS && !is_known && !is_end {
                return Ok(Some(ticks));
            }
            match self.next()? {
                Some(next) => packet = next,
                None => return Ok(Some(i64::MAX)),
            }
        }
    }

    /// The keyframe to decode from for the frame displayed at `ticks`: the first packet after seeking there, or an earlier
    /// one where that packet is displayed after `ticks` (containers look up times in decoding order).
    fn land(&mut self, ticks: i64) -> Result<Option<Packet>> {
        let mut target = ticks;
        let mut before: Option<Packet> = None;
        for _ in 0..4 {
            if !self.demuxer.seek(self.stream.stream_idx, target) {
                break;
            }
            let Some(packet) = self.next()? else { break };
            let Some(pts) = packet.pts().filter(|_| packet.is_key()) else { return Ok(None) };
            // The same packet twice: it is the first keyframe.
            if pts <= ticks || before.as_ref().is_some_and(|before| before.pts() == Some(pts)) {
                return Ok(Some(packet));
            }
            target = packet.dts().unwrap_or(pts).min(pts).saturating_sub(1);
            before = Some(packet);
        }
        // Some containers refuse to seek before their first keyframe: use that one.
        match before {
            Some(first) if self.demuxer.seek(self.stream.stream_idx, first.dts().or(first.pts()).unwrap_or(0)) => {
                self.next()
            }
            _ => Ok(None),
        }
    }

    fn next(&mut self) -> Result<Option<Packet>> {
        while let Some(packet) = self.demuxer.next_packet()? {
            if packet.stream_idx() == self.stream.stream_idx && !packet.data().is_empty() {
                return Ok(Some(packet));
            }
        }
        Ok(None)
    }
}
