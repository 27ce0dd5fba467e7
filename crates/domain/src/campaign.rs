//! The life of a campaign.

use std::fmt;

use thiserror::Error;

/// Where a campaign stands. The numbers are what the database keeps and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum CampaignState {
    /// Being written; nothing is frozen.
    Draft = 0,
    /// To be launched by itself at its time.
    Scheduled = 1,
    /// Its audience is frozen and its messages go out, or wait for their turn.
    Running = 2,
    /// A person or a refusal of Meta's stopped it; it keeps its place.
    Paused = 3,
    /// Ended before its time. What had not left never will.
    Cancelled = 4,
    /// No send is planned, submitting or in doubt.
    Finished = 5,
}

/// Something that happened to a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CampaignEvent {
    /// It was given a time to start by itself.
    Scheduled,
    /// It was launched, by a person or because its time came.
    Launched,
    /// A person or a rule stopped it for now.
    Paused,
    /// A person lets it go on.
    Resumed,
    /// A person ended it.
    Cancelled,
    /// Its last open send was closed.
    Finished,
    /// A finished campaign has an open send again: a webhook brought a failure that passes, or failed ones are retried.
    Reopened,
}

/// What an event does to a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CampaignStep {
    /// Write this state.
    To(CampaignState),
    /// It is so already.
    Stay,
}

/// An event that cannot happen in this state; the campaign stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the campaign is {from}, so it cannot be {}", event.participle())]
pub struct IllegalCampaignStep {
    /// The state it was in, and stays in.
    pub from: CampaignState,
    /// The event that does not fit.
    pub event: CampaignEvent,
}

/// A number that is no [`CampaignState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{0} is not the number of a campaign state")]
pub struct UnknownCampaignState(pub i16);

impl CampaignState {
    /// Every state, in the order of their numbers.
    pub const ALL: [CampaignState; 6] = [
        CampaignState::Draft,
        CampaignState::Scheduled,
        CampaignState::Running,
        CampaignState::Paused,
        CampaignState::Cancelled,
        CampaignState::Finished,
    ];

    /// What `event` does to a campaign in this state.
    ///
    /// Repeating a pause, a resume or a cancel is harmless; launching twice is refused, because the second person may
    /// mean another audience than the one that was frozen.
    ///
    /// # Errors
    /// [`IllegalCampaignStep`] if the event cannot happen here.
    pub fn next(self, event: CampaignEvent) -> Result<CampaignStep, IllegalCampaignStep> {
        use CampaignEvent as Event;
        use CampaignState::{Cancelled, Draft, Finished, Paused, Running, Scheduled};
        let to = match (self, event) {
            (Draft | Scheduled, Event::Scheduled) => Scheduled,
            (Draft | Scheduled, Event::Launched) => Running,
            (Running | Paused, Event::Paused) => Paused,
            (Running | Paused, Event::Resumed) => Running,
            (Draft | Scheduled | Running | Paused | Cancelled, Event::Cancelled) => Cancelled,
            // The last doubt of a paused campaign may be settled by a webhook.
            (Running | Paused | Finished, Event::Finished) => Finished,
            (Finished | Running, Event::Reopened) => Running,
            (from, event) => return Err(IllegalCampaignStep { from, event }),
        };
        Ok(if to == self { CampaignStep::Stay } else { CampaignStep::To(to) })
    }

    /// True once nothing more goes out by itself: cancelled or finished.
    pub const fn is_over(self) -> bool {
        matches!(self, CampaignState::Cancelled | CampaignState::Finished)
    }

    /// The state's name as it stands in JSON and exports.
    pub const fn as_str(self) -> &'static str {
        match self {
            CampaignState::Draft => "draft",
            CampaignState::Scheduled => "scheduled",
            CampaignState::Running => "running",
            CampaignState::Paused => "paused",
            CampaignState::Cancelled => "cancelled",
            CampaignState::Finished => "finished",
        }
    }
}

impl CampaignEvent {
    const fn participle(self) -> &'static str {
        match self {
            CampaignEvent::Scheduled => "scheduled",
            CampaignEvent::Launched => "launched",
            CampaignEvent::Paused => "paused",
            CampaignEvent::Resumed => "resumed",
            CampaignEvent::Cancelled => "cancelled",
            CampaignEvent::Finished => "finished",
            CampaignEvent::Reopened => "reopened",
        }
    }
}

impl From<CampaignState> for i16 {
    fn from(state: CampaignState) -> i16 {
        state as i16
    }
}

impl TryFrom<i16> for CampaignState {
    type Error = UnknownCampaignState;

    fn try_from(number: i16) -> Result<Self, UnknownCampaignState> {
        usize::try_from(number)
            .ok()
            .and_then(|index| CampaignState::ALL.get(index).copied())
            .ok_or(UnknownCampaignState(number))
    }
}

impl fmt::Display for CampaignState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::CampaignState::*;
    use super::*;

    const EVENTS: [CampaignEvent; 7] = [
        CampaignEvent::Scheduled,
        CampaignEvent::Launched,
        CampaignEvent::Paused,
        CampaignEvent::Resumed,
        CampaignEvent::Cancelled,
        CampaignEvent::Finished,
        CampaignEvent::Reopened,
    ];

    #[test]
    fn the_table_of_a_campaigns_life_is_the_one_that_was_agreed() {
        let mut table = String::new();
        for from in CampaignState::ALL {
            for event in EVENTS {
                let _ = match from.next(event) {
                    Ok(CampaignStep::To(to)) => writeln!(table, "{from:<10} {event:<10?} -> {to}"),
                    Ok(CampaignStep::Stay) => writeln!(table, "{from:<10} {event:<10?} stays"),
                    Err(_) => writeln!(table, "{from:<10} {event:<10?} refused"),
                };
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn a_cancelled_campaign_never_runs_again() {
        for event in EVENTS {
            assert!(!matches!(Cancelled.next(event), Ok(CampaignStep::To(_))), "{event:?}");
        }
    }

    #[test]
    fn a_campaign_is_launched_once() {
        for state in [Running, Paused, Finished] {
            assert!(state.next(CampaignEvent::Launched).is_err(), "{state}");
        }
    }

    #[test]
    fn a_refused_step_says_what_is_the_matter() {
        let refused = Finished.next(CampaignEvent::Paused).expect_err("finished is over");
        assert_eq!(refused.to_string(), "the campaign is finished, so it cannot be paused");
    }

    #[test]
    fn every_state_comes_back_from_its_number() {
        for state in CampaignState::ALL {
            assert_eq!(CampaignState::try_from(i16::from(state)), Ok(state));
        }
        assert_eq!(CampaignState::try_from(6), Err(UnknownCampaignState(6)));
    }
}
