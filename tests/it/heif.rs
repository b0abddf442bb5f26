//! HEIC and AVIF pictures. `heif-enc` makes them; what they show is compared with the picture that they were made from.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::path::Path;

use image::RgbImage;
use serde_json::Value;

use crate::support::command::{Ran, User, ran};
use crate::support::heif_grid::grid;
use crate::support::programs::{ffmpeg, run};

/// The only frame of a picture, as vidgist writes it, and how it ended.
fn frame(user: &User, name: &str, args: &[&str]) -> (Ran, Option<RgbImage>) {
    let out = user.path(&format!("{name}.frames"));
    let done = user.run(&[&["frames", &user.path(name), "--image-format", "png", "-o", &out], args].concat());
    let report = std::fs::read(Path::new(&out).join("frames.json")).ok();
    let report: Option<Value> = report.map(|bytes| serde_json::from_slice(&bytes).unwrap());
    let picture = report.map(|report| {
        assert_eq!(report["frames"].as_array().map(Vec::len), Some(1), "{name}");
        image::open(Path::new(&out).join(report["frames"][0]["file"].as_str().unwrap())).unwrap().into_rgb8()
    });
    (done, picture)
}

#[track_caller]
fn shown(user: &User, name: &str) -> RgbImage {
    let (done, picture) = frame(user, name, &[]);
    assert_eq!((done.code, &*done.err), (Some(0), ""), "{name}: {done:?}");
    picture.unwrap()
}

