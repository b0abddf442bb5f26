//! Addresses of sites, through a yt-dlp that notes its arguments, and through the real one against a page on this machine.

#![expect(clippy::unwrap_used, reason = "a test that cannot prepare its input stops")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::command::{Ran, User, names, project, ran};
use crate::support::fake_server::{CHAT_MODEL, FakeServer, HEARING_MODEL};
use crate::support::python::python_for;
use crate::support::web_pages::WebPages;

const CAPTIONS: &str =
    "WEBVTT\n\n00:01.000 --> 00:03.000\nA ship leaves the harbor.\n\n00:12.000 --> 00:14.000\nIt is late.\n";

/// A user with a stand-in for yt-dlp, and a server that serves a page at `/watch` and the talk at `/talk.mp4`.
struct Site {
    user: User,
    pages: WebPages,
}

impl Site {
    fn new() -> Self {
        let user = User::new();
        std::fs::create_dir_all(user.home.path().join("bin")).unwrap();
        std::fs::create_dir_all(user.home.path().join("tmp")).unwrap();
        std::fs::copy(project().join("tests/sites/yt-dlp"), user.path("bin/yt-dlp")).unwrap();
        let page = &b"<!doctype html><html><title>A video</title><body></body></html>"[..];
        let talk = std::fs::read("fixtures/talk.mp4").unwrap();
        let pages = WebPages::start(&[
            ("/watch", "text/html; charset=utf-8", page),
            ("/other", "text/html", page),
            ("/list", "text/html", page),
            ("/--exec", "text/html", page),
            ("/talk.mp4", "video/mp4", &talk),
        ]);
        Self { user, pages }
    }

    fn url(&self) -> String {
        self.pages.url("/watch")
    }

    /// What the stand-in answers about each address.
    fn answers(&self, answers: &Value) {
        std::fs::write(self.user.path("bin/site.json"), answers.to_string()).unwrap();
    }

    /// A video with captions in two languages, as the only answer.
    fn answers_with_captions(&self) {
        let talk = project().join("fixtures/talk.mp4");
        self.answers(&json!({ self.url(): { "info": info(), "media": talk, "captions": CAPTIONS } }));
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.user.command(args);
        let path = format!("{}:{}", self.user.path("bin"), std::env::var("PATH").unwrap());
        command.env("PATH", path).env("TMPDIR", self.user.path("tmp"));
        let done = ran(&mut command);
        assert_eq!(names(&self.user.home.path().join("tmp")), [""; 0], "nothing is left of {args:?}");
        done
    }

    /// The calls since the last time, with the temporary folder as `TMP`.
    fn calls(&self) -> Vec<String> {
        let file = self.user.home.path().join("bin/calls.jsonl");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let _ = std::fs::remove_file(file);
        let calls = text.lines().map(|line| {
            let args: Vec<String> = serde_json::from_str(line).unwrap();
            let tmp = self.user.path("tmp");
            let args = args.iter().map(|arg| match arg.strip_prefix(&format!("home:{tmp}/vidgist-")) {
                Some(rest) => {
                    assert!(!rest.contains('/'));
                    "home:TMP".to_owned()
                }
                None => arg.replace(&self.url(), "URL"),
            });
            args.collect::<Vec<_>>().join(" ")
        });
        calls.collect()
    }
}

fn info() -> Value {
    json!({
        "_type": "video", "id": "abc", "extractor": "Harbor", "title": "A ship", "uploader": "Harbor TV",
        "description": "Ships leave.\nEvery day.", "duration": 20.0, "language": "en",
        "chapters": [{"start_time": 0, "end_time": 8.4, "title": "Quay"}, {"start_time": 8.4, "end_time": 20, "title": "Sea"}],
        "subtitles": {"de": [{"ext": "vtt"}], "en": [{"ext": "vtt"}], "live_chat": [{"ext": "json"}]},
        "automatic_captions": {"en": [{"ext": "vtt"}], "fr": [{"ext": "vtt"}]},
    })
}

