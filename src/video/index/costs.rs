//! The cost of decoding each frame, from its packets.

use super::super::decode_plan::start_of;
use super::frame_index::FrameIndex;
use crate::media::DecodeCost;
use crate::time::Timestamp;

impl FrameIndex {
    /// The cost of decoding each frame, in presentation order. None if it is unknown: the packets carry no times, so that
    /// everything is decoded, or every frame is a picture of its own.
    #[must_use]
    pub fn decode_costs(&self) -> Option<Vec<DecodeCost>> {
        if !self.is_exact || self.is_outline || self.packets.is_empty() {
            return None;
        }
        let mut places: Vec<(i64, usize)> = self.packets.iter().map(|packet| packet.pts).zip(0..).collect();
        places.sort_unstable();
        let keys: Vec<usize> = (0..self.packets.len()).filter(|i| self.packets[*i].is_key).collect();
        // How many reference frames the packets before each hold.
        let mut n_before = vec![0];
        n_before.extend(self.packets.iter().scan(0u32, |n, packet| {
            *n += u32::from(!packet.is_disposable);
            Some(*n)
        }));
        let mut costs: Vec<DecodeCost> = Vec::with_capacity(self.pts.len());
        let mut next = 0;
        for ticks in &self.pts {
            next += places[next..].partition_point(|(pts, _)| pts < ticks);
            // Two packets where each holds one field.
            let n_packets = places[next..].iter().take_while(|(pts, _)| pts == ticks).count();
            let (_, first) = places.get(next).filter(|_| n_packets > 0)?;
            let last = places[next + n_packets - 1].1;
            let start = start_of(&self.packets, &keys, *first, *ticks);
            let n_references = n_before[last + 1] - n_before[start];
            let before = costs.last().filter(|before| before.start as usize == start);
            costs.push(DecodeCost {
                ticks: *ticks,
                start: start as u32,
                n_references: before.map_or(n_references, |before| n_references.max(before.n_references)),
                is_disposable: (*first..=last).all(|i| self.packets[i].is_disposable),
                is_key: self.packets[*first].is_key,
            });
        }
        Some(costs)
    }

    /// As [`FrameIndex::joined`], with the cost of decoding each frame; None if that of a file is unknown.
    pub(in crate::video) fn joined_with_costs(parts: &[(Timestamp, &Self)]) -> Option<(Self, Vec<DecodeCost>)> {
        let joined = Self::joined(parts)?;
        let mut costs = Vec::with_capacity(joined.n_frames());
        let mut n_packets = 0;
        for (at, (_, index)) in parts.iter().enumerate() {
            let own = index.decode_costs()?.into_iter().take(Self::n_joined(parts, at));
            costs.extend(own.map(|cost| DecodeCost { start: cost.start + n_packets, ..cost }));
            n_packets += index.packets.len() as u32;
        }
        for (cost, ticks) in costs.iter_mut().zip(&joined.pts) {
            cost.ticks = *ticks;
        }
        (costs.len() == joined.n_frames()).then_some((joined, costs))
    }

    /// Number of frames that begin before `time` on the shared clock.
    #[must_use]
    pub fn n_before(&self, time: Timestamp) -> usize {
        let time = time.plus(self.start);
        self.pts.partition_point(|pts| Timestamp::new(*pts, self.base) < time)
    }

    /// Whole ticks of the stream in a length of time.
    #[must_use]
    pub fn ticks_in(&self, length: Timestamp) -> i64 {
        length.floor_to(self.base)
    }
}
