//! A recording of three hours: every event is in a record of its time, what was found out once is not found out again, and
//! neither memory nor requests grow faster than the length.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::support::long_film::{LINE_SECONDS, event, make};
use crate::support::snapshot;
use crate::support::summaries::{Summarizer, content};

fn seconds(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn list<'a>(report: &'a Value, key: &str) -> &'a Vec<Value> {
    report[key].as_array().unwrap_or_else(|| panic!("no {key} in {report}"))
}

/// Every planted event is in one record, whose time is near that of the event; and nothing else is.
fn check_events(report: &Value, n_events: u64) {
    let (records, windows) = (list(report, "records"), list(report, "windows"));
    let half_distance = seconds(&report["sampling"]["longest_gap"]) / 2.0;
    for n in 0..n_events {
        let named = |record: &&Value| record["text"].as_str().is_some_and(|text| text.contains(&event(n)));
        let found: Vec<&Value> = records.iter().filter(named).collect();
        assert_eq!(found.len(), 1, "event {n}: {found:?}");
        let said = (n * LINE_SECONDS + 5) as f64;
        let (start, end) = (seconds(&found[0]["range"]["start"]), seconds(&found[0]["range"]["end"]));
        assert!(start - half_distance <= said && said <= end + half_distance, "event {n} at {said}: {}", found[0]);
        let ids = found[0]["segments"].as_array().expect("segments");
        assert!(ids.contains(&n.into()), "event {n} cites its line: {}", found[0]);
    }
    // Each frame is in one record, with what it shows.
    let frames = list(report, "frames");
    for frame in frames {
        let (id, second) = (&frame["frame_idx"], seconds(&frame["seconds"]));
        let cites = |record: &&Value| record["frames"].as_array().is_some_and(|ids| ids.contains(id));
        let found: Vec<&Value> = records.iter().filter(cites).collect();
        assert_eq!(found.len(), 1, "{frame}: {found:?}");
        let shown = format!("Mark Some({second}) is shown.");
        assert!(found[0]["text"].as_str().is_some_and(|text| text.starts_with(&shown)), "{frame}: {}", found[0]);
    }
    for record in records {
        let cited = record["frames"].as_array().map_or(0, Vec::len) + record["segments"].as_array().map_or(0, Vec::len);
        assert!(cited > 0, "{record}");
    }
    for window in windows {
        let (start, end) = (seconds(&window["range"]["start"]), seconds(&window["range"]["end"]));
        assert!(end - start <= 300.5, "a window of {} s", end - start);
        // No line of speech is cut.
        let cuts = (0..n_events).map(|n| (n * LINE_SECONDS + 5) as f64).any(|line| line < start && start < line + 4.0);
        assert!(!cuts, "a window begins within a line, at {start}");
    }
}

#[test]
fn three_hours_are_looked_at_once() {
    let setting = Summarizer::new();
    let film = make(setting.user.home.path(), 180);
    let (report, n_requests) = setting.summarized(&film, &[]);
    let n_events = 3 * 3600 / LINE_SECONDS;
    check_events(&report, n_events);
    let n_windows = list(&report, "windows").len();
    assert!((36..=45).contains(&n_windows), "{n_windows}");
    assert!((400..=420).contains(&list(&report, "frames").len()), "{}", list(&report, "frames").len());
    // At most one request of the merge for twelve windows and level.
    assert!(n_requests - n_windows <= 2 * n_windows.div_ceil(12), "{n_requests} requests for {n_windows} windows");
    let sections = list(&report, "sections");
    assert!(sections.len() > 10, "{sections:?}");
    let last = &list(&report, "records")[list(&report, "records").len() - 1];
    let n_in_sections: u64 = sections.iter().filter_map(|section| section["n_records"].as_u64()).sum();
    assert_eq!(n_in_sections, last["id"].as_u64().expect("an id") + 1, "sections cover all records");

    // The same again, and in other words: no picture is sent, nothing is decoded. Also after a move.
    let n_pictures = || setting.server.chats().iter().map(|chat| chat.pictures.len()).sum::<usize>();
    let before = n_pictures();
    let (again, n_requests) = setting.summarized(&film, &[]);
    assert_eq!((n_requests, content(&again)), (0, content(&report)));
    assert_eq!(again["sampling"]["from_store"], true);
    let folder = setting.user.home.path();
    for extension in ["mp4", "srt"] {
        let (old, new) = (format!("long-180.{extension}"), format!("moved.{extension}"));
        std::fs::rename(folder.join(old), folder.join(new)).expect("moved");
    }
    let moved = setting.user.path("moved.mp4");
    let (other, n_requests) = setting.summarized(&moved, &["--prompt", "List the numbers, in Korean, in 50 words."]);
    assert_eq!((n_requests, n_pictures()), (1, before), "one request: the records answer");
    assert_eq!((&other["sampling"]["from_store"], &other["records"]), (&true.into(), &report["records"]));
}

