//! What can be shown about one person: their consent, what was sent to them, how they said stop, and that it was kept.
//!
//! A [`Proof`] is made for people who were not there: a regulator, a court, the person. It names its sources, which are
//! entries of the ledger, in the form in which anybody can recompute their hashes; [`page`] makes a document of it.

mod gather;
pub mod page;
#[cfg(test)]
mod tests;
mod verify;
mod words;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ledger::heads::HeadView;

pub use gather::prove;
pub(crate) use gather::{said_in, scope_of, why_after_stop};
pub use verify::{ProofCheck, verify};
pub use words::Language;

/// What the first field of a proof says it is.
pub const FORMAT: &str = "hudhud proof 1";

/// What can be shown about one person.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Proof {
    /// `hudhud proof 1`.
    pub format: String,
    /// The person as asked for, in its normal form.
    pub person: String,
    /// When this was made, RFC 3339.
    pub made_at: String,
    /// Who asked for it.
    pub made_for: String,
    /// What follows from the rest.
    pub verdict: ProofVerdict,
    /// What else the person is known by: numbers, user ids.
    pub known_as: Vec<String>,
    /// When and how they consented, oldest first.
    pub consents: Vec<Consent>,
    /// When and how they said stop, oldest first.
    pub stops: Vec<StopEvent>,
    /// When a block was lifted and why.
    pub lifts: Vec<LiftEvent>,
    /// What was sent to them, or tried, oldest campaign first.
    pub messages: Vec<Message>,
    /// From which campaigns they were left out, and why.
    pub exclusions: Vec<Exclusion>,
    /// What they wrote to us.
    pub replies: Vec<Reply>,
    /// The ledger's entries that the above rests on.
    pub entries: Vec<ProofEntry>,
    /// The signed heads of the chain that cover them; kept elsewhere too, they show that nothing was made anew later.
    pub signed_heads: Vec<HeadView>,
}

/// What follows from a proof.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProofVerdict {
    /// Whether anything is held of the person.
    pub known: bool,
    /// Whether their data was erased on request. They stay suppressed.
    pub erased: bool,
    /// May not be messaged.
    pub suppressed: bool,
    /// What is stopped, where suppressed, the widest where there are several: `all`, `marketing`, `brand:NAME`,
    /// `number:PHONE_NUMBER_ID`.
    pub scope: Option<String>,
    /// All that is stopped, the widest first.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Since when, RFC 3339.
    pub since: Option<String>,
    /// Whether evidence of a consent is held.
    pub consented: bool,
    /// How many messages Meta took for them.
    pub messages: usize,
    /// Messages that Meta took after a stop was recorded, and before a lift. 0, or each is explained.
    pub after_stop: usize,
    /// Those of them that are not explained: the promise was broken.
    pub unexplained: usize,
    /// From how many campaigns they were left out since their first stop.
    pub excluded_since: usize,
}

/// A piece of evidence of consent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Consent {
    /// When they consented, RFC 3339.
    pub at: String,
    /// Where it comes from.
    pub source: String,
    /// The words they agreed to; empty when nobody kept them.
    pub wording: String,
    /// The import that brought it.
    pub import: Option<ImportOfConsent>,
    /// The ledger's entry that holds the root over this consent and its neighbours'.
    pub entry: Option<i64>,
    /// The salt of its leaf, hexadecimal.
    pub salt: Option<String>,
}

/// The import that a consent came by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ImportOfConsent {
    /// Ours.
    pub id: i64,
    /// The file's name.
    pub file_name: String,
    /// SHA-256 of the file, hexadecimal.
    pub sha256: String,
    /// The list it went to.
    pub list: String,
    /// Who imported.
    pub actor: String,
    /// When, RFC 3339.
    pub at: String,
}

