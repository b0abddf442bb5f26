//! `vidgist caption` against a strict server that sees the marks in the pictures: every frame has its caption at its time,
//! nothing is asked twice, nothing that fails is lost.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use crate::support::command::{Ran, User};
use crate::support::fake_server::{CHAT_MODEL, FakeServer, Fault};
use crate::support::programs::ffmpeg;

const TALK: &str = "fixtures/talk.mp4";
const VFR: &str = "fixtures/vfr.mp4";

fn caption(user: &User, fake_server: &FakeServer, args: &[&str]) -> Ran {
    let base_url = fake_server.base_url();
    user.run(&[&["caption", "--base-url", &base_url, "--model", CHAT_MODEL, "--no-transcript"], args].concat())
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Seconds and mark of each frame of a fixture, from the container's start.
fn truth(input: &str) -> Vec<(f64, u64)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let text = std::fs::read_to_string(folder.join("truth.json")).expect("truth.json");
    let truth: Value = serde_json::from_str(&text).expect("JSON");
    let clip = &truth["good"][input.trim_start_matches("fixtures/")];
    let video =
        clip["streams"].as_array().expect(input).iter().find(|s| s["type"] == "video").expect("a video").clone();
    let (num, den) = video["time_base"].as_str().and_then(|base| base.split_once('/')).expect("a time base");
    let tick = num.parse::<f64>().expect("a number") / den.parse::<f64>().expect("a number");
    let start = clip["start_us"].as_f64().expect("a start") / 1e6;
    let frames: Vec<(f64, u64)> = serde_json::from_value(video["frames"].clone()).expect("frames");
    frames.into_iter().map(|(pts, mark)| (pts * tick - start, mark)).collect()
}

/// Asserts that the caption tells the mark that the file has at the row's time.
#[track_caller]
fn is_right(row: &Value) {
    let input = row["input"].as_str().expect("an input");
    let seconds = row["seconds"].as_f64().expect("seconds");
    let (_, mark) = *truth(input).iter().find(|(time, _)| (time - seconds).abs() < 1e-6).expect("a frame at that time");
    let caption = row["caption"].as_str().unwrap_or_else(|| panic!("no caption: {row}"));
    let seen = if caption.starts_with('{') {
        let seen: Value = serde_json::from_str(caption).expect("what the fake server saw");
        seen["pictures"][0]["mark"].as_u64()
    } else {
        caption.trim_start_matches("mark Some(").trim_end_matches(')').parse().ok()
    };
    assert_eq!(seen, Some(mark), "{row}");
}

#[test]
fn every_frame_of_every_file_is_captioned_in_order() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let broken = user.path("broken.mp4");
    std::fs::write(&broken, b"this is no video").expect("written");
    let ran = caption(&user, &fake_server, &[TALK, &broken, VFR, "--interval", "500ms", "--concurrency", "8"]);
    assert_eq!(ran.code, Some(1), "one file is broken: {ran:?}");
    assert!(ran.err.contains("broken.mp4"), "{ran:?}");
    let rows = rows(&ran.out);
    let failed: Vec<&Value> = rows.iter().filter(|row| row["caption"].is_null()).collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0]["error"].as_str().expect("a reason").contains("broken.mp4") && failed[0]["frame_idx"].is_null());
    let inputs: Vec<&str> = rows.iter().map(|row| row["input"].as_str().expect("an input")).collect();
    let mut order = inputs.clone();
    order.dedup();
    assert_eq!(order, [TALK, &broken, VFR], "in the order of the inputs");
    let captioned: Vec<&Value> = rows.iter().filter(|row| !row["caption"].is_null()).collect();
    assert!(captioned.len() > 10, "{}", captioned.len());
    for row in &captioned {
        is_right(row);
        assert_eq!(row["model"], CHAT_MODEL);
        assert_eq!(row["prompt_version"], "2");
        assert!(row["usage"]["prompt_tokens"].as_u64().is_some_and(|n| n > 0), "{row}");
        assert_eq!(row["image_sha256"].as_str().map(str::len), Some(64));
    }
    for pair in captioned.windows(2).filter(|pair| pair[0]["input"] == pair[1]["input"]) {
        assert!(pair[0]["seconds"].as_f64() < pair[1]["seconds"].as_f64(), "in the order of time");
        assert_eq!(pair[0]["frame_idx"].as_u64().map(|n| n + 1), pair[1]["frame_idx"].as_u64());
    }
    assert_eq!(fake_server.chats().len(), captioned.len(), "each frame was asked for once");
    assert_eq!(fake_server.refusals(), Vec::<String>::new());
}

