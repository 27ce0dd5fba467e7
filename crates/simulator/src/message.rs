//! The body of `POST /{phone_number_id}/messages` as it comes over the wire.

use crate::refusal::Refusal;
use serde::Deserialize;
use serde_json::Value;

/// The body. Unknown keys at the top are ignored, as the Graph API does; inside `template` they are refused.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Message {
    pub(crate) messaging_product: Option<String>,
    pub(crate) recipient_type: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) recipient: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    pub(crate) biz_opaque_callback_data: Option<String>,
    pub(crate) template: Option<TemplateCall>,
    pub(crate) text: Option<TextCall>,
    pub(crate) context: Option<Context>,
}

/// What is said in a message without a template.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TextCall {
    #[serde(default)]
    pub(crate) body: String,
    #[serde(rename = "preview_url")]
    pub(crate) _preview_url: Option<bool>,
}

/// The message that is answered.
#[derive(Debug, Deserialize)]
pub(crate) struct Context {
    pub(crate) message_id: Option<String>,
}

/// What a message says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call<'a> {
    Template(&'a TemplateCall),
    /// Free text, for which a service window must be open.
    Text,
}

/// The longest text, in characters.
const TEXT_CHARS: usize = 4096;

/// Which template, in which language, with what.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateCall {
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) language: Option<Language>,
    #[serde(default)]
    pub(crate) components: Vec<Component>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Language {
    #[serde(default)]
    pub(crate) code: String,
    /// Only `deterministic` ever existed.
    #[serde(rename = "policy")]
    pub(crate) _policy: Option<String>,
}

/// The parameters of one part of the template.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Component {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) sub_type: Option<String>,
    /// A button's position, as a number or a string.
    pub(crate) index: Option<Value>,
    #[serde(default)]
    pub(crate) parameters: Vec<Parameter>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Parameter {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) parameter_name: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) payload: Option<String>,
    pub(crate) coupon_code: Option<String>,
    pub(crate) image: Option<Media>,
    pub(crate) video: Option<Media>,
    pub(crate) document: Option<Media>,
    pub(crate) gif: Option<Media>,
    pub(crate) location: Option<Value>,
    /// Old types that still parse; their text is what people see.
    pub(crate) currency: Option<Fallback>,
    pub(crate) date_time: Option<Fallback>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Fallback {
    pub(crate) fallback_value: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Media {
    pub(crate) id: Option<Value>,
    pub(crate) link: Option<String>,
    #[serde(rename = "filename")]
    pub(crate) _filename: Option<String>,
}

impl Message {
    /// Reads a body. What is not JSON reads as empty, so that the first missing parameter is complained about, as Meta
    /// does.
    pub(crate) fn read(body: &[u8]) -> Result<Message, Refusal> {
        serde_json::from_slice(body).or_else(|error| match error.classify() {
            serde_json::error::Category::Data => Err(Refusal::new(100, format!("Invalid parameter: {error}"))),
            _ => Ok(Message::default()),
        })
    }

    /// The checks that need no template.
    pub(crate) fn check_envelope(&self) -> Result<Call<'_>, Refusal> {
        if self.messaging_product.as_deref() != Some("whatsapp") {
            return Err(Refusal::new(100, "The parameter messaging_product is required."));
        }
        if self.recipient_type.as_deref().is_some_and(|kind| kind != "individual") {
            return Err(Refusal::new(100, "Invalid parameter: recipient_type must be individual"));
        }
        if self.to.is_none() && self.recipient.is_none() {
            return Err(Refusal::new(100, "The parameter to is required."));
        }
        if self.biz_opaque_callback_data.as_ref().is_some_and(|data| data.chars().count() > 512) {
            return Err(Refusal::new(100, "Param biz_opaque_callback_data must be at most 512 characters long."));
        }
        match self.kind.as_deref() {
            Some("template") => {}
            None | Some("text") => return self.check_text(),
            Some(other) => return Err(Refusal::new(131_051, format!("Message type {other} is not supported"))),
        }
        let Some(call) = &self.template else {
            return Err(Refusal::new(131_008, "Parameter 'template' is mandatory for type 'template'"));
        };
        if call.name.is_empty() {
            return Err(Refusal::new(131_008, "Parameter 'name' is mandatory in 'template'"));
        }
        if call.language.as_ref().is_none_or(|language| language.code.is_empty()) {
            return Err(Refusal::new(131_008, "Parameter 'language' with its 'code' is mandatory in 'template'"));
        }
        Ok(Call::Template(call))
    }

    fn check_text(&self) -> Result<Call<'_>, Refusal> {
        let body = self.text.as_ref().map_or("", |text| text.body.as_str());
        if body.trim().is_empty() {
            return Err(Refusal::new(131_008, "Parameter 'body' is mandatory for type 'text'"));
        }
        if body.chars().count() > TEXT_CHARS {
            let details = format!("Param text['body'] must be at most {TEXT_CHARS} characters long.");
            return Err(Refusal::new(100, details));
        }
        if self.context.as_ref().is_some_and(|context| context.message_id.as_deref().is_none_or(str::is_empty)) {
            return Err(Refusal::new(131_009, "Parameter 'message_id' of 'context' is not a message"));
        }
        Ok(Call::Text)
    }
}
