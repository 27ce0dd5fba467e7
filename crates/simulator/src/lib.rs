//! A simulated WhatsApp Cloud API to test, demonstrate and benchmark against.
//!
//! Owns: Meta's side of the wire. It validates messages against the templates it serves, enforces rates, answers with
//! Meta's shapes and codes, delivers signed webhooks, fails on demand, and keeps books of its own about what arrived.
//!
//! Must not know: any other crate of this workspace. It was written from Meta's pages alone, so that a mistake in our
//! client meets a second opinion here instead of the same mistake.
//!
//! ```
//! # async fn example() -> anyhow::Result<()> {
//! let simulator = simulator::start(simulator::Settings::default()).await?;
//! println!("the Graph API is at {}/v26.0", simulator.base_url());
//! simulator.update(|settings| settings.default_rate = 1000)?;
//! assert_eq!(simulator.report().accepted, 0);
//! simulator.stop().await;
//! # Ok(())
//! # }
//! ```

mod action;
mod chance;
mod clock;
mod control;
mod fate;
mod graph;
mod handshake;
mod identity;
mod intake;
mod json;
mod ledger;
mod limits;
mod message;
mod platform;
mod refusal;
mod reply;
mod report;
mod server;
mod settings;
mod simulator;
mod template;
mod validate;
mod webhook;
mod world;

pub use action::{Act, Inbound, InboundReceipt, RawChange, Release, TemplateChange};
pub use fate::{End, Fate, Fault, Reply};
pub use report::{Late, LedgerRow, Report, Webhooks};
pub use settings::{Account, CodeShare, Faults, Number, Outage, PairRate, People, Settings, Span, Template, Webhook};
pub use simulator::{Simulator, start};
