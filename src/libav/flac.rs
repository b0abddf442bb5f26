//! Encoding FLAC: 16-bit samples to frames, through libavcodec.

use ffmpeg_the_third as ffmpeg;
use ffmpeg_the_third::format::Sample;
use ffmpeg_the_third::format::sample::Type;
use ffmpeg_the_third::packet::side_data;
use ffmpeg_the_third::{ChannelLayout, ChannelLayoutMask};

use super::{errno, lower_first};
use crate::advice::{Advice, Setting};
use crate::error::{Error, Result};

/// Length of the block that says what the stream holds, without its header (RFC 9639, section 8.2).
pub(crate) const STREAMINFO_BYTES: usize = 34;

/// Samples to FLAC frames.
pub(crate) struct FlacEncoder {
    encoder: ffmpeg::encoder::audio::Encoder,
    layout: ChannelLayoutMask,
    channels: usize,
    rate_hz: u32,
    /// Interleaved; less than one block.
    pending: Vec<i16>,
    /// Samples in one channel so far.
    n_samples: i64,
    stream_info: Option<[u8; STREAMINFO_BYTES]>,
}

impl FlacEncoder {
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where FLAC cannot hold this, or libav has no encoder for it.
    pub(crate) fn new(rate_hz: u32, channels: u16) -> Result<Self> {
        super::quiet();
        if !(1..=8).contains(&channels) {
            let problem = format!("{channels} channels do not fit in a FLAC file, which holds 8");
            return Err(Error::unsupported(
                "flac",
                problem,
                Advice::SetTo(Setting::AudioFormat, "wav".into()).or(Advice::SetTo(Setting::AudioChannels, "2".into())),
            ));
        }
        let refused = |error: ffmpeg::Error| match error {
            ffmpeg::Error::Other { errno: errno::EINVAL } => {
                let problem = format!("{rate_hz} Hz cannot be written as FLAC");
                Error::unsupported(
                    "flac",
                    problem,
                    Advice::SetTo(Setting::AudioFormat, "wav".into())
                        .or(Advice::SetTo(Setting::AudioRate, "48000".into())),
                )
            }
            other => failed(other),
        };
        let codec = ffmpeg::encoder::find(ffmpeg::codec::Id::FLAC).ok_or_else(|| {
            Error::unsupported(
                "flac",
                "this FFmpeg has no encoder for it",
                Advice::SetTo(Setting::AudioFormat, "wav".into()),
            )
        })?;
        let context = ffmpeg::codec::Context::new_with_codec(codec);
        let mut settings = context.encoder().audio().map_err(refused)?;
        let layout = ChannelLayoutMask::default(channels.into());
        settings.set_rate(rate_hz as i32);
        settings.set_format(Sample::I16(Type::Packed));
        settings.set_ch_layout(ChannelLayout::from_mask(layout).unwrap_or(ChannelLayout::unspecified(channels.into())));
        settings.set_time_base((1, rate_hz as i32));
        let encoder = settings.open_as(codec).map_err(refused)?;
        let channels = usize::from(channels);
        Ok(Self { encoder, layout, channels, rate_hz, pending: Vec::new(), n_samples: 0, stream_info: None })
    }

    /// Takes interleaved samples and appends the frames that are ready to `out`.
    pub(crate) fn push(&mut self, samples: impl IntoIterator<Item = i16>, out: &mut Vec<u8>) -> Result<()> {
        self.pending.extend(samples);
        let n_block = self.encoder.frame_size() as usize * self.channels;
        let mut pending = std::mem::take(&mut self.pending);
        let mut blocks = pending.chunks_exact(n_block);
        for block in blocks.by_ref() {
            self.encode(block, out)?;
        }
        let n_used = pending.len() - blocks.remainder().len();
        pending.drain(..n_used);
        self.pending = pending;
        Ok(())
    }

    /// Appends the last frames to `out`; gives what the file's head must say.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) -> Result<[u8; STREAMINFO_BYTES]> {
        let pending = std::mem::take(&mut self.pending);
        if !pending.is_empty() {
            self.encode(&pending, out)?;
        }
        self.encoder.send_eof().map_err(failed)?;
        self.receive(out)?;
        self.stream_info.ok_or_else(|| Error::unsupported("flac", "the encoder does not say what it wrote", ""))
    }

    fn encode(&mut self, block: &[i16], out: &mut Vec<u8>) -> Result<()> {
        let n_samples = block.len() / self.channels;
        let mut frame = ffmpeg::frame::Audio::new(Sample::I16(Type::Packed), n_samples, self.layout);
        // SAFETY: the frame is valid while borrowed.
        #[expect(unsafe_code, reason = "the wrapper does not say whether there was memory for the samples")]
        let has_room = unsafe { !(*frame.as_ptr()).data[0].is_null() };
        if !has_room {
            return Err(Error::limit("flac", "there is no memory for a block of samples", ""));
        }
        frame.set_rate(self.rate_hz);
        frame.set_pts(Some(self.n_samples));
        for (place, sample) in frame.data_mut(0).chunks_exact_mut(2).zip(block) {
            place.copy_from_slice(&sample.to_ne_bytes());
        }
        self.n_samples += n_samples as i64;
        self.encoder.send_frame(&frame).map_err(failed)?;
        self.receive(out)
    }

    fn receive(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let mut packet = ffmpeg::Packet::empty();
        loop {
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => {
                    out.extend_from_slice(packet.data().unwrap_or_default());
                    let head = packet.side_data().find(|data| data.kind() == side_data::Type::NewExtraData);
                    if let Some(head) = head.and_then(|head| head.data().try_into().ok()) {
                        self.stream_info = Some(head);
                    }
                }
                Err(ffmpeg::Error::Eof | ffmpeg::Error::Other { errno: errno::EAGAIN }) => return Ok(()),
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

fn failed(error: ffmpeg::Error) -> Error {
    let problem = format!("the encoder failed: {}", lower_first(&error.to_string()));
    Error::unsupported("flac", problem, Advice::SetTo(Setting::AudioFormat, "wav".into()))
}
