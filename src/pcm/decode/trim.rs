//! Removing encoder delay and padding from decoded packets, as libavcodec does it (`discard_samples` in
//! libavcodec/decode.c).

use crate::libav::Packet;

/// The delay that is still to be removed.
#[derive(Debug, Default)]
pub(super) struct Trimmer {
    /// Frames to remove from the packets to come.
    n_skip: u64,
}

/// The part of a packet's frames that is kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Frames removed from the front.
    pub(super) n_front: usize,
    /// Frames kept.
    pub(super) n_frames: usize,
}

impl Trimmer {
    /// Which of the `n_frames` that `packet` decoded to are kept; None where all are removed.
    pub(super) fn trim(&mut self, packet: &Packet, n_frames: usize) -> Option<Kept> {
        self.cut(packet.trim(), packet.is_discard(), n_frames)
    }

    fn cut(&mut self, trim: Option<(u32, u32)>, is_discard: bool, n_frames: usize) -> Option<Kept> {
        let mut n_padding = 0;
        if let Some((start, end)) = trim {
            self.n_skip = start.into();
            n_padding = end as usize;
        }
        let n_front = self.n_skip.min(n_frames as u64) as usize;
        self.n_skip -= n_front as u64;
        let n_left = n_frames - n_front;
        // A padding longer than the packet is invalid.
        let n_kept = if n_padding <= n_left { n_left - n_padding } else { n_left };
        (n_kept > 0 && !is_discard).then_some(Kept { n_front, n_frames: n_kept })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delay_spans_packets_and_padding_is_cut_from_the_last() {
        let mut trimmer = Trimmer::default();
        assert_eq!(trimmer.cut(Some((1105, 0)), false, 576), None);
        assert_eq!(trimmer.cut(None, false, 576), Some(Kept { n_front: 529, n_frames: 47 }));
        assert_eq!(trimmer.cut(None, false, 576), Some(Kept { n_front: 0, n_frames: 576 }));
        assert_eq!(trimmer.cut(Some((0, 100)), false, 576), Some(Kept { n_front: 0, n_frames: 476 }));
        assert_eq!(trimmer.cut(Some((0, 576)), false, 576), None);
        assert_eq!(trimmer.cut(Some((0, 577)), false, 576), Some(Kept { n_front: 0, n_frames: 576 }));
    }

    #[test]
    fn hidden_packets_count_as_delay() {
        let mut trimmer = Trimmer::default();
        assert_eq!(trimmer.cut(Some((1000, 0)), true, 600), None);
        assert_eq!(trimmer.cut(None, false, 600), Some(Kept { n_front: 400, n_frames: 200 }));
    }
}
