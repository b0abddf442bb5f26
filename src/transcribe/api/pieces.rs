//! Cuts sound into WAV files that a transcription endpoint takes, in pauses where it can.

use bytes::Bytes;

use crate::audio::AudioBlock;
use crate::error::{Error, Result};
use crate::time::{TimeBase, TimeRange, Timestamp};

/// The header of a WAV file of 16-bit PCM.
pub(super) const HEADER_BYTES: usize = 44;
/// A pause is looked for in steps of a fiftieth of a second...
const STEPS_PER_SECOND: u32 = 50;
/// ...and is this many steps long: 0.3 s, the shortest that speech makes between sentences.
const PAUSE_STEPS: usize = 15;
/// A piece that never leaves this many steps of 16-bit PCM around zero (-80 dBFS) is digital silence with its dither.
const SILENCE_PEAK: u16 = 3;

/// One piece: a whole WAV file and where on the shared clock it lies.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub range: TimeRange,
    pub wav: Bytes,
    pub is_silent: bool,
}

/// Cuts blocks of mono sound, each beginning where the one before ended, into pieces. Holds one piece.
pub(super) struct Pieces<I> {
    blocks: I,
    input: String,
    max_bytes: usize,
    clock: Option<Clock>,
    /// Room for the header, then 16-bit samples.
    buffer: Vec<u8>,
    is_done: bool,
}

/// Where the buffer lies.
#[derive(Clone, Copy)]
struct Clock {
    start: Timestamp,
    rate_hz: u32,
    base: TimeBase,
    /// Samples already given away.
    n_before: i64,
}

impl<I: Iterator<Item = Result<AudioBlock>>> Pieces<I> {
    /// Pieces of at most `max_bytes`, header included, but never shorter than a second. `input` is for errors.
    pub fn new(blocks: I, input: impl Into<String>, max_bytes: usize) -> Self {
        Self { blocks, input: input.into(), max_bytes, clock: None, buffer: vec![0; HEADER_BYTES], is_done: false }
    }

    fn next_piece(&mut self) -> Result<Option<Piece>> {
        loop {
            if let Some(clock) = self.clock {
                let max_samples = (self.max_bytes.saturating_sub(HEADER_BYTES) / 2).max(clock.rate_hz as usize);
                if self.buffer.len() > HEADER_BYTES + max_samples * 2 {
                    let pcm = &self.buffer[HEADER_BYTES..HEADER_BYTES + max_samples * 2];
                    let n_samples = quietest(pcm, clock.rate_hz);
                    return Ok(Some(self.split(clock, n_samples)));
                }
            }
            let Some(block) = self.blocks.next() else {
                let n_samples = (self.buffer.len() - HEADER_BYTES) / 2;
                return Ok(self.clock.filter(|_| n_samples > 0).map(|clock| self.split(clock, n_samples)));
            };
            self.append(&block?)?;
        }
    }

    fn append(&mut self, block: &AudioBlock) -> Result<()> {
        let Some(base) = TimeBase::of_rate(block.rate_hz).filter(|_| block.channels == 1) else {
            let problem = format!("its sound came as {} channels at {} Hz", block.channels, block.rate_hz);
            return Err(Error::unsupported(&self.input, problem, ""));
        };
        self.clock.get_or_insert(Clock { start: block.time, rate_hz: block.rate_hz, base, n_before: 0 });
        let samples = block.samples.iter();
        // A float that is no number becomes 0.
        self.buffer
            .extend(samples.flat_map(|sample| ((sample.clamp(-1.0, 1.0) * 32767.0).round() as i16).to_le_bytes()));
        Ok(())
    }

    /// Gives away the first `n_samples` of the buffer.
    fn split(&mut self, clock: Clock, n_samples: usize) -> Piece {
        let at = HEADER_BYTES + n_samples * 2;
        let mut rest = Vec::with_capacity(self.buffer.len().max(HEADER_BYTES));
        rest.extend_from_slice(&[0; HEADER_BYTES]);
        rest.extend_from_slice(&self.buffer[at..]);
        let mut wav = std::mem::replace(&mut self.buffer, rest);
        wav.truncate(at);
        wav[..HEADER_BYTES].copy_from_slice(&header(clock.rate_hz, n_samples * 2));
        let is_silent = samples(&wav[HEADER_BYTES..]).all(|sample| sample.unsigned_abs() <= SILENCE_PEAK);
        let time = |n: i64| clock.start.plus(Timestamp::new(n, clock.base));
        let n_after = clock.n_before + n_samples as i64;
        self.clock = Some(Clock { n_before: n_after, ..clock });
        Piece { range: TimeRange::new(time(clock.n_before), time(n_after)), wav: wav.into(), is_silent }
    }
}

/// Ends after an error.
impl<I: Iterator<Item = Result<AudioBlock>>> Iterator for Pieces<I> {
    type Item = Result<Piece>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let piece = self.next_piece().transpose();
        self.is_done = !matches!(piece, Some(Ok(_)));
        piece
    }
}

fn samples(pcm: &[u8]) -> impl Iterator<Item = i16> {
    pcm.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
}

