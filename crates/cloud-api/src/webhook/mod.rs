//! Webhooks: authenticity first, then meaning.
//!
//! [`verify_signature`] works on the raw bytes, because Meta escapes JSON in its
//! own way and a body that was parsed and written again no longer matches.
//! [`parse`] flattens entries, changes, messages and statuses into a list of
//! [`Change`]s. Whatever cannot be read becomes a [`ChangeKind::Unreadable`] of
//! its own and takes nothing else with it.

mod account;
mod inbound;
mod signature;
mod standing;
mod status;
mod walk;

use std::fmt;
use std::ops::Range;

pub use account::{PreferenceEvent, PreferenceValue, TemplateStatusEvent};
pub use inbound::{InboundKind, InboundMessage};
pub use signature::{HandshakeError, SignatureError, handshake, read_signature, verify_signature};
pub use standing::StandingEvent;
pub use status::{Pricing, StatusEvent, StatusKind, WireError};
pub use walk::{ParseError, parse};

/// One thing that Meta reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The account (WABA) it is about: the one whose secret must have signed
    /// it. Empty only where the entry names none, which is never readable.
    pub waba_id: String,
    /// The business number it is about. Changes of a whole account have none.
    pub phone_number_id: Option<String>,
    /// The bytes of the body that hold it, for those who keep evidence.
    pub span: Range<usize>,
    /// What it is.
    pub kind: ChangeKind,
}

/// What Meta reports.
#[derive(Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// What became of a message of ours.
    Status(StatusEvent),
    /// A message from a person.
    Inbound(InboundMessage),
    /// A person stopped or resumed marketing in WhatsApp itself.
    Preference(PreferenceEvent),
    /// A template's status changed.
    TemplateStatus(TemplateStatusEvent),
    /// What an account or a number may do changed.
    Standing(StandingEvent),
    /// A field that this version does not read, or `messages.errors` for errors
    /// of a number that belong to no message.
    Other {
        /// Meta's name of the field.
        field: String,
        /// Its JSON.
        raw: String,
    },
    /// An item that misses what its kind cannot do without.
    Unreadable {
        /// Its JSON.
        raw: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Debug for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(event) => f.debug_tuple("Status").field(event).finish(),
            Self::Inbound(message) => f.debug_tuple("Inbound").field(message).finish(),
            Self::Preference(event) => f.debug_tuple("Preference").field(event).finish(),
            Self::TemplateStatus(event) => f.debug_tuple("TemplateStatus").field(event).finish(),
            Self::Standing(event) => f.debug_tuple("Standing").field(event).finish(),
            Self::Other { field, .. } => f.debug_struct("Other").field("field", field).finish_non_exhaustive(),
            Self::Unreadable { reason, .. } => {
                f.debug_struct("Unreadable").field("reason", reason).finish_non_exhaustive()
            }
        }
    }
}
