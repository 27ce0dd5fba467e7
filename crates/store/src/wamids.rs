//! Which send a message id is of.
//!
//! An index of sends by their message ids would cost nearly every message a page of its own, since the ids come in no
//! order: it was most of what an acceptance wrote. So the note of the claim, which is there anyway until none of its
//! sends is submitting any more, stands for its sends' message ids as well, and whoever removes notes writes what they
//! stood for into a table by hash: thousands at a time, in the table's order.
//!
//! Always true of a send with a message id: it is in a note, or its hash is in the table, or both. A send gets one
//! either while it is submitting, which only happens under a note ([`crate::accepted`]), or by [`crate::sends`], which
//! writes its hash itself.

use std::collections::HashSet;
use std::sync::LazyLock;

use crate::chunks::Chunks;
use crate::db::{Link, Priority, Store, on};
use crate::error::Result;
use crate::statuses::WamidMatch;

/// A 64-bit key for a message id (FNV-1a), so that its table stays a quarter of the texts' size. Always compare the
/// text too.
#[must_use]
pub(crate) fn wamid_hash(wamid: &str) -> i64 {
    let hash = wamid
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    i64::from_ne_bytes(hash.to_ne_bytes())
}

/// A send whose message id has this hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    hash: i64,
    campaign_id: i64,
    contact_id: i64,
}

impl Entry {
    pub(crate) fn of((campaign_id, contact_id): crate::sends::SendKey, wamid: &str) -> Self {
        Self { hash: wamid_hash(wamid), campaign_id, contact_id }
    }
}

/// Writes them, in the table's order. Those that are there stay.
pub(crate) async fn add(tx: &mut Link, mut entries: Vec<Entry>) -> Result<()> {
    static SQLITE: LazyLock<Chunks> = LazyLock::new(|| {
        Chunks::bulk(3, |values| {
            format!("INSERT INTO wamids (hash, campaign_id, contact_id) VALUES {values} ON CONFLICT DO NOTHING")
        })
    });
    entries.sort_unstable();
    entries.dedup();
    if entries.is_empty() {
        return Ok(());
    }
    match tx {
        Link::Sqlite(held, _) => {
            for (statement, piece) in SQLITE.over(&entries) {
                let mut query = sqlx::query(statement);
                for entry in piece {
                    query = query.bind(entry.hash).bind(entry.campaign_id).bind(entry.contact_id);
                }
                query.execute(&mut **held).await?;
            }
        }
        Link::Postgres(held) => {
            let column = |value: fn(&Entry) -> i64| entries.iter().map(value).collect::<Vec<_>>();
            sqlx::query(
                "INSERT INTO wamids (hash, campaign_id, contact_id)
                 SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])",
            )
            .bind(column(|entry| entry.hash))
            .bind(column(|entry| entry.campaign_id))
            .bind(column(|entry| entry.contact_id))
            .execute(&mut **held)
            .await?;
        }
    }
    Ok(())
}

#[derive(serde::Serialize)]
struct Key<'a> {
    wamid: &'a str,
    hash: i64,
}

/// In the table, and among past attempts.
async fn find_written(link: &mut Link, wamids: &[&str]) -> Result<Vec<WamidMatch>> {
    let keys: Vec<Key<'_>> = wamids.iter().map(|wamid| Key { wamid, hash: wamid_hash(wamid) }).collect();
    let json = serde_json::to_string(&keys)?;
    let sql = link.pick(
        "SELECT s.wamid, s.campaign_id, s.contact_id, s.attempt
         FROM json_each($1) k CROSS JOIN wamids w ON w.hash = k.value ->> 'hash'
         CROSS JOIN sends s ON s.campaign_id = w.campaign_id AND s.contact_id = w.contact_id
           AND s.wamid = k.value ->> 'wamid'
         UNION
         SELECT a.wamid, a.campaign_id, a.contact_id, a.attempt FROM json_each($1) k CROSS JOIN past_attempts a
           ON a.wamid_hash = k.value ->> 'hash' AND a.wamid = k.value ->> 'wamid'",
        // From an array: see `unpark`.
        "WITH k AS (SELECT v ->> 'wamid' AS wamid, (v ->> 'hash')::bigint AS hash
                    FROM unnest(ARRAY(SELECT jsonb_array_elements($1::jsonb))) AS e(v))
         SELECT s.wamid, s.campaign_id, s.contact_id, s.attempt FROM k JOIN wamids w ON w.hash = k.hash
           JOIN sends s ON s.campaign_id = w.campaign_id AND s.contact_id = w.contact_id AND s.wamid = k.wamid
         UNION
         SELECT a.wamid, a.campaign_id, a.contact_id, a.attempt FROM k
           JOIN past_attempts a ON a.wamid_hash = k.hash AND a.wamid = k.wamid",
    );
    Ok(on!(link, c => sqlx::query_as(sql).bind(json).fetch_all(c).await)?)
}

