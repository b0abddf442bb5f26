//! Which of a file's sounds is meant.

use anyhow::Result;
use vidgist::error::Error;
use vidgist::language;
use vidgist::media::{AudioStream, MediaInfo};

use super::args::TrackArgs;

/// The sound that the flags ask for; without any, the one that players choose.
pub fn choose<'a>(info: &'a MediaInfo, args: &TrackArgs) -> Result<&'a AudioStream> {
    let Some(main) = info.main_audio() else {
        return Err(Error::unsupported(&info.input, "holds no sound", "see what it holds with: vidgist probe").into());
    };
    let found = match (args.track, &args.audio_language) {
        (Some(track), _) => info.audio.get(usize::from(track) - 1),
        (None, Some(wanted)) => {
            let mut fitting =
                info.audio.iter().filter(|a| a.language.as_ref().is_some_and(|tag| language::is_same(tag, wanted)));
            let first = fitting.clone().next();
            fitting.find(|a| a.is_default).or(first)
        }
        (None, None) => Some(main),
    };
    found.ok_or_else(|| {
        let wanted = match (args.track, &args.audio_language) {
            (Some(track), _) => format!("has no sound number {track}"),
            (_, language) => format!("has no sound in {}", language.as_deref().unwrap_or_default()),
        };
        let tracks: Vec<String> = info.audio.iter().enumerate().map(|(i, a)| name(i, a)).collect();
        Error::usage(&info.input, wanted, format!("it has {}", tracks.join(", "))).into()
    })
}

/// A sound as the user counts and knows it: `2 (aac, fre)`; `idx` is its place among the sounds, from 0.
pub fn name(idx: usize, stream: &AudioStream) -> String {
    let language = stream.language.as_ref().map(|tag| format!(", {tag}")).unwrap_or_default();
    format!("{} ({}{language})", idx + 1, stream.codec)
}