const QUESTION: &str = "--ignore-config --flat-playlist --no-playlist --simulate -J -- URL";
const WRITTEN: &str = "--ignore-config --no-playlist --skip-download --write-subs --sub-langs=en --sub-format vtt/srt/ass/best -P home:TMP -o captions.%(ext)s -- URL";
const AUTOMATIC: &str = "--ignore-config --no-playlist --skip-download --write-auto-subs --sub-langs=en --sub-format vtt/srt/ass/best -P home:TMP -o captions.%(ext)s -- URL";

/// The call that downloads media of a quality.
fn download(quality: &str) -> String {
    let template = "download:vidgist-progress %(progress.downloaded_bytes)s %(progress.total_bytes,progress.total_bytes_estimate)s";
    format!(
        "--ignore-config {quality} --no-playlist --newline --progress --progress-template {template} --max-filesize {} -P home:TMP -o media.%(ext)s -- URL",
        8_u64 << 30
    )
}

const PICTURES: &str = "-S res:720 -f bv*/b";
const BOTH: &str = "-S res:720";
const SOUND: &str = "-f ba/b";

#[test]
fn each_command_downloads_what_it_needs_and_no_more() {
    let site = Site::new();
    site.answers_with_captions();
    let (url, out) = (site.url(), site.user.path("out"));
    let fake_server = FakeServer::start();
    let (wav, base_url) = (site.user.path("out.wav"), fake_server.base_url());
    let caption = ["caption", &url, "--interval", "10s", "--model", CHAT_MODEL, "--base-url", &base_url];
    for (args, calls) in [
        (&["probe", &url][..], vec![QUESTION.to_owned()]),
        (&["frames", &url, "-o", &out], vec![QUESTION.to_owned(), download(PICTURES)]),
        (&["summarize", &url], vec![QUESTION.to_owned(), WRITTEN.to_owned(), download(PICTURES)]),
        (
            &["plan", &url, "--model", CHAT_MODEL, "--base-url", &base_url],
            vec![QUESTION.to_owned(), WRITTEN.to_owned(), download(PICTURES)],
        ),
        (&["summarize", &url, "--no-transcript"], vec![QUESTION.to_owned(), download(PICTURES)]),
        (&["summarize", &url, "--transcript", "fixtures/talk.srt"], vec![QUESTION.to_owned(), download(PICTURES)]),
        (&caption, vec![QUESTION.to_owned(), WRITTEN.to_owned(), download(PICTURES)]),
        (&["transcribe", &url], vec![QUESTION.to_owned(), WRITTEN.to_owned()]),
        (&["audio", &url, "-o", &wav], vec![QUESTION.to_owned(), download(SOUND)]),
        (&["describe-audio", &url], vec![QUESTION.to_owned(), WRITTEN.to_owned(), download(SOUND)]),
    ] {
        let done = site.run(args);
        assert!(done.code == Some(0) && !done.err.contains("error"), "{args:?}: {done:?}");
        assert_eq!(site.calls(), calls, "{args:?}");
    }
    assert_eq!(fake_server.refusals(), Vec::<String>::new());
}

