//! Measures audio: loudness, peaks, silences, and ranges of speech, music and other sounds.

mod classify;
mod silence;

use ebur128::{Channel, EbuR128, Mode};

use crate::audio_facts::{AudioFacts, SoundKind, SoundStretch};
use crate::error::{Error, Result};
use crate::pcm::{AudioBlock, AudioReader, ChannelRole, Downmixer, Resampler};
use crate::time::{TimeBase, TimeRange, Timestamp};
use classify::{Listener, RATE_HZ};
use silence::Silence;

/// The absolute gate of the loudness measure (ITU-R BS.1770-4): there is no value at or below it.
const GATE_LUFS: f64 = -70.0;

/// Measures the rest of `reader`. Open it with the stored rate and channels, on which loudness is defined.
///
/// # Errors
/// The reader's own, and [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for an unsupported number of channels.
pub fn measure(reader: &mut AudioReader) -> Result<AudioFacts> {
    measure_with(reader, |_| ())
}

/// As [`measure`], and passes each block to `also`, so that plots need no second decoding.
///
/// # Errors
/// As [`measure`].
pub fn measure_with(reader: &mut AudioReader, mut also: impl FnMut(&AudioBlock)) -> Result<AudioFacts> {
    let (rate_hz, channels, start) = (reader.rate_hz(), reader.channels(), reader.start());
    let (layout, name) = (reader.layout().to_vec(), reader.name().to_owned());
    let mut meter = meter(&name, rate_hz, &layout)?;
    let mut silence = Silence::new(rate_hz, channels);
    let mut downmixer = Downmixer::new(1);
    let mut resampler = (rate_hz != RATE_HZ).then(|| Resampler::new(rate_hz, RATE_HZ, 1)).transpose()?;
    let mut listener = Listener::new();
    let mut n_samples = 0;
    for block in reader.by_ref() {
        let block = block?;
        meter.add_frames_f32(&block.samples).map_err(|e| unmeasured(&name, e))?;
        silence.hear(&block.samples);
        also(&block);
        let mono = downmixer.mix(&block.samples, &layout);
        n_samples += mono.len() as i64;
        match &mut resampler {
            Some(resampler) => listener.hear(&resampler.push(&mono)?),
            None => listener.hear(&mono),
        }
    }
    if let Some(resampler) = &mut resampler {
        listener.hear(&resampler.finish()?);
    }
    let base = TimeBase::of_rate(rate_hz).unwrap_or(TimeBase::NANOS);
    let range = TimeRange::new(start, start.plus(Timestamp::new(n_samples, base)));
    let loudness_lufs = meter.loudness_global().ok().filter(|lufs| *lufs > GATE_LUFS);
    // The measure takes windows of three seconds, and is 0 without one.
    let has_range = n_samples >= 3 * i64::from(rate_hz);
    let peak = (0..u32::from(channels)).filter_map(|c| meter.true_peak(c).ok()).fold(0.0, f64::max);
    Ok(AudioFacts {
        rate_hz,
        channels,
        loudness_lufs,
        loudness_range_lu: meter.loudness_range().ok().filter(|_| loudness_lufs.is_some() && has_range),
        true_peak_dbtp: (peak > 0.0).then(|| 20.0 * peak.log10()),
        silences: silence.finish(range),
        stretches: stretches(&listener.finish(), range),
        range,
        n_damaged: reader.n_damaged(),
    })
}

fn meter(name: &str, rate_hz: u32, layout: &[ChannelRole]) -> Result<EbuR128> {
    let mut meter = EbuR128::new(layout.len() as u32, rate_hz, Mode::I | Mode::LRA | Mode::TRUE_PEAK)
        .map_err(|e| unmeasured(name, e))?;
    // Surround channels have 1.5 dB more weight, and low-frequency effects none (ITU-R BS.1770-4).
    let weighted = layout.iter().map(|role| match role {
        ChannelRole::Left => Channel::Left,
        ChannelRole::Right => Channel::Right,
        ChannelRole::Centre => Channel::Center,
        ChannelRole::Lfe => Channel::Unused,
        ChannelRole::SurroundLeft | ChannelRole::SurroundCentre => Channel::LeftSurround,
        ChannelRole::SurroundRight => Channel::RightSurround,
        // Height channels, and channels of unnamed layouts.
        ChannelRole::Other => Channel::Up000,
    });
    meter.set_channel_map(&weighted.collect::<Vec<_>>()).map_err(|e| unmeasured(name, e))?;
    Ok(meter)
}

fn unmeasured(name: &str, error: ebur128::Error) -> Error {
    Error::unsupported(name, format!("its loudness cannot be measured: {error}"), "")
}

/// Merges equal classes of consecutive half seconds.
fn stretches(kinds: &[SoundKind], range: TimeRange) -> Vec<SoundStretch> {
    let at = |n: usize| range.start.plus(Timestamp::from_millis(n as i64 * 500)).min(range.end);
    let mut found: Vec<SoundStretch> = Vec::new();
    for (i, kind) in kinds.iter().enumerate() {
        let end = if i + 1 == kinds.len() { range.end } else { at(i + 1) };
        match found.last_mut() {
            Some(last) if last.kind == *kind => last.range.end = end,
            _ => found.push(SoundStretch { range: TimeRange::new(at(i), end), kind: *kind }),
        }
    }
    found.retain(|stretch| stretch.range.length() > Timestamp::ZERO);
    found
}
