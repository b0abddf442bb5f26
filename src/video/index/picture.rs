//! Properties of a picture from the start of its packet, without decoding.

/// The picture in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacketPicture {
    /// None, or one that is not displayed: parameter sets alone, a hidden reference frame.
    Hidden,
    /// One that no other frame refers to.
    Disposable,
    /// One that other frames may refer to. Also where the head cannot be read.
    Reference,
}

/// Reads the heads of the packets of one stream.
pub(super) struct PacketParser {
    codec: Codec,
    framing: Framing,
}

#[derive(Clone, Copy)]
enum Codec {
    H264,
    Hevc,
    Mpeg12,
    Mpeg4,
    Vp8,
    Other,
}

/// How NAL units are separated.
#[derive(Clone, Copy)]
enum Framing {
    /// By start codes (ITU-T H.264, annex B).
    StartCodes,
    /// By a length of so many bytes before each (ISO/IEC 14496-15).
    Lengths(usize),
}

/// Names the unregistered SEI message of x264 (its first 16 bytes).
const X264_UUID: [u8; 16] =
    [0xdc, 0x45, 0xe9, 0xbd, 0xe6, 0xd9, 0x48, 0xb7, 0x96, 0x2c, 0xd8, 0x20, 0xd9, 0x23, 0xee, 0xef];

impl PacketParser {
    /// `codec` is libav's name; `extradata` holds the stream's codec headers.
    pub(super) fn new(codec: &str, extradata: &[u8]) -> Self {
        let codec = match codec {
            "h264" => Codec::H264,
            "hevc" => Codec::Hevc,
            "mpeg1video" | "mpeg2video" => Codec::Mpeg12,
            "mpeg4" => Codec::Mpeg4,
            "vp8" => Codec::Vp8,
            _ => Codec::Other,
        };
        let size_at = if matches!(codec, Codec::Hevc) { 21 } else { 4 };
        let framing = match extradata.get(size_at) {
            Some(size) if extradata[0] == 1 => Framing::Lengths(usize::from(size & 3) + 1),
            _ => Framing::StartCodes,
        };
        Self { codec, framing }
    }

    /// The picture in a packet.
    pub(super) fn picture(&self, data: &[u8]) -> PacketPicture {
        let found = match self.codec {
            Codec::H264 => self.nal_picture(data, |header| match header & 31 {
                1 | 2 | 5 if header & 0x60 == 0 => Some(PacketPicture::Disposable),
                6..=15 | 19 => None,
                _ => Some(PacketPicture::Reference),
            }),
            Codec::Hevc => self.nal_picture(data, |header| match header >> 1 & 63 {
                32..=47 => None,
                _ => Some(PacketPicture::Reference),
            }),
            // ISO/IEC 13818-2, table 6-1: the picture's type is in bits 10 to 12 after its start code.
            Codec::Mpeg12 => {
                start_code_picture(data, 0x00, &[0xb2, 0xb3, 0xb5, 0xb7, 0xb8], |head| Some(head.get(1)? >> 3 & 7 == 3))
            }
            // ISO/IEC 14496-2, table 6-3: the type is in the first two bits.
            Codec::Mpeg4 => start_code_picture(data, 0xb6, &[0xb0, 0xb1, 0xb2, 0xb3, 0xb5, 0x00, 0x20], |head| {
                Some(head.first()? >> 6 == 2)
            }),
            // RFC 6386, section 9.1: bit 4 is show_frame.
            Codec::Vp8 => data.first().filter(|head| **head & 0x10 == 0).map(|_| PacketPicture::Hidden),
            Codec::Other => None,
        };
        found.unwrap_or(PacketPicture::Reference)
    }

    /// The picture of the first NAL unit that `classify` takes for one. None where a unit cannot be read.
    fn nal_picture(&self, data: &[u8], classify: impl Fn(u8) -> Option<PacketPicture>) -> Option<PacketPicture> {
        let mut at = 0;
        while let Some(start) = self.unit_start(data, at) {
            let picture = classify(*data.get(start)?);
            if picture.is_some() {
                return picture;
            }
            at = self.unit_end(data, start)?;
        }
        (at > 0 && at == data.len()).then_some(PacketPicture::Hidden)
    }

    /// The message that x264 writes into the first packet, with its NAL unit and framing; None where there is none. libav's
    /// decoder needs it to imitate the faults of old versions.
    pub(super) fn x264_message(&self, data: &[u8]) -> Option<Vec<u8>> {
        if !matches!(self.codec, Codec::H264) {
            return None;
        }
        let mut at = 0;
        while let Some(start) = self.unit_start(data, at) {
            at = self.unit_end(data, start)?;
            let bytes = data.get(start..at)?;
            if bytes.first()? & 31 == 6 && bytes.windows(16).any(|window| window == X264_UUID) {
                let framed = match self.framing {
                    Framing::StartCodes => [&[0, 0, 0, 1], bytes].concat(),
                    Framing::Lengths(n) => [&data[start - n..start], bytes].concat(),
                };
                return Some(framed);
            }
        }
        None
    }

    /// Where the NAL unit at or after `at` begins.
    fn unit_start(&self, data: &[u8], at: usize) -> Option<usize> {
        match self.framing {
            Framing::Lengths(n) => Some(at + n).filter(|start| *start < data.len()),
            Framing::StartCodes => Some(at + start_code(data.get(at..)?)? + 3),
        }
    }