#[test]
fn suspect_frames_are_marked_in_their_rows() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let folder = user.home.path();
    ffmpeg(folder, "-f lavfi -i testsrc2=s=160x90:r=5 -frames:v 20 -g 10 -c:v libx264 -sc_threshold 0 -bf 0 good.mp4");
    ffmpeg(folder, "-i good.mp4 -c copy -bsf:v noise=amount=if(eq(n\\,4)\\,6\\,0) bad.mp4");
    let (good, bad) = (user.path("good.mp4"), user.path("bad.mp4"));
    let ran = caption(&user, &fake_server, &[&good, &bad, "--interval", "200ms"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let rows = rows(&ran.out);
    let suspects = |input: &str| -> Vec<f64> {
        let of_input = rows.iter().filter(|row| row["input"] == input && row["suspect"] == true);
        of_input.filter_map(|row| row["seconds"].as_f64()).collect()
    };
    assert_eq!(suspects(&good), [0.0; 0]);
    // The damaged packet is at 0.8 s: it may give a frame or none. The next keyframe is at 2 s.
    let marked = suspects(&bad);
    assert!(marked.ends_with(&[1.0, 1.2, 1.4, 1.6, 1.8]) && marked.len() <= 6, "{marked:?}");
    assert!(rows.iter().all(|row| row["suspect"].is_null() == row["frame_idx"].is_null()), "{rows:?}");
    let told = rows.iter().filter_map(|row| row["error"].as_str()).find(|error| error.contains("suspect frames"));
    assert!(told.is_some(), "{rows:?}");
    let table =
        caption(&user, &fake_server, &[&bad, "--interval", "200ms", "--format", "csv", "--sampling", "interval"]);
    let marked = table.out.lines().filter(|line| line.split(',').nth(5) == Some("true")).count();
    assert_eq!(marked, suspects(&bad).len(), "{table:?}");
}

#[test]
fn several_frames_share_a_request_and_missing_captions_are_requested_alone() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let args = [TALK, "--interval", "500ms", "--frames-per-request", "4"];
    let ran = caption(&user, &fake_server, &args);
    let whole = rows(&ran.complete_but_told());
    whole.iter().for_each(is_right);
    let n_requests = fake_server.chats().len();
    assert_eq!(n_requests, whole.len().div_ceil(4));
    let n_paid = whole.iter().filter(|row| !row["usage"].is_null()).count();
    assert_eq!(n_paid, n_requests, "the tokens of a request stand once");

    let fake_server = FakeServer::start();
    let ran = caption(&user, &fake_server, &[&args[..], &["--prompt", "Leave out the last one."]].concat());
    let patched = rows(&ran.complete_but_told());
    patched.iter().for_each(is_right);
    assert_eq!(patched.len(), whole.len());
    // A group of one frame has nothing to leave out.
    let n_groups = whole.len() / 4 + usize::from(whole.len() % 4 > 1);
    assert_eq!(fake_server.chats().len(), n_requests + n_groups);
    assert!(patched[0]["prompt_version"].as_str().is_some_and(|version| version.starts_with("2-")), "{}", patched[0]);
    assert_eq!(fake_server.refusals(), Vec::<String>::new());
}

#[test]
fn tokens_of_a_group_stand_once_where_asking_again_fails() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    // The group is answered, its first frame is left out, and the question about that fails for good.
    fake_server.then_succeed();
    fake_server.fail_with([Fault::Status(403)]);
    let args = [TALK, "--interval", "500ms", "--frames-per-request", "4", "--concurrency", "1"];
    let ran = caption(&user, &fake_server, &[&args[..], &["--prompt", "Leave out the first one."]].concat());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let first = rows(&ran.out).swap_remove(0);
    assert!(first["caption"].is_null() && first["error"].as_str().is_some_and(|why| why.contains("403")), "{first}");
    assert_eq!(first["usage"]["prompt_tokens"].as_u64(), Some(fake_server.chats()[0].n_prompt() as u64), "{first}");
}

