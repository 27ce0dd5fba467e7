//! Opt-out lists as other programs write them, read into people who said stop elsewhere.
//!
//! Four kinds of file are known: one number in each line; our own export; Twilio's lists of consent; listmonk's
//! subscribers, whose numbers lie in their attributes. A file says by its header which it is. A row that says the
//! opposite (opted in, enabled) is passed over; one from which no number can be had is named with its line.

use domain::phone::{self, Region};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::optouts::Person;

/// A row that was not understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct RejectedLine {
    /// The file's line, from 1.
    pub line: u64,
    /// Why, in kebab-case.
    pub code: String,
    /// Why, for a person.
    pub reason: String,
}

/// What is in a file.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// What kind of file it is: `plain`, `hudhud`, `twilio`, `listmonk`, `csv`.
    pub(crate) format: &'static str,
    /// Who said stop: the person, and since when as the file says it.
    pub(crate) people: Vec<(Person, Option<String>)>,
    /// Rows that say somebody may be messaged.
    pub(crate) passed_over: i64,
    /// Rows that nothing could be made of.
    pub(crate) rejected: Vec<RejectedLine>,
}

/// Columns that hold the person, in the order in which they are believed.
const PERSON: &[&str] = &[
    "phone",
    "phone_number",
    "phonenumber",
    "number",
    "msisdn",
    "mobile",
    "telephone",
    "tel",
    "whatsapp",
    "wa_id",
    "contact_id",
    "contactid",
    "to",
    "address",
    "recipient",
    "user_id",
];
/// Columns that say whether they said stop.
const STATUS: &[&str] = &["status", "consent_status", "consent", "state", "subscription_status"];
/// Columns that say since when.
const SINCE: &[&str] = &[
    "since",
    "opted_out_at",
    "opt_out_at",
    "date_of_consent",
    "date_updated",
    "unsubscribed_at",
    "updated_at",
    "date",
    "created_at",
];
/// Keys of listmonk's attributes that hold a number.
const ATTRIBUTES: &[&str] = &["phone", "mobile", "whatsapp", "msisdn", "tel", "telephone", "number", "phone_number"];
/// Statuses of people who may be messaged.
const WILLING: &[&str] = &[
    "opt_in",
    "optin",
    "opted_in",
    "re_opt_in",
    "subscribed",
    "enabled",
    "active",
    "confirmed",
    "unconfirmed",
    "start",
    "true",
];

/// A header or status as it is compared: `"Phone Number"` is `phone_number`.
fn column(name: &str) -> String {
    let name = name.trim_start_matches('\u{feff}').trim().to_lowercase();
    name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect()
}

/// Reads a whole file. `region`: the country of national numbers.
pub(crate) fn read(bytes: &[u8], region: Option<Region>) -> Read {
    let text = String::from_utf8_lossy(bytes);
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let delimiter = domain::delimiter::detect(first);
    let header: Vec<String> = first.split(char::from(delimiter)).map(|cell| column(cell.trim_matches('"'))).collect();
    let has = |name: &str| header.iter().any(|column| column == name);
    if !header.iter().any(|name| PERSON.contains(&name.as_str()) || name == "attributes" || name == "email") {
        return plain(&text, region);
    }
    let format = if has("attributes") && has("uuid") {
        "listmonk"
    } else if has("evidence_id") && has("since") {
        "hudhud"
    } else if ["sender_id", "messaging_service_sid", "date_of_consent", "account_sid"].into_iter().any(has) {
        "twilio"
    } else {
        "csv"
    };
    table(&text, delimiter, &header, format, region)
}

fn plain(text: &str, region: Option<Region>) -> Read {
    let mut read = Read { format: "plain", ..Read::default() };
    for (line, row) in (1..).zip(text.lines()) {
        let row = row.trim_start_matches('\u{feff}').trim().trim_matches(['"', ',', ';']);
        if !row.is_empty() && !row.starts_with('#') {
            read.take(row, None, line, region);
        }
    }
    read
}

fn table(text: &str, delimiter: u8, header: &[String], format: &'static str, region: Option<Region>) -> Read {
    let mut read = Read { format, ..Read::default() };
    let place = |name: &&str| header.iter().position(|column| column == name);
    let (status, since) = (STATUS.iter().find_map(place), SINCE.iter().find_map(place));
    let people: Vec<usize> = PERSON.iter().filter_map(place).collect();
    let attributes = place(&"attributes");
    let mut reader = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
    let mut row = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut row) {
            Ok(false) => return read,
            Ok(true) => {}
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                read.reject(line, "row-unreadable", "The row cannot be read as CSV.");
                continue;
            }
        }
        let line = row.position().map_or(0, csv::Position::line);
        let cell = |place: usize| row.get(place).map(str::trim).filter(|cell| !cell.is_empty());
        // Without a status, being in the file says it.
        if status.and_then(cell).is_some_and(|status| WILLING.contains(&column(status).as_str())) {
            read.passed_over += 1;
            continue;
        }
        let in_attributes = || attributes.and_then(cell).and_then(number_in);
        match people.iter().find_map(|place| cell(*place)).map(str::to_owned).or_else(in_attributes) {
            Some(person) => read.take(&person, since.and_then(cell), line, region),
            None => read.reject(line, "no-number", "The row has neither a number nor a user id."),
        }
    }
}

