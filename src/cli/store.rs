//! `vidgist store`.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use indicatif::DecimalBytes;
use serde_json::{Value, json};
use vidgist::error::Error;
use vidgist::report::json::to_text;
use vidgist::sanitize::{clean_line, excerpt};
use vidgist::store::{GcOutcome, IN_USE, Store, StoreConfig, StoredContent, StoredEntry};

use super::args::StoreAction;
use super::config::CommandConfig;
use super::output::{PARTIAL, print};

/// Digits of an ID in the list.
const ID_DIGITS: usize = 12;
/// Characters of a name in the list.
const MAX_NAME_CHARS: usize = 80;

pub async fn run(action: StoreAction, config: &CommandConfig) -> Result<ExitCode> {
    let config = config.store().ok_or_else(|| {
        Error::usage("the store", "is switched off, or there is no home folder", "name its folder with --store")
    })?;
    // The commands read and write files, and nothing else happens meanwhile.
    Ok(tokio::task::spawn_blocking(move || work(action, &config)).await??)
}

fn work(action: StoreAction, config: &StoreConfig) -> Result<ExitCode, Error> {
    if let StoreAction::Rebuild = action {
        return rebuild(config);
    }
    let store = Store::open_existing(config)?;
    let contents = || store.as_ref().map_or(Ok(Vec::new()), Store::contents);
    let find = |input: &str| {
        let found = store.as_ref().map(|store| store.find(input)).transpose()?.flatten();
        let missing = || Error::usage(clean_line(input), "the store has no results for it", "run: vidgist store list");
        found.ok_or_else(missing)
    };
    match action {
        StoreAction::List { json: true } => print(&to_text(&contents()?.iter().map(as_json).collect::<Vec<_>>())?)?,
        StoreAction::List { json: false } => list(&contents()?, config)?,
        StoreAction::Show { input, json: true } => print(&to_text(&as_json(&find(&input)?))?)?,
        StoreAction::Show { input, json: false } => show(&find(&input)?)?,
        StoreAction::Verify => {
            let found = store.as_ref().map(Store::verify).transpose()?.unwrap_or_default();
            print(&format!("{} intact, {} broken and moved aside\n", counted(found.n_intact), found.n_broken))?;
            if found.n_broken > 0 {
                return Ok(ExitCode::from(PARTIAL));
            }
        }
        StoreAction::Gc { max_size } => {
            let max_bytes = max_size.map_or(config.max_bytes, |size| size.as_u64());
            let removed = store.as_ref().map(|store| store.gc(max_bytes)).transpose()?.unwrap_or_default();
            let left = store.as_ref().map(Store::n_bytes).transpose()?.unwrap_or_default();
            tell_removed(removed)?;
            if removed.n_in_use > 0 {
                let (n, minutes) = (counted(removed.n_in_use), IN_USE.as_secs() / 60);
                print(&format!("kept {n} beyond the limit: used within the last {minutes} minutes\n"))?;
            }
            print(&format!("{} left\n", DecimalBytes(left)))?;
        }
        StoreAction::Remove { input } => {
            // Entries that are broken or not listed hold a transcript, too.
            store.as_ref().map_or(Ok(()), Store::tidy)?;
            let found = find(&input)?;
            if let Some(store) = &store {
                tell_removed(store.remove(&found.content)?)?;
            }
        }
        StoreAction::Rebuild => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn rebuild(config: &StoreConfig) -> Result<ExitCode, Error> {
    if !config.folder.exists() {
        return Err(Error::usage(config.folder.display(), "there is no store", "check the folder"));
    }
    let found = Store::rebuild(config)?;
    let damaged = if found.was_damaged { "; the damaged catalog was moved aside" } else { "" };
    print(&format!("{} listed, {} broken and moved aside{damaged}\n", counted(found.n_entries), found.n_broken))?;
    Ok(if found.n_broken > 0 { ExitCode::from(PARTIAL) } else { ExitCode::SUCCESS })
}

fn list(contents: &[StoredContent], config: &StoreConfig) -> Result<(), Error> {
    let mut text = String::new();
    if !contents.is_empty() {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{:<ID_DIGITS$}  RESULTS        SIZE  LAST USE (UTC)    NAME", "ID");
    }
    for content in contents {
        let name = content.names.first().map(String::as_str).unwrap_or_default();
        let _ = writeln!(
            text,
            "{}  {:>7}  {:>10}  {}  {}",
            content.content.as_str().get(..ID_DIGITS).unwrap_or_default(),
            content.entries.len(),
            DecimalBytes(content.n_bytes()).to_string(),
            minute(content.used_ms),
            excerpt(&clean_line(name), MAX_NAME_CHARS),
        );
    }
    let n_bytes: u64 = contents.iter().map(StoredContent::n_bytes).sum();
    let (size, limit) = (DecimalBytes(n_bytes), DecimalBytes(config.max_bytes));
    let _ = writeln!(text, "Folder: {}, {size} of at most {limit}", clean_line(&config.folder.display().to_string()));
    print(&text)
}

fn show(content: &StoredContent) -> Result<(), Error> {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "{name:<10} {}", clean_line(value));
    };
    line("id", content.content.as_str());
    for name in &content.names {
        line("name", name);
    }
    if let Some(title) = &content.title {
        line("title", title);
    }
    if let Some(n_bytes) = content.file_bytes {
        line("file size", &format!("{n_bytes} bytes"));
    }
    for entry in &content.entries {
        let by = entry.producer.as_ref().map(|producer| format!(" by {producer}")).unwrap_or_default();
        let (size, made, used) = (DecimalBytes(entry.n_bytes), minute(entry.created_ms), minute(entry.used_ms));
        line(&entry.stage, &format!("{size}{by}, made {made}, last used {used} (UTC)"));
        let options = entry.options.iter().filter(|(_, value)| !is_unset(value));
        let options: Vec<String> = options.map(|(name, value)| format!("{name} {value}")).collect();
        line("", &options.join(", "));
    }
    print(&text)
}

/// Whether an option has a value that says nothing.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(values) => values.iter().all(is_unset),
        _ => false,
    }
}

fn as_json(content: &StoredContent) -> Value {
    let entry = |entry: &StoredEntry| {
        json!({
            "id": entry.id,
            "stage": entry.stage,
            "producer": entry.producer,
            "options": entry.options,
            "n_bytes": entry.n_bytes,
            "created": instant(entry.created_ms),
            "used": instant(entry.used_ms),
        })
    };
    json!({
        "content": content.content,
        "names": content.names,
        "title": content.title,
        "file_bytes": content.file_bytes,
        "n_bytes": content.n_bytes(),
        "used": instant(content.used_ms),
        "entries": content.entries.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn instant(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).unwrap_or_default().to_string()
}

fn minute(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).unwrap_or_default().strftime("%Y-%m-%d %H:%M").to_string()
}

fn tell_removed(removed: GcOutcome) -> Result<(), Error> {
    print(&format!("removed {} ({})\n", counted(removed.n_entries), DecimalBytes(removed.n_bytes)))
}

fn counted(n: usize) -> String {
    if n == 1 { "1 result".to_owned() } else { format!("{n} results") }
}
