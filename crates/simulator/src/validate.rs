//! Does this message fit this template? Stricter than Meta in places, never laxer.

use crate::message::{Component, Media, Parameter, TemplateCall};
use crate::refusal::Refusal;
use crate::template::{ButtonKind, Header, Shape, Text};

/// The longest body once its variables are filled in, in characters.
const BODY_CHARS: usize = 1024;
/// The longest header line, in characters.
const HEADER_CHARS: usize = 60;
/// The longest link, in characters.
const URL_CHARS: usize = 2000;
/// The longest quick-reply payload, in characters.
const PAYLOAD_CHARS: usize = 128;
/// The longest coupon, in characters.
const COUPON_CHARS: usize = 20;

/// What a quick reply will echo, by the button's position; other buttons have an empty text.
pub(crate) type Payloads = Vec<String>;

/// Checks all components against the template's demands and returns the payloads of its quick replies: the one sent,
/// or the label where none was.
pub(crate) fn components(call: &TemplateCall, shape: &Shape) -> Result<Payloads, Refusal> {
    let mut header = None;
    let mut body = None;
    let mut buttons: Vec<Option<&Component>> = vec![None; shape.buttons.len()];
    for component in &call.components {
        let slot = match component.kind.to_ascii_lowercase().as_str() {
            "header" => &mut header,
            "body" => &mut body,
            "button" => {
                let index = button_index(component)?;
                let count = shape.buttons.len();
                buttons.get_mut(index).ok_or_else(|| {
                    mismatch(format!("buttons: index {index} is out of range, the template has {count} buttons"))
                })?
            }
            other => return Err(Refusal::new(100, format!("Invalid parameter: component type {other}"))),
        };
        if slot.replace(component).is_some() {
            return Err(mismatch(format!("{}: given more than once", component.kind)));
        }
    }
    check_header(header, shape)?;
    text(body.map_or(&[], |c| c.parameters.as_slice()), &shape.body, shape.named, "body", BODY_CHARS)?;
    let mut payloads = Vec::with_capacity(buttons.len());
    for (index, component) in buttons.into_iter().enumerate() {
        payloads.push(check_button(index, component, shape)?);
    }
    Ok(payloads)
}

fn mismatch(details: impl Into<String>) -> Refusal {
    Refusal::new(132_012, details)
}

fn missing(details: impl Into<String>) -> Refusal {
    Refusal::new(131_008, details)
}

