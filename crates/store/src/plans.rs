//! How the databases look up what the send path asks for: by an index, whatever lies in the tables from before. Every
//! statement that the calls below run is written down as it runs, and its plan looked at.

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use domain::campaign::CampaignEvent;
use domain::optout::scope::Forbidding;
use domain::send::{Current, SendEvent, Status};
use tracing::field::{Field, Visit};
use tracing::{Event, Instrument, Metadata};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::db::on;
use crate::fixture::{Lane, NOW, Shop, exec, owner, plan, stop, verdicts};
use crate::testing::{Database, entry};
use crate::wamids::wamid_hash;
use crate::{
    Arrival, Claim, Detail, Doubt, DoubtFilter, Happening, Identity, ImportRow, InboundFilter, KeptSums, NewImport,
    NewInbound, Parked, PlanChunk, Priority, SETTLED_BY_HAND, Stop, Store, UndoBegun,
};

/// Tables that grow with every campaign, person or webhook. Nothing on the send path may read one through.
const GROWING: [&str; 14] = [
    "sends",
    "wamids",
    "past_attempts",
    "campaigns",
    "tallies",
    "contacts",
    "identities",
    "suppressions",
    "list_members",
    "ledger",
    "inbox",
    "inbound",
    "parked_statuses",
    "reached",
];

/// Indexes of what is open or recent: to read one through costs what is open, and nothing for what is over.
const OF_THE_OPEN: [&str; 7] = [
    "sends_doubt",
    "campaigns_alive",
    "campaigns_unplanned",
    "tallies_open",
    "inbox_open",
    "parked_age",
    "ledger_unsealed",
];

/// Writes down the statements that run within the span `watched`.
struct Watch;

static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

#[derive(Default)]
struct Statement {
    whole: String,
    summary: String,
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "db.statement" => self.whole = value.trim().to_owned(),
            "summary" => self.summary = value.to_owned(),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

// sqlx takes the caller's span along to the thread of its SQLite connection.
impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Watch {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "sqlx::query" || metadata.name() == "watched"
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if context.lookup_current().is_none() {
            return;
        }
        let mut statement = Statement::default();
        event.record(&mut statement);
        let text = if statement.whole.is_empty() { statement.summary } else { statement.whole };
        SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(text);
    }
}

/// The statements that the send path runs on this database.
async fn statements_of(store: &Store, shop: &Shop, campaign: i64, lists: &[i64]) -> BTreeSet<String> {
    static WATCH: OnceLock<()> = OnceLock::new();
    static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    WATCH.get_or_init(|| tracing_subscriber::registry().with(Watch).init());
    let _alone = ONE_AT_A_TIME.lock().await;
    SEEN.lock().unwrap().clear();
    walk(store, shop, campaign, lists).instrument(tracing::debug_span!("watched")).await;
    let mut seen = std::mem::take(&mut *SEEN.lock().unwrap());
    // Transactions begin and end, connections open.
    seen.retain(|text| ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].iter().any(|verb| text.starts_with(verb)));
    seen
}

