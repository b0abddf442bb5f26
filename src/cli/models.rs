//! `vidgist models`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use indicatif::HumanBytes;
use vidgist::error::Error;
use vidgist::transcribe::whisper::models::{self, Hub, Weights};

use super::args::ModelsAction;
use super::config::{self, CommandConfig};
use super::output::print;
use super::progress::Progress;
use super::providers;

pub async fn run(action: Option<&ModelsAction>, config: &CommandConfig, quiet: bool) -> Result<ExitCode> {
    let folder = config::models_folder()
        .ok_or_else(|| Error::usage("the folder for models", "there is no home folder", "set XDG_CACHE_HOME"))?;
    match action.unwrap_or(&ModelsAction::List) {
        ModelsAction::List => list(&folder, config)?,
        ModelsAction::Pull { names, hub } => pull(names, &Hub::new(hub)?, &folder, quiet).await?,
        ModelsAction::Path { name } => {
            let weights = named(name.as_deref().unwrap_or(models::DEFAULT))?;
            let path = weights.path_in(&folder);
            if !weights.is_in(&folder) {
                let advice = format!("get it with: vidgist models pull {}", weights.name);
                return Err(Error::usage(path.display(), "is not on this machine", advice).into());
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
    let mut text = format!("Speech models that listen on this machine\n\n{:<16}{:>10}  HERE\n", "NAME", "SIZE");
    for weights in &models::ALL {
        let here = if weights.is_in(folder) { "yes" } else { "-" };
        let size = HumanBytes(weights.n_bytes).to_string();
        // Writing to a String does not fail.
        let _ = writeln!(text, "{:<16}{size:>10}  {here:<6}{}", weights.name, weights.about);
    }
    let _ = writeln!(text, "\nThey lie in {}. Get one with: vidgist models pull NAME", folder.display());
    let _ = write!(text, "\nServers of chat models, for --model PROVIDER:NAME\n\n{}", providers::list(config)?);
    Ok(print(&text)?)
}

async fn pull(names: &[String], hub: &Hub, folder: &Path, quiet: bool) -> Result<()> {
    let mut wanted = vec![named(models::VOICE)?];
    for name in names {
        wanted.push(named(name)?);
    }
    if names.is_empty() {
        wanted.push(named(models::DEFAULT)?);
    }
    wanted.dedup();
    for weights in wanted {
        let progress = Progress::new(quiet);
        progress.bytes(weights.name, weights.n_bytes);
        let path = models::pull(weights, folder, hub, &|n| progress.at(n)).await;
        progress.clear();
        print(&format!("{}\t{}\n", weights.name, path?.display()))?;
    }
    Ok(())
}

fn named(name: &str) -> Result<&'static Weights, Error> {
    Weights::named(name).ok_or_else(|| {
        let names: Vec<&str> = models::ALL.iter().map(|weights| weights.name).collect();
        Error::usage("the model", format!("{name:?} is not known"), format!("there are {}", names.join(", ")))
    })
}
