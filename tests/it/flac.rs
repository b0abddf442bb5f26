//! FLAC files through the command: the same samples as the WAV, and a head that tells the truth.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use crate::support::command::{User, names};
use crate::support::programs::ffmpeg;

/// What the head says (RFC 9639, section 8.2): samples a second, channels, bits, samples, MD5 in hexadecimal.
fn head(path: &str) -> (u32, u32, u32, u64, String) {
    let file = std::fs::read(path).unwrap();
    assert_eq!(&file[..8], b"fLaC\x80\x00\x00\x22");
    let word = u64::from_be_bytes(file[18..26].try_into().unwrap());
    let md5: Vec<String> = file[26..42].iter().map(|byte| format!("{byte:02x}")).collect();
    ((word >> 44) as u32, (word >> 41 & 7) as u32 + 1, (word >> 36 & 31) as u32 + 1, word & 0xf_ffff_ffff, md5.concat())
}

/// Writes `file` both ways and holds them against each other, ffmpeg decoding.
fn same(user: &User, file: &str, options: &[&str]) -> (u32, u32, u64) {
    let (wav, flac) = (user.path("o.wav"), user.path("o.flac"));
    for out in [&wav, &flac] {
        let told = user.run(&[&["audio", file, "-o", out], options].concat());
        assert_eq!(told.code, Some(0), "{told:?}");
    }
    let home = user.home.path();
    let wanted = ffmpeg(home, "-i o.wav -f s16le -");
    assert!(ffmpeg(home, "-i o.flac -f s16le -") == wanted, "{file}: other samples than in the WAV");
    let (rate_hz, channels, bits, n_samples, md5) = head(&flac);
    assert_eq!((bits, n_samples * u64::from(channels) * 2), (16, wanted.len() as u64), "{file}");
    let said = String::from_utf8(ffmpeg(home, "-i o.wav -c:a pcm_s16le -f md5 -")).unwrap();
    assert_eq!(said.trim(), format!("MD5={md5}"), "{file}");
    (rate_hz, channels, n_samples)
}

#[test]
fn flac_holds_what_the_wav_holds() {
    let user = User::new();
    let noise = "aevalsrc='0.4*sin(900*t*t)+0.2*random(0)";
    let more = |n: u32| (1..n).map(|i| format!("|0.3*sin({}*t)", 300 * i)).collect::<Vec<_>>().concat();
    let (six, eight) = (more(6), more(8));
    // A block has 4096 or 4608 samples at most rates: one below, one whole, one above, and one alone.
    for (rate, more, n_channels, n) in [
        (44_100, "", 1, 100_001),
        (48_000, "|0.9*sin(70*t)", 2, 96_000),
        (16_000, "", 1, 4607),
        (8000, "|random(1)", 2, 8191),
        (48_000, &*six, 6, 50_003),
        (44_100, &*eight, 8, 4608),
        (44_100, "", 1, 1),
        (96_000, "|0.5", 2, 4609),
        (11_025, "", 1, 16),
    ] {
        let options =
            format!("-f lavfi -i {noise}{more}':s={rate}:n=1000 -af atrim=end_sample={n} -c:a pcm_s16le a.wav");
        ffmpeg(user.home.path(), &options);
        assert_eq!(same(&user, &user.path("a.wav"), &[]), (rate, n_channels, n));
    }
    for fixture in ["talk.mp4", "speech.mp3", "sound-late.mkv", "speech.opus", "h263-aac.3gp", "stereo-48k.wav"] {
        same(&user, &format!("fixtures/{fixture}"), &[]);
    }
    assert_eq!(same(&user, "fixtures/talk.mp4", &["--rate", "16000", "--channels", "1"]).0, 16_000);
}

#[test]
fn the_format_is_that_of_the_name_or_of_the_flag() {
    let user = User::new();
    let begins = |name: &str, options: &[&str]| {
        let path = user.path(name);
        user.run(&[&["audio", "fixtures/speech.wav", "-o", &path], options].concat()).complete();
        String::from_utf8_lossy(&std::fs::read(path).unwrap()[..4]).into_owned()
    };
    assert_eq!(begins("a.flac", &[]), "fLaC");
    assert_eq!(begins("a.FLAC", &[]), "fLaC");
    assert_eq!(begins("a.wav", &[]), "RIFF");
    assert_eq!(begins("a.pcm", &["--format", "flac"]), "fLaC");
    assert_eq!(begins("b.flac", &["--format", "wav"]), "RIFF");
}

#[test]
fn formats_that_flac_cannot_store_are_errors_and_leave_no_file() {
    let user = User::new();
    let nine = (0..9).map(|i| format!("{i}*t")).collect::<Vec<_>>().join("|");
    ffmpeg(user.home.path(), &format!("-f lavfi -i aevalsrc={nine}:d=0.1 -c:a pcm_s16le nine.wav"));
    let ran = user.run(&["audio", &user.path("nine.wav"), "-o", &user.path("nine.flac")]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("9 channels") && ran.err.contains("--format wav"), "{ran:?}");
    let ran = user.run(&["audio", "fixtures/speech.wav", "--rate", "65537", "-o", &user.path("odd.flac")]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("65537 Hz") && ran.err.contains("--rate 48000"), "{ran:?}");
    assert_eq!(names(user.home.path()), ["nine.wav"]);
}
