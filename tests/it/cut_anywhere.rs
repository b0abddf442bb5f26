//! Every broken fixture, and every intact one cut at up to 50 lengths, ends in one clear error or in a result that says
//! what is missing: never in a panic, a hang, or an empty success. The cuts are read by the library in this process; the
//! command is started on every broken file and on one cut file of each container.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use vidgist::engine::{Config, Engine, Outcome, Secrets};
use vidgist::job::{Job, SamplingOptions, SummarizeJob, Task};
use vidgist::{ErrorKind, report};

const MAX_FRAMES: usize = 4;
const ERROR_PREFIX: &str = "error: ";
const COMPLETE: &str = "complete";
const PARTIAL: &str = "partial";
/// A result that has none of these is empty.
const CONTENTS: [&str; 2] = ["frames", "transcript"];

/// A run takes well under a second; this leaves room for two busy cores.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// Address space: the libraries and the threads' stacks take 1 to 2 GB of it. An allocation as large as a lying header
/// asks for takes more than this.
const MEMORY_LIMIT_KIB: u64 = 6_000_000;

/// One of each kind is cut at 50 lengths, similar ones at few; with `VIDGIST_SOAK=1` all are cut at 50.
const FULL: usize = 50;
const FEW: usize = 6;

/// Extensions of containers that do not store their length: cut, they may pass for whole.
const OPEN_ENDED: [&str; 8] = ["flv", "gif", "mp3", "mpg", "ogg", "ogv", "opus", "ts"];
const PICTURES: [&str; 5] = ["bmp", "jpg", "png", "tiff", "webp"];

macro_rules! cuts {
    ($($test:ident $name:literal $n_cuts:ident,)*) => {
        const CUT: &[&str] = &[$($name),*];
        $(#[test]
        fn $test() {
            cut($name, $n_cuts);
        })*
    };
}

