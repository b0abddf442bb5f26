//! Output: results to stdout, everything else to stderr, exit codes.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use vidgist::Error;
use vidgist::report::{Report, Status};

/// Finished with failures in the result.
pub const PARTIAL: u8 = 1;
/// Wrong usage, or nothing could be done.
pub const FAILED: u8 = 2;
/// Interrupted by the user, as a shell reports it: 128 + SIGINT.
pub const INTERRUPTED: u8 = 130;
/// How long running work may take to end after the first ctrl-c.
const GRACE: Duration = Duration::from_secs(10);

/// Ends the process at the next ctrl-c, or after the grace period.
pub fn end_at_once_on_the_next() {
    tokio::spawn(async {
        let _ = tokio::time::timeout(GRACE, tokio::signal::ctrl_c()).await;
        std::process::exit(INTERRUPTED.into());
    });
}

/// The exit code of a report. Prints what is missing to stderr.
pub fn report_gaps(report: &Report) -> ExitCode {
    for gap in report.gaps() {
        warn(&format!("{}: missing {}: {}", report.media.input, gap.what, gap.why));
    }
    match report.status() {
        _ if report.was_stopped => {
            say("interrupted");
            ExitCode::from(INTERRUPTED)
        }
        Status::Complete => ExitCode::SUCCESS,
        Status::Partial => ExitCode::from(PARTIAL),
    }
}

/// Writes a result to stdout.
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Error::io(Path::new("stdout"), e))
}

/// Writes one line to stderr, without control characters.
pub fn say(line: &str) {
    // If stderr is closed, nothing else can be done.
    let _ = writeln!(std::io::stderr(), "{}", vidgist::sanitize::clean_line(line));
}

/// Writes a warning to stderr, except with -q.
pub fn warn(text: &str) {
    if tracing::enabled!(tracing::Level::WARN) {
        say(&format!("warning: {text}"));
    }
}
