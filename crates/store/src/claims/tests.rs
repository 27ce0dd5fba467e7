use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use domain::campaign::CampaignEvent;
use domain::optout::scope::Scope;
use domain::send::SendEvent;

use super::*;
use crate::fixture::{Lane, NOW, Shop, assert_tallied, exec, ids, made, number_of, owner, send, stop, stop_of};
use crate::testing::{Database, entry, on_both_databases};
use crate::{Happening, Stop};

/// What forbids the messages of a shop's first number.
fn marketing() -> Forbidding {
    Forbidding::of("MARKETING", "pnid-0", None)
}

fn of_both_numbers() -> Vec<Scope> {
    ["pnid-0", "pnid-1"].map(|id| Scope::Number(id.into())).to_vec()
}

fn halted(claim: Claim) -> Halt {
    match claim {
        Claim::Halted(halt) => halt,
        Claim::Made { sends, .. } => panic!("{} sends were claimed", sends.len()),
    }
}

/// Opts people out one after another while a lane claims them. For each: what the claims held that began after the
/// stop was acknowledged must not hold them, and the ones before must have been seen.
async fn race(store: &Store, lanes: Vec<Lane>, campaign: i64, people: i64) {
    // Stops of every scope take turns. A stop for one number is for both: which of them sends is not known here.
    let every = [vec![Scope::All], vec![Scope::Marketing], vec![Scope::Brand("Nile".into())], of_both_numbers()];
    let done = Arc::new(AtomicBool::new(false));
    let mut claimers = tokio::task::JoinSet::new();
    for lane in lanes {
        let done = Arc::clone(&done);
        claimers.spawn(async move {
            // What this lane posts: (person, how many stops had been acknowledged when its claim began).
            let mut posted = Vec::new();
            while !done.load(Ordering::SeqCst) {
                let Some(batch) = lane.store.next_batch(campaign, lane.number, 4, NOW).await.unwrap() else { break };
                loop {
                    let (sends, forbidding) = match lane.store.claim(&lane.order(&batch, 0, 2, NOW)).await {
                        Ok(Claim::Made { sends, forbidding, .. }) => (sends, forbidding),
                        Ok(Claim::Halted(halt)) => panic!("halted: {halt:?}"),
                        Err(error) => panic!("{error}"),
                    };
                    if sends.is_empty() {
                        break;
                    }
                    let people = ids(&sends);
                    let suppressed = lane.store.suppressed_among(&people, &forbidding).await.unwrap();
                    let moment = std::time::Instant::now();
                    for send in &sends {
                        let key = (campaign, send.contact_id);
                        let event = if suppressed.contains(&send.contact_id) {
                            SendEvent::NotPosted { back_to_planned: false }
                        } else {
                            posted.push((send.contact_id, moment));
                            SendEvent::Accepted
                        };
                        let happening = Happening::new(key, Some(send.attempt), event, NOW);
                        lane.store.apply(Priority::Urgent, &[happening]).await.unwrap();
                    }
                }
            }
            posted
        });
    }
    let mut acknowledged = Vec::new();
    for person in (1..=people).rev().step_by(2) {
        for scope in &every[usize::try_from(person / 2).unwrap() % every.len()] {
            store.stop(&Stop { scope: scope.clone(), ..stop_of(person) }).await.unwrap();
        }
        while !store.submitting_to(&[person]).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        acknowledged.push((person, std::time::Instant::now()));
    }
    done.store(true, Ordering::SeqCst);
    let mut posted = Vec::new();
    while let Some(lane) = claimers.join_next().await {
        posted.extend(lane.unwrap());
    }
    for (person, at) in acknowledged {
        // The post's moment is taken before its outcome is written, so a stop that saw it submitting waited for it.
        let late = posted.iter().find(|(posted, moment)| *posted == person && *moment > at);
        assert!(late.is_none(), "person {person} was posted to after the stop was acknowledged");
    }
    assert_tallied(store, campaign).await;
}

