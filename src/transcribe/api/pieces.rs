//! Cuts audio into FLAC files for a transcription endpoint, in pauses if possible.

use std::io::Cursor;
use std::time::Duration;

use bytes::Bytes;

use crate::error::{Error, Result};
use crate::pcm::{AudioBlock, FlacWriter, PeakMeter, to_i16};
use crate::time::{TimeBase, TimeRange, Timestamp};

/// The search for a pause uses steps of a fiftieth of a second...
const STEPS_PER_SECOND: u32 = 50;
/// ...and a pause is this many steps long: 0.3 s, the shortest pause between sentences.
const PAUSE_STEPS: usize = 15;
/// A piece whose 16-bit samples all lie within this distance of zero (-80 dBFS) is digital silence with dither.
const SILENCE_PEAK: u16 = 3;
/// Samples per encoder call.
const BLOCK_SAMPLES: usize = 1 << 14;

/// One piece: a complete FLAC file and its range on the shared clock.
#[derive(Clone, Debug)]
pub(super) struct AudioPiece {
    pub range: TimeRange,
    pub flac: Bytes,
    pub is_silent: bool,
}

/// Cuts contiguous blocks of mono audio into pieces. Holds one piece.
pub(super) struct AudioPieces<I> {
    /// The audio.
    pub blocks: I,
    /// The level of what was read.
    pub meter: PeakMeter,
    input: String,
    /// The largest file in bytes.
    max_bytes: usize,
    /// The longest piece; may change between pieces.
    pub max_len: Duration,
    clock: Option<PieceClock>,
    samples: Vec<i16>,
    is_done: bool,
}

/// The time of the samples.
#[derive(Clone, Copy)]
struct PieceClock {
    start: Timestamp,
    rate_hz: u32,
    base: TimeBase,
    /// Samples in the previous pieces.
    n_before: i64,
}

impl<I: Iterator<Item = Result<AudioBlock>>> AudioPieces<I> {
    /// Pieces of at most `max_len`, as files of at most `max_bytes`, but never shorter than a second. Errors name
    /// `input`.
    pub fn new(blocks: I, input: impl Into<String>, max_bytes: usize, max_len: Duration) -> Self {
        let (meter, samples) = (PeakMeter::default(), Vec::new());
        Self { blocks, meter, input: input.into(), max_bytes, max_len, clock: None, samples, is_done: false }
    }

    fn next_piece(&mut self) -> Result<Option<AudioPiece>> {
        loop {
            if let Some(clock) = self.clock {
                let most = (self.max_len.as_secs_f64() * f64::from(clock.rate_hz)) as usize;
                let most = most.max(clock.rate_hz as usize);
                if self.samples.len() > most {
                    let n_samples = quietest(&self.samples[..most], clock.rate_hz);
                    return self.cut(clock, n_samples).map(Some);
                }
            }
            let Some(block) = self.blocks.next() else {
                let clock = self.clock.filter(|_| !self.samples.is_empty());
                return clock.map(|clock| self.cut(clock, self.samples.len())).transpose();
            };
            self.append(&block?)?;
        }
    }

    fn append(&mut self, block: &AudioBlock) -> Result<()> {
        let Some(base) = TimeBase::of_rate(block.rate_hz).filter(|_| block.channels == 1) else {
            let problem = format!("its audio was decoded to {} channels at {} Hz", block.channels, block.rate_hz);
            return Err(Error::unsupported(&self.input, problem, ""));
        };
        self.clock.get_or_insert(PieceClock { start: block.time, rate_hz: block.rate_hz, base, n_before: 0 });
        self.meter.push(block);
        self.samples.extend(block.samples.iter().map(|sample| to_i16(*sample)));
        Ok(())
    }

