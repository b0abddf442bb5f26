//! Reads frames with libav and decodes only what the wanted frames need.
//!
//! One thread reads packets in file order and sends each span's packets to a decoder thread. Spans are decoded in
//! parallel by single-threaded decoders, and frames are returned in order. The decoder skips packets that no wanted frame
//! refers to. Where a wanted frame does not come out, all packets from an earlier keyframe are decoded to find it.

mod feed;
mod span;

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};

use super::decode_plan::{Span, spans};
use super::index::FrameIndex;
use super::reader::{FrameReader, FrameSink, ReadOutcome, n_cores, no_frame};
use super::scale::Scaler;
use super::size::TargetSize;
use crate::error::{Error, Result};
use crate::libav::{Demuxer, Packet};
use crate::limits::Limits;
use crate::media::{Frame, VideoStream};
use crate::time::Timestamp;
use feed::{Budget, Feeder, Queued};
use span::{Counts, DecodedFrame, SpanDecoder};

/// Bytes of decoded frames queued for the sink, per active span.
const PICTURE_QUEUE_BYTES: usize = 16 << 20;

/// Memory of a decoder per pixel of a frame: eight frames of 10-bit 4:2:0 (measured: 200 MB for HEVC at 4K).
const DECODER_BYTES_PER_PIXEL: u64 = 24;

/// Memory of all decoders together: two of 4K, eight of 1080p.
const DECODERS_BYTES: u64 = 400 << 20;

/// Packets that are decoded again, per file, to find out what a decoder that starts at the first packet shows in place of a
/// damaged keyframe.
const MAX_REPEATED_PACKETS: usize = 3000;

/// Reads indexed files.
pub(super) struct PlannedReader<'a> {
    path: &'a Path,
    stream: &'a VideoStream,
    index: &'a FrameIndex,
    limits: Limits,
}

/// A span queued for a decoder thread.
struct SpanWork {
    start: usize,
    wanted: Vec<i64>,
    packets: Receiver<Queued>,
    frames: std::sync::mpsc::SyncSender<DecodedFrame>,
}

impl<'a> PlannedReader<'a> {
    pub(super) fn new(path: &'a Path, stream: &'a VideoStream, index: &'a FrameIndex, limits: Limits) -> Self {
        Self { path, stream, index, limits }
    }

