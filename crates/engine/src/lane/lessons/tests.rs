use cloud_api::SendOutcome;
use domain::campaign::{CampaignEvent, CampaignState};
use domain::pacing::Circumstances;
use store::testing::Database;
use store::{Claim, ClaimOrder, Halt, Owner, on_both_databases};

use std::collections::HashMap;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::accounts;
use crate::journal::{AttemptKey, Journal};
use crate::lane::outage::{Circuit, Sign};
use crate::lane::pace::Pace;
use crate::lane::{Hand, Orders, Recorder};
use crate::testing::{NOW, TestApp, running_campaign};

/// A running campaign with the lane of its number.
struct Shop {
    app: TestApp,
    lane: Lane,
    campaign: i64,
    batch: store::Batch,
    _showing: watch::Receiver<Showing>,
}

impl Shop {
    async fn open(db: Database) -> Shop {
        let (app, campaign) = running_campaign(db).await;
        let (lane, showing) = lane_of(&app).await;
        let batch = app.store.next_batch(campaign, lane.number_id, 50, NOW).await.unwrap().unwrap();
        Shop { app, lane, campaign, batch, _showing: showing }
    }

    /// Claims one of the campaign's sends, as the lane does.
    async fn claim(&self) -> Claim {
        let app = &self.app;
        let now = app.clock.now_ms();
        let (lane, token) = (&*self.lane.lease, self.lane.token);
        let order = ClaimOrder { lane, token, batch: &self.batch, after: 0, limit: 1, now };
        app.store.claim(&order).await.unwrap()
    }