    /// Removes and encodes the first `n_samples`, or fewer if their file would be too large: noise hardly compresses.
    fn cut(&mut self, clock: PieceClock, mut n_samples: usize) -> Result<AudioPiece> {
        let least = clock.rate_hz as usize;
        let flac = loop {
            let flac = encode(&self.samples[..n_samples], clock.rate_hz)?;
            if flac.len() <= self.max_bytes || n_samples <= least {
                break flac;
            }
            // A little less than should fit: some parts compress less than others.
            let share = self.max_bytes as f64 / flac.len() as f64 * 0.9;
            let most = ((n_samples as f64 * share) as usize).max(least);
            n_samples = quietest(&self.samples[..most], clock.rate_hz);
        };
        let rest = self.samples.split_off(n_samples);
        let samples = std::mem::replace(&mut self.samples, rest);
        let is_silent = samples.iter().all(|sample| sample.unsigned_abs() <= SILENCE_PEAK);
        let time = |n: i64| clock.start.plus(Timestamp::new(n, clock.base));
        let n_after = clock.n_before + n_samples as i64;
        self.clock = Some(PieceClock { n_before: n_after, ..clock });
        Ok(AudioPiece { range: TimeRange::new(time(clock.n_before), time(n_after)), flac: flac.into(), is_silent })
    }
}

/// Ends after the first error.
impl<I: Iterator<Item = Result<AudioBlock>>> Iterator for AudioPieces<I> {
    type Item = Result<AudioPiece>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let piece = self.next_piece().transpose();
        self.is_done = !matches!(piece, Some(Ok(_)));
        piece
    }
}

/// Mono samples as a FLAC file.
fn encode(samples: &[i16], rate_hz: u32) -> Result<Vec<u8>> {
    let mut file = Cursor::new(Vec::with_capacity(samples.len()));
    let mut sink = FlacWriter::new(&mut file, rate_hz, 1)?;
    for samples in samples.chunks(BLOCK_SAMPLES) {
        // The conversion to float and back is exact for 16-bit values.
        let samples = samples.iter().map(|sample| f32::from(*sample) / 32_768.0).collect();
        sink.write(&AudioBlock { time: Timestamp::ZERO, samples, rate_hz, channels: 1 })?;
    }
    sink.finish()?;
    Ok(file.into_inner())
}

