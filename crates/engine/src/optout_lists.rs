//! Whole lists of people who said stop: taken over from other programs, and handed out.

use std::sync::Arc;

use domain::optout::scope::{Scope, Way};
use domain::phone::Region;
use serde::Serialize;
use serde_json::json;
use store::Stop;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use utoipa::ToSchema;

use crate::fault::{Fault, Result};
use crate::optout_file::{self, RejectedLine};
use crate::optouts::Person;
use crate::sheet::{Sheet, disarm};
use crate::views::iso;
use crate::{Actor, App, disclosures, evidence, scopes, webhook};

/// A file is no longer than this: some three million numbers.
const LONGEST: u64 = 64 << 20;
/// People suppressed in one transaction.
const CHUNK: usize = 100;
/// Rows of an export read at once.
const PAGE: u32 = 2_000;
/// Rejected lines that are named; the rest are counted.
const NAMED: usize = 100;

/// What came of an opt-out list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OptOutImport {
    /// What kind of file it was: `plain`, `hudhud`, `twilio`, `listmonk`, `csv`.
    pub format: String,
    /// Rows: `suppressed + already + passed_over + rejected`.
    pub rows: i64,
    /// People who are suppressed by it and were not before.
    pub suppressed: i64,
    /// People who were suppressed before, or named twice.
    pub already: i64,
    /// Rows that say somebody may be messaged.
    pub passed_over: i64,
    /// Rows that nothing could be made of.
    pub rejected: i64,
    /// The first of them.
    pub rejects: Vec<RejectedLine>,
}

/// Suppresses everybody whom a file names: one number a line, our own export, Twilio's or listmonk's; for the scope that
/// is named, else as far as imported stops reach. On return no send that it forbids begins any more. Broken off half-way
/// it can be given again.
///
/// # Errors
/// When the file is too long or cannot be read, the region is none, or the database is away.
pub async fn import(
    app: &Arc<App>,
    actor: &Actor,
    file: impl AsyncRead + Unpin + Send,
    region: Option<&str>,
    scope: Option<&str>,
) -> Result<OptOutImport> {
    let scope = match scope {
        Some(scope) => scopes::asked(scope)?,
        None => app.scopes.known(app).await?.of(Way::Import, None),
    };
    let region: Option<Region> = region
        .map(|region| region.parse().map_err(|_| Fault::invalid("The region is a country of two letters, such as EG.")))
        .transpose()?;
    let mut bytes = Vec::new();
    let read = file.take(LONGEST + 1).read_to_end(&mut bytes).await;
    read.map_err(|error| Fault::invalid(format!("The file broke off: {error}.")))?;
    if bytes.len() as u64 > LONGEST {
        return Err(Fault::invalid("The file is longer than 64 MiB.").action("Split it and give the parts."));
    }
    let read = optout_file::read(&bytes, region);
    let mut done = OptOutImport {
        format: read.format.to_owned(),
        rows: 0,
        suppressed: 0,
        already: 0,
        passed_over: read.passed_over,
        rejected: i64::try_from(read.rejected.len()).unwrap_or(i64::MAX),
        rejects: read.rejected.into_iter().take(NAMED).collect(),
    };
    for people in read.people.chunks(CHUNK) {
        let stops: Vec<Stop> =
            people.iter().map(|person| stop_of(app, actor, (read.format, &scope), person)).collect::<Result<_>>()?;
        let stopped = app.store.stop_all(&stops).await?;
        let new = stopped.iter().filter(|stopped| stopped.new > 0).count();
        done.suppressed += i64::try_from(new).unwrap_or(i64::MAX);
        done.already += i64::try_from(people.len() - new).unwrap_or(i64::MAX);
        metrics::counter!("hudhud_optouts_total", "source" => "import").increment(new as u64);
        let ids: Vec<i64> = stopped.into_iter().flat_map(|stopped| stopped.contact_ids).collect();
        webhook::await_departures(app, &ids).await?;
    }
    done.rows = done.suppressed + done.already + done.passed_over + done.rejected;
    Ok(done)
}

