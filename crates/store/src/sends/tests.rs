use std::collections::BTreeMap;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::fixture::{Lane, NOW, Shop, assert_tallied, ids, send, sends, stop_of};
use crate::testing::{Database, on_both_databases};

const KEY: SendKey = (1, 2);
const WAMID: &str = "wamid.A";

fn row(state: SendState) -> SendRow {
    SendRow {
        campaign_id: KEY.0,
        contact_id: KEY.1,
        number_id: 3,
        state: state as i16,
        attempt: 1,
        tries: 0,
        not_before: None,
        claimed_at: Some(NOW),
        term: Some(1),
        code: None,
        reason: None,
        held: false,
        expired: false,
        wamid: None,
        accepted_at: None,
        sent_at: None,
        delivered_at: None,
        read_at: None,
        failed_at: None,
        billed: None,
    }
}

/// What Meta says of the attempt, each at its own time; `Accepted` is our own answer.
fn said(event: SendEvent) -> Happening {
    let at = match event {
        SendEvent::Accepted => NOW,
        SendEvent::Status(Status::Sent, _) => NOW + 1_000,
        SendEvent::Status(Status::Delivered, _) => NOW + 2_000,
        SendEvent::Status(Status::Read, _) => NOW + 3_000,
        _ => NOW + 1_500,
    };
    let mut happening = Happening::new(KEY, Some(1), event, at);
    happening.wamid = Some(WAMID.to_owned());
    if let SendEvent::Status(Status::Failed { .. }, _) = event {
        happening.code = Some(131_049);
        happening.not_before = Some(NOW + 60_000);
    }
    happening
}

fn status(status: Status) -> Happening {
    said(SendEvent::Status(status, Current::Yes))
}

/// The row after these events, and the attempts that ended.
fn folded(from: &SendRow, happenings: &[Happening]) -> (SendRow, Vec<PastAttempt>, Applied) {
    let (mut foldings, past, applied) = fold(vec![from.clone()], happenings).unwrap();
    (foldings.remove(&KEY).unwrap().row, past, applied)
}

fn text(row: &SendRow) -> String {
    serde_json::to_string(row).unwrap()
}

fn some_statuses(failed: Status) -> impl Strategy<Value = Vec<Happening>> {
    let one = prop_oneof![Just(Status::Sent), Just(Status::Delivered), Just(Status::Read), Just(failed),];
    proptest::collection::vec(one.prop_map(status), 0..9)
}

