//! What a summary found out is kept: the next run neither decodes nor sends anything, whatever became of the file's name or
//! of the run before it.

use serde_json::Value;

use crate::support::command::{Ran, User, project};
use crate::support::fake_server::{CHAT_MODEL, FakeServer, Fault};

struct Setting {
    user: User,
    server: FakeServer,
}

impl Setting {
    /// A copy of the talk and of its subtitles in the home folder.
    fn new() -> Self {
        let setting = Self { user: User::new(), server: FakeServer::start() };
        for name in ["talk.mp4", "talk.srt"] {
            std::fs::copy(project().join("fixtures").join(name), setting.user.path(name)).expect("copied");
        }
        setting
    }

    fn command(&self, name: &str, flags: &[&str]) -> std::process::Command {
        let base_url = self.server.base_url();
        let talk = self.user.path(name);
        let args = ["summarize", &talk, "--format", "json", "--model", CHAT_MODEL, "--base-url", &base_url];
        self.user.command(&[&args, flags].concat())
    }

    /// The report, and the number of chats that it took.
    fn summarized(&self, name: &str, flags: &[&str]) -> (Value, usize) {
        let before = self.server.chats().len();
        let ran = crate::support::command::ran(&mut self.command(name, flags));
        assert_eq!(self.server.refusals(), [""; 0]);
        (serde_json::from_str(&ran.complete_but_told()).expect("JSON"), self.server.chats().len() - before)
    }
}

/// The report without its name, its timings, and what says that it comes from the store.
fn content(report: &Value) -> Value {
    let mut report = report.clone();
    for key in ["/timings", "/media/input", "/total"] {
        *report.pointer_mut(key).expect(key) = Value::Null;
    }
    forget(&mut report);
    report
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.remove("from_store");
            object.values_mut().for_each(forget);
        }
        Value::Array(values) => values.iter_mut().for_each(forget),
        _ => {}
    }
}

#[test]
fn frames_and_answers_are_read_again() {
    let setting = Setting::new();
    let flags = ["--interval", "2s"];
    let (first, n_chats) = setting.summarized("talk.mp4", &flags);
    assert_eq!((n_chats, first.pointer("/sampling/from_store")), (1, None));
    let (again, n_chats) = setting.summarized("talk.mp4", &flags);
    assert_eq!(
        (n_chats, &again["sampling"]["from_store"], &again["answer"]["from_store"]),
        (0, &true.into(), &true.into())
    );
    assert_eq!(again["total"]["n_answers"], 0, "nothing was spent");
    assert_eq!(content(&again), content(&first));
    // Streamed text is the same.
    let ran = crate::support::command::ran(&mut setting.command("talk.mp4", &[&flags[..], &["--stream"]].concat()));
    assert_eq!(
        serde_json::from_str::<Value>(&ran.complete_but_told()).map(|report| content(&report)).expect("JSON"),
        content(&first)
    );

    // Another question: the frames are there, the answer is not.
    let (other, n_chats) = setting.summarized("talk.mp4", &["--interval", "2s", "--prompt", "Who speaks?"]);
    assert_eq!((n_chats, &other["sampling"]["from_store"]), (1, &true.into()));
    // Other frames.
    for flags in
        [&["--interval", "3s"][..], &["--interval", "2s", "--max-width", "200"], &["--interval", "2s", "--fresh"]]
    {
        let (other, n_chats) = setting.summarized("talk.mp4", flags);
        assert_eq!((n_chats, other.pointer("/sampling/from_store")), (1, None), "{flags:?}");
    }
    let (other, n_chats) = setting.summarized("talk.mp4", &[&flags[..], &["--no-store"]].concat());
    assert_eq!((n_chats, other.pointer("/sampling/from_store")), (1, None));
}

#[test]
fn answers_that_are_cut_off_or_fail_are_asked_for_again() {
    let setting = Setting::new();
    setting.server.fail_with([Fault::Param(None, "no")]);
    let flags = ["--interval", "5s"];
    let ran: Ran = crate::support::command::ran(&mut setting.command("talk.mp4", &flags));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let (again, n_chats) = setting.summarized("talk.mp4", &flags);
    assert_eq!((n_chats, &again["sampling"]["from_store"]), (1, &true.into()));
}
