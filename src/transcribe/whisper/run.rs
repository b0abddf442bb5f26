//! From audio to transcript: one thread finds the chunks, the decoders transcribe them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use super::channels::are_speakers;
use super::chunk_finder::{ChunkFinder, FoundChunk};
use super::chunk_task::{ChunkTask, ChunkTranscript, RATE_HZ};
use super::chunking::{Chunker, MAX_PAUSE, MAX_PAUSE_MULTILINGUAL};
use super::config::WhisperConfig;
use super::decoder::{DecodeOptions, SpeechDecoder, WhisperModel};
use super::language_search::{ExpectedLanguages, LanguageSearch, OpenVote, PROBED_SECONDS, is_certain};
use super::speech_track::find_speech_track;
use super::spoken_language::whisper_language;
use super::vad::VoiceActivityDetector;
use crate::advice::{Advice, Setting};
use crate::audio_facts::AudioLevels;
use crate::error::{Error, Result};
use crate::media::{AudioStream, MediaInfo};
use crate::pcm::{AudioReader, PcmFormat, PeakMeter};
use crate::sanitize::clean_line;
use crate::time::{TimeBounds, Timestamp};
use crate::transcribe::transcriber::ChannelMode;
use crate::transcript::{Transcript, TranscriptSource};

/// One transcription on this machine.
pub(super) struct LocalTranscription {
    pub config: WhisperConfig,
    pub path: PathBuf,
    pub media: MediaInfo,
    /// The chosen stream, or the main one.
    pub stream: AudioStream,
    /// Whether the user chose the stream; else the one that holds speech is found.
    pub is_stream_chosen: bool,
    pub bounds: TimeBounds,
    pub n_decoders: usize,
    pub is_cancelled: Arc<AtomicBool>,
    /// Takes the time up to which the audio has been transcribed.
    pub progress: tokio::sync::mpsc::UnboundedSender<Timestamp>,
}

/// What became of one chunk.
struct ChunkOutcome {
    idx: usize,
    found: Result<TranscribedChunk>,
}

struct TranscribedChunk {
    transcript: ChunkTranscript,
    /// The language it was transcribed as; None if it is unknown.
    language: Option<&'static str>,
    /// The chunk, if it may have to be transcribed again in another language.
    task: Option<ChunkTask>,
}

impl LocalTranscription {
    pub fn run(&self) -> Result<Transcript> {
        let model = WhisperModel::load(&self.config.model)?;
        let search = LanguageSearch::new(&self.expected_languages(&model)?);
        let stream = self.find_stream()?;
        let speakers: &[_] = if self.is_split(stream)? { &[Some("left"), Some("right")] } else { &[None] };
        let reader = self.open(stream, speakers.len() as u16)?;

        // One chunk (1.8 MB) waits in the queue, and each decoder holds one; those of the first minutes are kept until the
        // language is known (10 MB).
        let (sender, tasks) = mpsc::sync_channel(1);
        let tasks = Mutex::new(tasks);
        let (results, received) = mpsc::channel();
        let (chunked, mut results) = std::thread::scope(|scope| {
            for _ in 0..self.n_decoders {
                let (tasks, search, results, model) = (&tasks, &search, results.clone(), &model);
                scope.spawn(move || self.decode_chunks(model, tasks, search, &results));
            }
            drop(results);
            let chunked = self.send_chunks(reader, speakers, &sender);
            drop(sender);
            (chunked, received.iter().collect::<Vec<_>>())
        });
        let (single_channel_seconds, levels) = chunked?;
        results.sort_by_key(|chunk: &ChunkOutcome| chunk.idx);
        let chunks: Vec<_> = results.into_iter().map(|chunk| chunk.found).collect::<Result<_>>()?;
        if self.is_cancelled.load(Ordering::Relaxed) {
            return Err(Error::interrupted());
        }
        let chunks = self.in_their_languages(chunks, &search, &model)?;
        let track = (stream.stream_idx != self.stream.stream_idx).then(|| self.track_number(stream));
        let source = TranscriptSource::Whisper { model: self.config.name.clone(), track };
        let levels = levels.map(Box::new);
        Ok(Transcript { single_channel_seconds, levels, ..self.transcript(source, chunks, &search) })
    }

    /// Which languages the model and the request allow.
    fn expected_languages(&self, model: &WhisperModel) -> Result<ExpectedLanguages> {
        let possible: Vec<_> = self.config.languages.iter().filter_map(|tag| whisper_language(tag)).collect();
        let requested = if let [only] = *possible { Some(only) } else { None };
        if !model.is_multilingual() && !possible.is_empty() && !possible.contains(&"en") {
            let problem = format!("the model {} supports English only", self.config.name);
            let advice = Advice::SetTo(Setting::WhisperModel, "base".into());
            return Err(Error::setting(Setting::Language, problem, advice));
        }
        let known = if model.is_multilingual() { requested } else { Some("en") };
        Ok(ExpectedLanguages { known, possible, is_multilingual: self.config.multilingual })
    }

