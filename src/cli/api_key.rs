//! API keys that a command prints, such as a password manager or the tool of the desktop's keyring.

use std::fmt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;
use vidgist::error::{Error, ErrorCode, Result};
use vidgist::sanitize::clean_line;

/// The configuration's key, which errors name.
const NAME: &str = "api_key_command";
/// Longest run of a command: a password manager may ask a person.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Longest key.
const MAX_KEY_BYTES: usize = 16 << 10;
/// Longest part of a failed command's stderr that is shown.
const MAX_STDERR_BYTES: usize = 500;

/// The keys so far, by command: each command runs once, because it may ask a person.
static KEYS: Mutex<Vec<(KeyCommand, SecretString)>> = Mutex::const_new(Vec::new());

/// A program and its arguments: a list, or one text that is split into words as a shell would. No shell runs it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum KeyCommand {
    List(Vec<String>),
    Text(String),
}

/// Only the program: an argument may be a secret.
impl fmt::Debug for KeyCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.words().and_then(|words| words.first().cloned());
        f.debug_tuple("KeyCommand").field(&program.unwrap_or_default()).finish()
    }
}

/// What a command printed.
struct CommandOutput {
    stdout: Zeroizing<Vec<u8>>,
    stderr: Zeroizing<Vec<u8>>,
    status: ExitStatus,
}

impl KeyCommand {
    /// The key that the command prints, without surrounding white space. Later calls return the same key.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](vidgist::ErrorKind::Usage) if the command cannot be run, fails, prints nothing or too much, or takes longer than
    /// 30 s. Errors never contain what it printed to stdout.
    pub async fn key(&self) -> Result<SecretString> {
        let mut keys = KEYS.lock().await;
        if let Some((_, key)) = keys.iter().find(|(command, _)| command == self) {
            return Ok(key.clone());
        }
        let key = self.run(TIME_LIMIT).await?;
        keys.push((self.clone(), key.clone()));
        Ok(key)
    }

    fn words(&self) -> Option<Vec<String>> {
        let words = match self {
            Self::List(words) => Some(words.clone()),
            Self::Text(text) => shlex::split(text),
        };
        words.filter(|words| words.first().is_some_and(|program| !program.is_empty()))
    }

    async fn run(&self, limit: Duration) -> Result<SecretString> {
        let words = self.words().ok_or_else(|| {
            Error::usage(NAME, "is not a command", "write it as [\"pass\", \"show\", \"openai\"], or as one text")
        })?;
        let (program, arguments) = (&words[0], &words[1..]);
        let bad = |problem: String| {
            let advice = "run it yourself: it should print only the key";
            Error::usage(format!("{NAME} ({program})"), problem, advice).with_code(ErrorCode::MissingKey)
        };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| bad(format!("cannot be run: {error}")).because(error))?;
        let Ok(output) = timeout(limit, output(&mut child)).await else {
            // An error means that it has just ended.
            let _ = child.start_kill();
            return Err(bad(format!("timed out after {} s", limit.as_secs_f64())));
        };
        let output = output.map_err(|error| bad(format!("cannot be read: {error}")).because(error))?;
        if !output.status.success() {
            let stderr = &output.stderr[..output.stderr.len().min(MAX_STDERR_BYTES)];
            let stderr = clean_line(&String::from_utf8_lossy(stderr));
            let ended =
                output.status.code().map_or("was killed".to_owned(), |code| format!("ended with exit code {code}"));
            return Err(bad(if stderr.is_empty() { ended } else { format!("{ended}: {stderr}") }));
        }
        if output.stdout.len() > MAX_KEY_BYTES {
            return Err(bad(format!("printed more than {MAX_KEY_BYTES} bytes")));
        }
        match std::str::from_utf8(&output.stdout).map(str::trim) {
            Ok("") => Err(bad("printed nothing".into())),
            Ok(key) => Ok(SecretString::from(key)),
            Err(_) => Err(bad("printed something that is not text".into())),
        }
    }
}

/// Both ends are read at the same time, so that neither waits for the other.
async fn output(child: &mut Child) -> std::io::Result<CommandOutput> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr, status) =
        tokio::join!(read(stdout, MAX_KEY_BYTES), read(stderr, MAX_STDERR_BYTES), child.wait());
    Ok(CommandOutput { stdout, stderr, status: status? })
}

/// Up to one byte more than `limit`; the rest is read and dropped, so that the command can end.
async fn read(end: Option<impl AsyncRead + Unpin>, limit: usize) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::new());
    if let Some(mut end) = end {
        // A broken pipe is its end.
        let _ = (&mut end).take(limit as u64 + 1).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut end, &mut tokio::io::sink()).await;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_command_that_does_not_end_is_killed() {
        for script in ["sleep 60", "yes", "echo sk-1; sleep 60 &"] {
            let command = KeyCommand::List(["sh", "-c", script].map(str::to_owned).into());
            let error = command.run(Duration::from_millis(300)).await.expect_err(script).to_string();
            assert!(error.starts_with("api_key_command (sh): timed out after 0.3 s"), "{script}: {error}");
        }
    }

    #[test]
    fn its_arguments_are_not_shown() {
        let command = KeyCommand::Text("vault --token hunter2".into());
        assert_eq!(format!("{command:?}"), "KeyCommand(\"vault\")");
    }
}
