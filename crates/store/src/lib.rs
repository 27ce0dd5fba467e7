//! Every SQL statement and migration of Hudhud, for SQLite (embedded, the default) and PostgreSQL (several hosts).
//!
//! Owns: tables, transactions, what is atomic with what, and who writes next. One method per use case, with concrete
//! types; shared SQL where the dialects agree, two texts side by side where they do not.
//!
//! Must not know: Redis, HTTP, Meta's codes, clocks (times are arguments, epoch milliseconds UTC). Only how long its own
//! writes take it measures by itself (`db`), for the metrics and for the size of a next chunk.

#[macro_use]
mod rows;

mod accepted;
mod accounts;
mod api_keys;
mod approvals;
mod audit;
mod batches;
mod blackouts;
mod blind;
mod campaigns;
mod canaries;
mod chunks;
mod claims;
mod contacts;
mod db;
mod disclosures;
mod doubts;
mod erasures;
mod error;
mod exclusions;
mod expiry;
mod filters;
#[cfg(test)]
mod fixture;
mod frequency;
mod header_sets;
mod idempotency;
mod import_chunks;
mod import_undo;
mod imports;
mod inbound;
mod inbox;
mod leases;
mod ledger;
mod lift_requests;
mod lifts;
mod limits;
mod lists;
mod messages;
mod met;
mod meta;
mod numbers;
mod persons;
mod pg_copy;
mod planning;
#[cfg(test)]
mod plans;
mod progress;
mod rate_cards;
mod reaches;
mod reports;
mod reviews;
mod sends;
mod sessions;
mod statuses;
mod suppressions;
mod tallies;
mod templates;
mod terms;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod users;
mod wal;
mod wamids;
mod words;

/// For each public `async fn`: its future is boxed, and so compiled here, once. The compiler makes a plain `async fn`'s
/// body where it is polled, which would be every executable and every test.
use async_recursion::async_recursion as boxed;

pub use accounts::{Account, NewAccount, RotatedSecret};
pub use api_keys::ApiKey;
pub use approvals::Approval;
pub use audit::{AuditFilter, AuditRow, NewAudit};
pub use batches::{Batch, BatchKind, Depth, Feedable};
pub use blackouts::written as blackouts_written;
pub use blind::is_blind;
pub use campaigns::{CampaignRow, Frozen, Moved, NewCampaign};
pub use claims::{Claim, ClaimOrder, ClaimedSend, Halt, OPTED_OUT, WINDOW_CLOSED};
pub use contacts::{Contact, OptIn};
pub use db::{Priority, Store};
pub use disclosures::{DisclosureRow, NewDisclosure};
pub use doubts::{Doubt, DoubtFilter, DoubtPlace, Orphan};
pub use erasures::{Erased, Erasure, ErasureRow, Scrubbed};
pub use error::{Error, Result};
pub use exclusions::{AfterStopRow, ExclusionRow};
pub use expiry::Expiring;
pub use frequency::FREQUENCY_CAP;
pub use idempotency::{Begun, KeyedRequest};
pub use import_chunks::{Arriving, Chunk, ChunkEnd, ConsentText, ImportTarget, NewEvidence};
pub use import_undo::{CampaignUse, EvidenceRow, HandedOver, UndoBegun, Undone};
pub use imports::{ImportCounts, ImportEnd, ImportRow, NewImport};
pub use inbound::{HeardRow, InboundFilter, InboundRow, NewInbound};
pub use inbox::{Arrival, Kept, Logged, Waiting};
pub use leases::{Alive, LaneTerm, Lease, Owner};
pub use ledger::{EntryRow, LedgerHead, NewEntry, Seal, SignedHead};
pub use lift_requests::LiftRequestRow;
pub use lifts::{Lift, Lifted, Move};
pub use limits::Limit;
pub use lists::List;
pub use messages::{CAMPAIGN, ListedMessage, MessageKind, NewMessage};
pub use numbers::{BusinessNumber, REMOVED, SyncedNumber};
pub use persons::{AttemptRow, ChangeRow, MembershipRow, MessageRow, ReplyRow};
pub use planning::{
    Audience, AudienceMarks, AudienceRow, CANCELLED, Detail, EXCLUDED_LIST, FILTERED_OUT, NO_ADDRESS, PlanChunk,
    Verdict,
};
pub use rate_cards::{NewRateCard, RateCardRow};
pub use reaches::ReachRow;
pub use reports::{KeptSums, ReplyRow as CampaignReply, ReportRow};
pub use reviews::{Decision, NewReview, ReviewRow};
pub use sends::{Applied, ExportRow, Happening, SETTLED_BY_HAND, SendKey, SendRow};
pub use sessions::{Alive as SessionsAlive, Session};
pub use statuses::{Parked, WamidMatch};
pub use suppressions::{Identity, Stop, Stopped, Submitting, Suppression};
pub use tallies::Tally;
pub use templates::{DELETED, SyncedTemplate, TemplateRow};
pub use terms::{Asleep, CLAIM_LASTS, Hours, OFFER_ENDED, Terms, warm_up_zones};
pub use users::{Enrolment, OneTimeLink, Proofs, User, UserChange};
pub use words::WordRow;
