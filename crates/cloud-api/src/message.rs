//! A template message as the request body of a send.

use std::fmt;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

/// Longest `biz_opaque_callback_data` that Meta takes, in characters.
const CALLBACK_DATA_LIMIT: usize = 512;

/// Whom a message goes to.
#[derive(Clone, PartialEq, Eq)]
pub enum Recipient {
    /// An E.164 number: its digits without the `+`, country code first.
    Phone(u64),
    /// A business-scoped user id such as `EG.1349…`, for people who hide their
    /// number. Meta takes it in the field `recipient` in place of `to`.
    UserId(String),
}

/// One template message to one person.
#[derive(Clone)]
pub struct TemplateMessage {
    /// Whom it goes to.
    pub to: Recipient,
    /// The template's name.
    pub template: String,
    /// The template's exact language key (`ar`, `en_US`): `en` is not `en_US`.
    pub language: String,
    /// The rendered components in the Cloud API's request shape, an array.
    /// `None` leaves the field out, as Meta asks for a template without
    /// variables, media or payloads.
    pub components: Option<Box<RawValue>>,
    /// What Meta repeats in every status of this message
    /// (`biz_opaque_callback_data`), at most 512 characters. Every app that is
    /// subscribed to the account sees it, so it holds nothing personal.
    pub callback_data: String,
}

/// Why a message was not even offered to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Meta checks nothing and would send a malformed number to a stranger.
    #[error("the recipient's number does not have 7 to 15 digits")]
    Phone,
    /// Not of the form `CC.` and letters or digits.
    #[error("the recipient's user id is not a business-scoped user id")]
    UserId,
    /// Without it a lost answer could never be settled.
    #[error("the callback data is empty or longer than 512 characters")]
    CallbackData,
    /// Meta needs both to find the template.
    #[error("the template's name or language is empty")]
    Template,
    /// The components are neither absent nor an array.
    #[error("the template's components are not an array")]
    Components,
}

impl TemplateMessage {
    /// Checks what Meta does not, and serialises the request body.
    pub(crate) fn to_body(&self) -> Result<Bytes, MessageError> {
        self.check()?;
        let mut body = Vec::with_capacity(768);
        // The map keys are all strings and the writer is memory, so there is
        // nothing that could fail but the components' shape.
        serde_json::to_writer(&mut body, &Body(self)).map_err(|_| MessageError::Components)?;
        Ok(Bytes::from(body))
    }

    fn check(&self) -> Result<(), MessageError> {
        match &self.to {
            Recipient::Phone(digits) => {
                if !(1_000_000..=999_999_999_999_999).contains(digits) {
                    return Err(MessageError::Phone);
                }
            }
            Recipient::UserId(id) => {
                if !is_user_id(id) {
                    return Err(MessageError::UserId);
                }
            }
        }
        if self.callback_data.is_empty() || self.callback_data.chars().count() > CALLBACK_DATA_LIMIT {
            return Err(MessageError::CallbackData);
        }
        if self.template.is_empty() || self.language.is_empty() {
            return Err(MessageError::Template);
        }
        if self.components.as_ref().is_some_and(|components| !components.get().starts_with('[')) {
            return Err(MessageError::Components);
        }
        Ok(())
    }
}

/// `^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$`
fn is_user_id(id: &str) -> bool {
    let Some((country, rest)) = id.split_once('.') else {
        return false;
    };
    let own = rest.strip_prefix("ENT.").unwrap_or(rest);
    country.len() == 2
        && country.bytes().all(|b| b.is_ascii_uppercase())
        && (1..=128).contains(&own.len())
        && own.bytes().all(|b| b.is_ascii_alphanumeric())
}

