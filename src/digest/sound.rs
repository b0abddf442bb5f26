//! Describes audio in sentences from its measurements.

use crate::audio_facts::{AudioFacts, SoundKind};
use crate::time::TimeRange;

/// Share of the whole from which a kind of sound is "almost all" of it.
const ALMOST_ALL: f64 = 0.9;

/// Maximum number of stretches of one kind that are listed with their times.
const MAX_NAMED: usize = 5;

/// Describes a sound in a few sentences of plain text; `words_per_minute` is the rate of speech where there is a
/// transcript. Deterministic: it puts figures into words and adds nothing.
#[must_use]
pub fn describe(facts: &AudioFacts, words_per_minute: Option<f64>) -> String {
    let mut said = vec![content(facts)];
    said.extend(changes(facts));
    said.extend(level(facts));
    said.extend(pauses(facts));
    said.extend(words_per_minute.map(speech));
    said.join(" ")
}

fn noun(kind: SoundKind) -> &'static str {
    match kind {
        SoundKind::Speech => "speech",
        SoundKind::Music => "music",
        SoundKind::Other => "noise or other sound",
        SoundKind::Silence => "silence",
    }
}

const KINDS: [SoundKind; 4] = [SoundKind::Speech, SoundKind::Music, SoundKind::Other, SoundKind::Silence];

fn content(facts: &AudioFacts) -> String {
    let length = facts.range.length();
    let total = length.secs_f64().max(1e-9);
    let mut shares: Vec<(SoundKind, f64)> = KINDS.map(|kind| (kind, facts.seconds_of(kind) / total)).to_vec();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    let (main, share) = shares[0];
    let what = if share >= ALMOST_ALL {
        format!("almost all of it sounds like {}", noun(main))
    } else {
        let parts = shares.iter().filter(|(_, share)| *share >= 0.01);
        let parts: Vec<String> =
            parts.map(|(kind, share)| format!("{:.0} % sounds like {}", share * 100.0, noun(*kind))).collect();
        parts.join(", ")
    };
    format!("{} of sound: {what}.", length.label())
}

/// Where the lesser kinds are; None where there is one kind alone.
fn changes(facts: &AudioFacts) -> Option<String> {
    let main = KINDS.into_iter().max_by(|a, b| facts.seconds_of(*a).total_cmp(&facts.seconds_of(*b)))?;
    let lesser = KINDS.into_iter().filter(|kind| *kind != main && *kind != SoundKind::Silence);
    let named: Vec<String> = lesser
        .filter_map(|kind| {
            let stretches = facts.stretches.iter().filter(|s| s.kind == kind);
            let mut ranges: Vec<TimeRange> = stretches.map(|s| s.range).collect();
            let n = ranges.len();
            // The longest, in the order of their times.
            ranges.sort_by_key(|range| std::cmp::Reverse(range.length()));
            ranges.truncate(MAX_NAMED);
            ranges.sort_by_key(|range| range.start);
            let times: Vec<String> =
                ranges.iter().map(|r| format!("{} to {}", r.start.label(), r.end.label())).collect();
            let more = if n > MAX_NAMED { format!(" and {} shorter ones", n - MAX_NAMED) } else { String::new() };
            (n > 0).then(|| format!("{} from {}{more}", noun(kind), times.join(", ")))
        })
        .collect();
    (!named.is_empty()).then(|| format!("Besides: {}.", named.join("; ")))
}

fn level(facts: &AudioFacts) -> Option<String> {
    let loudness = facts.loudness_lufs?;
    // Broadcast is made for -23 LUFS (EBU R128), streaming services play at -14 to -16.
    let how = match loudness {
        l if l < -35.0 => "very quiet",
        l if l < -26.0 => "quiet",
        l if l < -18.0 => "about as loud as broadcast",
        l if l < -12.0 => "about as loud as streaming services play",
        _ => "very loud",
    };
    let mut said = format!("It is {how} ({loudness:.1} LUFS");
    if let Some(range) = facts.loudness_range_lu {
        let spread = match range {
            r if r < 5.0 => ", hardly changing in level",
            r if r < 15.0 => ", with some change of level",
            _ => ", with large changes of level",
        };
        said.push_str(spread);
    }
    said.push(')');
    if facts.true_peak_dbtp.is_some_and(|peak| peak > 0.0) {
        said.push_str(", and its peaks pass full scale: some playback will distort");
    }
    said.push('.');
    Some(said)
}

fn pauses(facts: &AudioFacts) -> Option<String> {
    let longest = facts.silences.iter().max_by_key(|range| range.length())?;
    let n = facts.silences.len();
    Some(format!(
        "{n} {} of half a second or more, {:.1} s together, the longest {:.1} s at {}.",
        if n == 1 { "silence" } else { "silences" },
        facts.silent_seconds(),
        longest.length().secs_f64(),
        longest.start.label(),
    ))
}

fn speech(rate: f64) -> String {
    // English conversation lies at about 150 words a minute; other languages count words otherwise.
    let how = match rate {
        r if r < 110.0 => "slow",
        r if r < 170.0 => "of usual pace",
        _ => "fast",
    };
    format!("The speech is {how} for English: {rate:.0} words per minute.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio_facts::SoundStretch;
    use crate::time::Timestamp;

    fn range(from: i64, to: i64) -> TimeRange {
        TimeRange::new(Timestamp::from_millis(from * 1000), Timestamp::from_millis(to * 1000))
    }

    #[test]
    fn figures_become_sentences() {
        let stretch = |from, to, kind| SoundStretch { range: range(from, to), kind };
        let facts = AudioFacts {
            range: range(0, 100),
            rate_hz: 48_000,
            channels: 2,
            loudness_lufs: Some(-23.04),
            loudness_range_lu: Some(6.0),
            true_peak_dbtp: Some(0.4),
            silences: vec![range(10, 11), range(60, 64)],
            stretches: vec![
                stretch(0, 20, SoundKind::Music),
                stretch(20, 60, SoundKind::Speech),
                stretch(60, 64, SoundKind::Silence),
                stretch(64, 100, SoundKind::Speech),
            ],
            n_damaged: 0,
        };
        assert_eq!(
            describe(&facts, Some(141.6)),
            "01:40.0 of sound: 76 % sounds like speech, 20 % sounds like music, 4 % sounds like silence. Besides: \
             music from 00:00.0 to 00:20.0. It is about as loud as broadcast (-23.0 LUFS, with some change of level), \
             and its peaks pass full scale: some playback will distort. 2 silences of half a second or more, 5.0 s \
             together, the longest 4.0 s at 01:00.0. The speech is of usual pace for English: 142 words per minute."
        );
        let silent = AudioFacts {
            loudness_lufs: None,
            loudness_range_lu: None,
            true_peak_dbtp: None,
            silences: vec![range(0, 100)],
            stretches: vec![stretch(0, 100, SoundKind::Silence)],
            ..facts
        };
        assert_eq!(
            describe(&silent, None),
            "01:40.0 of sound: almost all of it sounds like silence. 1 silence of half a second or more, 100.0 s \
             together, the longest 100.0 s at 00:00.0."
        );
    }
}