#[test]
fn a_second_run_asks_for_what_the_first_one_missed_and_nothing_else() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let out = user.path("captions.jsonl");
    let args = [TALK, VFR, "--interval", "500ms", "-o", &out, "--concurrency", "1"];
    // The second, third and fifth question fail for good.
    let bad = || Some(Fault::Status(403));
    for fault in [None, bad(), bad(), None, bad()] {
        match fault {
            Some(fault) => fake_server.fail_with([fault]),
            None => fake_server.then_succeed(),
        }
    }
    let ran = caption(&user, &fake_server, &args);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let first = rows(&std::fs::read_to_string(&out).expect("a file"));
    let n_failed = first.iter().filter(|row| row["caption"].is_null()).count();
    assert_eq!(n_failed, 3, "{first:#?}");
    let n_asked = fake_server.chats().len();

    // A crash in the middle of a line.
    let mut text = std::fs::read_to_string(&out).expect("a file");
    text.truncate(text.len() - 30);
    std::fs::write(&out, text).expect("written");
    assert_eq!(caption(&user, &fake_server, &args).code, Some(2), "a file that is there is not overwritten");
    let resumed = [&args[..], &["--resume"]].concat();
    let ran = caption(&user, &fake_server, &resumed);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(fake_server.chats().len() - n_asked, n_failed + 1, "those that failed, and the one that was cut");
    let second = rows(&std::fs::read_to_string(&out).expect("a file"));
    second.iter().for_each(is_right);
    let key = |row: &Value| (row["input"].to_string(), row["frame_idx"].as_u64());
    let keys: Vec<_> = second.iter().map(key).collect();
    assert_eq!(keys, first.iter().map(key).collect::<Vec<_>>(), "all of them, in order");
    assert_eq!(keys.iter().collect::<HashSet<_>>().len(), keys.len());

    let n_asked = fake_server.chats().len();
    assert_eq!(caption(&user, &fake_server, &resumed).code, Some(0));
    assert_eq!(fake_server.chats().len(), n_asked, "nothing is left to ask");
}

#[test]
fn folders_are_walked_and_texts_lie_beside_their_pictures() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    std::fs::create_dir_all(user.path("films/more")).expect("a folder");
    for (from, to) in [("talk.mp4", "films/b.mp4"), ("vfr.mp4", "films/more/b.mp4"), ("picture.png", "films/a.png")] {
        std::fs::copy(root.join(from), user.path(to)).expect("copied");
    }
    std::fs::write(user.path("films/notes.md"), "no film").expect("written");
    std::fs::write(user.path("films/.hidden.mp4"), "no film").expect("written");
    let out = user.path("dataset");
    let ran = caption(&user, &fake_server, &[&user.path("films"), "--max-frames", "3", "--format", "txt", "-o", &out]);
    let listed = ran.complete_but_told();
    assert_eq!(listed.lines().count(), 6, "one picture, three frames, and the two that the other film shows: {listed}");
    for text in listed.lines() {
        assert!(std::fs::read_to_string(text).expect("a text").contains("mark"), "{text}");
        assert!(Path::new(text).with_extension("jpg").exists(), "{text}");
    }
    let folders: HashSet<_> =
        listed.lines().map(|text| Path::new(text).parent().expect("a folder").to_owned()).collect();
    assert_eq!(folders.len(), 3, "two films of one name: {listed}");
}

#[test]
fn a_table_has_a_row_for_each_frame() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let ran = caption(&user, &fake_server, &[TALK, "--max-frames", "4", "--format", "csv"]);
    let table = ran.complete_but_told();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("input,frame_idx,pts,") && lines.len() == 5, "{table}");
    assert!(lines[1].starts_with("fixtures/talk.mp4,0,"), "{table}");
}

