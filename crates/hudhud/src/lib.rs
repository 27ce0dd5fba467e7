//! The process around the engine: settings, commands, the HTTP API, telemetry, the private Redis, start and stop order.
//!
//! Owns: how Hudhud is started, asked and stopped, and the one place where the engine's refusals become problem
//! documents and exit codes.
//!
//! Must not know: SQL text, apalis, governor, Meta's codes.

pub mod admin;
pub mod cli;
pub mod client;
pub mod commands;
pub mod demo;
pub mod exit;
pub mod http;
pub mod lock;
pub mod redis_child;
pub mod serve;
pub mod settings;
pub mod sockets;
pub mod telemetry;
pub mod wiring;
