//! Finds encrypted streams from the structure of a file. Decoders would turn them into noise.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use crate::media::MediaInfo;

/// The largest `moov` box that is read.
const MAX_MOOV_BYTES: u64 = 256 << 20;

/// The scheme of each encrypted stream, by its kind.
#[derive(Default)]
struct Tracks {
    video: Vec<Option<String>>,
    audio: Vec<Option<String>>,
}

/// Marks the encrypted streams of a file.
pub(super) fn mark(path: &Path, info: &mut MediaInfo) {
    let Some(tracks) = tracks(path, info) else { return };
    for (stream, scheme) in info.video.iter_mut().filter(|video| !video.is_cover).zip(tracks.video) {
        stream.encryption = scheme;
    }
    for (stream, scheme) in info.audio.iter_mut().zip(tracks.audio) {
        stream.encryption = scheme;
    }
}

/// None where nothing is known to be encrypted.
fn tracks(path: &Path, info: &MediaInfo) -> Option<Tracks> {
    let format = info.format.as_str();
    let mut file = File::open(path).ok()?;
    if format.starts_with("mov") {
        let moov = read_moov(&mut file)?;
        let mut tracks = Tracks::default();
        for (kind, trak) in boxes(&moov) {
            if kind == *b"trak" {
                add_track(trak, &mut tracks);
            }
        }
        return Some(tracks);
    }
    let mut head = Vec::new();
    let is_matroska = format.starts_with("matroska");
    let n_bytes = if is_matroska { 1 << 20 } else { 1 << 16 };
    file.take(n_bytes).read_to_end(&mut head).ok()?;
    match format {
        _ if is_matroska => matroska(&head),
        "mpegts" => is_scrambled(&head).then(|| all(info, "scrambled broadcast")),
        "asf" => head.windows(16).any(|window| window == ASF_ENCRYPTION).then(|| all(info, "Windows Media DRM")),
        _ => None,
    }
}

/// Every stream, encrypted by `scheme`.
fn all(info: &MediaInfo, scheme: &str) -> Tracks {
    let scheme = Some(scheme.to_owned());
    Tracks { video: vec![scheme.clone(); info.video.len()], audio: vec![scheme; info.audio.len()] }
}

/// The Content Encryption Object of ASF (specification 01.20.05, section 3.14).
const ASF_ENCRYPTION: [u8; 16] =
    [0xfb, 0xb3, 0x11, 0x22, 0x23, 0xbd, 0xd2, 0x11, 0xb4, 0xb7, 0x00, 0xa0, 0xc9, 0x55, 0xfc, 0x6e];

/// The payload of an MP4's `moov` box.
fn read_moov(file: &mut File) -> Option<Vec<u8>> {
    let size = file.metadata().ok()?.len();
    let mut at = 0;
    while at + 8 <= size {
        file.seek(SeekFrom::Start(at)).ok()?;
        let mut head = [0; 16];
        let n_read = if at + 16 <= size { 16 } else { 8 };
        file.read_exact(&mut head[..n_read]).ok()?;
        let small = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let (length, header_bytes) = match small {
            0 => (size - at, 8),
            1 => (u64::from_be_bytes(head[8..16].try_into().ok()?), 16),
            _ => (small, 8),
        };
        if length < header_bytes {
            return None;
        }
        if &head[4..8] == b"moov" {
            if length > MAX_MOOV_BYTES {
                return None;
            }
            file.seek(SeekFrom::Start(at + header_bytes)).ok()?;
            let mut moov = Vec::new();
            file.take(length - header_bytes).read_to_end(&mut moov).ok()?;
            return Some(moov);
        }
        at = at.checked_add(length)?;
    }
    None
}

/// The boxes in a payload: type and payload of each.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
        let kind = *bytes.get(4..)?.first_chunk()?;
        let (header_bytes, length) = match length {
            0 => (8, bytes.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?)).ok()?),
            length => (8, length),
        };
        let payload = bytes.get(header_bytes..length)?;
        bytes = &bytes[length..];
        Some((kind, payload))
    })
}