#[test]
fn words_around_a_frame_are_given_along() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let base_url = fake_server.base_url();
    let ran = user.run(&["caption", "--base-url", &base_url, "--model", CHAT_MODEL, TALK, "--max-frames", "3"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(fake_server.chats().iter().any(|chat| chat.pictures.iter().any(|picture| !picture.words.is_empty())));
}

#[test]
fn impossible_jobs_are_errors_before_any_request() {
    let user = User::new();
    let told = |args: &[&str]| {
        let ran = user.run(args);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        ran.err
    };
    assert!(told(&["caption", TALK]).contains("captions need a vision model"));
    let fake_server = FakeServer::start();
    let base_url = fake_server.base_url();
    let with =
        |more: &[&str]| told(&[&["caption", TALK, "--base-url", &base_url, "--model", CHAT_MODEL], more].concat());
    assert!(with(&["--format", "txt"]).contains("pass --output"));
    assert!(with(&["--resume"]).contains("pass --format jsonl, or pass --output"));
    assert!(
        told(&["caption", &user.path("."), "--base-url", &base_url, "--model", CHAT_MODEL]).contains("neither videos")
    );
    assert_eq!(fake_server.chats().len(), 0);
}

#[test]
fn a_dry_run_shows_the_requests_and_sends_nothing() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let base_url = fake_server.base_url();
    let args = ["caption", TALK, VFR, "--base-url", &base_url, "--model", "gpt-4o-mini", "--interval", "500ms"];
    let dry = [&args[..], &["--no-transcript", "--dry-run", "--frames-per-request", "4"]].concat();
    let shown = user.run(&dry).complete_but_told();
    assert!(shown.starts_with("# Plan for fixtures/talk.mp4, fixtures/vfr.mp4"), "{shown}");
    let json = user.run(&[&dry[..], &["--format", "jsonl", "--show-requests"]].concat()).complete_but_told();
    let forecast: Value = serde_json::from_str(&json).expect("JSON");
    let requests = forecast["requests"].as_array().expect("requests");
    assert_eq!(fake_server.seen().len(), 0, "nothing was sent");
    assert_eq!(requests[0]["input"], TALK);
    assert!(requests[0]["body"]["messages"].is_array(), "{}", requests[0]);
    let ran = caption(&user, &fake_server, &[TALK, VFR, "--interval", "500ms", "--frames-per-request", "4"]);
    let n_rows = rows(&ran.complete_but_told()).len() as u64;
    assert_eq!((requests.len(), forecast["n_frames"].as_u64()), (fake_server.chats().len(), Some(n_rows)));
}

#[test]
fn a_run_stops_before_its_limit_and_the_next_one_continues() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let out = user.path("captions.jsonl");
    let args = [TALK, "--interval", "500ms", "-o", &out, "--concurrency", "2"];
    let limited =
        caption(&user, &fake_server, &[&args[..], &["--max-tokens-total", "3000", "--max-tokens", "100"]].concat());
    assert_eq!(limited.code, Some(1), "{limited:?}");
    assert!(limited.err.contains("exceed its limit of 3000 tokens"), "{limited:?}");
    let first = rows(&std::fs::read_to_string(&out).expect("a file"));
    let n_asked = fake_server.chats().len();
    assert!(n_asked > 0 && first.len() == n_asked, "{n_asked} asked, {} written", first.len());
    assert!(n_asked <= 2, "the server counts more tokens than were expected: {n_asked}");
    let ran = caption(&user, &fake_server, &[&args[..], &["--resume"]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let second = rows(&std::fs::read_to_string(&out).expect("a file"));
    second.iter().for_each(is_right);
    assert!(second.len() > first.len() && fake_server.chats().len() == second.len(), "none was asked twice");
    let unpriced = caption(&user, &fake_server, &[TALK, "--max-cost", "0.1"]);
    assert!(unpriced.code == Some(2) && unpriced.err.contains("the price of fake-chat is not known"), "{unpriced:?}");
}

#[test]
fn frames_that_look_the_same_have_a_row_each() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let (still, out) = (user.path("still.mp4"), user.path("captions.jsonl"));
    let still_film = ["-v", "error", "-f", "lavfi", "-i", "color=gray:s=64x64:r=5", "-t", "2", "-c:v", "mpeg4", &still];
    let made = std::process::Command::new("ffmpeg").args(still_film).status().expect("ffmpeg is installed");
    assert!(made.success());
    let args = [&*still, "--interval", "500ms", "-o", &out];
    assert_eq!(caption(&user, &fake_server, &args).code, Some(0));
    let text = std::fs::read_to_string(&out).expect("rows");
    let whole = rows(&text);
    assert!(whole.len() == 4 && whole[1]["image_sha256"] == whole[2]["image_sha256"], "{whole:#?}");
    // Cut off after the second of them.
    let half: String = text.lines().take(2).flat_map(|line| [line, "\n"]).collect();
    std::fs::write(&out, half).expect("written");
    assert_eq!(caption(&user, &fake_server, &[&args[..], &["--resume"]].concat()).code, Some(0));
    let places = |rows: &[Value]| rows.iter().map(|row| row["pts"].as_i64()).collect::<Vec<_>>();
    assert_eq!(places(&rows(&std::fs::read_to_string(&out).expect("rows"))), places(&whole), "none is lost");
    assert_eq!(fake_server.chats().len(), 6);
}

