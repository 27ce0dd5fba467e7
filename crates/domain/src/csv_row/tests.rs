use proptest::prelude::*;

use super::*;

/// 2026-11-22T01:00:00Z
const NOW: Millis = 1_795_309_200_000;

fn header(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn mapping(names: &[&str]) -> Mapping {
    Mapping::from_header(&header(names), &[], false, Sample::default()).expect("a header of the tests")
}

fn rules(code: &str) -> RowRules {
    RowRules {
        region: Some(code.parse().expect("a country")),
        opt_in_at: OptInAt::Fixed(1),
        times: TimeRules::default(),
        now: NOW,
    }
}

fn codes(result: Result<NewContact, Vec<RowError>>) -> Vec<&'static str> {
    result.expect_err("a bad row").iter().map(|error| error.code).collect()
}

#[test]
fn a_row_becomes_a_contact() {
    let mapping = mapping(&["Phone", "Name", "Language", "City", "Tier"]);
    let contact =
        parse_row(&mapping, &rules("EG"), &["٠١٠٠١٢٣٤٥٦٧", "  منى  سالم ", "AR", " Cairo ", ""]).expect("good");
    assert_eq!(contact.phone.map(PhoneNumber::e164), Some(201001234567));
    assert_eq!(contact.name.as_deref(), Some("منى سالم"));
    assert_eq!(contact.language.as_deref(), Some("ar"));
    assert_eq!(contact.attributes, BTreeMap::from([("City".to_owned(), "Cairo".to_owned())]));
    assert_eq!(contact.opt_in_at, 1);
}

#[test]
fn a_bad_row_names_every_fault_with_its_column() {
    let mapping = Mapping::from_header(&header(&["phone", "language", "opted in at"]), &[], true, Sample::default())
        .expect("good");
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
    let mapped =
        Mapping::from_header(&names, &[(Field::OptInAt, "fecha".to_owned())], true, Sample::default()).expect("good");
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
    let two = Mapping::from_header(&header(&["mobile", "whatsapp"]), &[], false, Sample::default());
    assert_eq!(two, Err(MappingError::Ambiguous { field: Field::Phone, columns: header(&["mobile", "whatsapp"]) }));
    let named = Mapping::from_header(
        &header(&["mobile", "whatsapp"]),
        &[(Field::Phone, "WhatsApp".to_owned())],
        false,
        Sample::default(),
    );
    assert_eq!(named.as_ref().ok().and_then(|mapping| mapping.column_of(Field::Phone)), Some("whatsapp"));
    assert_eq!(mapping(&["mobile", "phone"]).column_of(Field::Phone), Some("phone"), "its own name is sure");
}

#[test]
fn a_header_that_contradicts_itself_is_refused() {
    let from = |names: &[&str], overrides: &[(Field, String)]| {
        Mapping::from_header(&header(names), overrides, false, Sample::default())
    };
    assert!(matches!(from(&["id", "city"], &[]), Err(MappingError::NotFound { field: Field::Phone, .. })));
    let map = |field, column: &str| (field, column.to_owned());
    assert!(matches!(from(&["phone"], &[map(Field::Name, "nombre")]), Err(MappingError::NoSuchColumn { .. })));
    let twice = from(&["phone", "tel"], &[map(Field::Phone, "phone"), map(Field::Phone, "tel")]);
    assert_eq!(twice, Err(MappingError::MappedTwice("phone".to_owned())));
    let shared = from(&["phone"], &[map(Field::Phone, "phone"), map(Field::Name, "phone")]);
    assert_eq!(shared, Err(MappingError::MappedTwice("phone".to_owned())));
    assert!(matches!(
        Mapping::from_header(&header(&["phone"]), &[], true, Sample::default()),
        Err(MappingError::NotFound { field: Field::OptInAt, .. })
    ));
}

