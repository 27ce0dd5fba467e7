//! Inbound messages: what people write and tap.

use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::lenient;
use crate::numbers::required;

/// A message from a person.
#[derive(Clone, PartialEq, Eq)]
pub struct InboundMessage {
    /// Its wamid, by which repeated deliveries are known.
    pub id: String,
    /// When it was written, by Meta's clock: epoch milliseconds.
    pub at_ms: i64,
    /// The sender's number, digits; absent for those who hide it.
    pub from: Option<String>,
    /// The sender's WhatsApp id as the contact card beside the message has it;
    /// may differ from `from`.
    pub wa_id: Option<String>,
    /// The sender's business-scoped user id.
    pub from_user_id: Option<String>,
    /// That id's parent form, which several portfolios share.
    pub parent_user_id: Option<String>,
    /// The wamid of the message it answers. May be absent on a tap.
    pub context_id: Option<String>,
    /// Whether it was written in a group, where nobody speaks to us alone.
    pub group: bool,
    /// What it says.
    pub kind: InboundKind,
}

/// What an inbound message says.
#[derive(Clone, PartialEq, Eq)]
pub enum InboundKind {
    /// A tap on a template's quick-reply button.
    Button {
        /// What we gave the button to say; the label where we gave nothing.
        payload: String,
        /// The button's label.
        text: String,
    },
    /// A tap on a button or list entry of a message that is not a template.
    Interactive {
        /// The id we gave it.
        id: String,
        /// Its label.
        title: String,
    },
    /// Words, exactly as written.
    Text(String),
    /// The person changed number or user id; `from` is the old number. What
    /// stands about the old identity stands about the new one.
    IdentityChanged {
        /// The new WhatsApp id.
        new_wa_id: Option<String>,
        /// The new business-scoped user id.
        new_user_id: Option<String>,
        /// The old business-scoped user id.
        previous_user_id: Option<String>,
    },
    /// Anything else, by Meta's type: `image`, `reaction`, `unsupported`…
    Other(String),
}

/// The contact card beside a message.
#[derive(Deserialize)]
pub(super) struct Card {
    #[serde(default, deserialize_with = "lenient::text")]
    wa_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    user_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    parent_user_id: Option<String>,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(deserialize_with = "required")]
    id: String,
    #[serde(default, deserialize_with = "lenient::int")]
    timestamp: Option<i64>,
    #[serde(default, deserialize_with = "lenient::text")]
    from: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    from_user_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    from_parent_user_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    group_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::lossy")]
    context: Option<Context>,
    #[serde(rename = "type", deserialize_with = "required")]
    kind: String,
    #[serde(default, borrow)]
    button: Option<&'a RawValue>,
    #[serde(default, borrow)]
    interactive: Option<&'a RawValue>,
    #[serde(default, borrow)]
    text: Option<&'a RawValue>,
    #[serde(default, borrow)]
    system: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Context {
    #[serde(default, deserialize_with = "lenient::text")]
    id: Option<String>,
}

impl InboundMessage {
    /// Reads one element of `messages`, with the contact cards beside it.
    pub(super) fn read(raw: &RawValue, cards: &[Card], entry_ms: Option<i64>) -> Result<Self, String> {
        let wire: Wire<'_> = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
        let card = cards.iter().find(|card| {
            (wire.from.is_some() && card.wa_id == wire.from)
                || (wire.from_user_id.is_some() && card.user_id == wire.from_user_id)
        });
        // A lone card is the sender's, unless the two name different user ids.
        // Their numbers may differ: wa_id and `from` are not always the same
        // national variant.
        let card = card.or(match cards {
            [lone] if lone.user_id.is_none() || wire.from_user_id.is_none() => Some(lone),
            _ => None,
        });
        Ok(Self {
            kind: wire.kind()?,
            at_ms: wire.timestamp.and_then(lenient::epoch_ms).or(entry_ms).ok_or("no usable timestamp")?,
            id: wire.id,
            wa_id: card.and_then(|card| card.wa_id.clone()),
            from: wire.from,
            from_user_id: wire.from_user_id.or_else(|| card?.user_id.clone()),
            parent_user_id: wire.from_parent_user_id.or_else(|| card?.parent_user_id.clone()),
            context_id: wire.context.and_then(|context| context.id),
            group: wire.group_id.is_some(),
        })
    }
}

