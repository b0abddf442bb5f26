//! Reads the facts of a container into [`MediaInfo`].

use std::ffi::CStr;

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::codec::packet::side_data::Type as SideData;
use ffmpeg_the_third::ffi;
use ffmpeg_the_third::format::stream::{Disposition, Stream};

use super::{Demuxer, known, lossy, rational};
use crate::media::{
    AudioStream, ColorTags, FieldOrder, FrameTiming, MediaChapter, MediaInfo, Ratio, Rotation, SubtitleStream,
    VideoStream,
};
use crate::time::{TimeBase, Timestamp};

/// Chapters of one container that are read.
const MAX_CHAPTERS: usize = 2000;

/// Maximum number of packets read to find the first one of each audio stream.
const MAX_PEEKED_PACKETS: usize = 2000;

impl Demuxer {
    /// The container's facts. Consumes the demuxer, because it reads the first packets.
    pub(crate) fn into_media_info(mut self, input: &str, size_bytes: u64) -> MediaInfo {
        let mut info = MediaInfo {
            size_bytes: Some(size_bytes),
            duration: known(self.input.duration()).filter(|d| *d > 0).map(|d| Timestamp::new(d, MICROS)),
            title: self.tag(None, c"title"),
            ..MediaInfo::new(input, self.input.format().name())
        };
        for stream in self.input.streams() {
            match stream.parameters().medium() {
                ffmpeg::media::Type::Video => info.video.extend(self.video(&stream)),
                ffmpeg::media::Type::Audio => info.audio.push(self.audio(&stream)),
                ffmpeg::media::Type::Subtitle => info.subtitles.push(self.subtitle(&stream)),
                _ => {}
            }
        }
        self.find_first_sound(&mut info.audio);
        if let Some(length) = self.counted_length(&info) {
            info.duration = Some(length);
            info.audio.iter_mut().for_each(|stream| stream.duration = Some(length));
        }
        let starts = info.video.iter().filter(|v| !v.is_cover).filter_map(|v| v.start);
        info.start = starts.chain(info.audio.iter().filter_map(|a| a.start)).min().unwrap_or(Timestamp::ZERO);
        info.chapters = self.chapters(info.start);
        info
    }

    fn video(&self, stream: &Stream<'_>) -> Option<VideoStream> {
        let parameters = stream.parameters();
        let base = rational(stream.time_base())?;
        let aspect =
            valid_aspect(stream.sample_aspect_ratio()).or_else(|| valid_aspect(parameters.sample_aspect_ratio()));
        let (rotation, is_mirrored) = orientation(stream);
        Some(VideoStream {
            stream_idx: stream.index(),
            codec: parameters.id().name().to_owned(),
            width: parameters.width(),
            height: parameters.height(),
            sample_aspect: aspect.unwrap_or(Ratio::ONE),
            rotation,
            is_mirrored,
            frame_rate: ratio(stream.avg_frame_rate()).or_else(|| ratio(stream.rate())),
            pixel_format: pixel_format(stream),
            color: color_tags(stream),
            field_order: field_order(stream),
            time_base: base,
            start: known(stream.start_time()).map(|t| Timestamp::new(t, base)),
            duration: known(stream.duration()).filter(|d| *d > 0).map(|t| Timestamp::new(t, base)),
            n_frames: u64::try_from(stream.frames()).ok().filter(|n| *n > 0),
            timing: if self.has_timestamps() { FrameTiming::Stored } else { FrameTiming::FrameRate },
            encryption: None,
            language: self.language(stream),
            is_default: stream.disposition().contains(Disposition::DEFAULT),
            is_cover: stream.disposition().contains(Disposition::ATTACHED_PIC),
        })
    }

    fn audio(&self, stream: &Stream<'_>) -> AudioStream {
        let parameters = stream.parameters();
        let at = |t: i64| Some(Timestamp::new(known(t)?, rational(stream.time_base())?));
        AudioStream {
            stream_idx: stream.index(),
            codec: parameters.id().name().to_owned(),
            sample_rate_hz: Some(parameters.sample_rate()).filter(|rate| *rate > 0),
            channels: u16::try_from(parameters.ch_layout().channels()).ok().filter(|n| *n > 0),
            start: at(stream.start_time()),
            first_packet: None,
            duration: at(stream.duration()).filter(|d| *d > Timestamp::ZERO),
            encryption: None,
            language: self.language(stream),
            title: self.tag(Some(stream), c"title"),
            is_default: stream.disposition().contains(Disposition::DEFAULT),
        }
    }

