//! Chapters of containers: where they are stored, and lists that are odd, damaged or hostile.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use serde_json::Value;

use crate::support::command::User;
use crate::support::programs::ffmpeg_with;

const TALK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/talk.mp4");

/// Start and end in milliseconds, and the title, of each chapter.
fn chapters(user: &User, name: &str) -> Vec<(i64, i64, Option<String>)> {
    let facts: Value = serde_json::from_str(&user.run(&["probe", &user.path(name), "--json"]).complete()).unwrap();
    let millis = |time: &Value| (time.as_f64().unwrap() * 1000.0).round() as i64;
    let read = |c: &Value| (millis(&c["start"]), millis(&c["end"]), c["title"].as_str().map(str::to_owned));
    facts["chapters"].as_array().unwrap().iter().map(read).collect()
}

fn titles(user: &User, name: &str) -> Vec<String> {
    chapters(user, name).into_iter().map(|(_, _, title)| title.unwrap_or_default()).collect()
}

#[test]
fn chapters_are_read_wherever_a_format_stores_them() {
    let user = User::new();
    let home = user.home.path();
    let list = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=8400\ntitle=One\n\
                [CHAPTER]\nTIMEBASE=1/1000\nSTART=8400\nEND=20000\ntitle=Two\n";
    std::fs::write(home.join("list.txt"), list).unwrap();
    let with_list = ["-i", TALK, "-i", "list.txt", "-map_chapters", "1"];
    let comments = ["CHAPTER001=00:00:00.000", "CHAPTER001NAME=One", "CHAPTER002=00:00:08.400", "CHAPTER002NAME=Two"];
    let of_stream: Vec<&str> = comments.iter().flat_map(|text| ["-metadata:s:a:0", text]).collect();
    let of_file: Vec<&str> = comments.iter().flat_map(|text| ["-metadata", text]).collect();
    for (name, args) in [
        // A track of text and Nero's list; the track alone, as QuickTime has it; ID3's CHAP; Matroska's atoms.
        ("both.mp4", [&with_list[..], &["-map", "0", "-c", "copy"]].concat()),
        ("track.mp4", [&with_list[..], &["-map", "0", "-c", "copy", "-movflags", "disable_chpl"]].concat()),
        ("track.mov", [&with_list[..], &["-map", "0", "-c", "copy"]].concat()),
        ("frames.mp3", [&with_list[..], &["-map", "0:a", "-c:a", "libmp3lame"]].concat()),
        ("atoms.mkv", [&with_list[..], &["-map", "0", "-c", "copy"]].concat()),
        ("list.opus", [&with_list[..], &["-map", "0:a", "-c:a", "libopus"]].concat()),
        // Comments of Vorbis, as taggers write them.
        ("comments.opus", [&["-i", TALK, "-map", "0:a", "-c:a", "libopus"][..], &of_stream].concat()),
        ("comments.ogg", [&["-i", TALK, "-map", "0:a", "-c:a", "libvorbis"][..], &of_stream].concat()),
        ("comments.flac", [&["-i", TALK, "-map", "0:a", "-c:a", "flac"][..], &of_file].concat()),
    ] {
        ffmpeg_with(home, &[&args[..], &[name]].concat());
        let found = chapters(&user, name);
        let starts: Vec<i64> = found.iter().map(|(start, _, _)| *start).collect();
        assert_eq!(starts, [0, 8400], "{name}: {found:?}");
        assert_eq!(titles(&user, name), ["One", "Two"], "{name}");
        // The last one ends with the file where its end is not stored.
        assert!((20_000..20_100).contains(&found[1].1) && found[0].1 == 8400, "{name}: {found:?}");
    }
}

/// An element of Matroska.
fn element(id: &[u8], data: &[u8]) -> Vec<u8> {
    [id, &(0x0100_0000_0000_0000 | data.len() as u64).to_be_bytes(), data].concat()
}

/// A chapter in milliseconds; `more` is put into it.
fn atom(uid: u64, start: u64, end: Option<u64>, title: &[u8], more: &[u8]) -> Vec<u8> {
    let number = |id: &[u8], n: u64| element(id, &n.to_be_bytes());
    let end = end.map(|end| number(&[0x92], end * 1_000_000)).unwrap_or_default();
    let times = [number(&[0x73, 0xc4], uid), number(&[0x91], start * 1_000_000), end].concat();
    let display = element(&[0x80], &element(&[0x85], title));
    element(&[0xb6], &[&times, more, &display].concat())
}