#[test]
fn what_the_site_says_is_in_facts_prompt_and_report() {
    let site = Site::new();
    site.answers_with_captions();
    let url = site.url();
    let probe = site.run(&["probe", &url]).complete();
    for line in [
        "file         http://127.0.0.1:",
        "format       harbor",
        "duration     00:00:20",
        "title        A ship",
        "published by Harbor TV",
        "description  Ships leave. Every day.",
        "chapter      00:00:08.400 to 00:00:20.000 Sea",
    ] {
        assert!(probe.contains(line), "{line}: {probe}");
    }
    let probed: Value = serde_json::from_str(&site.run(&["probe", &url, "--json"]).complete()).unwrap();
    assert_eq!(
        (&probed["uploader"], &probed["description"]),
        (&"Harbor TV".into(), &"Ships leave.\nEvery day.".into())
    );

    let report: Value = serde_json::from_str(&site.run(&["summarize", &url, "--format", "json"]).complete()).unwrap();
    assert_eq!(report["media"]["input"], url);
    assert_eq!(
        (&report["media"]["title"], &report["media"]["chapters"][1]["title"]),
        (&"A ship".into(), &"Sea".into())
    );
    assert_eq!(report["media"]["video"][0]["codec"], "h264", "the streams are those of the file");
    assert_eq!(report["transcript"]["source"], json!({"kind": "site", "is_automatic": false}));
    assert_eq!(report["transcript"]["language"], "en");
    assert_eq!(report["transcript"]["segments"].as_array().map(Vec::len), Some(2));
    let text = site.run(&["summarize", &url]).complete();
    for line in [
        "# A ship",
        "- Published by: Harbor TV",
        "- Description: Ships leave. Every day.",
        "- Chapter: 00:00:08.400 to 00:00:20.000, Sea",
        "- Transcript: captions of the site, 2 segments",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }

    let fake_server = FakeServer::start();
    site.run(&["summarize", &url, "--model", CHAT_MODEL, "--base-url", &fake_server.base_url()]).complete_but_told();
    let sent = fake_server.seen().last().map(|seen| String::from_utf8_lossy(&seen.body).into_owned()).unwrap();
    for fact in ["published by", "Harbor TV", "Ships leave. Every day.", "from captions of the site"] {
        assert!(sent.contains(fact), "{fact} is sent");
    }
}

#[test]
fn captions_that_fail_or_are_empty_are_replaced_by_the_sound() {
    let site = Site::new();
    let (url, talk) = (site.url(), project().join("fixtures/talk.mp4"));
    let fake_server = FakeServer::start();
    let base_url = fake_server.base_url();
    let transcribe = ["transcribe", &url, "--stt-model", HEARING_MODEL, "--base-url", &base_url];
    let mut without = info();
    (without["subtitles"], without["automatic_captions"]) = (json!({}), json!({"de": [], "fr": []}));
    let mut automatic = info();
    automatic["subtitles"] = json!({"de": []});
    let refused = json!({"info": info(), "media": talk, "fails": ["captions"], "error": "no captions today"});
    for (answer, calls, said) in [
        (json!({"info": without, "media": talk}), vec![QUESTION.to_owned(), download(SOUND)], ""),
        (
            json!({"info": info(), "media": talk, "captions": "WEBVTT\n\n"}),
            vec![QUESTION.to_owned(), WRITTEN.to_owned(), download(SOUND)],
            "",
        ),
        (refused, vec![QUESTION.to_owned(), WRITTEN.to_owned(), download(SOUND)], "no captions today"),
        (
            json!({"info": automatic, "media": talk, "captions": CAPTIONS}),
            vec![QUESTION.to_owned(), AUTOMATIC.to_owned()],
            "",
        ),
    ] {
        site.answers(&json!({ url.clone(): answer }));
        let done = site.run(&transcribe);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(!done.out.is_empty() && done.err.contains(said) && done.err.is_empty() == said.is_empty(), "{done:?}");
        assert_eq!(site.calls(), calls);
    }
    // A summary needs both where there are no captions, and says what failed.
    site.answers(
        &json!({ url.clone(): {"info": info(), "media": talk, "fails": ["captions"], "error": "no captions today"} }),
    );
    let summary =
        site.run(&["summarize", &url, "--stt-model", HEARING_MODEL, "--base-url", &base_url, "--model", "built-in"]);
    assert_eq!(summary.code, Some(1), "{summary:?}");
    assert!(summary.out.contains("no captions today"), "{}", summary.out);
    assert_eq!(site.calls(), [QUESTION, WRITTEN, &download(BOTH)]);
}