struct Body<'a>(&'a TemplateMessage);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire<'a> {
            messaging_product: &'static str,
            recipient_type: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            to: Option<PlusDigits>,
            #[serde(skip_serializing_if = "Option::is_none")]
            recipient: Option<&'a str>,
            #[serde(rename = "type")]
            kind: &'static str,
            biz_opaque_callback_data: &'a str,
            template: Template<'a>,
        }
        #[derive(Serialize)]
        struct Template<'a> {
            name: &'a str,
            language: Language<'a>,
            #[serde(skip_serializing_if = "Option::is_none")]
            components: Option<&'a RawValue>,
        }
        #[derive(Serialize)]
        struct Language<'a> {
            code: &'a str,
        }

        let message = self.0;
        let (to, recipient) = match &message.to {
            Recipient::Phone(digits) => (Some(PlusDigits(*digits)), None),
            Recipient::UserId(id) => (None, Some(id.as_str())),
        };
        Wire {
            messaging_product: "whatsapp",
            recipient_type: "individual",
            to,
            recipient,
            kind: "template",
            biz_opaque_callback_data: &message.callback_data,
            template: Template {
                name: &message.template,
                language: Language { code: &message.language },
                components: message.components.as_deref(),
            },
        }
        .serialize(out)
    }
}

/// Without the `+` Meta puts the business number's own country code in front.
struct PlusDigits(u64);

impl Serialize for PlusDigits {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(&format_args!("+{}", self.0))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Phone(_) => "Phone(…)",
            Self::UserId(_) => "UserId(…)",
        })
    }
}

impl fmt::Debug for TemplateMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemplateMessage")
            .field("to", &self.to)
            .field("template", &self.template)
            .field("language", &self.language)
            .field("callback_data", &self.callback_data)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn raw(components: &Value) -> Option<Box<RawValue>> {
        serde_json::value::to_raw_value(components).ok()
    }

    fn message() -> TemplateMessage {
        TemplateMessage {
            to: Recipient::Phone(201_001_234_567),
            template: "eid_offer".into(),
            language: "ar".into(),
            components: raw(&json!([{"type": "body", "parameters": [{"type": "text", "text": "Mona"}]}])),
            callback_data: "hh1.abcdefgh.12.9981.1".into(),
        }
    }

    fn body(message: &TemplateMessage) -> Value {
        serde_json::from_slice(&message.to_body().expect("a good message")).expect("JSON")
    }

    #[test]
    fn a_message_is_written_as_the_reference_shows_it() {
        assert_eq!(
            body(&message()),
            json!({
                "messaging_product": "whatsapp",
                "recipient_type": "individual",
                "to": "+201001234567",
                "type": "template",
                "biz_opaque_callback_data": "hh1.abcdefgh.12.9981.1",
                "template": {
                    "name": "eid_offer",
                    "language": {"code": "ar"},
                    "components": [{"type": "body", "parameters": [{"type": "text", "text": "Mona"}]}]
                }
            })
        );
    }

    #[test]
    fn a_person_without_a_number_goes_in_recipient_and_not_in_to() {
        let written = body(&TemplateMessage { to: Recipient::UserId("EG.ENT.1349abc".into()), ..message() });
        assert_eq!(written["recipient"], "EG.ENT.1349abc");
        assert_eq!(written.get("to"), None);
    }

    #[test]
    fn components_are_left_out_when_there_are_none() {
        let written = body(&TemplateMessage { components: None, ..message() });
        assert_eq!(written["template"].get("components"), None);
    }

    #[test]
    fn what_meta_would_not_check_is_checked_before_the_call() {
        let cases = [
            (TemplateMessage { to: Recipient::Phone(999_999), ..message() }, MessageError::Phone),
            (TemplateMessage { to: Recipient::Phone(1_000_000_000_000_000), ..message() }, MessageError::Phone),
            (TemplateMessage { to: Recipient::UserId("1349".into()), ..message() }, MessageError::UserId),
            (TemplateMessage { to: Recipient::UserId("EG.".into()), ..message() }, MessageError::UserId),
            (TemplateMessage { to: Recipient::UserId("EG.a b".into()), ..message() }, MessageError::UserId),
            (TemplateMessage { callback_data: String::new(), ..message() }, MessageError::CallbackData),
            (TemplateMessage { callback_data: "é".repeat(513), ..message() }, MessageError::CallbackData),
            (TemplateMessage { template: String::new(), ..message() }, MessageError::Template),
            (TemplateMessage { components: raw(&json!({})), ..message() }, MessageError::Components),
        ];
        for (bad, error) in cases {
            assert_eq!(bad.to_body(), Err(error));
        }
        let longest = TemplateMessage { callback_data: "é".repeat(512), ..message() };
        assert!(longest.to_body().is_ok());
    }

    #[test]
    fn debug_output_holds_no_number() {
        assert!(!format!("{:?}", message()).contains("1001234567"));
    }
}
