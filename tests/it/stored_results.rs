//! The store keeps frames and answers of summaries: the next run decodes and sends nothing.

use serde_json::Value;

use crate::support::command::{project, ran};
use crate::support::fake_server::Fault;
use crate::support::summaries::{Summarizer, content};

/// A copy of the talk and of its subtitles in the home folder: the path of the film.
fn talk(setting: &Summarizer) -> String {
    for name in ["talk.mp4", "talk.srt"] {
        std::fs::copy(project().join("fixtures").join(name), setting.user.path(name)).expect("copied");
    }
    setting.user.path("talk.mp4")
}

#[test]
fn frames_and_answers_are_read_again() {
    let setting = Summarizer::new();
    let talk = &*talk(&setting);
    let flags = ["--interval", "2s"];
    let (first, n_chats) = setting.summarized(talk, &flags);
    assert_eq!((n_chats, first.pointer("/sampling/from_store")), (1, None));
    let (again, n_chats) = setting.summarized(talk, &flags);
    assert_eq!(
        (n_chats, &again["sampling"]["from_store"], &again["answer"]["from_store"]),
        (0, &true.into(), &true.into())
    );
    assert_eq!(again["total"]["n_answers"], 0, "nothing was spent");
    assert_eq!(content(&again), content(&first));
    // Streamed text is the same.
    let ran = ran(&mut setting.command(talk, &[&flags[..], &["--stream"]].concat()));
    assert_eq!(
        serde_json::from_str::<Value>(&ran.complete_but_told()).map(|report| content(&report)).expect("JSON"),
        content(&first)
    );

    // Another question: the frames are there, the answer is not.
    let (other, n_chats) = setting.summarized(talk, &["--interval", "2s", "--prompt", "Who speaks?"]);
    assert_eq!((n_chats, &other["sampling"]["from_store"]), (1, &true.into()));
    // Other frames.
    for flags in
        [&["--interval", "3s"][..], &["--interval", "2s", "--max-width", "200"], &["--interval", "2s", "--fresh"]]
    {
        let (other, n_chats) = setting.summarized(talk, flags);
        assert_eq!((n_chats, other.pointer("/sampling/from_store")), (1, None), "{flags:?}");
    }
    let (other, n_chats) = setting.summarized(talk, &[&flags[..], &["--no-store"]].concat());
    assert_eq!((n_chats, other.pointer("/sampling/from_store")), (1, None));
}

#[test]
fn answers_that_are_cut_off_or_fail_are_asked_for_again() {
    let setting = Summarizer::new();
    let talk = &*talk(&setting);
    let flags = ["--interval", "5s"];
    for fault in [Fault::Param(None, "no"), Fault::Answer("Cut", "length"), Fault::Answer("", "stop")] {
        setting.server.fail_with([fault.clone()]);
        let before = setting.server.chats().len();
        let ran = ran(&mut setting.command(talk, &flags));
        assert_eq!((ran.code == Some(0), setting.server.chats().len() - before), (false, 1), "{fault:?}: {ran:?}");
    }
    let (again, n_chats) = setting.summarized(talk, &flags);
    assert_eq!((n_chats, &again["sampling"]["from_store"]), (1, &true.into()));
}
