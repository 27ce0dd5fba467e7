//! A shop with numbers, people, lists and running campaigns: what the tests of the send path stand on.

use std::ops::RangeInclusive;

use domain::campaign::{CampaignEvent, CampaignState};
use domain::optout::scope::Scope;

use crate::db::on;
use crate::testing::{account, entry};
use crate::{
    AudienceRow, Batch, Claim, ClaimOrder, ClaimedSend, Detail, Frozen, Moved, NewCampaign, Owner, PlanChunk, Priority,
    SendRow, Stop, Store, SyncedNumber, SyncedTemplate, Verdict,
};

/// When everything happens, unless a test says otherwise. Epoch ms.
pub(crate) const NOW: i64 = 1_800_000_000_000;

/// Runs a statement of a test.
pub(crate) async fn exec(store: &Store, sql: impl Into<String>) -> u64 {
    let mut tx = store.write(Priority::Urgent).await.unwrap();
    let sql = sqlx::AssertSqlSafe(sql.into());
    let done = on!(&mut tx, c => sqlx::query(sql).execute(c).await.map(|done| done.rows_affected())).unwrap();
    tx.commit().await.unwrap();
    done
}

/// The only number that a statement of a test gives.
pub(crate) async fn number_of(store: &Store, sql: impl Into<String>) -> i64 {
    let mut link = store.read().await.unwrap();
    let sql = sqlx::AssertSqlSafe(sql.into());
    on!(&mut link, c => sqlx::query_scalar(sql).fetch_one(c).await).unwrap()
}

/// An account with a template and numbers.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    pub store: Store,
    pub account: i64,
    pub template: i64,
    pub numbers: Vec<i64>,
}

impl Shop {
    pub(crate) async fn open(store: &Store, numbers: usize) -> Self {
        let account = account(store, "shop").await;
        let synced: Vec<_> = (0..numbers).map(|index| number(&format!("pnid-{index}"))).collect();
        store.sync_numbers(account, &synced, NOW).await.unwrap();
        let template = SyncedTemplate {
            meta_id: "1".into(),
            name: "hello".into(),
            language: "en".into(),
            status: "APPROVED".into(),
            category: "MARKETING".into(),
            parameter_format: "POSITIONAL".into(),
            quality: String::new(),
            components: "[]".into(),
            ttl_seconds: None,
        };
        store.sync_templates(account, &[template], NOW).await.unwrap();
        let template = store.templates().await.unwrap()[0].id;
        let numbers = store.numbers().await.unwrap().into_iter().map(|number| number.id).collect();
        Self { store: store.clone(), account, template, numbers }
    }

    /// A list of people, who are made as needed; they came at `added_at`.
    pub(crate) async fn list(&self, name: &str, people: RangeInclusive<i64>, added_at: i64) -> i64 {
        let id = self.store.ensure_list(name, NOW).await.unwrap();
        let (from, to) = (people.start(), people.end());
        let ids = if self.store.is_embedded() {
            format!("WITH RECURSIVE i(id) AS (SELECT {from} UNION ALL SELECT id + 1 FROM i WHERE id < {to}) ")
        } else {
            format!("WITH i AS (SELECT generate_series({from}::bigint, {to}::bigint) AS id) ")
        };
        exec(
            &self.store,
            format!(
                "{ids} INSERT INTO contacts (id, phone_key, phone, name, created_at, updated_at)
                 SELECT id, 15550000000 + id % 1000000000, 15550000000 + id % 1000000000, 'Made Up', {NOW}, {NOW}
                 FROM i WHERE true ON CONFLICT DO NOTHING"
            ),
        )
        .await;
        if !self.store.is_embedded() && *to < 1_000_000_000_000 {
            // People who turn up later get ids of their own.
            number_of(
                &self.store,
                "SELECT setval(pg_get_serial_sequence('contacts', 'id'), (SELECT max(id) FROM contacts))",
            )
            .await;
        }
        exec(
            &self.store,
            format!(
                "{ids} INSERT INTO list_members (list_id, contact_id, added_at)
                 SELECT {id}, id, {added_at} FROM i WHERE true ON CONFLICT DO NOTHING"
            ),
        )
        .await;
        id
    }

