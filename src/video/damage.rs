//! Finds the frames that a decoding error reaches. Pure.

use super::index::PacketEntry;

/// Decoding errors of consecutive packets, and the frames that they reach.
///
/// An error reaches its own frame and, unless no frame refers to it, all frames that are decoded after it until the next
/// keyframe. It also reaches the leading frames of that keyframe, which may refer to the previous GOP.
pub(super) struct DamageTracker<'a> {
    packets: &'a [PacketEntry],
    /// Numbers of the packets with an error, sorted.
    damaged: Vec<usize>,
}

impl<'a> DamageTracker<'a> {
    /// `packets` are in decoding order.
    pub(super) fn new(packets: &'a [PacketEntry]) -> Self {
        Self { packets, damaged: Vec::new() }
    }

    /// Adds an error at packet number `idx`.
    pub(super) fn add(&mut self, idx: usize) {
        if let Err(place) = self.damaged.binary_search(&idx) {
            self.damaged.insert(place, idx);
        }
    }

    /// Whether there is an error at packet number `idx`.
    pub(super) fn has(&self, idx: usize) -> bool {
        self.damaged.binary_search(&idx).is_ok()
    }

    /// The first of the packets up to `last` that holds the frame at `pts`. A frame has two packets where each holds one
    /// field.
    pub(super) fn packet_of(&self, pts: i64, last: usize) -> Option<usize> {
        let last = last.min(self.packets.len().checked_sub(1)?);
        let mut idx = self.packets[..=last].iter().rposition(|packet| packet.pts == pts)?;
        while idx > 0 && self.packets[idx - 1].pts == pts {
            idx -= 1;
        }
        Some(idx)
    }

    /// Whether packet number `idx` is a leading frame of the keyframe at `start`: stored after it, displayed before it.
    pub(super) fn is_leading(&self, idx: usize, start: usize) -> bool {
        match (self.packets.get(start), self.packets.get(idx)) {
            (Some(key), Some(packet)) => key.is_key && idx > start && packet.pts < key.pts,
            _ => false,
        }
    }

    /// Whether an error reaches the frame of packet number `idx`.
    pub(super) fn reaches(&self, idx: usize) -> bool {
        let Some(frame) = self.packets.get(idx) else { return !self.damaged.is_empty() };
        // Both fields of the frame.
        let n_fields = self.packets[idx..].iter().take_while(|packet| packet.pts == frame.pts).count();
        let end = idx + n_fields;
        let n_before = self.damaged.partition_point(|damaged| *damaged < end);
        if n_before == 0 {
            return false;
        }
        let is_start = |packet: &PacketEntry| packet.is_key && packet.pts <= frame.pts;
        let start = self.packets[..=idx].iter().rposition(is_start).unwrap_or(0);
        let reaching = self.damaged[..n_before].iter().rev().take_while(|damaged| **damaged >= start);
        reaching.into_iter().any(|damaged| {
            (idx..end).contains(damaged)
                || !self.packets[*damaged].is_disposable
                    && (!self.is_leading(*damaged, start) || self.is_later_leading(*damaged, start))
        })
    }

    /// Whether a keyframe after `start` precedes packet number `idx`.
    fn is_later_leading(&self, idx: usize, start: usize) -> bool {
        self.packets[start + 1..=idx].iter().any(|packet| packet.is_key)
    }

    /// The time until which frames must be output before all errors that reach packet number `idx` are known: frames that
    /// are decoded before it may be displayed after it.
    pub(super) fn known_at(&self, idx: usize) -> i64 {
        /// More than the reordering depth of any codec.
        const MAX_REORDER: usize = 64;
        let range = idx.saturating_sub(MAX_REORDER)..=idx;
        self.packets.get(range).into_iter().flatten().map(|packet| packet.pts).max().unwrap_or(i64::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(pts: i64, is_key: bool) -> PacketEntry {
        PacketEntry { pts, dts: 0, n_bytes: 1, is_key, is_disposable: false, follows_gap: false }
    }

    /// Presentation times of the frames that an error at `damaged` reaches.
    fn reached(packets: &[PacketEntry], damaged: usize) -> Vec<i64> {
        let mut tracker = DamageTracker::new(packets);
        tracker.add(damaged);
        (0..packets.len()).filter(|idx| tracker.reaches(*idx)).map(|idx| packets[idx].pts).collect()
    }

    #[test]
    fn an_error_reaches_what_is_decoded_after_it_until_the_next_keyframe() {
        // An open GOP: the keyframe at 6 has two leading frames, 4 and 5.
        let times = [(0, true), (3, false), (1, false), (2, false), (6, true), (4, false), (5, false), (7, false)];
        let mut packets: Vec<PacketEntry> = times.map(|(pts, is_key)| packet(pts, is_key)).to_vec();
        assert_eq!(reached(&packets, 1), [3, 1, 2, 4, 5]);
        assert_eq!(reached(&packets, 4), [6, 4, 5, 7]);
        assert_eq!(reached(&packets, 5), [4, 5], "leading frames are no references of later frames");
        packets[2].is_disposable = true;
        assert_eq!(reached(&packets, 2), [1]);
        let tracker = DamageTracker::new(&packets);
        assert_eq!((tracker.known_at(2), tracker.packet_of(1, 7), tracker.packet_of(1, 1)), (3, Some(2), None));
        assert!(tracker.is_leading(5, 4) && !tracker.is_leading(7, 4));
    }

    #[test]
    fn an_error_in_one_field_reaches_the_frame() {
        let mut packets = vec![packet(0, true), packet(0, false), packet(1, false), packet(1, false)];
        packets[3].is_disposable = true;
        assert_eq!(reached(&packets, 3), [1, 1]);
        assert_eq!(reached(&packets, 1), [0, 0, 1, 1]);
    }
}
