//! Every SQL statement and migration of Hudhud, for SQLite (embedded, the default) and PostgreSQL (several hosts).
//!
//! Owns: tables, transactions, what is atomic with what, and who writes next. One method per use case, with concrete
//! types; shared SQL where the dialects agree, two texts side by side where they do not.
//!
//! Must not know: Redis, HTTP, Meta's codes, clocks (times are arguments, epoch milliseconds UTC).

mod accepted;
mod accounts;
mod api_keys;
mod batches;
mod campaigns;
mod chunks;
mod claims;
mod contacts;
mod db;
mod doubts;
mod error;
#[cfg(test)]
mod fixture;
mod idempotency;
mod imports;
mod inbox;
mod leases;
mod ledger;
mod limits;
mod lists;
mod meta;
mod numbers;
mod planning;
#[cfg(test)]
mod plans;
mod sends;
mod statuses;
mod suppressions;
mod tallies;
mod templates;
mod terms;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use accounts::{Account, NewAccount};
pub use api_keys::ApiKey;
pub use batches::{Batch, BatchKind, Depth, Feedable};
pub use campaigns::{CampaignRow, Frozen, Moved, NewCampaign};
pub use claims::{Claim, ClaimOrder, ClaimedSend, Halt, OPTED_OUT};
pub use contacts::{Arriving, Chunk, ChunkEnd, Contact, ImportTarget, NewEvidence, OptIn};
pub use db::{Priority, Store};
pub use doubts::{Doubt, DoubtFilter, DoubtPlace, Orphan};
pub use error::{Error, Result};
pub use idempotency::{Begun, KeyedRequest};
pub use imports::{ImportCounts, ImportEnd, ImportRow, NewImport};
pub use inbox::{Arrival, Kept, Waiting};
pub use leases::{Alive, LaneTerm, Lease, Owner};
pub use ledger::{EntryRow, LedgerHead, NewEntry, Seal};
pub use limits::Limit;
pub use lists::List;
pub use numbers::{BusinessNumber, REMOVED, SyncedNumber};
pub use planning::{
    Audience, AudienceMarks, AudienceRow, CANCELLED, Detail, EXCLUDED_LIST, NO_ADDRESS, PlanChunk, Verdict,
};
pub use sends::{Applied, ExportRow, Happening, SETTLED_BY_HAND, SendKey, SendRow, wamid_hash};
pub use statuses::{NewInbound, Parked, WamidMatch};
pub use suppressions::{Identity, Stop, Stopped, Suppression};
pub use tallies::Tally;
pub use templates::{DELETED, SyncedTemplate, TemplateRow};
pub use terms::{Asleep, CLAIM_LASTS, Hours, OFFER_ENDED, Terms};