fn in_two_orders(failed: Status) -> impl Strategy<Value = (Vec<Happening>, Vec<Happening>)> {
    some_statuses(failed).prop_flat_map(|v| (Just(v.clone()).prop_shuffle(), Just(v).prop_shuffle()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn statuses_leave_the_same_row_in_whatever_order_and_however_often_they_come(
        (one, other) in in_two_orders(Status::Failed { later: false }),
    ) {
        for from in [SendState::Submitting, SendState::InDoubt, SendState::Accepted] {
            prop_assert_eq!(text(&folded(&row(from), &one).0), text(&folded(&row(from), &other).0));
        }
    }

    #[test]
    fn our_own_answer_leaves_the_same_row_wherever_it_comes_among_the_statuses(
        statuses in some_statuses(Status::Failed { later: false }), place in any::<prop::sample::Index>(),
    ) {
        let mut first = vec![said(SendEvent::Accepted)];
        first.extend(statuses.clone());
        let mut later = statuses;
        later.insert(place.index(later.len() + 1), said(SendEvent::Accepted));
        for from in [SendState::Submitting, SendState::InDoubt] {
            prop_assert_eq!(text(&folded(&row(from), &first).0), text(&folded(&row(from), &later).0));
        }
    }

    #[test]
    fn a_failure_that_passes_ends_alike_in_whatever_order_it_comes(
        (one, other) in in_two_orders(Status::Failed { later: true }),
    ) {
        for from in [SendState::Submitting, SendState::InDoubt, SendState::Accepted] {
            let (one, other) = (folded(&row(from), &one).0, folded(&row(from), &other).0);
            prop_assert_eq!(one.state, other.state);
            prop_assert_eq!(&one.wamid, &other.wamid);
            prop_assert_eq!((one.delivered_at, one.read_at), (other.delivered_at, other.read_at));
        }
    }

    #[test]
    fn a_group_does_what_its_events_do_one_by_one(statuses in some_statuses(Status::Failed { later: true })) {
        let whole = folded(&row(SendState::Submitting), &statuses);
        let mut one_by_one = row(SendState::Submitting);
        let mut moved = 0;
        for status in &statuses {
            let (next, _, applied) = folded(&one_by_one, std::slice::from_ref(status));
            one_by_one = next;
            moved += applied.moved;
        }
        prop_assert_eq!(text(&whole.0), text(&one_by_one));
        prop_assert_eq!(whole.2.moved, moved);
    }
}

#[test]
fn a_passing_failure_told_twice_leaves_no_message_id_for_the_next_attempt() {
    let failed = status(Status::Failed { later: true });
    let (row, past, applied) = folded(&row(SendState::Accepted), &[failed.clone(), failed]);
    assert_eq!(row.state().unwrap(), SendState::Planned);
    assert_eq!((row.wamid, row.tries), (None, 1));
    assert_eq!((applied.moved, applied.stayed), (1, 1));
    assert_eq!(past.len(), 1);
}

#[test]
fn a_failure_that_beats_our_own_answer_leaves_its_message_id_with_the_past_attempt() {
    let events = [status(Status::Failed { later: true }), said(SendEvent::Accepted)];
    let (row, past, applied) = folded(&row(SendState::Submitting), &events);
    assert_eq!(row.state().unwrap(), SendState::Planned);
    assert_eq!(past[0].wamid.as_deref(), Some(WAMID));
    assert_eq!(past[0].wamid_hash, Some(wamid_hash(WAMID)));
    assert!(applied.illegal.is_empty(), "the answer is only late: {:?}", applied.illegal);
}

#[test]
fn a_sent_that_comes_after_its_own_failure_does_not_take_the_next_try_away() {
    let (row, ..) = folded(&row(SendState::Accepted), &[status(Status::Failed { later: true }), status(Status::Sent)]);
    assert_eq!(row.state().unwrap(), SendState::Planned);
}

#[test]
fn what_meta_held_and_then_dropped_fails_and_is_never_sent_again() {
    let held = Happening { held: true, ..said(SendEvent::Accepted) };
    let dropped = status(Status::Failed { later: true });
    let (row, past, _) = folded(&row(SendState::Submitting), &[held.clone(), dropped.clone()]);
    assert_eq!((row.state, row.code, past.len()), (SendState::Failed as i16, Some(131_049), 0));
    let released = status(Status::Delivered);
    let (row, ..) = folded(&self::row(SendState::Submitting), &[held, released]);
    assert_eq!((row.state, row.held), (SendState::Delivered as i16, false));
    let (row, ..) = folded(&self::row(SendState::Submitting), &[said(SendEvent::Accepted), dropped]);
    assert_eq!(row.state, SendState::Planned as i16, "what it did not hold may be tried again");
}

#[test]
fn a_last_failure_told_twice_does_not_fail_the_try_that_was_granted() {
    // The caller counts the tries from the row, so the repetition of the last passing failure looks final.
    let events = [status(Status::Failed { later: true }), status(Status::Failed { later: false })];
    let (row, ..) = folded(&row(SendState::Accepted), &events);
    assert_eq!(row.state().unwrap(), SendState::Planned);
}

#[test]
fn what_was_delivered_after_all_is_not_sent_again() {
    let (row, ..) =
        folded(&row(SendState::Accepted), &[status(Status::Failed { later: true }), status(Status::Delivered)]);
    assert_eq!(row.state().unwrap(), SendState::Delivered);
    assert_eq!((row.failed_at, row.code), (None, None));
}

#[test]
fn a_status_that_proves_a_send_left_counts_though_it_was_planned_again() {
    let never_left = Happening::new(KEY, Some(1), SendEvent::NotPosted { back_to_planned: true }, NOW);
    let (row, ..) = folded(&row(SendState::Submitting), &[never_left, status(Status::Sent)]);
    assert_eq!(row.state().unwrap(), SendState::Sent);
}

/// Everything that may be told of a send in the middle of a campaign.
fn any_event(rng: &mut StdRng) -> SendEvent {
    let status = |status| SendEvent::Status(status, Current::Yes);
    let events = [
        SendEvent::Suppressed,
        SendEvent::Ineligible,
        SendEvent::NotPosted { back_to_planned: true },
        SendEvent::NotPosted { back_to_planned: false },
        SendEvent::Unknown,
        SendEvent::Accepted,
        SendEvent::Accepted,
        SendEvent::Accepted,
        SendEvent::Refused { later: true },
        SendEvent::Refused { later: false },
        SendEvent::SettledSent,
        SendEvent::SettledNotSent { replan: true },
        SendEvent::SettledNotSent { replan: false },
        status(Status::Sent),
        status(Status::Delivered),
        status(Status::Read),
        status(Status::Failed { later: true }),
        status(Status::Failed { later: false }),
    ];
    events[rng.random_range(0..events.len())]
}

fn any_happening(rng: &mut StdRng, campaign: i64, rows: &BTreeMap<i64, SendRow>, people: i64) -> Happening {
    let contact = rng.random_range(1..=people + 1);
    let current = rows.get(&contact).map_or(1, |row| row.attempt);
    let event = any_event(rng);
    let of_person = !matches!(event, SendEvent::Status(..));
    let attempt = match rng.random_range(0..10) {
        0 if of_person => None,
        1 | 2 => Some(current - 1),
        3 => Some(current + 1),
        _ => Some(current),
    };
    let mut happening = Happening::new((campaign, contact), attempt, event, NOW + rng.random_range(0..10_000));
    if rng.random_bool(0.7) {
        happening.wamid = attempt.map(|attempt| format!("wamid.{contact}.{attempt}"));
    }
    if rng.random_bool(0.5) {
        happening.code = Some([131_026, 131_049, 130_472][rng.random_range(0..3)]);
    }
    if rng.random_bool(0.5) {
        happening.reason = Some(["why", "because", "نص \u{202e} \" \\ '"][rng.random_range(0..3)].to_owned());
    }
    happening.not_before = rng.random_bool(0.5).then(|| NOW + rng.random_range(0..20_000));
    happening.held = rng.random_bool(0.2);
    // A lane says where it saw it. The wrong number may at worst cost the short way.
    happening.number_id = match rng.random_range(0..10) {
        0..5 => rows.get(&contact).map(|row| row.number_id),
        5 => Some(99),
        _ => None,
    };
    happening
}

/// What a lane writes all day: those of its sends that are on the way were accepted.
fn accepted_by_their_lanes(rng: &mut StdRng, rows: &BTreeMap<i64, SendRow>) -> Vec<Happening> {
    let accepted = |row: &SendRow| {
        let mut happening = Happening::new(
            (row.campaign_id, row.contact_id),
            Some(row.attempt),
            SendEvent::Accepted,
            NOW + row.contact_id,
        );
        happening.wamid = Some(format!("wamid.{}.{}", row.contact_id, row.attempt));
        happening.number_id = Some(row.number_id);
        happening
    };
    let on_the_way = rows.values().filter(|row| row.state == SendState::Submitting as i16);
    on_the_way.filter(|_| rng.random_bool(0.9)).map(accepted).collect()
}

async fn rows(store: &Store) -> BTreeMap<i64, SendRow> {
    sends(store).await.into_iter().map(|row| (row.contact_id, row)).collect()
}

/// Random groups of events between random claims: after each group the rows are what the fold says, and the tallies
/// are what a count says.
async fn many_happenings(db: Database, seed: u64) {
    const PEOPLE: i64 = 25;
    let mut rng = StdRng::seed_from_u64(seed);
    let store = &db.store;
    let shop = Shop::open(store, 2).await;
    let campaign = shop.campaign_to(PEOPLE).await;
    let lanes = [Lane::take(store, shop.numbers[0], "one").await, Lane::take(store, shop.numbers[1], "two").await];
    for round in 0..30 {
        let now = NOW + round * 1_000;
        for lane in &lanes {
            if rng.random_bool(0.7) {
                let limit = rng.random_range(1..6);
                if let Some(batch) = store.next_batch(campaign, lane.number, 6, now).await.unwrap() {
                    lane.try_claim(&batch, limit, now).await;
                }
                lane.claim_due(campaign, now).await;
            }
        }
        if rng.random_bool(0.3) {
            store.forget_claims(lanes[rng.random_range(0..2)].number, 3).await.unwrap();
        }
        if rng.random_bool(0.1) {
            store.stop(&stop_of(rng.random_range(1..=PEOPLE))).await.unwrap();
        }
        assert_tallied(store, campaign).await;
        let before = rows(store).await;
        let mut group = if rng.random_bool(0.5) { accepted_by_their_lanes(&mut rng, &before) } else { Vec::new() };
        if group.is_empty() || rng.random_bool(0.4) {
            let others = rng.random_range(1..20);
            group.extend((0..others).map(|_| any_happening(&mut rng, campaign, &before, PEOPLE)));
        }
        let applied = store.apply(Priority::Urgent, &group).await.unwrap();
        let after = rows(store).await;

        assert_eq!(
            applied.moved + applied.stayed + applied.illegal.len() + applied.unknown.len(),
            group.len(),
            "seed {seed}, round {round}"
        );
        let (expected, _, _) = fold(before.values().cloned().collect(), &group).unwrap();
        for (key, folding) in expected {
            assert_eq!(text(&after[&key.1]), text(&folding.row), "seed {seed}, round {round}");
        }
        for place in &applied.unknown {
            assert_eq!(group[*place].contact_id, PEOPLE + 1);
        }
        for (contact, row) in &before {
            let told: Vec<&Happening> = group.iter().filter(|happening| happening.contact_id == *contact).collect();
            let is_past = |happening: &&Happening| happening.attempt.is_some_and(|attempt| attempt != row.attempt);
            if told.iter().all(is_past) {
                assert_eq!(text(row), text(&after[contact]), "a past attempt moved a send; seed {seed}, round {round}");
            }
            if after[contact].state == 0 {
                assert_eq!(after[contact].wamid, None, "a planned send has no message; seed {seed}, round {round}");
            }
        }
        assert_tallied(store, campaign).await;
    }
    // Every message id leads to the attempt that got it.
    for row in rows(store).await.values() {
        let Some(wamid) = &row.wamid else { continue };
        let found = store.sends_of_wamids(&[wamid]).await.unwrap();
        let found: Vec<(i64, i64)> = found.iter().map(|found| (found.contact_id, found.attempt)).collect();
        assert_eq!(found, [(row.contact_id, row.attempt)], "seed {seed}: {wamid}");
        assert_eq!(wamid, &format!("wamid.{}.{}", row.contact_id, row.attempt), "seed {seed}");
    }
    let kept = store.tally(campaign).await.unwrap();
    store.heal_tallies(campaign).await.unwrap();
    assert_eq!(store.tally(campaign).await.unwrap(), kept, "healing changes nothing where nothing is broken");
    assert_eq!(kept.total(), PEOPLE);
}

on_both_databases! {
    async fn whatever_happens_the_rows_follow_the_fold_and_the_tallies_the_rows(db: Database) {
        many_happenings(db, 1).await;
    }

    async fn whatever_else_happens_the_rows_follow_the_fold_and_the_tallies_the_rows(db: Database) {
        many_happenings(db, rand::random()).await;
    }

    async fn an_illegal_step_leaves_the_row_and_the_tallies_untouched(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(2).await;
        let before = sends(&db.store).await;
        let accepted = Happening::new((campaign, 1), None, SendEvent::Accepted, NOW);
        let unknown = Happening::new((campaign, 99), None, SendEvent::Accepted, NOW);
        let applied = db.store.apply(Priority::Urgent, &[accepted, unknown]).await.unwrap();
        assert_eq!((applied.illegal[0].0, applied.unknown, applied.moved), (0, vec![1], 0));
        let after = sends(&db.store).await;
        assert!(before.iter().zip(&after).all(|(before, after)| text(before) == text(after)));
        assert_tallied(&db.store, campaign).await;
    }

    async fn the_next_attempt_takes_its_own_message_id_and_the_old_one_keeps_leading_to_the_old(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(1).await;
        let lane = shop.lane().await;
        lane.claim(campaign, 1).await;
        let of = |attempt: i64, event, wamid: &str| {
            let mut happening = Happening::new((campaign, 1), Some(attempt), event, NOW);
            happening.wamid = Some(wamid.to_owned());
            happening.not_before = Some(NOW);
            happening
        };
        let failed = SendEvent::Status(Status::Failed { later: true }, Current::Yes);
        for event in [SendEvent::Accepted, failed, failed] {
            db.store.apply(Priority::Urgent, &[of(1, event, "first")]).await.unwrap();
        }
        assert_eq!(lane.claim_due(campaign, NOW).await[0].attempt, 2);
        assert_eq!(send(&db.store, campaign, 1).await.failed_at, None);
        db.store.apply(Priority::Urgent, &[of(2, SendEvent::Accepted, "second")]).await.unwrap();
        let mut found: Vec<(String, i64)> = db.store.sends_of_wamids(&["first", "second", "third"]).await.unwrap()
            .into_iter().map(|found| (found.wamid, found.attempt)).collect();
        found.sort();
        assert_eq!(found, [("first".to_owned(), 1), ("second".to_owned(), 2)]);
        let late = of(1, SendEvent::Status(Status::Read, Current::Yes), "first");
        assert_eq!(db.store.apply(Priority::Urgent, &[late]).await.unwrap().stayed, 1);
        assert_eq!(send(&db.store, campaign, 1).await.state, SendState::Accepted as i16);
        assert_tallied(&db.store, campaign).await;
    }

    async fn plain_acceptances_are_written_as_the_long_way_writes_them(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(300).await;
        let lane = shop.lane().await;
        let claimed = ids(&lane.claim(campaign, 300).await);
        let before = rows(&db.store).await;
        let group: Vec<Happening> = claimed
            .iter()
            .map(|id| {
                let mut happening = Happening::new((campaign, *id), Some(1), SendEvent::Accepted, NOW + id);
                happening.wamid = Some(format!("wamid.{id}.1"));
                happening.number_id = Some(lane.number);
                happening
            })
            .collect();
        let mut tx = db.store.write(Priority::Urgent).await.unwrap();
        let plain = accepted::plain(&group).expect("nothing but plain acceptances");
        assert!(accepted::apply(&mut tx, plain).await.unwrap(), "all of them take the short way");
        tx.commit().await.unwrap();
        let after = rows(&db.store).await;
        let (expected, _, _) = fold(before.values().cloned().collect(), &group).unwrap();
        for (key, folding) in expected {
            assert_eq!(text(&after[&key.1]), text(&folding.row));
        }
        assert_tallied(&db.store, campaign).await;
        // Said again they take the long way, which knows better.
        let again = db.store.apply(Priority::Urgent, &group).await.unwrap();
        assert_eq!((again.moved, again.illegal.len()), (0, 300));
        assert_tallied(&db.store, campaign).await;
    }

    async fn earlier_refusals_are_counted_by_their_code(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(2).await;
        let lane = shop.lane().await;
        for (attempt, code) in [(1, 131_049), (2, 130_429), (3, 131_049)] {
            let claimed = if attempt == 1 { lane.claim(campaign, 1).await } else { lane.claim_due(campaign, NOW).await };
            assert_eq!(ids(&claimed), [1]);
            let refused = SendEvent::Refused { later: true };
            let happening = Happening { code: Some(code), ..Happening::new((campaign, 1), Some(attempt), refused, NOW) };
            db.store.apply(Priority::Urgent, &[happening]).await.unwrap();
        }
        for (person, code, times) in [(1, 131_049, 2), (1, 130_429, 1), (1, 131_056, 0), (2, 131_049, 0)] {
            assert_eq!(db.store.refusals_with((campaign, person), code).await.unwrap(), times, "{person}: {code}");
        }
    }

    async fn groups_that_meet_on_the_same_sends_are_all_counted(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(40).await;
        let lane = shop.lane().await;
        let claimed = ids(&lane.claim(campaign, 40).await);
        let mut tasks = tokio::task::JoinSet::new();
        for (turn, event) in [SendEvent::Accepted, SendEvent::Status(Status::Sent, Current::Yes),
            SendEvent::Status(Status::Delivered, Current::Yes), SendEvent::Status(Status::Read, Current::Yes)]
            .into_iter().enumerate()
        {
            let (store, number) = (db.store.clone(), lane.number);
            let mut people = claimed.clone();
            if turn % 2 == 1 { people.reverse() }
            tasks.spawn(async move {
                for half in people.chunks(20) {
                    let happened = |id: &i64| {
                        let mut happening = Happening::new((campaign, *id), Some(1), event, NOW);
                        happening.wamid = Some(format!("wamid.{id}"));
                        happening.number_id = (event == SendEvent::Accepted).then_some(number);
                        happening
                    };
                    let group: Vec<_> = half.iter().map(happened).collect();
                    store.apply(Priority::Urgent, &group).await.unwrap();
                }
            });
        }
        while let Some(done) = tasks.join_next().await { done.unwrap() }
        assert_tallied(&db.store, campaign).await;
        assert_eq!(db.store.tally(campaign).await.unwrap().read, 40);
    }
}