/// Everything that happens while a campaign runs, once.
async fn walk(store: &Store, shop: &Shop, campaign: i64, lists: &[i64]) {
    let lane = Lane::take(store, shop.numbers[0], "one").await;
    // Feeding and claiming.
    store.feedable().await.unwrap();
    store.depths(NOW).await.unwrap();
    store.rate_caps(lane.number).await.unwrap();
    store.inbound_since(lane.number, NOW).await.unwrap();
    store.asleep(campaign, NOW).await.unwrap();
    store.next_of_spread(campaign, lane.number).await.unwrap();
    store.keep_next_of_spread(campaign, lane.number, NOW).await.unwrap();
    let batch = lane.batch(campaign, 100).await;
    store.mark_pushed(&[batch.id], NOW).await.unwrap();
    store.lane_batches(lane.number).await.unwrap();
    store.queued(campaign).await.unwrap();
    store.stop(&Stop { phone: Some((15_550_000_002, 15_550_000_002)), ..stop() }).await.unwrap();
    let claimed = crate::fixture::ids(&crate::fixture::made(lane.try_claim(&batch, 90, NOW).await));
    // Under a cap, with an old campaign that counts.
    exec(store, format!("UPDATE campaigns SET finished_at = {NOW} WHERE name = 'old 1'")).await;
    store.set_house_frequency_cap(Some("9/7d".parse().unwrap())).await.unwrap();
    lane.claim_due(campaign, NOW + 1_000_000).await;
    let audience = store.audience(campaign, NOW).await.unwrap();
    store.audience_page(&audience, 0, 50, Detail::Verdicts).await.unwrap();
    store.set_house_frequency_cap(None).await.unwrap();
    // A person of the campaign who waits for the end of a blackout day, and is looked at again.
    exec(store, format!("UPDATE sends SET not_before = {}, reason = 'blackout:UTC:x' WHERE campaign_id = {campaign} AND contact_id = 99 AND state = 0", NOW + 9)).await;
    store.wake_from_blackouts(campaign, lane.number, NOW).await.unwrap();
    store.hours(campaign).await.unwrap();
    store.canary_tally(campaign, 100).await.unwrap();
    store.places_coming_free(lane.number, NOW).await.unwrap();
    store.suppressed_among(&claimed, &Forbidding::of("MARKETING", "pnid-0", None)).await.unwrap();
    store.submitting_to(&claimed).await.unwrap();
    // Outcomes.
    let told: Vec<_> = claimed
        .iter()
        .map(|person| {
            let event = match person % 3 {
                0 => SendEvent::Accepted,
                1 => SendEvent::Unknown,
                _ => SendEvent::Refused { later: true },
            };
            Happening {
                wamid: Some(format!("new.{person}")),
                number_id: Some(lane.number),
                ..Happening::new((campaign, *person), Some(1), event, NOW)
            }
        })
        .collect();
    // As a lane's outcomes are written: the acceptances by themselves.
    let (plain, others): (Vec<_>, Vec<_>) = told.into_iter().partition(Happening::is_plain_acceptance);
    let nothing_overruled =
        |_: &Happening| -> crate::Result<crate::NewEntry> { unreachable!("nobody settled anything") };
    store.apply_with_evidence(Priority::Urgent, &plain, nothing_overruled).await.unwrap();
    store.apply(Priority::Urgent, &others).await.unwrap();
    store.send((campaign, claimed[0])).await.unwrap();
    store.refusals_with((campaign, claimed[0]), 131_049).await.unwrap();
    store.tally(campaign).await.unwrap();
    store.export_page(campaign, 5, 10).await.unwrap();
    store.report_page(campaign, 5, 10).await.unwrap();
    store.replies_between(campaign, 5, 15).await.unwrap();
    let sums = KeptSums { as_of: NOW, took: 1, stamp: String::new(), sums: "{}".into() };
    store.keep_sums(campaign, &sums).await.unwrap();
    store.kept_sums(campaign).await.unwrap();
    // What an owner left behind, and doubts.
    store.orphans(lane.number, lane.token + 1, 10).await.unwrap();
    store.unsettled_terms(lane.number, lane.token + 1).await.unwrap();
    let doubts = store.doubts(&DoubtFilter::ALL, Some((NOW - 1, 1, 1)), 10).await.unwrap();
    let settled = |doubt: &Doubt| {
        let key = (doubt.campaign_id, doubt.contact_id);
        let event = SendEvent::SettledNotSent { replan: false };
        let happening = Happening { reason: Some(SETTLED_BY_HAND.into()), ..Happening::new(key, None, event, NOW) };
        (happening, entry("settled", NOW))
    };
    store.settle(doubts.iter().map(settled).collect()).await.unwrap();
    let event = SendEvent::Status(Status::Sent, Current::Yes);
    let overruled = Happening::new((campaign, doubts[0].contact_id), Some(1), event, NOW);
    let evidence = |_: &Happening| Ok::<_, crate::Error>(entry("overruled", NOW));
    let applied = store.apply_with_evidence(Priority::Urgent, &[overruled], evidence).await.unwrap();
    assert_eq!(applied.overruled, [0]);
    store.doubt_count().await.unwrap();
    store.doubts_to("pnid-0", 15_550_000_001, NOW).await.unwrap();
    store.in_flight().await.unwrap();
    store.forget_claims(lane.number, 10).await.unwrap();
    // Webhooks.
    let told = Stop {
        phone: Some((15_550_000_005, 15_550_000_005)),
        user_id: Some("US.5".into()),
        quoted_wamid: Some("old.1.5".into()),
        ..stop()
    };
    let arrival = Arrival {
        account_id: 1,
        received_at: NOW,
        body_hash: [7; 32],
        signature: String::new(),
        body: vec![1],
        stops: vec![told],
    };
    store.keep_arrivals(&[arrival]).await.unwrap();
    store.inbox_depth().await.unwrap();
    let waiting = store.waiting_bodies(10, 1_000_000).await.unwrap();
    store.mark_applied(&[waiting[0].id], &[], NOW).await.unwrap();
    store.forget_arrivals(NOW - 1, 10).await.unwrap();
    let accepted = claimed.iter().find(|person| *person % 3 == 0).expect("every third was accepted");
    let read = |person: &i64| {
        let event = SendEvent::Status(Status::Read, Current::Yes);
        Happening::new((campaign, *person), Some(1), event, NOW)
    };
    // Those that were not accepted are left for the long way.
    let left = store.apply_progress(Priority::Soon, &claimed.iter().map(read).collect::<Vec<_>>()).await.unwrap();
    assert!(!left.is_empty() && left.len() < claimed.len());
    let wamids = ["old.1.5".to_owned(), format!("new.{accepted}")];
    let wamids: Vec<&str> = wamids.iter().map(String::as_str).collect();
    assert_eq!(store.sends_of_wamids(&wamids).await.unwrap().len(), 2);
    store.learn_identities(&[Identity { kind: 2, value: "US.6".into(), contact_id: 6 }]).await.unwrap();
    store.suppression(Some(15_550_000_005), Some("US.5")).await.unwrap();
    let parked = Parked {
        wamid: "x".into(),
        status: "sent".into(),
        account_id: 1,
        phone_number_id: None,
        recipient: None,
        event: "{}".into(),
        at: NOW,
        parked_at: NOW,
    };
    store.park(&[parked]).await.unwrap();
    store.parked_after((0, "", ""), 10).await.unwrap();
    store.unpark(&[("x".into(), "sent".into())]).await.unwrap();
    store.forget_parked(NOW, 10).await.unwrap();
    let inbound = NewInbound {
        wamid: "in".into(),
        account_id: 1,
        phone_key: Some(15_550_009_999),
        user_id: Some("US.9999".into()),
        kind: "text".into(),
        detail: "{}".into(),
        opens: true,
        at: NOW,
        received_at: NOW,
        ..NewInbound::default()
    };
    store.keep_inbound(&[inbound]).await.unwrap();
    // Who wrote, and whether they may be answered.
    store.last_campaign_to(5, lane.number, (NOW - 7 * 86_400_000, NOW)).await.unwrap();
    store.adopt_inbound(5).await.unwrap();
    store.heard_of_stranger(Some(15_550_009_999), Some("US.9999")).await.unwrap();
    store.replies_of_stranger(Some(15_550_009_999), Some("US.9999")).await.unwrap();
    store.heard_at(5, lane.number).await.unwrap();
    store.heard_of(5).await.unwrap();
    store.is_of("in", 5, lane.number).await.unwrap();
    for filter in [
        InboundFilter::default(),
        InboundFilter { campaign_id: Some(campaign), ..InboundFilter::default() },
        InboundFilter { number_id: Some(lane.number), ..InboundFilter::default() },
        InboundFilter { contact_id: Some(5), ..InboundFilter::default() },
    ] {
        store.inbound_page(filter, i64::MAX, 10).await.unwrap();
    }
    // Under a messaging limit.
    shop.sync_limit(Some(1_000), NOW).await;
    store.count_reached(shop.account, NOW).await.unwrap();
    let batch = lane.batch(campaign, 20).await;
    let limited = crate::fixture::made(lane.try_claim(&batch, 9, NOW).await);
    let unposted = SendEvent::NotPosted { back_to_planned: true };
    let back = Happening::new((campaign, limited[0].contact_id), Some(1), unposted, NOW);
    store.apply(Priority::Urgent, &[back]).await.unwrap();
    store.limit_of(lane.number, NOW).await.unwrap();
    shop.limit(Some(1), NOW).await;
    assert!(matches!(lane.try_claim(&batch, 9, NOW).await, Claim::Halted(_)));
    shop.sync_limit(None, NOW).await;
    // The scheduler.
    store.campaigns_alive().await.unwrap();
    store.finished_with_open().await.unwrap();
    for (name, lists, excluded) in [("next", &lists[..2], &lists[2..]), ("after", &lists[1..], &lists[..1])] {
        let next = shop.draft(name, lists, excluded, &shop.numbers).await;
        shop.launch(next, NOW).await;
        let audience = store.audience(next, NOW).await.unwrap();
        store.audience_page(&audience, 600, 50, Detail::Verdicts).await.unwrap();
        let page = store.audience_page(&audience, 0, 50, Detail::Fields).await.unwrap();
        let (through, people) = (page.last().unwrap().contact_id, verdicts(&page, None));
        let chunk = PlanChunk { campaign_id: next, after: 0, through, last: false, people: &people };
        assert!(store.plan_chunk(&chunk).await.unwrap().is_some());
        store.move_campaign(next, CampaignEvent::Cancelled, None, None, NOW).await.unwrap();
        store.skip_planned(next, "cancelled", 10).await.unwrap();
    }
    let one = shop.draft("one list", &lists[..1], &[], &shop.numbers).await;
    store.audience_page(&store.audience(one, NOW).await.unwrap(), 10, 50, Detail::Fields).await.unwrap();
    store.keep_check(one, "{}").await.unwrap();
    assert_eq!(store.kept_check(one).await.unwrap().as_deref(), Some("{}"));
    store.audience_marks().await.unwrap();
    for filter in FILTERS {
        let filter = filter.parse().unwrap();
        let audience = store.audience_of(&lists[..2], &lists[2..], Some(&filter), NOW).await.unwrap();
        let page = store.audience_page(&audience, 10, 50, Detail::Verdicts).await.unwrap();
        assert_eq!(page.len(), 50);
    }
    store.history_marks().await.unwrap();
    walk_imports(store, lists[0]).await;
    store.beat(&lane.name, lane.token, "{}", NOW).await.unwrap();
    store.take_lease(&lane.name, Some(lane.number), &owner("two"), Some((1, 1)), NOW).await.unwrap();
    let late = SendEvent::Status(Status::Read, Current::Yes);
    store.apply(Priority::Urgent, &[Happening::new((campaign, claimed[0]), Some(1), late, NOW)]).await.unwrap();
}