    /// Transcribes again the chunks that were transcribed as another language than that of the recording.
    fn in_their_languages(
        &self,
        mut chunks: Vec<TranscribedChunk>,
        search: &LanguageSearch,
        model: &WhisperModel,
    ) -> Result<Vec<TranscribedChunk>> {
        let mut decoder = None;
        for chunk in &mut chunks {
            let Some(task) = chunk.task.take() else { continue };
            let language = search.of_chunk(chunk.transcript.languages.as_ref());
            if language == chunk.language {
                continue;
            }
            tracing::debug!("{}: {} is {language:?}, not {:?}", self.path.display(), task.start, chunk.language);
            let decoder = match &mut decoder {
                Some(decoder) => decoder,
                None => decoder.insert(model.decoder()?),
            };
            *chunk = self.transcribe_as(&task, language, decoder)?;
        }
        Ok(chunks)
    }

    fn transcript(
        &self,
        source: TranscriptSource,
        chunks: Vec<TranscribedChunk>,
        search: &LanguageSearch,
    ) -> Transcript {
        let likely = search.result();
        let certain = likely.filter(|likely| is_certain(*likely)).map(|likely| likely.code);
        let spoken = certain.or(search.known());
        let mut transcript = Transcript::new(source, None, Vec::new());
        // A translation is English, whatever was spoken.
        let is_marked = search.is_multilingual() && !self.config.translate;
        for chunk in chunks {
            transcript.n_invented += chunk.transcript.n_invented;
            let other = chunk.language.filter(|code| is_marked && spoken != Some(code));
            transcript.segments.extend(chunk.transcript.segments.into_iter().map(|mut segment| {
                segment.language = other.map(str::to_owned);
                segment
            }));
        }
        // Those of two channels alternate.
        transcript.segments.sort_by_key(|segment| segment.range.start);
        let text_language = if self.config.translate { Some("en") } else { spoken };
        transcript.language = text_language.map(str::to_owned);
        transcript.language_confidence = likely.map(|likely| likely.confidence);
        transcript.likely_language =
            likely.filter(|_| certain.is_none() && !search.is_multilingual()).map(|likely| likely.code.to_owned());
        transcript
    }

    /// The stream to transcribe.
    fn find_stream(&self) -> Result<&AudioStream> {
        if self.is_stream_chosen || self.media.audio.len() < 2 {
            return Ok(&self.stream);
        }
        let place = (self.path.as_path(), &self.media, self.bounds);
        let found = find_speech_track(place, &self.stream, &self.config.vad_model, &self.is_cancelled)?;
        if found.stream_idx != self.stream.stream_idx {
            let (main, other) = (self.track_number(&self.stream), self.track_number(found));
            let title = found.title.as_deref().map(|title| format!(" ({})", clean_line(title))).unwrap_or_default();
            let path = crate::input::shown_name(&self.path);
            tracing::warn!("{path}: no speech was detected in audio track {main}; transcribing track {other}{title}");
        }
        Ok(found)
    }

    /// The number of a stream among the audio streams, from 1.
    fn track_number(&self, stream: &AudioStream) -> usize {
        self.media.audio.iter().position(|audio| audio.stream_idx == stream.stream_idx).map_or(1, |idx| idx + 1)
    }

    /// Whether the channels are transcribed apart.
    fn is_split(&self, stream: &AudioStream) -> Result<bool> {
        let is_stereo = stream.channels == Some(2);
        match self.config.channels {
            ChannelMode::Split if is_stereo => Ok(true),
            ChannelMode::Split => {
                let n = stream.channels.map_or_else(|| "an unknown number of".to_owned(), |n| n.to_string());
                let problem = format!("{} has {n} channels; only those of stereo can be split", self.path.display());
                Err(Error::setting(Setting::ChannelMode, problem, Advice::Unset(Setting::ChannelMode)))
            }
            ChannelMode::Auto if is_stereo => {
                let is_split = are_speakers(self.open(stream, 2)?, &self.config.vad_model, &self.is_cancelled)?;
                if is_split {
                    tracing::info!("{}: a speaker on each channel; transcribing them apart", self.path.display());
                }
                Ok(is_split)
            }
            ChannelMode::Auto | ChannelMode::Mix => Ok(false),
        }
    }

    fn open(&self, stream: &AudioStream, channels: u16) -> Result<AudioReader> {
        let want = PcmFormat { rate_hz: Some(RATE_HZ), channels: Some(channels) };
        Ok(AudioReader::open(&self.path, &self.media, stream, &want)?.within(self.bounds))
    }

