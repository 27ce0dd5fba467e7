//! Stories of the engine in one process: real databases, Redis and simulator.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a story stops at the first surprise")]

mod canary;
mod clock_steps;
mod faults;
mod forecast;
mod main_job;
mod messages;
mod messaging_limit;
mod outage;
mod replaced;
mod replies;
mod steering;
mod takeover;
mod terms;
mod webhooks;
#[path = "../world/mod.rs"]
mod world;
