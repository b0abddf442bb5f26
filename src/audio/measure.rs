//! What a sound is like: its loudness, its peaks, its silences, and where it is speech, music or something else.

mod classify;
mod loudness_range;
mod silence;

use ebur128::{Channel, EbuR128, Mode};

use crate::audio_facts::{AudioFacts, SoundKind, SoundStretch};
use crate::error::{Error, Result};
use crate::pcm::{AudioBlock, AudioReader, ChannelRole, Downmixer, Resampler};
use crate::time::{TimeBase, TimeRange, Timestamp};
use classify::{Listener, RATE_HZ};
use loudness_range::Spread;
use silence::Silence;

/// Loudness at and below which the measure says nothing: its absolute gate (ITU-R BS.1770-4).
const GATE_LUFS: f64 = -70.0;

/// Listens to all that `reader` still has. Open it as stored, with no other rate or channels: loudness is defined on
/// the stored channels.
///
/// # Errors
/// The reader's own, and [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a number of channels that has no measure.
pub fn measure(reader: &mut AudioReader) -> Result<AudioFacts> {
    measure_with(reader, |_| ())
}

/// As [`measure`], and hands each block to `also` on the way: one decoding is enough for pictures too.
///
/// # Errors
/// As [`measure`].
pub fn measure_with(reader: &mut AudioReader, mut also: impl FnMut(&AudioBlock)) -> Result<AudioFacts> {
    let (rate_hz, channels, start) = (reader.rate_hz(), reader.channels(), reader.start());
    let (layout, name) = (reader.layout().to_vec(), reader.name().to_owned());
    let mut meter = meter(&name, rate_hz, &layout)?;
    let mut spread = Spread::new();
    // Samples of a tenth of a second over all channels.
    let n_in_step = (rate_hz / 10) as usize * usize::from(channels);
    let mut n_to_step = n_in_step;
    let mut silence = Silence::new(rate_hz, channels);
    let mut downmixer = Downmixer::new(1);
    let mut resampler = (rate_hz != RATE_HZ).then(|| Resampler::new(rate_hz, RATE_HZ, 1)).transpose()?;
    let mut listener = Listener::new();
    let mut n_samples = 0;
    for block in reader.by_ref() {
        let block = block?;
        let mut rest = block.samples.as_slice();
        while !rest.is_empty() {
            let part;
            (part, rest) = rest.split_at(rest.len().min(n_to_step));
            meter.add_frames_f32(part).map_err(|e| unmeasured(&name, e))?;
            n_to_step -= part.len();
            if n_to_step == 0 {
                spread.step(meter.loudness_window(100).map_err(|e| unmeasured(&name, e))?);
                n_to_step = n_in_step;
            }
        }
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
    let peak = (0..u32::from(channels)).filter_map(|c| meter.true_peak(c).ok()).fold(0.0, f64::max);
    Ok(AudioFacts {
        rate_hz,
        channels,
        loudness_lufs,
        loudness_range_lu: spread.finish().filter(|_| loudness_lufs.is_some()),
        true_peak_dbtp: (peak > 0.0).then(|| 20.0 * peak.log10()),
        silences: silence.finish(range),
        stretches: stretches(&listener.finish(), range),
        range,
        n_damaged: reader.n_damaged(),
    })
}

fn meter(name: &str, rate_hz: u32, layout: &[ChannelRole]) -> Result<EbuR128> {
    let mut meter =
        EbuR128::new(layout.len() as u32, rate_hz, Mode::I | Mode::TRUE_PEAK).map_err(|e| unmeasured(name, e))?;
    // Surrounds count 1.5 dB more, the low-frequency effects not at all (ITU-R BS.1770-4).
    let weighted = layout.iter().map(|role| match role {
        ChannelRole::Left => Channel::Left,
        ChannelRole::Right => Channel::Right,
        ChannelRole::Centre => Channel::Center,
        ChannelRole::Lfe => Channel::Unused,
        ChannelRole::SurroundLeft | ChannelRole::SurroundCentre => Channel::LeftSurround,
        ChannelRole::SurroundRight => Channel::RightSurround,
        // Heights and the like, and the channels of layouts that nobody names.
        ChannelRole::Other => Channel::Up000,
    });
    meter.set_channel_map(&weighted.collect::<Vec<_>>()).map_err(|e| unmeasured(name, e))?;
    Ok(meter)
}

fn unmeasured(name: &str, error: ebur128::Error) -> Error {
    Error::unsupported(name, format!("its loudness cannot be measured: {error}"), "")
}

/// Judgements of half seconds, put together where they follow each other.
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
