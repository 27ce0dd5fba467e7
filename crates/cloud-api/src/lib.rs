//! The WhatsApp Cloud API as Rust types.
//!
//! This crate owns everything Meta says and hears: the Graph API client
//! ([`Client`], [`Sender`]), the table of error codes ([`refusal`]), and the
//! reading and authentication of webhooks ([`webhook`]). Nothing above it sees
//! one of Meta's error numbers as anything but data: a refusal has a closed
//! [`RefusalKind`].
//!
//! It must not know what a campaign is, how anything is stored, or when a
//! message may be tried again. It never tries anything twice and follows no
//! redirect: [`Sender::send`] posts once and says honestly which of four things
//! happened ([`SendOutcome`]).
//!
//! Types that hold people's numbers or message ids (a wamid embeds the number)
//! have a `Debug` that leaves them out, so that a stray `{:?}` in a log line
//! tells nobody's number.

mod client;
mod exchange;
mod gate;
mod graph;
mod ids;
mod lenient;
mod message;
mod numbers;
pub mod refusal;
mod send;
mod templates;
mod token;
pub mod webhook;

pub use client::{Client, Config, ConfigError};
pub use graph::GraphError;
pub use ids::{AccountId, IdError, PhoneNumberId};
pub use message::{Content, Message, MessageError, Recipient};
pub use numbers::{BusinessNumber, MessagingLimit, Quality, ThroughputLevel};
pub use refusal::{Channel, Refusal, RefusalKind, kind_of};
pub use send::{NotPostedCause, SendOutcome, Sender, UnknownCause};
pub use templates::MetaTemplate;
pub use token::{MANAGEMENT_SCOPE, MESSAGING_SCOPE, TokenDetails};