#[test]
fn columns_without_a_header_and_columns_of_one_name_lose_nothing() {
    let mapping = mapping(&["\u{feff}phone", "", "city", "City", "city", "city (2)"]);
    assert_eq!(mapping.headers(), ["phone", "column2", "city", "City", "city (2)", "city (2) (2)"]);
    let contact = parse_row(&mapping, &rules("EG"), &["01001234567", "x", "a", "b", "c", ""]).expect("good");
    assert_eq!(contact.attributes.into_keys().collect::<Vec<_>>(), ["City", "city", "city (2)", "column2"]);
}

#[test]
fn a_person_may_have_a_number_or_a_user_id_or_both() {
    let rows = [vec!["".to_owned(), "EG.1349".to_owned()]];
    let sample = Sample { rows: &rows, region: None };
    let mapping = Mapping::from_header(&header(&["phone", "user_id"]), &[], false, sample).expect("good");
    let both = parse_row(&mapping, &rules("EG"), &["01001234567", "eg.1349A"]).expect("good");
    assert_eq!((both.phone.map(PhoneNumber::e164), both.user_id.as_deref()), (Some(201001234567), Some("EG.1349A")));
    let alone = parse_row(&mapping, &rules("EG"), &[" ", "EG.1349"]).expect("good");
    assert_eq!((alone.phone, alone.user_id.as_deref()), (None, Some("EG.1349")));
    for (cells, code) in [
        (["", ""], "phone-empty"),
        (["", "1349"], "user-id-unreadable"),
        (["", "EG.ENT.1"], "user-id-parent"),
        (["010012", "EG.1349"], "phone-too-short"),
    ] {
        assert_eq!(codes(parse_row(&mapping, &rules("EG"), &cells)), [code], "{cells:?}");
    }
    let own = [vec!["+201001234567".to_owned(), "17".to_owned()]];
    let sample = Sample { rows: &own, region: None };
    let mapping = Mapping::from_header(&header(&["phone", "user_id"]), &[], false, sample).expect("good");
    assert_eq!(mapping.column_of(Field::UserId), None, "ids of a shop's own are an attribute");
}

#[test]
fn of_two_columns_of_phones_the_one_that_holds_numbers_is_taken_and_said() {
    let rows: Vec<Vec<String>> = (0..20)
        .map(|n| vec![if n == 0 { "0100".to_owned() } else { String::new() }, format!("0100123456{}", n % 10)])
        .collect();
    let sample = Sample { rows: &rows, region: "EG".parse().ok() };
    for names in [["mobile", "whatsapp"], ["phone", "mobile"], ["phone", "phone"]] {
        let mapping = Mapping::from_header(&header(&names), &[], false, sample).expect("content tells");
        assert_eq!(mapping.place_of(Field::Phone), Some(1), "{names:?}");
        assert_eq!(mapping.remarks().len(), 1);
    }
    let full: Vec<Vec<String>> = rows.iter().map(|row| vec![row[1].clone(), row[1].clone()]).collect();
    let sample = Sample { rows: &full, ..sample };
    let both = Mapping::from_header(&header(&["mobile", "whatsapp"]), &[], false, sample);
    assert!(matches!(both, Err(MappingError::Ambiguous { .. })));
    let unnamed = Mapping::from_header(&header(&["reach them", "by"]), &[], false, Sample { rows: &rows, ..sample });
    assert!(unnamed.is_err_and(|error| error.to_string().ends_with("--map phone=by")));
}

#[test]
fn a_file_without_a_header_is_known_by_the_number_in_its_first_row() {
    let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
    let egypt = "EG".parse().ok();
    assert!(!Mapping::is_header(&row(["Mona", "01001234567", "Cairo"]), egypt));
    assert!(!Mapping::is_header(&row(["Mona", "01001234567", "Cairo"]), None));
    assert!(Mapping::is_header(&row(["name", "phone", "city"]), egypt));
    assert!(Mapping::is_header(&row(["phone", "20260101", "2026"]), None), "a field's name is a header's");
    let rows = [row(["Mona", "01001234567", "Cairo"]), row(["Omar", "01001234568", "Giza"])];
    let sample = Sample { rows: &rows, region: egypt };
    let mapping = Mapping::without_header(3, &[(Field::Name, "column1".to_owned())], false, sample).expect("good");
    assert_eq!(mapping.fields().collect::<Vec<_>>(), [(Field::Phone, "column2"), (Field::Name, "column1")]);
    let two = [row(["01001234567", "01001234568", "Cairo"])];
    let sample = Sample { rows: &two, region: egypt };
    assert!(matches!(Mapping::without_header(3, &[], false, sample), Err(MappingError::Ambiguous { .. })));
    assert!(matches!(Mapping::without_header(3, &[], false, Sample::default()), Err(MappingError::NotFound { .. })));
}