/// The number of samples before the middle of the quietest 0.3 s in the last third; the last one if several are equal.
fn quietest(samples: &[i16], rate_hz: u32) -> usize {
    let from = samples.len() * 2 / 3;
    let step = ((rate_hz / STEPS_PER_SECOND) as usize).max(1);
    let energy = |step: &[i16]| step.iter().map(|sample| u64::from(sample.unsigned_abs()).pow(2)).sum::<u64>();
    let energies: Vec<u64> = samples[from..].chunks_exact(step).map(energy).collect();
    let n_steps = PAUSE_STEPS.min(energies.len()).max(1);
    let pauses = energies.windows(n_steps).map(|steps| steps.iter().sum::<u64>()).enumerate();
    pauses.rev().min_by_key(|(_, energy)| *energy).map_or(samples.len(), |(at, _)| from + (2 * at + n_steps) * step / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::input::Source;
    use crate::limits::Limits;
    use crate::media::Ratio;
    use crate::pcm::{AudioReader, PcmFormat};

    const RATE_HZ: u32 = 8000;

    fn blocks(sound: &[f32], block_len: usize, start_millis: i64) -> Vec<Result<AudioBlock>> {
        let block = |(idx, samples): (usize, &[f32])| {
            let time = Timestamp::from_millis(start_millis + (idx * block_len) as i64 * 1000 / i64::from(RATE_HZ));
            Ok(AudioBlock { time, samples: samples.to_vec(), rate_hz: RATE_HZ, channels: 1 })
        };
        sound.chunks(block_len).enumerate().map(block).collect()
    }

    fn pieces(sound: &[f32], block_len: usize, max_bytes: usize, max_millis: u64) -> Vec<AudioPiece> {
        let blocks = blocks(sound, block_len, 0).into_iter();
        let pieces = AudioPieces::new(blocks, "a", max_bytes, Duration::from_millis(max_millis));
        pieces.map(|piece| piece.expect("no error")).collect()
    }

    /// The samples of a file, decoded by another library than the encoder's.
    fn read(flac: &Bytes) -> Vec<i16> {
        let file = tempfile::Builder::new().suffix(".flac").tempfile().expect("a file");
        std::fs::write(file.path(), flac).expect("written");
        let source = Source::Media(file.path().to_owned());
        let media = crate::probe::probe(&source, Ratio::ONE, &Limits::default()).expect("a FLAC file");
        let reader = AudioReader::open(file.path(), &media, &media.audio[0], &PcmFormat::default()).expect("sound");
        assert_eq!((reader.rate_hz(), reader.channels()), (RATE_HZ, 1));
        reader.flat_map(|block| block.expect("whole").samples).map(|sample| (sample * 32_768.0) as i16).collect()
    }

    #[test]
    fn the_cut_lies_in_the_pause() {
        // In milliseconds.
        let mut levels = vec![0.5; 9000];
        // In the first two thirds of a piece of 6 s: too early for a cut.
        levels[1000..2000].fill(0.0);
        // Quieter than speech, but not the quietest.
        levels[4200..4700].fill(0.1);
        levels[5000..5400].fill(0.01);
        let sound: Vec<f32> = levels.iter().flat_map(|level| [*level; 8]).collect();
        let cut = AudioPieces::new(blocks(&sound, 5600, 250).into_iter(), "a", usize::MAX, Duration::from_secs(6));
        let ranges: Vec<(i64, i64)> = cut
            .map(|piece| piece.expect("no error").range)
            .map(|range| (range.start.millis() - 250, range.end.millis() - 250))
            .collect();
        let cut = ranges[0].1;
        assert!((5150..=5250).contains(&cut), "the pause is 5000 to 5400, 0.3 s of it lie around the cut: {ranges:?}");
        assert_eq!(ranges, [(0, cut), (cut, 9000)]);
    }

    #[test]
    fn silence_is_detected_and_errors_end_the_pieces() {
        assert!(pieces(&[1e-5; 500], 100, 1 << 20, 9000)[0].is_silent);
        let mut sound = blocks(&[0.1; 500], 100, 0);
        sound.push(Err(Error::malformed("a", "broken", "")));
        let mut pieces = AudioPieces::new(sound.into_iter(), "a", 1 << 20, Duration::from_secs(9));
        assert!(pieces.next().is_some_and(|piece| piece.is_err()));
        assert!(pieces.next().is_none());
        assert!(AudioPieces::new(std::iter::empty(), "a", 0, Duration::ZERO).next().is_none());
    }

    #[test]
    fn audio_that_does_not_compress_is_cut_shorter() {
        let mut noise = fastrand::Rng::with_seed(1);
        let noise: Vec<f32> = (0..10 * RATE_HZ).map(|_| noise.f32() * 2.0 - 1.0).collect();
        let hum: Vec<f32> = (0..10 * RATE_HZ).map(|n| (n as f32 / 20.0).sin() / 4.0).collect();
        // A piece of 10 s is 160 kB of PCM.
        let (of_noise, of_hum) = (pieces(&noise, 999, 100_000, 10_000), pieces(&hum, 999, 100_000, 10_000));
        assert_eq!((of_noise.len(), of_hum.len()), (2, 1));
        assert!(of_noise.iter().all(|piece| piece.flac.len() <= 100_000), "{of_noise:?}");
        assert_eq!(of_noise.iter().map(|piece| read(&piece.flac).len()).sum::<usize>(), noise.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn no_sample_is_lost_or_sent_twice(
            levels in prop::collection::vec(-1.0_f32..1.0, 0..40_000),
            block_len in 1_usize..20_000,
            max_bytes in 0_usize..60_000,
            max_millis in 0_u64..4000,
        ) {
            let max_samples = (max_millis as usize * 8).max(RATE_HZ as usize);
            let (mut sent, mut end) = (Vec::new(), Timestamp::ZERO);
            for piece in pieces(&levels, block_len, max_bytes, max_millis) {
                let samples = read(&piece.flac);
                prop_assert!(!samples.is_empty() && samples.len() <= max_samples);
                prop_assert!(piece.flac.len() <= max_bytes || samples.len() <= RATE_HZ as usize);
                prop_assert_eq!(piece.range.start, end);
                end = piece.range.end;
                sent.extend(samples);
                let base = TimeBase::of_rate(RATE_HZ).expect("a rate");
                prop_assert_eq!(end, Timestamp::new(sent.len() as i64, base));
            }
            let expected: Vec<i16> = levels.iter().map(|level| (level * 32_768.0).round() as i16).collect();
            prop_assert_eq!(sent, expected);
        }
    }
}
