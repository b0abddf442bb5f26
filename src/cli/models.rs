//! `vidgist models`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use indicatif::HumanBytes;
use vidgist::error::Error;
use vidgist::transcribe::whisper::models::{self, ModelHub, SpeechModel};

use super::args::ModelsAction;
use super::config::{self, CommandConfig};
use super::output::print;
use super::progress::Progress;
use super::providers;

pub async fn run(action: Option<&ModelsAction>, config: &CommandConfig, quiet: bool) -> Result<ExitCode> {
    let folder = config::models_folder()
        .ok_or_else(|| Error::usage("the models folder", "there is no home folder", "set XDG_CACHE_HOME"))?;
    match action.unwrap_or(&ModelsAction::List) {
        ModelsAction::List => list(&folder, config)?,
        ModelsAction::Pull { names, hub } => pull(names, &ModelHub::new(hub)?, &folder, quiet).await?,
        ModelsAction::Path { name } => {
            let model = named(name.as_deref().unwrap_or(models::DEFAULT))?;
            let path = model.path_in(&folder);
            if !model.is_in(&folder) {
                let advice = format!("run: vidgist models pull {}", model.name);
                return Err(Error::usage(path.display(), "is not downloaded", advice).into());
            }
            print(&format!("{}\n", path.display()))?;
        }
        ModelsAction::Remove { names } => {
            let found: Vec<PathBuf> =
                names.iter().map(|name| Ok(named(name)?.path_in(&folder))).collect::<Result<_, Error>>()?;
            for path in found {
                std::fs::remove_file(&path).map_err(|error| Error::io(&path, error))?;
                print(&format!("removed\t{}\n", path.display()))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn list(folder: &Path, config: &CommandConfig) -> Result<()> {
    let mut text = format!("Speech models\n\n{:<16}{:>10}  DOWNLOADED\n", "NAME", "SIZE");
    for model in &models::ALL {
        let here = if model.is_in(folder) { "yes" } else { "-" };
        let size = HumanBytes(model.n_bytes).to_string();
        // Writing to a String does not fail.
        let _ = writeln!(text, "{:<16}{size:>10}  {here:<12}{}", model.name, model.about);
    }
    let _ = writeln!(text, "\nFolder: {}\nDownload a model with: vidgist models pull NAME", folder.display());
    let _ = write!(text, "\nProviders of chat models, for --model PROVIDER:NAME\n\n{}", providers::list(config)?);
    Ok(print(&text)?)
}

async fn pull(names: &[String], hub: &ModelHub, folder: &Path, quiet: bool) -> Result<()> {
    let mut wanted = vec![named(models::VAD)?];
    for name in names {
        wanted.push(named(name)?);
    }
    if names.is_empty() {
        wanted.push(named(models::DEFAULT)?);
    }
    wanted.dedup();
    for model in wanted {
        let progress = Progress::new(quiet);
        progress.bytes(model.name, model.n_bytes);
        let path = models::download(model, folder, hub, &|n| progress.at(n)).await;
        progress.clear();
        print(&format!("{}\t{}\n", model.name, path?.display()))?;
    }
    Ok(())
}

fn named(name: &str) -> Result<&'static SpeechModel, Error> {
    SpeechModel::by_name(name).ok_or_else(|| {
        let names: Vec<&str> = models::ALL.iter().map(|model| model.name).collect();
        Error::usage("the model", format!("{name:?} is unknown"), format!("choose among {}", names.join(", ")))
    })
}
