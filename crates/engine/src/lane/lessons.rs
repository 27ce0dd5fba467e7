//! What a POST's outcome teaches its lane, and what the lane shows of itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use domain::pacing::{Beyond, Micros, SECOND};
use domain::refusal::RefusalClass;

use super::outage::{Trouble, Turned};
use super::post::Lesson;
use super::{HALTED_FOR, Lane, Showing, VOID_IN_A_ROW};
use crate::consequences;
use crate::refusals::advice;

/// Unknown refusals in a row that pause a campaign.
const UNKNOWN_IN_A_ROW: u32 = 5;
/// After a 130429 the rate is cut to this share…
const CUT: f64 = 0.7;
/// …and climbs back by this share of the full rate at a time…
const CLIMB: f64 = 0.05;
/// …this often.
const CLIMB_EVERY: Micros = 2 * SECOND;
/// What follows from a refusal has so long to be written: the lane waits for it, and must not wait for a database that
/// is away. The next refusal tries again.
const FOLLOW_WITHIN: Duration = Duration::from_secs(2);
/// The same thing is done once for all refusals of so long.
const FOLLOW_ONCE_IN: Micros = SECOND;

/// What follows from a refusal, beyond its message, in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Follow {
    PauseCampaign,
    PauseNumber,
    StopAccount,
    StopPortfolio,
    Suppress,
}

impl Lane {
    pub(super) fn halt(&mut self, what: &str, reason: &str) {
        self.circuit.unprobe();
        let words = format!("{what}: {reason}");
        if self.halted.as_ref().is_none_or(|(_, told)| *told != words) {
            tracing::warn!(number = self.number_id, reason = words, "sending waits; nothing is lost");
        }
        self.halted = Some((self.now() + HALTED_FOR, words));
    }

    /// What a POST's outcome means for the lane.
    pub(super) async fn learn(&mut self, lesson: Lesson) {
        let now = self.now();
        if lesson.journal_failed {
            self.halt("the journal cannot be written", "look at the data directory's disk");
        }
        let round_trip = lesson.round_trip.unwrap_or_else(|| now.saturating_sub(lesson.began));
        if let Some(turned) = self.circuit.ended(lesson.began, now, round_trip, lesson.sign) {
            self.turn(turned, lesson.trouble.as_deref());
        }
        let Some((class, code)) = lesson.refusal else {
            self.unknown_in_a_row.remove(&lesson.campaign_id);
            return;
        };
        metrics::counter!("hudhud_send_errors_total", "number" => self.phone_number_id.to_string(),
            "class" => class.as_str(), "code" => code.to_string())
        .increment(1);
        if lesson.beyond != Beyond::CountAgainstCampaign {
            self.unknown_in_a_row.remove(&lesson.campaign_id);
        }
        let why = advice(class, code);
        match lesson.beyond {
            Beyond::Nothing | Beyond::CountAgainstNumber => {}
            Beyond::SuppressPerson => {
                let (contact, campaign) = (lesson.contact_id, lesson.campaign_id);
                let app = Arc::clone(&self.app);
                let suppressing = consequences::suppress(&app, contact, campaign, lesson.answer.as_deref());
                self.follow_up(Follow::Suppress, contact, suppressing).await;
            }
            Beyond::SlowNumber => {
                // One cut for all refusals of a moment.
                if now >= self.throttled_at + SECOND {
                    self.throttled_at = now;
                    self.throttle = (self.throttle * CUT).max(0.05);
                    tracing::warn!(
                        number = self.number_id,
                        share = self.throttle,
                        "Meta says too fast: the rate is cut"
                    );
                    self.apply_rate();
                }
            }
            Beyond::CountAgainstCampaign => {
                let count = self.unknown_in_a_row.entry(lesson.campaign_id).or_default();
                *count += 1;
                if *count >= UNKNOWN_IN_A_ROW {
                    *count = 0;
                    self.pause_campaign(lesson.campaign_id, &why).await;
                }
            }
            Beyond::PauseCampaign => self.pause_campaign(lesson.campaign_id, &why).await,
            Beyond::PauseForTemplate => {
                let (app, campaign) = (Arc::clone(&self.app), lesson.campaign_id);
                let pause = consequences::pause_for_template(&app, campaign, code, &why);
                self.follow_up(Follow::PauseCampaign, campaign, pause).await;
            }
            Beyond::PausePortfolio => {
                self.halt("the business portfolio is stopped", &why);
                let (app, number) = (Arc::clone(&self.app), self.number_id);
                let stop = consequences::stop_portfolio(&app, number, &why);
                self.follow_up(Follow::StopPortfolio, number, stop).await;
            }
            Beyond::PauseNumber => {
                self.halt("the number is paused", &why);
                let (app, number) = (Arc::clone(&self.app), self.number_id);
                self.follow_up(Follow::PauseNumber, number, consequences::pause_number(&app, number, &why)).await;
            }
            Beyond::PauseAccount => {
                self.halt("the account is stopped", &why);
                let (app, number) = (Arc::clone(&self.app), self.number_id);
                // A refusal of a token that was replaced meanwhile says nothing about the new one.
                let token = (class == RefusalClass::Credential).then_some(&*lesson.sealed_token);
                let stop = consequences::stop_account(&app, number, token, &why);
                self.follow_up(Follow::StopAccount, number, stop).await;
            }
        }
    }

