//! How far stops reach: what an operator set for each way they come, and the brands of our numbers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::optout::scope::{Forbidding, Reach, Reaches, Scope, Way, brand_name};
use domain::pacing::{Micros, SECOND};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::fault::{Fault, Result};
use crate::numbers::NumberView;
use crate::views::iso;
use crate::{Actor, App, evidence, numbers};

/// What was read is used for so long: what another process changes is known here after that.
const FRESH: Micros = SECOND;
/// After this every process knows what was changed, and what it did by what it knew before is done.
const KNOWN_EVERYWHERE: Duration = Duration::from_millis(1_500);

/// How far stops reach, as read at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    reaches: Reaches,
    /// The brands of business numbers, by Meta's id.
    brands: HashMap<String, String>,
}

impl Known {
    /// The scope of a stop that came by this way to this business number.
    pub(crate) fn of(&self, way: Way, phone_number_id: Option<&str>) -> Scope {
        let brand = phone_number_id.and_then(|id| self.brands.get(id)).map(String::as_str);
        self.reaches.of(way).scope(phone_number_id, brand)
    }

    /// The scopes that somebody may mean who asks this business number for messages again: whatever keeps marketing of
    /// it from them.
    pub(crate) fn lifted_by_asking(&self, phone_number_id: Option<&str>) -> Vec<String> {
        let id = phone_number_id.unwrap_or_default();
        let mut scopes = Forbidding::of("MARKETING", id, self.brands.get(id).map(String::as_str)).scopes().to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    }
}

/// As read a moment ago, so that a webhook costs no look into the database.
#[derive(Debug, Default)]
pub(crate) struct Scopes {
    read: Mutex<Option<(Micros, Arc<Known>)>>,
}

impl Scopes {
    /// What is in force.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) async fn known(&self, app: &App) -> Result<Arc<Known>> {
        let now = app.clock.boot_us();
        let kept = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, known)) = kept
            && now.saturating_sub(at) < FRESH
        {
            return Ok(known);
        }
        // What a newer version wrote is none of ours: the usual holds.
        let set = app.store.reaches().await?.into_iter();
        let set = set.filter_map(|row| Some((Way::named(&row.way)?, Reach::named(&row.reach)?)));
        let numbers = app.store.numbers().await?.into_iter();
        let brands = numbers.filter_map(|number| Some((number.phone_number_id, number.brand?))).collect();
        let known = Arc::new(Known { reaches: Reaches::new(set), brands });
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&known)));
        Ok(known)
    }

    fn forget(&self) {
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// How far stops of one way reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReachView {
    /// `button`, `text`, `user_preferences`, `meta`, `manual` or `import`.
    pub way: String,
    /// `all`: every message; `marketing`; `brand`, `number`: marketing of the brand or the number that it was said to.
    pub reach: String,
    /// What it is where nobody sets anything.
    pub usual: String,
    /// Who set it; `null`: nobody did.
    pub by: Option<String>,
    /// When, RFC 3339.
    pub at: Option<String>,
}

/// How far stops reach, for every way.
///
/// # Errors
/// When the database is away.
#[crate::boxed]
pub async fn ls(app: &App) -> Result<Vec<ReachView>> {
    let set = app.store.reaches().await?;
    let reaches = set.iter().filter_map(|row| Some((Way::named(&row.way)?, Reach::named(&row.reach)?)));
    let reaches = Reaches::new(reaches);
    let view = |way: Way| {
        let row = set.iter().find(|row| row.way == way.as_str());
        ReachView {
            way: way.as_str().to_owned(),
            reach: reaches.of(way).as_str().to_owned(),
            usual: way.usual().as_str().to_owned(),
            by: row.map(|row| row.actor.clone()),
            at: row.map(|row| iso(row.at)),
        }
    };
    Ok(Way::ALL.into_iter().map(view).collect())
}

/// Sets how far stops of a way reach from now on; stops that stand keep their scope. The ledger keeps who said so.
///
/// # Errors
/// When there is no such way or reach, the way can have no narrow one, or the database is away.
#[crate::boxed]
pub async fn set(app: &App, actor: &Actor, way: &str, reach: &str) -> Result<ReachView> {
    let Some(way) = Way::named(way) else {
        let ways: Vec<&str> = Way::ALL.iter().map(|way| way.as_str()).collect();
        return Err(Fault::invalid(format!("A stop comes by one of these ways: {}.", ways.join(", "))));
    };
    let Some(reach) = Reach::named(reach) else {
        return Err(Fault::invalid("A stop reaches all, marketing, brand or number."));
    };
    if matches!(reach, Reach::Brand | Reach::Number) && !way.may_be_narrow() {
        let fault = Fault::invalid("Only what is said to a business number, by button or text, may be for it alone.");
        return Err(fault.action("Set all or marketing."));
    }
    let now = app.clock.now_ms();
    let detail = json!({"way": way.as_str(), "reach": reach.as_str()});
    let evidence = evidence::entry(app, "scope", actor, &detail).map_err(Fault::internal)?;
    app.store.set_reach(way, reach, actor.as_str(), now, &evidence).await?;
    app.scopes.forget();
    let views = ls(app).await?;
    let view = views.into_iter().find(|view| view.way == way.as_str());
    view.ok_or_else(|| Fault::internal(anyhow::anyhow!("a reach that was just set does not read back")))
}