#[test]
fn a_playlist_is_read_where_that_is_wanted() {
    let site = Site::new();
    let (list, talk) = (site.pages.url("/list"), project().join("fixtures/talk.mp4"));
    let (first, second) = (site.pages.url("/watch"), site.pages.url("/other"));
    let entries = json!([{"_type": "url", "url": first}, {"_type": "url", "url": second}, {"_type": "url", "url": "file:///etc/passwd"}]);
    let playlist = json!({"_type": "playlist", "title": "Ships", "entries": entries});
    let video = json!({"info": info(), "media": talk, "captions": CAPTIONS});
    let mut both = video.clone();
    both["list"] = playlist.clone();
    site.answers(&json!({ list.clone(): {"info": playlist}, first.clone(): both, second.clone(): video }));
    let out = site.user.path("out");

    for (args, advice) in [
        (&["transcribe", &list][..], "pass --playlist"),
        (&["summarize", &list], &*format!("name one of them: {first}")),
        (&["frames", &list, "-o", &out], "name one of them"),
        (&["probe", &list], "only caption, transcribe and describe-audio take a whole playlist"),
        (&["audio", &list, "-o", &out], "name one of them"),
        (&["plan", &list], "name one of them"),
        (&["describe-audio", &list], "pass --playlist"),
    ] {
        let refused = site.run(args);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains("is a playlist of 3 videos") && refused.err.contains(advice), "{}", refused.err);
    }
    site.calls();

    // A video that stands in a playlist is the video.
    assert_eq!(
        site.run(&["transcribe", &first, "--format", "txt"]).complete(),
        "A ship leaves the harbor.\nIt is late.\n"
    );
    assert_eq!(site.calls(), [QUESTION, WRITTEN]);

    let read = site.run(&["transcribe", "--playlist", &list, "--format", "txt", "-o", &out]);
    assert_eq!(read.code, Some(0), "{read:?}");
    assert!(read.err.contains("1 videos of the playlist have no address and are left out"), "{}", read.err);
    assert_eq!(names(Path::new(&out)), ["other.txt", "watch.txt"]);
    let calls = site.calls();
    assert_eq!(calls[0], format!("--ignore-config --flat-playlist --yes-playlist --simulate -J -- {list}"));
    assert_eq!(calls.len(), 5, "then a question and captions for each: {calls:?}");
    // The same as a job.
    let args = ["transcribe", "--playlist", &list, "--format", "txt", "-o", &out];
    let job = site.run(&[&args[..], &["--print-job"]].concat()).complete();
    assert!(job.contains("playlist = true"), "{job}");
    std::fs::write(site.user.path("job.toml"), job).unwrap();
    assert_eq!(site.run(&["run", &site.user.path("job.toml")]).out, read.out);

    // A video that is no playlist is recognized once.
    site.calls();
    for args in [
        &["transcribe", "--playlist", &second, "--format", "txt"][..],
        &["describe-audio", "--playlist", &second],
        // Named twice, it is two inputs.
        &["transcribe", "--playlist", &second, &second, "-o", &out],
    ] {
        assert_eq!(site.run(args).code, Some(0), "{args:?}");
        let calls = site.calls();
        let n_inputs = args.iter().filter(|arg| **arg == second).count();
        let n_asked = calls.iter().filter(|call| call.contains("--simulate")).count();
        assert!((1..=n_inputs).contains(&n_asked), "{args:?}: {calls:?}");
    }

    let several = site.run(&["transcribe", "--playlist", &list]);
    assert!(several.code == Some(2) && several.err.contains("pass --output"), "{several:?}");

    let fake_server = FakeServer::start();
    let base_url = fake_server.base_url();
    let captions = site.run(&[
        "caption",
        "--playlist",
        &list,
        "--interval",
        "10s",
        "--model",
        CHAT_MODEL,
        "--base-url",
        &base_url,
    ]);
    let rows: Vec<Value> = captions.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let inputs: Vec<_> = rows.iter().map(|row| row["input"].as_str().unwrap().to_owned()).collect();
    assert_eq!(inputs, [&*first, &first, &site.pages.url("/other"), &site.pages.url("/other")]);
}

#[test]
fn a_media_file_of_the_web_is_not_given_to_yt_dlp_where_it_can_be_streamed() {
    let site = Site::new();
    let (url, out) = (site.pages.url("/talk.mp4"), site.user.path("out"));
    site.answers(&json!({ url.clone(): {"info": {"_type": "video", "title": "a"}, "media": project().join("fixtures/talk.mp4")} }));
    assert_eq!(site.run(&["frames", &url, "--interval", "5s", "--end", "9s", "-o", &out]).code, Some(0));
    assert_eq!(site.run(&["probe", &url]).code, Some(0));
    assert_eq!(site.calls(), [""; 0]);
    // Its sound cannot be streamed.
    assert_eq!(site.run(&["audio", &url, "-o", &site.user.path("a.wav")]).code, Some(0));
    assert_eq!(site.calls().len(), 2);
}

