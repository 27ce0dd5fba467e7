//! Faults that somebody planted, each of which the check before sending must name: in the draft, in the template, in the
//! account and its token, in the numbers, in the audience, in the times.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::world::{NUMBER, PARAMS, World};
use domain::schedule::QuietHours;
use engine::campaigns::{self, LaunchOrder, NewCampaign, Preflight};
use engine::views::iso;
use engine::{Actor, App, Clock, FaultKind, accounts, numbers, optouts};
use simulator::{Account, Outage, Settings};
use store::testing::Database;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Where a fault must show.
#[derive(Clone, Copy, Debug)]
enum Caught {
    /// The draft is not made.
    AtOnce(&'static str),
    /// A launch refuses.
    Blocker(&'static str),
    /// A launch asks for a yes.
    Warning(&'static str),
    /// These people are left out, for this reason.
    Excluded(&'static str),
    /// The messaging limit is named as what binds.
    Binds(&'static str),
}
use Caught::{AtOnce, Binds, Blocker, Excluded, Warning};

type Plant = for<'a> fn(&'a Bench) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// What a fault is planted in.
struct Bench {
    world: World,
    app: Arc<App>,
    clock: Clock,
}

impl Bench {
    fn platform(&self, change: impl FnOnce(&mut Settings)) {
        self.world.simulator.update(change).unwrap();
    }

    fn account(&self, change: impl FnOnce(&mut Account)) {
        self.platform(|settings| change(&mut settings.accounts[0]));
    }

    fn template(&self, change: impl Fn(&mut simulator::Template)) {
        self.account(|account| {
            for template in account.templates.iter_mut().filter(|t| t.name == "eid_offer" && t.language == "en") {
                change(template);
            }
        });
    }

    fn number(&self, change: impl Fn(&mut simulator::Number)) {
        self.account(|account| account.numbers.iter_mut().filter(|number| number.id == NUMBER).for_each(&change));
    }
}

/// A fault in the draft, or one that appears between draft and check.
struct Fault {
    what: &'static str,
    draft: fn(&Bench, NewCampaign) -> NewCampaign,
    plant: Plant,
    caught: Caught,
}

fn nothing(_: &Bench) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
    Box::pin(async {})
}

fn params(new: NewCampaign, params: &[(&str, &str)]) -> NewCampaign {
    let params = params.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect();
    NewCampaign { params, ..new }
}

/// A fault of the draft itself.
const fn drafted(what: &'static str, caught: Caught, draft: fn(&Bench, NewCampaign) -> NewCampaign) -> Fault {
    Fault { what, draft, plant: nothing, caught }
}

/// A fault of what surrounds it.
const fn planted(what: &'static str, caught: Caught, plant: Plant) -> Fault {
    Fault { what, draft: |_, new| new, plant, caught }
}

macro_rules! plant {
    (|$bench:ident| $body:expr) => {{
        fn plant($bench: &Bench) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(async move {
                $body;
            })
        }
        plant
    }};
}

/// Hours that are quiet in Cairo for the next eight hours and longer.
fn a_long_night(now: i64) -> String {
    let all = (0..1_440).filter_map(|from| QuietHours::from_minutes(from, (from + 720) % 1_440));
    let cairo = domain::schedule::Tz::Africa__Cairo;
    let mut long = all.filter(|hours| hours.closed_until(now, cairo).is_some_and(|until| until - now > 8 * HOUR));
    long.next().expect("some night is long enough").to_string()
}

#[rustfmt::skip]
fn faults() -> Vec<Fault> {
    vec![
        drafted("a parameter is missing", AtOnce("do not fit the template"), |_, new| params(new, &[("1", "Mona")])),
        drafted("a parameter too many", AtOnce("do not fit the template"), |_, new| params(new, &[("1", "a"), ("2", "b"), ("3", "c")])),
        drafted("numbered parameters of a named template", AtOnce("do not fit the template"), |_, new| NewCampaign { template: "spring_sale".into(), language: "es".into(), ..new }),
        drafted("the header's picture is missing", AtOnce("header"), |_, new| params(NewCampaign { template: "spring_sale".into(), language: "es".into(), ..new }, &[("first_name", "{name}"), ("discount", "5%")])),
        drafted("a language that the template has not", AtOnce("has no language"), |_, new| NewCampaign { language: "de".into(), ..new }),
        drafted("a template that is not there", AtOnce("has no template"), |_, new| NewCampaign { template: "eid_ofer".into(), ..new }),
        drafted("an offer that ends before it starts", AtOnce("ends before"), |bench, new| NewCampaign { at: Some(iso(bench.clock.now_ms() + 2 * HOUR)), stop_at: Some(iso(bench.clock.now_ms() + HOUR)), ..new }),
        drafted("a start in the past", AtOnce("in the past"), |bench, new| NewCampaign { at: Some(iso(bench.clock.now_ms() - HOUR)), ..new }),
        drafted("nobody on the list", Blocker("Nobody would get the message"), |_, new| NewCampaign { lists: vec!["nobody".into()], ..new }),
        drafted("a list that is both meant and left out", AtOnce("both included and excluded"), |_, new| NewCampaign { excluded_lists: vec!["all".into()], ..new }),
        drafted("everybody is on an excluded list", Blocker("Nobody would get the message"), |_, new| NewCampaign { excluded_lists: vec!["all again".into()], ..new }),
        drafted("nobody is meant by the filter", Blocker("Nobody would get the message"), |_, new| NewCampaign { filter: Some("city = Atlantis".into()), ..new }),
        drafted("a column that some have not", Excluded("variable-missing:name"), |_, new| params(new, &[("1", "{name}"), ("2", "20%")])),
        drafted("people in the United States", Excluded("us-marketing"), |_, new| NewCampaign { lists: vec!["americans".into(), "all".into()], ..new }),
        drafted("quiet hours that do not end before the offer does", Blocker("before anybody can be written to"), |bench, new| NewCampaign { quiet_hours: Some(a_long_night(bench.clock.now_ms())), timezone: Some("Africa/Cairo".into()), stop_at: Some(iso(bench.clock.now_ms() + 4 * HOUR)), ..new }),
        drafted("an offer that ends in the middle", Warning("would be left out"), |bench, new| NewCampaign { rate: Some(1), stop_at: Some(iso(bench.clock.now_ms() + 4_000)), ..new }),
        drafted("no button that stops marketing", Warning("no button that stops marketing"), |_, new| NewCampaign { template: "no_way_out".into(), params: [("1".to_owned(), "Mona".to_owned())].into(), ..new }),
        planted("the template is paused", Blocker("is PAUSED"), plant!(|bench| bench.template(|t| t.status = "PAUSED".into()))),
        planted("the template is rejected", Blocker("is REJECTED"), plant!(|bench| bench.template(|t| t.status = "REJECTED".into()))),
        planted("the template is disabled", Blocker("is DISABLED"), plant!(|bench| bench.template(|t| t.status = "DISABLED".into()))),
        planted("the template is being looked at again", Blocker("is PENDING"), plant!(|bench| bench.template(|t| t.status = "PENDING".into()))),
        planted("the template was deleted", Blocker("only an APPROVED one can be sent"), plant!(|bench| bench.account(|account| account.templates.retain(|t| t.name != "eid_offer")))),
        planted("the template has one more parameter now", Blocker("do not fit the template"), plant!(|bench| bench.template(|t| t.components[0]["text"] = "Hi {{1}}, {{2}} off, code {{3}}.".into()))),
        planted("the token was revoked", Blocker("refuses the access token"), plant!(|bench| bench.account(|account| account.access_token = "another".into()))),
        planted("the token has ended", Blocker("ended at"), plant!(|bench| bench.account(|account| account.token_expires_at = 1_700_000_000))),
        planted("the token may not send", Blocker("lacks whatsapp_business_messaging"), plant!(|bench| bench.account(|account| account.scopes.retain(|scope| !scope.ends_with("messaging"))))),
        planted("the number is disconnected", Blocker("is DISCONNECTED"), plant!(|bench| bench.number(|n| n.status = "DISCONNECTED".into()))),
        planted("the number is not registered", Blocker("is PENDING"), plant!(|bench| bench.number(|n| n.status = "PENDING".into()))),
        planted("the number is banned", Blocker("is BANNED"), plant!(|bench| bench.number(|n| n.status = "BANNED".into()))),
        planted("the number left the account", Blocker("no longer in the account"), plant!(|bench| bench.account(|account| account.numbers.retain(|n| n.id != NUMBER)))),
        planted("the number's quality fell to RED", Blocker("is paused"), plant!(|bench| bench.number(|n| n.quality_rating = "RED".into()))),
        planted("the number is flagged", Warning("it is FLAGGED"), plant!(|bench| bench.number(|n| n.status = "FLAGGED".into()))),
        planted("an operator paused the number", Blocker("is paused"), plant!(|bench| drop(numbers::pause(&bench.app, NUMBER, "a look at it").await.unwrap()))),
        planted("the messaging limit is too small", Binds("messaging limit: 4 people"), plant!(|bench| bench.account(|account| account.numbers.iter_mut().for_each(|n| n.messaging_limit = "4".into())))),
        planted("somebody opted out", Excluded("opted-out"), plant!(|bench| drop(optouts::add(&bench.app, &Actor::system(), "+201000000003", "by letter").await.unwrap()))),
        planted("Meta cannot be asked", Warning("could not be asked"), plant!(|bench| bench.platform(|settings| settings.outage = Outage::Unavailable))),
        Fault {
            what: "the offer has ended meanwhile",
            draft: |bench, new| NewCampaign { stop_at: Some(iso(bench.clock.now_ms() + HOUR)), ..new },
            plant: plant!(|bench| bench.clock.step_wall(2 * HOUR)),
            caught: Blocker("The offer ended at"),
        },
        Fault {
            what: "the latest start has passed",
            draft: |bench, new| NewCampaign { at: Some(iso(bench.clock.now_ms() + HOUR)), latest_start: Some("30m".into()), ..new },
            plant: plant!(|bench| bench.clock.step_wall(2 * HOUR)),
            caught: Blocker("its latest start"),
        },
    ]
}

fn is_named(caught: Caught, found: &Preflight) -> bool {
    let among = |all: &[String], words: &str| all.iter().any(|one| one.contains(words));
    match caught {
        AtOnce(_) => false,
        Blocker(words) => among(&found.blockers, words),
        Warning(words) => found.blockers.is_empty() && among(&found.warnings, words),
        Excluded(reason) => found.blockers.is_empty() && found.excluded.contains_key(reason),
        Binds(words) => found.binding_limit.as_deref().is_some_and(|limit| limit.contains(words)),
    }
}

/// Whether a launch lets nobody through unasked.
async fn is_held(bench: &Bench, id: i64, caught: Caught) -> bool {
    let launch = async |yes| {
        let order = LaunchOrder { yes, ..LaunchOrder::default() };
        campaigns::launch(&bench.app, &Actor::system(), id, &order).await
    };
    match caught {
        Blocker(_) => launch(true).await.is_err_and(|fault| fault.kind == FaultKind::PreflightRefused),
        Warning(_) => launch(false).await.is_err_and(|fault| fault.kind == FaultKind::PreflightRefused),
        AtOnce(_) | Excluded(_) | Binds(_) => true,
    }
}

store::on_both_databases! {
    async fn every_planted_fault_is_named_before_anything_is_sent_and_what_passes_has_no_wrong_parameter(db: Database) {
        let world = World::new(db).await;
        world.rate(100, 0).await;
        let clock = Clock::steppable();
        let dir = world.dir.path().to_owned();
        let app = crate::world::open_with(&world.db, &world.simulator, &world.redis.url, dir, clock.clone()).await;
        // One in five has no name.
        world.people("all", 20, |n| n % 5 > 0).await;
        world.people("all again", 20, |n| n % 5 > 0).await;
        world.people_of("nobody", &[], |_| true).await;
        world.people_of("americans", &[12_025_550_143, 12_125_550_144], |_| true).await;
        let mut bench = Bench { world, app, clock };
        bench.account(|account| {
            let mut without = account.templates.iter().find(|t| t.name == "eid_offer").unwrap().clone();
            without.name = "no_way_out".into();
            without.components = serde_json::json!([{"type": "BODY", "text": "Hi {{1}}, come in."}]);
            account.templates.push(without);
        });
        accounts::sync(&bench.app, None).await.unwrap();
        let sound = bench.world.simulator.settings();
        let mut missed = Vec::new();
        let all = faults();
        assert!(all.len() >= 25, "{}", all.len());
        for (at, fault) in all.iter().enumerate() {
            let draft = bench.world.draft(&format!("fault {at}"), "all", PARAMS);
            let draft = (fault.draft)(&bench, draft);
            match (campaigns::create(&bench.app, &Actor::system(), &draft).await, fault.caught) {
                (Err(refused), AtOnce(words)) if refused.detail.contains(words) => {}
                (Ok(made), caught) => {
                    (fault.plant)(&bench).await;
                    // What was read a moment ago is not read again.
                    bench.clock.step_wall(if fault.what.contains("offer") { 0 } else { 2 * MINUTE });
                    let found = campaigns::preflight(&bench.app, made.id).await.unwrap();
                    if !is_named(caught, &found) || !is_held(&bench, made.id, caught).await {
                        missed.push(format!("{}: {found:?}", fault.what));
                    }
                }
                (Err(refused), _) => missed.push(format!("{}: {refused:?}", fault.what)),
            }
            bench.platform(|settings| *settings = sound.clone());
            accounts::sync(&bench.app, None).await.unwrap();
            numbers::resume(&bench.app, NUMBER).await.unwrap();
        }
        assert!(missed.is_empty(), "{}", missed.join("\n"));
        let before = bench.world.simulator.report();
        assert_eq!(before.accepted, 0, "nothing of any of it was sent");

        // What passes is taken by the platform as it is.
        let roles = [bench.world.scheduler(&bench.app), bench.world.worker(&bench.app)];
        let new = params(bench.world.draft("sound", "all", PARAMS), &[("1", "{name}"), ("2", "{city|20%}")]);
        let id = campaigns::create(&bench.app, &Actor::system(), &new).await.unwrap().id;
        let order = LaunchOrder { yes: true, ..LaunchOrder::default() };
        campaigns::launch(&bench.app, &Actor::system(), id, &order).await.unwrap();
        let view = bench.world.settle(id).await;
        // Four without a name, and the one who opted out.
        assert_eq!((view.counts.accepted, view.counts.skipped, view.counts.failed), (15, 5, 0), "{view:?}");
        // The checks met the revoked token; the sends met nothing.
        let after = bench.world.simulator.report();
        assert_eq!(after.refused_by_code, before.refused_by_code, "{after:?}");
        for role in roles {
            role.stop().await;
        }
        bench.world.stop().await;
    }
}
