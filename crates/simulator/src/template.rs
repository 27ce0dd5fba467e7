//! What a template demands of a message, read from Meta's `components`.

use crate::settings::Template;
use serde_json::Value;

/// The demands of one template.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    /// Whether parameters carry names.
    pub(crate) named: bool,
    /// What stands above the body.
    pub(crate) header: Header,
    /// The body's text.
    pub(crate) body: Text,
    /// All buttons, in their order, which is what a component's `index` counts.
    pub(crate) buttons: Vec<Button>,
}

/// What stands above the body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Header {
    /// Nothing.
    #[default]
    Absent,
    /// A line of text.
    Text(Text),
    /// `image`, `video`, `document`, `gif` or `location`, in lower case.
    Media(String),
}

/// A text with placeholders.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Text {
    /// Characters outside the placeholders.
    pub(crate) literal_chars: usize,
    /// The placeholders in the order of their parameters, each with the number of its occurrences.
    pub(crate) slots: Vec<(String, usize)>,
}

/// One button.
#[derive(Debug)]
pub(crate) struct Button {
    pub(crate) kind: ButtonKind,
    pub(crate) label: String,
}

/// What a button does, as far as a message can say anything about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ButtonKind {
    QuickReply,
    /// A link with a variable at its end.
    UrlSuffix,
    /// A coupon to copy.
    CopyCode,
    /// Takes no component: a fixed link, a phone number, a request for contact.
    Fixed,
}

impl ButtonKind {
    /// The `sub_type` that a component for this button carries.
    pub(crate) fn sub_type(self) -> &'static str {
        match self {
            ButtonKind::QuickReply => "quick_reply",
            ButtonKind::UrlSuffix => "url",
            ButtonKind::CopyCode => "copy_code",
            ButtonKind::Fixed => "none",
        }
    }
}

impl Shape {
    /// Reads a template's demands.
    pub(crate) fn read(template: &Template) -> Result<Shape, String> {
        let named = match template.parameter_format.as_str() {
            "NAMED" => true,
            "POSITIONAL" => false,
            other => return Err(format!("parameter_format {other} is neither POSITIONAL nor NAMED")),
        };
        let mut shape = Shape { named, header: Header::Absent, body: Text::default(), buttons: Vec::new() };
        let components = template.components.as_array().ok_or("components is not a list")?;
        for component in components {
            let text = || component.get("text").and_then(Value::as_str).ok_or("a component has no text");
            match component.get("type").and_then(Value::as_str).unwrap_or_default() {
                "HEADER" => {
                    let format = component.get("format").and_then(Value::as_str).unwrap_or("TEXT");
                    shape.header = match format {
                        "TEXT" => Header::Text(Text::read(text()?, named)?),
                        media => Header::Media(media.to_ascii_lowercase()),
                    };
                }
                "BODY" => shape.body = Text::read(text()?, named)?,
                "BUTTONS" => {
                    let buttons = component.get("buttons").and_then(Value::as_array).ok_or("BUTTONS has no buttons")?;
                    shape.buttons = buttons.iter().map(Button::read).collect();
                }
                "FOOTER" => {}
                other => return Err(format!("component type {other} is not simulated")),
            }
        }
        if shape.body == Text::default() {
            return Err("there is no BODY".into());
        }
        Ok(shape)
    }

    /// The position of the first quick reply whose label is one of these.
    pub(crate) fn opt_out_button(&self, labels: &[String]) -> Option<usize> {
        self.quick_replies().find(|(_, label)| labels.iter().any(|l| l == label)).map(|(index, _)| index)
    }

    /// The quick replies with their positions among all buttons.
    pub(crate) fn quick_replies(&self) -> impl Iterator<Item = (usize, &str)> {
        self.buttons
            .iter()
            .enumerate()
            .filter(|(_, button)| button.kind == ButtonKind::QuickReply)
            .map(|(index, button)| (index, button.label.as_str()))
    }
}

impl Button {
    fn read(button: &Value) -> Button {
        let field = |key| button.get(key).and_then(Value::as_str).unwrap_or_default();
        let kind = match field("type") {
            "QUICK_REPLY" => ButtonKind::QuickReply,
            "URL" if field("url").contains("{{") => ButtonKind::UrlSuffix,
            "COPY_CODE" => ButtonKind::CopyCode,
            _ => ButtonKind::Fixed,
        };
        Button { kind, label: field("text").to_owned() }
    }
}

impl Text {
    /// Finds the placeholders: numbers from 1 without a gap, or names.
    fn read(text: &str, named: bool) -> Result<Text, String> {
        let mut found = Text::default();
        let mut rest = text;
        while let Some(start) = rest.find("{{") {
            found.literal_chars += rest[..start].chars().count();
            let after = &rest[start + 2..];
            let end = after.find("}}").ok_or("a placeholder is not closed")?;
            let name = after[..end].trim();
            match found.slots.iter_mut().find(|(slot, _)| slot == name) {
                Some((_, count)) => *count += 1,
                None => found.slots.push((name.to_owned(), 1)),
            }
            rest = &after[end + 2..];
        }
        found.literal_chars += rest.chars().count();
        if !named {
            found.slots.sort_by_key(|(slot, _)| slot.parse::<usize>().unwrap_or(usize::MAX));
            for (at, (slot, _)) in found.slots.iter().enumerate() {
                if slot.parse() != Ok(at + 1) {
                    return Err(format!("placeholder {slot} breaks the row from 1"));
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positional_placeholders_are_ordered_by_their_number() {
        let text = Text::read("{{2}} and {{1}} and {{2}}", false).expect("readable");
        assert_eq!(text.slots, [("1".to_owned(), 1), ("2".to_owned(), 2)]);
        assert_eq!(text.literal_chars, " and ".len() * 2);
        assert!(Text::read("{{1}} {{3}}", false).is_err());
        assert!(Text::read("{{1", false).is_err());
    }

    #[test]
    fn the_opt_out_button_is_found_by_its_position_among_all_buttons() {
        let settings = crate::Settings::default();
        let template = settings.accounts[0].templates.iter().find(|t| t.name == "loyalty_points").expect("built in");
        let shape = Shape::read(template).expect("readable");
        assert_eq!(shape.opt_out_button(&settings.people.opt_out_labels), Some(1));
        assert_eq!(shape.buttons[0].kind, ButtonKind::UrlSuffix);
    }
}
