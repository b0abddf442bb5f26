//! `vidgist doctor`: checks the installation, the configuration and the model, and says how to fix problems.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use indicatif::DecimalBytes;
use vidgist::engine::{Engine, KEY_VARIABLE, ModelChoice};
use vidgist::job::{ModelOptions, ServerOptions};
use vidgist::llm::openai::list_models;
use vidgist::store::{Store, StoreConfig};
use vidgist::transcribe::whisper::models::{self, SpeechModel};
use vidgist::{Error, libav, video};

use super::args::DoctorArgs;
use super::config::{self, CommandConfig};
use super::output::{PARTIAL, print};

/// Timeout of the request that lists models.
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn run(args: &DoctorArgs, config_path: Option<&Path>, config: &CommandConfig) -> Result<ExitCode> {
    let mut lines = vec![
        ok("vidgist", env!("CARGO_PKG_VERSION")),
        ok("decoder", &video::opencv::version()),
        ok("containers", &libav::version()),
    ];
    lines.push(match config_path.map(Path::to_owned).or_else(config::default_path) {
        Some(path) if path.exists() => ok("config", &path.display().to_string()),
        Some(path) => ok("config", &format!("none ({} does not exist)", path.display())),
        None => ok("config", "none (no home folder)"),
    });
    let mut is_well = true;
    match config.store() {
        None => lines.push(ok("store", "none; results are not kept")),
        Some(store) => match stored_bytes(&store) {
            Ok(n_bytes) => {
                let (folder, size, limit) =
                    (store.folder.display(), DecimalBytes(n_bytes), DecimalBytes(store.max_bytes));
                lines.push(ok("store", &format!("{folder}, {size} of at most {limit}")));
            }
            Err(error) => {
                is_well = false;
                lines.push(bad("store", &super::flags::error_text(&error)));
            }
        },
    }
    let options = ModelOptions {
        name: args.model.clone(),
        base_url: args.base_url.clone(),
        server: ServerOptions { ca_file: args.ca_file.clone(), ..ServerOptions::default() },
        ..ModelOptions::default()
    };
    match Engine::new(config.engine(false), config.secrets()?).choose_model(&options).await {
        Err(error) => {
            is_well = false;
            lines.push(bad("model", &super::flags::error_text(&error)));
        }
        Ok(ModelChoice::BuiltIn) => {
            lines.push(ok("model", "built-in digest (no language model); nothing leaves this machine"));
            lines.push(hint(&format!(
                "to use a vision model: export {KEY_VARIABLE}=…  or pass --base-url http://localhost:8080/v1"
            )));
        }
        Ok(ModelChoice::Server { mut server, provider, model }) => {
            let host = server.base_url.origin().ascii_serialization();
            let key = if server.api_key.is_some() { "with a key" } else { "without a key" };
            server.max_retries = 0;
            server.timeout = PATIENCE;
            let name = model.clone().unwrap_or_else(|| "its only model".to_owned());
            match list_models(*server).await {
                Ok(names) => {
                    lines.push(ok(
                        "model",
                        &format!(
                            "{name} at {host} ({}), {key}; the server lists {} models",
                            provider.name,
                            names.len()
                        ),
                    ));
                    if let Some(model) = model.filter(|model| !names.is_empty() && !names.contains(model)) {
                        is_well = false;
                        lines.push(bad("model", &format!("the server does not list {model}; choose one with --model")));
                    }
                }
                Err(error) => {
                    is_well = false;
                    lines.push(bad("model", &format!("{name} at {host}, {key}: {error}")));
                }
            }
        }
    }
    if let Some(model) = &config.transcription.model {
        lines.push(ok("transcript", &format!("subtitles, otherwise {model} (audio is sent to its server)")));
    } else {
        let name = config.transcription.whisper_model.as_deref().unwrap_or(models::DEFAULT);
        let is_here = |name| {
            let model = SpeechModel::by_name(name).zip(config::models_folder());
            model.is_none_or(|(model, folder)| model.is_in(&folder))
        };
        if is_here(name) && is_here(models::VAD) {
            lines.push(ok(
                "transcript",
                &format!("subtitles, otherwise Whisper ({name}) on this machine; no audio is sent anywhere"),
            ));
        } else {
            lines.push(ok("transcript", "subtitles beside or inside the file; no audio is sent anywhere"));
            lines.push(hint("to transcribe speech: run vidgist models pull, or pass --stt-model whisper-1"));
        }
    }
    print(&vidgist::sanitize::clean_text(&lines.join("\n")))?;
    print("\n")?;
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(PARTIAL) })
}

/// The size of what is kept; creates no store.
fn stored_bytes(config: &StoreConfig) -> Result<u64, Error> {
    Store::open_existing(config)?.map_or(Ok(0), |store| store.n_bytes())
}

fn ok(name: &str, value: &str) -> String {
    format!("ok   {name:<11} {value}")
}

fn bad(name: &str, value: &str) -> String {
    format!("BAD  {name:<11} {value}")
}

fn hint(text: &str) -> String {
    format!("                 {text}")
}
