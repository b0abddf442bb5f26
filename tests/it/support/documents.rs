//! The JSON that the command writes, against the schemas in `docs`. [`super::command::ran`] checks each run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use jsonschema::Validator;
use serde_json::Value;

use super::command::project;

/// Commands that write JSON, with the schema of it. That of `run` depends on the job.
const COMMANDS: [(&str, Option<&str>); 10] = [
    ("summarize", Some("report")),
    ("ask", Some("report")),
    ("frames", Some("report")),
    ("plan", Some("plan")),
    ("probe", Some("media")),
    ("transcribe", Some("transcript")),
    ("translate", Some("transcript")),
    ("caption", Some("caption")),
    ("describe-audio", Some("audio-descriptions")),
    ("run", None),
];

/// Asserts that a document agrees with a schema of `docs`.
#[track_caller]
pub fn check(schema: &str, document: &Value) {
    let validator = validator(schema);
    let errors = validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path()));
    let errors: Vec<String> = errors.collect();
    assert!(errors.is_empty(), "docs/{schema}.schema.json refuses this:\n{}\n{document:#}", errors.join("\n"));
}

/// A schema of `docs`.
pub fn validator(schema: &str) -> Validator {
    let path = project().join(format!("docs/{schema}.schema.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    jsonschema::draft202012::new(&serde_json::from_str(&text).expect("JSON")).expect("a schema")
}

/// Asserts that the JSON that a run printed, or wrote to its `-o`, agrees with the schema of its command. A run that ended
/// with 2 wrote nothing.
#[track_caller]
pub fn check_run(command: &Command, code: Option<i32>, printed: &str) {
    if code == Some(2) {
        return;
    }
    let args: Vec<&OsStr> = command.get_args().collect();
    let has = |flag: &str| args.iter().any(|arg| *arg == flag);
    let named = |name: &&OsStr| COMMANDS.iter().find(|(command, _)| name == command);
    // Jobs are read back by the tests, and reading refuses unknown keys.
    let Some((_, schema)) = args.iter().find_map(named).filter(|_| !has("--print-job")) else { return };
    let schema = if has("--dry-run") { Some("plan") } else { *schema };
    for document in documents(printed) {
        check_any(schema, &document);
    }
    let output = args.iter().position(|arg| *arg == "-o" || *arg == "--output").and_then(|at| args.get(at + 1));
    let output = output.map(|path| command.get_current_dir().unwrap_or(Path::new(".")).join(path));
    let inside = output.iter().flat_map(|path| std::fs::read_dir(path).into_iter().flatten().flatten());
    let files: Vec<PathBuf> = inside.map(|entry| entry.path()).chain(output.clone()).collect();
    for path in files.iter().filter(|path| path.extension().is_some_and(|end| end == "json" || end == "jsonl")) {
        for document in std::fs::read_to_string(path).iter().flat_map(|text| documents(text)) {
            check_any(schema, &document);
        }
    }
}

/// Asserts that the reports and indexes of frames below a folder agree with their schema.
#[track_caller]
pub fn check_reports_below(folder: &Path) {
    for entry in walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok) {
        if entry.file_name() == "report.json" || entry.file_name() == "frames.json" {
            for document in std::fs::read_to_string(entry.path()).iter().flat_map(|text| documents(text)) {
                check("report", &document);
            }
        }
    }
}

/// The document that a text is, or those on its lines; none if it is no JSON.
fn documents(text: &str) -> Vec<Value> {
    if !text.starts_with(['{', '[']) {
        return Vec::new();
    }
    let whole = serde_json::from_str(text).map(|document| vec![document]);
    // The last line of a run that was killed may be incomplete.
    whole.unwrap_or_else(|_| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

#[track_caller]
fn check_any(schema: Option<&str>, document: &Value) {
    if let Some(schema) = schema {
        check(schema, document);
    } else {
        let mut known = COMMANDS.iter().filter_map(|(_, schema)| *schema);
        assert!(known.any(|schema| validator(schema).is_valid(document)), "no schema allows this: {document:#}");
    }
}
