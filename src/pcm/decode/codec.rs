//! Which codecs Symphonia decodes, and their parameters in its form.

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::well_known as id;
use symphonia::core::codecs::audio::{AudioCodecId, AudioCodecParameters};

use crate::libav::CodecParameters;

/// The 12 bytes before the cookie in libav's extradata of ALAC: the head of the `alac` atom and its version.
const ALAC_ATOM_BYTES: usize = 12;

/// The marker, the block header and the STREAMINFO block of FLAC (RFC 9639, section 8).
const FLAC_MARKER: &[u8] = b"fLaC";
const FLAC_HEADER_BYTES: usize = 8;
const FLAC_STREAMINFO_BYTES: usize = 34;

/// Symphonia's parameters for a stream.
///
/// # Errors
/// The reason why libav decodes the codec.
pub(super) fn parameters(stream: &CodecParameters) -> Result<AudioCodecParameters, String> {
    let n_channels = stream.speakers.len();
    let codec = codec_id(stream.codec, n_channels)?;
    let mut parameters = AudioCodecParameters::new();
    parameters.for_codec(codec);
    if stream.rate_hz > 0 {
        parameters.with_sample_rate(stream.rate_hz);
    }
    parameters.with_channels(Channels::Discrete(n_channels as u16));
    if let Some(n_frames) = frames_per_block(codec, stream.block_bytes, n_channels) {
        parameters.with_frames_per_block(n_frames).with_max_frames_per_packet(n_frames);
    }
    let extradata = extradata(codec, &stream.extradata);
    if !extradata.is_empty() {
        parameters.with_extra_data(extradata.into());
    }
    Ok(parameters)
}

/// The codecs whose samples are the same as those of libav's decoder; `tests/it/audio_pairs.rs` compares them.
fn codec_id(codec: &str, n_channels: usize) -> Result<AudioCodecId, String> {
    Ok(match codec {
        "adpcm_ima_qt" => id::CODEC_ID_ADPCM_IMA_QT,
        "adpcm_ima_wav" => id::CODEC_ID_ADPCM_IMA_WAV,
        "adpcm_ms" => id::CODEC_ID_ADPCM_MS,
        "alac" => id::CODEC_ID_ALAC,
        "flac" => id::CODEC_ID_FLAC,
        "mp3" => id::CODEC_ID_MP3,
        "pcm_alaw" => id::CODEC_ID_PCM_ALAW,
        "pcm_f32be" => id::CODEC_ID_PCM_F32BE,
        "pcm_f32le" => id::CODEC_ID_PCM_F32LE,
        "pcm_f64be" => id::CODEC_ID_PCM_F64BE,
        "pcm_f64le" => id::CODEC_ID_PCM_F64LE,
        "pcm_mulaw" => id::CODEC_ID_PCM_MULAW,
        "pcm_s16be" => id::CODEC_ID_PCM_S16BE,
        "pcm_s16le" => id::CODEC_ID_PCM_S16LE,
        "pcm_s24be" => id::CODEC_ID_PCM_S24BE,
        "pcm_s24le" => id::CODEC_ID_PCM_S24LE,
        "pcm_s32be" => id::CODEC_ID_PCM_S32BE,
        "pcm_s32le" => id::CODEC_ID_PCM_S32LE,
        "pcm_s8" => id::CODEC_ID_PCM_S8,
        "pcm_u8" => id::CODEC_ID_PCM_U8,
        "vorbis" if n_channels > 2 => {
            return Err("Symphonia decodes more than two channels of Vorbis wrongly".to_owned());
        }
        "vorbis" => id::CODEC_ID_VORBIS,
        // Whether a stream is HE-AAC is often known from its packets alone.
        "aac" => return Err("Symphonia decodes neither HE-AAC nor more than two channels of AAC".to_owned()),
        // By up to one 16-bit step.
        "mp2" => return Err("Symphonia's samples of MPEG layer 2 differ from libav's".to_owned()),
        _ => return Err("Symphonia has no decoder for it".to_owned()),
    })
}

/// Frames of one block of ADPCM; None for the other codecs.
pub(super) fn frames_per_block(codec: AudioCodecId, block_bytes: usize, n_channels: usize) -> Option<u64> {
    // The header of each channel holds its first one or two samples; 4 bits for each of the rest.
    let n_frames = |header: usize, n_first: usize| {
        let bytes = block_bytes.checked_sub(header * n_channels)?;
        Some((bytes * 2 / n_channels + n_first) as u64)
    };
    match codec {
        id::CODEC_ID_ADPCM_MS => n_frames(7, 2),
        id::CODEC_ID_ADPCM_IMA_WAV => n_frames(4, 1),
        id::CODEC_ID_ADPCM_IMA_QT => n_frames(2, 0),
        _ => None,
    }
}

/// libav's extradata in Symphonia's form.
fn extradata(codec: AudioCodecId, data: &[u8]) -> &[u8] {
    match codec {
        id::CODEC_ID_ALAC => data.get(ALAC_ATOM_BYTES..).unwrap_or_default(),
        id::CODEC_ID_FLAC => {
            let data = if data.starts_with(FLAC_MARKER) { data.get(FLAC_HEADER_BYTES..) } else { Some(data) };
            data.and_then(|data| data.get(..FLAC_STREAMINFO_BYTES)).unwrap_or_default()
        }
        _ => data,
    }
}
