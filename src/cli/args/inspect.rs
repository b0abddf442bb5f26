//! The commands that look at a file and at the installation.

use std::path::PathBuf;

use clap::Args;

use super::JoinArgs;
use crate::cli::input_parser::input_parser;

#[derive(Debug, Args)]
pub struct ProbeArgs {
    /// A media file, an image, a folder or pattern of images, a URL, camera:0, or - for stdin
    #[arg(value_parser = input_parser())]
    pub input: String,
    #[command(flatten)]
    pub join: JoinArgs,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// URL of an OpenAI-compatible server
    #[arg(long, value_name = "URL", env = "OPENAI_BASE_URL", hide_env_values = true)]
    pub base_url: Option<String>,
    /// The model's name
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// PEM certificates to trust in addition to the system's
    #[arg(long, value_name = "FILE.pem")]
    pub ca_file: Option<PathBuf>,
}
