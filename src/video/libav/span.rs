//! Decodes consecutive packets, and determines which frames a decoding error affects.

use std::collections::VecDeque;

use super::super::damage::DamageTracker;
use super::super::index::FrameIndex;
use super::super::scale::Scaler;
use crate::error::Result;
use crate::libav::{Packet, VideoDecoder, is_flagged};

/// A decoded, scaled frame.
pub(super) struct DecodedFrame {
    /// Presentation time in ticks.
    pub(super) pts: i64,
    pub(super) width: u32,
    pub(super) height: u32,
    /// RGB24 rows.
    pub(super) rgb: Vec<u8>,
    /// Whether a decoding error reaches it.
    pub(super) is_suspect: bool,
    /// Whether the keyframe that its decoding started at has an error. Concealment then copies from earlier frames, so that
    /// decoding from an earlier packet gives another frame.
    pub(super) has_damaged_start: bool,
}

/// Statistics of the decoders.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) n_decoded: u64,
    pub(super) n_damaged: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: Self) {
        self.n_decoded += other.n_decoded;
        self.n_damaged += other.n_damaged;
    }
}

/// Decodes spans, one after another.
pub(super) struct SpanDecoder<'a> {
    index: &'a FrameIndex,
    decoder: VideoDecoder,
    scaler: Scaler,
}

/// A frame that waits until all errors that reach it are known.
struct Pending {
    frame: DecodedFrame,
    /// Number of its packet; None where packets carry no times.
    idx: Option<usize>,
    known_at: i64,
}

/// The progress of one span.
struct SpanProgress<'a> {
    is_exact: bool,
    start: usize,
    n_sent: usize,
    damage: DamageTracker<'a>,
    /// Number of the packet of the first frame that is displayed.
    first_displayed: usize,
    /// Where packets carry no times: whether an error came since the last keyframe.
    is_damaged: bool,
    pending: VecDeque<Pending>,
    last: Option<i64>,
    counts: Counts,
}

impl<'a> SpanDecoder<'a> {
    pub(super) fn new(index: &'a FrameIndex, decoder: VideoDecoder, scaler: Scaler) -> Self {
        Self { index, decoder: decoder.with_preamble(&index.preamble), scaler }
    }

    /// Decodes the packets from number `start` on and passes the frames at `wanted` (sorted pts) to `give`, in order, until
    /// it returns false. `skips` leaves out frames that no other frame refers to.
    pub(super) fn decode<P: AsRef<Packet>>(
        &mut self,
        (start, wanted): (usize, &[i64]),
        skips: bool,
        mut next: impl FnMut() -> Result<Option<P>>,
        give: &mut dyn FnMut(DecodedFrame) -> bool,
    ) -> Result<Counts> {
        let mut span = SpanProgress {
            is_exact: self.index.is_exact,
            start,
            n_sent: 0,
            damage: DamageTracker::new(&self.index.packets),
            first_displayed: self.index.first_displayed(),
            is_damaged: false,
            pending: VecDeque::new(),
            last: None,
            counts: Counts::default(),
        };
        let is_wanted = |pts: i64| wanted.binary_search(&pts).is_ok();
        let mut is_open = true;
        let mut is_over = false;
        while is_open && !is_over {
            let packet = next()?;
            let packet = packet.as_ref().map(AsRef::as_ref);
            is_over = packet.is_none();
            let skip = skips && self.index.is_exact && !packet.and_then(Packet::pts).is_some_and(is_wanted);
            self.decoder.skip_unreferenced(skip);
            let mut before = (self.decoder.n_damaged(), self.decoder.n_reported());
            self.decoder.send(packet);
            span.n_sent += usize::from(!is_over);
            let delay = self.decoder.delay_packets();
            loop {
                let has_frame = self.decoder.receive().is_some();
                let now = (self.decoder.n_damaged(), self.decoder.n_reported());
                span.add_errors(now.0 - before.0, delay);
                span.add_reports(now.1 - before.1, delay);
                before = now;
                if !has_frame {
                    break;
                }
                is_open &= self.take_frame(&mut span, wanted, give);
            }
        }
        if is_open {
            span.release(i64::MAX, give);
        }
        self.decoder.flush();
        Ok(span.counts)
    }

    /// Handles the frame that the decoder has just returned. False where no more frames are wanted.
    fn take_frame(
        &mut self,
        span: &mut SpanProgress<'_>,
        wanted: &[i64],
        give: &mut dyn FnMut(DecodedFrame) -> bool,
    ) -> bool {
        let frame = self.decoder.frame();
        span.counts.n_decoded += 1;
        // Where packets carry no times, the index holds the decoder's estimates, or those by the frame rate.
        let time = frame.pts().filter(|_| self.index.is_exact).or(frame.timestamp());
        let Some(time) = time.or_else(|| self.index.following(span.last)) else { return true };
        span.last = Some(time);
        let idx = span.is_exact.then(|| span.damage.packet_of(time, span.start + span.n_sent)).flatten();
        let is_damaged = is_flagged(frame);
        match idx {
            Some(idx) if is_damaged => span.damage.add(idx),
            _ if span.is_exact => {}
            _ => span.is_damaged = is_damaged || span.is_damaged && !frame.is_key(),
        }
        if wanted.binary_search(&time).is_ok()
            && let Ok(upright) = self.scaler.upright_rgb(frame)
        {
            let (width, height) = upright.size;
            let frame = DecodedFrame {
                pts: time,
                width,
                height,
                rgb: upright.rgb,
                is_suspect: is_damaged || span.is_damaged,
                has_damaged_start: false,
            };
            let known_at = idx.map_or(i64::MIN, |idx| span.damage.known_at(idx));
            span.pending.push_back(Pending { frame, idx, known_at });
        }
        span.release(time, give)
    }
}

impl SpanProgress<'_> {
    /// Records errors whose packet was sent `delay` packets ago.
    fn add_errors(&mut self, n: u64, delay: usize) {
        if n == 0 {
            return;
        }
        if !self.is_exact {
            self.is_damaged = true;
            self.counts.n_damaged += n;
            return;
        }
        if let Some(idx) = self.packet_before(delay) {
            self.damage.add(idx);
            self.counts.n_damaged += n;
        }
    }

    /// Records reports of missing references. Reports before the first displayed frame are ignored: a recording that begins
    /// within a GOP never had those references.
    fn add_reports(&mut self, n: u64, delay: usize) {
        if n == 0 || !self.is_exact {
            return;
        }
        if let Some(idx) = self.packet_before(delay).filter(|idx| *idx >= self.first_displayed) {
            self.damage.add(idx);
        }
    }

    /// The packet that was sent `delay` packets ago. None for a leading frame of the keyframe that the span starts at: it
    /// has no references, and is not wanted.
    fn packet_before(&self, delay: usize) -> Option<usize> {
        let idx = self.start + self.n_sent.saturating_sub(1 + delay);
        (!self.damage.is_leading(idx, self.start)).then_some(idx)
    }

    /// Passes on the frames whose errors are known once the frame at `time` is output. False where no more are wanted.
    fn release(&mut self, time: i64, give: &mut dyn FnMut(DecodedFrame) -> bool) -> bool {
        while let Some(pending) = self.pending.pop_front_if(|pending| pending.known_at <= time) {
            let is_suspect = pending.frame.is_suspect || pending.idx.is_some_and(|idx| self.damage.reaches(idx));
            let has_damaged_start = is_suspect && self.start > 0 && self.damage.has(self.start);
            if !give(DecodedFrame { is_suspect, has_damaged_start, ..pending.frame }) {
                return false;
            }
        }
        true
    }
}