/// The number of samples before the middle of the quietest 0.3 s in the last third of `pcm`, the later of equals.
fn quietest(pcm: &[u8], rate_hz: u32) -> usize {
    let n_samples = pcm.len() / 2;
    let from = n_samples * 2 / 3;
    let step = ((rate_hz / STEPS_PER_SECOND) as usize).max(1);
    let energy = |step: &[u8]| samples(step).map(|sample| u64::from(sample.unsigned_abs()).pow(2)).sum::<u64>();
    let energies: Vec<u64> = pcm[from * 2..].chunks_exact(step * 2).map(energy).collect();
    let n_steps = PAUSE_STEPS.min(energies.len()).max(1);
    let pauses = energies.windows(n_steps).map(|steps| steps.iter().sum::<u64>()).enumerate();
    pauses.rev().min_by_key(|(_, energy)| *energy).map_or(n_samples, |(at, _)| from + (2 * at + n_steps) * step / 2)
}

/// The header of a mono WAV file of 16-bit PCM (Microsoft's "Multimedia Programming Interface and Data
/// Specifications 1.0", 1991).
fn header(rate_hz: u32, data_bytes: usize) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let data_bytes = data_bytes as u32;
    let fields: [(usize, &[u8]); 13] = [
        (0, b"RIFF"),
        (4, &(data_bytes + HEADER_BYTES as u32 - 8).to_le_bytes()),
        (8, b"WAVE"),
        (12, b"fmt "),
        (16, &16_u32.to_le_bytes()),
        (20, &1_u16.to_le_bytes()),
        (22, &1_u16.to_le_bytes()),
        (24, &rate_hz.to_le_bytes()),
        (28, &(rate_hz * 2).to_le_bytes()),
        (32, &2_u16.to_le_bytes()),
        (34, &16_u16.to_le_bytes()),
        (36, b"data"),
        (40, &data_bytes.to_le_bytes()),
    ];
    for (at, field) in fields {
        header[at..at + field.len()].copy_from_slice(field);
    }
    header
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE_HZ: u32 = 1000;

    fn blocks(sound: &[f32], block_len: usize, start_millis: i64) -> Vec<Result<AudioBlock>> {
        let block = |(idx, samples): (usize, &[f32])| {
            let time = Timestamp::from_millis(start_millis + (idx * block_len) as i64);
            Ok(AudioBlock { time, samples: samples.to_vec(), rate_hz: RATE_HZ, channels: 1 })
        };
        sound.chunks(block_len).enumerate().map(block).collect()
    }

    fn read(wav: &Bytes) -> Vec<i16> {
        let mut reader = hound::WavReader::new(&wav[..]).expect("a WAV file");
        let spec = reader.spec();
        assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (1, RATE_HZ, 16));
        reader.samples().map(|sample| sample.expect("a whole file")).collect()
    }

    #[test]
    fn the_cut_lies_in_the_pause() {
        let mut sound = vec![0.5; 9000];
        // In the first two thirds of a piece of 6 s: too early to cut there.
        sound[1000..2000].fill(0.0);
        // Quieter than speech, but not the quietest.
        sound[4200..4700].fill(0.1);
        sound[5000..5400].fill(0.01);
        let pieces = Pieces::new(blocks(&sound, 700, 250).into_iter(), "a", HEADER_BYTES + 12_000);
        let ranges: Vec<(i64, i64)> = pieces
            .map(|piece| piece.expect("no error").range)
            .map(|range| (range.start.millis() - 250, range.end.millis() - 250))
            .collect();
        let cut = ranges[0].1;
        assert!((5150..=5250).contains(&cut), "the pause is 5000 to 5400, 0.3 s of it lie around the cut: {ranges:?}");
        assert_eq!(ranges, [(0, cut), (cut, 9000)]);
    }

    #[test]
    fn silence_is_known_and_errors_end_the_pieces() {
        let mut quiet = Pieces::new(blocks(&[1e-5; 500], 100, 0).into_iter(), "a", 0);
        assert!(quiet.next().expect("a piece").expect("no error").is_silent);
        let mut sound = blocks(&[0.1; 500], 100, 0);
        sound.push(Err(Error::malformed("a", "broken", "")));
        let mut pieces = Pieces::new(sound.into_iter(), "a", 0);
        assert!(pieces.next().is_some_and(|piece| piece.is_err()));
        assert!(pieces.next().is_none());
        assert!(Pieces::new(std::iter::empty(), "a", 0).next().is_none());
    }

    proptest! {
        #[test]
        fn no_sample_is_lost_or_sent_twice(
            levels in prop::collection::vec(-1.0_f32..1.0, 0..9000),
            block_len in 1_usize..3000,
            max_bytes in 0_usize..9000,
        ) {
            let max_samples = (max_bytes.saturating_sub(HEADER_BYTES) / 2).max(RATE_HZ as usize);
            let (mut sent, mut end) = (Vec::new(), Timestamp::ZERO);
            for piece in Pieces::new(blocks(&levels, block_len, 0).into_iter(), "a", max_bytes) {
                let piece = piece.expect("no error");
                let samples = read(&piece.wav);
                prop_assert!(!samples.is_empty() && samples.len() <= max_samples);
                prop_assert_eq!(piece.range.start, end);
                end = piece.range.end;
                sent.extend(samples);
                prop_assert_eq!(end.millis(), sent.len() as i64);
            }
            let expected: Vec<i16> = levels.iter().map(|level| (level * 32767.0).round() as i16).collect();
            prop_assert_eq!(sent, expected);
        }
    }
}
