//! One packet of the index.

use serde::{Deserialize, Serialize};

use super::picture::PacketPicture;
use crate::libav::Packet;

/// One packet of the video stream.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(into = "StoredPacket", from = "StoredPacket")]
pub(in crate::video) struct PacketEntry {
    /// Presentation time in ticks.
    pub(in crate::video) pts: i64,
    /// Decoding time in ticks; the presentation time where the container stores none.
    pub(in crate::video) dts: i64,
    /// Size of the payload.
    pub(in crate::video) n_bytes: u32,
    /// Whether this is a keyframe.
    pub(in crate::video) is_key: bool,
    /// Whether no other frame refers to this one; false where that is unknown.
    pub(in crate::video) is_disposable: bool,
    /// Whether packets between the previous entry and this one are not in the index.
    pub(in crate::video) follows_gap: bool,
}

/// Stored form: pts, dts, size in bytes; 1 for a keyframe plus 2 for a disposable frame.
type StoredPacket = (i64, i64, u32, u8);

impl From<PacketEntry> for StoredPacket {
    fn from(entry: PacketEntry) -> Self {
        (entry.pts, entry.dts, entry.n_bytes, u8::from(entry.is_key) | u8::from(entry.is_disposable) << 1)
    }
}

impl From<StoredPacket> for PacketEntry {
    fn from((pts, dts, n_bytes, flags): StoredPacket) -> Self {
        Self { pts, dts, n_bytes, is_key: flags & 1 != 0, is_disposable: flags & 2 != 0, follows_gap: false }
    }
}

impl PacketEntry {
    pub(super) fn new(packet: &Packet, pts: i64, picture: PacketPicture) -> Self {
        Self {
            pts,
            dts: packet.dts().unwrap_or(pts),
            n_bytes: u32::try_from(packet.data().len()).unwrap_or(u32::MAX),
            is_key: packet.is_key(),
            is_disposable: picture == PacketPicture::Disposable,
            follows_gap: false,
        }
    }
}

/// Whether the entry describes this packet. Decoding times are not compared, because libav may guess them differently
/// after a seek.
pub(in crate::video) fn is_same(entry: &PacketEntry, packet: &Packet) -> bool {
    Some(entry.pts) == packet.pts() && entry.n_bytes as usize == packet.data().len()
}