on_both_databases! {
    async fn a_claim_is_quick_before_the_database_has_counted_the_campaigns_rows(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(8_000).await;
        let lane = shop.lane().await;
        let batch = lane.batch(campaign, 8_000).await;
        let began = std::time::Instant::now();
        for _ in 0..5 {
            assert_eq!(made(lane.try_claim(&batch, 100, NOW).await).len(), 100);
        }
        // One that goes through the campaign once per person takes half a second each.
        assert!(began.elapsed() < Duration::from_millis(1_000), "five claims took {:?}", began.elapsed());
    }

    async fn a_claim_takes_the_next_of_its_range_and_says_who_they_are(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(10).await;
        let lane = shop.lane().await;
        let batch = lane.batch(campaign, 6).await;
        assert_eq!((batch.lo, batch.hi), (1, 6));
        let first = made(lane.try_claim(&batch, 4, NOW).await);
        assert_eq!(ids(&first), [1, 2, 3, 4]);
        assert_eq!((first[0].attempt, first[0].phone, first[0].tries), (1, Some(15_550_000_001), 0));
        let row = send(&db.store, campaign, 1).await;
        assert_eq!((row.state, row.claimed_at, row.term), (1, Some(NOW), Some(lane.token)));
        assert_tallied(&db.store, campaign).await;
        // The rest of the batch, which ends it; and its task may come again.
        let second = db.store.claim(&lane.order(&batch, 4, 4, NOW)).await.unwrap();
        assert!(matches!(&second, Claim::Made { exhausted: true, sends, .. } if ids(sends) == [5, 6]));
        assert!(db.store.batch(batch.id).await.unwrap().is_none());
        assert!(made(lane.try_claim(&batch, 4, NOW).await).is_empty());
        assert_tallied(&db.store, campaign).await;
    }

    async fn whoever_opted_out_is_skipped_by_the_claim(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(5).await;
        let lane = shop.lane().await;
        let batch = lane.batch(campaign, 5).await;
        for person in [2, 5] {
            db.store.stop(&stop_of(person)).await.unwrap();
        }
        let claim = lane.try_claim(&batch, 5, NOW).await;
        assert!(matches!(&claim, Claim::Made { skipped: 2, sends, .. } if ids(sends) == [1, 3, 4]));
        let tally = db.store.tally(campaign).await.unwrap();
        assert_eq!(tally.skipped_by_reason.get(OPTED_OUT), Some(&2));
        assert_tallied(&db.store, campaign).await;
    }

    async fn a_stop_forbids_what_its_scope_says_and_the_rest_goes_on(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        db.store.set_number_brand("pnid-0", Some("Nile"), &entry("scope", NOW)).await.unwrap();
        let list = shop.list("everybody", 1..=7, NOW - 1).await;
        let scopes = ["all", "marketing", "number:pnid-0", "brand:Nile", "number:pnid-1", "brand:Delta"];
        // They stop once it is planned, so that the claim finds it out.
        let (news, receipts) = (shop.campaign("news", &[list]).await, shop.campaign("receipts", &[list]).await);
        exec(&db.store, format!("UPDATE sends SET number_id = {}", shop.numbers[0])).await;
        for (person, scope) in (1..).zip(scopes) {
            db.store.stop(&Stop { scope: scope.parse().unwrap(), ..stop_of(person) }).await.unwrap();
        }
        // A wider stop beside a narrow one.
        db.store.stop(&Stop { scope: Scope::All, source: "manual", ..stop_of(6) }).await.unwrap();
        let lane = Lane::take(&db.store, shop.numbers[0], "one").await;
        assert_eq!(ids(&lane.claim(news, 7).await), [5, 7]);
        exec(&db.store, "UPDATE templates SET category = 'UTILITY'").await;
        assert_eq!(ids(&lane.claim(receipts, 7).await), [2, 3, 4, 5, 7]);
        // What Meta calls marketing in the middle of a campaign is marketing from the next claim on.
        exec(&db.store, "UPDATE templates SET category = 'MARKETING'").await;
        let everybody: Vec<i64> = (1..=7).collect();
        let of = |category| Forbidding::of(category, "pnid-0", Some("Nile"));
        assert_eq!(db.store.suppressed_among(&everybody, &of("MARKETING")).await.unwrap(), [1, 2, 3, 4, 6]);
        assert_eq!(db.store.suppressed_among(&everybody, &of("UTILITY")).await.unwrap(), [1, 6]);
        assert_eq!(db.store.stopped_among(&everybody).await.unwrap(), [1, 2, 3, 4, 5, 6]);
        // The books of an auditor say the same.
        let told = db.store.exclusions(news, 0, 9).await.unwrap();
        let told: Vec<_> = told.iter().map(|row| (row.contact_id, row.scope.as_deref().unwrap())).collect();
        assert_eq!(told, [(1, "all"), (2, "marketing"), (3, "number:pnid-0"), (4, "brand:Nile"), (6, "all")]);
        let sent: Vec<_> = everybody.iter().flat_map(|person| [(news, *person), (receipts, *person)]).collect();
        exec(&db.store, "UPDATE templates SET category = 'UTILITY'").await;
        exec(&db.store, format!("UPDATE sends SET claimed_at = {} WHERE state = 1", NOW + 3_600_000)).await;
        assert_eq!(db.store.claimed_after_stop(&sent, 1_000).await.unwrap(), 0, "each of them could go");
        exec(&db.store, "UPDATE templates SET category = 'MARKETING'").await;
        assert_eq!(db.store.claimed_after_stop(&sent, 1_000).await.unwrap(), 3, "as marketing it could not");
    }

    async fn a_stop_for_one_number_is_found_by_its_claim_where_a_campaign_has_several(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        let list = shop.list("everybody", 1..=2, NOW - 1).await;
        for (person, scope) in [(1, "number:pnid-0"), (2, "marketing")] {
            db.store.stop(&Stop { scope: scope.parse().unwrap(), ..stop_of(person) }).await.unwrap();
        }
        let both = shop.campaign("both", &[list]).await;
        let of_both = db.store.exclusions(both, 0, 9).await.unwrap();
        assert_eq!(of_both.iter().map(|row| row.contact_id).collect::<Vec<_>>(), [2], "by the plan");
        let one = shop.draft("one", &[list], &[], &shop.numbers[..1]).await;
        let audience = db.store.audience(one, NOW).await.unwrap();
        let page = db.store.audience_page(&audience, 0, 9, crate::Detail::Verdicts).await.unwrap();
        assert!(page.iter().all(|person| person.barred() == Some(OPTED_OUT)), "of its only number the plan knows");
        exec(&db.store, format!("UPDATE sends SET number_id = {}", shop.numbers[0])).await;
        let lane = Lane::take(&db.store, shop.numbers[0], "one").await;
        assert!(lane.claim(both, 2).await.is_empty(), "by the claim");
    }

    async fn every_pause_halts_the_next_claim_and_leaves_the_batch_open(db: Database) {
        let store = &db.store;
        let shop = Shop::open(store, 1).await;
        let campaign = shop.campaign_to(3).await;
        let lane = shop.lane().await;
        let batch = lane.batch(campaign, 3).await;
        store.set_paused_all(Some("stop")).await.unwrap();
        assert_eq!(halted(lane.try_claim(&batch, 1, NOW).await), Halt::AllPaused("stop".into()));
        store.set_paused_all(None).await.unwrap();
        store.set_account_stopped(shop.account, Some("token"), NOW).await.unwrap();
        assert_eq!(halted(lane.try_claim(&batch, 1, NOW).await), Halt::AccountStopped("token".into()));
        store.set_account_stopped(shop.account, None, NOW).await.unwrap();
        store.set_number_paused("pnid-0", Some("quality"), NOW).await.unwrap();
        assert_eq!(halted(lane.try_claim(&batch, 1, NOW).await), Halt::NumberPaused("quality".into()));
        store.set_number_paused("pnid-0", None, NOW).await.unwrap();
        for (event, state) in [(CampaignEvent::Paused, CampaignState::Paused), (CampaignEvent::Cancelled, CampaignState::Cancelled)] {
            store.move_campaign(campaign, event, None, None, NOW).await.unwrap();
            assert_eq!(halted(lane.try_claim(&batch, 1, NOW).await), Halt::CampaignNotRunning(Some(state)));
        }
        assert!(store.batch(batch.id).await.unwrap().is_some());
        assert_eq!(store.tally(campaign).await.unwrap().planned, 3);
        assert_tallied(store, campaign).await;
    }

    async fn an_old_owner_claims_nothing_once_the_lane_is_taken_or_given_back(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(4).await;
        let old = shop.lane().await;
        let batch = old.batch(campaign, 4).await;
        assert_eq!(made(old.try_claim(&batch, 1, NOW).await).len(), 1);
        let new = Lane::take(&db.store, old.number, "two").await;
        assert_eq!(halted(old.try_claim(&batch, 1, NOW).await), Halt::LaneLost);
        assert_eq!(made(new.try_claim(&batch, 1, NOW).await).len(), 1);
        db.store.release_lease(&new.name, new.token).await.unwrap();
        assert_eq!(halted(new.try_claim(&batch, 1, NOW).await), Halt::LaneLost);
        let stranger = Lane { name: "lane:99".into(), number: 99, ..new };
        assert_eq!(halted(stranger.try_claim(&batch, 1, NOW).await), Halt::LaneLost);
    }

    async fn what_is_due_is_claimed_oldest_first_and_the_batch_ends_with_it(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(4).await;
        let lane = shop.lane().await;
        lane.claim(campaign, 4).await;
        let again: Vec<_> = [(1, 30), (2, 10), (3, 20), (4, 90)].iter().map(|(person, due)| {
            let mut happening =
                Happening::new((campaign, *person), Some(1), SendEvent::Refused { later: true }, NOW);
            happening.not_before = Some(NOW + due);
            happening
        }).collect();
        db.store.apply(Priority::Urgent, &again).await.unwrap();
        assert_eq!(db.store.feedable().await.unwrap()[0].next_due, Some(NOW + 10));
        let batch = db.store.due_batch(campaign, lane.number, NOW).await.unwrap().unwrap();
        assert!(db.store.due_batch(campaign, lane.number, NOW).await.unwrap().is_none(), "one is open");
        assert_eq!(ids(&made(lane.try_claim(&batch, 2, NOW + 30).await)), [2, 3]);
        let rest = lane.try_claim(&batch, 2, NOW + 30).await;
        assert!(matches!(&rest, Claim::Made { exhausted: true, sends, .. } if ids(sends) == [1]));
        let row = send(&db.store, campaign, 1).await;
        assert_eq!((row.attempt, row.tries, row.not_before, row.code), (2, 1, None, None));
        assert!(lane.claim_due(campaign, NOW + 89).await.is_empty());
        assert_eq!(ids(&lane.claim_due(campaign, NOW + 90).await), [4]);
        assert_tallied(&db.store, campaign).await;
    }

    async fn a_person_without_a_number_is_addressed_by_their_user_id(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(2).await;
        exec(&db.store, "UPDATE contacts SET phone = NULL, phone_key = NULL WHERE id = 1").await;
        exec(&db.store, "INSERT INTO identities (kind, value, contact_id) VALUES (2, 'US.1', 1), (3, 'parent', 1), (2, 'US.2', 2)").await;
        let sends = shop.lane().await.claim(campaign, 2).await;
        assert_eq!((sends[0].phone, sends[0].user_id.as_deref()), (None, Some("US.1")));
        assert_eq!((sends[1].phone, sends[1].user_id.as_deref()), (Some(15_550_000_002), None));
    }

    async fn an_opt_out_that_races_the_claims_is_never_acknowledged_too_early(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        for number in ["pnid-0", "pnid-1"] {
            db.store.set_number_brand(number, Some("Nile"), &entry("scope", NOW)).await.unwrap();
        }
        let campaign = shop.campaign_to(160).await;
        let other = db.second_handle().await;
        let lanes = vec![
            Lane::take(&db.store, shop.numbers[0], "one").await,
            Lane::take(&other, shop.numbers[1], "two").await,
        ];
        race(&db.store, lanes, campaign, 160).await;
    }

    async fn no_claim_of_the_old_owner_is_committed_after_the_lane_was_taken(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let campaign = shop.campaign_to(400).await;
        let first = shop.lane().await;
        let batch = first.batch(campaign, 400).await;
        let token = first.token;
        let claiming = {
            let batch = batch.clone();
            let lane = first.clone();
            tokio::spawn(async move {
                while let Claim::Made { sends, .. } = lane.try_claim(&batch, 3, NOW).await {
                    assert!(!sends.is_empty(), "the lane was never taken");
                }
            })
        };
        tokio::time::sleep(Duration::from_millis(30)).await;
        let second = Lane::take(&db.store, first.number, "two").await;
        let at_the_take = db.store.orphans(first.number, second.token, 1_000).await.unwrap().len();
        tokio::time::sleep(Duration::from_millis(30)).await;
        let later = db.store.orphans(first.number, second.token, 1_000).await.unwrap().len();
        assert_eq!(at_the_take, later, "a claim of the old owner appeared after the take");
        claiming.await.unwrap();
        let terms = db.store.unsettled_terms(first.number, second.token).await.unwrap();
        assert_eq!(terms.iter().map(|term| (term.term, term.owner.as_str())).collect::<Vec<_>>(), [(token, "one")]);
        assert_eq!(terms[0].host, owner("one").host);
    }

    async fn a_claims_note_is_removed_once_nothing_of_it_is_submitting_and_not_before(db: Database) {
        let shop = Shop::open(&db.store, 2).await;
        let campaign = shop.campaign_to(8).await;
        let lanes = [
            Lane::take(&db.store, shop.numbers[0], "one").await,
            Lane::take(&db.store, shop.numbers[1], "one").await,
        ];
        let mine = lanes[0].claim(campaign, 4).await;
        let theirs = lanes[1].claim(campaign, 4).await;
        assert_eq!((mine.len(), theirs.len()), (4, 4));
        let accept = |send: &ClaimedSend| {
            Happening::new((campaign, send.contact_id), Some(send.attempt), SendEvent::Accepted, NOW)
        };
        let first: Vec<Happening> = mine[..3].iter().chain(&theirs).map(accept).collect();
        db.store.apply(Priority::Urgent, &first).await.unwrap();
        assert_eq!(db.store.forget_claims(lanes[0].number, 9).await.unwrap(), 0, "one of them has no answer yet");
        assert_eq!(db.store.in_flight().await.unwrap(), [(lanes[0].number, 1, Some(NOW))]);
        // It never left, and is claimed again: it is in two notes now, and counted once.
        let back = SendEvent::NotPosted { back_to_planned: true };
        let unposted = Happening::new((campaign, mine[3].contact_id), Some(mine[3].attempt), back, NOW);
        db.store.apply(Priority::Urgent, &[unposted]).await.unwrap();
        assert_eq!(ids(&lanes[0].claim_due(campaign, NOW + 1).await), [mine[3].contact_id]);
        assert_eq!(db.store.in_flight().await.unwrap(), [(lanes[0].number, 1, Some(NOW + 1))]);
        assert_eq!(db.store.orphans(lanes[0].number, lanes[0].token + 1, 9).await.unwrap().len(), 1);
        let again = Happening { attempt: Some(2), ..accept(&mine[3]) };
        db.store.apply(Priority::Urgent, &[again]).await.unwrap();
        assert_eq!(db.store.forget_claims(lanes[0].number, 1).await.unwrap(), 1, "no more than it was asked for");
        assert_eq!(db.store.forget_claims(lanes[0].number, 9).await.unwrap(), 1);
        assert_eq!(number_of(&db.store, "SELECT count(*) FROM claims").await, 1, "the other lane's is its own");
        assert_eq!(db.store.forget_claims(lanes[1].number, 9).await.unwrap(), 1);
    }

    async fn a_person_of_two_running_campaigns_is_claimed_by_neither_after_a_stop(db: Database) {
        let shop = Shop::open(&db.store, 1).await;
        let list = shop.list("everybody", 1..=3, NOW - 1).await;
        let (one, two) = (shop.campaign("one", &[list]).await, shop.campaign("two", &[list]).await);
        let lane = shop.lane().await;
        assert_eq!(ids(&lane.claim(one, 1).await), [1]);
        let stopped = db.store.stop(&Stop { phone: Some((15_550_000_001, 15_550_000_001)), ..stop() }).await.unwrap();
        assert_eq!(stopped.contact_ids, [1]);
        let claimed = crate::Submitting { campaign_id: one, contact_id: 1, attempt: 1, number_id: lane.number, term: lane.token };
        assert_eq!(db.store.submitting_to(&[1]).await.unwrap(), [claimed]);
        assert_eq!(db.store.stopped_among(&[1, 2, 3]).await.unwrap(), [1]);
        assert_eq!(ids(&lane.claim(two, 3).await), [2, 3]);
    }
}