#[test]
fn without_yt_dlp_the_error_says_how_to_install_it() {
    let site = Site::new();
    let (url, out, wav) = (site.url(), site.user.path("out"), site.user.path("a.wav"));
    let empty = site.user.path("tmp");
    for args in [
        &["probe", &url][..],
        &["frames", &url, "-o", &out],
        &["summarize", &url],
        &["transcribe", &url],
        &["transcribe", &url, "--playlist"],
        &["audio", &url, "-o", &wav],
        &["describe-audio", &url],
    ] {
        let refused = ran(site.user.command(args).env("PATH", &empty));
        assert_eq!((refused.code, &*refused.out), (Some(2), ""), "{refused:?}");
        assert!(
            refused.err.contains("sites are read with yt-dlp, which is not installed; install it: pipx install yt-dlp"),
            "{}",
            refused.err
        );
    }
    // A program of that name that cannot be run.
    std::fs::write(site.user.path("bin/yt-dlp"), "#!/nonexistent/python\n").unwrap();
    let broken = site.run(&["transcribe", &url]);
    assert!(broken.code == Some(2) && broken.err.contains("pipx install yt-dlp"), "{broken:?}");
}

#[test]
fn its_own_errors_are_shown() {
    let site = Site::new();
    let (url, talk) = (site.url(), project().join("fixtures/talk.mp4"));
    let fails = |what: &str, error: &str| json!({"info": info(), "media": talk, "captions": CAPTIONS, "fails": [what], "error": error});
    site.answers(&json!({ url.clone(): fails("question", "Video unavailable\u{1b}[2J. Sign in") }));
    let done = site.run(&["summarize", &url]);
    assert_eq!(done.code, Some(2));
    assert_eq!(done.err, format!("error: {url}: yt-dlp: [Fake] abc: Video unavailable. Sign in\n"));
    site.answers(&json!({ url.clone(): fails("media", "HTTP Error 403") }));
    let done = site.run(&["audio", &url, "-o", &site.user.path("a.wav")]);
    assert_eq!(done.err, format!("error: {url}: yt-dlp: [Fake] abc: HTTP Error 403\n"));
    let mut live = info();
    live["is_live"] = json!(true);
    site.answers(&json!({ url.clone(): {"info": live} }));
    assert!(site.run(&["summarize", &url]).err.contains("is a live broadcast"));
    site.calls();
    // An address that nobody answers, and one that does not exist.
    let nobody = site.run(&["summarize", "http://127.0.0.1:9/watch"]);
    assert!(nobody.code == Some(2) && nobody.err.contains("127.0.0.1: cannot be reached: "), "{nobody:?}");
    assert_eq!(site.calls(), [""; 0]);
    // In a list of inputs the others are read.
    site.answers(&json!({ url.clone(): fails("question", "private") }));
    let out = site.user.path("texts");
    let rest = site.run(&["transcribe", &url, "fixtures/talk.mp4", "-o", &out]);
    assert_eq!((rest.code, names(Path::new(&out))), (Some(1), vec!["talk.srt".to_owned()]), "{rest:?}");
    assert!(rest.err.contains("private"), "{}", rest.err);
}

