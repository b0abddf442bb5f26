//! All text that users see, as one list: `tests/it/snapshots/user-visible.txt`. It holds the help of every command and the
//! texts in the source of errors, warnings, logs and reports. `scripts/user-visible` writes it anew; read what changed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

use crate::support::command::{User, project};
use crate::support::snapshot;

/// A help text without the paragraphs that an earlier one has, such as those of shared flags.
fn without_known(help: &str, known: &mut BTreeSet<String>) -> String {
    let new = help.split("\n\n").filter(|paragraph| known.insert((*paragraph).to_owned()));
    new.collect::<Vec<_>>().join("\n\n")
}

/// The help of the command and of each subcommand, in their order. A paragraph is listed once.
fn help(user: &User) -> String {
    let (mut text, mut known) = (String::new(), BTreeSet::new());
    let mut left = vec![Vec::<String>::new()];
    while let Some(command) = left.pop() {
        let args: Vec<&str> = ["help"].into_iter().chain(command.iter().map(String::as_str)).collect();
        let help = user.run(&args).complete();
        let names = help.split_once("\nCommands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap_or(""));
        let names = names.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
        let nested: Vec<Vec<String>> = names.map(|name| [&*command, &[name.to_owned()]].concat()).collect();
        left.extend(nested.into_iter().rev());
        writeln!(text, "== vidgist {}\n\n{}\n", args.join(" "), without_known(help.trim_end(), &mut known))
            .expect("memory");
    }
    text
}

/// String literals in the order of the source, without those of tests, `expect` and attributes other than `error`.
fn literals(tokens: TokenStream, found: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    let mut is_test = false;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                // `#!` begins an attribute of the file.
                tokens.next_if(|next| matches!(next, TokenTree::Punct(mark) if mark.as_char() == '!'));
                if let Some(TokenTree::Group(attribute)) = tokens.peek().cloned() {
                    let text = attribute.stream().to_string();
                    is_test |= text == "cfg (test)" || text == "cfg(test)";
                    if text.starts_with("error") {
                        literals(attribute.stream(), found);
                    }
                    tokens.next();
                }
            }
            TokenTree::Ident(name) if name == "expect" => drop(tokens.next()),
            // The body of the item, or its end.
            TokenTree::Group(_) if is_test => is_test = false,
            TokenTree::Punct(punct) if is_test && punct.as_char() == ';' => is_test = false,
            TokenTree::Group(group) => literals(group.stream(), found),
            TokenTree::Literal(literal) => {
                if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                    found.push(text.value());
                }
            }
            _ => {}
        }
    }
}

/// Whether a text is more than a name, a unit or a format of numbers.
fn is_prose(text: &str) -> bool {
    let words = text.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() > 1);
    words.count() > 1 && text.contains(' ')
}

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            found.push(entry);
        }
    }
}

/// The texts of each source file. The prompts have snapshots of their own.
fn texts() -> Vec<(String, Vec<String>)> {
    let root = project().join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.sort();
    let texts = files.into_iter().map(|path| {
        let source = std::fs::read_to_string(&path).expect("UTF-8");
        let mut found = Vec::new();
        literals(source.parse().expect("it compiles"), &mut found);
        found.retain(|text| is_prose(text));
        (path.strip_prefix(&root).expect("below src").to_str().expect("UTF-8").to_owned(), found)
    });
    texts.filter(|(path, found)| !path.starts_with("prompt") && !found.is_empty()).collect()
}

#[test]
fn the_list_of_texts_is_up_to_date() {
    let mut list = help(&User::new());
    for (path, found) in texts() {
        writeln!(list, "== src/{path}\n").expect("memory");
        for text in found {
            writeln!(list, "{}", text.replace('\n', "\\n")).expect("memory");
        }
        list.push('\n');
    }
    snapshot::check("user-visible.txt", &list, "./scripts/user-visible");
}

/// The words that begin with `--`.
fn flags(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let words = text.split(|c: char| !is_part(c)).filter(|word| word.starts_with("--"));
    words.map(|word| word.trim_end_matches('-').to_owned()).filter(|word| word.len() > 3).collect()
}

#[test]
fn every_flag_that_a_text_names_exists() {
    let known = flags(&help(&User::new()));
    let unknown: Vec<String> = texts()
        .iter()
        .flat_map(|(path, found)| found.iter().map(move |text| (path, text)))
        .filter(|(_, text)| !flags(text).is_subset(&known))
        .map(|(path, text)| format!("src/{path}: {text}"))
        .collect();
    assert!(unknown.is_empty(), "no help names the flag of:\n{}", unknown.join("\n"));
}
