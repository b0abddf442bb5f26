//! Decode planning: which packets to decode for which frames. Pure, and tested against brute force.

use super::index::PacketEntry;

/// Consecutive packets, in decoding order, that yield the wanted frames when decoded with a fresh decoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// First packet: a keyframe, or the stream's first packet.
    pub(super) start: usize,
    /// One past the last packet that is needed.
    pub(super) end: usize,
    /// Presentation times of the wanted frames, sorted.
    pub(super) wanted: Vec<i64>,
}

/// Plans the spans for `wanted` (sorted, each the pts of a packet). Spans are in order and share no packet.
///
/// Decoding starts at the last keyframe that is not later than the frame, both in decoding and in presentation order: a
/// leading frame (stored after a keyframe, displayed before it) may refer to the previous GOP.
pub(super) fn spans(packets: &[PacketEntry], wanted: &[i64]) -> Vec<Span> {
    let keys: Vec<usize> = (0..packets.len()).filter(|i| packets[*i].is_key).collect();
    let mut spans: Vec<Span> = Vec::new();
    for (pts, first, last) in places(packets, wanted) {
        let start = start_of(packets, &keys, first, pts);
        // Overlapping spans are merged, so that shared packets are decoded once.
        let mut span = Span { start, end: last + 1, wanted: vec![pts] };
        while let Some(before) = spans.pop_if(|before| span.start < before.end) {
            span.start = span.start.min(before.start);
            span.end = span.end.max(before.end);
            span.wanted.splice(0..0, before.wanted);
        }
        spans.push(span);
    }
    spans
}

/// The packet that decoding of the frame at `pts`, whose first packet is `first`, starts at. `keys` are the numbers of the
/// keyframes.
pub(super) fn start_of(packets: &[PacketEntry], keys: &[usize], first: usize, pts: i64) -> usize {
    let before = &keys[..keys.partition_point(|key| *key <= first)];
    before.iter().rev().find(|key| packets[**key].pts <= pts).copied().unwrap_or(0)
}

/// For each wanted pts its first and last packet (two packets where each holds one field).
fn places(packets: &[PacketEntry], wanted: &[i64]) -> Vec<(i64, usize, usize)> {
    let mut places: Vec<Option<(usize, usize)>> = vec![None; wanted.len()];
    for (i, packet) in packets.iter().enumerate() {
        if let Ok(w) = wanted.binary_search(&packet.pts) {
            let place = places[w].get_or_insert((i, i));
            place.1 = i;
        }
    }
    wanted.iter().zip(places).filter_map(|(pts, place)| place.map(|(first, last)| (*pts, first, last))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(pts: i64, is_key: bool) -> PacketEntry {
        PacketEntry { pts, dts: 0, n_bytes: 1, is_key, is_disposable: false, follows_gap: false }
    }

    /// Groups of pictures with random sizes, B-frames stored late, some groups open (frames that lead their keyframe).
    fn streams() -> impl Strategy<Value = Vec<PacketEntry>> {
        prop::collection::vec((1usize..9, any::<bool>(), any::<u64>()), 1..9).prop_map(|groups| {
            let mut packets: Vec<PacketEntry> = Vec::new();
            let mut clock = 0;
            for (n, is_open, seed) in groups {
                let mut times: Vec<i64> = (clock..clock + n as i64).collect();
                clock += n as i64;
                // The keyframe is the first shown, or, in an open group, not the first.
                let key = if is_open && !packets.is_empty() { (seed % n as u64) as usize } else { 0 };
                packets.push(packet(times.remove(key), true));
                for i in (1..times.len()).rev() {
                    times.swap(i, (seed.rotate_left(i as u32) % (i as u64 + 1)) as usize);
                }
                packets.extend(times.into_iter().map(|pts| packet(pts, false)));
            }
            packets
        })
    }

    proptest! {
        #[test]
        fn spans_decode_what_is_wanted_and_little_else(packets in streams(), picks in prop::collection::vec(any::<prop::sample::Index>(), 1..8)) {
            let mut wanted: Vec<i64> = picks.iter().map(|i| packets[i.index(packets.len())].pts).collect();
            wanted.sort_unstable();
            wanted.dedup();
            let spans = spans(&packets, &wanted);
            let flat: Vec<i64> = spans.iter().flat_map(|s| s.wanted.clone()).collect();
            prop_assert_eq!(&flat, &wanted);
            for pair in spans.windows(2) {
                prop_assert!(pair[0].end <= pair[1].start);
            }
            // Brute force: each frame alone, tried from every packet backwards.
            let alone = |pts: i64| {
                let at = packets.iter().position(|p| p.pts == pts).expect("a packet");
                let start = (0..=at).rev().find(|i| packets[*i].is_key && packets[*i].pts <= pts).unwrap_or(0);
                start..at + 1
            };
            let mut needed = vec![false; packets.len()];
            for pts in &wanted {
                for i in alone(*pts) { needed[i] = true; }
            }
            let mut planned = vec![false; packets.len()];
            for span in &spans {
                prop_assert!(packets[span.start].is_key || span.start == 0);
                planned[span.start..span.end].fill(true);
            }
            prop_assert_eq!(planned, needed);
        }
    }

    #[test]
    fn a_frame_that_leads_its_keyframe_is_decoded_from_the_group_before() {
        let packets =
            [packet(0, true), packet(1, false), packet(4, true), packet(2, false), packet(3, false), packet(5, false)];
        assert_eq!(spans(&packets, &[3]), [Span { start: 0, end: 5, wanted: vec![3] }]);
        assert_eq!(spans(&packets, &[5]), [Span { start: 2, end: 6, wanted: vec![5] }]);
        assert_eq!(spans(&packets, &[3, 5]).len(), 1);
    }

    #[test]
    fn both_fields_of_a_frame_are_decoded() {
        let packets = [packet(0, true), packet(0, false), packet(1, false), packet(1, false)];
        assert_eq!(spans(&packets, &[0, 1]), [Span { start: 0, end: 4, wanted: vec![0, 1] }]);
    }
}
