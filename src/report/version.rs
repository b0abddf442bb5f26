//! The schema versions of JSON documents that are read back.

use serde::Deserialize;

use crate::error::{Error, Result};

const ADVICE: &str = "write it again with this version of vidgist";

#[derive(Deserialize)]
struct Version {
    schema_version: u32,
}

/// The error for a document that is not of its format.
pub(super) fn malformed(name: &str, error: serde_json::Error) -> Error {
    Error::malformed(name, error.to_string(), ADVICE).because(error)
}

/// Refuses a document of another version. `name` is the document in the error.
pub(super) fn check(name: &str, text: &str, supported: u32) -> Result<()> {
    let Version { schema_version } = serde_json::from_str(text).map_err(|error| malformed(name, error))?;
    if schema_version == supported {
        return Ok(());
    }
    let problem = format!("has schema version {schema_version}, but version {supported} is supported");
    Err(Error::unsupported(name, problem, ADVICE))
}
