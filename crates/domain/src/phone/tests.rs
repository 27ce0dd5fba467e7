use proptest::prelude::*;

use super::*;

fn region(code: &str) -> Option<Region> {
    Some(code.parse().expect("a country of the tests"))
}

#[track_caller]
fn reads(raw: &str, code: &str, wanted: u64) {
    let region = if code.is_empty() { None } else { region(code) };
    assert_eq!(parse(raw, region).map(PhoneNumber::e164), Ok(wanted), "{raw:?} in {code:?}");
}

#[track_caller]
fn refuses(raw: &str, code: &str, wanted: PhoneError) {
    let region = if code.is_empty() { None } else { region(code) };
    assert_eq!(parse(raw, region), Err(wanted), "{raw:?} in {code:?}");
}

#[test]
fn national_numbers_are_read_by_the_files_country() {
    reads("01001234567", "EG", 201001234567);
    reads("1001234567", "EG", 201001234567);
    reads("0501234567", "SA", 966501234567);
    reads("050 123 4567", "AE", 971501234567);
    reads("55 1234 5678", "MX", 525512345678);
    reads("612 34 56 78", "ES", 34612345678);
    reads("(11) 91234-5678", "BR", 5511912345678);
    reads("06 12345678", "IT", 390612345678);
    reads("011 15-2345-6789", "AR", 5491123456789);
}

#[test]
fn a_number_with_its_country_code_needs_no_country() {
    for raw in ["+201001234567", "+20 100 123 4567", "+20-100-123-4567", "00201001234567", "+20.100.123.4567"] {
        reads(raw, "", 201001234567);
        reads(raw, "BR", 201001234567);
        reads(raw, "US", 201001234567);
    }
    reads("201001234567", "EG", 201001234567);
}

#[test]
fn a_stray_zero_after_the_country_code_is_taken_out() {
    reads("+20 0100 123 4567", "", 201001234567);
    reads("+20 (0)100 123 4567", "", 201001234567);
    reads("+44 (0)20 7946 0958", "", 442079460958);
    reads("+34 (0)612 34 56 78", "", 34612345678);
    reads("0044 (0) 20 7946 0958", "", 442079460958);
    reads("+39 06 1234 5678", "", 390612345678);
}

#[test]
fn a_doubled_prefix_says_the_same_twice() {
    reads("+00201001234567", "", 201001234567);
    reads("0055 11 91234-5678", "BR", 5511912345678);
}

#[test]
fn digits_of_other_scripts_are_digits() {
    reads("٠١٠٠١٢٣٤٥٦٧", "EG", 201001234567);
    reads("+۲۰۱۰۰۱۲۳۴۵۶۷", "", 201001234567);
    reads("＋２０１００１２３４５６７", "", 201001234567);
    reads("+९१९८१२३४५६७८", "", 919812345678);
}

#[test]
fn marks_that_nobody_sees_are_taken_out() {
    reads("\u{200e}+20\u{a0}100\u{202f}123\u{200f} 4567\u{202c}", "", 201001234567);
    reads("\u{feff}01001234567\u{200b}", "EG", 201001234567);
    reads("\u{2066}+20‑100‑123‑4567\u{2069}", "", 201001234567);
}

#[test]
fn what_spreadsheets_leave_behind_is_taken_off() {
    reads("'01001234567", "EG", 201001234567);
    reads("=\"01001234567\"", "EG", 201001234567);
    reads("=+201001234567", "", 201001234567);
    reads("\"+201001234567\"", "", 201001234567);
    reads("201001234567.0", "EG", 201001234567);
    reads("201001234567+", "", 201001234567);
}

#[test]
fn scientific_notation_is_refused_because_digits_are_lost() {
    for raw in ["2.01E+11", "2,01E+11", "2.01001e11", "2E+11", "=\"2.01E+11\"", "٢.٠١E+١١"] {
        refuses(raw, "EG", PhoneError::ScientificNotation);
    }
}

#[test]
fn two_numbers_in_a_cell_are_refused() {
    for raw in [
        "01001234567 / 01112345678",
        "01001234567/01112345678",
        "01001234567, 01112345678",
        "01001234567;01112345678",
        "01001234567 01112345678",
        "01001234567 or 01112345678",
        "01001234567 و 01112345678",
        "+201001234567+201112345678",
        "01001234567 - 01112345678",
        "01001234567\n01112345678",
    ] {
        refuses(raw, "EG", PhoneError::TwoNumbers);
    }
    reads("030/12345678", "DE", 493012345678);
}

