//! From Meta's kinds of refusal to ours, and to what is done about them.

use cloud_api::{Channel, RefusalKind, kind_of};
use domain::Millis;
use domain::refusal::RefusalClass;

/// Our class of one of Meta's kinds. The two lists are twins on purpose: `cloud-api` knows codes, `domain` consequences.
#[must_use]
pub fn class_of(kind: RefusalKind) -> RefusalClass {
    match kind {
        RefusalKind::Throughput => RefusalClass::Throughput,
        RefusalKind::Pair => RefusalClass::Pair,
        RefusalKind::PerUser => RefusalClass::PerUser,
        RefusalKind::Recipient => RefusalClass::Recipient,
        RefusalKind::BadRow => RefusalClass::BadRow,
        RefusalKind::Parameter => RefusalClass::Parameter,
        RefusalKind::Template => RefusalClass::Template,
        RefusalKind::TemplatePaused => RefusalClass::TemplatePaused,
        RefusalKind::CampaignRequest => RefusalClass::CampaignRequest,
        RefusalKind::Number => RefusalClass::Number,
        RefusalKind::Account => RefusalClass::Account,
        RefusalKind::Portfolio => RefusalClass::Portfolio,
        RefusalKind::Credential => RefusalClass::Credential,
        RefusalKind::OptedOut => RefusalClass::OptedOut,
        RefusalKind::Platform => RefusalClass::Platform,
        RefusalKind::Transient => RefusalClass::Transient,
        RefusalKind::Ambiguous => RefusalClass::Ambiguous,
        RefusalKind::Unknown => RefusalClass::Unknown,
    }
}

/// How a campaign's reason begins while it waits for its template. Such a pause is ours, and ends by itself once Meta
/// lists the template as approved again.
pub const AWAITS_TEMPLATE: &str = "Waits for its template: ";

/// How long Meta's reference asks to wait after some codes, where the class alone would wait for less: milliseconds.
#[must_use]
pub fn least_pause(code: i64) -> Option<Millis> {
    const MINUTE: Millis = 60_000;
    match code {
        // The number is being moved to a higher throughput, or is in maintenance.
        131_057 | 2_494_100 => Some(MINUTE),
        // A Flow's ten messages an hour are used up.
        132_069 => Some(60 * MINUTE),
        _ => None,
    }
}

