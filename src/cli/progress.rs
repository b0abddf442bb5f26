//! Progress on stderr, if it is a terminal.

use std::io::IsTerminal as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vidgist::event::Event;
use vidgist::sanitize::clean_text;

/// Rows of the streamed answer that are shown.
const TAIL_ROWS: usize = 8;
/// Bytes of the streamed answer that are kept.
const TAIL_BYTES: usize = 4096;

/// A progress bar that follows the events of a job.
pub struct Progress {
    bar: ProgressBar,
    /// The end of the text that the model is writing.
    tail: Mutex<String>,
}

impl Progress {
    pub fn new(quiet: bool) -> Self {
        let target = if Self::is_shown(quiet) { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, tail: Mutex::default() }
    }

    /// Whether it is visible.
    pub fn is_shown(quiet: bool) -> bool {
        !quiet && std::io::stderr().is_terminal()
    }

    pub fn show(&self, event: &Event) {
        match event {
            Event::Input { input } => self.say(format!("reading {input}")),
            Event::Fetching { input, n_bytes: 0, .. } => self.say(format!("asking {input}")),
            Event::Fetching { input, n_bytes, total_bytes } => {
                let megabytes = |n_bytes: u64| n_bytes as f64 / 1e6;
                let of = total_bytes.map(|total| format!(" of {:.1}", megabytes(total))).unwrap_or_default();
                self.say(format!("downloading {input}, {:.1}{of} MB", megabytes(*n_bytes)));
            }
            Event::Probed { media } => self.bar.set_message(format!("reading {}", media.input)),
            Event::Scanning { n_points } => self.count(*n_points, "scanning"),
            Event::Planned { n_points } => self.count(*n_points, "decoding"),
            Event::Frame { n_done, .. } | Event::Window { n_done } => self.bar.set_position(*n_done as u64),
            Event::Transcribing => self.say("transcribing".to_owned()),
            Event::Transcribed { until } if self.bar.length().is_none() => {
                self.say(format!("transcribing, {until} done"));
            }
            Event::Requesting { model } => self.say(format!("waiting for {model}")),
            Event::Windows { n_windows } => {
                self.count(*n_windows, "waiting for answers");
                let style = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len} windows, {eta} left");
                self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            }
            Event::Merging => self.say("merging the answers".to_owned()),
            Event::Batch { n_done, n_requests } => {
                self.say(format!("batch: {n_done} of {n_requests} requests are done"));
            }
            Event::Text { text } => {
                let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
                tail.push_str(text);
                if tail.len() > TAIL_BYTES {
                    let from = tail.ceil_char_boundary(tail.len() - TAIL_BYTES / 2);
                    tail.drain(..from);
                }
                let width = usize::from(console::Term::stderr().size().1);
                self.bar.set_message(format!("writing\n{}", last_rows(&tail, width)));
            }
            Event::TextRestarted => {
                self.tail.lock().unwrap_or_else(PoisonError::into_inner).clear();
                self.bar.set_message("restarting");
            }
            _ => {}
        }
    }

    /// Starts a download of `n_bytes`.
    pub fn bytes(&self, name: &str, n_bytes: u64) {
        let style = "{spinner} {msg} {wide_bar} {binary_bytes}/{binary_total_bytes}, {eta} left";
        let style = ProgressStyle::with_template(style);
        self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.bar.set_length(n_bytes);
        self.bar.set_message(name.to_owned());
    }

    /// Sets the position.
    pub fn at(&self, n: u64) {
        self.bar.set_position(n);
    }

    /// Hides the bar while `work` writes to the terminal.
    pub fn suspend(&self, work: impl FnOnce()) {
        self.bar.suspend(work);
    }

    /// Removes the bar, before a result or an error.
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

    /// Shows a line instead of a bar.
    pub fn say(&self, text: String) {
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
        self.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        self.bar.set_message(text);
    }
}

/// The last rows of a text on a terminal of `n_columns`, without control characters.
fn last_rows(text: &str, n_columns: usize) -> String {
    let mut rows = Vec::new();
    for line in clean_text(text).lines() {
        let (mut row, mut n_used) = (String::new(), 0);
        for c in line.chars().map(|c| if c == '\t' { ' ' } else { c }) {
            let n_own = console::measure_text_width(c.encode_utf8(&mut [0; 4]));
            if n_used + n_own > n_columns && !row.is_empty() {
                rows.push(std::mem::take(&mut row));
                n_used = 0;
            }
            row.push(c);
            n_used += n_own;
        }
        rows.push(row);
    }
    rows.split_off(rows.len().saturating_sub(TAIL_ROWS)).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_text_is_shown_in_rows() {
        assert_eq!(last_rows("", 80), "");
        assert_eq!(last_rows("one\ntwo", 80), "one\ntwo");
        assert_eq!(last_rows("abcdef", 4), "abcd\nef");
        assert_eq!(last_rows("動画動", 4), "動画\n動", "wide characters are two columns");
        assert_eq!(last_rows("a\u{1b}[2Jb\u{202e}", 80), "ab");
        let many: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        assert_eq!(last_rows(&many.join("\n"), 80), many[22..].join("\n"));
        assert_eq!(last_rows("ab", 0), "a\nb", "a terminal of unknown size");
    }
}
