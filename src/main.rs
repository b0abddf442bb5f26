//! The `vidgist` command.

fn main() {}