    /// Reads the audio, finds the chunks and sends them, those of each speaker in order. Returns
    /// [`AudioReader::single_channel_seconds`] and the levels.
    fn send_chunks(
        &self,
        mut reader: AudioReader,
        speakers: &[Option<&'static str>],
        sender: &mpsc::SyncSender<ChunkTask>,
    ) -> Result<(Option<f64>, Option<AudioLevels>)> {
        let max_pause = if self.config.multilingual { MAX_PAUSE_MULTILINGUAL } else { MAX_PAUSE };
        let finder =
            || Ok(ChunkFinder::new(VoiceActivityDetector::load(&self.config.vad_model)?, Chunker::new(max_pause)));
        let mut finders = speakers.iter().map(|_| finder()).collect::<Result<Vec<_>>>()?;
        let (mut n_sent, mut seconds_sent, mut meter) = (0, 0.0, PeakMeter::default());
        let mut send_all = |found: Vec<FoundChunk>, speaker: Option<&'static str>| {
            for FoundChunk { chunk, samples, start } in found {
                let (is_probe, seconds) = (seconds_sent < PROBED_SECONDS, chunk.speech_seconds());
                // The receiver is gone only after a decoder failed, and that decoder reports why.
                let _ = sender.send(ChunkTask { idx: n_sent, chunk, samples, start, speaker, is_probe });
                n_sent += 1;
                seconds_sent += seconds;
            }
        };
        for block in reader.by_ref() {
            let block = block?;
            if self.is_cancelled.load(Ordering::Relaxed) {
                return Err(Error::interrupted());
            }
            meter.push(&block);
            for (idx, (finder, speaker)) in finders.iter_mut().zip(speakers).enumerate() {
                let samples = block.samples.iter().skip(idx).step_by(speakers.len()).copied();
                send_all(finder.push(samples, block.time)?, *speaker);
            }
        }
        for (finder, speaker) in finders.into_iter().zip(speakers) {
            send_all(finder.finish()?, *speaker);
        }
        Ok((reader.single_channel_seconds(), meter.finish()))
    }

    /// The thread of one decoder: transcribes chunks until there are no more.
    fn decode_chunks(
        &self,
        model: &WhisperModel,
        tasks: &Mutex<mpsc::Receiver<ChunkTask>>,
        search: &LanguageSearch,
        results: &mpsc::Sender<ChunkOutcome>,
    ) {
        let mut decoder = None;
        loop {
            let queue = tasks.lock().unwrap_or_else(PoisonError::into_inner);
            let Ok(task) = queue.recv() else { return };
            if self.is_cancelled.load(Ordering::Relaxed) {
                continue;
            }
            // Under the lock, so that no later chunk is there before all of these are announced.
            let vote = (task.is_probe && search.is_open()).then(|| search.announce());
            drop(queue);
            let (idx, end) = (task.idx, task.end());
            let found = match &mut decoder {
                Some(decoder) => Ok(decoder),
                None => model.decoder().map(|new| decoder.insert(new)),
            };
            let found = found.and_then(|decoder| match vote {
                Some(vote) => self.transcribe_probe(task, decoder, search, vote),
                None => self.transcribe_chunk(&task, decoder, search),
            });
            // The receivers are gone only if the work was cancelled.
            let _ = self.progress.send(end);
            let _ = results.send(ChunkOutcome { idx, found });
        }
    }

    /// Transcribes a chunk of the first minutes as the language that it or the chunks before it sound like, and votes.
    fn transcribe_probe(
        &self,
        task: ChunkTask,
        decoder: &mut SpeechDecoder<'_>,
        search: &LanguageSearch,
        vote: OpenVote<'_>,
    ) -> Result<TranscribedChunk> {
        let (language, examined) = if let Some(code) = search.certain_so_far() {
            (Some(code), None)
        } else {
            let languages = decoder.examine(&task.samples)?.languages;
            (search.most_likely(&languages), Some(languages))
        };
        let mut chunk = self.transcribe_as(&task, language, decoder)?;
        let languages = match examined.or(chunk.transcript.languages.take()) {
            Some(languages) => languages,
            None => decoder.examine(&task.samples)?.languages,
        };
        vote.cast(&languages, task.speech_seconds());
        chunk.transcript.languages = Some(languages);
        chunk.task = Some(task);
        Ok(chunk)
    }

    /// Transcribes a chunk after the first minutes.
    fn transcribe_chunk(
        &self,
        task: &ChunkTask,
        decoder: &mut SpeechDecoder<'_>,
        search: &LanguageSearch,
    ) -> Result<TranscribedChunk> {
        let language = search.of_chunk(None);
        let chunk = self.transcribe_as(task, language, decoder)?;
        if !search.is_multilingual() {
            return Ok(chunk);
        }
        let own = match &chunk.transcript.languages {
            Some(languages) => search.of_chunk(Some(languages)),
            None => search.of_chunk(Some(&decoder.examine(&task.samples)?.languages)),
        };
        if own == language { Ok(chunk) } else { self.transcribe_as(task, own, decoder) }
    }

    fn transcribe_as(
        &self,
        task: &ChunkTask,
        language: Option<&'static str>,
        decoder: &mut SpeechDecoder<'_>,
    ) -> Result<TranscribedChunk> {
        let options = DecodeOptions { translate: self.config.translate, token_times: self.config.word_times };
        let transcript = task.transcribe(decoder, language, options, &self.is_cancelled, &self.path)?;
        Ok(TranscribedChunk { transcript, language, task: None })
    }
}
