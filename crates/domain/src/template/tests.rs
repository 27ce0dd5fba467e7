use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn template(format: Option<&str>, components: &Value) -> Template {
    Template::from_meta(&MetaFields {
        name: "eid_offer",
        language: "ar",
        category: "MARKETING",
        status: "APPROVED",
        parameter_format: format,
        components,
    })
    .expect("a list of components")
}

fn offer() -> Template {
    template(
        None,
        &json!([
            {"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4::x"]}},
            {"type": "BODY", "text": "Hi {{1}}, enjoy {{2}} off. Yes, {{2}}!", "example": {"body_text": [["Mona", "20%"]]}},
            {"type": "FOOTER", "text": "Not interested? Tap Stop promotions"},
            {"type": "BUTTONS", "buttons": [
                {"type": "URL", "text": "Shop", "url": "https://x.example/{{1}}"},
                {"type": "QUICK_REPLY", "text": "Stop promotions"},
                {"type": "QUICK_REPLY", "text": "Tell me more"},
                {"type": "COPY_CODE", "text": "Copy"},
                {"type": "URL", "text": "Terms", "url": "https://x.example/terms"},
                {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+15550100"},
            ]},
        ]),
    )
}

fn greeting(body: &str) -> Template {
    template(None, &json!([{"type": "BODY", "text": body}]))
}

fn params(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
}

fn offer_params() -> BTreeMap<String, String> {
    params(&[
        ("header", "https://cdn.example/eid.png"),
        ("1", "{name|friend}"),
        ("2", "{Discount}"),
        ("button.0", "eid?c={City}"),
        ("button.3", "EID25"),
    ])
}

fn contact<'a>(name: Option<&'a str>, attributes: &'a BTreeMap<String, String>) -> Fields<'a> {
    Fields { phone: Some("+201001234567"), name, language: Some("ar"), attributes }
}

/// What it is in a request.
fn json_of(components: RenderedComponents) -> Value {
    serde_json::to_value(components).expect("texts only")
}

fn codes(result: Result<RenderedComponents, Vec<RowProblem>>) -> Vec<(String, &'static str)> {
    result.expect_err("a bad row").into_iter().map(|problem| (problem.key, problem.code)).collect()
}

/// Renders a body of one variable with a constant column.
fn body_with(value: &str) -> Result<RenderedComponents, Vec<RowProblem>> {
    let plan = Plan::new(&greeting("Hi {{1}}."), &params(&[("1", "{v}")])).expect("a plan");
    plan.render(&contact(None, &params(&[("v", value)])), 1)
}

