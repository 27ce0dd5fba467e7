use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

const PHRASES: &str = include_str!("../../../../fixtures/optout/phrases.tsv");
/// Written before the tables were, and not looked at while they were tuned.
const HELD_OUT: &str = include_str!("../../../../fixtures/optout/held-out.tsv");

/// Written against the finished tables, with what they made of it noted before anything was mended: 161 of 178 stops
/// were heard, 6 of 232 traps suppressed. What was mended since is a class of cases each, so this list proves less by now.
const HELD_OUT_2: &str = include_str!("../../../../fixtures/optout/held-out-2.tsv");

/// Written by somebody who had not read the tables. As they stood then, 452 of its 469 stops were heard, and 3 of 345
/// traps suppressed; what was mended since is a class of cases each. What is still left to a person ("Abo kündigen",
/// "fin") may be about something else that ends.
const HELD_OUT_3: &str = include_str!("../../../../fixtures/optout/held-out-3.tsv");

/// Language, what is expected, text.
fn rows(table: &'static str) -> Vec<[&'static str; 3]> {
    let cells = |line: &'static str| line.splitn(3, '\t').collect::<Vec<_>>().try_into().expect("three cells");
    table.lines().skip(1).map(cells).collect()
}

/// The share of stops that are heard; which are not, and what is suppressed that should not be.
fn score(table: &'static str) -> (f64, Vec<String>, Vec<String>) {
    let words = Words::default();
    let (mut stops, mut missed, mut suppressed) = (0, Vec::new(), Vec::new());
    for [language, expected, text] in rows(table) {
        let verdict = words.read(text);
        match expected {
            "stop" => {
                stops += 1;
                if verdict != Verdict::Stop {
                    missed.push(format!("{language} {verdict:?} {text}"));
                }
            }
            "doubt" if verdict != Verdict::Doubtful => missed.push(format!("{language} {verdict:?} {text}")),
            "start" if verdict != Verdict::Start => missed.push(format!("{language} {verdict:?} {text}")),
            _ if verdict == Verdict::Stop => suppressed.push(format!("{language} {text}")),
            _ => {}
        }
    }
    (1.0 - missed.len() as f64 / f64::from(stops), missed, suppressed)
}

#[test]
fn of_the_corpus_nearly_every_stop_is_heard_and_no_trap_suppresses() {
    let mut by: BTreeMap<_, usize> = BTreeMap::new();
    for [_, expected, _] in rows(PHRASES) {
        *by.entry(expected).or_default() += 1;
    }
    assert!(by["stop"] >= 600 && by["trap"] >= 600, "{by:?}");
    let (recall, missed, suppressed) = score(PHRASES);
    assert!(suppressed.is_empty(), "{suppressed:#?}");
    assert!(recall >= 0.98, "recall {recall}: {missed:#?}");
}

#[test]
fn of_phrases_that_nobody_tuned_for_nearly_all_are_heard_and_no_trap_suppresses() {
    let (recall, missed, suppressed) = score(HELD_OUT);
    assert!(suppressed.is_empty(), "{} suppressed", suppressed.len());
    assert!(recall >= 0.98, "recall {recall}, {} missed", missed.len());
}

#[test]
fn of_a_second_list_that_was_written_against_the_tables_nearly_all_are_heard_and_no_trap_suppresses() {
    let (recall, missed, suppressed) = score(HELD_OUT_2);
    assert!(suppressed.is_empty(), "{suppressed:#?}");
    assert!(recall >= 0.98, "recall {recall}: {missed:#?}");
}

#[test]
fn of_a_third_list_nearly_all_are_heard_and_no_trap_suppresses() {
    let (recall, missed, suppressed) = score(HELD_OUT_3);
    assert!(suppressed.is_empty() && recall >= 0.98, "recall {recall}: {missed:#?} {suppressed:#?}");
}

