//! Copies a container with other chapters. Nothing is decoded or encoded.

mod stream;

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::ffi;
use ffmpeg_the_third::format::context::Output;
use ffmpeg_the_third::format::stream::{Disposition, Stream};

use self::stream::{AddError, add_stream, is_chapter_picture, lost_tags, name_of, tag_of};
use super::facts::orientation;
use super::{Demuxer, Packet, errno, is_io_error, lower_first, rational};
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::time::{TimeBase, TimeRange, Timestamp};

/// Packets that are read to find the first one of each stream.
const MAX_PEEKED_PACKETS: usize = 2000;
/// Nero's chapter list holds at most this many chapters, with titles of at most this many bytes (`libavformat/movenc.c`).
const MAX_NERO: usize = 255;
/// Tags of the container itself, which describe the input and not its content.
const CONTAINER_TAGS: [&CStr; 4] = [c"major_brand", c"minor_version", c"compatible_brands", c"encoder"];

/// A copy of a container with other chapters, checked before it is written.
pub(crate) struct Remuxer {
    demuxer: Demuxer,
    container: Container,
    /// What becomes of each stream of the input.
    fates: Vec<Fate>,
}

/// A container format that holds chapters.
struct Container {
    /// libav's name.
    name: &'static str,
    /// As in the name of a file, with the dot.
    extension: &'static str,
}

/// What becomes of a stream.
enum Fate {
    /// Its packets are copied.
    Packets,
    /// Its picture becomes an attached file, as Matroska stores covers.
    Attached,
    /// It is left out: the muxer writes its own.
    Replaced,
    /// It is left out and reported.
    Lost,
}

impl Container {
    const ALL: [Self; 7] = [
        Self { name: "mp4", extension: ".mp4" },
        Self { name: "mp4", extension: ".m4v" },
        Self { name: "ipod", extension: ".m4a" },
        Self { name: "mov", extension: ".mov" },
        Self { name: "matroska", extension: ".mkv" },
        Self { name: "matroska", extension: ".mka" },
        Self { name: "webm", extension: ".webm" },
    ];

    fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        Self::ALL.into_iter().find(|container| container.extension[1..] == extension)
    }

    /// The chapters as the container holds them. In MP4 and `QuickTime` the first chapter must begin at 0. One that begins
    /// within the first second is extended back to 0; before a later one, a chapter "Start" is inserted.
    fn with_start<'a>(&self, chapters: &'a [(TimeRange, String)]) -> Cow<'a, [(TimeRange, String)]> {
        let mut chapters = Cow::Borrowed(chapters);
        let start = chapters.first().map_or(Timestamp::ZERO, |(first, _)| first.start);
        if self.is_matroska() || start <= Timestamp::ZERO {
            return chapters;
        }
        if start < Timestamp::from_millis(1000) {
            chapters.to_mut()[0].0.start = Timestamp::ZERO;
        } else {
            chapters.to_mut().insert(0, (TimeRange::new(Timestamp::ZERO, start), "Start".to_owned()));
        }
        chapters
    }

    fn is_matroska(&self) -> bool {
        matches!(self.name, "matroska" | "webm")
    }
}

impl Remuxer {
    /// Checks that every stream of the file `input` fits into a file of the name `output`, which is not opened.
    ///
    /// # Errors
    /// As [`Demuxer::open`]; [`ErrorKind::Usage`](crate::ErrorKind::Usage) where the name has no known extension,
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where a stream does not fit.
    pub(crate) fn open(input: &Path, output: &Path) -> Result<Self> {
        let container = Container::of(output).ok_or_else(|| {
            let known: Vec<&str> = Container::ALL.iter().map(|container| container.extension).collect();
            let problem = "copies with chapters are not supported for this file type";
            Error::usage(output.display(), problem, format!("name it {}", known.join(", ")))
        })?;
        let demuxer = Demuxer::open(input, &Limits::default())?;
        let mut remuxer = Self { demuxer, container, fates: Vec::new() };
        remuxer.fates =
            remuxer.demuxer.input.streams().map(|stream| remuxer.fate(&stream)).collect::<Result<Vec<_>>>()?;
        Ok(remuxer)
    }

