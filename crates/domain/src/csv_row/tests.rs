use proptest::prelude::*;

use super::*;

/// 2026-11-22T01:00:00Z
const NOW: Millis = 1_795_309_200_000;

fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn mapping(names: &[&str]) -> Mapping {
    Mapping::from_header(&header(names), &[], false).expect("a header of the tests")
}

fn rules(code: &str) -> RowRules {
    RowRules { region: Some(code.parse().expect("a country")), opt_in_at: OptInAt::Fixed(1), now: NOW }
}

fn codes(result: Result<NewContact, Vec<RowError>>) -> Vec<&'static str> {
    result.expect_err("a bad row").iter().map(|error| error.code).collect()
}

#[test]
fn a_row_becomes_a_contact() {
    let mapping = mapping(&["Phone", "Name", "Language", "City", "Tier"]);
    let contact =
        parse_row(&mapping, &rules("EG"), &["٠١٠٠١٢٣٤٥٦٧", "  منى  سالم ", "AR", " Cairo ", ""]).expect("good");
    assert_eq!(contact.phone.e164(), 201001234567);
    assert_eq!(contact.name.as_deref(), Some("منى سالم"));
    assert_eq!(contact.language.as_deref(), Some("ar"));
    assert_eq!(contact.attributes, BTreeMap::from([("City".to_owned(), "Cairo".to_owned())]));
    assert_eq!(contact.opt_in_at, 1);
}

#[test]
fn a_bad_row_names_every_fault_with_its_column() {
    let mapping = Mapping::from_header(&header(&["phone", "language", "opted in at"]), &[], true).expect("good");
    let rules = RowRules { opt_in_at: OptInAt::Column, ..rules("EG") };
    let errors = parse_row(&mapping, &rules, &["2.01E+11", "Klingon", "03/04/2026"]).expect_err("three faults");
    let seen: Vec<_> = errors.iter().map(|error| (error.column.as_str(), error.value.as_str(), error.code)).collect();
    assert_eq!(
        seen,
        [
            ("phone", "2.01E+11", "phone-scientific-notation"),
            ("language", "Klingon", "language-unknown"),
            ("opted in at", "03/04/2026", "opt-in-ambiguous"),
        ]
    );
}

#[test]
fn the_opt_in_comes_from_its_column_or_from_the_file() {
    let names = header(&["phone", "Fecha"]);
    let mapped = Mapping::from_header(&names, &[(Field::OptInAt, "fecha".to_owned())], true).expect("good");
    let by_column = RowRules { opt_in_at: OptInAt::Column, ..rules("EG") };
    let contact = parse_row(&mapped, &by_column, &["01001234567", "2026-03-25"]).expect("good");
    assert_eq!(contact.opt_in_at, 1_774_396_800_000);
    assert_eq!(codes(parse_row(&mapped, &by_column, &["01001234567", ""])), ["opt-in-empty"]);
    assert_eq!(codes(parse_row(&mapped, &by_column, &["01001234567", "2027-03-25"])), ["opt-in-future"]);

    let unmapped = mapping(&["phone", "Fecha"]);
    let contact = parse_row(&unmapped, &rules("EG"), &["01001234567", "2026-03-25"]).expect("good");
    assert_eq!((contact.opt_in_at, contact.attributes.len()), (1, 1));
    assert_eq!(codes(parse_row(&unmapped, &by_column, &["01001234567", "2026-03-25"])), ["opt-in-no-column"]);
}

#[test]
fn a_ragged_row_is_refused_unless_its_extra_cells_are_blank() {
    let mapping = mapping(&["phone", "name"]);
    assert_eq!(codes(parse_row(&mapping, &rules("EG"), &["01001234567"])), ["row-too-few-cells"]);
    assert_eq!(codes(parse_row(&mapping, &rules("EG"), &["01001234567", "Salem", "Mona"])), ["row-too-many-cells"]);
    assert!(parse_row(&mapping, &rules("EG"), &["01001234567", "Mona", "", " "]).is_ok());
}

#[test]
fn a_cell_that_no_database_takes_is_refused() {
    let mapping = mapping(&["phone", "note"]);
    assert_eq!(codes(parse_row(&mapping, &rules("EG"), &["01001234567", "a\0b"])), ["cell-binary"]);
    assert_eq!(codes(parse_row(&mapping, &rules("EG"), &["01001234567", &"x".repeat(5_000)])), ["cell-too-long"]);
}