#[test]
fn a_message_is_written_in_metas_shape() {
    let plan = Plan::new(&offer(), &offer_params()).expect("a plan");
    let attributes = params(&[("Discount", " 20% "), ("City", "Cairo")]);
    let components = plan.render(&contact(Some("Mona"), &attributes), 12).map(json_of).expect("a good row");
    assert_eq!(
        components,
        json!([
            {"type": "header", "parameters": [{"type": "image", "image": {"link": "https://cdn.example/eid.png"}}]},
            {"type": "body", "parameters": [{"type": "text", "text": "Mona"}, {"type": "text", "text": "20%"}]},
            {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": "eid?c=Cairo"}]},
            {"type": "button", "sub_type": "copy_code", "index": "3",
             "parameters": [{"type": "coupon_code", "coupon_code": "EID25"}]},
            {"type": "button", "sub_type": "quick_reply", "index": "1",
             "parameters": [{"type": "payload", "payload": "HH1:c12:b1:OPTOUT"}]},
            {"type": "button", "sub_type": "quick_reply", "index": "2",
             "parameters": [{"type": "payload", "payload": "HH1:c12:b2:REPLY"}]},
        ])
    );
}

#[test]
fn named_parameters_carry_their_names() {
    let components = json!([
        {"type": "HEADER", "format": "TEXT", "text": "For {{first_name}}"},
        {"type": "BODY", "text": "Hi {{first_name}}, {{discount}} off."},
    ]);
    let template = template(Some("NAMED"), &components);
    assert_eq!(template.format, ParameterFormat::Named);
    let plan = Plan::new(&template, &params(&[("first_name", "{name}"), ("discount", "20%")])).expect("a plan");
    let none = BTreeMap::new();
    let rendered = plan.render(&contact(Some("Mona"), &none), 1).map(json_of).expect("a good row");
    assert_eq!(
        rendered,
        json!([
            {"type": "header", "parameters": [{"type": "text", "parameter_name": "first_name", "text": "Mona"}]},
            {"type": "body", "parameters": [
                {"type": "text", "parameter_name": "first_name", "text": "Mona"},
                {"type": "text", "parameter_name": "discount", "text": "20%"},
            ]},
        ])
    );
    for key in ["header.first_name", "header.1"] {
        let given = params(&[(key, "all"), ("first_name", "{name}"), ("discount", "20%")]);
        let plan = Plan::new(&template, &given).expect("a plan");
        let rendered = plan.render(&contact(Some("Mona"), &none), 1).map(json_of).expect("a good row");
        assert_eq!(rendered[0]["parameters"][0]["text"], "all", "{key}");
    }
}

#[test]
fn positions_are_filled_in_their_order_and_not_in_the_texts() {
    let template = greeting("{{2}} before {{1}} and {{10}}.");
    let keys: Vec<_> = template.variables().iter().map(|slot| slot.key().to_string()).collect();
    assert_eq!(keys, ["1", "2", "10"]);
    let plan = Plan::new(&template, &params(&[("1", "a"), ("2", "b"), ("10", "c")])).expect("a plan");
    let rendered = plan.render(&contact(None, &BTreeMap::new()), 1).map(json_of).expect("a good row");
    let texts: Vec<_> = rendered[0]["parameters"].as_array().into_iter().flatten().map(|p| p["text"].clone()).collect();
    assert_eq!(texts, ["a", "b", "c"]);
}

#[test]
fn a_template_that_asks_for_nothing_sends_no_components() {
    let plan = Plan::new(&greeting("Hello!"), &BTreeMap::new()).expect("a plan");
    let rendered = plan.render(&contact(None, &BTreeMap::new()), 1).expect("a good row");
    assert!(rendered.is_empty());
    assert_eq!(json_of(rendered), json!([]));
}

#[test]
fn a_document_is_sent_with_its_file_name() {
    let template = template(None, &json!([{"type": "HEADER", "format": "DOCUMENT"}, {"type": "BODY", "text": "Hi"}]));
    let file = |link: &str| {
        let plan = Plan::new(&template, &params(&[("header", link)])).expect("a plan");
        let rendered = plan.render(&contact(None, &BTreeMap::new()), 1).map(json_of).expect("a good row");
        rendered[0]["parameters"][0]["document"].clone()
    };
    let named = json!({"link": "https://x.example/a/menu.pdf?v=2", "filename": "menu.pdf"});
    assert_eq!(file("https://x.example/a/menu.pdf?v=2"), named);
    assert_eq!(file("https://x.example"), json!({"link": "https://x.example"}));
    assert_eq!(file("https://x.example/a/"), json!({"link": "https://x.example/a/"}));
}

#[test]
fn everything_that_blocks_a_launch_is_named_at_once() {
    let given =
        params(&[("1", "{name"), ("3", "x"), ("button.9", "x"), ("header", "http://x.example/a.png"), ("a b", "x")]);
    let errors = Plan::new(&offer(), &given).expect_err("all wrong");
    let mut codes: Vec<_> = errors.iter().map(|error| format!("{} {error}", error.code())).collect();
    codes.sort();
    insta::assert_snapshot!(codes.join("\n"));
}

#[test]
fn a_missing_parameter_is_a_blocker_that_says_what_it_is_for() {
    let mut given = offer_params();
    given.remove("2");
    let errors = Plan::new(&offer(), &given).expect_err("2 is missing");
    assert_eq!(
        errors[0].to_string(),
        "the parameter \"2\" is missing: the variable {{2}} of the body; give it with --param 2=TEXT"
    );
    assert_eq!(errors.len(), 1);
}

#[test]
fn what_cannot_be_filled_blocks_the_template() {
    let components = json!([
        {"type": "HEADER", "format": "LOCATION"},
        {"type": "BODY", "text": "Hi"},
        {"type": "CAROUSEL", "cards": []},
        {"type": "BUTTONS", "buttons": [{"type": "OTP", "text": "Copy"}, {"type": "FLOW", "text": "Open"}]},
    ]);
    let errors = Plan::new(&template(None, &components), &BTreeMap::new()).expect_err("unsupported");
    let unsupported = ["LOCATION header", "CAROUSEL", "OTP button", "FLOW button"];
    assert_eq!(errors, unsupported.map(|what| PlanError::Unsupported(what.to_owned())));
}

#[test]
fn a_missing_column_blocks_the_row_by_name() {
    let plan = Plan::new(&offer(), &offer_params()).expect("a plan");
    let blank = params(&[("City", "Cairo"), ("Discount", "  ")]);
    let problems = plan.check(&contact(None, &blank)).expect_err("no discount");
    assert_eq!(problems.len(), 1, "the name has its fallback");
    assert_eq!((problems[0].key.as_str(), problems[0].column.as_deref()), ("2", Some("Discount")));
    assert_eq!(problems[0].code, "variable-missing");
    let problems = plan.check(&contact(None, &BTreeMap::new())).expect_err("two are missing");
    assert_eq!(problems.iter().map(|problem| problem.key.as_str()).collect::<Vec<_>>(), ["2", "button.0"]);
}

#[test]
fn values_that_meta_refuses_are_refused_here() {
    let code = |value: &str| codes(body_with(value))[0].1;
    assert_eq!(code("a\nb"), "value-line-break");
    assert_eq!(code("a\tb"), "value-line-break");
    assert_eq!(code("a     b"), "value-many-spaces");
    assert_eq!(code(" "), "variable-missing");
    assert_eq!(code(&"x".repeat(1_021)), "text-too-long");
    for value in ["a    b", "  a  ", "عرض 20%", &"ع".repeat(1_020)] {
        assert!(body_with(value).is_ok(), "{value:?}");
    }
}

#[test]
fn a_value_that_stands_twice_counts_twice() {
    let plan = Plan::new(&greeting("{{1}} and {{1}}"), &params(&[("1", "{v}")])).expect("a plan");
    let with = |length| plan.check(&contact(None, &params(&[("v", &"x".repeat(length))])));
    assert_eq!(with(509), Ok(()));
    assert!(with(510).is_err(), "1,025 characters");
}

#[test]
fn headers_codes_links_and_addresses_have_their_limits() {
    let header = template(None, &json!([{"type": "HEADER", "format": "TEXT", "text": "For {{1}}"}]));
    let plan = Plan::new(&header, &params(&[("header.1", "{v}")])).expect("a plan");
    let row = |plan: &Plan, value: &str| plan.render(&contact(None, &params(&[("v", value)])), 1);
    assert!(row(&plan, &"x".repeat(56)).is_ok());
    assert_eq!(codes(row(&plan, &"x".repeat(57))), [("header".to_owned(), "text-too-long")]);

    let buttons = json!([{"type": "BUTTONS", "buttons": [
        {"type": "URL", "text": "Go", "url": "https://x.example/{{1}}"}, {"type": "COPY_CODE", "text": "Copy"},
    ]}]);
    let template = template(None, &buttons);
    let code_plan = Plan::new(&template, &params(&[("button.0", "a"), ("button.1", "{v}")])).expect("a plan");
    assert!(row(&code_plan, &"x".repeat(20)).is_ok());
    assert_eq!(codes(row(&code_plan, &"x".repeat(21))), [("button.1".to_owned(), "code-too-long")]);
    let url_plan = Plan::new(&template, &params(&[("button.0", "{v}"), ("button.1", "EID")])).expect("a plan");
    assert_eq!(codes(row(&url_plan, "a b")), [("button.0".to_owned(), "url-blank")]);
    assert_eq!(codes(row(&url_plan, &"x".repeat(1_983))), [("button.0".to_owned(), "url-too-long")]);
    assert!(row(&url_plan, &"x".repeat(1_982)).is_ok());
}

#[test]
fn media_must_be_linked_by_https() {
    for link in [
        "http://x.example/a.png",
        "https://",
        "https:///a.png",
        "https://localhost/a",
        "ftp://x.example",
        "https://x.example/a b",
        "x",
    ] {
        assert!(values::check_link(link).is_err(), "{link}");
    }
    for link in ["https://x.example/a.png", "HTTPS://x.example", "https://x.example/صورة.png"] {
        assert!(values::check_link(link).is_ok(), "{link}");
    }
}

#[test]
fn columns_are_found_in_any_case_and_by_the_headers_of_files() {
    let attributes = params(&[("City", "Cairo")]);
    let contact = contact(Some("Mona"), &attributes);
    assert_eq!(contact.get("City"), Some("Cairo"));
    assert_eq!(contact.get("city"), Some("Cairo"));
    assert_eq!(contact.get("Nombre"), Some("Mona"));
    assert_eq!(contact.get("الاسم"), Some("Mona"));
    assert_eq!(contact.get("phone"), Some("+201001234567"));
    assert_eq!(contact.get("town"), None);
}

#[test]
fn keys_are_read_as_commands_write_them() {
    let name = |text: &str| VariableName::Name(text.to_owned());
    for (text, key) in [
        ("1", ParamKey::Body(VariableName::Position(1))),
        ("first_name", ParamKey::Body(name("first_name"))),
        ("header.1", ParamKey::HeaderText(VariableName::Position(1))),
        ("header.x", ParamKey::HeaderText(name("x"))),
        ("header", ParamKey::HeaderMedia),
        ("button.0", ParamKey::Button(0)),
    ] {
        assert_eq!(text.parse(), Ok(key.clone()));
        assert_eq!(key.to_string(), text);
    }
    for text in ["", "0", "1.2", "header.", "button.", "button.x", "button.+1", "button.256", "a b", "99999", "{{1}}"] {
        assert!(text.parse::<ParamKey>().is_err(), "{text:?}");
    }
}

#[test]
fn an_expression_is_text_with_columns_and_fallbacks() {
    let render = |text: &str| {
        let expression = Expression::parse(text).expect("an expression");
        expression.render(&|column| match column {
            "name" => Some(" Mona "),
            "empty" => Some("  "),
            _ => None,
        })
    };
    let ok = |text: &str| Ok(text.to_owned());
    assert_eq!(render("Hi {name|friend}!"), ok("Hi Mona!"));
    assert_eq!(render("Hi {empty|friend}!"), ok("Hi friend!"));
    assert_eq!(render("{ name }"), ok("Mona"));
    assert_eq!(render("{{name}} is {name}"), ok("{name} is Mona"));
    assert_eq!(render("{gone|a|b}"), ok("a|b"));
    assert_eq!(render(""), ok(""));
    assert_eq!(render("Hi {gone}"), Err(MissingVariable { column: "gone".to_owned() }));
    assert_eq!(render("Hi {empty}"), Err(MissingVariable { column: "empty".to_owned() }));
}

#[test]
fn braces_that_do_not_fit_are_pointed_at() {
    for (text, error) in [
        ("Hi {name", ExpressionError::Unclosed(4)),
        ("Hi name}", ExpressionError::Unopened(8)),
        ("مرحبا {}", ExpressionError::NoColumn(7)),
        ("{|friend}", ExpressionError::NoColumn(1)),
        ("{a{b}}", ExpressionError::Nested(1)),
    ] {
        assert_eq!(Expression::parse(text), Err(error), "{text}");
    }
    assert_eq!(
        ExpressionError::Unclosed(4).to_string(),
        "the { at character 4 is never closed; close it with }, or write {{ for a brace"
    );
}

#[test]
fn what_meta_adds_later_is_kept_as_it_is() {
    assert_eq!(TemplateStatus::parse("approved"), TemplateStatus::Approved);
    assert_eq!(TemplateStatus::parse("IN_APPEAL").as_str(), "IN_APPEAL");
    assert!(!TemplateStatus::parse("IN_APPEAL").is_sendable());
    assert_eq!(Category::parse("FREE_SERVICE"), Category::Other("FREE_SERVICE".to_owned()));
    let odd = template(Some("NEW_WAY"), &json!([{"type": "HOLOGRAM"}, {}, 7, {"type": "BUTTONS", "buttons": "none"}]));
    assert_eq!(odd.components.len(), 4);
    assert_eq!(odd.variables(), []);
    let no_list = MetaFields {
        components: &json!({}),
        name: "x",
        language: "ar",
        category: "",
        status: "",
        parameter_format: None,
    };
    assert!(Template::from_meta(&no_list).is_err());
}

#[test]
fn braces_that_are_no_placeholder_are_text() {
    let template = greeting("{{ 1 }} {{}} {{a b}} {{1 {{2}} }}");
    let keys: Vec<_> = template.variables().iter().map(|slot| slot.key().to_string()).collect();
    assert_eq!(keys, ["1", "2"]);
    assert_eq!(components::fixed_length("{{ 1 }} {{}} x"), 7);
}

#[test]
fn messages_live_as_long_as_their_template_says_where_meta_heeds_that() {
    const DAYS: i64 = 30 * 24 * 3_600_000;
    for (category, seconds, lives) in [
        (Category::Marketing, None, DAYS),
        (Category::Marketing, Some(43_200), DAYS),
        (Category::Utility, None, DAYS),
        (Category::Utility, Some(-1), DAYS),
        (Category::Utility, Some(3_600), 3_600_000),
        (Category::Authentication, None, 600_000),
        (Category::Authentication, Some(-1), DAYS),
        (Category::Authentication, Some(60), 60_000),
    ] {
        assert_eq!(time_to_live(&category, seconds), lives, "{category:?} {seconds:?}");
    }
}

proptest! {
    #[test]
    fn every_value_is_sent_as_it_is_or_refused(value in "\\PC{0,40}") {
        match body_with(&value) {
            Ok(rendered) => prop_assert_eq!(
                json_of(rendered),
                json!([{"type": "body", "parameters": [{"type": "text", "text": value.trim()}]}])
            ),
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }

    #[test]
    fn no_text_breaks_the_reader_of_expressions(text in "[{}|a-c é]{0,20}") {
        if let Ok(expression) = Expression::parse(&text) {
            let _ = expression.render(&|_| None);
        }
    }

    #[test]
    fn text_without_braces_means_itself(text in "[^{}]{0,40}") {
        let expression = Expression::parse(&text).expect("no braces");
        prop_assert_eq!(expression.render(&|_| None), Ok(text.clone()));
        prop_assert_eq!(expression.constant(), Some(text.as_str()));
    }

    #[test]
    fn no_text_breaks_the_reader_of_placeholders(text in "[{} 1a_]{0,30}") {
        let template = greeting(&text);
        let fixed = components::fixed_length(&text);
        prop_assert!(fixed <= text.chars().count());
        prop_assert_eq!(template.variables().is_empty(), fixed == text.chars().count());
    }
}