/// On PostgreSQL a claim holds the lease until it commits: whoever takes the lane waits for it, and sees it.
#[tokio::test]
async fn on_postgres_a_take_waits_for_a_claim_under_way() {
    let db = Database::postgres().await;
    let shop = Shop::open(&db.store, 1).await;
    let campaign = shop.campaign_to(2).await;
    let lane = shop.lane().await;
    let batch = lane.batch(campaign, 2).await;
    let order = lane.order(&batch, 0, 2, NOW);
    let mut tx = db.store.write(Priority::Urgent).await.unwrap();
    assert_eq!(
        permitted(&mut tx, &order).await.unwrap(),
        Ok(Permitted { people: None, hours: None, forbidding: marketing(), caps: Vec::new(), answers: None })
    );
    let taking = {
        let lane = lane.clone();
        tokio::spawn(async move { Lane::take(&lane.store, lane.number, "two").await })
    };
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!taking.is_finished(), "the lane was taken in the middle of a claim");
    mark_submitting(&mut tx, &order, &[1, 2]).await.unwrap();
    tx.commit().await.unwrap();
    let second = taking.await.unwrap();
    assert_eq!(db.store.orphans(lane.number, second.token, 9).await.unwrap().len(), 2);
}

/// The hole that the second look closes: the claim looked before the opt-out committed, and commits after it.
#[tokio::test]
async fn on_postgres_a_claim_that_did_not_see_the_opt_out_is_caught_by_the_second_look() {
    let db = Database::postgres().await;
    let shop = Shop::open(&db.store, 1).await;
    let campaign = shop.campaign_to(2).await;
    let lane = shop.lane().await;
    let batch = lane.batch(campaign, 2).await;
    let order = lane.order(&batch, 0, 2, NOW);
    let mut tx = db.store.write(Priority::Urgent).await.unwrap();
    let seen = candidates(&mut tx, &order, &marketing()).await.unwrap();
    assert!(seen.iter().all(|send| !send.is_suppressed));
    db.store.stop(&stop_of(1)).await.unwrap();
    assert!(db.store.submitting_to(&[1]).await.unwrap().is_empty(), "so the opt-out is acknowledged");
    mark_submitting(&mut tx, &order, &[1, 2]).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(db.store.suppressed_among(&[1, 2], &marketing()).await.unwrap(), [1], "and the claim drops it");
}