// A test each, so that they run side by side and a failure names its file.
cuts! {
    alpha_webm "alpha.webm" FEW,
    animated_gif "animated.gif" FULL,
    av1_10bit_webm "av1-10bit.webm" FEW,
    av1_mp4 "av1.mp4" FULL,
    bars_alpha_mov "bars-alpha.mov" FEW,
    bars_bt601_mp4 "bars-bt601.mp4" FEW,
    bars_bt709_full_mp4 "bars-bt709-full.mp4" FEW,
    bars_bt709_mp4 "bars-bt709.mp4" FEW,
    bars_full_webm "bars-full.webm" FEW,
    bars_hlg_mp4 "bars-hlg.mp4" FEW,
    bars_pq_mp4 "bars-pq.mp4" FEW,
    cover_mp3 "cover.mp3" FULL,
    cropped_mp4 "cropped.mp4" FEW,
    edit_list_mp4 "edit-list.mp4" FULL,
    flv1_flv "flv1.flv" FEW,
    h263_aac_3gp "h263-aac.3gp" FULL,
    h264_10bit_mp4 "h264-10bit.mp4" FEW,
    h264_aac_flv "h264-aac.flv" FULL,
    hdr_pq_mp4 "hdr-pq.mp4" FEW,
    hevc_10bit_mkv "hevc-10bit.mkv" FEW,
    hevc_mp4 "hevc.mp4" FULL,
    hevc_ts "hevc.ts" FEW,
    hostile_text_mkv "hostile-text.mkv" FEW,
    interlaced_bottom_mp4 "interlaced-bottom.mp4" FEW,
    interlaced_ts "interlaced.ts" FULL,
    intra_refresh_mp4 "intra-refresh.mp4" FEW,
    mjpeg_avi "mjpeg.avi" FEW,
    mjpeg_mov "mjpeg.mov" FULL,
    mpeg2_mpg "mpeg2.mpg" FULL,
    mpeg4_b_frames_avi "mpeg4-b-frames.avi" FEW,
    mpeg4_mp3_avi "mpeg4-mp3.avi" FEW,
    mpeg4_avi "mpeg4.avi" FULL,
    mpeg4_mp4 "mpeg4.mp4" FEW,
    mpegts_ts "mpegts.ts" FEW,
    no_audio_mp4 "no-audio.mp4" FEW,
    ntsc_mp4 "ntsc.mp4" FEW,
    odd_size_444_mp4 "odd-size-444.mp4" FEW,
    offset_mkv "offset.mkv" FULL,
    offset_mp4 "offset.mp4" FEW,
    offset_ts "offset.ts" FULL,
    one_fps_mp4 "one-fps.mp4" FEW,
    one_gop_mp4 "one-gop.mp4" FEW,
    open_gop_mp4 "open-gop.mp4" FULL,
    open_gop_ts "open-gop.ts" FEW,
    picture_alpha_png "picture-alpha.png" FEW,
    picture_exif_3_jpg "picture-exif-3.jpg" FEW,
    picture_exif_6_jpg "picture-exif-6.jpg" FEW,
    picture_bmp "picture.bmp" FULL,
    picture_gif "picture.gif" FULL,
    picture_jpg "picture.jpg" FULL,
    picture_png "picture.png" FULL,
    picture_tiff "picture.tiff" FULL,
    picture_webp "picture.webp" FULL,
    prores_alpha_mov "prores-alpha.mov" FEW,
    prores_mov "prores.mov" FULL,
    rle_mov "rle.mov" FEW,
    rotated_180_mp4 "rotated-180.mp4" FEW,
    rotated_270_mp4 "rotated-270.mp4" FEW,
    rotated_90_mp4 "rotated-90.mp4" FULL,
    sidecars_mp4 "sidecars.mp4" FEW,
    single_frame_with_sound_mp4 "single-frame-with-sound.mp4" FEW,
    single_frame_mp4 "single-frame.mp4" FEW,
    sound_early_mkv "sound-early.mkv" FEW,
    sound_early_mp4 "sound-early.mp4" FEW,
    sound_late_mkv "sound-late.mkv" FEW,
    sound_late_mp4 "sound-late.mp4" FULL,
    speech_flac "speech.flac" FULL,
    speech_m4a "speech.m4a" FULL,
    speech_mp3 "speech.mp3" FULL,
    speech_ogg "speech.ogg" FULL,
    speech_opus "speech.opus" FULL,
    speech_wav "speech.wav" FULL,
    stereo_48k_wav "stereo-48k.wav" FEW,
    still_mp4 "still.mp4" FEW,
    subs_ass_mkv "subs-ass.mkv" FULL,
    subs_mov_text_mp4 "subs-mov_text.mp4" FULL,
    subs_offset_mkv "subs-offset.mkv" FEW,
    subs_subrip_mkv "subs-subrip.mkv" FEW,
    subs_webvtt_webm "subs-webvtt.webm" FEW,
    talk_mp4 "talk.mp4" FULL,
    tall_pixels_mp4 "tall-pixels.mp4" FEW,
    theora_vorbis_ogv "theora-vorbis.ogv" FULL,
    transparent_gif "transparent.gif" FEW,
    two_languages_mkv "two-languages.mkv" FULL,
    two_languages_mp4 "two-languages.mp4" FULL,
    two_videos_mp4 "two-videos.mp4" FEW,
    vfr_mkv "vfr.mkv" FEW,
    vfr_mp4 "vfr.mp4" FULL,
    vp8_vorbis_webm "vp8-vorbis.webm" FULL,
    vp9_10bit_webm "vp9-10bit.webm" FEW,
    vp9_opus_webm "vp9-opus.webm" FULL,
    vp9_mp4 "vp9.mp4" FEW,
    wide_pixels_rotated_90_mp4 "wide-pixels-rotated-90.mp4" FEW,
    wide_pixels_mp4 "wide-pixels.mp4" FEW,
    wmv2_wmv "wmv2.wmv" FULL,
}

#[test]
fn every_intact_fixture_is_cut() {
    let truth = truth();
    let names: Vec<&String> = truth["good"].as_object().expect("an object").keys().collect();
    for name in &names {
        assert!(CUT.contains(&name.as_str()), "{name} has no line in cuts!");
    }
    assert_eq!(names.len(), CUT.len(), "cuts! names files that do not exist");
}

