//! Encoding sound as FLAC into a file.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::ChannelLayout;
use ffmpeg_the_third::format::Sample;
use ffmpeg_the_third::format::sample::Type;

use super::{errno, lower_first};
use crate::error::{Error, Result};

/// Channels that FLAC has at most.
const MAX_CHANNELS: u16 = 8;

/// Samples a second that FLAC's head can hold at most.
const MAX_RATE_HZ: u32 = 655_350;

/// Writes 16-bit samples to a FLAC file as they come.
pub(crate) struct FlacWriter {
    name: String,
    output: ffmpeg::format::context::Output,
    encoder: ffmpeg::encoder::Audio,
    rate_hz: u32,
    channels: u16,
    /// Frames of one packet.
    packet_frames: usize,
    /// Interleaved samples that do not fill a packet yet.
    pending: Vec<i16>,
    n_frames: u64,
}

impl FlacWriter {
    /// Begins a file; one that is there is overwritten.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for more channels or a higher rate than FLAC has, or where libav was built without its
    /// encoder, [`Error::Io`].
    pub(crate) fn create(path: &Path, rate_hz: u32, channels: u16) -> Result<Self> {
        let name = path.display().to_string();
        if channels > MAX_CHANNELS || rate_hz > MAX_RATE_HZ {
            let problem = format!("FLAC does not hold {channels} channels at {rate_hz} Hz");
            return Err(Error::unsupported(name, problem, "write WAV, or ask for --channels 2"));
        }
        super::quiet();
        let mut url = b"file:".to_vec();
        url.extend_from_slice(path.as_os_str().as_bytes());
        let opened = (|| {
            let mut output = ffmpeg::format::output_as(std::ffi::OsStr::from_bytes(&url), "flac")?;
            let codec = ffmpeg::encoder::find(ffmpeg::codec::Id::FLAC).ok_or(ffmpeg::Error::EncoderNotFound)?;
            let mut encoder = ffmpeg::codec::Context::new_with_codec(codec).encoder().audio()?;
            encoder.set_rate(rate_hz as i32);
            encoder.set_format(Sample::I16(Type::Packed));
            encoder.set_ch_layout(ChannelLayout::default_for_channels(u32::from(channels)));
            encoder.set_time_base((1, rate_hz as i32));
            let encoder = encoder.open()?;
            let mut stream = output.add_stream(codec)?;
            stream.set_time_base((1, rate_hz as i32));
            stream.copy_parameters_from_context(&encoder);
            output.write_header()?;
            Ok((output, encoder))
        })();
        let (output, encoder) = opened.map_err(|e| failed(&name, e))?;
        let packet_frames = (encoder.frame_size() as usize).clamp(16, 65_535);
        Ok(Self { name, output, encoder, rate_hz, channels, packet_frames, pending: Vec::new(), n_frames: 0 })
    }

    /// Appends interleaved samples, whole frames of them.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn write(&mut self, samples: impl Iterator<Item = i16>) -> Result<()> {
        self.pending.extend(samples);
        let n_packet = self.packet_frames * usize::from(self.channels);
        let mut pending = std::mem::take(&mut self.pending);
        let mut packets = pending.chunks_exact(n_packet);
        for packet in &mut packets {
            self.encode(packet)?;
        }
        let n_rest = packets.remainder().len();
        pending.drain(..pending.len() - n_rest);
        self.pending = pending;
        Ok(())
    }

    /// Completes the file and its head; the number of samples in one channel.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn finish(mut self) -> Result<u64> {
        let rest = std::mem::take(&mut self.pending);
        if !rest.is_empty() {
            self.encode(&rest)?;
        }
        let name = self.name.clone();
        self.encoder.send_eof().map_err(|e| failed(&name, e))?;
        self.drain()?;
        self.output.write_trailer().map_err(|e| failed(&name, e))?;
        Ok(self.n_frames)
    }

    fn encode(&mut self, samples: &[i16]) -> Result<()> {
        let n_frames = samples.len() / usize::from(self.channels);
        let mut frame = ffmpeg::frame::Audio::empty();
        frame.set_format(Sample::I16(Type::Packed));
        frame.set_samples(n_frames);
        frame.set_ch_layout(ChannelLayout::default_for_channels(u32::from(self.channels)));
        frame.set_rate(self.rate_hz);
        frame.set_pts(Some(self.n_frames as i64));
        // SAFETY: the frame is ours, without a buffer so far, its format, length and layout just set.
        #[expect(unsafe_code, reason = "the wrapper allocates by channel mask alone")]
        let code = unsafe { ffmpeg::ffi::av_frame_get_buffer(frame.as_mut_ptr(), 0) };
        if code < 0 {
            return Err(failed(&self.name, ffmpeg::Error::from(code)));
        }
        for (bytes, sample) in frame.data_mut(0).chunks_exact_mut(2).zip(samples) {
            bytes.copy_from_slice(&sample.to_ne_bytes());
        }
        self.encoder.send_frame(&frame).map_err(|e| failed(&self.name, e))?;
        self.n_frames += n_frames as u64;
        self.drain()
    }

    /// Writes the packets that are ready.
    fn drain(&mut self) -> Result<()> {
        let mut packet = ffmpeg::Packet::empty();
        loop {
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {
                    packet.set_stream(0);
                    packet.write_interleaved(&mut self.output).map_err(|e| failed(&self.name, e))?;
                }
                Err(ffmpeg::Error::Eof | ffmpeg::Error::Other { errno: errno::EAGAIN }) => return Ok(()),
                Err(e) => return Err(failed(&self.name, e)),
            }
        }
    }
}

fn failed(name: &str, error: ffmpeg::Error) -> Error {
    match error {
        ffmpeg::Error::Other { errno } => Error::io(Path::new(name), std::io::Error::from_raw_os_error(errno)),
        other => {
            let problem = format!("FLAC cannot be written: {}", lower_first(&other.to_string()));
            Error::unsupported(name, problem, "write WAV with --format wav").because(other)
        }
    }
}
