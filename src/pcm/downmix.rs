//! Channels: from the stored layout to the wanted number.

use std::f32::consts::FRAC_1_SQRT_2;

/// What a channel is for. The rest (heights, wides) is `Other`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChannelRole {
    Left,
    Right,
    /// Front centre, and the only channel of mono.
    Centre,
    /// Low-frequency effects: left out of a downmix (ITU-R BS.775-3, annex 4).
    Lfe,
    SurroundLeft,
    SurroundRight,
    SurroundCentre,
    Other,
}

impl ChannelRole {
    /// The roles of `n` channels whose container does not name them: the usual order of WAVE files.
    pub(crate) fn usual(n: usize) -> Vec<Self> {
        use ChannelRole::{Centre, Left, Lfe, Right, SurroundCentre, SurroundLeft, SurroundRight};
        match n {
            1 => vec![Centre],
            2 => vec![Left, Right],
            3 => vec![Left, Right, Centre],
            4 => vec![Left, Right, SurroundLeft, SurroundRight],
            5 => vec![Left, Right, Centre, SurroundLeft, SurroundRight],
            6 => vec![Left, Right, Centre, Lfe, SurroundLeft, SurroundRight],
            7 => vec![Left, Right, Centre, Lfe, SurroundCentre, SurroundLeft, SurroundRight],
            8 => vec![Left, Right, Centre, Lfe, SurroundLeft, SurroundRight, SurroundLeft, SurroundRight],
            _ => vec![ChannelRole::Other; n],
        }
    }

    /// The role of a speaker by its number: the bit in the channel mask of WAVE files, which libav and Symphonia
    /// count on from. None where it has no number.
    pub(crate) fn of_speaker(number: i32) -> Option<Self> {
        Some(match number {
            ..0 => return None,
            // 29 and 30: a stereo downmix that the stream carries.
            0 | 29 => Self::Left,
            1 | 30 => Self::Right,
            2 => Self::Centre,
            // 18 is Symphonia's second one, 35 libav's.
            3 | 18 | 35 => Self::Lfe,
            4 | 9 => Self::SurroundLeft,
            5 | 10 => Self::SurroundRight,
            8 => Self::SurroundCentre,
            _ => Self::Other,
        })
    }

    /// The roles of a whole layout; the usual ones where it names none.
    pub(crate) fn of_layout(numbers: &[i32]) -> Vec<Self> {
        match numbers {
            [_] => vec![Self::Centre],
            numbers => {
                let known: Option<Vec<_>> = numbers.iter().map(|number| Self::of_speaker(*number)).collect();
                known.unwrap_or_else(|| Self::usual(numbers.len()))
            }
        }
    }

    /// Weights in left and right of a stereo downmix: centre and surrounds at -3 dB (ITU-R BS.775-3, table 2).
    fn stereo(self) -> (f32, f32) {
        match self {
            Self::Left => (1.0, 0.0),
            Self::Right => (0.0, 1.0),
            Self::Centre => (FRAC_1_SQRT_2, FRAC_1_SQRT_2),
            Self::Lfe => (0.0, 0.0),
            Self::SurroundLeft => (FRAC_1_SQRT_2, 0.0),
            Self::SurroundRight => (0.0, FRAC_1_SQRT_2),
            Self::SurroundCentre | Self::Other => (0.5, 0.5),
        }
    }
}

/// A mono mix with less than this share of the power of unrelated channels (-13 dB) has lost what its channels hold:
/// they are of opposite phase, as where one wire of a microphone is swapped.
const CANCELLED: f32 = 0.05;
/// From this share on (-10 dB) the mix is used again.
const RESTORED: f32 = 0.1;
/// Power of one sample below which nothing is decided (-80 dB).
const SILENT: f32 = 1e-8;

/// Mixes to a fixed number of channels. A mono mix takes the loudest channel alone while the channels cancel each other.
pub(crate) struct Downmixer {
    channels: usize,
    /// The channel that is taken alone.
    single: Option<usize>,
    /// The layout that `matrix` is for.
    layout: Vec<ChannelRole>,
    /// A row of input weights for each output channel; empty where samples pass unchanged.
    matrix: Vec<Vec<f32>>,
}

impl Downmixer {
    pub(crate) fn new(channels: u16) -> Self {
        Self { channels: usize::from(channels), single: None, layout: Vec::new(), matrix: Vec::new() }
    }