    pub(crate) async fn draft(&self, name: &str, lists: &[i64], excluded_lists: &[i64], numbers: &[i64]) -> i64 {
        let new = NewCampaign {
            name,
            account_id: self.account,
            template_id: Some(self.template),
            template: "{}",
            params: "{}",
            rate_cap: None,
            weight: 10,
            start_at: None,
            lists,
            excluded_lists,
            filter: None,
            numbers,
            created_by: "test",
            terms: crate::Terms::default(),
            parent_id: None,
        };
        self.store.create_campaign(&new, NOW).await.unwrap()
    }

    pub(crate) async fn launch(&self, campaign: i64, now: i64) {
        let audience = self.store.audience(campaign, now).await.unwrap();
        let frozen = Frozen { at: now, people: self.store.audience_size(&audience).await.unwrap() };
        let moved = self.store.move_campaign(campaign, CampaignEvent::Launched, None, Some(frozen), now).await;
        assert!(matches!(moved.unwrap(), Moved::To(CampaignState::Running)));
    }

    /// A running campaign, planned to its end, over all numbers.
    pub(crate) async fn campaign(&self, name: &str, lists: &[i64]) -> i64 {
        let campaign = self.draft(name, lists, &[], &self.numbers).await;
        self.launch(campaign, NOW).await;
        plan(&self.store, campaign, 1_000, None).await;
        campaign
    }

    /// A running campaign to the people 1 to `n`.
    pub(crate) async fn campaign_to(&self, n: i64) -> i64 {
        let list = self.list("everybody", 1..=n, NOW - 1).await;
        self.campaign("news", &[list]).await
    }

    /// Meta says that the portfolio may write to so many people in 24 hours (`None`: as many as it likes), and whoever it
    /// wrote to before is counted.
    pub(crate) async fn limit(&self, people: Option<i64>, now: i64) {
        self.sync_limit(people, now).await;
        self.store.count_reached(self.account, now).await.unwrap();
    }

    /// As `limit`, before anybody is counted.
    pub(crate) async fn sync_limit(&self, people: Option<i64>, now: i64) {
        let words = people.map_or_else(|| "UNLIMITED".to_owned(), |people| people.to_string());
        let synced: Vec<_> = (0..self.numbers.len())
            .map(|index| SyncedNumber { messaging_limit: words.clone(), ..number(&format!("pnid-{index}")) })
            .collect();
        self.store.sync_numbers(self.account, &synced, now).await.unwrap();
    }

    /// The lane of the first number.
    pub(crate) async fn lane(&self) -> Lane {
        Lane::take(&self.store, self.numbers[0], "one").await
    }
}

/// Plans what is left of a campaign, as the engine does.
pub(crate) async fn plan(store: &Store, campaign: i64, chunk: i64, skip_all: Option<&str>) {
    loop {
        let row = store.campaign(campaign).await.unwrap().unwrap();
        if row.planned {
            return;
        }
        let after = row.planned_through;
        let audience = store.audience(campaign, row.frozen_at.unwrap()).await.unwrap();
        let page = store.audience_page(&audience, after, chunk, Detail::Verdicts).await.unwrap();
        let last = i64::try_from(page.len()).unwrap() < chunk;
        let through = if last { i64::MAX } else { page.last().unwrap().contact_id };
        let people = verdicts(&page, skip_all);
        let order = PlanChunk { campaign_id: campaign, after, through, last, people: &people };
        assert!(store.plan_chunk(&order).await.unwrap().is_some());
    }
}

/// What the engine makes of a page where every message can be rendered.
pub(crate) fn verdicts(page: &[AudienceRow], skip_all: Option<&str>) -> Vec<Verdict> {
    let reason = |person: &AudienceRow| match skip_all {
        Some(reason) => Some(reason.to_owned().into()),
        None => person.barred().map(Into::into),
    };
    page.iter().map(|person| Verdict { contact_id: person.contact_id, skipped: reason(person) }).collect()
}

/// These people, all to be sent to.
pub(crate) fn planned(people: RangeInclusive<i64>) -> Vec<Verdict> {
    people.map(|contact_id| Verdict { contact_id, skipped: None }).collect()
}