/// Among the sends of the notes that are there: some hundred for a lane that sends as fast as it can.
async fn find_noted(link: &mut Link, wamids: &[&str]) -> Result<Vec<WamidMatch>> {
    let json = serde_json::to_string(wamids)?;
    let sql = link.pick(
        "SELECT DISTINCT s.wamid, s.campaign_id, s.contact_id, s.attempt
         FROM claims c CROSS JOIN json_each(c.contact_ids) k
         CROSS JOIN sends s ON s.campaign_id = c.campaign_id AND s.contact_id = k.value
         WHERE s.wamid IN (SELECT value FROM json_each($1))",
        "SELECT DISTINCT s.wamid, s.campaign_id, s.contact_id, s.attempt
         FROM claims c CROSS JOIN LATERAL (
             SELECT * FROM sends
             WHERE campaign_id = c.campaign_id
               AND contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text(c.contact_ids::jsonb))::bigint))
               AND wamid = ANY (ARRAY(SELECT jsonb_array_elements_text($1::jsonb)))
             OFFSET 0) s",
    );
    Ok(on!(link, c => sqlx::query_as(sql).bind(json).fetch_all(c).await)?)
}

/// The sends of message ids, current and past attempts. Ids that are not ours are left out.
pub(crate) async fn find(link: &mut Link, wamids: &[&str]) -> Result<Vec<WamidMatch>> {
    let mut found = Vec::new();
    let mut missing = wamids.to_vec();
    // What is in neither at two moments one after the other may have come from the one to the other between them.
    for is_written in [true, false, true] {
        if missing.is_empty() {
            break;
        }
        let more = if is_written { find_written(link, &missing).await? } else { find_noted(link, &missing).await? };
        let known: HashSet<&str> = more.iter().map(|one| one.wamid.as_str()).collect();
        missing.retain(|wamid| !known.contains(wamid));
        found.extend(more);
    }
    Ok(found)
}

/// Forgets the hashes of a person's message ids, before the ids themselves are.
pub(crate) async fn erase(tx: &mut Link, contact_id: i64) -> Result<()> {
    let wamids: Vec<String> = on!(&mut *tx, c => sqlx::query_scalar(
        "SELECT wamid FROM sends
         WHERE campaign_id IN (SELECT id FROM campaigns) AND contact_id = $1 AND wamid IS NOT NULL")
        .bind(contact_id).fetch_all(c).await)?;
    let hashes: Vec<i64> = wamids.iter().map(|wamid| wamid_hash(wamid)).collect();
    let sql = tx.pick(
        "DELETE FROM wamids WHERE hash IN (SELECT value FROM json_each($1)) AND contact_id = $2",
        "DELETE FROM wamids WHERE hash = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint))
           AND contact_id = $2",
    );
    let json = serde_json::to_string(&hashes)?;
    on!(tx, c => sqlx::query(sql).bind(json).bind(contact_id).execute(c).await.map(drop))?;
    Ok(())
}

impl Store {
    /// Removes the notes of a number's claims of which no send is submitting any more, up to so many, and writes down
    /// whose the message ids of their sends are. How many it removed.
    ///
    /// Looked up before the writer is taken: a note that is over stays so for ever, since whoever is claimed again is in
    /// a newer one, and an id that comes to one of its sends by another way is written by that.
    ///
    /// # Errors
    /// As every write.
    #[crate::boxed]
    pub async fn forget_claims(&self, number_id: i64, limit: usize) -> Result<usize> {
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut link = self.read().await?;
        let sql = link.pick(
            "SELECT c.id FROM claims c WHERE c.number_id = $1 AND NOT EXISTS (
                 SELECT 1 FROM json_each(c.contact_ids) k CROSS JOIN sends s
                 ON s.campaign_id = c.campaign_id AND s.contact_id = k.value WHERE s.state = 1)
             ORDER BY c.id LIMIT $2",
            "SELECT c.id FROM claims c WHERE c.number_id = $1 AND NOT EXISTS (
                 SELECT 1 FROM sends s WHERE s.campaign_id = c.campaign_id
                   AND s.contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text(c.contact_ids::jsonb))::bigint))
                   AND s.state = 1 OFFSET 0)
             ORDER BY c.id LIMIT $2",
        );
        let over: Vec<i64> = on!(&mut link, c => sqlx::query_scalar(sql)
            .bind(number_id).bind(most).fetch_all(c).await)?;
        if over.is_empty() {
            return Ok(0);
        }
        let json = serde_json::to_string(&over)?;
        let sql = link.pick(
            "SELECT s.campaign_id, s.contact_id, s.wamid
             FROM json_each($1) n CROSS JOIN claims c ON c.id = n.value CROSS JOIN json_each(c.contact_ids) k
             CROSS JOIN sends s ON s.campaign_id = c.campaign_id AND s.contact_id = k.value
             WHERE s.wamid IS NOT NULL",
            "SELECT s.campaign_id, s.contact_id, s.wamid
             FROM claims c CROSS JOIN LATERAL (
                 SELECT * FROM sends
                 WHERE campaign_id = c.campaign_id
                   AND contact_id = ANY (ARRAY(SELECT (jsonb_array_elements_text(c.contact_ids::jsonb))::bigint))
                   AND wamid IS NOT NULL
                 OFFSET 0) s
             WHERE c.id = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint))",
        );
        let rows: Vec<(i64, i64, String)> = on!(&mut link, c => sqlx::query_as(sql).bind(&json).fetch_all(c).await)?;
        drop(link);
        let entries = rows.iter().map(|(campaign, contact, wamid)| Entry::of((*campaign, *contact), wamid)).collect();
        let mut tx = self.write(Priority::Soon).await?.named("forget");
        add(&mut tx, entries).await?;
        let sql = tx.pick(
            "DELETE FROM claims WHERE id IN (SELECT value FROM json_each($1))",
            "DELETE FROM claims WHERE id = ANY (ARRAY(SELECT (jsonb_array_elements_text($1::jsonb))::bigint))",
        );
        on!(&mut tx, c => sqlx::query(sql).bind(json).execute(c).await.map(drop))?;
        tx.commit().await?;
        Ok(over.len())
    }
}

