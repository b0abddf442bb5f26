//! libav's log messages. None is printed. Messages about missing or damaged data are counted if libav reports it in no
//! other way: a decoder substitutes another picture for a missing reference, and a demultiplexer skips a damaged page.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};

use ffmpeg_the_third::ffi;

/// Prefixes of the counted messages.
const COUNTED: [&str; 10] = [
    // H.264
    "reference picture missing",
    "Missing reference picture",
    "co located POCs unavailable",
    // HEVC
    "Could not find ref with POC",
    // MPEG-4, H.263, WMV
    "warning: first frame is no keyframe",
    // WMV
    "ac-tex damaged",
    "Error at MB",
    // VP9
    "Not all references are available",
    // Ogg, Matroska
    "CRC mismatch",
    "Invalid track number",
];

thread_local! {
    static N_COUNTED: Cell<u64> = const { Cell::new(0) };
}

/// Number of messages about missing data, from calls of libav on this thread.
pub(super) fn n_counted() -> u64 {
    N_COUNTED.get()
}

/// Keeps libav from printing, also when OpenCV uses it.
pub(crate) fn quiet() {
    // SAFETY: `count` is a function of the type that libav asks for. OpenCV would reset a log level.
    #[expect(unsafe_code, reason = "the wrapper sets only levels")]
    unsafe {
        ffi::av_log_set_callback(Some(count));
    }
}

/// The type of the arguments differs between platforms; they are not read.
extern "C" fn count<Arguments>(_: *mut c_void, level: c_int, format: *const c_char, _: Arguments) {
    if level > ffi::AV_LOG_ERROR || format.is_null() {
        return;
    }
    // SAFETY: libav passes the format as a string that ends in NUL.
    #[expect(unsafe_code, reason = "the message is a C string")]
    let format = unsafe { CStr::from_ptr(format) }.to_bytes();
    if COUNTED.iter().any(|begin| format.starts_with(begin.as_bytes())) {
        N_COUNTED.set(N_COUNTED.get() + 1);
    }
}