/// A number among listmonk's attributes, which are JSON.
fn number_in(attributes: &str) -> Option<String> {
    let Ok(Value::Object(attributes)) = serde_json::from_str(attributes) else { return None };
    match attributes.iter().find(|(key, _)| ATTRIBUTES.contains(&column(key).as_str()))?.1 {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

impl Read {
    fn take(&mut self, written: &str, since: Option<&str>, line: u64, region: Option<Region>) {
        // Our own export and some others keep spreadsheets from reckoning with a number by an apostrophe.
        let written = written.trim_start_matches('\'').trim_start_matches("whatsapp:").trim();
        let person = match phone::parse(written, region) {
            Ok(number) => Ok(Person::Phone(number)),
            Err(_) => Person::parse(written),
        };
        match person {
            Ok(person) => self.people.push((person, since.map(str::to_owned))),
            Err(_) if written.contains('@') => self.reject(line, "no-number", "An e-mail address is no number."),
            Err(_) => self.reject(line, "not-a-number", "Neither a number with its country code nor a user id."),
        }
    }

    fn reject(&mut self, line: u64, code: &str, reason: &str) {
        self.rejected.push(RejectedLine { line, code: code.to_owned(), reason: reason.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(read: &Read) -> Vec<String> {
        read.people.iter().map(|(person, _)| person.shown()).collect()
    }

    #[test]
    fn one_number_a_line_is_the_simplest_list() {
        let list = "\u{feff}+20 100 555 0001\n# a remark\n\n201005550002\n01005550003\nEG.1349abc\nmona\n";
        let read = read(list.as_bytes(), "EG".parse().ok());
        assert_eq!(read.format, "plain");
        assert_eq!(people(&read), ["+201005550001", "+201005550002", "+201005550003", "EG.1349abc"]);
        assert_eq!((read.rejected.len(), read.rejected[0].line), (1, 7));
    }

    #[test]
    fn twilios_lists_name_who_opted_out_and_who_opted_in() {
        let consents = "contact_id,sender_id,status,source,date_of_consent\n\
                        +201005550001,MG1,opt-out,sms,2026-01-02T03:04:05Z\n+201005550002,MG1,opt-in,website,\n";
        let read = super::read(consents.as_bytes(), None);
        assert_eq!((read.format, read.passed_over), ("twilio", 1));
        assert_eq!(people(&read), ["+201005550001"]);
        assert_eq!(read.people[0].1.as_deref(), Some("2026-01-02T03:04:05Z"));
        let whatsapp = "Messaging Service SID;Phone Number;Date\nMG1;whatsapp:+201005550003;2026-01-02\n";
        let read = super::read(whatsapp.as_bytes(), None);
        assert_eq!((read.format, people(&read)), ("twilio", vec!["+201005550003".to_owned()]));
    }

    #[test]
    fn listmonks_subscribers_have_their_numbers_among_their_attributes() {
        let subscribers = "uuid,email,name,attributes,status,created_at,updated_at\n\
            1,a@example.com,A,\"{\"\"phone\"\": \"\"+201005550001\"\"}\",blocklisted,x,y\n\
            2,b@example.com,B,\"{\"\"Phone\"\": 201005550002}\",unsubscribed,x,y\n\
            3,c@example.com,C,\"{\"\"phone\"\": \"\"+201005550003\"\"}\",enabled,x,y\n\
            4,d@example.com,D,{},blocklisted,x,y\n";
        let read = read(subscribers.as_bytes(), None);
        assert_eq!((read.format, read.passed_over, read.rejected.len()), ("listmonk", 1, 1));
        assert_eq!(people(&read), ["+201005550001", "+201005550002"]);
    }

    #[test]
    fn our_own_export_reads_back() {
        let own = "\u{feff}phone,user_id,scope,since,source,campaign_id,evidence_id\r\n\
            '+201005550001,,all,2026-01-02T03:04:05.000Z,text,,7\r\n,EG.77abc,all,2026-01-02T03:04:05.000Z,text,,8\r\n";
        let read = read(own.as_bytes(), None);
        assert_eq!(read.format, "hudhud");
        assert_eq!(people(&read), ["+201005550001", "EG.77abc"]);
    }
}
