//! The frames of an animated WebP file and their times, from its chunks (RFC 9649). libav does not read animations.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Shorter frames are shown for 100 ms, as browsers do: 0 stands for "as fast as possible" in many old files.
const MIN_MILLIS: u32 = 11;
const SHORT_MILLIS: u32 = 100;
/// Bytes of a frame's chunk before its picture.
const FRAME_HEAD: u32 = 16;
/// Later chunks are not read. This is enough for nine hours at 30 fps.
const MAX_CHUNKS: usize = 1_000_000;

/// An animation of two frames or more.
#[derive(Clone, Debug)]
pub(crate) struct WebpAnimation {
    /// Width and height of the canvas in pixels.
    pub size: (u32, u32),
    /// The frames that the file holds completely.
    pub frames: Vec<AnimationFrame>,
    /// The time after the last frame, in ms.
    pub end_millis: i64,
}

/// One frame: a picture that is drawn into the canvas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AnimationFrame {
    /// When it is shown, in ms from the first.
    pub start_millis: i64,
    /// Where its left upper corner is drawn.
    pub place: (u32, u32),
    /// Its width and height.
    pub size: (u32, u32),
    /// Whether it is blended with the canvas; otherwise it replaces that part of it.
    pub is_blended: bool,
    /// Whether its part of the canvas is cleared before the next frame.
    pub is_disposed: bool,
    /// Whether nothing of the frames before is visible.
    pub is_key: bool,
    /// The kind of the first chunk of its picture.
    first_chunk: [u8; 4],
    /// The chunks of its picture: the first byte in the file, and how many.
    chunks: (u64, u32),
}

impl WebpAnimation {
    /// The animation in a file; None if the file is not an animated WebP or has fewer than two frames.
    pub fn open(path: &Path) -> Option<Self> {
        let mut file = BufReader::new(File::open(path).ok()?);
        let n_file_bytes = file.get_ref().metadata().ok()?.len();
        let mut head = [0; 30];
        file.read_exact(&mut head).ok()?;
        let is_animated = head.starts_with(b"RIFF") && &head[8..16] == b"WEBPVP8X" && head[20] & 2 != 0;
        if !is_animated {
            return None;
        }
        let n_riff_bytes = 8 + u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
        let file_end = n_file_bytes.min(n_riff_bytes);
        let size = (u24(&head[24..]) + 1, u24(&head[27..]) + 1);
        let mut animation = Self { size, frames: Vec::new(), end_millis: 0 };
        let mut at = 20 + padded(u32::from_le_bytes([head[16], head[17], head[18], head[19]]));
        let mut chunk = [0; 8 + FRAME_HEAD as usize + 4];
        let mut position = head.len() as u64;
        for _ in 0..MAX_CHUNKS {
            if at + 8 > file_end {
                break;
            }
            // Unlike `seek`, this keeps what is buffered.
            file.seek_relative(at.cast_signed() - position.cast_signed()).ok()?;
            let n_read = chunk.len().min((file_end - at) as usize);
            file.read_exact(&mut chunk[..n_read]).ok()?;
            position = at + n_read as u64;
            let n_bytes = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
            let end = at + 8 + u64::from(n_bytes);
            if chunk.starts_with(b"ANMF") && n_read == chunk.len() && n_bytes > FRAME_HEAD && end <= file_end {
                animation.push(&chunk[8..], (at + 8 + u64::from(FRAME_HEAD), n_bytes - FRAME_HEAD));
            }
            at += 8 + padded(n_bytes);
        }
        (animation.frames.len() > 1).then_some(animation)
    }

    /// Adds the frame whose chunk has this head; `chunks` is where its picture is.
    fn push(&mut self, head: &[u8], chunks: (u64, u32)) {
        let place = (u24(head) * 2, u24(&head[3..]) * 2);
        let size = (u24(&head[6..]) + 1, u24(&head[9..]) + 1);
        let (is_blended, is_disposed) = (head[15] & 2 == 0, head[15] & 1 != 0);
        let covers_all = place == (0, 0) && size == self.size;
        let first_chunk = [head[16], head[17], head[18], head[19]];
        self.frames.push(AnimationFrame {
            start_millis: self.end_millis,
            place,
            size,
            is_blended,
            is_disposed,
            is_key: self.frames.is_empty() || covers_all && (&first_chunk == b"VP8 " || !is_blended),
            first_chunk,
            chunks,
        });
        let millis = u24(&head[12..]);
        self.end_millis += i64::from(if millis < MIN_MILLIS { SHORT_MILLIS } else { millis });
    }
}

impl AnimationFrame {
    /// Its picture as a WebP file of its own.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn picture(&self, file: &mut File) -> std::io::Result<Vec<u8>> {
        let (at, n_bytes) = self.chunks;
        let mut picture = Vec::with_capacity(n_bytes as usize + 30);
        picture.extend_from_slice(b"RIFF\0\0\0\0WEBP");
        // The transparency of a lossy picture has a chunk of its own, which must be announced.
        if &self.first_chunk == b"ALPH" {
            picture.extend_from_slice(b"VP8X\x0a\0\0\0\x10\0\0\0");
            for side in [self.size.0, self.size.1] {
                picture.extend_from_slice(&(side - 1).to_le_bytes()[..3]);
            }
        }
        file.seek(SeekFrom::Start(at))?;
        file.take(u64::from(n_bytes)).read_to_end(&mut picture)?;
        let n_riff = (picture.len() - 8) as u32;
        picture[4..8].copy_from_slice(&n_riff.to_le_bytes());
        Ok(picture)
    }
}

fn u24(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0])
}

/// Chunks are filled up to an even size.
fn padded(n_bytes: u32) -> u64 {
    u64::from(n_bytes) + u64::from(n_bytes % 2)
}