fn button_index(component: &Component) -> Result<usize, Refusal> {
    let index = match &component.index {
        Some(serde_json::Value::Number(number)) => number.as_u64().and_then(|n| usize::try_from(n).ok()),
        Some(serde_json::Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    index.ok_or_else(|| missing("Parameter 'index' is mandatory for a button component"))
}

fn check_header(component: Option<&Component>, shape: &Shape) -> Result<(), Refusal> {
    let parameters = component.map_or(&[][..], |c| c.parameters.as_slice());
    let media = match &shape.header {
        Header::Absent => return text(parameters, &Text::default(), shape.named, "header", HEADER_CHARS),
        Header::Text(line) => return text(parameters, line, shape.named, "header", HEADER_CHARS),
        Header::Media(media) => media,
    };
    let expected = media.to_ascii_uppercase();
    let [parameter] = parameters else {
        let received = if parameters.is_empty() { "UNKNOWN" } else { "several parameters" };
        return Err(mismatch(format!("header: Format mismatch, expected {expected}, received {received}")));
    };
    if !parameter.kind.eq_ignore_ascii_case(media) {
        let received = parameter.kind.to_ascii_uppercase();
        return Err(mismatch(format!("header: Format mismatch, expected {expected}, received {received}")));
    }
    let object = match media.as_str() {
        "image" => &parameter.image,
        "video" => &parameter.video,
        "document" => &parameter.document,
        "gif" => &parameter.gif,
        _ => {
            return match parameter.location {
                Some(_) => Ok(()),
                None => Err(missing("header: parameter 'location' is mandatory")),
            };
        }
    };
    media_object(object.as_ref(), media)
}

fn media_object(object: Option<&Media>, media: &str) -> Result<(), Refusal> {
    let Some(object) = object else {
        return Err(missing(format!("header: parameter '{media}' is mandatory")));
    };
    match (&object.id, &object.link) {
        (Some(_), None) => Ok(()),
        (None, Some(link)) => {
            let uri = link.parse::<http::Uri>().ok();
            let secure = uri.is_some_and(|u| u.scheme_str() == Some("https") && u.host().is_some());
            if secure { Ok(()) } else { Err(Refusal::new(131_009, format!("header: {media} link is not a valid URI"))) }
        }
        (None, None) => Err(missing(format!("header: {media} needs an id or a link"))),
        (Some(_), Some(_)) => Err(Refusal::new(131_009, format!("header: {media} has both an id and a link"))),
    }
}

/// Checks the parameters of one text: their number, their names, their values, and the length of the result.
fn text(given: &[Parameter], wanted: &Text, named: bool, part: &str, limit: usize) -> Result<(), Refusal> {
    let (count, expected) = (given.len(), wanted.slots.len());
    if count != expected {
        return Err(Refusal::new(
            132_000,
            format!(
                "{part}: number of localizable_params ({count}) does not match the expected number of params \
                 ({expected})"
            ),
        ));
    }
    let mut chars = wanted.literal_chars;
    let mut seen: Vec<&str> = Vec::new();
    for (position, parameter) in given.iter().enumerate() {
        let value = text_value(parameter, part)?;
        let occurrences = if named {
            let name = parameter.parameter_name.as_deref().unwrap_or_default();
            if name.is_empty() {
                return Err(missing(format!("{part}: Parameter name is missing or empty")));
            }
            if seen.contains(&name) {
                return Err(mismatch(format!("{part}: parameter {name} is given twice")));
            }
            seen.push(name);
            match wanted.slots.iter().find(|(slot, _)| slot == name) {
                Some((_, occurrences)) => *occurrences,
                None => return Err(mismatch(format!("{part}: the template has no parameter {name}"))),
            }
        } else {
            if parameter.parameter_name.is_some() {
                return Err(mismatch(format!("{part}: a positional template takes no parameter names")));
            }
            wanted.slots[position].1
        };
        chars += value.chars().count() * occurrences;
    }
    if chars > limit {
        return Err(Refusal::new(
            132_005,
            format!("{part}: the text is {chars} characters long, the limit is {limit}"),
        ));
    }
    Ok(())
}

/// A parameter's text, free of what templates refuse.
fn text_value<'a>(parameter: &'a Parameter, part: &str) -> Result<&'a str, Refusal> {
    let value = match parameter.kind.to_ascii_lowercase().as_str() {
        "text" => parameter.text.as_deref(),
        "currency" => parameter.currency.as_ref().and_then(|c| c.fallback_value.as_deref()),
        "date_time" => parameter.date_time.as_ref().and_then(|d| d.fallback_value.as_deref()),
        "" => return Err(missing(format!("{part}: Parameter type is missing"))),
        other => return Err(mismatch(format!("{part}: expected a text parameter, received {other}"))),
    };
    match value {
        None => Err(missing(format!("{part}: Parameter of type text is missing text value"))),
        Some(blank) if blank.trim().is_empty() => {
            Err(missing(format!("{part}: Parameter of type text is missing text value")))
        }
        Some(text) if text.contains(['\n', '\r', '\t']) || text.contains("     ") => Err(Refusal::new(
            132_018,
            format!("{part}: Param text cannot have new-line/tab characters or more than 4 consecutive spaces"),
        )),
        Some(text) => Ok(text),
    }
}

