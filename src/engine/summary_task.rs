//! What a summary's model is asked for, and which options go together.

use super::models::model_advice;
use crate::advice::{Advice, Setting};
use crate::error::{Error, Result};
use crate::job::{ImageTransport, SummarizeJob};
use crate::llm::DataSchema;
use crate::prompt::{PromptSpec, SummaryTask};

/// The question, without its background documents, and the form of an answer that is data.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for options that cannot be combined, and as [`DataSchema::parse`] and
/// [`DataSchema::of_labels`].
pub(super) fn prompt(job: &SummarizeJob, is_digest: bool) -> Result<(PromptSpec, Option<DataSchema>)> {
    let has_own_task = job.prompt.task.is_some();
    let has_data = !job.labels.is_empty() || job.schema.is_some();
    let prompted = [
        (has_own_task || job.prompt.system.is_some(), Setting::Prompt),
        (job.question.is_some(), Setting::Question),
        (!job.labels.is_empty(), Setting::Labels),
        (job.schema.is_some(), Setting::Schema),
        (job.task != SummaryTask::Summary, Setting::Task),
        (job.length.is_some(), Setting::Length),
        (job.output_language.is_some(), Setting::OutputLanguage),
        (job.refine.is_some(), Setting::Refine),
        (!job.context.is_empty(), Setting::Context),
        (job.strict, Setting::Strict),
        (job.look_frames.is_some_and(|n| n > 0), Setting::LookFrames),
        (job.verify, Setting::Verify),
    ];
    if let Some((_, setting)) = prompted.into_iter().find(|(is_set, _)| is_digest && *is_set) {
        let problem = "the built-in digest does not follow a prompt";
        return Err(Error::setting(setting, problem, model_advice()));
    }
    if job.refine.as_deref().is_some_and(|wish| wish.trim().is_empty()) {
        return Err(Error::setting(Setting::Refine, "is empty", "write what is to change"));
    }
    if job.refine.is_some() && job.spend.dry_run {
        let problem = "cannot be estimated: a dry run reads no stored answer";
        return Err(Error::setting(Setting::Refine, problem, Advice::Unset(Setting::DryRun)));
    }
    let needed = [
        (
            SummaryTask::Qa,
            job.question.as_ref().is_some_and(|question| !question.trim().is_empty()),
            Setting::Question,
            "qa",
        ),
        (SummaryTask::Classify, !job.labels.is_empty(), Setting::Labels, "classify"),
        (SummaryTask::Extract, job.schema.is_some(), Setting::Schema, "extract"),
    ];
    for (kind, is_set, setting, name) in needed {
        if job.task == kind && !is_set {
            let problem = format!("the task {name} needs {setting}");
            return Err(Error::setting(Setting::Task, problem, Advice::Set(setting)));
        }
        if job.task != kind && is_set {
            let advice = Advice::SetTo(Setting::Task, name.to_owned());
            return Err(Error::setting(setting, format!("is for the task {name} only"), advice));
        }
    }
    let excluded: &[(bool, Setting)] = match job.task {
        SummaryTask::Chapters => &[
            (job.length.is_some(), Setting::Length),
            (job.prompt.system.is_some(), Setting::System),
            (job.image_transport == ImageTransport::Url, Setting::ImageTransport),
        ],
        SummaryTask::Classify => {
            &[(job.length.is_some(), Setting::Length), (job.model.params.n.is_some(), Setting::NChoices)]
        }
        SummaryTask::Extract => &[
            (job.length.is_some(), Setting::Length),
            (job.model.params.n.is_some(), Setting::NChoices),
            (job.strict, Setting::Strict),
            (job.verify, Setting::Verify),
        ],
        SummaryTask::Qa => &[(job.embed_chapters.is_some(), Setting::EmbedChapters)],
        SummaryTask::Summary | SummaryTask::Detailed | SummaryTask::Minutes => &[],
    };
    if let Some((_, setting)) = excluded.iter().find(|(is_set, _)| *is_set) {
        let problem = format!("cannot be combined with the task {}", job.task.name());
        return Err(Error::setting(*setting, problem, Advice::Unset(*setting)));
    }
    if job.verify && (job.prompt.system.is_some() || job.image_transport == ImageTransport::Url) {
        let problem = "needs the citations that the built-in system message asks for, of frames that are sent as data";
        return Err(Error::setting(Setting::Verify, problem, Advice::Unset(Setting::Verify)));
    }
    if has_own_task && job.task != SummaryTask::Summary && !has_data {
        let problem = "cannot be combined with a task of your own";
        return Err(Error::setting(Setting::Task, problem, Advice::Unset(Setting::Prompt)));
    }
    let data = match &job.schema {
        Some(schema) => Some(DataSchema::parse(schema)?),
        None if job.labels.is_empty() => None,
        None => Some(DataSchema::of_labels(&job.labels)?),
    };
    let prompt = PromptSpec {
        system: job.prompt.system.clone(),
        task: job.prompt.task.clone(),
        kind: job.task,
        question: job.question.clone(),
        schema: data.as_ref().map(DataSchema::text),
        length: job.length,
        language: job.output_language.clone(),
        refinement: None,
        context: Vec::new(),
        image_url: (job.image_transport == ImageTransport::Url).then(|| job.input.clone()),
    };
    Ok((prompt, data))
}

/// Frames that a second look may show.
const QUESTION_LOOK_FRAMES: u16 = 24;
const MAX_LOOK_FRAMES: u16 = 200;

/// Frames that the model may ask to see while it answers.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::ErrorKind::Usage) for too many, and for options and tasks that a second look cannot be combined
/// with.
pub(super) fn look_frames(job: &SummarizeJob) -> Result<usize> {
    let is_text = !matches!(job.task, SummaryTask::Chapters | SummaryTask::Classify | SummaryTask::Extract);
    let is_possible = is_text && job.model.params.n.is_none() && job.image_transport == ImageTransport::Data;
    let n_frames = match job.look_frames {
        None if job.task == SummaryTask::Qa && is_possible => QUESTION_LOOK_FRAMES,
        None => 0,
        Some(n) if n > MAX_LOOK_FRAMES => {
            let problem = format!("must be at most {MAX_LOOK_FRAMES}");
            return Err(Error::setting(Setting::LookFrames, problem, Advice::Lower(Setting::LookFrames)));
        }
        Some(n) if n > 0 && !is_possible => {
            let problem = "is for one answer in text about frames that are sent as data";
            return Err(Error::setting(Setting::LookFrames, problem, Advice::Unset(Setting::LookFrames)));
        }
        Some(n) => n,
    };
    Ok(usize::from(n_frames))
}