#[test]
fn hostile_titles_and_addresses_stay_text() {
    let site = Site::new();
    let talk = project().join("fixtures/talk.mp4");
    let url = site.pages.url("/--exec");
    for title in [
        "--exec touch pwned",
        "a\nb\r\n--output /tmp/x",
        "../../../../tmp/pwned",
        "$(touch pwned) `touch pwned`; touch pwned",
        "\u{1b}]0;owned\u{7}\u{202e}",
        "%(id)s%(ext)s",
        "# Heading\n![x](http://evil.example/x)",
    ] {
        let mut hostile = info();
        for key in ["title", "uploader", "description", "id", "extractor", "language"] {
            hostile[key] = json!(title);
        }
        hostile["chapters"][0]["title"] = json!(title);
        hostile["webpage_url"] = json!("file:///etc/passwd");
        hostile["subtitles"] = json!({title: [], "../en": [], "en": []});
        hostile["ext"] = json!("../../sh");
        site.answers(&json!({ url.clone(): {"info": hostile, "media": talk, "captions": CAPTIONS} }));
        let out = site.user.path("out");
        let done = site.run(&["summarize", &url, "-o", &out]);
        assert_eq!(done.code, Some(0), "{title:?}: {done:?}");
        let expected = ["report.html", "report.json", "report.md", "transcript.srt"];
        let expected = [&["chapters.ffmetadata", "chapters.txt", "chapters.vtt", "frames"][..], &expected].concat();
        assert_eq!(names(Path::new(&out)), expected);
        assert!(
            !done.out.contains('\u{1b}') && !done.out.contains('\u{202e}') && !done.out.contains("\n--output"),
            "{}",
            done.out
        );
        assert!(!done.out.contains("![x]"), "{}", done.out);
        let probe = site.run(&["probe", &url]).complete();
        assert_eq!(probe.lines().filter(|line| line.starts_with("title")).count(), 1, "{probe}");
        for call in site.calls() {
            let own = call.replace(&url, "");
            assert!(!own.contains(title) && !own.contains("exec") && !own.contains("../"), "{call}");
            assert!(call.ends_with(&format!(" -- {url}")), "{call}");
        }
        std::fs::remove_dir_all(out).unwrap();
    }
    assert!(!names(site.user.home.path()).contains(&"pwned".to_owned()) && !Path::new("pwned").exists());
}

#[test]
fn arguments_of_the_configuration_are_passed_on() {
    let site = Site::new();
    site.answers_with_captions();
    let config = site.user.path("config.toml");
    std::fs::write(&config, "ytdlp_args = [\"--cookies-from-browser\", \"firefox\", \"-S\", \"res:1080\"]\n").unwrap();
    let done = site.run(&["summarize", &site.url(), "--config", &config]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let own = "--cookies-from-browser firefox -S res:1080";
    let calls = site.calls();
    assert_eq!(calls[0], QUESTION.replace("--flat", &format!("{own} --flat")));
    assert_eq!(calls[2], download(&format!("{PICTURES} {own}")), "after the quality, so that they can override it");
    std::fs::write(&config, "ytdlp_args = [\"--\"]\n").unwrap();
    let refused = site.run(&["summarize", &site.url(), "--config", &config]);
    assert!(refused.code == Some(2) && refused.err.contains("ytdlp_args must be options alone"), "{refused:?}");
}

#[test]
fn an_interrupted_run_leaves_no_program_and_no_file() {
    for (what, args) in
        [("question", &["summarize"][..]), ("captions", &["transcribe"]), ("media", &["audio", "-o", "OUT"])]
    {
        let site = Site::new();
        let talk = project().join("fixtures/talk.mp4");
        site.answers(&json!({ site.url(): {"info": info(), "media": talk, "captions": CAPTIONS, "hangs": what} }));
        let args: Vec<String> = args.iter().map(|arg| arg.replace("OUT", &site.user.path("a.wav"))).collect();
        let url = site.url();
        let args: Vec<&str> = args.iter().map(String::as_str).chain([&*url]).collect();
        let mut command = site.user.command(&args);
        let path = format!("{}:{}", site.user.path("bin"), std::env::var("PATH").unwrap());
        let running = command.env("PATH", path).env("TMPDIR", site.user.path("tmp")).spawn().unwrap();
        let note = site.user.home.path().join("bin/child");
        let child = until(|| std::fs::read_to_string(&note).ok().filter(|pid| !pid.is_empty()));
        let interrupt = std::process::Command::new("kill").args(["-INT", &running.id().to_string()]).status();
        assert!(interrupt.unwrap().success());
        let ended = running.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(130), "{what}");
        // A killed process stays until its new parent has noticed.
        until(|| {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat"));
            stat.ok().is_none_or(|stat| stat.contains(") Z ")).then_some(())
        });
        assert_eq!(names(&site.user.home.path().join("tmp")), [""; 0], "{what}");
    }
}

