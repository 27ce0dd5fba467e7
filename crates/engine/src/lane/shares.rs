//! Whose turn it is where several campaigns send from one number: each gets turns in proportion to its weight, a
//! newcomer gets its first turn at once, and nobody saves up turns that it did not use.

use std::collections::HashMap;

/// So many turns that a campaign could not use are made up for.
const MADE_UP: u64 = 10;
/// How far a campaign of weight one moves on with each turn.
const STEP: u64 = 1_000_000;

/// Start-time fair queueing over campaigns: a turn goes to whoever has come least far, a heavy campaign moves on by
/// small steps, and whoever comes or comes back starts from where the last turn was taken, or a few turns before it: it
/// may just have waited for its claims.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// Where each campaign's next turn stands, unless the others are far past it.
    next: HashMap<i64, u64>,
    /// Where the last turn was taken.
    here: u64,
}

impl Shares {
    /// Where the campaign's next turn stands if `waiting` others of its own come first: least goes first.
    pub(super) fn place(&self, campaign: i64, weight: u32, waiting: usize) -> u64 {
        let next = self.next.get(&campaign).map_or(self.here, |next| {
            // No more than so many turns are made up for.
            (*next).max(self.here.saturating_sub(step(weight).saturating_mul(MADE_UP)))
        });
        next.saturating_add(step(weight).saturating_mul(waiting as u64))
    }

    /// The campaign took a turn.
    pub(super) fn took(&mut self, campaign: i64, weight: u32) {
        let place = self.place(campaign, weight, 0);
        self.here = self.here.max(place);
        self.next.insert(campaign, place.saturating_add(step(weight)));
        if self.next.len() > 64 {
            // Whoever is far behind the last turn is no worse off than a newcomer.
            let here = self.here;
            self.next.retain(|_, next| *next > here);
        }
    }
}

fn step(weight: u32) -> u64 {
    STEP / u64::from(weight.max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lets those who want a turn take so many; how many each got.
    fn run(shares: &mut Shares, wanting: &[(i64, u32)], turns: usize) -> HashMap<i64, usize> {
        let mut got = HashMap::new();
        for _ in 0..turns {
            let (campaign, weight) =
                *wanting.iter().min_by_key(|(campaign, weight)| shares.place(*campaign, *weight, 0)).expect("somebody");
            shares.took(campaign, weight);
            *got.entry(campaign).or_default() += 1;
        }
        got
    }

    #[test]
    fn a_newcomer_is_served_at_once_and_gets_no_more_than_its_share() {
        let mut shares = Shares::default();
        run(&mut shares, &[(1, 10)], 1_000_000);
        let first = run(&mut shares, &[(1, 10), (2, 10)], 2);
        assert_eq!(first[&2], 1);
        let then = run(&mut shares, &[(1, 10), (2, 10)], 1_000);
        assert!(then[&2].abs_diff(500) <= 1, "{then:?}");
    }

    #[test]
    fn of_turns_that_were_not_used_few_are_made_up_for() {
        let mut shares = Shares::default();
        run(&mut shares, &[(1, 10), (2, 10)], 100);
        run(&mut shares, &[(1, 10)], 1_000);
        let got = run(&mut shares, &[(1, 10), (2, 10)], 100);
        assert!((50..=57).contains(&got[&2]), "{got:?}");
    }

    proptest! {
        #[test]
        fn each_gets_its_weights_share(weights in prop::collection::vec(1..=100u32, 1..12)) {
            let wanting: Vec<(i64, u32)> = (0..).zip(weights.iter().copied()).collect();
            let all: u32 = weights.iter().sum();
            let got = run(&mut Shares::default(), &wanting, all as usize * 3);
            for (campaign, weight) in wanting {
                let got = got.get(&campaign).copied().unwrap_or(0);
                // Rounded steps and the start cost a turn or two.
                prop_assert!(got.abs_diff(weight as usize * 3) <= 3, "{got} turns for a weight of {weight}");
            }
        }

        #[test]
        fn nobody_waits_for_longer_than_the_others_turns_of_its_own_step(weights in prop::collection::vec(1..=100u32, 2..12)) {
            let wanting: Vec<(i64, u32)> = (0..).zip(weights.iter().copied()).collect();
            let mut shares = Shares::default();
            let others: u32 = weights[1..].iter().sum();
            // The lightest there is waits for one turn of each unit of the others' weight, and one more of each.
            let most = others as usize / weights[0] as usize + wanting.len() + 1;
            run(&mut shares, &wanting[1..], 500);
            let got = run(&mut shares, &wanting, most);
            prop_assert!(got.contains_key(&0), "no turn among {most}");
        }
    }
}