fn child<'a>(bytes: &'a [u8], path: &[&[u8; 4]]) -> Option<&'a [u8]> {
    path.iter().try_fold(bytes, |bytes, wanted| boxes(bytes).find(|(kind, _)| kind == *wanted).map(|(_, found)| found))
}

fn add_track(trak: &[u8], tracks: &mut Tracks) {
    let Some(media) = child(trak, &[b"mdia"]) else { return };
    // Version and flags, a predefined field, then the handler.
    let handler = child(media, &[b"hdlr"]).and_then(|hdlr| hdlr.get(8..12));
    let list = match handler {
        Some(b"vide") => &mut tracks.video,
        Some(b"soun") => &mut tracks.audio,
        _ => return,
    };
    let entries = child(media, &[b"minf", b"stbl", b"stsd"]).and_then(|stsd| stsd.get(8..)).unwrap_or_default();
    list.push(boxes(entries).find_map(|(kind, entry)| entry_scheme(kind, entry)));
}

/// The encryption scheme of a sample entry (ISO/IEC 23001-7, and `FairPlay`); None where it is clear.
fn entry_scheme(kind: [u8; 4], entry: &[u8]) -> Option<String> {
    if matches!(&kind, b"drms" | b"drmi" | b"drmt") {
        return Some("FairPlay".to_owned());
    }
    // The fixed fields of a sample entry differ in length, so the box is searched for.
    let find = |name: &[u8; 4]| entry.windows(4).position(|window| window == name);
    if !matches!(&kind, b"encv" | b"enca" | b"enct" | b"encs") && find(b"sinf").is_none() {
        return None;
    }
    let scheme = find(b"schm").and_then(|at| entry.get(at + 8..at + 12)).filter(|name| name.is_ascii());
    Some(scheme.map_or_else(|| "unknown scheme".to_owned(), |name| String::from_utf8_lossy(name).into_owned()))
}

/// Whether payload of an MPEG transport stream is scrambled (ISO/IEC 13818-1, `transport_scrambling_control`).
fn is_scrambled(head: &[u8]) -> bool {
    let packets = head.chunks_exact(188).filter(|packet| packet[0] == 0x47);
    let (n_scrambled, n_all) =
        packets.fold((0, 0), |(n, all), packet| (n + usize::from(packet[3] & 0x80 != 0), all + 1));
    n_all > 4 && n_scrambled * 2 > n_all
}

/// Elements of Matroska (RFC 9559).
const SEGMENT: u32 = 0x1853_8067;
const TRACKS: u32 = 0x1654_ae6b;
const TRACK_ENTRY: u32 = 0xae;
const TRACK_TYPE: u32 = 0x83;
const CONTENT_ENCODINGS: u32 = 0x6d80;
const CONTENT_ENCODING: u32 = 0x6240;
const CONTENT_ENCRYPTION: u32 = 0x5035;

fn matroska(head: &[u8]) -> Option<Tracks> {
    let segment = elements(head).find(|(id, _)| *id == SEGMENT)?.1;
    let list = elements(segment).find(|(id, _)| *id == TRACKS)?.1;
    let mut tracks = Tracks::default();
    for (_, entry) in elements(list).filter(|(id, _)| *id == TRACK_ENTRY) {
        let within = |id: u32, bytes| elements(bytes).find(|(found, _)| *found == id).map(|(_, payload)| payload);
        let encodings = within(CONTENT_ENCODINGS, entry).unwrap_or_default();
        let is_encrypted = elements(encodings)
            .filter(|(id, _)| *id == CONTENT_ENCODING)
            .any(|(_, encoding)| within(CONTENT_ENCRYPTION, encoding).is_some());
        let scheme = is_encrypted.then(|| "Matroska".to_owned());
        match within(TRACK_TYPE, entry) {
            Some([1]) => tracks.video.push(scheme),
            Some([2]) => tracks.audio.push(scheme),
            _ => {}
        }
    }
    Some(tracks)
}

