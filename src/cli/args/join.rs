//! Recordings in several files.

use clap::Args;

use crate::cli::input_parser::input_parser;

/// For commands that read one recording.
#[derive(Clone, Debug, Args)]
pub struct JoinArgs {
    /// More files of the same recording (needs --join)
    #[arg(value_name = "FILES", requires = "join", value_parser = input_parser())]
    pub more: Vec<String>,
    /// Read several files, or the media files of a folder, as one recording on one clock
    #[arg(long)]
    pub join: bool,
}

impl JoinArgs {
    /// The files that continue the input; None where it is read alone.
    pub fn files(&self) -> Option<Vec<String>> {
        self.join.then(|| self.more.clone())
    }
}

/// For commands that read several inputs.
#[derive(Clone, Debug, Args)]
pub struct JoinInputsArgs {
    /// Read all inputs, or the media files of a folder, as one recording on one clock
    #[arg(long)]
    pub join: bool,
}
