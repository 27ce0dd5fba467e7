//! Every SQL statement and migration of Hudhud, for SQLite (embedded, the default) and PostgreSQL (several hosts).
//!
//! Owns: tables, transactions, what is atomic with what, and who writes next. One method per use case, with concrete
//! types; shared SQL where the dialects agree, two texts side by side where they do not.
//!
//! Must not know: Redis, HTTP, Meta's codes, clocks (times are arguments, epoch milliseconds UTC).

mod batches;
mod campaigns;
mod claims;
mod db;
mod doubts;
mod error;
mod inbox;
mod leases;
mod ledger;
mod meta;
mod planning;
mod sends;
mod statuses;
mod suppressions;
mod tallies;

pub use batches::{Batch, BatchKind, Feedable};
pub use campaigns::{CampaignRow, Moved, NewCampaign};
pub use claims::{Claim, ClaimOrder, ClaimedSend, Halt, OPTED_OUT};
pub use db::{Priority, Store};
pub use doubts::{Doubt, Orphan};
pub use error::{Error, Result};
pub use inbox::{Arrival, Kept, Waiting};
pub use leases::{Alive, LaneTerm, Lease, Owner};
pub use ledger::NewEntry;
pub use planning::{AudienceRow, Blocked, CANCELLED, EXCLUDED_LIST, PlanChunk};
pub use sends::{Applied, Happening, SendKey, SendRow, wamid_hash};
pub use statuses::{NewInbound, Parked, WamidMatch};
pub use suppressions::{Identity, Stop, Stopped, Suppression};
pub use tallies::Tally;
