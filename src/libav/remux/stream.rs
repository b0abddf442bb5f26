//! The streams of a copy: facts, tags and side data of those of the input.

use std::ffi::{CStr, c_int};

use ffmpeg_the_third::ffi;
use ffmpeg_the_third::format::context::Output;
use ffmpeg_the_third::format::stream::{Disposition, Stream};

use crate::libav::{Demuxer, lossy};

/// Why a stream cannot be added.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AddError {
    NoMemory,
    /// The stream is a cover without a picture.
    NoPicture,
}

/// Copies the facts of a stream; its picture too, as a file, if `as_attachment`.
pub(super) fn add_stream(output: &mut Output, from: &Stream<'_>, as_attachment: bool) -> Result<(), AddError> {
    // SAFETY: `from` is a stream of an open container, `to` the new one, which is not null; both have parameters. The side
    // data have the size that was asked for.
    #[expect(unsafe_code, reason = "the wrapper copies neither dispositions nor side data")]
    unsafe {
        let to = ffi::avformat_new_stream(output.as_mut_ptr(), std::ptr::null()).as_mut().ok_or(AddError::NoMemory)?;
        let source = &*from.as_ptr();
        let parameters = &mut *to.codecpar;
        if ffi::avcodec_parameters_copy(parameters, source.codecpar) < 0 {
            return Err(AddError::NoMemory);
        }
        if !keeps_tag(output, parameters) {
            parameters.codec_tag = 0;
        }
        to.time_base = source.time_base;
        to.avg_frame_rate = source.avg_frame_rate;
        to.r_frame_rate = source.r_frame_rate;
        to.sample_aspect_ratio = source.sample_aspect_ratio;
        to.disposition = source.disposition;
        ffi::av_dict_copy(&raw mut to.metadata, source.metadata, 0);
        if as_attachment {
            return attach(to, source);
        }
        for side in from.side_data() {
            let data = side.data();
            let place = ffi::av_stream_new_side_data(to, side.kind().into(), data.len());
            if place.is_null() {
                return Err(AddError::NoMemory);
            }
            std::ptr::copy_nonoverlapping(data.as_ptr(), place, data.len());
        }
    }
    Ok(())
}

/// Turns the stream `to` into an attached file with the picture of `source`.
///
/// # Safety
/// Both are streams of open containers.
#[expect(unsafe_code, reason = "the wrapper has no attachments")]
unsafe fn attach(to: &mut ffi::AVStream, source: &ffi::AVStream) -> Result<(), AddError> {
    const PADDING: usize = ffi::AV_INPUT_BUFFER_PADDING_SIZE as usize;
    let picture = &source.attached_pic;
    let size = usize::try_from(picture.size).ok().filter(|size| *size > 0 && !picture.data.is_null());
    let size = size.ok_or(AddError::NoPicture)?;
    // SAFETY: the caller's stream has parameters.
    let (name, kind) = match unsafe { (*source.codecpar).codec_id } {
        ffi::AVCodecID::PNG => (c"cover.png", c"image/png"),
        ffi::AVCodecID::BMP => (c"cover.bmp", c"image/bmp"),
        ffi::AVCodecID::GIF => (c"cover.gif", c"image/gif"),
        _ => (c"cover.jpg", c"image/jpeg"),
    };
    // SAFETY: the buffer is `size` bytes and padding; the parameters own it and free it with libav's allocator.
    unsafe {
        let parameters = &mut *to.codecpar;
        let buffer = ffi::av_mallocz(size + PADDING).cast::<u8>();
        if buffer.is_null() {
            return Err(AddError::NoMemory);
        }
        std::ptr::copy_nonoverlapping(picture.data, buffer, size);
        ffi::av_freep((&raw mut parameters.extradata).cast());
        parameters.extradata = buffer;
        parameters.extradata_size = picture.size;
        parameters.codec_type = ffi::AVMediaType::ATTACHMENT;
        let missing = ffi::AV_DICT_DONT_OVERWRITE as c_int;
        ffi::av_dict_set(&raw mut to.metadata, c"filename".as_ptr(), name.as_ptr(), missing);
        ffi::av_dict_set(&raw mut to.metadata, c"mimetype".as_ptr(), kind.as_ptr(), missing);
    }
    Ok(())
}

