//! Access to libav: container facts, packets, and decoders of one stream.
//!
//! libav selects a demuxer by content, and some demuxers open other files and addresses (playlists, `concat`). Only plain
//! media containers and local files are therefore allowed.

mod audio;
mod audio_packets;
mod counted_length;
mod decode;
mod facts;
mod flac;
mod messages;
mod packet;
mod remux;

pub(crate) use audio::{AudioStreamDecoder, DecodedAudio};
pub(crate) use audio_packets::{AudioPackets, CodecParameters};
pub(crate) use decode::{VideoDecoder, is_flagged};
pub(crate) use facts::valid_aspect;
pub(crate) use flac::{FlacEncoder, STREAMINFO_BYTES};
pub(crate) use messages::quiet;
pub(crate) use packet::Packet;
pub(crate) use remux::Remuxer;

use std::ffi::{CStr, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::ffi;

use crate::error::{Error, Result};
use crate::fs::read_head;
use crate::input::{KIND_HEAD_BYTES, file_kind};
use crate::limits::Limits;
use crate::media::Ratio;
use crate::time::TimeBase;

/// Allowed demuxers: containers that hold their media themselves. Playlists (hls, dash, concat), devices, network formats
/// and image sequences are excluded because they open further files.
const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,flv,asf,ogg,wav,w64,mp3,aac,\
                       flac,aiff,caf,au,gif,h264,hevc,ivf,obu,amr,ac3,eac3,dts,dtshd,nut,mxf,rm,wv,ape,tta,m4v,dv,\
                       mjpeg,apng,wtv,yuv4mpegpipe,mlv,voc,truehd,dhav";

/// Reads the packets of a container in file order.
pub(crate) struct Demuxer {
    path: PathBuf,
    limits: Limits,
    input: ffmpeg::format::context::Input,
    name: String,
    n_read_errors: u32,
}

impl Demuxer {
    /// Opens a local file.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where it cannot be read, [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where no media container is recognized or it is
    /// damaged, [`ErrorKind::Limit`](crate::ErrorKind::Limit) where it holds more streams than allowed.
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Self> {
        let name = crate::input::shown_name(path);
        let head = read_head(path, KIND_HEAD_BYTES)?;
        if head.is_empty() {
            return Err(Error::malformed(name, "the file is empty (0 bytes)", "copy or download it again"));
        }
        if let Some(kind) = file_kind(&head) {
            return Err(wrong_kind(&name, kind));
        }
        quiet();
        let mut options = ffmpeg::Dictionary::new();
        options.set("protocol_whitelist", "file");
        options.set("format_whitelist", FORMATS);
        // The prefix keeps libav from reading a file name as a URL or an option.
        let mut url = b"file:".to_vec();
        url.extend_from_slice(path.as_os_str().as_bytes());
        let input = ffmpeg::format::input_with_dictionary(std::ffi::OsStr::from_bytes(&url), options)
            .map_err(|e| unreadable(&name, &head, e))?;
        if input.nb_streams() as usize > limits.max_streams {
            let problem = format!("it holds {} streams; {} are allowed", input.nb_streams(), limits.max_streams);
            return Err(Error::limit(name, problem, "remux the streams that you need into a new file"));
        }
        Ok(Self { path: path.to_owned(), limits: *limits, input, name, n_read_errors: 0 })
    }

    /// Opens the same file again, at its start.
    pub(crate) fn reopen(&self) -> Result<Self> {
        Self::open(&self.path, &self.limits)
    }

    /// Discards the packets of all other streams.
    pub(crate) fn keep_only(&mut self, stream_idxs: &[usize]) {
        for idx in 0..self.input.nb_streams() as usize {
            let wanted = stream_idxs.contains(&idx);
            let discard = if wanted { ffmpeg::Discard::Default } else { ffmpeg::Discard::All };
            // SAFETY: `idx` is below `nb_streams`, so the pointer is a stream that the open container owns.
            #[expect(unsafe_code, reason = "the wrapper has no setter for a stream's discard")]
            unsafe {
                (**(*self.input.as_mut_ptr()).streams.add(idx)).discard = discard.into();
            }
        }
    }

    /// Reads the next packet; None at the end. Damaged places are skipped and counted.
    ///
    /// # Errors
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where the file can no longer be read.
    pub(crate) fn next_packet(&mut self) -> Result<Option<Packet>> {
        let mut inner = ffmpeg::Packet::empty();
        let n_before = messages::n_counted();
        loop {
            let read = inner.read(&mut self.input);
            // At the end, or in front of a packet.
            if !matches!(read, Err(ffmpeg::Error::InvalidData | ffmpeg::Error::Other { .. })) {
                self.n_read_errors += u32::from(messages::n_counted() > n_before);
            }
            match read {
                Ok(()) => return Ok(Some(Packet { inner })),
                Err(ffmpeg::Error::Eof) => return Ok(None),
                // A demuxer that cannot resynchronize returns an error at each call.
                Err(ffmpeg::Error::InvalidData | ffmpeg::Error::Other { errno: errno::EAGAIN })
                    if self.n_read_errors < 1000 =>
                {
                    self.n_read_errors += 1;
                }
                Err(ffmpeg::Error::Other { errno }) if is_io_error(errno) => {
                    return Err(Error::io(Path::new(&self.name), std::io::Error::from_raw_os_error(errno)));
                }
                Err(_) => {
                    self.n_read_errors += 1;
                    return Ok(None);
                }
            }
        }
    }

    /// Seeks to the last keyframe of a stream at or before `ticks`, as far as the container knows; the caller checks
    /// where the seek landed. False where the container cannot seek.
    pub(crate) fn seek(&mut self, stream_idx: usize, ticks: i64) -> bool {
        // SAFETY: the container is open and `stream_idx` one of its streams (libav checks it again).
        #[expect(unsafe_code, reason = "the wrapper seeks in its own time base only, which rounds the stream's ticks")]
        let code = unsafe {
            ffi::av_seek_frame(self.input.as_mut_ptr(), stream_idx as c_int, ticks, ffi::AVSEEK_FLAG_BACKWARD as c_int)
        };
        code >= 0
    }

    /// A stream's codec headers; empty where the container has none.
    pub(crate) fn extradata(&self, stream_idx: usize) -> &[u8] {
        let Some(stream) = self.input.stream(stream_idx) else { return &[] };
        // SAFETY: the parameters belong to the open container, which outlives the borrow of `self`; `extradata` is null or
        // `extradata_size` bytes.
        #[expect(unsafe_code, reason = "the wrapper does not expose the codec headers")]
        unsafe {
            let parameters = &*(*stream.as_ptr()).codecpar;
            match usize::try_from(parameters.extradata_size) {
                Ok(size) if !parameters.extradata.is_null() => std::slice::from_raw_parts(parameters.extradata, size),
                _ => &[],
            }
        }
    }

    /// Whether the container stores times.
    fn has_timestamps(&self) -> bool {
        !matches!(self.input.format().name(), "h264" | "hevc" | "m4v" | "h261" | "h263" | "vc1")
    }

    /// Whether the container is AVI.
    pub(crate) fn is_avi(&self) -> bool {
        self.input.format().name() == "avi"
    }

    /// The sample aspect ratio that the container states, which takes precedence over that of the frames.
    pub(crate) fn stated_aspect(&self, stream_idx: usize) -> Option<Ratio> {
        valid_aspect(self.input.stream(stream_idx)?.sample_aspect_ratio())
    }

    /// Number of read errors so far.
    pub(crate) fn n_read_errors(&self) -> u32 {
        self.n_read_errors
    }

    /// A stream's time base; nanoseconds where the container's is invalid.
    pub(crate) fn time_base(&self, stream_idx: usize) -> TimeBase {
        self.input.stream(stream_idx).and_then(|s| rational(s.time_base())).unwrap_or(TimeBase::NANOS)
    }
}

fn known(ticks: i64) -> Option<i64> {
    (ticks != ffi::AV_NOPTS_VALUE).then_some(ticks)
}

fn rational(r: ffmpeg::Rational) -> Option<TimeBase> {
    TimeBase::new(u32::try_from(r.numerator()).ok()?, u32::try_from(r.denominator()).ok()?)
}

/// The values of `errno` that are used here; the same on every supported Unix.
mod errno {
    pub(super) const EIO: i32 = 5;
    pub(super) const ENXIO: i32 = 6;
    pub(super) const ENODEV: i32 = 19;
    pub(super) const EINVAL: i32 = 22;
    #[cfg(target_os = "linux")]
    pub(super) const EAGAIN: i32 = 11;
    #[cfg(not(target_os = "linux"))]
    pub(super) const EAGAIN: i32 = 35;
}

/// Whether a read failed because of a disk, a network share or the memory, not because of what the file contains.
fn is_io_error(errno: i32) -> bool {
    use std::io::ErrorKind as Io;
    let kind = std::io::Error::from_raw_os_error(errno).kind();
    matches!(errno, errno::EIO | errno::ENXIO | errno::ENODEV)
        || matches!(kind, Io::StaleNetworkFileHandle | Io::TimedOut | Io::NotConnected | Io::OutOfMemory)
        || matches!(kind, Io::ConnectionReset | Io::ConnectionAborted | Io::HostUnreachable | Io::NetworkDown)
}

/// The error for a file that is not media, as its first bytes show.
fn wrong_kind(name: &str, kind: &str) -> Error {
    let advice = match kind {
        "a playlist" => "name the media file itself",
        _ => "name a media file",
    };
    Error::unsupported(name, format!("is {kind}, not a media file"), advice)
}

fn unreadable(name: &str, head: &[u8], error: ffmpeg::Error) -> Error {
    let is_mp4 = matches!(head.get(4..8), Some(b"ftyp" | b"mdat" | b"wide" | b"free" | b"moov"));
    let (problem, advice) = match error {
        ffmpeg::Error::InvalidData if head.get(8..12) == Some(b"avif") => {
            ("is an AVIF picture that this version of FFmpeg cannot read".to_owned(), "convert it to JPEG or PNG first")
        }
        ffmpeg::Error::InvalidData if is_mp4 => (
            "is an MP4 or MOV file with a missing or damaged index (moov)".to_owned(),
            "recordings that were cut off while writing can often be repaired with untrunc",
        ),
        ffmpeg::Error::InvalidData => {
            ("is not in a known media format, or its header is damaged".to_owned(), "check it with ffprobe")
        }
        ffmpeg::Error::Other { errno: errno::EINVAL } => (
            "is in a format that is not opened, because it refers to other files".to_owned(),
            "name the media file itself",
        ),
        other => (format!("cannot be opened as media: {}", lower_first(&other.to_string())), "check it with ffprobe"),
    };
    Error::malformed(name, problem, advice).because(error)
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// The libav version in use: `libavformat 59.27.100`.
#[must_use]
pub fn version() -> String {
    let v = ffmpeg::format::version();
    format!("libavformat {}.{}.{}", v >> 16, v >> 8 & 0xff, v & 0xff)
}

/// Converts a C string to text; invalid UTF-8 is replaced.
///
/// # Safety
/// `text` is null or points at a string that ends in NUL.
#[expect(unsafe_code, reason = "the wrapper assumes valid UTF-8")]
unsafe fn lossy(text: *const std::ffi::c_char) -> Option<String> {
    // SAFETY: not null here, and the caller guarantees that it ends in NUL.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().trim().to_owned())
}