/// What a person is told when a refusal stops a number, an account or a campaign: what happened and what to do.
#[must_use]
pub fn advice(class: RefusalClass, code: i64) -> String {
    let words = match (class, code) {
        (RefusalClass::Credential, 0 | 190) => {
            "Meta refuses the access token. Give the account a new one with `hudhud account rotate`"
        }
        (RefusalClass::Credential, _) => {
            "Meta says that the access token lacks a permission. Give its system user both WhatsApp permissions and this \
             account in the Business Settings, then `hudhud account rotate` or `hudhud account sync`"
        }
        (RefusalClass::Account, 131_042) => {
            "Meta cannot charge the account: its payment method, credit line or currency. Mend it in the Billing Hub, \
             then `hudhud account sync`"
        }
        (RefusalClass::Account, 131_031) => {
            "Meta locked the account. Look for the reason in WhatsApp Manager and ask for a review, then \
             `hudhud account sync`"
        }
        (RefusalClass::Account, 131_064) => {
            "Meta limits the account for a while, since templates were filed in a wrong category. Mend the category in \
             WhatsApp Manager, and `hudhud account sync` once the limit is over"
        }
        (RefusalClass::Account, 134_011) => {
            "Meta's terms for payments are not accepted yet. Accept them in WhatsApp Manager, then `hudhud account sync`"
        }
        (RefusalClass::Account, _) => {
            "Meta restricts the account (standing or payment). Look at it in WhatsApp Manager, then \
             `hudhud account sync`"
        }
        (RefusalClass::Portfolio, _) => {
            "Meta dropped messages by portfolio pacing and reviews the business portfolio: none of its accounts may send. \
             Look at the review in WhatsApp Manager, and `hudhud account sync` once it is over"
        }
        (RefusalClass::Number, 131_048) => {
            "Meta restricts this number, since too many people blocked or reported it. Look at its quality in WhatsApp \
             Manager, send to fewer and better chosen people, then `hudhud number resume`"
        }
        (RefusalClass::Number, 131_037) => {
            "Meta has not approved this number's display name. Settle it in WhatsApp Manager, then `hudhud number resume`"
        }
        (RefusalClass::Number, 131_045 | 133_000 | 133_005..=133_010 | 133_015 | 133_016) => {
            "Meta says that this number is not registered. Register it in WhatsApp Manager, then `hudhud number resume`"
        }
        (RefusalClass::Number, _) => {
            "Meta restricts or does not know this number. Look at it in WhatsApp Manager, then `hudhud number resume`"
        }
        (RefusalClass::TemplatePaused, 134_101) => {
            "Meta is still preparing the template. In ten minutes `hudhud account sync` or `hudhud campaign resume` lets \
             the campaign go on"
        }
        (RefusalClass::TemplatePaused, _) => {
            "Meta paused it. The campaign goes on by itself once Meta approves it again; where Meta's pacing paused it, \
             somebody has to lift that in WhatsApp Manager, then `hudhud account sync`"
        }
        (RefusalClass::Template, _) => {
            "Meta does not let this template be sent. Look at it in WhatsApp Manager, then `hudhud campaign resume` or \
             cancel"
        }
        (RefusalClass::CampaignRequest, _) => {
            "Meta refuses the request as it is built. Check the template and the parameters, then \
             `hudhud campaign resume` or cancel"
        }
        (RefusalClass::Ambiguous, 131_014 | 131_053) => {
            "Meta cannot fetch the template's media, again and again. Check its address and its size, then \
             `hudhud campaign resume` or cancel"
        }
        (RefusalClass::Ambiguous, _) => {
            "Meta refuses a message again and again, and does not say whether the request is wrong. Check the template and \
             the parameters, then `hudhud campaign resume` or cancel"
        }
        (RefusalClass::Parameter, _) => {
            "Meta refused five messages in a row for a parameter that is missing or wrong. Check the columns that fill \
             the template, then `hudhud campaign resume` or cancel"
        }
        (RefusalClass::Unknown, _) => {
            "Meta refused five messages in a row for a reason this version does not know. Look the code up, then \
             `hudhud campaign resume` or cancel"
        }
        _ => "Meta refuses to take more for now",
    };
    let awaits = if class == RefusalClass::TemplatePaused { AWAITS_TEMPLATE } else { "" };
    format!("{awaits}{words} (Meta's code {code}).")
}

/// What a report says of messages that failed for one reason: what it means, and what to do about it. `reason` is Meta's
/// code, or our own word.
#[must_use]
pub fn explain(reason: &str) -> String {
    let Ok(code) = reason.parse::<i64>() else {
        return "A person settled it as not sent. Nothing is to be done.".to_owned();
    };
    let words = match (class_of(kind_of(code, None, Channel::Webhook)), code) {
        (RefusalClass::Recipient, 130_472) => {
            "Meta keeps some people out of marketing for an experiment. Nothing is to be done; another campaign may reach \
             them."
        }
        (RefusalClass::Recipient, _) => {
            "These people cannot be reached on WhatsApp at this number. Check the number with them; those who fail again \
             are better taken off the list."
        }
        (RefusalClass::PerUser, _) => {
            "Meta holds marketing back from people who get enough of it. Write to them less often, and try again after a \
             day at the soonest."
        }
        (RefusalClass::OptedOut, _) => {
            "These people stopped marketing messages at WhatsApp. They are on the opt-out list now; nothing is to be done."
        }
        (RefusalClass::BadRow, _) => {
            "A value of these rows does not fit the template: too long, empty or with a line break. Mend the column that \
             fills it, import it again and try the failed again."
        }
        (RefusalClass::Platform | RefusalClass::Transient | RefusalClass::Throughput | RefusalClass::Pair, _) => {
            "Something failed at Meta, and failed again at each try. Try the failed again later."
        }
        (class, code) => return advice(class, code),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests;