/// Says of which brand a business number is; `None`: of none. Stops for a brand hold for whichever numbers are of it as
/// a message leaves; those for the brand that the number leaves go on to hold for the number itself, since the people who
/// said stop to it got its messages. The ledger keeps who said so.
///
/// # Errors
/// When it is no brand's name, there is no such number, or the database is away.
#[crate::boxed]
pub async fn set_brand(app: &App, actor: &Actor, phone_number_id: &str, brand: Option<&str>) -> Result<NumberView> {
    let brand = brand
        .map(|name| brand_name(name).map_err(|error| Fault::invalid(format!("This is no brand: {error}."))))
        .transpose()?;
    let left = numbers::show(app, phone_number_id).await?.brand.filter(|old| Some(old) != brand.as_ref());
    let carry = async || match &left {
        Some(left) => app.store.stop_number_for_brand(phone_number_id, left).await,
        None => Ok(0),
    };
    carry().await?;
    let detail = json!({"phone_number_id": phone_number_id, "brand": brand, "left": left});
    let evidence = evidence::entry(app, "scope", actor, &detail).map_err(Fault::internal)?;
    app.store.set_number_brand(phone_number_id, brand.as_deref(), &evidence).await?;
    app.scopes.forget();
    // Stops that came meanwhile; and those that another process took in by what it knew a moment ago.
    carry().await?;
    if left.is_some() && !app.store.is_embedded() {
        app.clock.sleep(KNOWN_EVERYWHERE).await;
        carry().await?;
    }
    numbers::show(app, phone_number_id).await
}

/// A scope as somebody asks for it.
///
/// # Errors
/// When it is none.
pub(crate) fn asked(text: &str) -> Result<Scope> {
    text.parse().map_err(|error| Fault::invalid(format!("This is no scope: {error}.")))
}

#[cfg(test)]
mod tests {
    use store::on_both_databases;
    use store::testing::Database;

    use super::*;
    use crate::testing::{app, running_campaign};

    on_both_databases! {
        async fn what_is_set_holds_at_once_and_nonsense_is_refused(db: Database) {
            let app = app(db).await;
            let mona = Actor::cli("mona");
            assert!(ls(&app).await.unwrap().iter().all(|view| view.reach == view.usual && view.by.is_none()));
            assert_eq!(app.scopes.known(&app).await.unwrap().of(Way::Text, Some("7")), Scope::Marketing);
            let set_text = set(&app, &mona, "text", "number").await.unwrap();
            assert_eq!((set_text.reach.as_str(), set_text.by.as_deref()), ("number", Some("cli:mona")));
            assert_eq!(app.scopes.known(&app).await.unwrap().of(Way::Text, Some("7")), Scope::Number("7".into()));
            for (way, reach) in [("voice", "all"), ("text", "some"), ("meta", "number"), ("manual", "brand")] {
                assert!(set(&app, &mona, way, reach).await.is_err(), "{way} {reach}");
            }
            assert!(set_brand(&app, &mona, "nobody's", Some("Nile")).await.is_err());
            assert_eq!(app.store.ledger_size().await.unwrap(), 1);
        }
    }

    #[tokio::test]
    async fn a_number_that_leaves_a_brand_stays_forbidden_to_whoever_stopped_the_brand() {
        let (app, _) = running_campaign(Database::sqlite().await).await;
        let mona = Actor::cli("mona");
        set_brand(&app, &mona, "1", Some("Nile")).await.unwrap();
        let stop = store::Stop {
            contact_id: Some(1),
            phone: None,
            user_id: None,
            parent_user_id: None,
            quoted_wamid: None,
            campaign_id: None,
            scope: Scope::Brand("Nile".to_owned()),
            source: "manual",
            at: app.clock.now_ms(),
            evidence: evidence::entry(&app, "opt-out", &mona, &json!({})).unwrap(),
        };
        app.store.stop(&stop).await.unwrap();
        let forbids = async |number: &str, brand: Option<&str>| {
            let forbidding = Forbidding::of("MARKETING", number, brand);
            app.store.suppressed_among(&[1, 2], &forbidding).await.unwrap()
        };
        assert_eq!(forbids("1", Some("Nile")).await, [1]);
        for brand in [Some("Delta"), Some("Nile"), None] {
            assert_eq!(set_brand(&app, &mona, "1", brand).await.unwrap().brand.as_deref(), brand);
            assert_eq!(forbids("1", brand).await, [1], "of {brand:?}");
            assert!(forbids("2", brand.filter(|brand| *brand != "Nile")).await.is_empty(), "another number");
        }
    }
}
