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
    /// Do all work anew, and replace the results that the store holds
    #[arg(long, global = true, hide_short_help = true)]
    pub fresh: bool,
}

#[derive(Debug, Subcommand)]
#[command(
    after_help = "An INPUT is a file, the first eight or more digits of the ID that the list shows, or a name that the
store shows. A file is found by its content, whatever its name."
)]
pub enum StoreAction {
    /// List the recordings of which results are kept
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
    /// Remove the results that were not used for the longest time, and broken ones
    Gc {
        /// Size that is left, such as 500MB or 20GB [default: the configured limit, or 20GB]
        #[arg(long, value_name = "SIZE")]
        max_size: Option<ByteSize>,
    },
    /// Remove all results of a recording
    Remove {
        /// A file, an ID or a name
        input: String,
    },
    /// Make the catalog anew from the results
    Rebuild,
}