    /// Decodes `spans` on all cores and passes each span's frames to `take`, in order.
    fn decode(
        &self,
        spans: &[Span],
        target: TargetSize,
        take: &mut dyn FnMut(&Span, &Receiver<DecodedFrame>) -> Result<()>,
    ) -> Result<Counts> {
        // One single-threaded decoder per span uses the cores best. With fewer spans than cores, each decoder uses
        // several threads.
        let pixels = u64::from(self.stream.width) * u64::from(self.stream.height);
        let n_cores = n_cores().min((DECODERS_BYTES / (pixels * DECODER_BYTES_PER_PIXEL).max(1)) as usize).max(1);
        let n_workers = n_cores.min(spans.len()).max(1);
        let n_threads = n_cores / n_workers;
        let size = target.of(self.stream.display_size());
        let frame_bytes = (size.0 as usize * size.1 as usize * 3).max(1);
        let n_queued = (PICTURE_QUEUE_BYTES / frame_bytes).clamp(1, 16);
        let demuxer = Demuxer::open(self.path, &self.limits)?;
        let aspect = demuxer.stated_aspect(self.stream.stream_idx);
        let decoders = (0..n_workers)
            .map(|_| demuxer.video_decoder(self.stream.stream_idx, n_threads))
            .collect::<Result<Vec<_>>>()?;
        let counts = Mutex::new(Counts::default());
        // One span is queued while each decoder works on another.
        let (work_sender, work) = sync_channel::<SpanWork>(1);
        let work = Arc::new(Mutex::new(work));
        let (order_sender, order) = sync_channel(n_workers + 1);
        std::thread::scope(|scope| {
            for decoder in decoders {
                let (work, counts) = (Arc::clone(&work), &counts);
                scope.spawn(move || {
                    let mut decoder = SpanDecoder::new(self.index, decoder, Scaler::new(self.stream, aspect, target));
                    loop {
                        let next = work.lock().map(|work| work.recv());
                        let Ok(Ok(span)) = next else { break };
                        let mut packets = span.packets.iter();
                        let mut give = |frame| span.frames.send(frame).is_ok();
                        let place = (span.start, &*span.wanted);
                        // The packets come from a queue, which does not fail.
                        if let (Ok(found), Ok(mut counts)) =
                            (decoder.decode(place, true, || Ok(packets.next()), &mut give), counts.lock())
                        {
                            counts.add(found);
                        }
                    }
                });
            }
            drop(work);
            let feeding = scope.spawn(move || {
                let mut feeder = Feeder::new(demuxer, self.stream.stream_idx, self.index, Arc::new(Budget::default()));
                for span in spans {
                    let (packets_sender, packets) = std::sync::mpsc::channel();
                    let (frame_sender, frames) = sync_channel(n_queued);
                    let is_wanted = order_sender.send(frames).is_ok();
                    let work =
                        SpanWork { start: span.start, wanted: span.wanted.clone(), packets, frames: frame_sender };
                    if !is_wanted || work_sender.send(work).is_err() {
                        break;
                    }
                    feeder.feed(span, &packets_sender)?;
                }
                Ok(())
            });
            let mut taken = Ok(());
            for (span, frames) in spans.iter().zip(&order) {
                taken = take(span, &frames);
                if taken.is_err() {
                    break;
                }
            }
            // Stops the decoders that are still running.
            drop(order);
            let fed = feeding
                .join()
                .unwrap_or_else(|_| Err(Error::malformed(self.path.display(), "the packet reader crashed", "")));
            taken.and(fed)
        })?;
        Ok(counts.into_inner().unwrap_or_default())
    }

    /// Decodes every packet from `start` until the frames at `wanted` (sorted pts) are found.
    fn decode_all_from(&self, start: usize, wanted: &[i64], target: TargetSize) -> Result<(Vec<DecodedFrame>, Counts)> {
        let demuxer = Demuxer::open(self.path, &self.limits)?;
        let scaler = Scaler::new(self.stream, demuxer.stated_aspect(self.stream.stream_idx), target);
        let decoder = demuxer.video_decoder(self.stream.stream_idx, n_cores())?;
        let mut decoder = SpanDecoder::new(self.index, decoder, scaler);
        let mut feeder = Feeder::new(demuxer, self.stream.stream_idx, self.index, Arc::new(Budget::default()));
        feeder.go_to(start)?;
        let mut found = Vec::new();
        let next = || -> Result<Option<Packet>> { feeder.next() };
        let counts = decoder.decode((start, wanted), false, next, &mut |frame| {
            found.push(frame);
            found.len() < wanted.len()
        })?;
        Ok((found, counts))
    }

    /// Searches for frames that the plan did not yield: first from three keyframes earlier, then from the start.
    fn search(
        &self,
        span: &Span,
        missing: &[i64],
        target: TargetSize,
        may_start_over: &mut bool,
    ) -> Result<(Vec<DecodedFrame>, Counts)> {
        if !self.index.is_exact {
            // Everything has been decoded already.
            return Ok((Vec::new(), Counts::default()));
        }
        tracing::debug!(path = %self.path.display(), n = missing.len(), "frames did not decode as planned; decoding every packet around them");
        let keys_before = (0..span.start).rev().filter(|i| self.index.packets[*i].is_key);
        let further_back = keys_before.take(3).last().unwrap_or(0);
        let (found, mut counts) = self.decode_all_from(further_back, missing, target)?;
        if found.len() == missing.len() || further_back == 0 || !*may_start_over {
            return Ok((found, counts));
        }
        let (found, more) = self.decode_all_from(0, missing, target)?;
        counts.n_decoded += more.n_decoded;
        // A frame that a full decode does not yield is lost. Do not repeat the full decode at each damaged place.
        *may_start_over = found.len() == missing.len();
        Ok((found, counts))
    }
}

