//! `vidgist caption`.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use vidgist::error::Error;
use vidgist::files::{frame_file_name, write_file, write_frame};
use vidgist::media::EncodedImage;
use vidgist::pipeline::caption::{CaptionEvent, CaptionJob, CaptionSummary, caption};
use vidgist::pipeline::{Job, Stop};
use vidgist::prompt::CaptionPrompt;
use vidgist::report::caption::{CSV_HEAD, CaptionKey, CaptionRow, kept_key};
use vidgist::source::Source;

use super::args::{CaptionArgs, CaptionFormat};
use super::config::Config;
use super::progress::Progress;
use super::words::{self, WordsContext};
use super::{PARTIAL, end_at_once_on_the_next, model, print, say, wishes};

pub async fn run(args: &CaptionArgs, config: &Config, quiet: bool) -> Result<ExitCode> {
    let model = model::chat_model(&args.model, config).await?;
    if !model.description().is_language_model {
        let advice = format!("set {} or --base-url to ask a vision model", model::KEY_VARIABLE);
        return Err(Error::usage("vidgist caption", "the built-in model does not see", advice).into());
    }
    let system = args.prompt.system.clone();
    let task = wishes::text_or_file(args.prompt.prompt.as_ref(), args.prompt.prompt_file.as_ref())?;
    let (mut sink, done) = Sink::open(args)?;
    let context =
        WordsContext { base_url: args.model.base_url.as_deref(), server: &args.model.server, stream_idx: None };
    let sampling = wishes::sampling(&args.sampling, config, "5s", None)?;
    let each = Job {
        words: words::ways(&args.transcript, context, config)?,
        needs_words: args.transcript.transcript.is_some(),
        // Each input takes the source's place in its turn.
        ..wishes::job(Source::Camera(0), sampling, &args.sampling, &args.picture, config)?
    };
    let job = CaptionJob {
        inputs: args.inputs.clone(),
        each,
        model,
        prompt: CaptionPrompt { system, task },
        fence: fastrand::u32(..),
        frames_per_request: args.frames_per_request.into(),
        concurrency: model::concurrency(&args.model.server, config),
        done,
    };
    let summary = follow(job, &mut sink, quiet).await?;
    sink.finish()?;
    told(&summary, quiet);
    Ok(if summary.n_failed > 0 { ExitCode::from(PARTIAL) } else { ExitCode::SUCCESS })
}

/// Follows a run to its end. The first ctrl-c lets what is in flight be answered and written, the second does not wait.
async fn follow(job: CaptionJob, sink: &mut Sink, quiet: bool) -> Result<CaptionSummary> {
    let stop = Stop::default();
    let progress = Progress::new(quiet);
    let mut events = caption(job, stop.clone());
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    let (mut is_stopping, mut n_rows) = (false, 0_usize);
    loop {
        tokio::select! {
            biased;
            _ = &mut interrupt, if !is_stopping => {
                is_stopping = true;
                progress.clear();
                say("stopping: what was asked is waited for, ctrl-c again ends at once");
                stop.stop();
                end_at_once_on_the_next();
            }
            event = events.recv() => match event {
                Some(CaptionEvent::Files { inputs }) => sink.order = inputs,
                Some(CaptionEvent::File { input }) => progress.say(format!("{input}, {n_rows} captions")),
                Some(CaptionEvent::Row { row, image }) => {
                    n_rows += 1;
                    progress.say(format!("{}, {n_rows} captions", row.input));
                    if let Some(why) = row.error.as_ref().filter(|_| !is_stopping) {
                        let place = row.time.map(|time| format!(" at {time}")).unwrap_or_default();
                        progress.suspend(|| super::warn(&format!("{}{place}: {why}", row.input)));
                    }
                    sink.write(&row, image.as_ref())?;
                }
                Some(CaptionEvent::Finished(outcome)) => {
                    progress.clear();
                    return Ok(outcome?);
                }
                Some(_) => {}
                None => return Err(Error::Interrupted.into()),
            },
        }
    }
}

fn told(summary: &CaptionSummary, quiet: bool) {
    if quiet {
        return;
    }
    let kept = if summary.n_kept > 0 { format!(", {} kept", summary.n_kept) } else { String::new() };
    let failed = if summary.n_failed > 0 { format!(", {} failed", summary.n_failed) } else { String::new() };
    let cost = summary.cost.filter(|cost| cost.picos() > 0).map(|cost| format!(", {cost}")).unwrap_or_default();
    say(&format!("{} captions{kept}{failed}{cost}", summary.n_captions));
}

/// Where the rows go.
struct Sink {
    format: CaptionFormat,
    /// The file that rows are appended to; None is stdout, or a folder of texts.
    file: Option<(PathBuf, File)>,
    folder: Option<PathBuf>,
    /// Whether rows of an earlier run stand before those of this one.
    is_resumed: bool,
    /// The inputs in their order.
    order: Vec<String>,
    /// Folder of each input's texts, where two inputs have one name.
    folders: HashMap<String, PathBuf>,
}

