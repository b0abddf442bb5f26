//! What several test files share. The oracle is a server that answers from nothing but what it received.
#![allow(dead_code, reason = "each test file is a crate of its own and uses a part of this")]

pub mod act;
pub mod chat;
pub mod draw;
pub mod hearing;
pub mod http;
pub mod marks;
pub mod oracle;