/// A stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StopEvent {
    /// The ledger's entry.
    pub entry: i64,
    /// When the person said it, as WhatsApp tells it (whole seconds), or it was entered here. RFC 3339.
    pub said_at: String,
    /// When it was recorded; from then on nothing to them begins. RFC 3339.
    pub recorded_at: String,
    /// From the one to the other.
    pub seconds_until_effective: f64,
    /// `button`, `text`, `user_preferences`, `manual`, …
    pub source: String,
    /// The words, or the label of the button.
    pub said: String,
    /// What it stops; `null` where that was erased.
    #[serde(default)]
    pub scope: Option<String>,
    /// The campaign that it answers.
    pub campaign: Option<String>,
    /// Who recorded it.
    pub actor: String,
    /// The slice of the signed webhook that says it, as it came.
    pub raw: Option<String>,
    /// SHA-256 of the whole webhook's body, hexadecimal.
    pub body_sha256: Option<String>,
    /// Meta's signature of that body, as it came.
    pub signature: Option<String>,
    /// Its detail was erased on request; the entry stays.
    pub erased: bool,
}

/// A lift.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LiftEvent {
    /// The ledger's entry.
    pub entry: i64,
    /// When, RFC 3339.
    pub at: String,
    /// Who: the person (`webhook`), or somebody of ours.
    pub actor: String,
    /// What they said, or why.
    pub said: String,
}

/// A message, or what was tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// Our id of the campaign.
    pub campaign_id: i64,
    /// Its name.
    pub campaign: String,
    /// The template.
    pub template: String,
    /// Meta's category of it.
    pub category: String,
    /// The business number it went from: Meta's id.
    pub phone_number_id: String,
    /// How far it came.
    pub state: String,
    /// How many times it was tried.
    pub attempts: i64,
    /// When the last try was claimed, RFC 3339.
    pub claimed_at: Option<String>,
    /// When Meta took it.
    pub accepted_at: Option<String>,
    /// When it reached the device.
    pub delivered_at: Option<String>,
    /// When it was opened.
    pub read_at: Option<String>,
    /// When it failed.
    pub failed_at: Option<String>,
    /// Meta's code of the failure.
    pub code: Option<i64>,
    /// Meta's id of the message.
    pub wamid: Option<String>,
    /// Set where Meta took it after a stop was recorded: how long after, and why.
    pub after_stop: Option<AfterStop>,
}

/// A message that Meta took after a stop was recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AfterStop {
    /// How many milliseconds after.
    pub ms: i64,
    /// `on-the-wire`: it had been handed over before; `utility`: the stop was for marketing and this is none;
    /// `other-scope`: the stop was for another brand or number; `unexplained`.
    pub why: String,
}

/// A campaign that left the person out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Exclusion {
    /// Our id of the campaign.
    pub campaign_id: i64,
    /// Its name.
    pub campaign: String,
    /// `opted-out`, `excluded-list`, …
    pub reason: String,
    /// `plan`: as the audience was planned; `claim`: at the last moment, as the message was about to leave.
    pub found_at: String,
    /// When, RFC 3339.
    pub at: Option<String>,
}

/// Something the person wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reply {
    /// When, RFC 3339.
    pub at: String,
    /// `text`, `button`, …
    pub kind: String,
    /// The words.
    pub said: String,
    /// The campaign it answers.
    pub campaign_id: Option<i64>,
}

/// An entry of the ledger, with the hash before it: what it takes to recompute its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProofEntry {
    /// Its place in the chain; `null` for the moment until it is sealed.
    pub seq: Option<i64>,
    /// Ours.
    pub id: i64,
    /// Epoch milliseconds.
    pub at: i64,
    /// What it is.
    pub kind: String,
    /// Who did it.
    pub actor: String,
    /// The person, by our id.
    pub contact_id: Option<i64>,
    /// The campaign, by our id.
    pub campaign_id: Option<i64>,
    /// The import, by our id.
    pub import_id: Option<i64>,
    /// What is beside the chain; empty when erased.
    pub detail: String,
    /// Hexadecimal; empty when erased.
    pub salt: String,
    /// SHA-256 of salt and detail, hexadecimal.
    pub commitment: String,
    /// The chain's hash before it, hexadecimal; empty for the first.
    pub before: String,
    /// The chain's hash with it, hexadecimal.
    pub hash: String,
}