#[test]
fn three_hours_take_less_than_300_mb() {
    let setting = Summarizer::new();
    let film = make(setting.user.home.path(), 180);
    let mut command = setting.command(&film, &["--max-frames", "600"]);
    let child = command.spawn().expect("started");
    let pid = child.id();
    let peak = std::thread::spawn(move || {
        let mut most = 0;
        while let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let Some(kb) = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()) else { break };
            most = most.max(kb * 1024);
            std::thread::sleep(Duration::from_millis(10));
        }
        most
    });
    let out = child.wait_with_output().expect("ended");
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let most = peak.join().expect("a figure");
    assert!(0 < most && most < 300_000_000, "{most} bytes");
}

#[test]
fn a_run_that_is_killed_repeats_only_what_was_in_flight() {
    let setting = Summarizer::new();
    let film = make(setting.user.home.path(), 60);
    let (whole, n_whole) = setting.summarized(&film, &["--no-store"]);
    let before = setting.server.chats().len();
    let n_kills = 20;
    // At any moment of a run: the first kills hit the decoder, later ones requests, the last ones the merge.
    for round in 0..n_kills {
        let mut child = setting.command(&film, &["--concurrency", "2"]).spawn().expect("started");
        std::thread::sleep(Duration::from_millis(30 + fastrand::u64(0..100) + 40 * round));
        let _ = child.kill();
        let _ = child.wait();
    }
    let (last, _) = setting.summarized(&film, &["--concurrency", "2"]);
    assert_eq!(content(&last), content(&whole));
    let n_sent = setting.server.chats().len() - before;
    assert!(n_sent <= n_whole + 2 * n_kills as usize, "{n_sent} requests instead of {n_whole}");
}

#[test]
fn requests_and_text_grow_with_the_length() {
    let setting = Summarizer::new();
    let film = make(setting.user.home.path(), 180);
    let mut table = String::from(
        "| length | frames | windows | merge requests | text in all requests | per hour |\n|---:|---:|---:|---:|---:|---:|\n",
    );
    let mut per_hour = Vec::new();
    for minutes in [15, 30, 60, 120, 180] {
        let before = setting.server.chats().len();
        let end = format!("{minutes}m");
        let (report, n_requests) = setting.summarized(&film, &["--end", &end]);
        check_events(&report, minutes * 60 / LINE_SECONDS);
        let n_windows = list(&report, "windows").len();
        let n_merges = n_requests - n_windows;
        // One of the sections and one of the answer for twelve windows.
        assert!(n_merges <= 2 * n_windows.div_ceil(12), "{n_merges} for {n_windows} windows");
        // Text alone: this server counts Base64 as text.
        let chats = setting.server.chats().split_off(before);
        let n_bytes: usize = chats.iter().flat_map(|chat| &chat.texts).map(String::len).sum();
        let n_frames = list(&report, "frames").len();
        let hourly = n_bytes as f64 / 1000.0 * 60.0 / minutes as f64;
        per_hour.push(hourly);
        let kilobytes = n_bytes as f64 / 1000.0;
        // Writing to a String does not fail.
        let _ = writeln!(
            table,
            "| {minutes} min | {n_frames} | {n_windows} | {n_merges} | {kilobytes:.0} kB | {hourly:.0} kB |"
        );
    }
    // Never more for each hour than for the shortest, whose frames are the densest.
    assert!(per_hour.windows(2).all(|pair| pair[1] <= pair[0] * 1.1), "{per_hour:?}");
    let command = "VIDGIST_UPDATE_SNAPSHOTS=1 cargo nextest run -E 'test(long_recordings)'";
    snapshot::check_table("docs/models.md", "long recordings", &table, command);
}