fn stop_of(
    app: &App,
    actor: &Actor,
    (format, scope): (&str, &Scope),
    (person, since): &(Person, Option<String>),
) -> Result<Stop> {
    let detail = json!({"source": "import", "said": format!("on an imported list ({format})"), "format": format, "since": since,
        "person": person.shown(), "scope": scope.to_string()});
    Ok(Stop {
        contact_id: None,
        phone: match person {
            Person::Phone(number) => Some(webhook::keyed(*number)),
            Person::UserId(_) => None,
        },
        user_id: person.user_id().map(str::to_owned),
        parent_user_id: None,
        quoted_wamid: None,
        campaign_id: None,
        scope: scope.clone(),
        source: "import",
        at: app.clock.now_ms(),
        evidence: evidence::entry(app, "opt-out", actor, &detail).map_err(Fault::internal)?,
    })
}

/// Writes everybody who is suppressed, a row for each scope, as CSV (UTF-8 with BOM; cells that a spreadsheet would reckon with are text), in
/// the form that [`import`] reads. How many rows. The export is recorded.
///
/// # Errors
/// When reading or writing fails; what was written until then stays.
pub async fn export(app: &App, actor: &Actor, out: &mut (impl AsyncWrite + Unpin + Send)) -> Result<u64> {
    disclosures::note(app, actor, "optouts-export", None, "").await?;
    let columns = ["phone", "user_id", "scope", "since", "source", "campaign_id", "evidence_id"];
    let mut sheet = Sheet::begin(out, &columns).await?;
    let mut after = 0;
    loop {
        let page = app.store.suppressions(0, after, i64::from(PAGE)).await?;
        let Some(last) = page.last() else { break };
        after = last.contact_id;
        let nameless: Vec<i64> = page.iter().filter(|row| row.phone.is_none()).map(|row| row.contact_id).collect();
        let names = app.store.names_among(&nameless).await?;
        for row in page {
            let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
            let (phone, user_id) = (crate::views::phone(row.phone), names.get(&row.contact_id));
            // Whoever was erased has no name left; the database itself keeps them blocked.
            if phone.is_none() && user_id.is_none() {
                continue;
            }
            sheet.row([
                phone.map(|phone| disarm(&phone)).unwrap_or_default(),
                user_id.map(|name| disarm(name)).unwrap_or_default(),
                disarm(&row.scope),
                iso(row.since),
                row.source,
                number(row.campaign_id),
                number(row.evidence_id),
            ])?;
        }
        sheet.end_page().await?;
    }
    sheet.end().await
}

#[cfg(test)]
mod tests {
    use store::on_both_databases;
    use store::testing::Database;

    use super::*;
    use crate::optouts;
    use crate::testing::app;

    on_both_databases! {
        async fn a_list_from_elsewhere_suppresses_and_what_is_exported_reads_back(db: Database) {
            let app = app(db).await;
            let actor = Actor::cli("nour");
            let list = "+20 100 555 0001\n01005550002\nEG.77abc\nmona\n0100 555 0001\n";
            let done = import(&app.app, &actor, list.as_bytes(), Some("EG"), None).await.unwrap();
            assert_eq!((done.rows, done.suppressed, done.already, done.rejected), (5, 3, 1, 1));
            assert_eq!((done.format.as_str(), done.rejects[0].line), ("plain", 4));
            for person in ["+201005550001", "00201005550002", "EG.77abc"] {
                let check = optouts::check(&app, person).await.unwrap();
                assert_eq!((check.suppressed, check.source.as_deref()), (true, Some("import")), "{person}");
                assert!(check.evidence_id.is_some());
            }
            let mut out = Vec::new();
            assert_eq!(export(&app, &actor, &mut out).await.unwrap(), 3);
            assert!(out.starts_with("\u{feff}phone,".as_bytes()));
            assert!(String::from_utf8_lossy(&out).contains("'+201005550001,"));
            let again = import(&app.app, &actor, out.as_slice(), None, None).await.unwrap();
            assert_eq!((again.format.as_str(), again.suppressed, again.already, again.rejected), ("hudhud", 0, 3, 0));
            assert_eq!(app.store.disclosures(None, 0, 9).await.unwrap()[0].what, "optouts-export");
            assert!(import(&app.app, &actor, list.as_bytes(), Some("Egypt"), None).await.is_err());
        }
    }
}