    /// Whether the samples mixed last are those of one channel, because the channels cancel each other.
    pub(crate) fn takes_one_channel(&self) -> bool {
        self.single.is_some()
    }

    /// Interleaved samples of `layout` as interleaved samples of the wanted channels.
    pub(crate) fn mix(&mut self, samples: &[f32], layout: &[ChannelRole]) -> Vec<f32> {
        if self.layout != layout {
            self.layout = layout.to_vec();
            self.matrix = matrix(layout, self.channels);
            self.single = None;
        }
        if self.matrix.is_empty() {
            return samples.to_vec();
        }
        if let [weights] = self.matrix.as_slice() {
            let mixed = mix_mono(samples, weights);
            self.single = single_channel(samples, &mixed, weights, self.single);
            return match self.single {
                Some(channel) => samples.iter().skip(channel).step_by(layout.len()).copied().collect(),
                None => mixed,
            };
        }
        let mut out = Vec::with_capacity(samples.len() / layout.len() * self.channels);
        for frame in samples.chunks_exact(layout.len()) {
            out.extend(self.matrix.iter().map(|row| row.iter().zip(frame).map(|(w, s)| w * s).sum::<f32>()));
        }
        out
    }
}

fn mix_mono(samples: &[f32], weights: &[f32]) -> Vec<f32> {
    // Stereo is the most common: written into a slice it becomes vector code, which takes a sixth of a collected iterator.
    if let [left, right] = *weights {
        let mut mixed = vec![0.0; samples.len() / 2];
        for (out, frame) in mixed.iter_mut().zip(samples.chunks_exact(2)) {
            *out = frame[0] * left + frame[1] * right;
        }
        return mixed;
    }
    samples.chunks_exact(weights.len()).map(|frame| weights.iter().zip(frame).map(|(w, s)| w * s).sum()).collect()
}

/// Mean power of each channel of interleaved samples. Each position of a block has its own sum: with a single sum, each
/// addition depends on the previous one, which takes longer than decoding the audio does.
fn channel_powers(samples: &[f32], channels: usize) -> Vec<f32> {
    let mut sums = vec![0.0_f32; channels * 32];
    for block in samples.chunks(channels * 32) {
        for (sum, sample) in sums.iter_mut().zip(block) {
            *sum += sample * sample;
        }
    }
    let frames = (samples.len() / channels).max(1) as f32;
    (0..channels).map(|channel| sums.iter().skip(channel).step_by(channels).sum::<f32>() / frames).collect()
}

/// The channel to take in place of the mix; None where the mix keeps what the channels hold. `before` is the decision
/// for the samples before.
fn single_channel(samples: &[f32], mixed: &[f32], weights: &[f32], before: Option<usize>) -> Option<usize> {
    let channels = channel_powers(samples, weights.len());
    let unrelated: f32 = channels.iter().zip(weights).map(|(power, weight)| power * weight * weight).sum();
    if unrelated < SILENT {
        return before;
    }
    let share = channel_powers(mixed, 1)[0] / unrelated;
    if share < CANCELLED {
        // The low-frequency effects have no weight. The first one wins a tie.
        let counted = (0..weights.len()).rev().filter(|channel| weights[*channel] > 0.0);
        let loudest = counted.max_by(|a, b| channels[*a].total_cmp(&channels[*b]))?;
        // Changing from one channel to its opposite clicks.
        Some(before.filter(|before| channels[*before] * 2.0 > channels[loudest]).unwrap_or(loudest))
    } else {
        before.filter(|_| share < RESTORED)
    }
}