/// Filters that ask for everything that there is to ask for.
const FILTERS: [&str; 7] = [
    "city = Cairo and points >= 3 and (day < 2026-01-01 or name contains o) and language in (ar, en)",
    "messaged within 30 days",
    "read campaign \"old 1\" or replied to campaign \"old 1\"",
    "read last campaign",
    "replied and not replied within 9 days",
    "joined since 2026-01-01 and country = US",
    "never opted out",
];

/// An import that begins while others ran before, is interrupted and undone.
async fn walk_imports(store: &Store, list_id: i64) {
    store.unfinished_imports().await.unwrap();
    let owner = owner("importer");
    let new = NewImport {
        list_id,
        list_name: "all",
        file_name: "people.csv",
        actor: "cli:amr",
        opt_in_source: "shop",
        opt_in_wording: "",
        opt_in_at: None,
        region: None,
        owner: &owner,
        now: NOW + 1_000_000,
    };
    let id = store.begin_import(new).await.unwrap().unwrap();
    store.beat_import(id).await.unwrap();
    store.interrupt_import(id, 1, "gone", NOW).await.unwrap();
    // People whom it brought and changed.
    exec(
        store,
        format!("UPDATE list_members SET import_id = {id} WHERE list_id = {list_id} AND contact_id BETWEEN 20 AND 40"),
    )
    .await;
    exec(store, format!("UPDATE contacts SET import_id = {id} WHERE id BETWEEN 1990 AND 2000")).await;
    exec(store, format!("UPDATE imports SET contacts_before = 1980 WHERE id = {id}")).await;
    exec(
        store,
        format!(
            "INSERT INTO import_changes (import_id, contact_id, attributes, updated_at)
             SELECT {id}, id, '{{}}', 1 FROM contacts WHERE id BETWEEN 30 AND 50"
        ),
    )
    .await;
    // A later one that changed and met some of them.
    exec(
        store,
        format!(
            "INSERT INTO imports (list_id, list_name, state, actor, opt_in_source, started_at, finished_at, updated, unchanged)
             VALUES ({list_id}, 'all', 'done', 'cli:amr', 'shop', {at}, {at}, 1, 1)",
            at = NOW + 2_000_000
        ),
    )
    .await;
    let import = store.import(id).await.unwrap().unwrap();
    assert!(!store.uses_of_import(&ImportRow { started_at: 0, ..import.clone() }, false).await.unwrap().is_empty());
    assert_eq!(store.begin_undo(id).await.unwrap(), UndoBegun::Yes { resumed: false });
    store.give_up_undo(id).await.unwrap();
    store.begin_undo(id).await.unwrap();
    let undone = store.undo_import(&import, |_| entry("opt-in", NOW)).await.unwrap();
    assert_eq!((undone.left_list, undone.stayed), (21, 11));
    store.end_undo(id, &entry("import-undone", NOW)).await.unwrap();
}