#[test]
fn a_long_value_is_shortened_in_the_report_and_hidden_from_logs() {
    let mapping = mapping(&["phone"]);
    let error = parse_row(&mapping, &rules("EG"), &[&"ن".repeat(100)]).expect_err("letters").remove(0);
    assert_eq!(error.value, "ن".repeat(64));
    let error = parse_row(&mapping, &rules("EG"), &["01301234567"]).expect_err("not assigned").remove(0);
    assert_eq!(error.value, "01301234567");
    assert!(!format!("{error:?}").contains("01301234567"));
}

#[test]
fn headers_are_understood_in_five_languages() {
    for (names, phone, name, language) in [
        (["Mobile Number", "Full Name", "lang", "City"], "Mobile Number", "Full Name", Some("lang")),
        (["رقم الجوال", "الإسم", "اللغة", "المدينة"], "رقم الجوال", "الإسم", Some("اللغة")),
        (["Teléfono", "NOMBRE", "idioma", "ciudad"], "Teléfono", "NOMBRE", Some("idioma")),
        (["telefone", "Nome completo", "língua", "cidade"], "telefone", "Nome completo", Some("língua")),
        (["Numéro de téléphone", "Prénom", "ville", "pays"], "Numéro de téléphone", "Prénom", None),
    ] {
        let mapping = mapping(&names);
        assert_eq!(mapping.column_of(Field::Phone), Some(phone));
        assert_eq!(mapping.column_of(Field::Name), Some(name));
        assert_eq!(mapping.column_of(Field::Language), language);
    }
}

#[test]
fn which_of_two_numbers_is_meant_is_not_guessed() {
    let two = Mapping::from_header(&header(&["mobile", "whatsapp"]), &[], false);
    assert_eq!(two, Err(MappingError::Ambiguous { field: Field::Phone, columns: header(&["mobile", "whatsapp"]) }));
    let named = Mapping::from_header(&header(&["mobile", "whatsapp"]), &[(Field::Phone, "WhatsApp".to_owned())], false);
    assert_eq!(named.as_ref().ok().and_then(|mapping| mapping.column_of(Field::Phone)), Some("whatsapp"));
    assert_eq!(mapping(&["mobile", "phone"]).column_of(Field::Phone), Some("phone"), "its own name is sure");
}

#[test]
fn a_header_that_contradicts_itself_is_refused() {
    let from = |names: &[&str], overrides: &[(Field, String)]| Mapping::from_header(&header(names), overrides, false);
    assert_eq!(from(&["phone", "a", "a"], &[]), Err(MappingError::SameHeader("a".to_owned())));
    assert!(matches!(from(&["id", "city"], &[]), Err(MappingError::NotFound { field: Field::Phone, .. })));
    let map = |field, column: &str| (field, column.to_owned());
    assert!(matches!(from(&["phone"], &[map(Field::Name, "nombre")]), Err(MappingError::NoSuchColumn { .. })));
    let twice = from(&["phone", "tel"], &[map(Field::Phone, "phone"), map(Field::Phone, "tel")]);
    assert_eq!(twice, Err(MappingError::MappedTwice("phone".to_owned())));
    let shared = from(&["phone"], &[map(Field::Phone, "phone"), map(Field::Name, "phone")]);
    assert_eq!(shared, Err(MappingError::MappedTwice("phone".to_owned())));
    assert!(matches!(
        Mapping::from_header(&header(&["phone"]), &[], true),
        Err(MappingError::NotFound { field: Field::OptInAt, .. })
    ));
}

#[test]
fn columns_without_a_header_are_left_alone() {
    let mapping = mapping(&["\u{feff}phone", "", "", "city"]);
    assert_eq!(mapping.column_of(Field::Phone), Some("phone"));
    let contact = parse_row(&mapping, &rules("EG"), &["01001234567", "x", "y", "Giza"]).expect("good");
    assert_eq!(contact.attributes.into_keys().collect::<Vec<_>>(), ["city"]);
}

#[test]
fn fields_are_named_as_in_commands() {
    assert_eq!("opt-in-at".parse(), Ok(Field::OptInAt));
    assert_eq!(" Phone ".parse(), Ok(Field::Phone));
    assert_eq!("city".parse::<Field>(), Err(UnknownField("city".to_owned())));
}

proptest! {
    #[test]
    fn every_row_is_a_contact_or_has_a_reason(cells in prop::collection::vec("\\PC{0,30}", 0..6)) {
        let mapping = mapping(&["phone", "name", "language", "city"]);
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        if let Err(errors) = parse_row(&mapping, &rules("EG"), &cells) {
            prop_assert!(!errors.is_empty());
            prop_assert!(errors.iter().all(|error| error.value.chars().count() <= 64 && !error.reason.is_empty()));
        }
    }
}
