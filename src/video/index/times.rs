//! Times that packets do not carry: frame times from a decoder, and the end of the last frame.

use std::path::Path;

use super::super::reader::{n_cores, no_frame};
use super::entry::PacketEntry;
use crate::error::Result;
use crate::input::shown_name;
use crate::libav::{Demuxer, is_flagged};
use crate::limits::Limits;
use crate::media::VideoStream;
use crate::time::{TimeBase, Timestamp};

/// Presentation times of all frames and of keyframes, for streams whose packets carry none (AVI, MPEG-PS) and, where
/// `has_times` is false, not even decoding times: raw streams, whose frames follow at the stream's frame rate. Decodes the
/// whole stream.
pub(super) fn decoded_times(
    path: &Path,
    stream: &VideoStream,
    has_times: bool,
    limits: &Limits,
) -> Result<(Vec<i64>, Vec<i64>)> {
    if has_times {
        tracing::debug!(path = %path.display(), "packets without timestamps: decoding the whole stream to find them");
    } else {
        let rate = stream.frame_rate.map_or_else(|| "unknown".to_owned(), |rate| format!("{:.3}", rate.as_f64()));
        tracing::warn!(
            "{}: stores no timestamps; times follow from its frame rate of {rate} frames/s",
            shown_name(path)
        );
    }
    let mut demuxer = Demuxer::open(path, limits)?;
    demuxer.keep_only(&[stream.stream_idx]);
    let mut decoder = demuxer.video_decoder(stream.stream_idx, n_cores())?;
    let (mut times, mut keys) = (Vec::new(), Vec::new());
    loop {
        let packet = demuxer.next_packet()?;
        if packet.as_ref().is_some_and(|packet| packet.stream_idx() != stream.stream_idx) {
            continue;
        }
        decoder.send(packet.as_ref());
        while let Some(frame) = decoder.receive() {
            // Frames from the final flush carry no time.
            let next = |times: &[i64]| match times.last() {
                Some(last) => Some(last.saturating_add(last_duration(0, times, stream))),
                None => (!has_times).then_some(0),
            };
            let time = frame.timestamp().or_else(|| next(&times));
            times.extend(time);
            keys.extend(time.filter(|_| frame.is_key()));
        }
        if packet.is_none() {
            break;
        }
    }
    if times.is_empty() {
        return Err(no_frame(path, &stream.codec));
    }
    Ok((times, keys))
}

/// The time of the first frame that decodes without errors, where the stream begins with frames whose references may be
/// missing: it was cut within a GOP, or its first keyframe has leading frames. None where it begins as usual.
///
/// Only H.264 can start without a keyframe, at a recovery point. Decoders of other codecs output frames with missing
/// references without a flag, so decoding starts at the first keyframe.
pub(super) fn first_displayable(
    path: &Path,
    stream: &VideoStream,
    packets: &[PacketEntry],
    limits: &Limits,
) -> Result<Option<i64>> {
    /// Packets that are decoded at most after the first keyframe.
    const MAX_PACKETS: usize = 64;
    let Some(first_key) = packets.iter().position(|packet| packet.is_key) else { return Ok(None) };
    let key_time = packets[first_key].pts;
    if first_key == 0 && packets.iter().take(MAX_PACKETS).all(|packet| packet.pts >= key_time) {
        return Ok(None);
    }
    let mut demuxer = Demuxer::open(path, limits)?;
    demuxer.keep_only(&[stream.stream_idx]);
    let mut decoder = demuxer.video_decoder(stream.stream_idx, 1)?;
    let n_skipped = if stream.codec == "h264" { 0 } else { first_key };
    let mut n_packets = 0;
    while n_packets < first_key + MAX_PACKETS {
        let packet = demuxer.next_packet()?;
        if packet.as_ref().is_some_and(|packet| packet.stream_idx() != stream.stream_idx) {
            continue;
        }
        n_packets += 1;
        if n_packets <= n_skipped {
            continue;
        }
        decoder.send(packet.as_ref());
        while let Some(frame) = decoder.receive() {
            if !is_flagged(frame) && frame.pts().is_some() {
                return Ok(frame.pts());
            }
        }
        if packet.is_none() {
            break;
        }
    }
    Ok(None)
}

/// The packet's duration; else that of one frame at the stated rate; else the mean distance of frames; else one tick.
pub(super) fn last_duration(packet: i64, pts: &[i64], stream: &VideoStream) -> i64 {
    if packet > 0 {
        return packet;
    }
    let by_rate = stream.frame_rate.and_then(|rate| {
        TimeBase::new(rate.den, rate.num).map(|frame| Timestamp::new(1, frame).floor_to(stream.time_base))
    });
    let n_gaps = pts.len() as i64 - 1;
    let mean = if n_gaps > 0 { (pts[pts.len() - 1].saturating_sub(pts[0])) / n_gaps } else { 1 };
    by_rate.filter(|ticks| *ticks > 0).unwrap_or(mean.max(1))
}