#[cfg(test)]
mod tests {
    use domain::send::SendEvent;

    use super::*;
    use crate::fixture::{NOW, Shop, ids, number_of};
    use crate::testing::{Database, on_both_databases};
    use crate::{Happening, SendKey};

    fn accepted(key: SendKey, number: i64) -> Happening {
        let mut happening = Happening::new(key, Some(1), SendEvent::Accepted, NOW);
        happening.wamid = Some(format!("wamid.{}", key.1));
        happening.number_id = Some(number);
        happening
    }

    async fn person_of(store: &Store, wamid: &str) -> Vec<i64> {
        store.sends_of_wamids(&[wamid]).await.unwrap().iter().map(|found| found.contact_id).collect()
    }

    on_both_databases! {
        async fn a_message_id_leads_to_its_send_before_and_after_its_claims_note_is_gone(db: Database) {
            let shop = Shop::open(&db.store, 1).await;
            let campaign = shop.campaign_to(600).await;
            let lane = shop.lane().await;
            let claimed = ids(&lane.claim(campaign, 600).await);
            let all: Vec<Happening> = claimed.iter().map(|id| accepted((campaign, *id), lane.number)).collect();
            db.store.apply(Priority::Urgent, &all).await.unwrap();
            assert_eq!(number_of(&db.store, "SELECT count(*) FROM wamids").await, 0, "the note stands for them");
            assert_eq!(person_of(&db.store, "wamid.77").await, [77]);
            assert!(person_of(&db.store, "wamid.of another").await.is_empty());
            let notes = number_of(&db.store, "SELECT count(*) FROM claims").await;
            assert_eq!(db.store.forget_claims(lane.number, 99).await.unwrap(), usize::try_from(notes).unwrap());
            assert_eq!(number_of(&db.store, "SELECT count(*) FROM claims").await, 0);
            assert_eq!(number_of(&db.store, "SELECT count(*) FROM wamids").await, 600);
            for id in &claimed {
                assert_eq!(person_of(&db.store, &format!("wamid.{id}")).await, [*id]);
            }
            assert!(person_of(&db.store, "wamid.of another").await.is_empty());
        }

        async fn an_id_that_comes_when_the_note_is_gone_is_found_too(db: Database) {
            let shop = Shop::open(&db.store, 1).await;
            let campaign = shop.campaign_to(2).await;
            let lane = shop.lane().await;
            let claimed = ids(&lane.claim(campaign, 2).await);
            let doubt = |id: &i64| Happening::new((campaign, *id), Some(1), SendEvent::Unknown, NOW);
            db.store.apply(Priority::Urgent, &claimed.iter().map(doubt).collect::<Vec<_>>()).await.unwrap();
            assert!(db.store.forget_claims(lane.number, 9).await.unwrap() > 0);
            db.store.apply(Priority::Urgent, &[accepted((campaign, claimed[0]), lane.number)]).await.unwrap();
            assert_eq!(person_of(&db.store, &format!("wamid.{}", claimed[0])).await, claimed[..1]);
            assert_eq!(number_of(&db.store, "SELECT count(*) FROM wamids").await, 1);
        }

        async fn whoever_is_erased_leaves_no_hash(db: Database) {
            let shop = Shop::open(&db.store, 1).await;
            let campaign = shop.campaign_to(2).await;
            let lane = shop.lane().await;
            let all: Vec<Happening> =
                ids(&lane.claim(campaign, 2).await).iter().map(|id| accepted((campaign, *id), lane.number)).collect();
            db.store.apply(Priority::Urgent, &all).await.unwrap();
            assert!(db.store.forget_claims(lane.number, 9).await.unwrap() > 0);
            let mut tx = db.store.write(Priority::Urgent).await.unwrap();
            erase(&mut tx, 1).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(number_of(&db.store, "SELECT contact_id FROM wamids").await, 2);
        }
    }

    #[test]
    fn the_hash_of_an_id_is_the_same_in_every_version() {
        assert_eq!(wamid_hash(""), i64::from_ne_bytes(0xcbf2_9ce4_8422_2325_u64.to_ne_bytes()));
        assert_eq!(wamid_hash("a"), i64::from_ne_bytes(0xaf63_dc4c_8601_ec8c_u64.to_ne_bytes()));
    }
}