/// A shop after some years, in small: old campaigns, their messages, and one that runs.
async fn with_history(store: &Store) -> (Shop, i64, Vec<i64>) {
    let shop = Shop::open(store, 2).await;
    let lists = vec![
        shop.list("all", 1..=2_000, NOW - 1).await,
        shop.list("some", 500..=900, NOW - 1).await,
        shop.list("others", 700..=2_000, NOW - 1).await,
    ];
    for old in 0..6 {
        shop.campaign(&format!("old {old}"), &lists[..1]).await;
    }
    exec(store, "UPDATE sends SET state = 6, attempt = 1, wamid = 'old.' || campaign_id || '.' || contact_id").await;
    exec(store, "INSERT INTO wamids SELECT contact_id * 1000 + campaign_id, campaign_id, contact_id FROM sends").await;
    exec(store, format!("INSERT INTO wamids VALUES ({}, 1, 5)", wamid_hash("old.1.5"))).await;
    exec(store, "UPDATE campaigns SET state = 5").await;
    exec(store, "DELETE FROM tallies WHERE state = 0").await;
    exec(
        store,
        "INSERT INTO past_attempts (campaign_id, contact_id, attempt, wamid, wamid_hash, at)
         SELECT campaign_id, contact_id, 0, 'past', contact_id * 1000 + campaign_id, 1 FROM sends WHERE contact_id % 3 = 0",
    )
    .await;
    exec(
        store,
        "INSERT INTO identities (kind, value, contact_id) SELECT 1, id, id FROM contacts WHERE id > 100"
            .replace("1, id,", "1, CAST(id AS TEXT),"),
    )
    .await;
    exec(store, "INSERT INTO suppressions (contact_id, scope, since, source) SELECT id, 'all', 1, 'test' FROM contacts WHERE id > 1500").await;
    let numbers = if store.is_embedded() {
        "WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 1000) "
    } else {
        "WITH i AS (SELECT generate_series(1, 1000) AS n) "
    };
    let hash = if store.is_embedded() { "CAST(n AS BLOB)" } else { "decode(md5(CAST(n AS TEXT)), 'hex')" };
    for insert in [
        format!("INSERT INTO inbox (account_id, received_at, body_hash, signature, applied_at) SELECT 1, n, {hash}, 's', 1 FROM i"),
        "INSERT INTO reached (contact_id, portfolio, at) SELECT n, 'account:9', n FROM i".into(),
        "INSERT INTO parked_statuses (wamid, status, account_id, event, at, parked_at) SELECT CAST(n AS TEXT), 'sent', 1, '{}', n, n FROM i".into(),
        "INSERT INTO inbound (wamid, account_id, kind, detail, at, received_at) SELECT CAST(n AS TEXT), 1, 'text', '{}', n, n FROM i".into(),
        "INSERT INTO ledger (at, kind, actor, detail, salt, commitment, sealed_seq) SELECT n, 'x', 'x', '{}', '', '', n FROM i".into(),
    ] {
        exec(store, format!("{numbers}{insert}")).await;
    }
    if !store.is_embedded() {
        // Last counted before the campaign that runs was planned.
        exec(store, "ANALYZE").await;
    }
    let campaign = shop.draft("running", &lists[..1], &[], &shop.numbers).await;
    shop.launch(campaign, NOW).await;
    plan(store, campaign, 1_000, None).await;
    exec(store, format!("UPDATE sends SET not_before = {NOW} WHERE campaign_id = {campaign} AND contact_id > 1900"))
        .await;
    (shop, campaign, lists)
}

