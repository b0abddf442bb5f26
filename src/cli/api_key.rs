//! Keys that stand in no file: printed by a command, such as a password manager's, or held by the desktop's keyring.

#[cfg(target_os = "linux")]
mod keyring;

use std::fmt;
use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use vidgist::error::{Error, Result};
use vidgist::sanitize::clean_line;

/// The configuration's key, which errors name.
const NAME: &str = "api_key_command";
/// A password manager may ask a person.
const PATIENCE: Duration = Duration::from_secs(30);
/// No key is longer.
const MAX_KEY_BYTES: usize = 16 << 10;
/// What is shown of the complaint of a command that fails.
const MAX_COMPLAINT_BYTES: usize = 500;

/// The keys that were got, by where they came from: each is got once, for it may ask a person.
static GOT: Mutex<Vec<(KeySource, SecretString)>> = Mutex::new(Vec::new());

/// Where a key comes from that is in no environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A command prints it.
    Command(KeyCommand),
    /// The desktop's keyring holds it, under this name.
    Keyring(String),
}

impl KeySource {
    /// The key, without the white space around it; from the second time on without asking again.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where there is none, or getting it takes longer than 30 s; what was got is in no error.
    pub fn get(&self) -> Result<SecretString> {
        let mut got = GOT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, key)) = got.iter().find(|(source, _)| source == self) {
            return Ok(key.clone());
        }
        let key = match self {
            Self::Command(command) => command.run(PATIENCE)?,
            #[cfg(target_os = "linux")]
            Self::Keyring(username) => keyring::key(username)?,
            #[cfg(not(target_os = "linux"))]
            Self::Keyring(_) => {
                let advice = "use api_key_command with the system's own tool, such as macOS's security";
                return Err(Error::usage("api_key_keyring", "is for Linux alone", advice));
            }
        };
        got.push((self.clone(), key.clone()));
        Ok(key)
    }
}

/// Work that may wait for a person, on a thread of its own.
struct PromptedWork<T>(mpsc::Receiver<T>);

impl<T: Send + 'static> PromptedWork<T> {
    fn begin(work: impl FnOnce() -> T + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel();
        // Perhaps nobody waits for it any more.
        std::thread::spawn(move || drop(sender.send(work())));
        Self(receiver)
    }

    /// What came of it; None where it takes longer, or panics.
    fn wait(&self, patience: Duration) -> Option<T> {
        self.0.recv_timeout(patience).ok()
    }
}

/// A program and its arguments: a list, or one text that is split into words as a shell would. No shell runs it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum KeyCommand {
    List(Vec<String>),
    Text(String),
}

/// The program alone: an argument may be a secret.
impl fmt::Debug for KeyCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program = self.words().and_then(|words| words.first().cloned());
        f.debug_tuple("KeyCommand").field(&program.unwrap_or_default()).finish()
    }
}

impl KeyCommand {
    fn words(&self) -> Option<Vec<String>> {
        let words = match self {
            Self::List(words) => Some(words.clone()),
            Self::Text(text) => shlex::split(text),
        };
        words.filter(|words| words.first().is_some_and(|program| !program.is_empty()))
    }

    /// The key that it prints, without the white space around it.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage) where it cannot be run, fails, prints nothing or too much, or takes longer than `patience`; what
    /// it printed is in no error.
    fn run(&self, patience: Duration) -> Result<SecretString> {
        let words = self.words().ok_or_else(|| {
            Error::usage(NAME, "is no command", "write it as [\"pass\", \"show\", \"openai\"], or as one text")
        })?;
        let (program, arguments) = (&words[0], &words[1..]);
        let bad = |problem: String| {
            Error::usage(format!("{NAME} ({program})"), problem, "run it yourself: it should print the key alone")
        };
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| bad(format!("cannot be run: {error}")).because(error))?;
        let (out, err) = (read(child.stdout.take(), MAX_KEY_BYTES), read(child.stderr.take(), MAX_COMPLAINT_BYTES));
        let until = Instant::now() + patience;
        let too_slow = || bad(format!("has not ended after {} s", patience.as_secs_f64()));
        let Some(status) = wait(&mut child, until) else {
            // It may have ended by itself just now.
            let _ = child.kill();
            let _ = child.wait();
            return Err(too_slow());
        };
        // What it left running may hold its pipe open.
        let left = until.saturating_duration_since(Instant::now());
        let printed = out.wait(left).ok_or_else(too_slow)?;
        if !status.success() {
            let complaint = err.wait(left.min(Duration::from_secs(1))).unwrap_or_default();
            let complaint = clean_line(&String::from_utf8_lossy(&complaint));
            let ended = status.code().map_or("was killed".to_owned(), |code| format!("ended with exit code {code}"));
            return Err(bad(if complaint.is_empty() { ended } else { format!("{ended}: {complaint}") }));
        }
        if printed.len() > MAX_KEY_BYTES {
            return Err(bad(format!("printed more than {MAX_KEY_BYTES} bytes")));
        }
        match std::str::from_utf8(&printed).map(str::trim) {
            Ok("") => Err(bad("printed nothing".into())),
            Ok(key) => Ok(SecretString::from(key)),
            Err(_) => Err(bad("printed what is no text".into())),
        }
    }
}

/// What comes out of one end of a command: up to one byte more than `most`, the rest is read away. It is read on a
/// thread of its own, so that neither end waits for the other.
fn read(end: Option<impl Read + Send + 'static>, most: usize) -> PromptedWork<Zeroizing<Vec<u8>>> {
    PromptedWork::begin(move || {
        let mut kept = Zeroizing::new(Vec::new());
        if let Some(mut end) = end {
            // An end that breaks is an end.
            let _ = end.by_ref().take(most as u64 + 1).read_to_end(&mut kept);
            let _ = std::io::copy(&mut end, &mut std::io::sink());
        }
        kept
    })
}

fn wait(child: &mut Child, until: Instant) -> Option<ExitStatus> {
    while Instant::now() < until {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_does_not_end_is_ended() {
        let begun = Instant::now();
        for script in ["sleep 60", "yes", "echo sk-1; sleep 60 &"] {
            let command = KeyCommand::List(["sh", "-c", script].map(str::to_owned).into());
            let error = command.run(Duration::from_millis(300)).expect_err(script).to_string();
            assert!(error.starts_with("api_key_command (sh): has not ended after 0.3 s"), "{script}: {error}");
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    }

    #[test]
    fn its_arguments_are_not_shown() {
        let command = KeyCommand::Text("vault --token hunter2".into());
        assert_eq!(format!("{command:?}"), "KeyCommand(\"vault\")");
    }
}
