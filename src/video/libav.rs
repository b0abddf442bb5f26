//! Reads frames with libav and decodes only what the wanted frames need.
//!
//! One thread reads packets in file order and sends each span's packets to a decoder thread. Spans are decoded in
//! parallel by single-threaded decoders, and frames are returned in order. The decoder skips packets that no wanted frame
//! refers to. Where a wanted frame does not come out, all packets from an earlier keyframe are decoded to find it.

mod feed;

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};

use super::decode_plan::{Span, spans};
use super::index::FrameIndex;
use super::reader::{FrameReader, FrameSink, ReadOutcome, n_cores, no_frame};
use super::scale::Scaler;
use crate::error::{Error, Result};
use crate::libav::{Demuxer, VideoDecoder};
use crate::limits::Limits;
use crate::media::{Frame, VideoStream};
use crate::time::Timestamp;
use feed::{Budget, Feeder, Queued};

/// Bytes of decoded frames queued for the sink, per active span.
const PICTURE_QUEUE_BYTES: usize = 16 << 20;

/// Memory of a decoder per pixel of a frame: eight frames of 10-bit 4:2:0 (measured: 200 MB for HEVC at 4K).
const DECODER_BYTES_PER_PIXEL: u64 = 24;

/// Memory of all decoders together: two of 4K, eight of 1080p.
const DECODERS_BYTES: u64 = 400 << 20;

/// Reads indexed files.
pub(super) struct PlannedReader<'a> {
    path: &'a Path,
    stream: &'a VideoStream,
    index: &'a FrameIndex,
    limits: Limits,
}

/// Presentation time in ticks and RGB24 rows.
type DecodedPicture = (i64, Vec<u8>);

/// A span queued for a decoder thread.
struct SpanWork {
    wanted: Vec<i64>,
    packets: Receiver<Queued>,
    pictures: std::sync::mpsc::SyncSender<DecodedPicture>,
}

impl<'a> PlannedReader<'a> {
    pub(super) fn new(path: &'a Path, stream: &'a VideoStream, index: &'a FrameIndex, limits: Limits) -> Self {
        Self { path, stream, index, limits }
    }