#[test]
fn letters_are_refused() {
    for raw in ["N/A", "Mona", "0100123456O", "+1 800 FLOWERS", "01001234567 ext. 12", "محمد"] {
        refuses(raw, "EG", PhoneError::Letters);
    }
}

#[test]
fn other_characters_are_named() {
    refuses("0100#1234567", "EG", PhoneError::UnexpectedCharacter('#'));
    refuses("0100*1234567", "EG", PhoneError::UnexpectedCharacter('*'));
    refuses("📞01001234567", "EG", PhoneError::UnexpectedCharacter('📞'));
    refuses("1,234", "EG", PhoneError::UnexpectedCharacter(','));
}

#[test]
fn an_empty_cell_is_empty() {
    for raw in ["", "  ", "-", "\u{200f}", "=\"\"", "+"] {
        refuses(raw, "EG", PhoneError::Empty);
    }
}

#[test]
fn a_national_number_without_a_country_is_refused() {
    refuses("01001234567", "", PhoneError::NeedsRegion);
    refuses("201001234567", "", PhoneError::NeedsRegion);
}

#[test]
fn a_number_of_another_country_without_its_plus_is_not_guessed() {
    refuses("966501234567", "EG", PhoneError::TooLong);
}

#[test]
fn too_short_and_too_long_are_told_apart() {
    refuses("0100123", "EG", PhoneError::TooShort);
    refuses("+20100123", "", PhoneError::TooShort);
    refuses("12", "EG", PhoneError::TooShort);
    refuses("+2010012345678", "", PhoneError::TooLong);
    refuses("+20100123456789012345678901234", "", PhoneError::TooLong);
    refuses("0100123456789012345678901234", "", PhoneError::TooLong);
}

#[test]
fn a_calling_code_that_nobody_has_is_refused() {
    refuses("+999123456789", "", PhoneError::UnknownCountryCode);
    refuses("+01001234567", "EG", PhoneError::UnknownCountryCode);
}

#[test]
fn a_number_that_no_plan_has_is_refused() {
    refuses("+201301234567", "", PhoneError::NotAssigned);
    refuses("01301234567", "EG", PhoneError::NotAssigned);
    refuses("+15550123456", "", PhoneError::NotAssigned);
}

#[test]
fn older_spellings_become_the_one_of_today() {
    reads("+52 1 55 1234 5678", "", 525512345678);
    reads("+55 11 8765-4321", "", 5511987654321);
    reads("(11) 8765-4321", "BR", 5511987654321);
    // A landline of eight digits stays one.
    reads("+55 11 3765-4321", "", 551137654321);
}

#[test]
fn national_variants_of_one_person_have_one_key() {
    assert_eq!(key_of(5215512345678), key_of(525512345678));
    assert_eq!(key_of(5491123456789), key_of(541123456789));
    assert_eq!(key_of(551187654321), key_of(5511987654321));
    assert_eq!(key_of(551187654321), 5511987654321);
    assert_ne!(key_of(551137654321), key_of(5511937654321), "a landline is nobody's mobile");
    assert_eq!(key_of(201001234567), 201001234567);
}

#[test]
fn webhook_digits_are_taken_as_they_come() {
    let mexican = PhoneNumber::from_wa_id("5215512345678").expect("Meta reports such");
    assert_eq!((mexican.e164(), mexican.key()), (5215512345678, 525512345678));
    assert_eq!(mexican.region(), region("MX"));
    assert_eq!(PhoneNumber::from_wa_id(" +201001234567 ").map(PhoneNumber::e164), Some(201001234567));
    for bad in
        ["", "EG.134912345", "0201001234567", "123456", "1234567890123456", "2010 01234567", "-1234567", "++12345678"]
    {
        assert_eq!(PhoneNumber::from_wa_id(bad), None, "{bad:?}");
    }
}