impl Wire<'_> {
    fn kind(&self) -> Result<InboundKind, String> {
        match self.kind.as_str() {
            "button" => read_button(self.button),
            "interactive" => Ok(read_interactive(self.interactive)),
            "text" => read_text(self.text),
            "system" => Ok(read_system(self.system)),
            other => Ok(InboundKind::Other(other.to_owned())),
        }
    }
}

/// A part of a message that its type promises. A tap or a text without it is an
/// error and not "something else": it may have been an opt-out.
fn part<'a, T: Deserialize<'a>>(name: &str, raw: Option<&'a RawValue>) -> Result<T, String> {
    let raw = raw.ok_or_else(|| format!("no {name} in a message of that type"))?;
    serde_json::from_str(raw.get()).map_err(|error| format!("{name}: {error}"))
}

fn read_button(raw: Option<&RawValue>) -> Result<InboundKind, String> {
    #[derive(Deserialize)]
    struct Button {
        #[serde(default, deserialize_with = "lenient::text")]
        payload: Option<String>,
        #[serde(default, deserialize_with = "lenient::text")]
        text: Option<String>,
    }
    let Button { payload, text } = part("button", raw)?;
    let text = text.or_else(|| payload.clone()).ok_or("a button without payload and text")?;
    Ok(InboundKind::Button { payload: payload.unwrap_or_else(|| text.clone()), text })
}

fn read_text(raw: Option<&RawValue>) -> Result<InboundKind, String> {
    #[derive(Deserialize)]
    struct Text {
        body: String,
    }
    let Text { body } = part("text", raw)?;
    Ok(InboundKind::Text(body))
}

/// Button and list replies; a submitted form and whatever comes is something
/// else, for it is nobody's stop.
fn read_interactive(raw: Option<&RawValue>) -> InboundKind {
    #[derive(Deserialize)]
    struct Interactive {
        #[serde(default, deserialize_with = "lenient::lossy")]
        button_reply: Option<Reply>,
        #[serde(default, deserialize_with = "lenient::lossy")]
        list_reply: Option<Reply>,
    }
    #[derive(Deserialize)]
    struct Reply {
        #[serde(default, deserialize_with = "lenient::text")]
        id: Option<String>,
        #[serde(default, deserialize_with = "lenient::text")]
        title: Option<String>,
    }
    part("interactive", raw)
        .ok()
        .and_then(|interactive: Interactive| interactive.button_reply.or(interactive.list_reply))
        .map_or_else(
            || InboundKind::Other("interactive".to_owned()),
            |reply| InboundKind::Interactive {
                id: reply.id.unwrap_or_default(),
                title: reply.title.unwrap_or_default(),
            },
        )
}

fn read_system(raw: Option<&RawValue>) -> InboundKind {
    #[derive(Deserialize)]
    struct System {
        #[serde(default, rename = "type", deserialize_with = "lenient::text")]
        kind: Option<String>,
        #[serde(default, deserialize_with = "lenient::text")]
        wa_id: Option<String>,
        #[serde(default, deserialize_with = "lenient::text")]
        new_wa_id: Option<String>,
        #[serde(default, deserialize_with = "lenient::text")]
        user_id: Option<String>,
        #[serde(default, deserialize_with = "lenient::text")]
        previous_user_id: Option<String>,
    }
    match part("system", raw) {
        Ok(System { kind: Some(kind), wa_id, new_wa_id, user_id, previous_user_id })
            if matches!(kind.as_str(), "user_changed_number" | "customer_changed_number" | "user_changed_user_id") =>
        {
            InboundKind::IdentityChanged { new_wa_id: wa_id.or(new_wa_id), new_user_id: user_id, previous_user_id }
        }
        _ => InboundKind::Other("system".to_owned()),
    }
}

impl fmt::Debug for InboundMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboundMessage")
            .field("at_ms", &self.at_ms)
            .field("group", &self.group)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for InboundKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Button { .. } => "Button(…)",
            Self::Interactive { .. } => "Interactive(…)",
            Self::Text(_) => "Text(…)",
            Self::IdentityChanged { .. } => "IdentityChanged(…)",
            Self::Other(kind) => return write!(f, "Other({kind})"),
        })
    }
}
