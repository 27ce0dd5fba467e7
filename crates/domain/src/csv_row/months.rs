//! Dates with the month's name, in English, Arabic, Spanish, Portuguese and French.

use crate::optout::normalise;

/// What each month is called, normalised. An abbreviation that could be two months is in none.
const NAMES: [&[&str]; 12] = [
    &["january", "jan", "enero", "ene", "janeiro", "janvier", "janv", "يناير", "جانفي"],
    &["february", "feb", "febrero", "fevereiro", "fev", "fevrier", "fevr", "فبراير", "فيفري", "شباط"],
    &["march", "mar", "marzo", "marco", "mars", "مارس", "اذار"],
    &["april", "apr", "abril", "abr", "avril", "avr", "ابريل", "افريل", "نيسان"],
    &["may", "mayo", "maio", "mai", "مايو", "ماي", "ايار"],
    &["june", "jun", "junio", "junho", "juin", "يونيو", "يونيه", "جوان", "حزيران"],
    &["july", "jul", "julio", "julho", "juillet", "juil", "يوليو", "يوليه", "جويليه", "تموز"],
    &["august", "aug", "agosto", "ago", "aout", "اغسطس", "اوت", "اب"],
    &["september", "sep", "sept", "septiembre", "setiembre", "setembro", "set", "septembre", "سبتمبر", "ايلول"],
    &["october", "oct", "octubre", "outubro", "out", "octobre", "اكتوبر"],
    &["november", "nov", "noviembre", "novembro", "novembre", "نوفمبر"],
    &["december", "dec", "diciembre", "dic", "dezembro", "dez", "decembre", "ديسمبر"],
];

/// Year, month and day of `25 March 2026`, `March 25, 2026`, `25 de marzo de 2026`, `25-Mar-2026`.
pub(super) fn read(text: &str) -> Option<(u32, u32, u32)> {
    let normal = normalise(text);
    let (mut month, mut day, mut year) = (None, None, None);
    for word in normal.split(' ') {
        if word == "de" || word == "of" || word == "del" {
            continue;
        }
        let number = word.bytes().all(|b| b.is_ascii_digit()).then(|| word.parse::<u32>().ok()).flatten();
        let place = match (number, word.len()) {
            (Some(_), 1 | 2) => &mut day,
            (Some(_), 4) => &mut year,
            (Some(_), _) => return None,
            (None, _) => &mut month,
        };
        let value = match number {
            Some(number) => number,
            None => u32::try_from(NAMES.iter().position(|names| names.contains(&word))? + 1).ok()?,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    Some((year?, month?, day?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_normalised_and_of_one_month() {
        let all: Vec<&str> = NAMES.iter().flat_map(|names| names.iter().copied()).collect();
        for (place, name) in all.iter().enumerate() {
            assert_eq!(&normalise(name), name);
            assert!(!all[..place].contains(name), "{name} is two months");
        }
    }

    #[test]
    fn a_date_without_one_of_its_parts_is_none() {
        for text in ["March 2026", "25 March", "25 26 March 2026", "25 March April 2026", "25 March 02026", "March"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read("1 de agosto de 2025"), Some((2025, 8, 1)));
    }
}