    fn subtitle(&self, stream: &Stream<'_>) -> SubtitleStream {
        let mut codec = stream.parameters().id().name().to_owned();
        // Matroska's S_TEXT/WEBVTT, which this libav does not know: the codec's private data are the head of the file.
        if codec == "none" && self.extradata(stream.index()).trim_ascii_start().starts_with(b"WEBVTT") {
            "webvtt".clone_into(&mut codec);
        }
        SubtitleStream {
            stream_idx: stream.index(),
            is_text: matches!(codec.as_str(), "mov_text" | "subrip" | "srt" | "ass" | "ssa" | "webvtt" | "text"),
            codec,
            language: self.language(stream),
            is_default: stream.disposition().contains(Disposition::DEFAULT),
            is_forced: stream.disposition().contains(Disposition::FORCED),
        }
    }

    /// Reads until the first packet of each audio stream.
    fn find_first_sound(&mut self, audio: &mut [AudioStream]) {
        if audio.is_empty() {
            return;
        }
        self.keep_only(&audio.iter().map(|a| a.stream_idx).collect::<Vec<_>>());
        for _ in 0..MAX_PEEKED_PACKETS {
            let Ok(Some(packet)) = self.next_packet() else { break };
            if let Some(stream) =
                audio.iter_mut().find(|a| a.stream_idx == packet.stream_idx() && a.first_packet.is_none())
            {
                stream.first_packet = packet.pts().map(|t| Timestamp::new(t, self.time_base(stream.stream_idx)));
                // In some containers (WebM) the start includes the encoder's delay.
                let delay = stream.sample_rate_hz.and_then(TimeBase::of_rate);
                let delay =
                    delay.map(|base| Timestamp::new(i64::from(packet.trim().map_or(0, |(start, _)| start)), base));
                let heard = stream.first_packet.zip(delay).map(|(first, delay)| first.plus(delay));
                stream.start = stream.start.max(heard);
            }
            if audio.iter().all(|a| a.first_packet.is_some()) {
                break;
            }
        }
    }

    fn chapters(&self, start: Timestamp) -> Vec<MediaChapter> {
        // Chapters in ID3 tags count from the first sound; others are on the clock of the container.
        let start = if matches!(self.input.format().name(), "mp3" | "aac") { Timestamp::ZERO } else { start };
        let chapter = |chapter: ffmpeg::Chapter<'_>| {
            let base = rational(chapter.time_base())?;
            let at = |ticks| Timestamp::new(ticks, base).minus(start);
            // SAFETY: the chapter belongs to the open container; the entry holds strings that end in NUL.
            #[expect(unsafe_code, reason = "the wrapper assumes that tags are valid UTF-8")]
            let title = unsafe {
                let entry = ffi::av_dict_get((*chapter.as_ptr()).metadata, c"title".as_ptr(), std::ptr::null(), 0);
                if entry.is_null() { None } else { lossy((*entry).value) }
            };
            let (start, end) = (known(chapter.start())?, known(chapter.end())?);
            Some(MediaChapter { start: at(start), end: at(end), title: title.filter(|title| !title.is_empty()) })
        };
        let mut chapters: Vec<MediaChapter> = self.input.chapters().take(MAX_CHAPTERS).filter_map(chapter).collect();
        chapters.sort_by_key(|chapter| chapter.start);
        chapters
    }

    fn language(&self, stream: &Stream<'_>) -> Option<String> {
        self.tag(Some(stream), c"language").filter(|tag| tag != "und")
    }

    /// A tag of a stream, or of the container.
    fn tag(&self, stream: Option<&Stream<'_>>, key: &CStr) -> Option<String> {
        // SAFETY: the container and its streams live as long as `self`; av_dict_get takes a null dictionary, and the
        // entry it returns holds strings that end in NUL.
        #[expect(unsafe_code, reason = "the wrapper assumes that tags are valid UTF-8")]
        let text = unsafe {
            let tags = stream.map_or_else(|| (*self.input.as_ptr()).metadata, |stream| (*stream.as_ptr()).metadata);
            let entry = ffi::av_dict_get(tags, key.as_ptr(), std::ptr::null(), 0);
            if entry.is_null() { None } else { lossy((*entry).value) }
        };
        text.filter(|text| !text.is_empty())
    }
}

