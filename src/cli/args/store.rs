//! Arguments for the store.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct StoreArgs {
    /// Folder that keeps results for later runs [default: ~/.local/share/vidgist/store]
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "no_store", hide_short_help = true)]
    pub store: Option<PathBuf>,
    /// Use no results of earlier runs, and keep none
    #[arg(long, global = true, hide_short_help = true)]
    pub no_store: bool,
    /// Redo all work and replace stored results
    #[arg(long, global = true, hide_short_help = true)]
    pub fresh: bool,
}

#[derive(Debug, Subcommand)]
#[command(
    after_help = "An INPUT is a file, the first eight or more digits of the ID that the list shows, or a name that the
store shows. A file is found by its content, whatever its name."
)]
pub enum StoreAction {
    /// List recordings with stored results
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what is kept of a recording
    Show {
        /// A file, an ID or a name
        input: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check every result; broken ones are moved aside
    Verify,
    /// Remove the least recently used results, broken results and stale temporary files
    Gc {
        /// Size that is left, such as 500MB or 20GB [default: the configured limit, or 20GB]
        #[arg(long, value_name = "SIZE", value_parser = parse_size)]
        max_size: Option<ByteSize>,
    },
    /// Remove all results of a recording
    Remove {
        /// A file, an ID or a name
        input: String,
    },
    /// Rebuild the catalog from the stored results
    Rebuild,
}

pub fn parse_size(text: &str) -> Result<ByteSize, &'static str> {
    text.parse().map_err(|_| "is not a size; write it as 500MB or 20GB")
}
