//! The words that stop everything, as people type them and as buttons are labelled.
//!
//! A message counts only if the *whole* of it is such a word: "stop" does, "stop by the shop" does not. What could also
//! mean an order ("cancel", "إلغاء") is left to a person. Texts are compared after [`normalise`], which the lists went
//! through as well.

mod words;

use std::collections::HashSet;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

use words::{LABELS, WORDS};

/// Longer messages are complaints or stories, never one of the words below. In bytes.
const LONGEST: usize = 120;

/// A text as it is compared: compatibility forms folded, lower case, without accents, vowel marks, tatweel, joiners,
/// punctuation and emoji; Arabic letters that people use for one another made one; letters repeated three times or
/// more written once; single spaces.
pub fn normalise(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut gap = false;
    // How often the last letter stands in a row, in the text.
    let mut run = 0;
    let mut last = None;
    for c in text.nfkd().flat_map(char::to_lowercase) {
        let c = match c {
            'ٱ' => 'ا',
            'ى' | 'ی' => 'ي',
            'ة' => 'ه',
            'ک' => 'ك',
            c if is_silent(c) => continue,
            c => c,
        };
        if !c.is_alphanumeric() {
            (gap, last) = (true, None);
            continue;
        }
        if gap && !normal.is_empty() {
            normal.push(' ');
        }
        gap = false;
        run = if last == Some(c) { run + 1 } else { 1 };
        last = Some(c);
        if run >= 3 && c.is_alphabetic() {
            // The second of the row was written before anybody knew that a third would come.
            if run == 3 {
                normal.pop();
            }
            continue;
        }
        normal.push(c);
    }
    normal
}

/// Marks that change how a word looks and not which word it is.
fn is_silent(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}'       // accents, taken off by the decomposition
        | '\u{640}'                 // tatweel
        | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}' // Arabic marks
        | '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\'' | '’' | '`')
}

/// True if the whole message can only mean: stop.
pub fn tier1(text: &str) -> bool {
    static NORMAL: LazyLock<HashSet<String>> = LazyLock::new(|| WORDS.iter().map(|word| normalise(word)).collect());
    text.len() <= LONGEST && NORMAL.contains(&normalise(text))
}

/// True if a button with this label stops everything.
pub fn is_label(label: &str) -> bool {
    static NORMAL: LazyLock<HashSet<String>> = LazyLock::new(|| LABELS.iter().map(|label| normalise(label)).collect());
    tier1(label) || (label.len() <= LONGEST && NORMAL.contains(&normalise(label)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_word_that_stops_stops_however_it_is_written() {
        for text in [
            "STOP",
            "Stop.",
            "stop!!!",
            "stoooop",
            "  stop  ",
            "ＳＴＯＰ",
            "🛑 stop 🛑",
            "s\u{200b}top",
            "Opt-Out",
            "\"unsubscribe\"",
            "إيقاف",
            "ايقاف",
            "إيقـــاف",
            "إِيقَاف",
            "أوقف",
            "كفايه",
            "إلغاء الإشتراك",
            "الغاء الاشتراك",
            "BAJA",
            "Darme de baja",
            "No mas promociones",
            "Parar promoções",
            "parar promocoes",
            "Sair",
            "NÃO QUERO RECEBER",
            "Arret",
            "ARRÊT",
            "Désabonner",
            "desabonner",
        ] {
            assert!(tier1(text), "{text:?} as {:?}", normalise(text));
        }
    }

    #[test]
    fn a_word_among_others_stops_nothing() {
        for text in [
            "stop by the shop",
            "don't stop",
            "non-stop",
            "bus stop",
            "when does it end",
            "cancel my order",
            "cancel",
            "إلغاء",
            "إلغاء الطلب",
            "متى يتوقف العرض",
            "موقف",
            "baja de precio",
            "pare no posto",
            "bitte",
            "cancelar",
            "ok",
            "",
            "👎",
            "حذف",
            "START",
            "اشتراك",
            "alta",
        ] {
            assert!(!tier1(text), "{text:?}");
        }
    }

    #[test]
    fn the_labels_of_opt_out_buttons_are_known() {
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
            assert!(is_label(label), "{label:?}");
        }
        for label in ["Shop now", "تسوق الآن", "Ver ofertas", "Interested", "Cancelar", "Yes"] {
            assert!(!is_label(label), "{label:?}");
        }
    }

    #[test]
    fn a_long_message_is_never_a_stop_word() {
        assert!(!tier1(&"stop ".repeat(1_000)));
        assert!(!tier1(&format!("stop{}", "!".repeat(10_000))));
    }

    #[test]
    fn letters_three_times_in_a_row_stand_once_and_twice_stay() {
        assert_eq!(normalise("stooop aab"), "stop aab");
        assert_eq!(normalise("سلاااام"), "سلام");
        assert_eq!(normalise("1000"), "1000", "digits are no letters");
    }

    proptest! {
        #[test]
        fn normalising_breaks_on_no_text_and_leaves_no_edge_blanks(text in "\\PC{0,60}") {
            let normal = normalise(&text);
            prop_assert_eq!(normal.trim(), &normal);
            prop_assert!(!normal.contains("  "));
        }
    }
}
