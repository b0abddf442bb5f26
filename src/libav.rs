//! Containers through libav: what they hold, their packets, the decoders of one stream.
//!
//! One of the few places that touch foreign code. libav picks a demuxer by content, and some of its demuxers open
//! other files and addresses (playlists, `concat`), so only plain media containers and local files are let in.

mod audio;
mod audio_packets;
mod decode;
mod facts;
mod flac;
mod packet;

pub(crate) use audio::{AudioStreamDecoder, DecodedAudio};
pub(crate) use audio_packets::{AudioPackets, CodecParameters};
pub(crate) use decode::VideoDecoder;
pub(crate) use flac::{FlacEncoder, STREAMINFO_BYTES};
pub(crate) use packet::Packet;

use std::ffi::{CStr, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::ffi;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::time::TimeBase;

/// Containers that hold their media themselves. Playlists (hls, dash, concat), device and network formats and the
/// image-sequence readers, which all open further files, are left out on purpose.
const FORMATS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpeg,mpegvideo,avi,flv,asf,ogg,wav,w64,mp3,aac,\
                       flac,aiff,caf,au,gif,h264,hevc,ivf,obu,amr,ac3,eac3,dts,dtshd,nut,mxf,rm,wv,ape,tta,m4v,dv,\
                       mjpeg,apng,wtv,yuv4mpegpipe,mlv,voc,truehd";

/// A container whose packets can be read, one after another.
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
    /// [`ErrorKind::Io`](crate::ErrorKind::Io) where it cannot be read, [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) where no media container is recognised or it is
    /// broken, [`ErrorKind::Limit`](crate::ErrorKind::Limit) where it holds more streams than allowed.
    pub(crate) fn open(path: &Path, limits: &Limits) -> Result<Self> {
        let name = path.display().to_string();
        let size = std::fs::File::open(path).and_then(|file| file.metadata()).map_err(|e| Error::io(path, e))?.len();
        if size == 0 {
            return Err(Error::malformed(name, "the file is empty (0 bytes)", "copy or download it again"));
        }
        quiet();
        let mut options = ffmpeg::Dictionary::new();
        options.set("protocol_whitelist", "file");
        options.set("format_whitelist", FORMATS);
        // A path is never taken for a URL or an option, whatever it is called.
        let mut url = b"file:".to_vec();
        url.extend_from_slice(path.as_os_str().as_bytes());
        let input = ffmpeg::format::input_with_dictionary(std::ffi::OsStr::from_bytes(&url), options)
            .map_err(|e| unreadable(&name, e))?;
        if input.nb_streams() as usize > limits.max_streams {
            let problem = format!("it holds {} streams; {} are allowed", input.nb_streams(), limits.max_streams);
            return Err(Error::limit(name, problem, "remux the streams that you need into a new file"));
        }
        Ok(Self { path: path.to_owned(), limits: *limits, input, name, n_read_errors: 0 })
    }

    /// The same file from its beginning.
    pub(crate) fn reopen(&self) -> Result<Self> {
        Self::open(&self.path, &self.limits)
    }

    /// Lets the container skip every stream but these.
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

    /// The next packet; None at the end.
    ///
    /// Damaged places are skipped and counted. # Errors: [`ErrorKind::Io`](crate::ErrorKind::Io) where the file can no longer be read.
    pub(crate) fn next_packet(&mut self) -> Result<Option<Packet>> {
        let mut inner = ffmpeg::Packet::empty();
        loop {
            match inner.read(&mut self.input) {
                Ok(()) => return Ok(Some(Packet { inner })),
                Err(ffmpeg::Error::Eof) => return Ok(None),
                // A demuxer that cannot find its way again says so at every call.
                Err(ffmpeg::Error::InvalidData | ffmpeg::Error::Other { errno: errno::EAGAIN })
                    if self.n_read_errors < 1000 =>
                {
                    self.n_read_errors += 1;
                }
                Err(ffmpeg::Error::Other { errno: errno::EIO }) => {
                    let e = std::io::Error::from_raw_os_error(errno::EIO);
                    return Err(Error::io(Path::new(&self.name), e));
                }
                Err(_) => {
                    self.n_read_errors += 1;
                    return Ok(None);
                }
            }
        }
    }

    /// Moves to the last keyframe of a stream at or before `ticks`, as far as the container can tell; whoever calls
    /// looks at the packets that come. Returns whether the container can do it at all.
    pub(crate) fn seek(&mut self, stream_idx: usize, ticks: i64) -> bool {
        // SAFETY: the container is open and `stream_idx` one of its streams (libav checks it again).
        #[expect(unsafe_code, reason = "the wrapper seeks on its own clock alone, rounding the stream's ticks")]
        let code = unsafe {
            ffi::av_seek_frame(self.input.as_mut_ptr(), stream_idx as c_int, ticks, ffi::AVSEEK_FLAG_BACKWARD as c_int)
        };
        code >= 0
    }

    /// Places that could not be read so far.
    pub(crate) fn n_read_errors(&self) -> u32 {
        self.n_read_errors
    }

    /// A stream's time base; nanoseconds where the container's own is senseless.
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

/// The numbers of `errno` that are told apart here, the same on every Unix that this crate builds on.
mod errno {
    pub(super) const EIO: i32 = 5;
    pub(super) const EINVAL: i32 = 22;
    #[cfg(target_os = "linux")]
    pub(super) const EAGAIN: i32 = 11;
    #[cfg(not(target_os = "linux"))]
    pub(super) const EAGAIN: i32 = 35;
}

fn unreadable(name: &str, error: ffmpeg::Error) -> Error {
    let (problem, advice) = match error {
        ffmpeg::Error::InvalidData => (
            "not a media file that can be read, or its head is damaged (an mp4 without its index looks like this)"
                .to_owned(),
            "check it with ffprobe; recordings cut off while writing can often be mended with untrunc",
        ),
        ffmpeg::Error::Other { errno: errno::EINVAL } => (
            "a format that is not opened: playlists and the like make other files and addresses be read".to_owned(),
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

/// Tells libav, and OpenCV's use of it, to keep quiet: what matters comes back as errors and counts.
pub(crate) fn quiet() {
    // SAFETY: libav takes no callback as "log nowhere". A level instead would be raised again by OpenCV.
    #[expect(unsafe_code, reason = "the wrapper sets levels alone")]
    unsafe {
        ffi::av_log_set_callback(None);
    }
}

/// The libav version that the program runs with: `avformat 59.27.100`.
#[must_use]
pub fn version() -> String {
    let v = ffmpeg::format::version();
    format!("libavformat {}.{}.{}", v >> 16, v >> 8 & 0xff, v & 0xff)
}

/// A C string of a container as text, whatever bytes it holds.
///
/// # Safety
/// `text` is null or points at a string that ends in NUL.
#[expect(unsafe_code, reason = "the wrapper takes unchecked bytes for UTF-8")]
unsafe fn lossy(text: *const std::ffi::c_char) -> Option<String> {
    // SAFETY: not null here, and the caller says that it ends in NUL.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().trim().to_owned())
}