#[test]
fn the_tables_name_only_classes_and_words_that_can_be_found() {
    for language in languages::ALL {
        let lists = [
            language.alone,
            language.anywhere,
            language.keeps,
            language.guards,
            language.doubts,
            language.hints,
            language.starts,
        ];
        let phrases = language.classes.iter().flat_map(|(_, phrases)| phrases.split('|'));
        for pattern in lists.into_iter().flatten().copied().chain(phrases) {
            for element in pattern.split_whitespace().filter(|element| !matches!(*element, "^" | "$")) {
                let element = element.trim_end_matches('?');
                for part in element.trim_start_matches('~').split('/') {
                    match part.trim_end_matches("}*").trim_end_matches('}').strip_prefix('{') {
                        Some(class) => assert!(
                            language.classes.iter().any(|(name, _)| *name == class),
                            "no class {class} in {pattern:?}"
                        ),
                        None => {
                            let word = normalise(&part.replace('*', ""));
                            assert!(!word.is_empty() && !word.contains(' '), "{part:?} in {pattern:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn the_labels_of_opt_out_buttons_are_known() {
    let words = Words::default();
    for label in [
        "Stop promotions",
        "Unsubscribe from Promos",
        "Unsubscribe from All",
        "إيقاف العروض",
        "إلغاء الاشتراك",
        "No más promociones",
        "Darme de baja",
        "Parar promoções",
        "Cancelar suscripción",
        "Not interested",
    ] {
        assert_eq!(words.label(label), Verdict::Stop, "{label:?}");
    }
    for label in ["Shop now", "تسوق الآن", "Ver ofertas", "Interested", "Cancelar", "Yes"] {
        assert_ne!(words.label(label), Verdict::Stop, "{label:?}");
    }
}

#[test]
fn a_word_spelt_letter_by_letter_is_one_word_however_politely() {
    let words = Words::default();
    for text in ["s t o p", "please, s t o p 🛑", "S T O P!!! thank you", "من فضلك s t o p"] {
        assert_eq!(words.read(text), Verdict::Stop, "{text}");
    }
    assert_eq!(words.read("p l e a s e"), Verdict::Nothing);
}

#[test]
fn a_sign_alone_is_left_to_a_person_and_a_long_story_too() {
    let words = Words::default();
    assert_eq!(words.read("🛑"), Verdict::Doubtful);
    assert_eq!(words.read("👎👎"), Verdict::Doubtful);
    assert_eq!(words.read("por favor, 🛑 🛑"), Verdict::Doubtful);
    assert_eq!(words.read("🛑!!! thank you"), Verdict::Doubtful);
    assert_eq!(words.read("❤️"), Verdict::Nothing);
    assert_ne!(words.read(&"stop ".repeat(1_000)), Verdict::Nothing);
    let story = format!("{} please remove me from your list", "the blue lamp came and it looks well ".repeat(8));
    assert_eq!(words.read(&story), Verdict::Doubtful);
    assert_eq!(words.read(&"🦀".repeat(5_000)), Verdict::Nothing);
    assert_eq!(words.read(""), Verdict::Nothing);
}

#[test]
fn an_operators_words_come_before_the_tables() {
    let own = [("Basta ya de Acme", Verdict::Stop), ("baja", Verdict::Nothing), ("ok go", Verdict::Start)];
    let words = Words::new(own.map(|(phrase, verdict)| (Words::key(phrase).unwrap(), verdict)));
    assert_eq!(words.read("  ¡BASTA ya de acme, por favor!"), Verdict::Stop);
    assert_eq!(words.read("Baja"), Verdict::Nothing);
    assert_eq!(words.label("baja"), Verdict::Nothing);
    assert_eq!(words.read("OK, go"), Verdict::Start);
    assert_eq!(words.read("stop"), Verdict::Stop);
    assert_eq!(Words::key("please!"), Err(WordError::Empty));
    assert_eq!(Words::key(&"a".repeat(121)), Err(WordError::TooLong));
}

/// What people put around what they say.
fn decorated(text: &str, polite: &str, way: u8) -> String {
    let text = match way % 6 {
        0 => text.to_uppercase(),
        1 => text.chars().flat_map(|c| [Some(c), ('ا'..='ي').contains(&c).then_some('ـ')]).flatten().collect(),
        2 => text.chars().flat_map(|c| [c, '\u{200b}']).collect(),
        3 => text
            .chars()
            .map(|c| if c.is_ascii_alphabetic() { char::from_u32(c as u32 + 0xfee0).unwrap_or(c) } else { c })
            .collect(),
        4 => format!("\u{202b}{}\u{202c} 🙏", text.replace(' ', "  ")),
        _ => text.to_owned(),
    };
    match way / 6 % 4 {
        0 => format!("{polite} {text}"),
        1 => format!("{text}!!! {polite}"),
        2 => format!("{polite}, {text} 🛑"),
        _ => format!("«{text}»…"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn politeness_case_and_marks_change_no_verdict(
        row in any::<Index>(),
        way in 0_u8..24,
        polite in select(vec!["please", "من فضلك", "por favor", "svp", "lütfen", "tolong", "bitte", "कृपया", "thank you"]),
    ) {
        let all = rows(PHRASES);
        let [_, _, text] = all[row.index(all.len())];
        // An uppercase ı or ß is another letter to whoever reads no Turkish or German.
        let words = Words::default();
        let dressed = decorated(text, polite, way);
        // With a sign, a greeting is as doubtful as the sign alone.
        let is_greeting = words.read(text) == Verdict::Nothing && super::said(text).is_empty();
        let expected = if is_greeting && dressed.contains('🛑') { Verdict::Doubtful } else { words.read(text) };
        prop_assert_eq!(words.read(&dressed), expected, "{} and {}", text, dressed);
    }

    #[test]
    fn no_text_breaks_the_reader(text in "\\PC{0,200}") {
        let _ = Words::default().read(&text);
        let _ = Words::default().label(&text);
    }
}