    /// Claims one, has it refused with a code, and lets the lane learn of it. Who it was.
    async fn refused(&mut self, code: i64) -> i64 {
        let Claim::Made { sends, .. } = self.claim().await else { panic!("nothing may be claimed") };
        let contact_id = sends[0].contact_id;
        let key = AttemptKey { campaign_id: self.campaign, contact_id, attempt: sends[0].attempt };
        let refusal = cloud_api::Refusal {
            kind: cloud_api::kind_of(code, None, cloud_api::Channel::Sync),
            code,
            subcode: None,
            message: None,
            details: None,
            fbtrace_id: None,
            retry_after: None,
            raw: (code == 131_050).then(|| r#"{"error":{"code":131050}}"#.into()),
        };
        let now = self.app.clock.now_ms();
        let (happening, mut lesson) =
            crate::lane::post::judge(key, SendOutcome::Refused(refusal), Circumstances::tried(1), now);
        lesson.sealed_token = Arc::clone(&self.lane.orders.sealed_token);
        self.app.store.apply(store::Priority::Urgent, &[happening]).await.unwrap();
        self.lane.learn(lesson).await;
        contact_id
    }

    /// As [`Self::refused`], for a message that is taken.
    async fn accepted(&mut self) {
        let key = AttemptKey { campaign_id: self.campaign, contact_id: 20, attempt: 1 };
        let outcome = SendOutcome::Accepted { wamid: "wamid.1".to_owned(), wa_id: None, user_id: None, held: false };
        let (_, lesson) = crate::lane::post::judge(key, outcome, Circumstances::tried(1), NOW);
        self.lane.learn(lesson).await;
    }

    async fn state(&self) -> (CampaignState, String) {
        let row = self.app.store.campaign(self.campaign).await.unwrap().unwrap();
        (row.state().unwrap(), row.reason.unwrap_or_default())
    }

    async fn stopped(&self) -> Vec<String> {
        let accounts = self.app.store.accounts().await.unwrap();
        accounts.into_iter().filter(|account| account.stopped_reason.is_some()).map(|account| account.name).collect()
    }

    fn pass(&self, seconds: u64) {
        self.app.clock.advance(Duration::from_secs(seconds));
    }
}

async fn lane_of(app: &TestApp) -> (Lane, watch::Receiver<Showing>) {
    let number = app.store.number_of_meta("1").await.unwrap().unwrap();
    let account = app.store.account(number.account_id).await.unwrap().unwrap();
    let owner = Owner { instance: "one".to_owned(), host: "here".to_owned(), boot: "now".to_owned() };
    let lease = format!("lane:{}", number.id);
    let token = app.store.take_lease(&lease, Some(number.id), &owner, None, NOW).await.unwrap().unwrap();
    let (recorder, _) = Recorder::start(Arc::clone(&app.app));
    let (showing, shown) = watch::channel(Showing::default());
    let orders =
        Orders { rate: Some(80), sender: None, sealed_token: Arc::from(account.access_token), caps: Arc::default() };
    let lane = Lane {
        app: Arc::clone(&app.app),
        number_id: number.id,
        phone_number_id: Arc::from("1"),
        lease,
        token,
        journal: Arc::new(Journal::open(app.data_dir.path(), "one").unwrap()),
        recorder,
        pace: Pace::new(app.clock.clone(), Some(80)),
        orders,
        hand: Hand::default(),
        campaigns: HashMap::new(),
        places: Arc::new(Semaphore::new(0)),
        in_flight_limit: 0,
        circuit: Circuit::default(),
        share: 100,
        troubled: Arc::default(),
        halted: None,
        throttle: 1.0,
        throttled_at: 0,
        unknown_in_a_row: HashMap::new(),
        lessons: mpsc::unbounded_channel().0,
        showing,
        done_lately: HashMap::new(),
        give_up: CancellationToken::new(),
        void_claims: 0,
        meters: Arc::new(super::super::meters::Meters::new("pnid")),
        shown_at: 0,
        stops_seen: 0,
    };
    (lane, shown)
}

on_both_databases! {
    async fn a_refused_token_stops_the_account_and_a_new_one_makes_its_sends_due_at_once(db: Database) {
        let mut shop = Shop::open(db).await;
        let person = shop.refused(190).await;
        assert_eq!(shop.stopped().await, ["shop"]);
        assert!(matches!(shop.claim().await, Claim::Halted(Halt::AccountStopped(why)) if why.contains("account rotate")));
        let (_, words) = shop.lane.halted.clone().expect("the lane waits before the stop is even written");
        assert!(words.contains("account is stopped"), "{words}");

        // Nobody rotates a token within a second.
        shop.pass(1);
        accounts::rotate(&shop.app, "shop", &secrecy::SecretString::from("EAAG-newer")).await.unwrap();
        assert_eq!(shop.stopped().await, Vec::<String>::new());
        let send = shop.app.store.send((shop.campaign, person)).await.unwrap().unwrap();
        assert_eq!((send.state, send.code), (0, Some(190)));
        assert!(send.not_before.is_some_and(|at| at <= shop.app.clock.now_ms()), "due at once");
        // Late refusals of the old token stop nothing.
        shop.pass(2);
        shop.refused(190).await;
        assert_eq!(shop.stopped().await, Vec::<String>::new());
    }

    async fn a_restricted_number_stops_alone_and_says_what_to_do(db: Database) {
        let mut shop = Shop::open(db).await;
        shop.refused(131_048).await;
        assert_eq!(shop.stopped().await, Vec::<String>::new());
        let paused: Vec<_> = shop.app.store.numbers().await.unwrap().into_iter().map(|number| number.paused_reason).collect();
        assert!(paused[0].as_deref().is_some_and(|why| why.contains("quality") && why.contains("number resume")), "{paused:?}");
        assert_eq!(paused[1], None);
        assert!(matches!(shop.claim().await, Claim::Halted(Halt::NumberPaused(_))));
        assert_eq!(shop.state().await.0, CampaignState::Running, "the number holds it, and nothing else");
    }

    async fn an_account_without_payment_stops_whole_and_its_sister_goes_on(db: Database) {
        let mut shop = Shop::open(db).await;
        shop.refused(131_042).await;
        assert_eq!(shop.stopped().await, ["shop"]);
        assert!(matches!(shop.claim().await, Claim::Halted(Halt::AccountStopped(why)) if why.contains("payment method")));
    }

    async fn a_frozen_portfolio_stops_every_account_of_it_and_no_other(db: Database) {
        let shop = Shop::open(db).await;
        let why = advice(RefusalClass::Portfolio, 135_000);
        consequences::stop_portfolio(&shop.app, shop.lane.number_id, &why).await;
        assert_eq!(shop.stopped().await, ["shop", "sister"]);
    }

    async fn a_request_that_is_wrong_for_all_pauses_the_campaign_and_fails_nobody(db: Database) {
        let mut shop = Shop::open(db).await;
        shop.refused(132_000).await;
        let (state, reason) = shop.state().await;
        assert!(state == CampaignState::Paused && reason.contains("132000"), "{state}: {reason}");
        assert!(matches!(shop.claim().await, Claim::Halted(Halt::CampaignNotRunning(_))));
        assert_eq!(shop.app.store.tally(shop.campaign).await.unwrap().open(), 20);
    }

    async fn a_paused_template_pauses_the_campaign_until_meta_approves_it_again(db: Database) {
        let mut shop = Shop::open(db).await;
        let account = shop.app.store.account_named("shop").await.unwrap().unwrap().id;
        shop.refused(132_015).await;
        assert_eq!(shop.state().await.0, CampaignState::Paused);
        consequences::resume_for_templates(&shop.app, account).await.unwrap();
        assert_eq!(shop.state().await.0, CampaignState::Paused, "Meta has not approved it yet");
        shop.app.store.set_template_status(account, "sale", "en", "APPROVED").await.unwrap();
        consequences::resume_for_templates(&shop.app, account).await.unwrap();
        assert_eq!(shop.state().await, (CampaignState::Running, String::new()));

        let by_hand = Some("Amr wants to look at it");
        shop.app.store.move_campaign(shop.campaign, CampaignEvent::Paused, by_hand, None, NOW).await.unwrap();
        consequences::resume_for_templates(&shop.app, account).await.unwrap();
        assert_eq!(shop.state().await.0, CampaignState::Paused, "what a person paused is for a person to resume");
    }

    async fn five_unknown_refusals_in_a_row_pause_the_campaign_and_four_do_not(db: Database) {
        let mut shop = Shop::open(db).await;
        for _ in 0..4 {
            shop.refused(999_999).await;
        }
        shop.accepted().await;
        for _ in 0..4 {
            shop.refused(999_999).await;
        }
        assert_eq!(shop.state().await.0, CampaignState::Running);
        shop.refused(999_999).await;
        let (state, reason) = shop.state().await;
        assert!(state == CampaignState::Paused && reason.contains("999999"), "{state}: {reason}");
        let tally = shop.app.store.tally(shop.campaign).await.unwrap();
        assert_eq!(tally.open(), 11, "nine were refused for good and never tried again");
    }

    async fn who_stopped_marketing_at_meta_is_suppressed_and_failed(db: Database) {
        let mut shop = Shop::open(db).await;
        let person = shop.refused(131_050).await;
        assert_eq!(shop.app.store.stopped_among(&[person, person + 1]).await.unwrap(), [person]);
        assert_eq!(shop.app.store.send((shop.campaign, person)).await.unwrap().unwrap().state, 7);
        let entries = shop.app.store.entries_about(person).await.unwrap();
        let stop = entries.iter().find(|entry| entry.kind == "opt-out").expect("evidence");
        let detail: serde_json::Value = serde_json::from_str(&stop.detail).unwrap();
        assert_eq!(detail["raw"], r#"{"error":{"code":131050}}"#, "Meta's answer as it came");
    }

    async fn a_rate_that_meta_calls_too_fast_is_cut_once_a_second_and_climbs_back(db: Database) {
        let mut shop = Shop::open(db).await;
        shop.pass(10);
        for _ in 0..5 {
            shop.refused(130_429).await;
        }
        assert_eq!(shop.lane.pace.rate(), Some(56), "one cut for all refusals of a moment");
        shop.pass(1);
        shop.refused(80_007).await;
        assert_eq!(shop.lane.pace.rate(), Some(39));
        let mut rates = Vec::new();
        for _ in 0..24 {
            shop.pass(1);
            shop.lane.show();
            rates.push(shop.lane.pace.rate().unwrap());
        }
        assert!(rates.is_sorted() && rates[4] > 39 && rates[4] < 60, "{rates:?}");
        assert_eq!(rates.last(), Some(&80), "{rates:?}");
        assert_eq!(shop.state().await.0, CampaignState::Running);
    }

    async fn an_outage_cuts_the_rate_of_the_ramp_and_says_so(db: Database) {
        let mut shop = Shop::open(db).await;
        let now = shop.lane.now();
        for _ in 0..10 {
            shop.lane.circuit.began(now);
            if let Some(turned) = shop.lane.circuit.ended(now, now, 0, Sign::Failed) {
                shop.lane.turn(turned, None);
            }
        }
        shop.lane.show();
        assert_eq!(shop.lane.showing.borrow().state, "outage");
        assert!(shop.lane.troubled.load(Ordering::Relaxed));
        shop.pass(1);
        let now = shop.lane.now();
        shop.lane.circuit.probe(now);
        shop.lane.circuit.began(now);
        let turned = shop.lane.circuit.ended(now, now, 0, Sign::Answered).unwrap();
        shop.lane.turn(turned, None);
        let mut rates = Vec::new();
        for _ in 0..5 {
            shop.lane.mind_outage();
            rates.push(shop.lane.pace.rate().unwrap());
            shop.pass(3);
        }
        assert_eq!(rates, [8, 16, 32, 64, 80]);
        assert!(!shop.lane.troubled.load(Ordering::Relaxed));
    }
}
