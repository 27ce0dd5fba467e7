//! What must have come of it: our books held against the simulator's ledger, and the rules against what it saw.

use super::*;

impl World {
    /// Waits until the simulator has taken in so many messages.
    pub async fn taken_in(&self, at_least: u64) {
        let what = format!("{at_least} messages at the simulator");
        until(&what, Duration::from_secs(180), async || (self.simulator.taken_in().await >= at_least).then_some(()))
            .await;
    }

    /// Waits until the campaign has this many sends in a state.
    pub async fn counted(&self, campaign: &Campaign, state: &str, at_least: u64, within: Duration) -> Value {
        let what = format!("{at_least} sends that are {state}");
        let mut last = Value::Null;
        let deadline = Instant::now() + within;
        loop {
            if let Some(shown) = self.shown(campaign).await {
                if shown["counts"][state].as_u64().is_some_and(|count| count >= at_least) {
                    return shown;
                }
                last = shown;
            }
            assert!(Instant::now() < deadline, "it did not come to this within {within:?}: {what}; {last}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Our books of a campaign.
    pub async fn books(&self, campaign: &Campaign) -> Books {
        let file = self.dir.path().join(format!("export-{}.csv", campaign.id));
        let _ = self.hudhud(&["campaign", "export", &file.display().to_string(), &campaign.name]).await.ok();
        Books::read(&file)
    }

    /// Waits until the campaign is over and every webhook has come, and asserts that our books equal the simulator's
    /// ledger: nobody twice, nobody missing, nothing open, no status lost, no rate exceeded, none after an opt-out.
    pub async fn settle(&self, campaign: &Campaign) -> Value {
        self.settle_within(campaign, Duration::from_secs(180)).await
    }

    /// [`World::settle`], with another bound on how long the campaign may take.
    ///
    /// # Panics
    /// When it is not over in time, or the books differ.
    pub async fn settle_within(&self, campaign: &Campaign, within: Duration) -> Value {
        let deadline = Instant::now() + within;
        let mut last = Value::Null;
        loop {
            if let Some(shown) = self.shown(campaign).await {
                if is_over(&shown) {
                    break;
                }
                last = shown;
            }
            assert!(Instant::now() < deadline, "the campaign was not over within {within:?}: {last}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let speaks = !self.simulator.settings().await["webhook"]["url"].is_null();
        if speaks {
            self.every_webhook_delivered().await;
        }
        let shown = self.books_are_equal(campaign, speaks).await;
        self.rules_were_kept().await;
        shown
    }

    /// [`World::settle`], where nothing of Hudhud can know what became of some sends: whoever claimed them is gone, with
    /// its journal, or the platform broke while they were on the wire. When webhooks have told all they can, a person
    /// settles the rest, of which there may be `most`. How many there were.
    ///
    /// # Panics
    /// As [`World::settle`], and when there were more.
    pub async fn settle_by_hand(&self, campaign: &Campaign, most: usize) -> usize {
        until("nothing left but what is in doubt", Duration::from_secs(240), async || {
            let counts = self.shown(campaign).await?["counts"].clone();
            ["planned", "queued", "submitting"].iter().all(|state| counts[*state] == 0).then_some(())
        })
        .await;
        self.every_webhook_delivered().await;
        // What was delivered last is taken in within a moment; whoever is in doubt after it stays so.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let doubts = self.judge_doubts(campaign).await;
        assert!(doubts <= most, "{doubts} in doubt, and at most {most} can have been on the wire");
        self.settle(campaign).await;
        doubts
    }

    async fn every_webhook_delivered(&self) {
        until("every webhook delivered", Duration::from_secs(40), async || {
            let webhooks = self.simulator.report().await["webhooks"].clone();
            (webhooks["pending"] == 0 && webhooks["retrying"] == 0).then_some(())
        })
        .await;
    }

    /// What webhooks said is applied a moment after they are acknowledged, hence a few looks.
    async fn books_are_equal(&self, campaign: &Campaign, speaks: bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let books = self.books(campaign).await;
            let rows: Vec<_> = self.simulator.ledger().await;
            let rows: Vec<_> = rows.into_iter().filter(|row| row.campaign() == Some(campaign.id)).collect();
            let nothing_dropped = self.simulator.report().await["webhooks"]["dropped"] == 0;
            let mut found = books.disagreements(&rows, speaks && nothing_dropped);
            let shown = self.hudhud(&["campaign", "show", &campaign.name]).await.ok();
            found.extend(miscounted(&shown, &books));
            if found.is_empty() {
                return shown;
            }
            let first = found.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
            assert!(Instant::now() < deadline, "our books differ in {} places:\n{first}\n{shown}", found.len());
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// No rate was exceeded and nobody was messaged after an opt-out.
    ///
    /// # Panics
    /// When one was.
    pub async fn rules_were_kept(&self) {
        let report = self.simulator.report().await;
        let stall = self.simulator.longest_stall();
        // What an ordinary wait may be is the sender's to allow for.
        let stalled = if stall > ORDINARY_STALL { stall } else { Duration::ZERO };
        let forgiven = stalled.max(*self.forgiven.lock().expect("no story panics in here"));
        let forgiven = i64::try_from(forgiven.as_micros()).expect("a short time");
        let mut arrivals: BTreeMap<String, Vec<i64>> = BTreeMap::new();
        for row in self.simulator.ledger().await {
            arrivals.entry(row.phone_number_id).or_default().push(row.at_us);
        }
        for (number, mut times) in arrivals {
            times.sort_unstable();
            let rate = self.rates.lock().expect("no story panics in here").get(&number).copied().unwrap_or(self.rate);
            let rate = usize::try_from(rate).expect("a rate fits");
            // As many as the rate allows and one more lie a second apart, at the least.
            let closest = times.windows(rate + 1).map(|window| window[rate] - window[0]).min();
            assert!(
                closest.is_none_or(|closest| closest >= 1_000_000 - forgiven),
                "{} messages from {number} within {} ms, at a rate of {rate} a second; the simulator itself waited {stall:?}",
                rate + 1,
                closest.unwrap_or(0) / 1000
            );
        }
        assert_eq!(
            report["after_opt_out"], 0,
            "messages after an acknowledged opt-out: {}",
            report["after_opt_out_rows"]
        );
        assert_eq!(report["strangers"], 0, "a number went out without its plus");
    }

    /// Settles every send in doubt as a person would who can look into the simulator's ledger: none of them went, for
    /// of those that did a webhook has told. How many there were.
    ///
    /// # Panics
    /// When one of them went.
    pub async fn judge_doubts(&self, campaign: &Campaign) -> usize {
        let doubts = self.hudhud(&["indoubt", "ls", "--campaign", &campaign.name]).await.ok();
        let doubts = doubts.as_array().expect("a list").clone();
        let rows = self.simulator.ledger().await;
        for doubt in &doubts {
            let phone = doubt["phone"].as_str().expect("a doubt names its person");
            let went = rows.iter().find(|row| {
                row.campaign() == Some(campaign.id) && row.was_taken_in() && row.to.as_deref() == Some(phone)
            });
            assert!(went.is_none(), "webhooks told of {went:?}, and it is still in doubt: {doubt}");
            let id = match &doubt["id"] {
                Value::String(id) => id.clone(),
                id => id.to_string(),
            };
            let settle = ["indoubt", "settle", &id, "--as", "not-sent", "--reason", "the platform never saw it"];
            let _ = self.hudhud(&settle).await.ok();
        }
        doubts.len()
    }
}

/// Whether nothing of it is open any more.
fn is_over(shown: &Value) -> bool {
    let open: u64 = ["planned", "queued", "submitting", "in_doubt"]
        .iter()
        .filter_map(|state| shown["counts"][*state].as_u64())
        .sum();
    matches!(shown["state"].as_str(), Some("finished" | "cancelled")) && open == 0
}

/// Where `campaign show` miscounts what the export lists.
fn miscounted(shown: &Value, books: &Books) -> Vec<String> {
    let mut found = Vec::new();
    let counts = shown["counts"].as_object().cloned().unwrap_or_default();
    let sum: u64 = counts.values().filter_map(Value::as_u64).sum();
    if Some(sum) != shown["total"].as_u64() {
        found.push(format!("the counts sum to {sum}, the total is {}", shown["total"]));
    }
    let listed = books.counts();
    for (state, count) in &counts {
        let expected = listed.get(state).copied().unwrap_or(0);
        if count.as_u64() != Some(expected) {
            found.push(format!("{count} are shown as {state}, and {expected} exported"));
        }
    }
    found
}
