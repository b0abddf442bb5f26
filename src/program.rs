//! Runs another program: no shell, nothing on its standard input, bounded output. It is killed with all that it started
//! when the future that waits for it is dropped.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::Command;

/// The end of standard error that is kept.
const MAX_STDERR_BYTES: usize = 16 << 10;

/// How a program ended.
#[derive(Debug)]
pub(crate) struct ProgramOutcome {
    /// Its exit status.
    pub status: ExitStatus,
    /// The end of what it wrote to standard error: untrusted.
    pub stderr: String,
}

/// Why a program has no outcome.
#[derive(Debug)]
pub(crate) enum ProgramFailure {
    /// It is not installed.
    Missing,
    /// It cannot be started, or its output cannot be read.
    Io(std::io::Error),
    /// A line of its output is too long.
    LongLine,
}

/// Runs `program` in `folder` until it ends. `on_line` gets each line that it writes to standard output, without its end;
/// a line has at most `max_line_bytes`.
pub(crate) async fn run_program(
    program: &Path,
    args: &[impl AsRef<OsStr>],
    folder: &Path,
    max_line_bytes: usize,
    on_line: &mut (dyn FnMut(&[u8]) + Send),
) -> Result<ProgramOutcome, ProgramFailure> {
    let mut command = Command::new(program);
    command.args(args).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Its own group, so that the programs that it starts are killed with it.
    command.process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => ProgramFailure::Missing,
        _ => ProgramFailure::Io(error),
    })?;
    let mut group = ProcessGroup(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let lines = async {
        match stdout {
            Some(stdout) => read_lines(stdout, max_line_bytes, on_line).await,
            None => Ok(()),
        }
    };
    let tail = async { Ok(read_tail(stderr).await) };
    let status = async { child.wait().await.map_err(ProgramFailure::Io) };
    let ((), stderr, status) = tokio::try_join!(lines, tail, status)?;
    // It has ended: its number may belong to another program from now on.
    group.0 = None;
    Ok(ProgramOutcome { status, stderr })
}

/// Kills a group of processes when it is dropped.
struct ProcessGroup(Option<Pid>);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // An error means that it has just ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn read_lines(
    output: impl AsyncRead + Unpin,
    max_line_bytes: usize,
    on_line: &mut (dyn FnMut(&[u8]) + Send),
) -> Result<(), ProgramFailure> {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = max_line_bytes as u64 + 1;
        let n_read = (&mut output).take(limit).read_until(b'\n', &mut line).await.map_err(ProgramFailure::Io)?;
        if n_read == 0 {
            return Ok(());
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        if text.len() > max_line_bytes {
            return Err(ProgramFailure::LongLine);
        }
        on_line(text.strip_suffix(b"\r").unwrap_or(text));
    }
}

/// The end of a stream.
async fn read_tail(output: Option<impl AsyncRead + Unpin>) -> String {
    let mut tail = VecDeque::new();
    if let Some(mut output) = output {
        let mut chunk = vec![0; 4096];
        // A broken pipe is its end.
        while let Ok(n_read @ 1..) = output.read(&mut chunk).await {
            tail.extend(&chunk[..n_read]);
            tail.drain(..tail.len().saturating_sub(MAX_STDERR_BYTES));
        }
    }
    String::from_utf8_lossy(tail.make_contiguous()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn shell(script: &str, max_line_bytes: usize) -> (Vec<String>, Result<ProgramOutcome, ProgramFailure>) {
        let mut lines = Vec::new();
        let mut on_line = |line: &[u8]| lines.push(String::from_utf8_lossy(line).into_owned());
        let outcome = run_program(Path::new("sh"), &["-c", script], Path::new("/"), max_line_bytes, &mut on_line).await;
        (lines, outcome)
    }

    #[tokio::test]
    async fn lines_status_and_the_end_of_standard_error() {
        let (lines, outcome) = shell("printf 'a\\r\\n\\nb'; echo no >&2; exit 3", 10).await;
        let outcome = outcome.expect("it ran");
        assert_eq!(
            (lines, outcome.status.code(), outcome.stderr),
            (vec!["a".into(), String::new(), "b".into()], Some(3), "no\n".into())
        );
        let (_, outcome) = shell("yes error | head -c 100000 >&2", 10).await;
        assert_eq!(outcome.expect("it ran").stderr.len(), MAX_STDERR_BYTES);
    }

    #[tokio::test]
    async fn a_missing_program_and_a_line_without_an_end() {
        let program = Path::new("vidgist-no-such-program");
        let missing = run_program(program, &["a"], Path::new("/"), 10, &mut |_| {}).await;
        assert!(matches!(missing, Err(ProgramFailure::Missing)));
        let (lines, outcome) = shell("echo 1234567890; yes | tr -d '\\n'", 10).await;
        assert_eq!(lines, ["1234567890"]);
        assert!(matches!(outcome, Err(ProgramFailure::LongLine)));
    }

    #[tokio::test]
    async fn what_it_started_is_killed_with_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let note = folder.path().join("pid");
        let script = format!("sleep 60 & echo $! > {}; echo started; wait", note.display());
        let (told, started) = tokio::sync::oneshot::channel();
        let mut told = Some(told);
        let mut on_line = |_: &[u8]| {
            // The receiver waits below.
            let _ = told.take().map(|told| told.send(()));
        };
        let args = ["-c", &script];
        tokio::select! {
            _ = run_program(Path::new("sh"), &args, folder.path(), 100, &mut on_line) => panic!("it waits"),
            _ = started => {}
        }
        let pid: i32 = std::fs::read_to_string(&note).expect("written").trim().parse().expect("a number");
        let pid = Pid::from_raw(pid).expect("not 0");
        // A killed process stays until its new parent has noticed.
        let is_running = || {
            std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()))
                .is_ok_and(|stat| !stat.contains(") Z "))
        };
        for _ in 0..500 {
            if !is_running() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the child of the program is still running");
    }
}