impl Sink {
    /// Opens the output; with `--resume` reads what it holds, and takes failed and half rows out of it.
    fn open(args: &CaptionArgs) -> Result<(Self, HashSet<CaptionKey>)> {
        let mut sink = Self {
            format: args.format,
            file: None,
            folder: None,
            is_resumed: false,
            order: Vec::new(),
            folders: HashMap::new(),
        };
        let mut done = HashSet::new();
        let is_jsonl = args.format == CaptionFormat::Jsonl;
        if args.resume && (!is_jsonl || args.output.is_none()) {
            return Err(Error::usage("--resume", "needs a file of JSON lines", "use --format jsonl and -o FILE").into());
        }
        let Some(path) = &args.output else {
            if args.format == CaptionFormat::Txt {
                return Err(Error::usage("--format txt", "needs a folder", "name it with -o DIR").into());
            }
            if args.format == CaptionFormat::Csv {
                print(CSV_HEAD)?;
            }
            return Ok((sink, done));
        };
        if args.format == CaptionFormat::Txt {
            sink.folder = Some(path.clone());
            return Ok((sink, done));
        }
        let io = |error| Error::io(path, error);
        let mut text = String::new();
        if args.resume && path.exists() {
            let held = std::fs::read_to_string(path).map_err(io)?;
            for line in held.lines() {
                if let Some(key) = kept_key(line) {
                    done.insert(key);
                    text.push_str(line);
                    text.push('\n');
                }
            }
            sink.is_resumed = !text.is_empty();
        } else if path.exists() && std::fs::metadata(path).map_err(io)?.len() > 0 {
            let advice = "go on with it by --resume, or name another file";
            return Err(Error::usage(path.display(), "is there already", advice).into());
        }
        if args.format == CaptionFormat::Csv {
            text.push_str(CSV_HEAD);
        }
        write_file(path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path).map_err(io)?;
        sink.file = Some((path.clone(), file));
        Ok((sink, done))
    }

    fn write(&mut self, row: &CaptionRow, image: Option<&EncodedImage>) -> Result<()> {
        let line = match self.format {
            CaptionFormat::Jsonl => row.to_json()?,
            CaptionFormat::Csv => row.to_csv(),
            CaptionFormat::Txt => return self.write_text(row, image),
        };
        match &mut self.file {
            Some((path, file)) => {
                let written = file.write_all(line.as_bytes()).and_then(|()| file.sync_data());
                Ok(written.map_err(|error| Error::io(path, error))?)
            }
            None => Ok(print(&line)?),
        }
    }

    /// The picture, and the caption beside it under the same name.
    fn write_text(&mut self, row: &CaptionRow, image: Option<&EncodedImage>) -> Result<()> {
        let (Some(root), Some(image), Some(caption)) = (&self.folder, image, &row.caption) else { return Ok(()) };
        let folder = if let Some(folder) = self.folders.get(&row.input) {
            folder.clone()
        } else {
            let stem = Path::new(&row.input).file_stem().map_or("input".into(), |stem| stem.to_string_lossy());
            let taken: HashSet<&PathBuf> = self.folders.values().collect();
            let mut folder = root.join(&*stem);
            for number in 2.. {
                if !taken.contains(&folder) {
                    break;
                }
                folder = root.join(format!("{stem}.{number}"));
            }
            self.folders.insert(row.input.clone(), folder.clone());
            folder
        };
        let picture = write_frame(image, &folder)?;
        write_file(&folder.join(frame_file_name(image)).with_extension("txt"), format!("{caption}\n").as_bytes())?;
        Ok(print(&format!("{}\n", picture.with_extension("txt").display()))?)
    }

    /// Puts the rows of several runs into the order of one.
    fn finish(self) -> Result<()> {
        let Some((path, _)) = self.file.filter(|_| self.is_resumed) else { return Ok(()) };
        let held = std::fs::read_to_string(&path).map_err(|error| Error::io(&path, error))?;
        let place: HashMap<&str, usize> = self.order.iter().enumerate().map(|(at, input)| (&**input, at)).collect();
        let mut lines: Vec<_> = held
            .lines()
            .map(|line| {
                let row: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
                let input = row["input"].as_str().and_then(|input| place.get(input)).copied();
                (input.unwrap_or(usize::MAX), row["frame_idx"].as_u64(), line)
            })
            .collect();
        // Rows of inputs that this run did not have stay behind, in their order.
        lines.sort_by_key(|(input, frame_idx, _)| (*input, *frame_idx));
        let text: String = lines.iter().flat_map(|(_, _, line)| [*line, "\n"]).collect();
        Ok(write_file(&path, text.as_bytes())?)
    }
}