#[test]
fn broken_files_end_as_they_should() {
    let truth = truth();
    let home = tempfile::tempdir().expect("a folder");
    let mut faults = Vec::new();
    for (name, file) in truth["broken"].as_object().expect("an object") {
        let outcomes: Vec<&str> =
            file["outcomes"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
        match run_command(&fixtures().join("broken").join(name), home.path()) {
            Ok(outcome) if outcomes.contains(&outcome) => {}
            Ok(outcome) => faults.push(format!("{name} ({}): {outcome}, not {}", file["why"], outcomes.join(" or "))),
            Err(fault) => faults.push(format!("{name} ({}): {fault}", file["why"])),
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_command_reports_a_cut_file_of_each_container() {
    let home = tempfile::tempdir().expect("a folder");
    let by_extension: BTreeMap<&str, &str> = CUT.iter().map(|name| (extension(name), *name)).collect();
    let mut faults = Vec::new();
    for name in by_extension.into_values() {
        let whole = std::fs::read(fixtures().join(name)).expect("it is committed");
        let file = home.path().join(name);
        std::fs::write(&file, &whole[..whole.len() / 2]).expect("written");
        match run_command(&file, home.path()) {
            Ok(COMPLETE) if !may_pass_for_whole(name, &file) => faults.push(format!("{name}: it passes for whole")),
            Ok(_) => {}
            Err(fault) => faults.push(format!("{name}: {fault}")),
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn a_playlist_in_disguise_contacts_no_server() {
    let home = tempfile::tempdir().expect("a folder");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("bound");
    for (name, text) in [
        ("hls.mp4", format!("#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nhttp://{address}/a.ts\n#EXT-X-ENDLIST\n")),
        ("concat.mp4", format!("ffconcat version 1.0\nfile 'http://{address}/a.mp4'\n")),
    ] {
        let file = home.path().join(name);
        std::fs::write(&file, text).expect("written");
        assert_eq!(run_command(&file, home.path()), Ok("error"), "{name}");
        let visit = listener.accept().map_err(|error| error.kind());
        assert!(matches!(visit, Err(io::ErrorKind::WouldBlock)), "{name}: the server was contacted");
    }
}

/// Cuts an intact fixture at `n_cuts` lengths, the last one byte short.
fn cut(name: &str, n_cuts: usize) {
    let n_cuts = if std::env::var_os("VIDGIST_SOAK").is_some() { FULL } else { n_cuts };
    let whole = std::fs::read(fixtures().join(name)).expect("it is committed");
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join(name);
    let mut faults = Vec::new();
    let library = Library::new();
    for i in 1..=n_cuts {
        let length = if i == n_cuts { whole.len() - 1 } else { i * whole.len() / n_cuts };
        std::fs::write(&file, &whole[..length]).expect("written");
        match library.summarize(&file) {
            Ok(COMPLETE) if !may_pass_for_whole(name, &file) => {
                faults.push(format!("{length} bytes: it passes for whole"));
            }
            Ok(_) => {}
            Err(fault) => faults.push(format!("{length} bytes: {fault}")),
        }
        // Enough to see what is wrong; a hang at every length would take a quarter of an hour.
        if faults.len() == 5 {
            break;
        }
    }
    library.runtime.shutdown_background();
    assert!(faults.is_empty(), "{name}, {} bytes whole:\n{}", whole.len(), faults.join("\n"));
}

fn extension(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

/// Whether a cut file does not show that something is missing, or nothing is: only an index behind the last packet.
fn may_pass_for_whole(name: &str, file: &Path) -> bool {
    if OPEN_ENDED.contains(&extension(name)) {
        return true;
    }
    if PICTURES.contains(&extension(name)) {
        let output = output_of("ffmpeg", &["-nostdin", "-v", "error", "-i"], file, &["-f", "null", "-"]);
        return output.status.success() && output.stderr.is_empty();
    }
    let count = ["-v", "quiet", "-count_packets", "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0"];
    let packets = |file: &Path| output_of("ffprobe", &count, file, &[]).stdout;
    packets(file) == packets(&fixtures().join(name))
}

fn output_of(program: &str, before: &[&str], file: &Path, after: &[&str]) -> Output {
    Command::new(program).args(before).arg(file).args(after).output().expect("scripts/setup installs it")
}

/// The library in this process, whose memory is limited.
struct Library {
    runtime: Runtime,
    engine: Engine,
}

/// Panics of all threads, also of those that the library catches.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl Library {
    fn new() -> Self {
        let limit = format!("--as={}", MEMORY_LIMIT_KIB * 1024);
        let status = Command::new("prlimit").args([&limit, "--pid", &std::process::id().to_string()]).status();
        assert!(status.expect("util-linux is installed").success());
        std::panic::set_hook(Box::new(|panic| {
            eprintln!("{panic}");
            PANICS.lock().expect("no panic while it is held").push(panic.to_string());
        }));
        Self { runtime: Runtime::new().expect("threads"), engine: Engine::new(Config::default(), Secrets::default()) }
    }

    /// How a summary of a file ends; an Err says what is wrong with that.
    fn summarize(&self, file: &Path) -> Result<&'static str, String> {
        let sampling = SamplingOptions { max_frames: Some(MAX_FRAMES), ..SamplingOptions::default() };
        let input = file.to_string_lossy().into_owned();
        let job = Job::new(Task::Summarize(SummarizeJob { input, sampling, ..SummarizeJob::default() }));
        let outcome = self.runtime.block_on(async {
            tokio::time::timeout(TIME_LIMIT, self.engine.run(job, CancellationToken::new()).finish()).await
        });
        let outcome = outcome.map_err(|_| format!("still running after {} s", TIME_LIMIT.as_secs()))?;
        let panics = std::mem::take(&mut *PANICS.lock().expect("no panic while it is held"));
        match outcome {
            _ if !panics.is_empty() => Err(panics.join("\n")),
            Err(error) if error.kind == ErrorKind::Internal => Err(error.to_string()),
            Err(error) => judge_error(file, &error.to_string()),
            Ok(Outcome::Report(found)) => {
                let is_complete = found.status() == report::Status::Complete;
                let text = report::render(&found, report::Format::Json).map_err(|error| error.to_string())?;
                judge_report(&text, is_complete)
            }
            Ok(other) => Err(format!("no report: {other:?}")),
        }
    }
}

/// How the command on a file ends; an Err says what is wrong with that.
fn run_command(file: &Path, home: &Path) -> Result<&'static str, String> {
    let limited = format!("ulimit -v {MEMORY_LIMIT_KIB} && exec \"$@\"");
    let output = Command::new("timeout")
        .args(["--kill-after=1", &TIME_LIMIT.as_secs().to_string()])
        .args(["sh", "-c", &limited, "sh", env!("CARGO_BIN_EXE_vidgist")])
        .args(["summarize", "--format", "json", "--max-frames", &MAX_FRAMES.to_string()])
        .arg(file)
        // Neither the key nor the configuration of the user who runs the tests.
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home)
        .stdin(Stdio::null())
        .output()
        .expect("coreutils are installed");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if stderr.contains("panicked at") {
        return Err(format!("a panic: {stderr}"));
    }
    match output.status.code() {
        Some(2) => match stderr.trim_end().strip_prefix(ERROR_PREFIX) {
            Some(line) if stdout.is_empty() => judge_error(file, line),
            _ => Err(format!("no error: {stderr:?}, stdout {stdout:?}")),
        },
        Some(code @ (0 | 1)) => judge_report(&stdout, code == 0),
        Some(124 | 137) => Err(format!("still running after {} s", TIME_LIMIT.as_secs())),
        Some(code) => Err(format!("exit {code}: {stderr}")),
        None => Err(format!("killed by a signal: {stderr}")),
    }
}

/// An error is one short line that names the file.
fn judge_error(file: &Path, line: &str) -> Result<&'static str, String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let is_clear = line.contains(&*name) && line.len() < 500 && !line.contains('\n');
    if is_clear { Ok("error") } else { Err(format!("no clear error: {line:?}")) }
}

/// A complete report has contents, a partial one says what is missing.
fn judge_report(json: &str, is_complete: bool) -> Result<&'static str, String> {
    let report: Value = serde_json::from_str(json).map_err(|error| format!("no JSON: {error}"))?;
    let is_filled = |key: &str| match &report[key] {
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        _ => false,
    };
    match (is_complete, report["status"].as_str()) {
        (false, Some(PARTIAL)) if is_filled("missing") => Ok(PARTIAL),
        (true, Some(COMPLETE)) if CONTENTS.into_iter().any(is_filled) => Ok(COMPLETE),
        (true, Some(COMPLETE)) => Err("an empty success".into()),
        (_, status) => Err(format!("complete {is_complete}, status {status:?}, missing: {}", report["missing"])),
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn truth() -> Value {
    let text = std::fs::read_to_string(fixtures().join("truth.json")).expect("truth.json is committed");
    serde_json::from_str(&text).expect("truth.json is JSON")
}