/// Waits for a value, at most half a minute.
#[track_caller]
fn until<T>(value: impl Fn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = value() {
            return value;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "it does not come");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_download_above_the_limit_is_stopped() {
    use vidgist::limits::Limits;
    use vidgist::source::site::{SiteAccess, SiteMedia, download_media};
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("yt-dlp");
    // A site that states no size, or a wrong one.
    std::fs::write(&program, "#!/bin/sh\nyes | head -c 4000000 > media.mp4.part\nexec sleep 600\n").unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let access = SiteAccess { program, ..SiteAccess::default() };
    let limits = Limits { max_download_bytes: 1_000_000, ..Limits::default() };
    let (url, place) = ("https://site.example/a?key=1".parse().unwrap(), folder.path().join("media"));
    std::fs::create_dir(&place).unwrap();
    let failed = download_media(&url, &access, SiteMedia::Sound, (&place, &limits), &|_, _| {}).await.unwrap_err();
    assert!(failed.is_limit(), "{failed}");
    assert!(
        failed.to_string().starts_with("https://site.example/a?...: the download is larger than 1000000 bytes"),
        "{failed}"
    );
}

#[test]
fn the_real_yt_dlp_reads_a_page_on_this_machine() {
    let Some(python) = python_for("sites") else { return };
    let user = User::new();
    std::fs::create_dir_all(user.home.path().join("tmp")).unwrap();
    let talk = std::fs::read("fixtures/talk.mp4").unwrap();
    let page = "<!doctype html><html><head><title>--exec ../harbor</title></head><body><video><source src='/talk.mp4' type='video/mp4'><track kind='captions' srclang='en' src='/talk.vtt'></video></body></html>";
    let two = "<!doctype html><html><head><title>Two</title></head><body><video src='/talk.mp4'></video><video src='/other.mp4'></video></body></html>";
    let pages = WebPages::start(&[
        ("/watch", "text/html", page.as_bytes()),
        ("/two", "text/html", two.as_bytes()),
        ("/talk.mp4", "video/mp4", &talk),
        ("/other.mp4", "video/mp4", &talk),
        ("/talk.vtt", "text/vtt", CAPTIONS.as_bytes()),
    ]);
    let bin: PathBuf = python.parent().unwrap().into();
    let run = |args: &[&str]| {
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        ran(user.command(args).env("PATH", path).env("TMPDIR", user.path("tmp")))
    };
    let url = pages.url("/watch");
    let probe: Value = serde_json::from_str(&run(&["probe", &url, "--json"]).complete()).unwrap();
    // Its generic extractor numbers the videos of a page.
    assert!(probe["title"].as_str().unwrap().starts_with("--exec ../harbor"), "{probe}");
    assert_eq!(run(&["transcribe", &url, "--format", "txt"]).complete(), "A ship leaves the harbor.\nIt is late.\n");
    let summary = run(&["summarize", &url]);
    assert_eq!(summary.code, Some(0), "{summary:?}");
    assert!(
        summary.out.contains("- Transcript: captions of the site, 2 segments") && summary.out.contains("h264"),
        "{}",
        summary.out
    );
    let wav = user.path("talk.wav");
    assert_eq!(run(&["audio", &url, "-o", &wav]).code, Some(0));
    assert!(std::fs::metadata(&wav).unwrap().len() > 500_000, "20 s of sound");
    let missing = run(&["transcribe", &pages.url("/gone")]);
    assert!(missing.code == Some(2) && missing.err.contains("404"), "{missing:?}");
    let refused = run(&["transcribe", &pages.url("/two")]);
    assert!(refused.err.contains("is a playlist of 2 videos; pass --playlist"), "{}", refused.err);
    let out = user.path("waves");
    let both = run(&["transcribe", "--playlist", &pages.url("/two"), "-o", &out, "--stt", "subtitles"]);
    assert!(both.err.contains("talk.mp4") && both.err.contains("other.mp4"), "each is tried: {both:?}");
    assert_eq!(names(&user.home.path().join("tmp")), [""; 0]);
}