    /// Where the NAL unit that begins at `start` ends; None where its length is invalid.
    fn unit_end(&self, data: &[u8], start: usize) -> Option<usize> {
        match self.framing {
            Framing::Lengths(n) => {
                let bytes = data.get(start.checked_sub(n)?..start)?;
                let length = bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
                start.checked_add(length).filter(|end| length > 0 && *end <= data.len())
            }
            Framing::StartCodes => Some(start_code(data.get(start..)?).map_or(data.len(), |next| start + next)),
        }
    }
}

/// Where the next start code (0, 0, 1) is.
fn start_code(data: &[u8]) -> Option<usize> {
    data.windows(3).position(|window| window == [0, 0, 1])
}

/// The picture after the start code `picture`, which may follow only the start codes `headers`.
fn start_code_picture(
    data: &[u8],
    picture: u8,
    headers: &[u8],
    is_disposable: impl Fn(&[u8]) -> Option<bool>,
) -> Option<PacketPicture> {
    let mut rest = data;
    let mut n_headers = 0;
    while let Some(at) = start_code(rest) {
        let code = *rest.get(at + 3)?;
        rest = rest.get(at + 4..)?;
        if code == picture {
            let kind = if is_disposable(rest)? { PacketPicture::Disposable } else { PacketPicture::Reference };
            return Some(kind);
        }
        if !headers.contains(&code) {
            return None;
        }
        n_headers += 1;
    }
    (n_headers > 0).then_some(PacketPicture::Hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_alone_are_no_picture() {
        let annex_b = PacketParser::new("h264", &[0, 0, 0, 1, 0x67]);
        let (sps, sei, idr, b): (&[u8], &[u8], &[u8], &[u8]) =
            (&[0, 0, 0, 1, 0x67, 1, 2], &[0, 0, 1, 0x06, 5, 1], &[0, 0, 1, 0x65, 9, 9], &[0, 0, 1, 0x01, 9]);
        assert_eq!(annex_b.picture(&[sps, sei].concat()), PacketPicture::Hidden);
        assert_eq!(annex_b.picture(&[sps, sei, idr].concat()), PacketPicture::Reference);
        assert_eq!(annex_b.picture(b), PacketPicture::Disposable);
        let lengths = PacketParser::new("h264", &[1, 100, 0, 31, 0xff, 0xe1]);
        assert_eq!(lengths.picture(&[0, 0, 0, 2, 0x67, 1]), PacketPicture::Hidden);
        assert_eq!(lengths.picture(&[0, 0, 0, 2, 0x67, 1, 0, 0, 0, 1, 0x41]), PacketPicture::Reference);
    }

    #[test]
    fn damaged_packets_count_as_pictures() {
        let lengths = PacketParser::new("h264", &[1, 100, 0, 31, 0xff, 0xe1]);
        for data in [&[0u8; 40][..], &[0, 0, 0, 9, 0x67], &[0xff; 7], &[]] {
            assert_eq!(lengths.picture(data), PacketPicture::Reference, "{data:?}");
        }
        for codec in ["mpeg2video", "mpeg4", "hevc", "vp9"] {
            assert_eq!(PacketParser::new(codec, &[]).picture(&[0; 40]), PacketPicture::Reference, "{codec}");
        }
    }

    #[test]
    fn pictures_of_other_codecs() {
        let mpeg2 = PacketParser::new("mpeg2video", &[]);
        assert_eq!(mpeg2.picture(&[0, 0, 1, 0xb3, 1, 0, 0, 1, 0, 0, 0x08, 0]), PacketPicture::Reference);
        assert_eq!(mpeg2.picture(&[0, 0, 1, 0, 0, 0x18, 0]), PacketPicture::Disposable);
        assert_eq!(mpeg2.picture(&[0, 0, 1, 0xb3, 1, 2, 3]), PacketPicture::Hidden);
        assert_eq!(PacketParser::new("mpeg4", &[]).picture(&[0, 0, 1, 0xb6, 0x80]), PacketPicture::Disposable);
        assert_eq!(
            PacketParser::new("hevc", &[]).picture(&[0, 0, 1, 0x40, 1, 0, 0, 1, 0x42, 1]),
            PacketPicture::Hidden
        );
        assert_eq!(PacketParser::new("vp8", &[]).picture(&[0x01, 0, 0]), PacketPicture::Hidden);
        assert_eq!(PacketParser::new("vp8", &[]).picture(&[0x10, 0, 0]), PacketPicture::Reference);
    }

    #[test]
    fn the_message_of_x264_keeps_its_framing() {
        let message = [&[0x06, 5, 20][..], &X264_UUID, b"x264"].concat();
        let annex_b = PacketParser::new("h264", &[]);
        let packet = [&[0, 0, 0, 1, 0x67, 1, 0, 0, 1][..], &message, &[0, 0, 1, 0x65, 7]].concat();
        assert_eq!(annex_b.x264_message(&packet), Some([&[0, 0, 0, 1][..], &message].concat()));
        let lengths = PacketParser::new("h264", &[1, 100, 0, 31, 0xff, 0xe1]);
        let framed = [&[0, 0, 0, message.len() as u8][..], &message].concat();
        assert_eq!(lengths.x264_message(&[&framed[..], &[0, 0, 0, 1, 0x65]].concat()), Some(framed));
        assert_eq!(lengths.x264_message(&[0, 0, 0, 1, 0x65]), None);
    }
}