    /// Looks at the circuit: whether the platform has fallen silent, and how much of the rate may be used by now.
    pub(super) fn mind_outage(&mut self) {
        let now = self.now();
        if let Some(turned) = self.circuit.look(now) {
            self.turn(turned, None);
        }
        let share = self.circuit.share(now);
        if std::mem::replace(&mut self.share, share) != share {
            self.apply_rate();
        }
    }

    fn turn(&mut self, turned: Turned, trouble: Option<&str>) {
        let number = self.number_id;
        self.troubled.store(self.circuit.is_troubled(), Ordering::Relaxed);
        match turned {
            Turned::Opened(trouble_kind) => {
                let trouble = match trouble_kind {
                    Trouble::Silent => "messages are taken and not answered",
                    Trouble::Failing => trouble.unwrap_or("unknown"),
                };
                tracing::warn!(
                    number,
                    trouble,
                    "the Graph API fails: sending waits and tries with one message at a time; everyone keeps their place"
                );
            }
            Turned::Answered => tracing::info!(number, "the Graph API answers again: sending goes on slowly"),
            Turned::Closed => tracing::info!(number, "the Graph API holds: sending goes on at the whole rate"),
        }
    }

    async fn pause_campaign(&mut self, campaign_id: i64, why: &str) {
        let app = Arc::clone(&self.app);
        let pause = consequences::pause_campaign(&app, campaign_id, why);
        self.follow_up(Follow::PauseCampaign, campaign_id, pause).await;
    }

    /// Does what follows from a refusal before anything else is claimed: once for all refusals of a moment, and
    /// without waiting long.
    async fn follow_up(&mut self, what: Follow, id: i64, done: impl Future<Output = ()>) {
        let now = self.now();
        self.done_lately.retain(|_, at| now < *at + FOLLOW_ONCE_IN);
        if self.done_lately.contains_key(&(what, id)) {
            return;
        }
        let in_time = tokio::select! {
            () = done => true,
            () = self.app.clock.sleep(FOLLOW_WITHIN) => false,
        };
        if !in_time {
            tracing::error!(number = self.number_id, ?what, id, "not written: the database does not answer");
        }
        self.done_lately.insert((what, id), self.now());
    }

    /// Why it sends, but not at its whole rate.
    fn what_slows_it(&self) -> Option<String> {
        if self.circuit.is_waiting() {
            Some("the Graph API takes long to answer; nothing more is sent until it does".to_owned())
        } else if self.share < 100 {
            Some(format!("the Graph API answers again; {} per cent of the rate is used so far", self.share))
        } else if self.throttle < 1.0 {
            Some("Meta said too fast; the rate was cut and grows back".to_owned())
        } else {
            None
        }
    }

    pub(super) fn show(&mut self) {
        let now = self.now();
        if self.throttle < 1.0 && now >= self.throttled_at + CLIMB_EVERY {
            self.throttled_at = now;
            self.throttle = (self.throttle + CLIMB).min(1.0);
            self.apply_rate();
        }
        let in_flight = self.in_flight_limit - self.places.available_permits().min(self.in_flight_limit);
        let (state, reason) = if self.circuit.is_open() {
            ("outage", Some("the Graph API fails; one message at a time is tried".to_owned()))
        } else if let Some((_, words)) = &self.halted {
            ("paused", Some(words.clone()))
        } else if self.void_claims >= VOID_IN_A_ROW {
            ("paused", Some("the database is too slow: claims are void before they can be used".to_owned()))
        } else if self.hand.len() > 0 || in_flight > 0 {
            ("sending", self.what_slows_it())
        } else {
            ("idle", Some("nothing is due".to_owned()))
        };
        let showing = Showing {
            pace: self.pace.in_last_second(),
            rate: self.pace.rate(),
            in_flight,
            state: state.to_owned(),
            reason,
        };
        self.showing.send_replace(showing);
    }
}

#[cfg(test)]
mod tests;
