//! The life of one send: one message meant for one contact in one campaign.
//!
//! The state is fieldless; whatever else is known of a send (held, expired, code, not before) lies beside it.
//! Every change of a row goes through [`SendState::next`], and is written only where the row is still in the state
//! that the step was reckoned from.

use std::fmt;

use thiserror::Error;

/// Where a send stands, in our books. Meta's word for a message is its [`Status`].
///
/// The numbers are what the database keeps and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum SendState {
    /// To be sent, now or later. Nothing of the current plan has left.
    Planned = 0,
    /// Claimed: the attempt is on its way to Meta, and may have left.
    Submitting = 1,
    /// The attempt may have left and nobody knows what became of it. Only evidence settles it.
    InDoubt = 2,
    /// Meta took the message. That is not yet a message sent.
    Accepted = 3,
    /// Meta says it was sent to the person.
    Sent = 4,
    /// It reached the person's device.
    Delivered = 5,
    /// The person opened it.
    Read = 6,
    /// Refused or undeliverable, for good.
    Failed = 7,
    /// Never posted, on purpose: opted out, cancelled, not eligible.
    Skipped = 8,
}

/// Something that happened to a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendEvent {
    /// A lane's owner claimed it, and the claim is committed.
    Claimed,
    /// The person is suppressed.
    Suppressed,
    /// The campaign was cancelled.
    Cancelled,
    /// Something else excludes the person: a row that cannot be rendered, no number, too late.
    Ineligible,
    /// The claim is void and it is certain that nothing left: stopped at the last check, expired, or never connected.
    NotPosted {
        /// True if it should be tried again, false if what stopped it stops it for good.
        back_to_planned: bool,
    },
    /// The POST left, or may have, and its answer says nothing: timeout, reset, a page of HTML.
    Unknown,
    /// Meta answered with a message id.
    Accepted,
    /// Meta answered with an error, so the message did not go out.
    Refused {
        /// True if the same message may be tried again later.
        later: bool,
    },
    /// A person or the campaign's policy settles a doubt: it went out.
    SettledSent,
    /// A person or the campaign's policy settles a doubt: it did not go out.
    SettledNotSent {
        /// True if it should be sent again.
        replan: bool,
    },
    /// A status webhook.
    Status(Status, Current),
}

/// What a status webhook says became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// On its way to the person.
    Sent,
    /// On the person's device.
    Delivered,
    /// Opened.
    Read,
    /// Not delivered.
    Failed {
        /// True if the reason is one that passes (131049, 131056, 131016…), so a new attempt may be made, while tries
        /// are left. The caller counts the tries and says false once they are used up.
        later: bool,
    },
}

/// Whether a status belongs to the send's current attempt, or to an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Current {
    /// It is about the attempt that the row names.
    Yes,
    /// It is about an attempt before that one, and changes nothing.
    No,
}

/// What an event does to a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write this state.
    To(SendState),
    /// The event is in order and changes nothing.
    Stay,
}

/// An event that cannot happen in this state. The row is left alone and the event counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a send that is {from} cannot take {event:?}")]
pub struct IllegalStep {
    /// The state it was in, and stays in.
    pub from: SendState,
    /// The event that does not fit.
    pub event: SendEvent,
}

/// A number that is no [`SendState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0} is not the number of a send state")]
pub struct UnknownSendState(pub i16);

impl SendState {
    /// Every state, in the order of their numbers.
    pub const ALL: [SendState; 9] = [
        SendState::Planned,
        SendState::Submitting,
        SendState::InDoubt,
        SendState::Accepted,
        SendState::Sent,
        SendState::Delivered,
        SendState::Read,
        SendState::Failed,
        SendState::Skipped,
    ];

