//! Text that is kept in the repository so that its changes are read.

use crate::support::command::project;

/// As [`check_file`], of a file of `tests/it/snapshots`.
#[track_caller]
pub fn check(name: &str, text: &str, command: &str) {
    check_file(&format!("tests/it/snapshots/{name}"), text, command);
}

/// Asserts that a file of the repository holds `text`; `command` writes it anew, by `VIDGIST_UPDATE_SNAPSHOTS=1`.
#[track_caller]
pub fn check_file(path: &str, text: &str, command: &str) {
    let path = project().join(path);
    if std::env::var_os("VIDGIST_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, text).expect("the repository can be written");
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let missing = |from: &str, of: &str, mark: char| -> Vec<String> {
        let lines: std::collections::BTreeSet<&str> = of.lines().collect();
        from.lines().filter(|line| !lines.contains(line)).map(|line| format!("{mark}{line}")).collect()
    };
    let changes = [missing(&kept, text, '-'), missing(text, &kept, '+')].concat().join("\n");
    assert!(kept == text, "{} is out of date; run {command}, and read what changed:\n{changes}", path.display());
}

/// Asserts that a page of the repository holds `table` between `<!-- NAME -->` and `<!-- end -->`; `command` writes it anew, by
/// `VIDGIST_UPDATE_SNAPSHOTS=1`.
#[track_caller]
pub fn check_table(page: &str, name: &str, table: &str, command: &str) {
    let path = project().join(page);
    let text = std::fs::read_to_string(&path).expect("the page");
    let mark = format!("<!-- {name} -->\n\n");
    let (before, rest) = text.split_once(&mark).expect("the mark");
    let (kept, after) = rest.split_once("\n<!-- end -->").expect("the end");
    if std::env::var_os("VIDGIST_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, format!("{before}{mark}{table}\n<!-- end -->{after}")).expect("the page can be written");
        return;
    }
    assert_eq!(kept, table, "{page} is out of date; run {command}");
}