    /// Decodes `spans` on all cores and passes each span's frames to `take`, in order.
    fn decode(
        &self,
        spans: &[Span],
        size: (u32, u32),
        take: &mut dyn FnMut(&Span, &Receiver<DecodedPicture>) -> Result<()>,
    ) -> Result<Counts> {
        // One single-threaded decoder per span uses the cores best. With fewer spans than cores, each decoder uses
        // several threads.
        let pixels = u64::from(self.stream.width) * u64::from(self.stream.height);
        let n_cores = n_cores().min((DECODERS_BYTES / (pixels * DECODER_BYTES_PER_PIXEL).max(1)) as usize).max(1);
        let n_workers = n_cores.min(spans.len()).max(1);
        let n_threads = n_cores / n_workers;
        let picture_bytes = (size.0 as usize * size.1 as usize * 3).max(1);
        let n_pictures = (PICTURE_QUEUE_BYTES / picture_bytes).clamp(1, 16);
        let demuxer = Demuxer::open(self.path, &self.limits)?;
        let decoders = (0..n_workers)
            .map(|_| demuxer.video_decoder(self.stream.stream_idx, n_threads))
            .collect::<Result<Vec<_>>>()?;
        let counts = Mutex::new(Counts::default());
        // One span is queued while each decoder works on another.
        let (work_sender, work) = sync_channel::<SpanWork>(1);
        let work = Arc::new(Mutex::new(work));
        let (order_sender, order) = sync_channel(n_workers + 1);
        std::thread::scope(|scope| {
            for mut decoder in decoders {
                let (work, counts) = (Arc::clone(&work), &counts);
                scope.spawn(move || {
                    let mut scaler = Scaler::new(self.stream, size);
                    loop {
                        let next = work.lock().map(|work| work.recv());
                        let Ok(Ok(span)) = next else { break };
                        let found = self.decode_span(&mut decoder, &mut scaler, &span);
                        if let Ok(mut counts) = counts.lock() {
                            counts.n_decoded += found.n_decoded;
                            counts.n_damaged += found.n_damaged;
                        }
                    }
                });
            }
            drop(work);
            let feeding = scope.spawn(move || {
                let mut feeder = Feeder::new(demuxer, self.stream.stream_idx, self.index, Arc::new(Budget::default()));
                for span in spans {
                    let (packets_sender, packets) = std::sync::mpsc::channel();
                    let (pictures_sender, pictures) = sync_channel(n_pictures);
                    let is_wanted = order_sender.send(pictures).is_ok();
                    let work = SpanWork { wanted: span.wanted.clone(), packets, pictures: pictures_sender };
                    if !is_wanted || work_sender.send(work).is_err() {
                        break;
                    }
                    feeder.feed(span, &packets_sender)?;
                }
                Ok(())
            });
            let mut taken = Ok(());
            for (span, pictures) in spans.iter().zip(&order) {
                taken = take(span, &pictures);
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
    fn decode_all_from(&self, start: usize, wanted: &[i64], size: (u32, u32)) -> Result<(Vec<DecodedPicture>, Counts)> {
        let demuxer = Demuxer::open(self.path, &self.limits)?;
        let mut decoder = demuxer.video_decoder(self.stream.stream_idx, n_cores())?;
        let mut feeder = Feeder::new(demuxer, self.stream.stream_idx, self.index, Arc::new(Budget::default()));
        let mut scaler = Scaler::new(self.stream, size);
        let (mut found, mut counts) = (Vec::new(), Counts::default());
        feeder.go_to(start)?;
        let mut is_over = false;
        while !is_over && found.len() < wanted.len() {
            let packet = feeder.next()?;
            is_over = packet.is_none();
            decoder.skip_unreferenced(false);
            decoder.send(packet.as_ref());
            while let Some(frame) = decoder.receive() {
                counts.n_decoded += 1;
                let time = self.time(frame).filter(|time| wanted.binary_search(time).is_ok());
                found.extend(time.and_then(|time| Some((time, scaler.upright_rgb(frame).ok()?))));
            }
        }
        Ok((found, counts))
    }

    /// Searches for frames that the plan did not yield: first from three keyframes earlier, then from the start.
    fn search(
        &self,
        span: &Span,
        missing: &[i64],
        size: (u32, u32),
        may_start_over: &mut bool,
    ) -> Result<(Vec<DecodedPicture>, Counts)> {
        if !self.index.is_exact {
            // Everything has been decoded already.
            return Ok((Vec::new(), Counts::default()));
        }
        tracing::debug!(path = %self.path.display(), n = missing.len(), "frames did not decode as planned; decoding every packet around them");
        let keys_before = (0..span.start).rev().filter(|i| self.index.packets[*i].is_key);
        let further_back = keys_before.take(3).last().unwrap_or(0);
        let (found, mut counts) = self.decode_all_from(further_back, missing, size)?;
        if found.len() == missing.len() || further_back == 0 || !*may_start_over {
            return Ok((found, counts));
        }
        let (found, more) = self.decode_all_from(0, missing, size)?;
        counts.n_decoded += more.n_decoded;
        // A frame that a full decode does not yield is lost. Do not repeat the full decode at each damaged place.
        *may_start_over = found.len() == missing.len();
        Ok((found, counts))
    }

    /// Decodes one span and sends its wanted frames.
    fn decode_span(&self, decoder: &mut VideoDecoder, scaler: &mut Scaler, span: &SpanWork) -> Counts {
        let (mut counts, mut last) = (Counts::default(), None);
        let mut wanted = span.wanted.iter().copied().peekable();
        let damaged_before = decoder.n_damaged();
        let mut packets = span.packets.iter();
        let mut is_open = true;
        while is_open {
            let packet = packets.next();
            is_open = packet.is_some();
            let packet = packet.as_ref().map(Queued::packet);
            let is_wanted = |pts| span.wanted.binary_search(&pts).is_ok();
            decoder.skip_unreferenced(
                self.index.is_exact && !packet.and_then(crate::libav::Packet::pts).is_some_and(is_wanted),
            );
            decoder.send(packet);
            while let Some(frame) = decoder.receive() {
                counts.n_decoded += 1;
                let Some(time) = self.time(frame).or_else(|| last.and_then(|last| self.index.following(last))) else {
                    continue;
                };
                last = Some(time);
                while wanted.next_if(|next| *next < time).is_some() {}
                if wanted.next_if_eq(&time).is_some() {
                    let Ok(rgb) = scaler.upright_rgb(frame) else { continue };
                    if span.pictures.send((time, rgb)).is_err() {
                        is_open = false;
                    }
                }
            }
        }
        decoder.flush();
        counts.n_damaged = decoder.n_damaged() - damaged_before;
        counts
    }

    /// The presentation time of a frame in the index.
    fn time(&self, frame: &ffmpeg_the_third::frame::Video) -> Option<i64> {
        // Where packets carry no times, the index holds the decoder's estimates.
        frame.pts().filter(|_| self.index.is_exact).or(frame.timestamp())
    }
}

/// Statistics of the decoders.
#[derive(Clone, Copy, Default)]
struct Counts {
    n_decoded: u64,
    n_damaged: u64,
}

impl FrameReader for PlannedReader<'_> {
    fn name(&self) -> String {
        crate::libav::version()
    }

    fn read(&mut self, points: &[Timestamp], size: (u32, u32), sink: &mut FrameSink<'_>) -> Result<ReadOutcome> {
        if self.index.is_outline {
            let start = self.index.container_start();
            let index = match FrameIndex::around(self.path, self.stream, start, points, &self.limits)? {
                Some(index) => index,
                None => FrameIndex::scan(self.path, self.stream, start, &self.limits)?,
            };
            return PlannedReader { index: &index, ..*self }.read(points, size, sink);
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
        let mut give = |(time, rgb): DecodedPicture, outcome: &mut ReadOutcome| -> Result<()> {
            while let Some(((_, point), _)) = asked.next_if(|(_, asked)| **asked < time) {
                outcome.missing.push(*point);
            }
            let Some(((number, _), _)) = asked.next_if(|(_, asked)| **asked == time) else { return Ok(()) };
            let (pts, time) = (self.index.pts(*number), self.index.time(*number));
            sink(Frame { frame_idx: outcome.n_frames, pts, time, width: size.0, height: size.1, rgb })?;
            outcome.n_frames += 1;
            Ok(())
        };
        let counts = self.decode(&spans, size, &mut |span, pictures| {
            let mut expected = span.wanted.iter().copied().peekable();
            for picture in pictures {
                // Frames come in order: skipped ones will not follow.
                let mut lost = Vec::new();
                while let Some(time) = expected.next_if(|time| *time < picture.0) {
                    lost.push(time);
                }
                if !lost.is_empty() {
                    let (found, more) = self.search(span, &lost, size, &mut may_start_over)?;
                    again.n_decoded += more.n_decoded;
                    found.into_iter().try_for_each(|picture| give(picture, &mut outcome))?;
                }
                expected.next();
                give(picture, &mut outcome)?;
            }
            let lost: Vec<i64> = expected.collect();
            if !lost.is_empty() {
                let (found, more) = self.search(span, &lost, size, &mut may_start_over)?;
                again.n_decoded += more.n_decoded;
                found.into_iter().try_for_each(|picture| give(picture, &mut outcome))?;
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
