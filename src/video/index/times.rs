//! Times that packets do not carry: frame times from a decoder, and the end of the last frame.

use std::path::Path;

use super::super::reader::{n_cores, no_frame};
use crate::error::Result;
use crate::libav::Demuxer;
use crate::limits::Limits;
use crate::media::VideoStream;
use crate::time::{TimeBase, Timestamp};

/// Presentation times of all frames and of keyframes, for streams whose packets carry none (AVI, MPEG-PS). Decodes the
/// whole stream.
pub(super) fn decoded_times(path: &Path, stream: &VideoStream, limits: &Limits) -> Result<(Vec<i64>, Vec<i64>)> {
    tracing::debug!(path = %path.display(), "packets without timestamps: decoding the whole stream to find them");
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
            let next = |times: &[i64]| times.last().map(|last| last.saturating_add(last_duration(0, times, stream)));
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