/// Checks one button and returns what a tap on it will echo.
fn check_button(index: usize, component: Option<&Component>, shape: &Shape) -> Result<String, Refusal> {
    let button = &shape.buttons[index];
    let echo = |payload: &str| if button.kind == ButtonKind::QuickReply { payload.to_owned() } else { String::new() };
    let Some(component) = component else {
        return match button.kind {
            ButtonKind::QuickReply | ButtonKind::Fixed => Ok(echo(&button.label)),
            ButtonKind::UrlSuffix => {
                Err(missing(format!("buttons: Button at index {index} of type Url requires a parameter")))
            }
            ButtonKind::CopyCode => {
                Err(missing(format!("buttons: Button at index {index} of type CopyCode requires a parameter")))
            }
        };
    };
    let (expected, received) = (button.kind.sub_type(), component.sub_type.as_deref().unwrap_or_default());
    if received.is_empty() {
        return Err(missing("Parameter 'sub_type' is mandatory for a button component"));
    }
    if button.kind == ButtonKind::Fixed {
        return Err(mismatch(format!("buttons: Button at index {index} does not accept parameters")));
    }
    if !received.eq_ignore_ascii_case(expected) {
        return Err(mismatch(format!("buttons: Button at index {index} is of type {expected}, received {received}")));
    }
    let [parameter] = component.parameters.as_slice() else {
        let count = component.parameters.len();
        return Err(Refusal::new(
            132_000,
            format!("buttons: Button at index {index} takes 1 parameter, received {count}"),
        ));
    };
    let wrong_type = || mismatch(format!("buttons: Button at index {index} received type {}", parameter.kind));
    match button.kind {
        ButtonKind::QuickReply => {
            if parameter.kind != "payload" {
                return Err(wrong_type());
            }
            let payload = parameter.payload.as_deref().unwrap_or_default();
            if payload.is_empty() {
                return Err(missing(format!("buttons: Button at index {index} is missing its payload")));
            }
            if payload.chars().count() > PAYLOAD_CHARS {
                return Err(Refusal::new(
                    131_009,
                    format!("buttons: payload is longer than {PAYLOAD_CHARS} characters"),
                ));
            }
            Ok(echo(payload))
        }
        ButtonKind::UrlSuffix => {
            if parameter.kind != "text" {
                return Err(wrong_type());
            }
            let suffix = text_value(parameter, "buttons")?;
            if suffix.chars().count() > URL_CHARS {
                return Err(Refusal::new(132_005, format!("buttons: the link is longer than {URL_CHARS} characters")));
            }
            Ok(String::new())
        }
        ButtonKind::CopyCode => {
            if parameter.kind != "coupon_code" {
                return Err(wrong_type());
            }
            let code = parameter.coupon_code.as_deref().unwrap_or_default();
            if code.is_empty() {
                return Err(missing(format!("buttons: Button at index {index} is missing its coupon_code")));
            }
            if code.chars().count() > COUPON_CHARS {
                return Err(Refusal::new(
                    131_009,
                    format!("buttons: coupon_code is longer than {COUPON_CHARS} characters"),
                ));
            }
            Ok(String::new())
        }
        ButtonKind::Fixed => Ok(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn shape(name: &str, language: &str) -> Shape {
        let settings = crate::Settings::default();
        let template = settings.accounts[0]
            .templates
            .iter()
            .find(|t| t.name == name && t.language == language)
            .expect("a built-in template");
        Shape::read(template).expect("readable")
    }

    fn check(name: &str, language: &str, parts: Value) -> Result<Payloads, u32> {
        let call = json!({"name": name, "language": {"code": language}, "components": parts});
        let call: TemplateCall = serde_json::from_value(call).expect("a well-formed call");
        components(&call, &shape(name, language)).map_err(|refusal| refusal.code)
    }

    fn body(values: &[&str]) -> Value {
        let parameters: Vec<Value> = values.iter().map(|v| json!({"type": "text", "text": v})).collect();
        json!({"type": "body", "parameters": parameters})
    }

    fn named(pairs: &[(&str, &str)]) -> Value {
        let parameters: Vec<Value> =
            pairs.iter().map(|(n, v)| json!({"type": "text", "parameter_name": n, "text": v})).collect();
        json!({"type": "body", "parameters": parameters})
    }

    fn button(index: Value, sub_type: &str, parameter: Value) -> Value {
        json!({"type": "button", "sub_type": sub_type, "index": index, "parameters": [parameter]})
    }

    #[test]
    fn a_fitting_message_yields_the_payloads_that_taps_will_echo() {
        let parts = json!([
            body(&["Mona", "20%"]),
            button(json!("0"), "quick_reply", json!({"type": "payload", "payload": "more"})),
            button(json!(1), "QUICK_REPLY", json!({"type": "payload", "payload": "stop"})),
        ]);
        assert_eq!(check("eid_offer", "en", parts), Ok(vec!["more".to_owned(), "stop".to_owned()]));
    }

    #[test]
    fn a_quick_reply_without_a_payload_echoes_its_label() {
        let payloads = check("eid_offer", "en", json!([body(&["Mona", "20%"])]));
        assert_eq!(payloads, Ok(vec!["Tell me more".to_owned(), "Stop promotions".to_owned()]));
    }

    #[test]
    fn a_wrong_number_of_parameters_is_132000() {
        assert_eq!(check("eid_offer", "en", json!([body(&["Mona"])])), Err(132_000));
        assert_eq!(check("eid_offer", "en", json!([body(&["Mona", "20%", "x"])])), Err(132_000));
        assert_eq!(check("eid_offer", "en", json!([])), Err(132_000));
        assert_eq!(check("season_greeting", "en", json!([body(&["x"])])), Err(132_000));
        assert_eq!(check("season_greeting", "en", json!([])).map(|p| p.len()), Ok(2));
    }

    #[test]
    fn names_must_be_given_once_each_and_be_the_templates_own() {
        let ok = named(&[("order_id", "A-1"), ("first_name", "Mona")]);
        assert_eq!(check("order_update", "en", json!([ok])), Ok(vec![]));
        let unnamed = body(&["Mona", "A-1"]);
        assert_eq!(check("order_update", "en", json!([unnamed])), Err(131_008));
        let misnamed = named(&[("first_name", "Mona"), ("order", "A-1")]);
        assert_eq!(check("order_update", "en", json!([misnamed])), Err(132_012));
        let twice = named(&[("first_name", "Mona"), ("first_name", "Mona")]);
        assert_eq!(check("order_update", "en", json!([twice])), Err(132_012));
        let named_to_positional = named(&[("1", "Mona"), ("2", "20%")]);
        assert_eq!(check("eid_offer", "en", json!([named_to_positional])), Err(132_012));
    }

    #[test]
    fn text_must_be_one_clean_line() {
        for (bad, code) in [("", 131_008), ("  ", 131_008), ("a\nb", 132_018), ("a\tb", 132_018), ("a     b", 132_018)]
        {
            assert_eq!(check("eid_offer", "en", json!([body(&["Mona", bad])])), Err(code), "{bad:?}");
        }
        assert!(check("eid_offer", "en", json!([body(&["Mona", "a    b"])])).is_ok(), "four spaces are allowed");
        assert_eq!(check("eid_offer", "en", json!([body(&["Mona", &"x".repeat(1000)])])), Err(132_005));
    }

    #[test]
    fn a_media_header_needs_one_secure_link_or_an_id() {
        let text = named(&[("first_name", "Lucía"), ("discount", "15%")]);
        let header = |image: Value| json!({"type": "header", "parameters": [{"type": "image", "image": image}]});
        let code = |parts: Value| check("spring_sale", "es", parts).err();
        assert_eq!(code(json!([header(json!({"link": "https://img.example/a.jpg"})), text])), None);
        assert_eq!(code(json!([header(json!({"id": "1479537139650973"})), text])), None);
        assert_eq!(code(json!([header(json!({"link": "http://img.example/a.jpg"})), text])), Some(131_009));
        assert_eq!(code(json!([header(json!({"link": "img.example"})), text])), Some(131_009));
        assert_eq!(code(json!([header(json!({})), text])), Some(131_008));
        assert_eq!(code(json!([text])), Some(132_012));
        let video = json!({"type": "header", "parameters": [{"type": "video", "video": {"id": "1"}}]});
        assert_eq!(code(json!([video, text])), Some(132_012));
    }

    #[test]
    fn buttons_are_matched_by_position_and_kind() {
        let base = |button: Value| {
            json!([
                {"type": "header", "parameters": [{"type": "text", "text": "Mona"}]},
                body(&["120", "EGP 60"]),
                button
            ])
        };
        let code = |button: Value| check("loyalty_points", "en", base(button)).err();
        let suffix = json!({"type": "text", "text": "mona?u=1"});
        let payload = json!({"type": "payload", "payload": "p"});
        assert_eq!(code(button(json!("0"), "url", suffix.clone())), None);
        assert_eq!(
            code(button(json!("1"), "quick_reply", payload.clone())),
            Some(131_008),
            "the link lacks its suffix"
        );
        assert_eq!(code(button(json!("0"), "quick_reply", payload.clone())), Some(132_012));
        assert_eq!(code(button(json!("0"), "url", payload.clone())), Some(132_012));
        assert_eq!(code(button(json!("7"), "url", suffix.clone())), Some(132_012));
        assert_eq!(code(button(json!(null), "url", suffix.clone())), Some(131_008));
        assert_eq!(code(button(json!("0"), "url", json!({"type": "text", "text": ""}))), Some(131_008));
        let fixed = json!([button(json!("0"), "url", suffix)]);
        assert_eq!(check("season_greeting", "en", fixed).err(), Some(132_012), "a fixed link takes nothing");
        let long = button(json!("1"), "quick_reply", json!({"type": "payload", "payload": "p".repeat(129)}));
        assert_eq!(check("season_greeting", "en", json!([long])).err(), Some(131_009));
    }
}
