//! The crate from outside: its sends and lists over raw sockets, its webhooks
//! from bytes.
#![allow(missing_docs, unreachable_pub, clippy::panic, reason = "tests")]

mod lists;
mod one_post;
mod webhooks;
mod wire;