/// A Matroska file with these editions of chapters in place of the one of `template`.
fn with_editions(template: &[u8], editions: &[Vec<u8>]) -> Vec<u8> {
    const CHAPTERS: [u8; 4] = [0x10, 0x43, 0xa7, 0x70];
    // The first is the entry of the table of contents.
    let at = template.windows(4).rposition(|window| window == CHAPTERS).unwrap();
    let n_size = template[at + 4].leading_zeros() as usize + 1;
    let size = template[at + 4..at + 4 + n_size].iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
    let n_old = 4 + n_size + (size & ((1 << (7 * n_size)) - 1));
    let editions: Vec<u8> = editions.iter().flat_map(|atoms| element(&[0x45, 0xb9], atoms)).collect();
    let mut new = element(&CHAPTERS, &editions);
    let n_free = n_old.checked_sub(new.len() + 9).unwrap();
    new.extend(element(&[0xec], &vec![0; n_free]));
    [&template[..at], &new, &template[at + n_old..]].concat()
}

#[test]
fn odd_lists_of_chapters() {
    let user = User::new();
    let home = user.home.path();
    let title = "x".repeat(3000);
    let list = format!(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=8400\ntitle={title}\n");
    std::fs::write(home.join("list.txt"), list).unwrap();
    ffmpeg_with(home, &["-i", TALK, "-i", "list.txt", "-map", "0", "-map_chapters", "1", "-c", "copy", "long.mkv"]);
    assert_eq!(chapters(&user, "long.mkv"), [(0, 8400, Some(title))]);
    let template = std::fs::read(home.join("long.mkv")).unwrap();

    let one = |more: &[u8]| atom(1, 0, Some(8400), b"One", more);
    let two = || atom(2, 8400, Some(20_000), b"Two", b"");
    let flag = |id: &[u8]| element(id, &[1]);
    for (name, editions, wanted) in [
        ("nested", vec![[one(&atom(3, 1000, Some(2000), b"Part", b"")), two()].concat()], &["One", "Two"][..]),
        ("hidden", vec![[one(&flag(&[0x98])), two()].concat()], &["One", "Two"]),
        ("two editions", vec![[one(b""), two()].concat(), atom(4, 0, Some(20_000), b"All", b"")], &["One", "Two"]),
        ("overlapping", vec![[atom(1, 0, Some(12_000), b"One", b""), two()].concat()], &["One", "Two"]),
        // libav takes no chapter that begins before an earlier one of the list, and none that ends before it begins.
        ("ordered edition", vec![[flag(&[0x45, 0xdd]), two(), one(b"")].concat()], &["Two"]),
        ("unsorted", vec![[two(), one(b"")].concat()], &["Two"]),
        (
            "ends before it begins",
            vec![[one(b""), atom(2, 8400, Some(3000), b"Two", b""), atom(3, 9000, None, b"Open", b"")].concat()],
            &["One", "Open"],
        ),
        ("no length", vec![[one(b""), atom(2, 8400, Some(8400), b"Two", b"")].concat()], &["One", "Two"]),
        ("no title", vec![[atom(1, 0, Some(8400), b"", b""), two()].concat()], &["", "Two"]),
        ("none", vec![], &[]),
    ] {
        let name = format!("{name}.mkv");
        std::fs::write(home.join(&name), with_editions(&template, &editions)).unwrap();
        assert_eq!(titles(&user, &name), wanted, "{name}");
    }
    let open = chapters(&user, "ends before it begins.mkv");
    assert!((20_000..20_100).contains(&open[1].1), "it ends with the file: {open:?}");
}

#[test]
fn titles_of_chapters_are_untrusted_text() {
    let user = User::new();
    let home = user.home.path();
    std::fs::write(
        home.join("list.txt"),
        format!(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=8400\ntitle={}\n", "x".repeat(900)),
    )
    .unwrap();
    ffmpeg_with(home, &["-i", TALK, "-i", "list.txt", "-map", "0", "-map_chapters", "1", "-c", "copy", "long.mkv"]);
    let template = std::fs::read(home.join("long.mkv")).unwrap();
    // A heading, a terminal's escape, a change of direction, markup, bytes that are no UTF-8, a flag.
    let title = b"a\n# b\x1b[31m\xe2\x80\xae <b>`c`</b> \xff --exec";
    let file = with_editions(&template, &[atom(1, 0, Some(8400), title, b"")]);
    std::fs::write(home.join("hostile.mkv"), file).unwrap();
    let path = user.path("hostile.mkv");
    let probe = user.run(&["probe", &path]).complete();
    let line = probe.lines().find(|line| line.starts_with("chapter")).unwrap();
    assert!(line.contains("a # b") && line.ends_with("--exec"), "{line}");
    let summary = user.run(&["summarize", &path, "--interval", "10s", "--no-transcript"]);
    let line = summary.out.lines().find(|line| line.contains("Chapter:")).unwrap();
    assert!(line.contains("a # b") && line.contains("&lt;b"), "{line}");
    for text in [&probe, &summary.out] {
        assert!(!text.contains(['\x1b', '\u{202e}']) && !text.contains("\n# b"), "{text}");
    }
}