pub(crate) fn number(phone_number_id: &str) -> SyncedNumber {
    SyncedNumber {
        phone_number_id: phone_number_id.to_owned(),
        display: "+1 555-010-0000".into(),
        verified_name: "Hoopoe".into(),
        quality: "GREEN".into(),
        throughput: "STANDARD".into(),
        messaging_limit: String::new(),
        status: "CONNECTED".into(),
        on_biz_app: false,
    }
}

pub(crate) fn owner(instance: &str) -> Owner {
    Owner { instance: instance.to_owned(), host: "host".into(), boot: "boot".into() }
}

/// A lane in somebody's hands.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub store: Store,
    pub number: i64,
    pub name: String,
    pub token: i64,
}

impl Lane {
    /// Takes it from whoever has it.
    pub(crate) async fn take(store: &Store, number: i64, instance: &str) -> Self {
        let name = format!("lane:{number}");
        let seen = store.lease(&name).await.unwrap().map(|lease| (lease.token, lease.beat));
        let token = store.take_lease(&name, Some(number), &owner(instance), seen, NOW).await.unwrap();
        Self { store: store.clone(), number, name, token: token.expect("nobody else takes it") }
    }

    pub(crate) fn order<'a>(&'a self, batch: &'a Batch, after: i64, limit: usize, now: i64) -> ClaimOrder<'a> {
        ClaimOrder { lane: &self.name, token: self.token, batch, after, limit, now }
    }

    pub(crate) async fn try_claim(&self, batch: &Batch, limit: usize, now: i64) -> Claim {
        self.store.claim(&self.order(batch, 0, limit, now)).await.unwrap()
    }

    /// The next batch of a campaign.
    pub(crate) async fn batch(&self, campaign: i64, size: i64) -> Batch {
        let batch = self.store.next_batch(campaign, self.number, size, NOW).await.unwrap();
        batch.expect("there are fresh sends")
    }

    /// Claims up to `n` of a campaign from one new batch.
    pub(crate) async fn claim(&self, campaign: i64, n: usize) -> Vec<ClaimedSend> {
        let batch = self.batch(campaign, i64::try_from(n).unwrap()).await;
        made(self.try_claim(&batch, n, NOW).await)
    }

    /// Claims whatever of a campaign is due at `now`.
    pub(crate) async fn claim_due(&self, campaign: i64, now: i64) -> Vec<ClaimedSend> {
        match self.store.due_batch(campaign, self.number, now).await.unwrap() {
            Some(batch) => made(self.try_claim(&batch, 1_000, now).await),
            None => Vec::new(),
        }
    }
}

/// The sends of a claim that was made.
pub(crate) fn made(claim: Claim) -> Vec<ClaimedSend> {
    match claim {
        Claim::Made { sends, .. } => sends,
        Claim::Halted(halt) => panic!("halted: {halt:?}"),
    }
}

pub(crate) fn ids(sends: &[ClaimedSend]) -> Vec<i64> {
    sends.iter().map(|send| send.contact_id).collect()
}

/// A stop of nobody yet; fill in who.
pub(crate) fn stop() -> Stop {
    Stop {
        contact_id: None,
        phone: None,
        user_id: None,
        parent_user_id: None,
        quoted_wamid: None,
        campaign_id: None,
        scope: Scope::Marketing,
        source: "text",
        at: NOW,
        evidence: entry("opt-out", NOW),
    }
}

pub(crate) fn stop_of(contact_id: i64) -> Stop {
    Stop { contact_id: Some(contact_id), ..stop() }
}

/// Every send, by campaign and person.
pub(crate) async fn sends(store: &Store) -> Vec<SendRow> {
    let mut link = store.read().await.unwrap();
    on!(&mut link, c => sqlx::query_as("SELECT * FROM sends ORDER BY campaign_id, contact_id").fetch_all(c).await)
        .unwrap()
}

pub(crate) async fn send(store: &Store, campaign: i64, contact: i64) -> SendRow {
    store.send((campaign, contact)).await.unwrap().expect("a send")
}

/// Fails unless the kept tallies are what a count of the rows gives.
pub(crate) async fn assert_tallied(store: &Store, campaign: i64) {
    assert_eq!(store.tally(campaign).await.unwrap(), store.count_anew(campaign).await.unwrap());
}
