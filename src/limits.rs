//! Limits for hostile or huge inputs: a run that exceeds one fails with [`ErrorKind::Limit`](crate::ErrorKind::Limit).

use crate::error::{Error, Result};

/// A longer duration is taken for damage, in seconds: a day.
pub(crate) const MAX_STATED_SECONDS: i64 = 86_400;

/// The limits of one run. [`Limits::default`] is safe on a machine with 2 GB of memory.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Pixels of one decoded frame, width times height.
    pub max_pixels: u64,
    /// Streams of one container.
    pub max_streams: usize,
    /// Bytes of a file that is read completely to index its frames; for a larger file the container's own index is used,
    /// if it has one.
    pub max_scan_bytes: u64,
    /// Sample points of one plan.
    pub max_frames: usize,
    /// Bytes of all encoded images that are kept in memory until they are sent.
    pub max_kept_image_bytes: u64,
    /// Frames per request; more are split into several requests.
    pub max_request_frames: usize,
    /// Bytes of all encoded images of one request, before Base64.
    pub max_request_image_bytes: u64,
    /// Bytes of all audio of one request, before Base64.
    pub max_request_sound_bytes: u64,
    /// Bytes of one subtitle file or of all text of one subtitle stream.
    pub max_subtitle_bytes: u64,
    /// Bytes of what is downloaded from a site into a temporary folder.
    pub max_download_bytes: u64,
    /// Bytes of one response of a server.
    pub max_reply_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Two 8K frames.
            max_pixels: 67_108_864,
            max_streams: 256,
            max_scan_bytes: 4 << 30,
            max_frames: 200_000,
            // About 3,000 frames of 768 by 432 pixels.
            max_kept_image_bytes: 256 << 20,
            // OpenAI accepts 500 images and about 50 MB of them in one request.
            max_request_frames: 500,
            max_request_image_bytes: 36_000_000,
            // Five minutes of 16 kHz mono and a margin: Gemini accepts 20 MB in one request.
            max_request_sound_bytes: 10_000_000,
            max_subtitle_bytes: 16 << 20,
            // A day at 720p and 100 kB/s.
            max_download_bytes: 8 << 30,
            max_reply_bytes: 16 << 20,
        }
    }
}

impl Limits {
    /// Whether an image has more than [`Limits::max_pixels`].
    #[must_use]
    pub fn exceeds_pixels(&self, width: u32, height: u32) -> bool {
        u64::from(width) * u64::from(height) > self.max_pixels
    }

    /// As [`Limits::check_pixels`], but allows 8 times as many pixels: a JPEG can be decoded at a reduced size.
    ///
    /// # Errors
    /// As [`Limits::check_pixels`].
    pub fn check_jpeg_pixels(&self, name: &str, width: u32, height: u32) -> Result<()> {
        Self { max_pixels: self.max_pixels.saturating_mul(8), ..*self }.check_pixels(name, width, height)
    }

    /// Rejects an image whose declared size would not fit in memory; `name` is the input in the error.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`](crate::ErrorKind::Limit) above [`Limits::max_pixels`];
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if a side is 0.
    pub fn check_pixels(&self, name: &str, width: u32, height: u32) -> Result<()> {
        let claim = format!("declares an image of {width}x{height} pixels");
        if width == 0 || height == 0 {
            return Err(Error::malformed(name, claim, "check it with ffprobe"));
        }
        if self.exceeds_pixels(width, height) {
            let problem = format!("{claim}; at most {} are decoded", self.max_pixels);
            return Err(Error::limit(name, problem, "scale it down with another tool first"));
        }
        Ok(())
    }
}