/// The text files below a folder, by their names from there.
fn texts(folder: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.path().extension().is_some_and(|ending| ending == "txt"))
        .map(|entry| {
            let name = entry.path().strip_prefix(folder).expect("below it").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(entry.path()).expect("a text"))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn a_caption_that_was_edited_is_kept() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let out = user.path("dataset");
    let args = [TALK, "fixtures/picture.png", "--max-frames", "2", "--format", "txt", "-o", &out];
    assert_eq!(caption(&user, &fake_server, &args).code, Some(0));
    let first = texts(&out);
    assert_eq!((first.len(), fake_server.chats().len()), (3, 3), "{first:?}");
    let edited = Path::new(&out).join(&first[0].0);
    std::fs::write(&edited, "my own words\n").expect("written");
    // One is gone: only that one is requested again.
    std::fs::remove_file(Path::new(&out).join(&first[1].0)).expect("removed");
    for more in [&[][..], &["--resume"]] {
        assert_eq!(caption(&user, &fake_server, &[&args[..], more].concat()).code, Some(0));
        assert_eq!(fake_server.chats().len(), 4, "{more:?}");
        let second = texts(&out);
        assert_eq!((second[0].1.as_str(), &second[1..]), ("my own words\n", &first[1..]));
    }

    assert_eq!(caption(&user, &fake_server, &[&args[..], &["--captions", "append"]].concat()).code, Some(0));
    assert_eq!(texts(&out)[0].1, format!("my own words\n{}", first[0].1), "after it");
    std::fs::write(&edited, "my own words\n").expect("written");
    assert_eq!(caption(&user, &fake_server, &[&args[..], &["--captions", "prepend"]].concat()).code, Some(0));
    assert_eq!(texts(&out)[0].1, format!("{}my own words\n", first[0].1), "before it");
    assert_eq!(caption(&user, &fake_server, &[&args[..], &["--overwrite"]].concat()).code, Some(0));
    assert_eq!(texts(&out), first, "replaced");
    assert_eq!(fake_server.chats().len(), 4 + 3 * 3);
}