/// The EBML elements in a payload: identifier and payload, cut to what there is.
fn elements(mut bytes: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    std::iter::from_fn(move || {
        let n_id = bytes.first()?.leading_zeros() as usize + 1;
        let id = bytes.get(..n_id.min(4))?.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
        let size_at = n_id.min(4);
        let n_size = bytes.get(size_at)?.leading_zeros() as usize + 1;
        let field = bytes.get(size_at..size_at + n_size)?;
        let mask = 0xff_u64.checked_shr(n_size as u32).unwrap_or(0);
        let size = field[1..].iter().fold(u64::from(field[0]) & mask, |size, byte| size << 8 | u64::from(*byte));
        let unknown = field[1..].iter().fold(mask, |all, _| all << 8 | 0xff);
        let start = size_at + n_size;
        let end = if size == unknown { bytes.len() } else { start.saturating_add(usize::try_from(size).ok()?) };
        let payload = bytes.get(start..end.min(bytes.len()))?;
        bytes = bytes.get(end..).unwrap_or_default();
        Some((id, payload))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(id: &[u8], payload: &[u8]) -> Vec<u8> {
        [id, &[0x40 | (payload.len() >> 8) as u8, payload.len() as u8], payload].concat()
    }

    fn track(kind: u8, is_encrypted: bool) -> Vec<u8> {
        let encryption = element(&[0x50, 0x35], &element(&[0x47, 0xe1], &[5]));
        let encodings = element(&[0x6d, 0x80], &element(&[0x62, 0x40], &encryption));
        let fields = [element(&[0x83], &[kind]), if is_encrypted { encodings } else { Vec::new() }].concat();
        element(&[0xae], &fields)
    }

    #[test]
    fn encrypted_tracks_of_matroska_are_found() {
        let list = [track(1, true), track(2, false), track(17, false), track(2, true)].concat();
        let segment = [&[0x18, 0x53, 0x80, 0x67, 0xff][..], &element(&[0x16, 0x54, 0xae, 0x6b], &list)].concat();
        let file = [element(&[0x1a, 0x45, 0xdf, 0xa3], b"\x42\x82\x84webm"), segment].concat();
        let tracks = matroska(&file).unwrap();
        assert_eq!(tracks.video, [Some("Matroska".to_owned())]);
        assert_eq!(tracks.audio, [None, Some("Matroska".to_owned())]);
        assert!(matroska(&file[..20]).is_none_or(|tracks| tracks.video.is_empty()));
    }

    #[test]
    fn schemes_of_sample_entries_are_named() {
        let schm = [&[0, 0, 0, 20][..], b"schm", &[0; 4], b"cbcs", &[0, 1, 0, 0]].concat();
        let sinf = [&[0, 0, 0, 28][..], b"sinf", &schm].concat();
        let entry = [&[0; 78][..], &sinf].concat();
        assert_eq!(entry_scheme(*b"encv", &entry), Some("cbcs".to_owned()));
        assert_eq!(entry_scheme(*b"enca", &[0; 28]), Some("unknown scheme".to_owned()));
        assert_eq!(entry_scheme(*b"drms", &[0; 28]), Some("FairPlay".to_owned()));
        assert_eq!(entry_scheme(*b"avc1", &[0; 78]), None);
    }

    #[test]
    fn only_scrambled_payload_counts() {
        let packet = |control: u8| {
            let mut packet = vec![0x47, 0x41, 0, control | 0x10];
            packet.resize(188, 0xaa);
            packet
        };
        assert!(is_scrambled(&[packet(0), packet(0xc0), packet(0x80), packet(0xc0), packet(0xc0)].concat()));
        assert!(!is_scrambled(&vec![packet(0); 9].concat()));
    }
}