    /// What `event` does to a send in this state.
    ///
    /// # Errors
    /// [`IllegalStep`] if the event cannot happen here; the row must then stay as it is.
    pub fn next(self, event: &SendEvent) -> Result<Step, IllegalStep> {
        use SendState::{Accepted, Delivered, Failed, InDoubt, Planned, Read, Sent, Skipped, Submitting};
        let to = match (self, *event) {
            (Planned, SendEvent::Claimed) => Submitting,
            (Planned, SendEvent::Suppressed | SendEvent::Cancelled | SendEvent::Ineligible) => Skipped,

            // In doubt too: an owner that was taken for dead may wake and know that its claim never came to a POST.
            (Submitting | InDoubt, SendEvent::NotPosted { back_to_planned: true }) => Planned,
            (Submitting | InDoubt, SendEvent::NotPosted { back_to_planned: false }) => Skipped,
            (Submitting, SendEvent::Unknown) => InDoubt,
            (Submitting | InDoubt, SendEvent::Accepted) => Accepted,
            (Submitting | InDoubt, SendEvent::Refused { later: true }) => Planned,
            (Submitting | InDoubt, SendEvent::Refused { later: false }) => Failed,

            (InDoubt, SendEvent::SettledSent) => Accepted,
            (InDoubt, SendEvent::SettledNotSent { replan: true }) => Planned,
            (InDoubt, SendEvent::SettledNotSent { replan: false }) => Failed,

            // The webhook was quicker than the answer to our own POST.
            (Sent | Delivered | Read | Failed, SendEvent::Accepted) => return Ok(Step::Stay),
            // The answer was lost, and a webhook has told already what it would have said.
            (Sent | Delivered | Read | Failed, SendEvent::Unknown) => return Ok(Step::Stay),

            (_, SendEvent::Status(_, Current::No)) => return Ok(Step::Stay),
            // Also before our own answer is recorded, or the end would depend on which of the two was quicker.
            (
                Submitting | InDoubt | Accepted | Sent,
                SendEvent::Status(Status::Failed { later: true }, Current::Yes),
            ) => Planned,
            // The same failure told twice: it is planned again already.
            (Planned, SendEvent::Status(Status::Failed { later: true }, Current::Yes)) => return Ok(Step::Stay),
            (_, SendEvent::Status(status, Current::Yes)) => {
                let claimed = status.state();
                if claimed.rank() > self.rank() { claimed } else { return Ok(Step::Stay) }
            }

            (from, event) => return Err(IllegalStep { from, event }),
        };
        Ok(Step::To(to))
    }

    /// What `event` does to a send whose doubt a person settled ([`SendState::Accepted`] or [`SendState::Failed`]) and of
    /// which Meta has said nothing since.
    ///
    /// A person's word holds until Meta's own comes. Then the send stands where it would had nobody spoken, so that a
    /// message that went out is never kept as one that did not. But what a person closed is not sent again by itself.
    ///
    /// # Errors
    /// As [`SendState::next`].
    pub fn next_if_settled(self, event: &SendEvent) -> Result<Step, IllegalStep> {
        use SendState::{Accepted, Failed, InDoubt};
        match *event {
            // Settled as sent, it is a message like any other that Meta took and could not deliver for now.
            SendEvent::Status(Status::Failed { later: true }, Current::Yes) if self == Accepted => self.next(event),
            SendEvent::Status(Status::Failed { .. }, Current::Yes) | SendEvent::Refused { .. } => Ok(Step::To(Failed)),
            SendEvent::NotPosted { .. } => Ok(if self == Failed { Step::Stay } else { Step::To(Failed) }),
            SendEvent::Status(_, Current::Yes) | SendEvent::Accepted => InDoubt.next(event),
            _ => self.next(event),
        }
    }

    /// True while something may still happen by our own doing: planned, submitting or in doubt. A campaign with no
    /// open send is finished.
    pub const fn is_open(self) -> bool {
        matches!(self, SendState::Planned | SendState::Submitting | SendState::InDoubt)
    }

    /// The state's name as it stands in JSON, metrics and exports: `planned` … `in_doubt`.
    pub const fn as_str(self) -> &'static str {
        match self {
            SendState::Planned => "planned",
            SendState::Submitting => "submitting",
            SendState::InDoubt => "in_doubt",
            SendState::Accepted => "accepted",
            SendState::Sent => "sent",
            SendState::Delivered => "delivered",
            SendState::Read => "read",
            SendState::Failed => "failed",
            SendState::Skipped => "skipped",
        }
    }

    /// Statuses arrive in any order and more than once; the row keeps the one of highest rank. `failed` may follow
    /// `sent`, and what was delivered after all was delivered.
    const fn rank(self) -> u8 {
        match self {
            SendState::Planned => 0,
            SendState::Submitting | SendState::InDoubt => 1,
            SendState::Accepted => 2,
            SendState::Skipped => 3,
            SendState::Sent => 4,
            SendState::Failed => 5,
            SendState::Delivered => 6,
            SendState::Read => 7,
        }
    }
}

impl Status {
    /// The state a send is in once this status holds.
    const fn state(self) -> SendState {
        match self {
            Status::Sent => SendState::Sent,
            Status::Delivered => SendState::Delivered,
            Status::Read => SendState::Read,
            Status::Failed { .. } => SendState::Failed,
        }
    }
}

impl From<SendState> for i16 {
    fn from(state: SendState) -> i16 {
        state as i16
    }
}

impl TryFrom<i16> for SendState {
    type Error = UnknownSendState;

    fn try_from(number: i16) -> Result<Self, UnknownSendState> {
        usize::try_from(number)
            .ok()
            .and_then(|index| SendState::ALL.get(index).copied())
            .ok_or(UnknownSendState(number))
    }
}

impl fmt::Display for SendState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
