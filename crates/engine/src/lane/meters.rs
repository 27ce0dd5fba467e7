//! What a lane counts of its POSTs. Looked up once, since a look-up for each message would cost more than the counting.

use std::time::Duration;

use metrics::{Counter, Histogram};

/// The outcomes of a POST, as they are counted.
const OUTCOMES: [&str; 5] = ["accepted", "retry", "failed", "in_doubt", "not_posted"];

/// The meters of one business number.
pub(super) struct Meters {
    took: Histogram,
    outcomes: [Counter; OUTCOMES.len()],
}

impl Meters {
    pub(super) fn new(phone_number_id: &str) -> Self {
        let number = phone_number_id.to_owned();
        Self {
            took: metrics::histogram!("hudhud_send_duration_seconds", "number" => number.clone()),
            outcomes: OUTCOMES.map(|outcome| {
                metrics::counter!("hudhud_send_attempts_total", "number" => number.clone(), "outcome" => outcome)
            }),
        }
    }

    /// From the hand-over to the answer.
    pub(super) fn took(&self, time: Duration) {
        self.took.record(time);
    }

    pub(super) fn count(&self, outcome: &str) {
        if let Some(place) = OUTCOMES.iter().position(|known| *known == outcome) {
            self.outcomes[place].increment(1);
        }
    }
}
