use std::collections::BTreeMap;
use std::thread;

use proptest::prelude::*;

use super::*;

fn room() -> Arc<Departures> {
    Arc::default()
}

#[test]
fn a_stop_turns_back_what_was_claimed_before_it_and_nothing_else() {
    let room = room();
    let left = room.way(1, 5);
    assert!(left.leave(|| true) && room.any_under_way(&[3, 1]));
    room.stop(&[1, 2], 10);
    assert!(!room.way(1, 10).leave(|| unreachable!("nothing is handed over after a stop")));
    assert!(!room.way(2, 4).leave(|| unreachable!("nothing is handed over after a stop")));
    assert!(room.way(3, 4).leave(|| true), "somebody else's");
    assert!(room.way(2, 11).leave(|| true), "claimed after the stop: the claim has asked the database");
    assert!(room.any_under_way(&[1]), "the stop waits for what has left");
    assert_eq!(
        [(1, 10), (1, 11), (3, 0)].map(|(person, claimed)| room.is_stopped(person, claimed)),
        [true, false, false]
    );
    assert_eq!(room.stops(), 1);
    drop(left);
    assert!(!room.any_under_way(&[1, 2, 3]));
}

#[test]
fn a_message_that_stays_for_another_reason_is_not_under_way_and_none_leaves_twice() {
    let room = room();
    let way = room.way(4, 0);
    assert!(!way.leave(|| false) && !room.any_under_way(&[4]));
    assert!(way.leave(|| true) && !way.leave(|| unreachable!("it has left")));
    let second = room.way(4, 0);
    assert!(second.leave(|| true));
    drop(way);
    assert!(room.any_under_way(&[4]), "the other one is still under way");
    drop(second);
    assert!(!room.any_under_way(&[4]));
}

#[test]
fn shards_forget_whom_they_need_not_remember() {
    let room = room();
    for round in 0..10 {
        let people: Vec<i64> = (0..2_000).map(|n| round * 2_000 + n).collect();
        room.stop(&people, u64::try_from(round).unwrap() * REMEMBERED);
    }
    let kept: usize = (0..SHARDS).map(|person| room.shard(person).stopped.len()).sum();
    assert!(kept <= 2_000 + MANY * usize::try_from(SHARDS).unwrap(), "{kept} people are remembered");
}

#[test]
fn a_message_that_races_a_stop_is_seen_under_way_or_stays() {
    let room = room();
    for person in 0..2_000 {
        let way = room.way(person, 1);
        let sender = thread::spawn(move || way.leave(|| true).then_some(way));
        room.stop(&[person], 1);
        let seen = room.any_under_way(&[person]);
        let left = sender.join().unwrap();
        assert_eq!(
            left.is_some(),
            seen,
            "person {person}: a message left unseen after the stop was noted, or none did"
        );
    }
}

#[test]
fn a_lane_is_ours_from_its_term_to_its_end() {
    let room = room();
    let term = room.term(7, 3);
    assert!(room.is_ours(7, 3) && !room.is_ours(7, 4) && !room.is_ours(8, 3));
    drop(term);
    assert!(!room.is_ours(7, 3));
}

/// What happens in the room.
#[derive(Clone, Debug)]
enum Step {
    /// A message to a person is claimed.
    Claim(i64),
    /// The oldest claimed message to a person asks its gate.
    Ask(i64),
    /// The oldest message to a person that has left is answered.
    Answer(i64),
    Stop(Vec<i64>),
    /// Time passes, but no longer than claims are valid: their own clock keeps older ones.
    Wait(Micros),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let person = || prop_oneof![Just(1_i64), Just(2), Just(65), Just(-63)];
    let step = prop_oneof![
        3 => person().prop_map(Step::Claim),
        3 => person().prop_map(Step::Ask),
        2 => person().prop_map(Step::Answer),
        2 => prop::collection::vec(person(), 1..3).prop_map(Step::Stop),
        2 => (0..CLAIM_VALID / 3).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..80)
}

proptest! {
    /// Beside a list that forgets nothing: a message leaves if its person did not stop at or after its claim, and what
    /// is under way is what left and has no answer.
    #[test]
    fn the_room_knows_what_a_list_of_everything_knows(steps in steps()) {
        let room = room();
        let mut now: Micros = 1;
        let mut stops: BTreeMap<i64, Micros> = BTreeMap::new();
        let mut claimed: Vec<(i64, Micros, Arc<Way>)> = Vec::new();
        let mut left: Vec<(i64, Arc<Way>)> = Vec::new();
        for step in steps {
            match step {
                Step::Claim(person) => claimed.push((person, now, room.way(person, now))),
                Step::Ask(person) => {
                    let Some(place) = claimed.iter().position(|claim| claim.0 == person) else { continue };
                    let (_, at, way) = claimed.remove(place);
                    let is_void = now > at + CLAIM_VALID;
                    let may = !is_void && stops.get(&person).is_none_or(|stop| *stop < at);
                    prop_assert_eq!(way.leave(|| !is_void), may);
                    if may {
                        left.push((person, way));
                    }
                }
                Step::Answer(person) => {
                    if let Some(place) = left.iter().position(|message| message.0 == person) {
                        left.remove(place);
                    }
                }
                Step::Stop(people) => {
                    room.stop(&people, now);
                    stops.extend(people.into_iter().map(|person| (person, now)));
                    // People of the same shards, so that it forgets.
                    room.stop(&(0..200).map(|n| 1_000_001 + n * SHARDS).collect::<Vec<_>>(), now);
                }
                Step::Wait(time) => now += time,
            }
            for person in [1, 2, 65, -63] {
                let is_under_way = left.iter().any(|message| message.0 == person);
                prop_assert_eq!(room.any_under_way(&[person]), is_under_way);
            }
        }
    }
}