/// Two claims of one owner on the same sends: one of them is given up whole.
#[tokio::test]
async fn on_postgres_two_claims_on_the_same_sends_never_both_succeed() {
    let db = Database::postgres().await;
    let shop = Shop::open(&db.store, 1).await;
    let campaign = shop.campaign_to(6).await;
    let lane = shop.lane().await;
    let batch = lane.batch(campaign, 6).await;
    let order = lane.order(&batch, 0, 3, NOW);
    let (one, two) = tokio::join!(db.store.claim(&order), db.store.claim(&order));
    let claimed: Vec<i64> = [one, two].into_iter().flatten().flat_map(|claim| ids(&made(claim))).collect();
    assert!(!claimed.is_empty());
    let distinct: std::collections::BTreeSet<_> = claimed.iter().collect();
    assert_eq!(claimed.len(), distinct.len(), "{claimed:?}");
    assert_tallied(&db.store, campaign).await;
}

/// An update leaves every index as it is where no column of one changes: PostgreSQL looks at the columns of keys and of
/// conditions alike.
#[tokio::test]
async fn on_postgres_no_index_of_sends_holds_what_a_claim_or_a_status_changes() {
    let db = Database::postgres().await;
    for column in ["state", "attempt", "claimed_at", "term", "accepted_at", "sent_at", "delivered_at", "read_at"] {
        let held = number_of(
            &db.store,
            format!(
                "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = '{column}'
                 WHERE c.relname = 'sends' AND pg_get_indexdef(i.indexrelid) ~ '\\m{column}\\M'"
            ),
        )
        .await;
        assert_eq!(held, 0, "an index holds {column}");
    }
}