    fn fate(&self, stream: &Stream<'_>) -> Result<Fate> {
        let medium = stream.parameters().medium();
        let is_cover = stream.disposition().contains(Disposition::ATTACHED_PIC);
        let id = stream.parameters().id();
        match medium {
            // The track that QuickTime stores chapters in, and their pictures.
            ffmpeg::media::Type::Data if id == ffmpeg::codec::Id::BIN_DATA => return Ok(Fate::Replaced),
            _ if is_chapter_picture(stream) => return Ok(Fate::Replaced),
            // The muxer writes such a track from the tag of the video stream; Matroska keeps the tag.
            ffmpeg::media::Type::Data if tag_of(stream) == *b"tmcd" => return Ok(Fate::Replaced),
            ffmpeg::media::Type::Data | ffmpeg::media::Type::Unknown => return Ok(Fate::Lost),
            ffmpeg::media::Type::Attachment if self.container.name == "matroska" => return Ok(Fate::Packets),
            ffmpeg::media::Type::Video if is_cover && self.container.name == "matroska" => return Ok(Fate::Attached),
            // Their tables do not list covers, which are stored beside the tracks.
            ffmpeg::media::Type::Video if is_cover && matches!(self.container.name, "mp4" | "ipod") => {
                return Ok(Fate::Packets);
            }
            // QuickTime has no place for a cover.
            ffmpeg::media::Type::Video if is_cover && self.container.name == "mov" => return Ok(Fate::Lost),
            _ => {}
        }
        if medium != ffmpeg::media::Type::Attachment && self.holds(id) {
            return Ok(Fate::Packets);
        }
        let what = if is_cover { "cover picture".to_owned() } else { lower_first(&format!("{medium:?}")) };
        let problem =
            format!("{} cannot hold stream #{} ({what}, {})", self.container.extension, stream.index(), id.name());
        let advice = match (self.container.name, self.demuxer.input.format().name()) {
            ("matroska", format) if format.contains("mp4") => "name the copy .mp4",
            ("matroska", _) => "remux the file without this stream first",
            _ => "name the copy .mkv",
        };
        Err(Error::unsupported(&self.demuxer.name, problem, advice))
    }

    fn holds(&self, id: ffmpeg::codec::Id) -> bool {
        let Ok(name) = std::ffi::CString::new(self.container.name) else { return false };
        // Matroska also holds codecs that have a name in AVI alone.
        let how =
            if self.container.name == "matroska" { ffi::FF_COMPLIANCE_UNOFFICIAL } else { ffi::FF_COMPLIANCE_NORMAL };
        // SAFETY: both strings end in NUL or are null; the format is static, or null, which is checked.
        #[expect(unsafe_code, reason = "the wrapper does not say what a muxer holds")]
        unsafe {
            let format = ffi::av_guess_format(name.as_ptr(), std::ptr::null(), std::ptr::null());
            // 0 is a refusal; 1, or an error for a muxer that does not say, is none.
            !format.is_null() && ffi::avformat_query_codec(format, id.into(), how as c_int) != 0
        }
    }

