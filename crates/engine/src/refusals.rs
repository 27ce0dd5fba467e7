//! From Meta's kinds of refusal to ours, and to what is done about them.

use cloud_api::RefusalKind;
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
        RefusalKind::Template => RefusalClass::Template,
        RefusalKind::TemplatePaused => RefusalClass::TemplatePaused,
        RefusalKind::CampaignRequest => RefusalClass::CampaignRequest,
        RefusalKind::Number => RefusalClass::Number,
        RefusalKind::Account => RefusalClass::Account,
        RefusalKind::Credential => RefusalClass::Credential,
        RefusalKind::OptedOut => RefusalClass::OptedOut,
        RefusalKind::Platform => RefusalClass::Platform,
        RefusalKind::Transient => RefusalClass::Transient,
        RefusalKind::Unknown => RefusalClass::Unknown,
    }
}

/// What a person is told when a refusal stops a number, an account or a campaign: what happened and what to do.
#[must_use]
pub fn advice(class: RefusalClass, code: i64) -> String {
    let words = match class {
        RefusalClass::Credential => {
            "Meta refuses the access token. Give the account a new one with `hudhud account rotate`"
        }
        RefusalClass::Account => {
            "Meta restricts the account (standing or payment). Look at it in WhatsApp Manager, then \
             `hudhud account sync`"
        }
        RefusalClass::Number => {
            "Meta restricts or does not know this number. Look at it in WhatsApp Manager, then `hudhud number resume`"
        }
        RefusalClass::TemplatePaused => {
            "Meta paused the template. Wait until it is approved again, then `hudhud campaign resume`"
        }
        RefusalClass::Template => {
            "Meta does not let this template be sent. Look at it in WhatsApp Manager, then `hudhud campaign resume` or \
             cancel"
        }
        RefusalClass::CampaignRequest => {
            "Meta refuses the request as it is built. Check the template and the parameters, then \
             `hudhud campaign resume` or cancel"
        }
        RefusalClass::Unknown => {
            "Meta refused five messages in a row for a reason this version does not know. Look the code up, then \
             `hudhud campaign resume` or cancel"
        }
        _ => "Meta refuses to take more for now",
    };
    format!("{words} (Meta's code {code}).")
}
