//! Summaries by a model on the fake server, run as commands: what each found out and how many requests it took.

use std::process::Command;

use serde_json::Value;

use super::command::{User, ran};
use super::fake_server::{CHAT_MODEL, FakeServer};
use super::programs::ffmpeg_with;

/// A user and the server that answers.
pub struct Summarizer {
    pub user: User,
    pub server: FakeServer,
}

impl Summarizer {
    pub fn new() -> Self {
        Self { user: User::new(), server: FakeServer::start() }
    }

    /// `vidgist summarize INPUT --format json` with `flags`.
    pub fn command(&self, input: &str, flags: &[&str]) -> Command {
        let base_url = self.server.base_url();
        let args = ["summarize", input, "--format", "json", "--model", CHAT_MODEL, "--base-url", &base_url];
        self.user.command(&[&args, flags].concat())
    }

    /// The report of a complete run, and the number of requests that it took.
    #[track_caller]
    pub fn summarized(&self, input: &str, flags: &[&str]) -> (Value, usize) {
        let before = self.server.chats().len();
        let out = ran(&mut self.command(input, flags)).complete_but_told();
        assert_eq!(self.server.refusals(), [""; 0]);
        (serde_json::from_str(&out).expect("JSON"), self.server.chats().len() - before)
    }
}

/// The report without what differs between two runs about one recording: its name, timings, cost, and what says that a result
/// comes from the store.
pub fn content(report: &Value) -> Value {
    let mut report = report.clone();
    for key in ["/timings", "/total", "/media/input"] {
        *report.pointer_mut(key).expect(key) = Value::Null;
    }
    forget_store(&mut report);
    report
}

fn forget_store(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.remove("from_store");
            object.values_mut().for_each(forget_store);
        }
        Value::Array(values) => values.iter_mut().for_each(forget_store),
        _ => {}
    }
}

/// A silent film of this length, one frame per second.
pub fn recording(user: &User, seconds: u32) -> String {
    let source = format!("testsrc=duration={seconds}:rate=1:size=64x48");
    let name = format!("film-{seconds}.mp4");
    ffmpeg_with(
        user.home.path(),
        &["-f", "lavfi", "-i", &source, "-c:v", "libx264", "-preset", "ultrafast", "-y", &name],
    );
    user.path(&name)
}