    /// Writes the copy to the file `to`, which exists; `shown` is its name in errors. Its clock starts at 0: `start`, the
    /// time at which the input's clock starts, is subtracted from all times, and `chapters` count from it. Gives what could
    /// not be copied, as phrases.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where a file cannot be read or written,
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where the container does not take the packets,
    /// [`ErrorKind::Interrupted`](crate::ErrorKind::Interrupted) once `is_cancelled` says so.
    pub(crate) fn write(
        mut self,
        (to, shown): (&Path, &Path),
        start: Timestamp,
        chapters: &[(TimeRange, String)],
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Vec<String>> {
        // Matroska has no times before 0: the muxer would move the packets, but not the chapters.
        let lead = if self.container.is_matroska() { self.lead(start)? } else { Timestamp::ZERO };
        let origin = start.minus(lead);
        let mut url = b"file:".to_vec();
        url.extend_from_slice(to.as_os_str().as_bytes());
        let url = std::ffi::OsString::from_vec(url);
        let mut output =
            ffmpeg::format::output_as(&url, self.container.name).map_err(|error| self.failed(shown, error))?;
        let places = self.add_streams(&mut output)?;
        self.copy_tags(&mut output);
        let chapters = &*self.container.with_start(chapters);
        for (number, (range, title)) in (1..).zip(chapters) {
            let at = |time: Timestamp| time.plus(lead).floor_to(TimeBase::NANOS).max(0);
            let (start, end) = (at(range.start), at(range.end));
            let base = ffmpeg::Rational::new(1, 1_000_000_000);
            // The wrapper panics for a title that C cannot hold.
            let title = title.replace('\0', "");
            output.add_chapter(number, base, start, end, &title).map_err(|error| self.failed(shown, error))?;
        }
        output.write_header_with(self.muxer_options(chapters)).map_err(|error| self.failed(shown, error))?;
        while let Some(packet) = self.demuxer.next_packet()? {
            if is_cancelled() {
                return Err(Error::interrupted());
            }
            if let Some(Some(place)) = places.get(packet.stream_idx()) {
                self.write_packet(packet, *place, origin, &mut output, shown)?;
            }
        }
        output.write_trailer().map_err(|error| self.failed(shown, error))?;
        drop(output);
        self.check_copy(to, &places)?;
        Ok(self.losses())
    }

    /// Reads the head of the copy: a muxer leaves out what it has no place for.
    fn check_copy(&self, to: &Path, places: &[Option<usize>]) -> Result<()> {
        let copy = Demuxer::open(to, &Limits::default())?;
        for (stream, place) in self.demuxer.input.streams().zip(places) {
            let written = place.and_then(|place| copy.input.stream(place));
            if written.is_some_and(|written| orientation(&written) != orientation(&stream)) {
                let problem =
                    format!("{} cannot hold the rotation of stream #{}", self.container.extension, stream.index());
                return Err(Error::unsupported(&self.demuxer.name, problem, "name the copy .mp4 or .mov"));
            }
        }
        let lost = lost_tags(&self.demuxer, &copy, &CONTAINER_TAGS);
        if !lost.is_empty() {
            let (name, extension) = (&self.demuxer.name, self.container.extension);
            tracing::warn!("{name}: {extension} has no place for these tags: {}", lost.join(", "));
        }
        Ok(())
    }

    /// How long before `start` the first packet is presented: the delay of an encoder, or frames that an edit list hides.
    fn lead(&self, start: Timestamp) -> Result<Timestamp> {
        let mut demuxer = self.demuxer.reopen()?;
        let mut is_open: Vec<bool> = self.fates.iter().map(|fate| matches!(fate, Fate::Packets)).collect();
        let mut lead = Timestamp::ZERO;
        for _ in 0..MAX_PEEKED_PACKETS {
            let Some(packet) = demuxer.next_packet()? else { break };
            let idx = packet.stream_idx();
            if matches!(self.fates.get(idx), Some(Fate::Packets))
                && let Some(pts) = packet.pts()
            {
                lead = lead.max(start.minus(Timestamp::new(pts, demuxer.time_base(idx))));
                is_open[idx] = false;
            }
            if !is_open.contains(&true) {
                break;
            }
        }
        Ok(lead)
    }

    /// Creates the streams of the copy: the place of each stream of the input, None for one without packets.
    fn add_streams(&self, output: &mut Output) -> Result<Vec<Option<usize>>> {
        let mut places = Vec::new();
        for (stream, fate) in self.demuxer.input.streams().zip(&self.fates) {
            if matches!(fate, Fate::Replaced | Fate::Lost) {
                places.push(None);
                continue;
            }
            let place = output.nb_streams() as usize;
            add_stream(output, &stream, matches!(fate, Fate::Attached)).map_err(|error| match error {
                AddError::NoMemory => Error::limit(&self.demuxer.name, "there is no memory for its streams", ""),
                AddError::NoPicture => {
                    let problem = format!("the cover in stream #{} has no picture", stream.index());
                    Error::unsupported(&self.demuxer.name, problem, "remux the file without this stream first")
                }
            })?;
            places.push(Some(place).filter(|_| !matches!(fate, Fate::Attached)));
        }
        Ok(places)
    }

    fn copy_tags(&self, output: &mut Output) {
        // SAFETY: both containers are open; the dictionaries are theirs, and keys end in NUL. Where memory runs out, tags
        // are missing.
        #[expect(unsafe_code, reason = "the wrapper assumes that tags are valid UTF-8")]
        unsafe {
            let tags = &raw mut (*output.as_mut_ptr()).metadata;
            ffi::av_dict_copy(tags, (*self.demuxer.input.as_ptr()).metadata, 0);
            for key in CONTAINER_TAGS {
                ffi::av_dict_set(tags, key.as_ptr(), std::ptr::null(), 0);
            }
        }
    }

    fn muxer_options(&self, chapters: &[(TimeRange, String)]) -> ffmpeg::Dictionary {
        let mut options = ffmpeg::Dictionary::new();
        let mut flags = String::new();
        if self.container.name == "mov" {
            // Tags such as the place of a recording, beside the classic ones.
            flags.push_str("+use_metadata_tags");
        }
        let fits = chapters.len() <= MAX_NERO && chapters.iter().all(|(_, title)| title.len() <= MAX_NERO);
        if !fits {
            // That list would be cut; the track of chapters is whole.
            flags.push_str("+disable_chpl");
        }
        if !self.container.is_matroska() && !flags.is_empty() {
            options.set("movflags", &flags);
        }
        options
    }

    fn write_packet(
        &self,
        packet: Packet,
        place: usize,
        origin: Timestamp,
        output: &mut Output,
        shown: &Path,
    ) -> Result<()> {
        let idx = packet.stream_idx();
        let mut packet = packet.inner;
        let Some(stream) = self.demuxer.input.stream(idx) else { return Ok(()) };
        let medium = stream.parameters().medium();
        let is_cover = stream.disposition().contains(Disposition::ATTACHED_PIC);
        let (pts, dts) = match (packet.pts(), packet.dts()) {
            _ if is_cover => (Some(0), Some(0)),
            (None, Some(dts)) if medium != ffmpeg::media::Type::Video => (Some(dts), Some(dts)),
            (None, _) => {
                let name = stream.parameters().id().name();
                let problem = format!("stream #{idx} ({name}) has no presentation times");
                return Err(Error::unsupported(&self.demuxer.name, problem, "convert the file with ffmpeg first"));
            }
            times => times,
        };
        packet.set_pts(pts);
        packet.set_dts(dts);
        packet.set_stream(place);
        packet.set_position(-1);
        let Some(base) = output.stream(place).map(|stream| stream.time_base()) else { return Ok(()) };
        packet.rescale_ts(stream.time_base(), base);
        if !is_cover {
            // In ticks of the output, which may be finer, and the same for all packets: streams stay in sync.
            let shift = rational(base).map_or(0, |base| nearest(origin, base));
            packet.set_pts(packet.pts().map(|pts| pts.saturating_sub(shift)));
            packet.set_dts(packet.dts().map(|dts| dts.saturating_sub(shift)));
        }
        // SAFETY: the header is written and the packet is valid; libav takes over what it refers to.
        #[expect(unsafe_code, reason = "the wrapper refuses packets without data")]
        let code = unsafe {
            use ffmpeg::packet::Mut as _;
            ffi::av_interleaved_write_frame(output.as_mut_ptr(), packet.as_mut_ptr())
        };
        match ffmpeg::Error::from(code) {
            _ if code >= 0 => Ok(()),
            ffmpeg::Error::Other { errno: errno::EINVAL } => {
                let at = Timestamp::new(pts.unwrap_or_default(), self.demuxer.time_base(idx));
                let problem = format!(
                    "{} cannot hold the packets of stream #{idx} near {at}: timestamps decrease or are missing",
                    self.container.extension
                );
                Err(Error::unsupported(&self.demuxer.name, problem, "convert the file with ffmpeg first"))
            }
            error => Err(self.failed(shown, error)),
        }
    }

    fn failed(&self, shown: &Path, error: ffmpeg::Error) -> Error {
        use std::io::ErrorKind as Io;
        if let ffmpeg::Error::Other { errno } = error {
            let cause = std::io::Error::from_raw_os_error(errno);
            let is_ours = matches!(
                cause.kind(),
                Io::StorageFull | Io::QuotaExceeded | Io::PermissionDenied | Io::NotFound | Io::FileTooLarge
            );
            if is_ours || is_io_error(errno) {
                return Error::io(shown, cause);
            }
        }
        let problem = format!(
            "{} cannot hold the streams of {}: {}",
            self.container.extension,
            self.demuxer.name,
            lower_first(&error.to_string())
        );
        let advice = if self.container.name == "matroska" { "" } else { "name the copy .mkv" };
        Error::unsupported(shown.display(), problem, advice).because(error)
    }

    /// What was not copied.
    fn losses(&self) -> Vec<String> {
        let mut losses = Vec::new();
        for (stream, fate) in self.demuxer.input.streams().zip(&self.fates) {
            if matches!(fate, Fate::Lost) {
                let name = name_of(&stream);
                losses.push(format!(
                    "stream #{} ({name}) has no place in {}",
                    stream.index(),
                    self.container.extension
                ));
            }
        }
        match self.demuxer.n_read_errors() {
            0 => {}
            1 => losses.push("one damaged place of the input".to_owned()),
            n => losses.push(format!("{n} damaged places of the input")),
        }
        losses
    }
}

/// The nearest whole tick of `base`.
fn nearest(time: Timestamp, base: TimeBase) -> i64 {
    let below = Timestamp::new(time.floor_to(base), base);
    let above = below.plus(Timestamp::new(1, base));
    if above.minus(time) <= time.minus(below) { above.floor_to(base) } else { below.floor_to(base) }
}
