//! API keys that a command prints: a password manager, or the tool of the desktop's keyring.

use std::fmt;
use std::process::Stdio;
use std::time::Duration;

use futures_util::future::join3;
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::Mutex;
use vidgist::error::{Error, ErrorCode, Result};
use vidgist::sanitize::clean_line;

/// The name in the configuration, for errors.
const NAME: &str = "api_key_command";
/// The timeout of a command: a password manager may prompt the user.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum size of a key.
const MAX_KEY_BYTES: usize = 16 << 10;
/// At most this much of the stderr of a failed command is shown.
const MAX_STDERR_BYTES: usize = 500;

/// The keys printed so far, by command: each command runs once, since it may prompt the user.
static CACHE: Mutex<Vec<(KeyCommand, SecretString)>> = Mutex::const_new(Vec::new());

/// A program and its arguments: a list, or a text that is split into words as a shell does. No shell runs it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum KeyCommand {
    List(Vec<String>),
    Text(String),
}

/// Shows only the program, since an argument may be a secret.
impl fmt::Debug for KeyCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.words().and_then(|words| words.first().cloned());
        f.debug_tuple("KeyCommand").field(&program.unwrap_or_default()).finish()
    }
}

impl KeyCommand {
    /// The key that the command prints, without surrounding white space. Later calls return the same key without running
    /// the command again.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](vidgist::ErrorKind::Usage) where the command cannot be run, fails, prints nothing or too much, or takes longer
    /// than 30 s. Its stdout never appears in the error.
    pub async fn key(&self) -> Result<SecretString> {
        let mut cache = CACHE.lock().await;
        if let Some((_, key)) = cache.iter().find(|(command, _)| command == self) {
            return Ok(key.clone());
        }
        let key = self.run(TIMEOUT).await?;
        cache.push((self.clone(), key.clone()));
        Ok(key)
    }

    fn words(&self) -> Option<Vec<String>> {
        let words = match self {
            Self::List(words) => Some(words.clone()),
            Self::Text(text) => shlex::split(text),
        };
        words.filter(|words| words.first().is_some_and(|program| !program.is_empty()))
    }

    async fn run(&self, timeout: Duration) -> Result<SecretString> {
        let words = self.words().ok_or_else(|| {
            let advice = "write it as [\"pass\", \"show\", \"openai\"] or as a single text";
            Error::usage(NAME, "is not a valid command", advice).with_code(ErrorCode::MissingKey)
        })?;
        let (program, arguments) = (&words[0], &words[1..]);
        let bad = |problem: String| {
            let advice = "run it yourself: it must print only the key";
            Error::usage(format!("{NAME} ({program})"), problem, advice).with_code(ErrorCode::MissingKey)
        };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| bad(format!("cannot be run: {error}")).because(error))?;
        let stdout = read(child.stdout.take(), MAX_KEY_BYTES);
        let stderr = read(child.stderr.take(), MAX_STDERR_BYTES);
        // A process that the command left behind may keep a pipe open, so the timeout covers reading too.
        let ended = tokio::time::timeout(timeout, join3(child.wait(), stdout, stderr)).await;
        let Ok((status, key, complaint)) = ended else {
            // It fails only where the process has ended meanwhile.
            let _ = child.kill().await;
            return Err(bad(format!("has not finished after {} s", timeout.as_secs_f64())));
        };
        let status = status.map_err(|error| bad(format!("cannot be waited for: {error}")).because(error))?;
        if !status.success() {
            let complaint = clean_line(&String::from_utf8_lossy(&complaint));
            let end = status.code().map_or("was killed".to_owned(), |code| format!("exited with code {code}"));
            return Err(bad(if complaint.is_empty() { end } else { format!("{end}: {complaint}") }));
        }
        if key.len() > MAX_KEY_BYTES {
            return Err(bad(format!("printed more than {MAX_KEY_BYTES} bytes")));
        }
        match std::str::from_utf8(&key).map(str::trim) {
            Ok("") => Err(bad("printed nothing".into())),
            Ok(key) => Ok(SecretString::from(key)),
            Err(_) => Err(bad("printed bytes that are not UTF-8".into())),
        }
    }
}

/// Reads a pipe to its end and keeps up to one byte more than `max`.
async fn read(pipe: Option<impl AsyncRead + Unpin>, max: usize) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::new());
    if let Some(mut pipe) = pipe {
        // An error ends the pipe as its end does.
        let _ = (&mut pipe).take(max as u64 + 1).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_command_that_does_not_finish_is_killed() {
        let begun = Instant::now();
        for script in ["sleep 60", "yes", "echo sk-1; sleep 60 &"] {
            let command = KeyCommand::List(["sh", "-c", script].map(str::to_owned).into());
            let error = command.run(Duration::from_millis(300)).await.expect_err(script).to_string();
            assert!(error.starts_with("api_key_command (sh): has not finished after 0.3 s"), "{script}: {error}");
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }

    #[test]
    fn arguments_are_not_shown() {
        let command = KeyCommand::Text("vault --token hunter2".into());
        assert_eq!(format!("{command:?}"), "KeyCommand(\"vault\")");
    }
}
