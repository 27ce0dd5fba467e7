//! The country of a person, as files have it.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::optout::normalise;
use crate::phone::Region;

/// Countries by their two letters: the three letters, and what they are called in English, Arabic, Spanish, Portuguese
/// and French. Those that Hudhud's senders write to most; every other goes by its two letters.
const NAMES: &[(&str, &[&str])] = &[
    (
        "AE",
        &[
            "ARE",
            "UAE",
            "United Arab Emirates",
            "Emirates",
            "الإمارات",
            "الإمارات العربية المتحدة",
            "Emiratos Árabes Unidos",
            "Emirados Árabes Unidos",
            "Émirats arabes unis",
        ],
    ),
    ("AR", &["ARG", "Argentina", "الأرجنتين", "Argentine"]),
    ("BH", &["BHR", "Bahrain", "البحرين", "Baréin", "Bahreïn"]),
    ("BO", &["BOL", "Bolivia", "Bolívia", "Bolivie", "بوليفيا"]),
    ("BR", &["BRA", "Brazil", "Brasil", "Brésil", "البرازيل"]),
    ("CA", &["CAN", "Canada", "Canadá", "كندا"]),
    ("CL", &["CHL", "Chile", "Chili", "تشيلي"]),
    ("CO", &["COL", "Colombia", "Colômbia", "Colombie", "كولومبيا"]),
    ("CR", &["CRI", "Costa Rica"]),
    ("DE", &["DEU", "Germany", "Alemania", "Alemanha", "Allemagne", "Deutschland", "ألمانيا"]),
    ("DO", &["DOM", "Dominican Republic", "República Dominicana"]),
    ("DZ", &["DZA", "Algeria", "الجزائر", "Argelia", "Argélia", "Algérie"]),
    ("EC", &["ECU", "Ecuador", "Equador", "Équateur"]),
    ("EG", &["EGY", "Egypt", "مصر", "جمهورية مصر العربية", "Egipto", "Egito", "Égypte"]),
    ("ES", &["ESP", "Spain", "España", "Espanha", "Espagne", "إسبانيا"]),
    ("FR", &["FRA", "France", "Francia", "França", "فرنسا"]),
    (
        "GB",
        &[
            "GBR",
            "UK",
            "United Kingdom",
            "Great Britain",
            "England",
            "Reino Unido",
            "Royaume-Uni",
            "بريطانيا",
            "المملكة المتحدة",
        ],
    ),
    ("GT", &["GTM", "Guatemala"]),
    ("HN", &["HND", "Honduras"]),
    ("IN", &["IND", "India", "Índia", "Inde", "الهند"]),
    ("IQ", &["IRQ", "Iraq", "العراق", "Irak", "Iraque"]),
    ("IT", &["ITA", "Italy", "Italia", "Itália", "Italie", "إيطاليا"]),
    ("JO", &["JOR", "Jordan", "الأردن", "Jordania", "Jordânia", "Jordanie"]),
    ("KW", &["KWT", "Kuwait", "الكويت", "Koweït"]),
    ("LB", &["LBN", "Lebanon", "لبنان", "Líbano", "Liban"]),
    ("LY", &["LBY", "Libya", "ليبيا", "Libia", "Líbia", "Libye"]),
    ("MA", &["MAR", "Morocco", "المغرب", "Marruecos", "Marrocos", "Maroc"]),
    ("MX", &["MEX", "Mexico", "México", "Mexique", "المكسيك"]),
    ("NI", &["NIC", "Nicaragua"]),
    ("OM", &["OMN", "Oman", "عمان", "سلطنة عمان", "Omán", "Omã"]),
    ("PA", &["PAN", "Panama", "Panamá"]),
    ("PE", &["PER", "Peru", "Perú", "Pérou"]),
    ("PK", &["PAK", "Pakistan", "Pakistán", "Paquistão", "باكستان"]),
    ("PS", &["PSE", "Palestine", "فلسطين", "Palestina"]),
    ("PT", &["PRT", "Portugal", "البرتغال"]),
    ("PY", &["PRY", "Paraguay", "Paraguai"]),
    ("QA", &["QAT", "Qatar", "قطر", "Catar"]),
    (
        "SA",
        &[
            "SAU",
            "KSA",
            "Saudi Arabia",
            "السعودية",
            "المملكة العربية السعودية",
            "Arabia Saudita",
            "Arabia Saudí",
            "Arábia Saudita",
            "Arabie saoudite",
        ],
    ),
    ("SD", &["SDN", "Sudan", "السودان", "Sudán", "Sudão", "Soudan"]),
    ("SV", &["SLV", "El Salvador"]),
    ("SY", &["SYR", "Syria", "سوريا", "سورية", "Siria", "Síria", "Syrie"]),
    ("TN", &["TUN", "Tunisia", "تونس", "Túnez", "Tunísia", "Tunisie"]),
    ("TR", &["TUR", "Turkey", "Türkiye", "تركيا", "Turquía", "Turquia", "Turquie"]),
    (
        "US",
        &[
            "USA",
            "United States",
            "United States of America",
            "Estados Unidos",
            "EE. UU.",
            "EEUU",
            "États-Unis",
            "الولايات المتحدة",
            "أمريكا",
        ],
    ),
    ("UY", &["URY", "Uruguay", "Uruguai"]),
    ("VE", &["VEN", "Venezuela", "فنزويلا"]),
    ("YE", &["YEM", "Yemen", "اليمن", "Iémen", "Yémen"]),
];

/// The country that a cell names, by its letters or its name. `None` for a name that nobody here knows.
pub(super) fn read(cell: &str) -> Option<Region> {
    static BY_NAME: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
        let named = NAMES.iter().flat_map(|(code, names)| names.iter().map(move |name| (normalise(name), *code)));
        named.collect()
    });
    let text = cell.trim();
    if let Ok(region) = text.parse() {
        return Some(region);
    }
    BY_NAME.get(&normalise(text)).and_then(|code| code.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn countries_are_known_by_their_letters_and_in_five_languages() {
        for (text, code) in [
            ("eg", "EG"),
            ("EGY", "EG"),
            (" مصر ", "EG"),
            ("México", "MX"),
            ("mexico", "MX"),
            ("ESPAÑA", "ES"),
            ("Brésil", "BR"),
            ("السعوديه", "SA"),
            ("UK", "GB"),
            ("KZ", "KZ"),
        ] {
            assert_eq!(read(text).map(|region| region.to_string()), Some(code.to_owned()), "{text}");
        }
        for text in ["", "Atlantis", "E", "20", "EG, SA"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn every_name_leads_to_its_country_and_no_other() {
        for (code, names) in NAMES {
            for name in *names {
                assert_eq!(read(name).map(|region| region.to_string()).as_deref(), Some(*code), "{name}");
            }
        }
    }
}