#[test]
fn a_number_knows_its_country() {
    for (digits, code) in [(201001234567, "EG"), (966501234567, "SA"), (14165550123, "CA"), (77012345678, "KZ")] {
        assert_eq!(PhoneNumber::from_e164(digits).and_then(PhoneNumber::region), region(code), "{code}");
    }
    assert_eq!(PhoneNumber::from_e164(80012345678).and_then(PhoneNumber::region), None, "free of any country");
}

#[test]
fn a_country_is_two_letters_with_a_numbering_plan() {
    assert_eq!(" eg ".parse::<Region>().map(|region| region.to_string()), Ok("EG".to_owned()));
    for bad in ["", "E", "EGY", "XX", "UK", "20", "001", "مص"] {
        assert!(bad.parse::<Region>().is_err(), "{bad:?}");
    }
}

#[test]
fn debug_hides_the_middle_of_a_number() {
    let number = PhoneNumber::from_e164(201001234567).expect("twelve digits");
    assert_eq!(format!("{number:?}"), "PhoneNumber(+2010…67)");
    assert_eq!(number.to_string(), "+201001234567");
}

#[test]
fn no_reason_quotes_the_number_and_every_reason_has_its_code() {
    let errors = [
        PhoneError::Empty,
        PhoneError::ScientificNotation,
        PhoneError::TwoNumbers,
        PhoneError::Letters,
        PhoneError::UnexpectedCharacter('#'),
        PhoneError::NeedsRegion,
        PhoneError::UnknownCountryCode,
        PhoneError::TooShort,
        PhoneError::TooLong,
        PhoneError::NotAssigned,
    ];
    let mut codes: Vec<_> = errors.iter().map(PhoneError::code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), errors.len());
    assert!(codes.iter().all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
    assert!(errors.iter().all(|error| !error.to_string().contains(|c: char| c.is_ascii_digit())));
}

/// The numbers of the property tests: mobiles of five countries with random subscribers.
fn e164() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0..100_000_000u64).prop_map(|n| 201_000_000_000 + n),
        (0..10_000_000u64).prop_map(|n| 966_500_000_000 + n),
        (0..100_000_000u64).prop_map(|n| 34_600_000_000 + n),
        (10_000_000..99_999_999u64).prop_map(|n| 525_500_000_000 + n),
        (0..10_000_000u64).prop_map(|n| 5_511_980_000_000 + n),
    ]
}

proptest! {
    #[test]
    fn what_was_printed_is_read_again(digits in e164()) {
        let number = parse(&format!("+{digits}"), None).expect("a mobile");
        prop_assert_eq!(number.e164(), digits);
        prop_assert_eq!(parse(&number.to_string(), None), Ok(number));
    }

    #[test]
    fn dress_changes_no_number(digits in e164(), marks in prop::collection::vec((0..15usize, 0..6usize), 0..8), arabic: bool) {
        let marks_of = ["\u{200e}", " ", "-", "\u{a0}", "\u{202b}", "."];
        let mut text: Vec<String> = digits.to_string().chars().map(|c| {
            if arabic { char::from_u32('٠' as u32 + c as u32 - '0' as u32).expect("a digit").to_string() } else { c.to_string() }
        }).collect();
        for (place, mark) in marks {
            let place = place.min(text.len());
            text.insert(place, marks_of[mark].to_owned());
        }
        let dressed = format!("+{}", text.concat());
        match parse(&dressed, None) {
            Ok(number) => prop_assert_eq!(number.e164(), digits),
            Err(error) => prop_assert!(false, "{dressed:?}: {error}"),
        }
    }

    #[test]
    fn a_key_is_its_own_key(digits in 1_000_000..999_999_999_999_999u64) {
        prop_assert_eq!(key_of(key_of(digits)), key_of(digits));
    }

    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,40}", coded: bool) {
        let region = if coded { region("EG") } else { None };
        if let Ok(number) = parse(&text, region) {
            prop_assert!((1_000_000..1_000_000_000_000_000).contains(&number.e164()));
        }
    }

    #[test]
    fn no_heap_of_marks_and_digits_breaks_the_reader(text in "[0-9+() ./,;eE='\"٠-٩-]{0,30}", code in 0..4usize) {
        let region = region(["EG", "BR", "US", "IT"][code]);
        if let Ok(number) = parse(&text, region) {
            prop_assert!((1_000_000..1_000_000_000_000_000).contains(&number.e164()));
        }
    }
}