#[test]
fn the_rows_country_reads_its_number() {
    let mapping = mapping(&["phone", "country", "time zone"]);
    let number = |country| parse_row(&mapping, &rules("EG"), &["0501234567", country, ""]);
    assert_eq!(number("السعودية").map(|contact| contact.phone.map(PhoneNumber::e164)), Ok(Some(966501234567)));
    assert_eq!(number("AE").map(|contact| contact.phone.map(PhoneNumber::e164)), Ok(Some(971501234567)));
    assert_eq!(codes(number("Atlantis")), ["country-unknown"], "the file's country is not the row's");
    assert_eq!(number("").map(|contact| contact.phone.map(PhoneNumber::e164)), Ok(Some(20501234567)), "of Mansoura");
    let zoned = parse_row(&mapping, &rules("EG"), &["+966501234567", "Atlantis", "asia/riyadh"]).expect("good");
    assert_eq!(zoned.attributes["time_zone"], "Asia/Riyadh");
    assert_eq!(zoned.attributes["country"], "Atlantis");
    assert_eq!(codes(parse_row(&mapping, &rules("EG"), &["+966501234567", "", "GMT+3"])), ["time-zone-unknown"]);
}

#[test]
fn source_and_wording_may_stand_in_columns_and_then_no_row_lacks_them() {
    let overrides = [(Field::OptInSource, "where".to_owned()), (Field::OptInWording, "words".to_owned())];
    let mapping = Mapping::from_header(&header(&["phone", "where", "words"]), &overrides, false, Sample::default())
        .expect("good");
    let contact = parse_row(&mapping, &rules("EG"), &["01001234567", " shop\n2026 ", "I agree"]).expect("good");
    assert_eq!(contact.opt_in_source.as_deref(), Some("shop 2026"));
    assert_eq!(contact.opt_in_wording.as_deref(), Some("I agree"));
    let bad = parse_row(&mapping, &rules("EG"), &["01001234567", " ", ""]);
    assert_eq!(codes(bad), ["opt-in-source-empty", "opt-in-wording-empty"]);
    let long = parse_row(&mapping, &rules("EG"), &["01001234567", &"x".repeat(201), "yes"]);
    assert_eq!(codes(long), ["opt-in-source-too-long"]);
}

#[test]
fn an_empty_number_beside_a_full_column_names_that_column() {
    let mapping = mapping(&["phone", "mobile"]);
    let errors = parse_row(&mapping, &rules("EG"), &["", "01001234567"]).expect_err("nobody");
    assert_eq!(errors[0].code, "phone-in-columns");
    assert!(errors[0].reason(Tongue::English).contains("--map phone=mobile"));
}

#[test]
fn every_code_that_a_row_gets_has_its_texts() {
    let known: Vec<&str> = reasons::codes().collect();
    let mapping = mapping(&["phone", "language", "time zone"]);
    for cells in [vec![""; 3], vec!["x", "Klingon", "Mars"], vec!["1"], vec!["1\0", "", ""], vec!["+999", "", ""]] {
        for error in parse_row(&mapping, &rules("EG"), &cells).expect_err("bad") {
            assert!(known.contains(&error.code), "{}", error.code);
        }
    }
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
            prop_assert!(errors.iter().all(|error| error.value.chars().count() <= 64 && !error.reason(Tongue::Arabic).is_empty()));
        }
    }
}