/// The mean difference of two pictures of one size, in 255ths.
#[track_caller]
fn apart(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    a.iter().zip(b.iter()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

/// Makes `name` of a picture.
fn encode(user: &User, picture: &str, name: &str, args: &[&str]) {
    run("heif-enc", user.home.path(), &[args, &["-o", name, picture]].concat());
}

const PICTURE: &str = "-f lavfi -i testsrc2=s=160x90 -frames:v 1";

#[test]
fn each_layout_of_samples_shows_the_picture() {
    let user = User::new();
    ffmpeg(user.home.path(), &format!("{PICTURE} p.png"));
    ffmpeg(user.home.path(), &format!("{PICTURE} -pix_fmt rgb48be deep.png"));
    ffmpeg(user.home.path(), "-f lavfi -i testsrc2=s=159x89 -frames:v 1 odd.png");
    ffmpeg(user.home.path(), &format!("{PICTURE} -pix_fmt gray gray.png"));
    let lossless: &[&str] = &["-L", "-p", "chroma=444", "--matrix_coefficients=0"];
    for (name, from, args, most) in [
        // Half a step of rounding in the conversion of colours.
        ("rgb.heic", "p.png", lossless, 0.6),
        ("rgb.avif", "p.png", lossless, 0.6),
        ("444.heic", "p.png", &["-L", "-p", "chroma=444"], 1.5),
        // Small patches of saturated colours lose the most in 4:2:0.
        ("420.heic", "p.png", &["-q", "95"], 6.0),
        ("422.heic", "p.png", &["-q", "95", "-p", "chroma=422"], 6.0),
        ("420.avif", "p.png", &["-q", "95"], 6.0),
        ("limited.heic", "p.png", &["-q", "95", "--full_range_flag=0"], 6.0),
        ("bt709.heic", "p.png", &["-q", "95", "--matrix_coefficients=1"], 6.0),
        ("ten.heic", "deep.png", &["-q", "95", "-b", "10"], 6.0),
        ("twelve.heic", "deep.png", &["-q", "95", "-b", "12"], 6.0),
        ("odd.heic", "odd.png", &["-q", "95"], 6.0),
        ("gray.heic", "gray.png", &["-q", "95"], 3.0),
    ] {
        encode(&user, from, name, args);
        let picture = image::open(user.path(from)).unwrap().into_rgb8();
        let difference = apart(&shown(&user, name), &picture);
        assert!(difference < most, "{name}: {difference}");
    }
    // heif-enc ends itself for AVIF of 10 bits.
    ffmpeg(user.home.path(), "-i p.png -pix_fmt yuv420p10le -c:v libaom-av1 -still-picture 1 -crf 5 ten.avif");
    let difference = apart(&shown(&user, "ten.avif"), &image::open(user.path("p.png")).unwrap().into_rgb8());
    assert!(difference < 6.0, "{difference}");
}

#[test]
fn transparency_is_composited_on_white() {
    let user = User::new();
    let alpha = "-vf format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(lt(X,80),255,if(lt(X,120),0,128))'";
    ffmpeg(user.home.path(), &format!("{PICTURE} {alpha} p.png"));
    let expected = shown(&user, "p.png");
    assert_eq!(expected.get_pixel(100, 40).0, [255; 3]);
    for (name, args) in [("a.heic", ["-q", "95"]), ("a.avif", ["-q", "95"])] {
        encode(&user, "p.png", name, &args);
        let difference = apart(&shown(&user, name), &expected);
        assert!(difference < 6.0, "{name}: {difference}");
    }
}

#[test]
fn rotated_and_mirrored_pictures_are_upright() {
    let user = User::new();
    let folder = user.home.path();
    ffmpeg(folder, "-f lavfi -i testsrc2=s=512x512 -frames:v 1 tile.png");
    for end in ["heic", "avif"] {
        encode(&user, "tile.png", &format!("tile.{end}"), &["-q", "90"]);
        let tile = std::fs::read(folder.join(format!("tile.{end}"))).unwrap();
        let make = |name: &str, turns: &[(&[u8; 4], u8)]| {
            std::fs::write(folder.join(name), grid(&tile, 512, (2, 1), (700, 400), turns)).unwrap();
        };
        let stored = format!("stored.{end}");
        make(&stored, &[]);
        let stored = image::DynamicImage::ImageRgb8(shown(&user, &stored));
        // irot counts quarter turns anticlockwise; imir 0 exchanges top and bottom, 1 left and right.
        for (turns, upright) in [
            (&[(b"irot", 1)][..], stored.rotate270()),
            (&[(b"irot", 2)], stored.rotate180()),
            (&[(b"irot", 3)], stored.rotate90()),
            (&[(b"imir", 0)], stored.flipv()),
            (&[(b"imir", 1)], stored.fliph()),
            (&[(b"irot", 1), (b"imir", 0)], stored.rotate270().flipv()),
        ] {
            let name = format!("turned.{end}");
            make(&name, turns);
            let probed: Value =
                serde_json::from_str(&user.run(&["probe", &user.path(&name), "--json"]).complete()).unwrap();
            let (width, height) = (upright.width(), upright.height());
            assert_eq!((&probed["video"][0]["width"], &probed["video"][0]["height"]), (&width.into(), &height.into()));
            assert_eq!((&probed["format"], &probed["video"][0]["rotation"]), (&end.into(), &"0".into()));
            let difference = apart(&shown(&user, &name), &upright.into_rgb8());
            // Half a step of the scaler's rounding, which depends on the direction.
            assert!(difference < 1.5, "{end} {turns:?}: {difference}");
        }
    }
}

#[test]
fn a_picture_is_told_by_its_content_in_every_command() {
    let user = User::new();
    ffmpeg(user.home.path(), &format!("{PICTURE} p.png"));
    encode(&user, "p.png", "p.heic", &["-q", "80"]);
    std::fs::create_dir(user.home.path().join("phone")).unwrap();
    std::fs::rename(user.path("p.heic"), user.path("phone/IMG_1.jpg")).unwrap();
    encode(&user, "p.png", "phone/IMG_2.avif", &["-q", "80"]);
    std::fs::rename(user.path("phone/IMG_2.avif"), user.path("phone/IMG_2")).unwrap();
    let summary = user.run(&["summarize", &user.path("phone/IMG_1.jpg")]).complete();
    assert!(summary.contains("heic, 160x90"), "{summary}");
    let plan = ["caption", &user.path("phone"), "--model", "m", "--base-url", "http://127.0.0.1:9/v1", "--dry-run"];
    let plan = user.run(&plan).complete();
    assert!(plan.contains("2 frames") || plan.contains("Frames: 2"), "{plan}");
    let out = user.path("frames");
    let sequence = user.run(&["frames", &user.path("phone"), "-o", &out, "--interval", "1s"]);
    assert_eq!((sequence.code, sequence.out.lines().count()), (Some(0), 2), "{sequence:?}");
}

#[test]
fn damaged_pictures_are_refused_by_name() {
    let user = User::new();
    ffmpeg(user.home.path(), &format!("{PICTURE} p.png"));
    for end in ["heic", "avif"] {
        let name = format!("p.{end}");
        encode(&user, "p.png", &name, &["-q", "80"]);
        let good = std::fs::read(user.path(&name)).unwrap();
        let mut flipped = good.clone();
        let at = flipped.len() - flipped.len() / 3;
        flipped[at..at + 200].fill(0x5a);
        let mut huge = good.clone();
        // The size that the container states (ISO/IEC 23008-12, 6.5.3).
        let ispe = huge.windows(4).position(|window| window == b"ispe").unwrap();
        huge[ispe + 8..ispe + 16].copy_from_slice(&[0, 0, 0x7f, 0xff, 0, 0, 0x7f, 0xff]);
        for (what, bytes, said) in [
            ("head.heic", &good[..24], "the HEIF picture cannot be read"),
            ("cut.heic", &good[..good.len() / 2], ""),
            ("huge.heic", &huge, "at most"),
        ] {
            std::fs::write(user.path(what), bytes).unwrap();
            let (done, _) = frame(&user, what, &[]);
            assert_eq!(done.code, Some(2), "{end}, {what}: {done:?}");
            assert!(done.err.contains(what) && done.err.contains(said), "{end}: {}", done.err);
        }
        // Damage that the decoder conceals or refuses; it must not crash.
        std::fs::write(user.path("flipped.heic"), flipped).unwrap();
        let (done, _) = frame(&user, "flipped.heic", &[]);
        assert!(matches!(done.code, Some(0..=2)), "{end}: {done:?}");
    }
}

#[test]
fn a_sequence_of_pictures_is_a_video() {
    let user = User::new();
    let folder = user.home.path();
    ffmpeg(
        folder,
        "-f lavfi -i testsrc2=s=160x90:r=5 -frames:v 10 -c:v libx265 -x265-params log-level=none:keyint=5 a.mp4",
    );
    ffmpeg(folder, "-f lavfi -i testsrc2=s=160x90:r=5 -frames:v 10 -c:v libaom-av1 -cpu-used 8 b.avif");
    let mut sequence = std::fs::read(folder.join("a.mp4")).unwrap();
    // The brand of sequences, and their handler (ISO/IEC 23008-12, 7.2 and 10.3).
    sequence[8..12].copy_from_slice(b"msf1");
    let handler = sequence.windows(4).position(|window| window == b"vide").unwrap();
    sequence[handler..handler + 4].copy_from_slice(b"pict");
    std::fs::write(folder.join("a.heics"), sequence).unwrap();
    for name in ["a.heics", "b.avif"] {
        let out = user.path(&format!("{name}.frames"));
        let done = user.run(&["frames", &user.path(name), "--interval", "200ms", "-o", &out]);
        assert_eq!((done.code, done.out.lines().count()), (Some(0), 10), "{name}: {done:?}");
    }
}

/// Runs the command; also gives its peak resident memory in bytes, as the kernel counted it.
fn measured(user: &User, args: &[&str]) -> (Ran, u64) {
    let script = "import resource, subprocess, sys\n\
                  code = subprocess.call(sys.argv[2:])\n\
                  open(sys.argv[1], 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))\n\
                  sys.exit(code)";
    let note = user.path("peak");
    let mut outer = std::process::Command::new("python3");
    outer.args(["-c", script, &note]).arg(env!("CARGO_BIN_EXE_vidgist")).args(args).env_clear();
    outer.env("HOME", user.home.path()).env("PATH", std::env::var_os("PATH").unwrap());
    outer.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let done = ran(&mut outer);
    (done, std::fs::read_to_string(note).unwrap().parse::<u64>().unwrap() * 1024)
}

#[test]
fn pictures_of_108_megapixels_are_read_with_less_than_500_mb() {
    let user = User::new();
    let folder = user.home.path();
    ffmpeg(folder, "-f lavfi -i testsrc2=s=512x512 -frames:v 1 tile.png");
    ffmpeg(folder, "-i tile.png -vf loop=431:1,tile=24x18,crop=12000:9000:0:0 -frames:v 1 -pix_fmt yuvj420p big.jpg");
    for end in ["heic", "avif"] {
        encode(&user, "tile.png", &format!("tile.{end}"), &["-q", "80"]);
        let tile = std::fs::read(folder.join(format!("tile.{end}"))).unwrap();
        std::fs::write(folder.join(format!("big.{end}")), grid(&tile, 512, (24, 18), (12_000, 9000), &[])).unwrap();
    }
    let mut first = None;
    for name in ["big.jpg", "big.heic", "big.avif"] {
        let out = user.path(&format!("{name}.frames"));
        let (done, peak) = measured(&user, &["frames", &user.path(name), "-o", &out, "--image-format", "png"]);
        assert_eq!(done.code, Some(0), "{name}: {done:?}");
        assert!(peak < 500_000_000, "{name}: {peak} bytes");
        let file = done.out.trim().split('\t').next_back().unwrap().to_owned();
        let picture = image::open(file).unwrap().into_rgb8();
        assert_eq!(picture.dimensions(), (768, 576), "{name}");
        let first = first.get_or_insert_with(|| picture.clone());
        let difference = apart(&picture, first);
        // Of other qualities, and reduced in other ways.
        assert!(difference < 6.0, "{name}: {difference}");
    }
}