#[test]
fn a_second_run_over_a_folder_of_texts_replaces_what_the_first_wrote_where_it_overwrites() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let out = user.path("dataset");
    let run = |more: &[&str]| caption(&user, &fake_server, &[&[TALK, "--format", "txt", "-o", &out], more].concat());
    let files = || -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(Path::new(&out).join("talk"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    };
    assert_eq!(run(&["--interval", "5s"]).code, Some(0));
    let first = files();
    // Files of others: notes, a text of another name, a frame in a folder above.
    let others =
        ["talk/notes.txt", "talk/frame_of_mind.txt", "talk/contact-sheet-01.jpg", "frame_000001_t00-00-05.000.jpg"];
    for name in others {
        std::fs::write(Path::new(&out).join(name), "mine").expect("written");
    }
    // Captions of other times are kept, as those of the same times are: they may be edited.
    let ran = run(&["--at", "1s,2s"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let warning = format!("contains {} files of an earlier run at other times; pass --overwrite", first.len());
    assert!(ran.err.contains(&warning), "{}", ran.err);
    assert!(first.iter().all(|name| files().contains(name)), "{:?}", files());

    let ran = run(&["--at", "1s,2s", "--overwrite"]);
    assert!(ran.code == Some(0) && !ran.err.contains("earlier run"), "{ran:?}");
    let left: Vec<String> = files().into_iter().filter(|name| !others.contains(&&*format!("talk/{name}"))).collect();
    assert_eq!(left.len(), 4, "two frames and their texts: {left:?}");
    assert!(left.iter().all(|name| name.contains("t00-00-01.") || name.contains("t00-00-02.")), "{left:?}");
    assert!(others.iter().all(|name| Path::new(&out).join(name).exists()), "{:?}", files());

    // A run over another input removes nothing.
    let other = caption(&user, &fake_server, &["fixtures/picture.png", "--format", "txt", "-o", &out, "--overwrite"]);
    assert_eq!(other.code, Some(0), "{other:?}");
    assert!(left.iter().all(|name| files().contains(name)), "{:?}", files());
}

/// Captions may have been edited, and cost money: overwriting deletes them only once all of this run are there, and only if
/// they are of the same input.
#[test]
fn overwriting_deletes_no_earlier_captions_that_are_not_replaced() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let out = user.path("dataset");
    std::fs::create_dir(user.path("other")).expect("a folder");
    let other = user.path("other/talk.mp4");
    std::fs::copy(VFR, &other).expect("copied");
    let run = |input: &str, more: &[&str]| {
        caption(&user, &fake_server, &[&[input, "--format", "txt", "-o", &out, "--concurrency", "1"], more].concat())
    };
    assert_eq!(run(TALK, &["--interval", "5s"]).code, Some(0));
    let first = texts(&out);
    assert_eq!(first.len(), 4);
    let is_kept = |ran: &Ran, why: &str| {
        let left = texts(&out);
        let is_there = |(name, _): &&(String, String)| left.iter().any(|(other, _)| other == name);
        assert_eq!(first.iter().filter(is_there).count(), first.len(), "{why}: {left:?}");
        assert!(ran.err.contains("files of an earlier run at other times") && ran.err.contains(why), "{}", ran.err);
    };
    let frames = ["--at", "0s,1s,2s", "--overwrite"];
    // One request fails; the limit is reached.
    fake_server.then_succeed();
    fake_server.fail_with([Fault::Status(403)]);
    let failed = run(TALK, &frames);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    is_kept(&failed, "run the same command again");
    let limited = run(TALK, &[&frames[..], &["--max-tokens-total", "3000", "--max-tokens", "100"]].concat());
    assert!(limited.code == Some(1) && limited.err.contains("exceed its limit"), "{limited:?}");
    assert!(first.iter().all(|(name, _)| texts(&out).iter().any(|(other, _)| other == name)), "{:?}", texts(&out));
    // Another input of the same name, with and without a frame at the time of an earlier one.
    for times in ["0s,1s", "700ms"] {
        is_kept(&run(&other, &["--at", times, "--overwrite"]), "they may be of another input of the same name");
    }
    assert_eq!(run(TALK, &["--interval", "5s", "--overwrite"]).code, Some(0));
    assert_eq!(run(TALK, &frames).code, Some(0));
    assert_eq!(texts(&out).len(), 3, "{:?}", texts(&out));
}

#[test]
fn captions_go_beside_their_images() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    std::fs::create_dir_all(user.path("shots/more")).expect("a folder");
    for (from, to) in [
        ("picture.png", "shots/a.png"),
        ("picture.jpg", "shots/a.jpg"),
        ("picture.jpg", "shots/more/b.jpg"),
        ("talk.mp4", "shots/c.mp4"),
    ] {
        std::fs::copy(fixtures.join(from), user.path(to)).expect("copied");
    }
    std::fs::write(user.path("shots/more/b.txt"), "kept").expect("written");
    let shots = user.path("shots");
    let args = [shots.as_str(), "--beside", "--max-frames", "1"];
    let ran = caption(&user, &fake_server, &args);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(!ran.out.contains("\"caption\"") && ran.out.contains("a.txt\n"), "the written files: {ran:?}");
    let found = texts(&shots);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names.contains(&"a.txt") && names.contains(&"a.png.txt"), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("c/")), "{names:?}");
    assert!(found.contains(&("more/b.txt".to_owned(), "kept".to_owned())), "{found:?}");
    assert_eq!(fake_server.chats().len(), 3);
    assert_eq!(caption(&user, &fake_server, &args).code, Some(0));
    assert_eq!((texts(&shots), fake_server.chats().len()), (found, 3), "a second run changes nothing");
}

#[test]
fn options_for_texts_need_texts() {
    let (user, fake_server) = (User::new(), FakeServer::start());
    let out = user.path("captions.jsonl");
    for (args, expected) in [
        (
            &["--captions", "append", "-o", &out][..],
            "--captions: needs text files; pass --format txt, or pass --beside",
        ),
        (&["--beside", "--format", "csv"], "--beside: needs text files; pass --format txt"),
        (&["--format", "txt"], "--format: txt needs an output folder; pass --output, or pass --beside"),
    ] {
        let ran = caption(&user, &fake_server, &[&[TALK][..], args].concat());
        assert!(ran.code == Some(2) && ran.err.contains(expected), "{args:?}: {ran:?}");
    }
    assert!(fake_server.seen().is_empty());
    std::fs::write(&out, "{}\n").expect("written");
    let args = [TALK, "--max-frames", "1", "-o", &out];
    let ran = caption(&user, &fake_server, &args);
    assert!(ran.code == Some(2) && ran.err.contains("--overwrite"), "{ran:?}");
    assert_eq!(caption(&user, &fake_server, &[&args[..], &["--overwrite"]].concat()).code, Some(0));
    assert_eq!(rows(&std::fs::read_to_string(&out).expect("a file")).len(), 1);
}
