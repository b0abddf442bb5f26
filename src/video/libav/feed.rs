//! Feeds packets to the decoders. Reads them in file order and seeks only where that saves reading.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex};

use super::super::decode_plan::Span;
use super::super::index::{FrameIndex, is_same};
use crate::error::Result;
use crate::libav::{Demuxer, Packet};

/// Compressed bytes queued for decoders, over all spans: many seconds of 4K.
const QUEUE_BYTES: usize = 48 << 20;

/// Shorter gaps are read and discarded: a seek costs the container's search and its caches.
const WORTH_SEEKING_BYTES: u64 = 4 << 20;

/// Limits the bytes of queued packets.
#[derive(Default)]
pub(super) struct Budget {
    used: Mutex<usize>,
    freed: Condvar,
}

impl Budget {
    /// Waits for space. A packet larger than the whole budget is queued alone.
    fn take(&self, n_bytes: usize) {
        let Ok(used) = self.used.lock() else { return };
        let Ok(mut used) = self.freed.wait_while(used, |used| *used > 0 && *used + n_bytes > QUEUE_BYTES) else {
            return;
        };
        *used += n_bytes;
    }

    fn give_back(&self, n_bytes: usize) {
        if let Ok(mut used) = self.used.lock() {
            *used -= n_bytes;
        }
        self.freed.notify_one();
    }
}

/// A queued packet. Returns its bytes to the budget when it is dropped.
pub(super) struct Queued {
    packet: Packet,
    budget: Arc<Budget>,
}

impl AsRef<Packet> for Queued {
    fn as_ref(&self) -> &Packet {
        &self.packet
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.budget.give_back(self.packet.data().len());
    }
}

/// Reads the packets of one stream by their number in the index.
pub(super) struct Feeder<'a> {
    demuxer: Demuxer,
    stream_idx: usize,
    index: &'a FrameIndex,
    /// Number of the packet that is read next.
    position: usize,
    /// The first packet after a seek, read ahead to find out where the seek landed.
    landed: Option<Packet>,
    can_seek: bool,
    budget: Arc<Budget>,
}

impl<'a> Feeder<'a> {
    pub(super) fn new(mut demuxer: Demuxer, stream_idx: usize, index: &'a FrameIndex, budget: Arc<Budget>) -> Self {
        demuxer.keep_only(&[stream_idx]);
        Self { demuxer, stream_idx, index, position: 0, landed: None, can_seek: true, budget }
    }

    /// Sends the packets of a span. Stops early if the decoder has stopped.
    pub(super) fn feed(&mut self, span: &Span, packets: &Sender<Queued>) -> Result<()> {
        self.go_to(span.start)?;
        while self.position < span.end {
            let Some(packet) = self.next()? else { break };
            self.budget.take(packet.data().len());
            if packets.send(Queued { packet, budget: Arc::clone(&self.budget) }).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Makes packet number `target` the next one.
    pub(super) fn go_to(&mut self, target: usize) -> Result<()> {
        if self.index.has_gaps() {
            let way = self.index.packets.get(self.position..=target);
            if !way.is_some_and(|way| way.iter().all(|packet| !packet.follows_gap)) {
                return self.find(target);
            }
            return self.skip_to(target);
        }
        let skipped = self.index.packets.get(self.position..target).unwrap_or_default();
        let n_bytes: u64 = skipped.iter().map(|packet| u64::from(packet.n_bytes)).sum();
        if self.can_seek && (n_bytes > WORTH_SEEKING_BYTES || target < self.position) && !self.seek(target)? {
            // Seeking is unreliable in this container: read from the start instead.
            tracing::debug!(target, "seeking did not land where the index says; reading from the start");
            self.can_seek = false;
            self.rewind()?;
        }
        self.skip_to(target)
    }

    fn skip_to(&mut self, target: usize) -> Result<()> {
        while self.position < target {
            if self.next()?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The next packet of the stream; None at the end.
    pub(super) fn next(&mut self) -> Result<Option<Packet>> {
        let packet = match self.landed.take() {
            Some(packet) => Some(packet),
            None => self.read()?,
        };
        self.position += usize::from(packet.is_some());
        Ok(packet)
    }

    fn read(&mut self) -> Result<Option<Packet>> {
        loop {
            match self.demuxer.next_packet()? {
                Some(packet) if packet.stream_idx() != self.stream_idx || packet.data().is_empty() => {}
                // The index omits such packets, too.
                Some(packet) if self.index.is_exact && packet.pts().or(packet.dts()).is_none() => {}
                packet => return Ok(packet),
            }
        }
    }

    /// Seeks to `target` or a little before it; false where the seek landed elsewhere.
    fn seek(&mut self, target: usize) -> Result<bool> {
        let entry = self.index.packets[target];
        // Some containers look keyframes up by presentation time, others by decoding time.
        for ticks in [entry.pts, entry.dts] {
            if !self.demuxer.seek(self.stream_idx, ticks) {
                continue;
            }
            let Some(packet) = self.read()? else { continue };
            if let Some(place) = self.place_before(target, &packet) {
                self.position = place;
                self.landed = Some(packet);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Seeks to `target` in a file whose index has gaps. Packets cannot be counted there, so the packet is recognized by
    /// its time and size.
    fn find(&mut self, target: usize) -> Result<()> {
        let entry = self.index.packets[target];
        for attempt in [Some(entry.pts), Some(entry.dts), None] {
            match attempt {
                Some(ticks) if !self.demuxer.seek(self.stream_idx, ticks) => continue,
                Some(_) => {}
                None => {
                    tracing::debug!(target, "seeking does not find the packet; reading from the start");
                    self.rewind()?;
                }
            }
            while let Some(packet) = self.read()? {
                if is_same(&entry, &packet) {
                    self.landed = Some(packet);
                    break;
                }
                // The seek landed after the packet.
                if attempt.is_some() && packet.dts().is_some_and(|dts| dts > entry.pts) {
                    break;
                }
            }
            if self.landed.is_some() {
                break;
            }
        }
        self.position = target;
        Ok(())
    }

    /// The packet's number, where it is in the index at or before `target`.
    fn place_before(&self, target: usize, packet: &Packet) -> Option<usize> {
        let (pts, dts) = (packet.pts()?, packet.dts()?);
        let entries = &self.index.packets[..=target];
        entries
            .iter()
            .rposition(|entry| entry.pts == pts && entry.dts == dts && entry.n_bytes as usize == packet.data().len())
    }

    fn rewind(&mut self) -> Result<()> {
        self.demuxer = self.demuxer.reopen()?;
        self.demuxer.keep_only(&[self.stream_idx]);
        self.position = 0;
        self.landed = None;
        Ok(())
    }
}