fn matrix(layout: &[ChannelRole], channels: usize) -> Vec<Vec<f32>> {
    if layout.len() == channels {
        return Vec::new();
    }
    // Mono is heard from both sides at full level, not at -3 dB.
    if layout.len() == 1 {
        return vec![vec![1.0]; channels];
    }
    let (left, right): (Vec<f32>, Vec<f32>) = layout.iter().map(|role| role.stereo()).unzip();
    let mut rows = match channels {
        1 => vec![left.iter().zip(&right).map(|(l, r)| l + r).collect()],
        2 => vec![left, right],
        // The layout changed on the way to one that has no rule: what both have is kept.
        n => (0..n).map(|out| (0..layout.len()).map(|i| if i == out { 1.0 } else { 0.0 }).collect()).collect(),
    };
    // Full scale in all channels at once must not clip; both rows share the divisor, so that the balance stays.
    let loudest = rows.iter().map(|row: &Vec<f32>| row.iter().sum::<f32>()).fold(1.0, f32::max);
    for weight in rows.iter_mut().flatten() {
        *weight /= loudest;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_one_to_stereo_and_mono_keeps_levels_and_never_clips() {
        let layout = ChannelRole::usual(6);
        let mut stereo = Downmixer::new(2);
        let full = 1.0 + FRAC_1_SQRT_2 * 2.0;
        let one = |role| -> Vec<f32> { layout.iter().map(|r| if *r == role { 1.0 } else { 0.0 }).collect() };
        let close = |a: &[f32], b: &[f32]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close(&stereo.mix(&one(ChannelRole::Left), &layout), &[1.0 / full, 0.0]));
        assert!(close(&stereo.mix(&one(ChannelRole::Centre), &layout), &[FRAC_1_SQRT_2 / full; 2]));
        assert!(close(&stereo.mix(&one(ChannelRole::SurroundRight), &layout), &[0.0, FRAC_1_SQRT_2 / full]));
        assert!(close(&stereo.mix(&one(ChannelRole::Lfe), &layout), &[0.0, 0.0]));
        assert!(close(&stereo.mix(&[1.0; 6], &layout), &[1.0, 1.0]));
        assert!(close(&Downmixer::new(1).mix(&[1.0; 6], &layout), &[1.0]));
    }

    #[test]
    fn stereo_to_mono_is_the_mean_and_mono_to_stereo_the_copy() {
        assert_eq!(Downmixer::new(1).mix(&[0.5, 0.25, -1.0, 1.0], &ChannelRole::usual(2)), [0.375, 0.0]);
        assert_eq!(Downmixer::new(2).mix(&[0.5, -1.0], &ChannelRole::usual(1)), [0.5, 0.5, -1.0, -1.0]);
        assert_eq!(Downmixer::new(2).mix(&[0.5, -1.0], &ChannelRole::usual(2)), [0.5, -1.0]);
    }

    #[test]
    fn channels_of_opposite_phase_are_not_lost() {
        let tone: Vec<f32> = (0..1000_u16).map(|i| (f32::from(i) * 0.1).sin() * 0.5).collect();
        let stereo = |gain: f32| -> Vec<f32> { tone.iter().flat_map(|s| [*s, *s * gain]).collect() };
        let layout = ChannelRole::usual(2);
        let mut downmixer = Downmixer::new(1);
        // A little quieter than the left one, and exactly opposite.
        for gain in [-1.0, -0.8] {
            assert!(downmixer.mix(&stereo(gain), &layout) == tone, "{gain}");
        }
        assert!(downmixer.takes_one_channel());
        assert!(downmixer.mix(&stereo(-1.1), &layout) == tone, "a little louder one does not replace it");
        let louder = Downmixer::new(1).mix(&stereo(-1.2), &layout);
        assert!((louder[15] + 1.2 * tone[15]).abs() < 1e-6, "the louder one");
        // Silence decides nothing, sound in one channel or in both is mixed again.
        downmixer.mix(&[0.0; 100], &layout);
        assert!(downmixer.takes_one_channel());
        for gain in [1.0, 0.0, -0.3] {
            let mixed = downmixer.mix(&stereo(gain), &layout);
            assert!(
                (mixed[15] - tone[15] * (1.0 + gain) / 2.0).abs() < 1e-6 && !downmixer.takes_one_channel(),
                "{gain}"
            );
        }
        let layout = ChannelRole::usual(6);
        let six: Vec<f32> = tone.iter().flat_map(|s| [*s, -*s, 0.0, 0.9, 0.0, 0.0]).collect();
        assert!(Downmixer::new(1).mix(&six, &layout) == tone, "of six channels, not the low-frequency effects");
    }

    #[test]
    fn every_count_of_channels_mixes_without_clipping() {
        for n in 1..40 {
            let layout = ChannelRole::usual(n);
            assert_eq!(layout.len(), n);
            for out in [1, 2] {
                let mixed = Downmixer::new(out).mix(&vec![1.0; n], &layout);
                assert!(mixed.len() == usize::from(out) && mixed.iter().all(|s| s.abs() <= 1.0 + 1e-6), "{n} to {out}");
            }
        }
    }
}