impl FrameReader for PlannedReader<'_> {
    fn name(&self) -> String {
        crate::libav::version()
    }

    fn read(&mut self, points: &[Timestamp], target: TargetSize, sink: &mut FrameSink<'_>) -> Result<ReadOutcome> {
        if self.index.is_outline {
            let start = self.index.container_start();
            let index = match FrameIndex::around(self.path, self.stream, start, points, &self.limits)? {
                Some(index) => index,
                None => FrameIndex::scan(self.path, self.stream, start, &self.limits)?,
            };
            return PlannedReader { index: &index, ..*self }.read(points, target, sink);
        }
        let wanted = self.index.wanted(points);
        let mut outcome = ReadOutcome { n_repeated: points.len() - wanted.len(), ..ReadOutcome::default() };
        let times: Vec<i64> = wanted.iter().map(|(number, _)| self.index.pts(*number).ticks()).collect();
        let spans = if self.index.is_exact {
            spans(&self.index.packets, &times)
        } else {
            vec![Span { start: 0, end: usize::MAX, wanted: times.clone() }]
        };
        let mut asked = wanted.iter().zip(&times).peekable();
        let mut may_start_over = true;
        let mut again = Counts::default();
        let mut n_repeated_packets = 0;
        let mut give = |frame: DecodedFrame, outcome: &mut ReadOutcome| -> Result<()> {
            while let Some(((_, point), _)) = asked.next_if(|(_, asked)| **asked < frame.pts) {
                outcome.missing.push(*point);
            }
            let Some(((number, _), _)) = asked.next_if(|(_, asked)| **asked == frame.pts) else { return Ok(()) };
            let (pts, time) = (self.index.pts(*number), self.index.time(*number));
            let DecodedFrame { width, height, rgb, is_suspect, .. } = frame;
            sink(Frame { frame_idx: outcome.n_frames, pts, time, width, height, rgb, is_suspect })?;
            outcome.n_frames += 1;
            outcome.n_suspect += usize::from(is_suspect);
            Ok(())
        };
        let counts = self.decode(&spans, target, &mut |span, frames| {
            let mut expected = span.wanted.iter().copied().peekable();
            for frame in frames {
                if frame.has_damaged_start && n_repeated_packets + span.end <= MAX_REPEATED_PACKETS {
                    n_repeated_packets += span.end;
                    let rest: Vec<i64> = expected.clone().filter(|time| *time >= frame.pts).collect();
                    let (found, more) = self.decode_all_from(0, &rest, target)?;
                    again.n_decoded += more.n_decoded;
                    // A file without any good frame is decoded once from each keyframe at most.
                    found.into_iter().try_for_each(|frame| give(frame, &mut outcome))?;
                    return Ok(());
                }
                // Frames come in order: skipped ones will not follow.
                let mut lost = Vec::new();
                while let Some(time) = expected.next_if(|time| *time < frame.pts) {
                    lost.push(time);
                }
                if !lost.is_empty() {
                    let (found, more) = self.search(span, &lost, target, &mut may_start_over)?;
                    again.n_decoded += more.n_decoded;
                    found.into_iter().try_for_each(|frame| give(frame, &mut outcome))?;
                }
                expected.next();
                give(frame, &mut outcome)?;
            }
            let lost: Vec<i64> = expected.collect();
            if !lost.is_empty() {
                let (found, more) = self.search(span, &lost, target, &mut may_start_over)?;
                again.n_decoded += more.n_decoded;
                found.into_iter().try_for_each(|frame| give(frame, &mut outcome))?;
            }
            Ok(())
        })?;
        outcome.missing.extend(asked.map(|((_, point), _)| *point));
        outcome.n_decoded = counts.n_decoded + again.n_decoded;
        outcome.n_damaged = counts.n_damaged;
        if outcome.n_frames == 0 && !points.is_empty() {
            return Err(no_frame(self.path, &self.stream.codec));
        }
        Ok(outcome)
    }
}