/// Microseconds: libav's own time base (`AV_TIME_BASE`).
const MICROS: TimeBase = match TimeBase::new(1, 1_000_000) {
    Some(base) => base,
    None => TimeBase::NANOS,
};

/// The rotation, and whether the picture is flipped vertically before it, from the stream's display matrix.
pub(super) fn orientation(stream: &Stream<'_>) -> (Rotation, bool) {
    let Some(matrix) = stream.side_data().find(|side| side.kind() == SideData::DisplayMatrix) else {
        return (Rotation::None, false);
    };
    let mut cells =
        matrix.data().chunks_exact(4).map(|cell| f64::from(i32::from_ne_bytes([cell[0], cell[1], cell[2], cell[3]])));
    let mut next = || cells.next().unwrap_or(0.0);
    // Rows of three: x goes to (a, b), y to (c, d), in 16.16 fixed point.
    let (a, b, _, c, d) = (next(), next(), next(), next(), next());
    (Rotation::from_degrees(b.atan2(a).to_degrees()), a * d - b * c < 0.0)
}

fn pixel_format(stream: &Stream<'_>) -> Option<String> {
    // SAFETY: codecpar belongs to the open stream; the name is a static string or null for an unknown number.
    #[expect(unsafe_code, reason = "the wrapper gives the pixel format only of decoded streams")]
    unsafe {
        let number = (*(*stream.as_ptr()).codecpar).format;
        let name = ffi::av_get_pix_fmt_name(ffi::AVPixelFormat(number));
        lossy(name)
    }
}

fn color_tags(stream: &Stream<'_>) -> ColorTags {
    let known = |name: Option<String>| name.filter(|name| name != "unknown" && name != "reserved");
    // SAFETY: codecpar belongs to the open stream; the names are static strings, or null for an unknown number.
    #[expect(unsafe_code, reason = "the wrapper panics on unknown values")]
    unsafe {
        let parameters = (*stream.as_ptr()).codecpar;
        ColorTags {
            matrix: known(lossy(ffi::av_color_space_name((*parameters).color_space))),
            range: known(lossy(ffi::av_color_range_name((*parameters).color_range))),
            transfer: known(lossy(ffi::av_color_transfer_name((*parameters).color_trc))),
            primaries: known(lossy(ffi::av_color_primaries_name((*parameters).color_primaries))),
        }
    }
}

fn field_order(stream: &Stream<'_>) -> Option<FieldOrder> {
    // SAFETY: codecpar belongs to the open stream.
    #[expect(unsafe_code, reason = "the wrapper does not expose the field order")]
    let order = unsafe { (*(*stream.as_ptr()).codecpar).field_order };
    match order {
        ffi::AVFieldOrder::PROGRESSIVE => Some(FieldOrder::Progressive),
        // The second letter is the field that is displayed first.
        ffi::AVFieldOrder::TT | ffi::AVFieldOrder::BT => Some(FieldOrder::TopFirst),
        ffi::AVFieldOrder::BB | ffi::AVFieldOrder::TB => Some(FieldOrder::BottomFirst),
        _ => None,
    }
}

/// A sample aspect ratio; None where it is not stated or invalid (1:1000), as in players.
pub(crate) fn valid_aspect(aspect: ffmpeg::Rational) -> Option<Ratio> {
    ratio(aspect).filter(|aspect| (0.1..=10.0).contains(&aspect.as_f64()))
}

fn ratio(r: ffmpeg::Rational) -> Option<Ratio> {
    let (num, den) = (u32::try_from(r.numerator()).ok()?, u32::try_from(r.denominator()).ok()?);
    (num > 0 && den > 0).then_some(Ratio { num, den })
}
