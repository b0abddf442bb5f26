//! Sounds of people that are no speech get no words; short answers keep theirs. The sounds are synthesized, so that they
//! need no recordings; needs the models of `scripts/fetch-whisper`.

use std::f32::consts::TAU;
use std::path::Path;
use std::process::Command;

use crate::speech::{heard, segments, text, user};

const RATE_HZ: usize = 16_000;

/// Bursts of sound, each with its start, length and loudness, 16 kHz mono.
struct Sound {
    samples: Vec<f32>,
    random: fastrand::Rng,
}

impl Sound {
    fn of_seconds(seconds: usize, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        // Digital silence is rare in the world.
        let samples = (0..seconds * RATE_HZ).map(|_| (random.f32() - 0.5) * 4e-4).collect();
        Self { samples, random }
    }

    fn noise(&mut self) -> f32 {
        self.random.f32() * 2.0 - 1.0
    }

    fn add(&mut self, at: f32, burst: &[f32]) {
        let from = (at * RATE_HZ as f32) as usize;
        for (sample, x) in self.samples.iter_mut().skip(from).zip(burst) {
            *sample += x;
        }
    }

    /// A hand clap: a few milliseconds of resonant noise.
    fn clap(&mut self, at: f32, loudness: f32) {
        let (n, hz) = (self.random.usize(160..480), 800.0 + self.random.f32() * 1400.0);
        let burst: Vec<f32> = (0..n)
            .map(|i| {
                let (t, decay) = (i as f32 / RATE_HZ as f32, (-5.0 * i as f32 / n as f32).exp());
                loudness * decay * self.noise() * (TAU * hz * t).sin()
            })
            .collect();
        self.add(at, &burst);
    }

    /// A breath: noise that passes the mouth, softly rising and falling.
    fn breath(&mut self, at: f32, seconds: f32, loudness: f32) {
        let n = (seconds * RATE_HZ as f32) as usize;
        let mut low = 0.0;
        let burst: Vec<f32> = (0..n)
            .map(|i| {
                low += 0.25 * (self.noise() - low);
                loudness * low * (std::f32::consts::PI * i as f32 / n as f32).sin().powi(2)
            })
            .collect();
        self.add(at, &burst);
    }

    /// Laughter: syllables of breath and voice, five in a second, sinking in pitch.
    fn laugh(&mut self, at: f32, n_syllables: usize, hz: f32, loudness: f32) {
        for syllable in 0..n_syllables {
            let start = at + syllable as f32 * 0.19;
            self.breath(start, 0.09, loudness);
            let (n, hz) = (RATE_HZ / 9, hz * 0.97_f32.powi(syllable as i32));
            let burst: Vec<f32> = (0..n)
                .map(|i| {
                    let t = i as f32 / RATE_HZ as f32;
                    // Harmonics with the formants of an open vowel.
                    let voice: f32 = (1..24)
                        .map(|h| {
                            let f = hz * h as f32;
                            let formants = [(700.0, 1.0), (1150.0, 0.6), (2500.0, 0.2)];
                            let gain: f32 =
                                formants.iter().map(|(c, g)| g * (-((f - c) / 130.0_f32).powi(2)).exp()).sum();
                            gain * (TAU * f * t).sin()
                        })
                        .sum();
                    loudness * 0.6 * voice * (std::f32::consts::PI * i as f32 / n as f32).sin()
                })
                .collect();
            self.add(start + 0.05, &burst);
        }
    }

    fn write(&self, path: &Path) -> String {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: RATE_HZ as u32,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(path, spec).expect("a file");
        for sample in &self.samples {
            writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16).expect("written");
        }
        writer.finalize().expect("written");
        path.to_str().expect("UTF-8").to_owned()
    }
}

#[test]
fn laughter_breath_and_applause_get_no_words() {
    let Some(user) = user() else { return };
    let mut sounds: Vec<(&str, Sound)> = Vec::new();
    for (name, seed, n, hz) in
        [("a man laughs", 1, 7, 150.0), ("a woman laughs", 2, 9, 260.0), ("a chuckle", 3, 3, 120.0)]
    {
        let mut sound = Sound::of_seconds(5, seed);
        sound.laugh(0.8, n, hz, 0.5);
        sounds.push((name, sound));
    }
    let mut crowd = Sound::of_seconds(8, 4);
    for _ in 0..25 {
        let (at, n) = (0.5 + crowd.random.f32() * 5.0, crowd.random.usize(3..9));
        let (hz, loudness) = (110.0 + crowd.random.f32() * 200.0, 0.05 + crowd.random.f32() * 0.1);
        crowd.laugh(at, n, hz, loudness);
    }
    sounds.push(("an audience laughs", crowd));
    for (name, seed, loudness) in [("quiet breath", 5, 0.1), ("panting", 6, 0.9)] {
        let mut sound = Sound::of_seconds(8, seed);
        for breath in 0..6 {
            sound.breath(0.5 + breath as f32 * 1.2, 0.8, loudness);
        }
        sounds.push((name, sound));
    }
    for (name, seed, n) in [("one person claps", 7, 20), ("ten people clap", 8, 200), ("a hall applauds", 9, 4000)] {
        let mut sound = Sound::of_seconds(7, seed);
        for _ in 0..n {
            let at = 0.5 + sound.random.f32() * 6.0;
            sound.clap(at, 0.3);
        }
        sounds.push((name, sound));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut invented = Vec::new();
    for (name, sound) in &sounds {
        let input = sound.write(&folder.path().join(format!("{name}.wav")));
        for flags in [&[][..], &["--language", "en"]] {
            let transcript = heard(&user, &input, flags);
            if !segments(&transcript).is_empty() {
                invented.push(format!("{name} {flags:?}: {transcript}"));
            }
        }
    }
    assert!(invented.is_empty(), "{invented:#?}");
}

#[test]
fn short_answers_keep_their_words() {
    let Some(user) = user() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let mut lost = Vec::new();
    // Also those that Whisper is known to invent.
    for said in ["Thank you.", "Thanks for watching.", "Okay.", "Bye.", "I see."] {
        let input = folder.path().join(format!("{said}wav")).to_str().expect("UTF-8").to_owned();
        let ran = Command::new("espeak-ng").args(["-v", "en-us", "-s", "150", "-w", &input, said]).status();
        assert!(ran.expect("espeak-ng runs").success());
        let transcript = heard(&user, &input, &["--language", "en"]);
        let found = text(&transcript).to_lowercase();
        if !found.starts_with(&said.trim_end_matches('.').to_lowercase()) {
            lost.push(format!("{said}: {transcript}"));
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}