/// The other names under which a statement reads a table.
fn aliases(statement: &str, table: &str) -> BTreeSet<String> {
    const KEYWORDS: [&str; 18] = [
        "on",
        "where",
        "join",
        "left",
        "cross",
        "set",
        "order",
        "group",
        "limit",
        "union",
        "for",
        "as",
        "values",
        "and",
        "inner",
        "using",
        "returning",
        "or",
    ];
    let words: Vec<String> = statement
        .split(|letter: char| !(letter.is_alphanumeric() || letter == '_' || letter == ')' || letter == '('))
        .filter(|word| !word.is_empty())
        .map(|word| word.trim_start_matches('(').trim_end_matches(')').to_lowercase())
        .collect();
    let mut names = BTreeSet::from([table.to_owned()]);
    for pair in words.windows(2) {
        if pair[0] == table && !pair[1].is_empty() && !KEYWORDS.contains(&pair[1].as_str()) {
            names.insert(pair[1].clone());
        }
    }
    names
}

/// What is asked when a campaign is launched, when a portfolio gets its first limit, and when an import is undone: once,
/// and never while the writer is held.
fn is_read_once(statement: &str) -> bool {
    const ONCE: [&str; 5] = [
        // How many of an import's people a campaign wrote to, through its list.
        "SELECT count(*) FROM list_members m JOIN sends s",
        "SELECT count(*) FROM import_changes i",
        // How far history has come, by the tallies of all campaigns and the messages of all people.
        "SELECT CAST(state AS BIGINT), CAST(sum(n) AS BIGINT) FROM tallies",
        "SELECT count(*) FROM inbound",
        // Who of all people wrote to us.
        "SELECT DISTINCT contact_id FROM inbound",
    ];
    if ONCE.iter().any(|once| statement.starts_with(once)) {
        return true;
    }
    statement.starts_with("SELECT count(*) FROM (SELECT contact_id FROM list_members")
        || statement.starts_with("SELECT k.id FROM campaigns k JOIN accounts a")
        || statement.starts_with("UPDATE portfolios SET counted")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite_nothing_on_the_send_path_reads_a_growing_table_through() {
    let db = Database::sqlite().await;
    let (shop, campaign, lists) = with_history(&db.store).await;
    let statements = statements_of(&db.store, &shop, campaign, &lists).await;
    assert!(statements.len() > 60, "{}", statements.len());
    let is_short_way =
        |statement: &&String| statement.contains("s.wamid IS NULL") || statement.contains("accepted_at IS NULL");
    assert!(statements.iter().any(|statement| is_short_way(&statement)), "acceptances take the long way");
    let mut wrong = Vec::new();
    for statement in &statements {
        let mut link = db.store.read().await.unwrap();
        let sql = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        let Ok(rows): Result<Vec<(i64, i64, i64, String)>, _> =
            on!(&mut link, c => sqlx::query_as(sql).fetch_all(c).await)
        else {
            panic!("no plan of {statement}");
        };
        if is_read_once(statement) {
            continue;
        }
        let growing: BTreeSet<String> = GROWING.iter().flat_map(|table| aliases(statement, table)).collect();
        let is_by_campaign: BTreeSet<String> =
            ["sends", "past_attempts"].iter().flat_map(|table| aliases(statement, table)).collect();
        for (.., line) in &rows {
            let Some((way, rest)) = line.split_once(' ') else { continue };
            let name = rest.split(' ').next().unwrap_or_default();
            let is_whole_table = way == "SCAN"
                && growing.contains(name)
                && !OF_THE_OPEN.iter().any(|index| rest.ends_with(&format!("INDEX {index}")));
            // All that a campaign ever had is as much as a table.
            let is_whole_campaign =
                way == "SEARCH" && is_by_campaign.contains(name) && rest.ends_with("PRIMARY KEY (campaign_id=?)");
            if is_whole_table || is_whole_campaign {
                wrong.push(format!("{line}\n    in {statement}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Whether an index's condition leads to single rows, or to a range of the caller's choice.
fn is_by_key(table: &str, index: &str, condition: &str) -> bool {
    match table {
        "sends" if index.ends_with("sends_later") => condition.contains("campaign_id = "),
        "sends" | "past_attempts" => condition.contains("contact_id ") || condition.contains("wamid_hash = "),
        "identities" => condition.contains("value = ") || condition.contains("contact_id = "),
        "list_members" => condition.contains("contact_id "),
        _ => condition.contains("Index Cond"),
    }
}

/// How little PostgreSQL may know of the tables as it plans a statement, which it does not plan again until they are
/// counted (ANALYZE) the next time.
const KNOWN: [(&str, &str); 3] = [
    // The same shop after a thousand times as long: the planner reckons with so many rows on each page.
    ("years", "UPDATE pg_class SET reltuples = reltuples * 1000 WHERE relname IN ({growing})"),
    // Nothing was ever counted: the first campaign of a new shop.
    (
        "nothing",
        "DELETE FROM pg_statistic; UPDATE pg_class SET reltuples = -1, relpages = 0 WHERE relname IN ({growing})",
    ),
    // Nothing but campaigns to three people, until now.
    (
        "tiny campaigns",
        "INSERT INTO sends (campaign_id, contact_id, number_id, state)
             SELECT g / 3 + 1000, g, 1, 6 FROM generate_series(1, 30000) g;
         ANALYZE",
    ),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_nothing_on_the_send_path_reads_a_growing_table_through() {
    let db = Database::postgres().await;
    let (shop, campaign, lists) = with_history(&db.store).await;
    let statements = statements_of(&db.store, &shop, campaign, &lists).await;
    assert!(statements.len() > 60, "{}", statements.len());
    let is_short_way =
        |statement: &&String| statement.contains("s.wamid IS NULL") || statement.contains("accepted_at IS NULL");
    assert!(statements.iter().any(|statement| is_short_way(&statement)), "acceptances take the long way");
    let growing = format!("'{}'", GROWING.join("', '"));
    let mut wrong = Vec::new();
    for (name, sql) in KNOWN {
        let mut link = db.store.read().await.unwrap();
        let sql = sqlx::AssertSqlSafe(sql.replace("{growing}", &growing));
        on!(&mut link, c => sqlx::raw_sql(sql).execute(c).await.map(drop)).unwrap();
        drop(link);
        for statement in &statements {
            if is_read_once(statement) {
                continue;
            }
            let plan = plan_of(&db.store, statement).await;
            wrong.extend(
                read_through(&plan)
                    .map(|line| format!("knowing {name}: {line}\n    in {statement}\n{}", plan.join("\n"))),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// How PostgreSQL would run it, without its arguments.
async fn plan_of(store: &Store, statement: &str) -> Vec<String> {
    let count = (1..=30).rev().find(|n| statement.contains(&format!("${n}"))).unwrap_or(0);
    let nulls = vec!["NULL"; count].join(", ");
    let arguments = if count == 0 { String::new() } else { format!("({nulls})") };
    let mut link = store.read().await.unwrap();
    // The type of an argument that is not used, or only held against NULL, cannot be told from the statement.
    let is_untyped = statement.contains("$1 IS NULL") || (1..count).any(|n| !statement.contains(&format!("${n}")));
    let types = if is_untyped { format!("({})", vec!["bigint"; count].join(", ")) } else { String::new() };
    let prepare = sqlx::AssertSqlSafe(format!("DEALLOCATE ALL; PREPARE p{types} AS {statement}"));
    if let Err(error) = on!(&mut link, c => sqlx::raw_sql(prepare).execute(c).await.map(drop)) {
        panic!("no plan of {statement}: {error}");
    }
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN EXECUTE p{arguments}"));
    on!(&mut link, c => sqlx::raw_sql(explain).fetch_all(c).await
        .map(|rows| rows.iter().map(|row| sqlx::Row::get::<String, _>(row, 0)).collect::<Vec<_>>()))
    .unwrap()
}

/// The first line of a plan that goes through more of a growing table than the statement asks for.
fn read_through(plan: &[String]) -> Option<&str> {
    plan.iter().enumerate().find_map(|(place, line)| {
        let (scan, rest) = line.split_once(" on ")?;
        let name = rest.split(' ').next().unwrap_or_default();
        // A bitmap is made of an index, which is named after its table.
        let table = if scan.contains("Bitmap Index Scan") {
            GROWING.into_iter().find(|table| name.starts_with(table))?
        } else {
            name
        };
        // A few rows are read through sooner than looked up.
        if !GROWING.contains(&table) || ["campaigns", "tallies"].contains(&table) || !scan.contains("Scan") {
            return None;
        }
        let index = if scan.contains("Bitmap Index Scan") { name } else { scan };
        let by_key = plan[place + 1..]
            .iter()
            .find(|next| next.contains("Index Cond") || next.contains("->"))
            .is_some_and(|next| is_by_key(table, index, next));
        let of_the_open = OF_THE_OPEN.iter().any(|open| index.ends_with(open));
        let is_wrong = scan.contains("Seq Scan") || !scan.contains("Bitmap Heap Scan") && !by_key && !of_the_open;
        is_wrong.then(|| line.trim())
    })
}
