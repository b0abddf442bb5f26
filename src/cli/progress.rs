//! What is shown on stderr while a run goes on, where stderr is a terminal.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vidgist::pipeline::Event;
use vidgist::time::Timestamp;

/// A bar that follows the events of a run.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        let is_shown = !quiet && std::io::stderr().is_terminal();
        let target = if is_shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }

    pub fn show(&self, event: &Event) {
        match event {
            Event::Probed(info) => self.bar.set_message(format!("reading {}", info.input)),
            Event::Scanning { n_points } => self.count(*n_points, "choosing"),
            Event::Planned { n_points } => self.count(*n_points, "looking"),
            Event::Frame { n_done, .. } => self.bar.set_position(*n_done as u64),
            Event::Listening => self.say("listening".to_owned()),
            Event::Heard { until } if self.bar.length().is_none() => self.heard(*until),
            Event::Asking { model } => self.say(format!("asking {model}")),
            _ => {}
        }
    }

    /// The sound was heard up to here.
    pub fn heard(&self, until: Timestamp) {
        self.say(format!("listening, {until} heard"));
    }

    /// A file of so many bytes comes.
    pub fn bytes(&self, name: &str, n_bytes: u64) {
        let style = "{spinner} {msg} {wide_bar} {binary_bytes}/{binary_total_bytes}, {eta} left";
        let style = ProgressStyle::with_template(style);
        self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.set_length(n_bytes);
        self.bar.set_message(name.to_owned());
    }

    /// So many are done.
    pub fn at(&self, n: u64) {
        self.bar.set_position(n);
    }

    /// Takes the bar away: a result or an error follows.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn count(&self, n: usize, message: &'static str) {
        let style = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len} frames, {eta} left");
        self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.reset_eta();
        self.bar.set_position(0);
        self.bar.set_length(n as u64);
        self.bar.set_message(message);
    }

    fn say(&self, text: String) {
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
        self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        self.bar.set_message(text);
    }
}
