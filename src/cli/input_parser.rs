//! Reads the names of inputs, whatever bytes they hold.

use std::path::Path;

use clap::builder::{OsStringValueParser, TypedValueParser};

/// Parses an input to its text: see [`vidgist::input::text_of`].
pub fn input_parser() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().map(|name| vidgist::input::text_of(Path::new(&name)))
}