/// Whether the tag that the input gives a codec means the same in the output (`fftools/ffmpeg.c`).
#[expect(unsafe_code, reason = "the wrapper has no tables of tags")]
fn keeps_tag(output: &Output, parameters: &ffi::AVCodecParameters) -> bool {
    let mut expected = 0;
    // SAFETY: the format is static, and its tables are null or end as libav expects.
    unsafe {
        let tables = (*(*output.as_ptr()).oformat).codec_tag;
        tables.is_null()
            || ffi::av_codec_get_id(tables, parameters.codec_tag) == parameters.codec_id
            || ffi::av_codec_get_tag2(tables, parameters.codec_id, &raw mut expected) == 0
    }
}

/// The four letters by which the input names a stream's codec.
pub(super) fn tag_of(stream: &Stream<'_>) -> [u8; 4] {
    // SAFETY: the parameters belong to the open stream.
    #[expect(unsafe_code, reason = "the wrapper does not expose tags")]
    unsafe {
        (*(*stream.as_ptr()).codecpar).codec_tag.to_le_bytes()
    }
}

/// Whether a stream has the pictures of the input's chapters.
pub(super) fn is_chapter_picture(stream: &Stream<'_>) -> bool {
    // SAFETY: the stream belongs to the open container.
    #[expect(unsafe_code, reason = "the wrapper does not name this disposition")]
    let disposition = unsafe { (*stream.as_ptr()).disposition };
    disposition & ffi::AV_DISPOSITION_TIMED_THUMBNAILS as c_int != 0
}

/// What a stream without a codec holds, in short.
pub(super) fn name_of(stream: &Stream<'_>) -> String {
    if stream.disposition().contains(Disposition::ATTACHED_PIC) {
        return "cover picture".to_owned();
    }
    let tag = tag_of(stream);
    if tag.iter().all(u8::is_ascii_graphic) {
        return String::from_utf8_lossy(&tag).into_owned();
    }
    stream.parameters().id().name().to_owned()
}

/// The names of the tags of `input` that `copy` does not have, without those in `ignored`.
pub(super) fn lost_tags(input: &Demuxer, copy: &Demuxer, ignored: &[&CStr]) -> Vec<String> {
    let mut lost = Vec::new();
    // SAFETY: both containers are open and not changed; an empty key with this flag walks through a dictionary, which may be
    // null, and entries hold strings that end in NUL.
    #[expect(unsafe_code, reason = "the wrapper assumes that tags are valid UTF-8")]
    unsafe {
        let (from, to) = ((*input.input.as_ptr()).metadata, (*copy.input.as_ptr()).metadata);
        let mut entry = std::ptr::null_mut();
        loop {
            entry = ffi::av_dict_get(from, c"".as_ptr(), entry, ffi::AV_DICT_IGNORE_SUFFIX as c_int);
            let Some(found) = entry.as_ref() else { break };
            let is_ignored = ignored.iter().any(|name| *name == CStr::from_ptr(found.key));
            if !is_ignored && ffi::av_dict_get(to, found.key, std::ptr::null(), 0).is_null() {
                lost.extend(lossy(found.key));
            }
        }
    }
    lost
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::limits::Limits;

    #[test]
    fn a_cover_without_a_picture_is_told_from_a_lack_of_memory() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let folder = tempfile::tempdir().expect("a folder");
        for (name, is_cover, added) in [("cover.mp3", true, Ok(())), ("talk.mp4", false, Err(AddError::NoPicture))] {
            let demuxer = Demuxer::open(&fixtures.join(name), &Limits::default()).expect(name);
            let mut output =
                ffmpeg_the_third::format::output_as(folder.path().join("copy.mkv"), "matroska").expect("a muxer");
            let stream = demuxer.input.streams().find(|stream| {
                let is_video = stream.parameters().medium() == ffmpeg_the_third::media::Type::Video;
                is_video && stream.disposition().contains(Disposition::ATTACHED_PIC) == is_cover
            });
            assert_eq!(add_stream(&mut output, &stream.expect(name), true), added, "{name}");
        }
    }
}
