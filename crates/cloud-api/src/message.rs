//! A message as the request body of a send: a template, or free text to somebody who wrote.

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

/// One message to one person.
#[derive(Clone)]
pub struct Message {
    /// Whom it goes to.
    pub to: Recipient,
    /// What it says.
    pub content: Content,
    /// What Meta repeats in every status of this message
    /// (`biz_opaque_callback_data`), at most 512 characters. Every app that is
    /// subscribed to the account sees it, so it holds nothing personal.
    pub callback_data: String,
}

/// What a message says.
#[derive(Clone)]
pub enum Content {
    /// A template, which may be sent to anybody who wants it.
    Template {
        /// Its name.
        name: String,
        /// Its exact language key (`ar`, `en_US`): `en` is not `en_US`.
        language: String,
        /// The rendered components in the Cloud API's request shape, an array.
        /// `None` leaves the field out, as Meta asks for a template without
        /// variables, media or payloads.
        components: Option<Box<RawValue>>,
    },
    /// Free text, which Meta takes for 24 hours after the person wrote to this
    /// number.
    Text {
        /// 1 to 4096 characters.
        body: String,
        /// The wamid of the person's message that it quotes.
        answers: Option<String>,
    },
}

/// The longest free text that Meta takes, in characters.
const TEXT_LIMIT: usize = 4096;

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
    /// Meta refuses such a text, after it has counted as sent.
    #[error("the text is empty or longer than {TEXT_LIMIT} characters")]
    Text,
}

impl Message {
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
        match &self.content {
            Content::Template { name, language, .. } if name.is_empty() || language.is_empty() => {
                Err(MessageError::Template)
            }
            Content::Template { components: Some(components), .. } if !components.get().starts_with('[') => {
                Err(MessageError::Components)
            }
            Content::Text { body, .. } if body.trim().is_empty() || body.chars().count() > TEXT_LIMIT => {
                Err(MessageError::Text)
            }
            Content::Template { .. } | Content::Text { .. } => Ok(()),
        }
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

struct Body<'a>(&'a Message);

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
            #[serde(skip_serializing_if = "Option::is_none")]
            context: Option<Context<'a>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            template: Option<Template<'a>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            text: Option<Text<'a>>,
        }
        #[derive(Serialize)]
        struct Context<'a> {
            message_id: &'a str,
        }
        #[derive(Serialize)]
        struct Text<'a> {
            body: &'a str,
            preview_url: bool,
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
        let (template, text, answers) = match &message.content {
            Content::Template { name, language, components } => {
                let language = Language { code: language };
                (Some(Template { name, language, components: components.as_deref() }), None, None)
            }
            Content::Text { body, answers } => (None, Some(Text { body, preview_url: false }), answers.as_deref()),
        };
        Wire {
            messaging_product: "whatsapp",
            recipient_type: "individual",
            to,
            recipient,
            kind: if text.is_some() { "text" } else { "template" },
            biz_opaque_callback_data: &message.callback_data,
            context: answers.map(|message_id| Context { message_id }),
            template,
            text,
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

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Template { name, language, .. } => write!(f, "Template({name}, {language}, …)"),
            Self::Text { .. } => f.write_str("Text(…)"),
        }
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("to", &self.to)
            .field("content", &self.content)
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

    fn message() -> Message {
        Message {
            to: Recipient::Phone(201_001_234_567),
            content: offer(raw(&json!([{"type": "body", "parameters": [{"type": "text", "text": "Mona"}]}]))),
            callback_data: "hh1.abcdefgh.12.9981.1".into(),
        }
    }

    fn offer(components: Option<Box<RawValue>>) -> Content {
        Content::Template { name: "eid_offer".into(), language: "ar".into(), components }
    }

    fn text(body: &str, answers: Option<&str>) -> Message {
        let content = Content::Text { body: body.into(), answers: answers.map(str::to_owned) };
        Message { content, ..message() }
    }

    fn body(message: &Message) -> Value {
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
        let written = body(&Message { to: Recipient::UserId("EG.ENT.1349abc".into()), ..message() });
        assert_eq!(written["recipient"], "EG.ENT.1349abc");
        assert_eq!(written.get("to"), None);
    }

    #[test]
    fn components_are_left_out_when_there_are_none() {
        let written = body(&Message { content: offer(None), ..message() });
        assert_eq!(written["template"].get("components"), None);
    }

    #[test]
    fn free_text_is_written_as_the_reference_shows_it_and_links_in_it_are_not_opened() {
        let written = body(&text("At nine.\nhttps://shop.example", Some("wamid.in")));
        assert_eq!(
            written,
            json!({
                "messaging_product": "whatsapp",
                "recipient_type": "individual",
                "to": "+201001234567",
                "type": "text",
                "biz_opaque_callback_data": "hh1.abcdefgh.12.9981.1",
                "context": {"message_id": "wamid.in"},
                "text": {"body": "At nine.\nhttps://shop.example", "preview_url": false}
            })
        );
        assert_eq!(body(&text("At nine.", None)).get("context"), None);
        assert!(text(&"ع".repeat(4096), None).to_body().is_ok());
    }

    #[test]
    fn what_meta_would_not_check_is_checked_before_the_call() {
        let cases = [
            (Message { to: Recipient::Phone(999_999), ..message() }, MessageError::Phone),
            (Message { to: Recipient::Phone(1_000_000_000_000_000), ..message() }, MessageError::Phone),
            (Message { to: Recipient::UserId("1349".into()), ..message() }, MessageError::UserId),
            (Message { to: Recipient::UserId("EG.".into()), ..message() }, MessageError::UserId),
            (Message { to: Recipient::UserId("EG.a b".into()), ..message() }, MessageError::UserId),
            (Message { callback_data: String::new(), ..message() }, MessageError::CallbackData),
            (Message { callback_data: "é".repeat(513), ..message() }, MessageError::CallbackData),
            (
                Message {
                    content: Content::Template { name: String::new(), language: "ar".into(), components: None },
                    ..message()
                },
                MessageError::Template,
            ),
            (Message { content: offer(raw(&json!({}))), ..message() }, MessageError::Components),
            (text(" \n", None), MessageError::Text),
            (text(&"ع".repeat(4097), None), MessageError::Text),
        ];
        for (bad, error) in cases {
            assert_eq!(bad.to_body(), Err(error));
        }
        let longest = Message { callback_data: "é".repeat(512), ..message() };
        assert!(longest.to_body().is_ok());
    }

    #[test]
    fn debug_output_holds_no_number() {
        assert!(!format!("{:?}", message()).contains("1001234567"));
        assert!(!format!("{:?}", text("At nine.", None)).contains("nine"));
    }
}
