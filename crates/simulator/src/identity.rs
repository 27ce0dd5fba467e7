//! Who is who: dialled numbers, WhatsApp ids, business-scoped user ids, message ids.
//!
//! Sources: Meta's pages on `to` (a number without `+` gets the business number's calling code), on usernames and
//! business-scoped user ids, and field reports on Mexican, Argentine and Brazilian `wa_id`s.

use crate::chance::{Draw, Salt, mix, unmix};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Calling codes that we know a region for. The longest match wins; anything else is `ZZ`.
const REGIONS: &[(&str, &str)] = &[
    ("1", "US"),
    ("20", "EG"),
    ("27", "ZA"),
    ("33", "FR"),
    ("34", "ES"),
    ("39", "IT"),
    ("44", "GB"),
    ("49", "DE"),
    ("51", "PE"),
    ("52", "MX"),
    ("54", "AR"),
    ("55", "BR"),
    ("57", "CO"),
    ("60", "MY"),
    ("62", "ID"),
    ("65", "SG"),
    ("90", "TR"),
    ("91", "IN"),
    ("212", "MA"),
    ("213", "DZ"),
    ("216", "TN"),
    ("218", "LY"),
    ("233", "GH"),
    ("234", "NG"),
    ("254", "KE"),
    ("351", "PT"),
    ("961", "LB"),
    ("962", "JO"),
    ("963", "SY"),
    ("964", "IQ"),
    ("965", "KW"),
    ("966", "SA"),
    ("967", "YE"),
    ("968", "OM"),
    ("970", "PS"),
    ("971", "AE"),
    ("973", "BH"),
    ("974", "QA"),
];

/// A value of `to` as it was dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialled {
    /// The digits, without `+`.
    pub(crate) digits: u64,
    /// Whether they were preceded by `+`.
    pub(crate) plus: bool,
}

/// Reads `to` the way Meta does: spaces, dots, hyphens and parentheses are ignored. `None` when anything else stands
/// there, or more digits than any number has.
pub(crate) fn dialled(to: &str) -> Option<Dialled> {
    let mut plus = false;
    let mut digits: u64 = 0;
    let mut count = 0;
    for c in to.chars() {
        match c {
            '+' if !plus && count == 0 => plus = true,
            ' ' | '-' | '(' | ')' | '.' => {}
            '0'..='9' => {
                count += 1;
                if count > 18 {
                    return None;
                }
                digits = digits * 10 + u64::from(c) - u64::from('0');
            }
            _ => return None,
        }
    }
    (count > 0 && digits > 0).then_some(Dialled { digits, plus })
}

/// The digits with a calling code put before them, as Meta does when `to` has no `+`. `None` when that is too long.
pub(crate) fn with_calling_code(code: &str, digits: u64) -> Option<u64> {
    format!("{code}{digits}").parse().ok()
}

/// The id under which WhatsApp knows the person behind these digits: all national variants of one person give one id.
/// Mexico is reported as `521…`, Argentina as `549…`, Brazilian mobiles of area codes from 31 without their ninth digit.
pub(crate) fn wa_id(digits: u64) -> u64 {
    let text = digits.to_string();
    let bytes = text.as_bytes();
    let variant = match (&text.get(..2), text.len()) {
        (Some("52"), 12) => Some(format!("521{}", &text[2..])),
        (Some("54"), 12) => Some(format!("549{}", &text[2..])),
        (Some("55"), 13) if bytes[4] == b'9' && &text[2..4] >= "31" => Some(format!("{}{}", &text[..4], &text[5..])),
        _ => None,
    };
    variant.and_then(|v| v.parse().ok()).unwrap_or(digits)
}

/// The ISO 3166 code of the country that these digits call, or `ZZ`.
pub(crate) fn region(digits: u64) -> &'static str {
    let text = digits.to_string();
    (1..=3)
        .rev()
        .filter_map(|len| text.get(..len))
        .find_map(|prefix| REGIONS.iter().find(|(code, _)| *code == prefix))
        .map_or("ZZ", |(_, region)| region)
}

/// Keys for the two kinds of user id; different, so that one never passes for the other.
const USER: u64 = 0x7573_6572;
const PARENT: u64 = 0x7061_7265_6e74;

/// The business-scoped user id of a person, like `EG.13491208655302741918`. The digits are an encryption of the
/// `wa_id`, so no table is needed to find the person again.
pub(crate) fn user_id(seed: u64, wa_id: u64) -> String {
    format!("{}.{:020}", region(wa_id), mix(wa_id ^ mix(seed ^ USER)))
}

/// The parent form of the user id, like `EG.ENT.…`.
pub(crate) fn parent_user_id(seed: u64, wa_id: u64) -> String {
    format!("{}.ENT.{:020}", region(wa_id), mix(wa_id ^ mix(seed ^ PARENT)))
}

/// The `wa_id` behind a user id of ours, in either form; `None` for any other text.
pub(crate) fn wa_id_of_user(seed: u64, user: &str) -> Option<u64> {
    let (country, rest) = user.split_once('.')?;
    let (digits, key) = match rest.strip_prefix("ENT.") {
        Some(parent) => (parent, PARENT),
        None => (rest, USER),
    };
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let wa_id = unmix(digits.parse::<u64>().ok()?) ^ mix(seed ^ key);
    (wa_id < 1_000_000_000_000_000_000 && region(wa_id) == country).then_some(wa_id)
}

/// The username of a person who has one.
pub(crate) fn username(seed: u64, wa_id: u64) -> String {
    format!("sim.{:x}", mix(wa_id ^ mix(seed)) & 0xffff_ffff)
}

/// A profile name that fits the person's country.
pub(crate) fn profile_name(seed: u64, wa_id: u64) -> &'static str {
    const ARABIC: &[&str] = &["منى", "أحمد", "ليلى", "خالد", "سارة 🌙"];
    const SPANISH: &[&str] = &["Lucía", "Íñigo", "Ximena", "José"];
    const PORTUGUESE: &[&str] = &["João", "Beatriz", "Conceição"];
    const OTHER: &[&str] = &["Mona", "Sam", "Alex", "Robin O'Neil"];
    let names = match region(wa_id) {
        "MX" | "ES" | "AR" | "CO" | "PE" => SPANISH,
        "BR" | "PT" => PORTUGUESE,
        "EG" | "SA" | "AE" | "JO" | "KW" | "QA" | "BH" | "OM" | "IQ" | "LB" | "SY" | "YE" | "PS" | "MA" | "DZ"
        | "TN" | "LY" => ARABIC,
        _ => OTHER,
    };
    names[Draw::new(mix(wa_id ^ seed)).index(Salt::Name, names.len())]
}

/// Which way a message went; it shows in its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the business to a person.
    Outbound,
    /// From a person to the business.
    Inbound,
}

/// A message id in the form of Meta's: a base64 of a frame that holds the person's id and 18 hexadecimal digits.
/// `generation` changes at every reset, so that ids never repeat.
pub(crate) fn wamid(direction: Direction, subject: &str, generation: u8, seed: u64, seq: u64) -> String {
    let mut frame = Vec::with_capacity(48);
    frame.extend_from_slice(&[0x1c, 0x18, u8::try_from(subject.len()).unwrap_or(u8::MAX)]);
    frame.extend_from_slice(subject.as_bytes());
    let way = match direction {
        Direction::Outbound => 0x11,
        Direction::Inbound => 0x12,
    };
    frame.extend_from_slice(&[0x15, 0x02, 0x00, way, 0x18, 0x12]);
    let serial = mix(seq ^ mix(seed ^ u64::from(way)));
    frame.extend_from_slice(format!("{generation:02X}{serial:016X}").as_bytes());
    frame.push(0);
    let mut id = String::with_capacity(6 + frame.len() * 4 / 3 + 4);
    id.push_str("wamid.");
    STANDARD.encode_string(&frame, &mut id);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialled_number_may_be_spaced_but_not_lettered() {
        assert_eq!(dialled("+20 (10) 0000-0001"), Some(Dialled { digits: 201_000_000_001, plus: true }));
        assert_eq!(dialled("201000000001"), Some(Dialled { digits: 201_000_000_001, plus: false }));
        for bad in ["", "+", "call me", "++20100", "20+100", "+1234567890123456789"] {
            assert_eq!(dialled(bad), None, "{bad}");
        }
    }

    #[test]
    fn national_variants_of_one_person_have_one_wa_id() {
        // Mexico, Argentina, then Brazil inside and outside the area codes that drop the ninth digit.
        for (dialled, known_as) in [
            (525_500_000_001, 5_215_500_000_001),
            (5_215_500_000_001, 5_215_500_000_001),
            (541_100_000_001, 5_491_100_000_001),
            (5_531_900_000_001, 553_100_000_001),
            (553_100_000_001, 553_100_000_001),
            (5_511_900_000_001, 5_511_900_000_001),
        ] {
            assert_eq!(wa_id(dialled), known_as, "{dialled}");
        }
        assert_eq!(wa_id(201_000_000_001), 201_000_000_001);
    }

    #[test]
    fn the_region_is_the_longest_matching_calling_code() {
        assert_eq!(region(201_000_000_001), "EG");
        assert_eq!(region(966_500_000_001), "SA");
        assert_eq!(region(12_025_550_101), "US");
        assert_eq!(region(999_000_000_001), "ZZ");
    }

    #[test]
    fn a_message_id_tells_its_direction_and_never_repeats() {
        let first = wamid(Direction::Outbound, "201000000001", 0, 7, 1);
        assert!(first.starts_with("wamid.HBgMMjAxMDAwMDAwMDAxFQIAERgS"), "{first}");
        let inbound = wamid(Direction::Inbound, "201000000001", 0, 7, 1);
        assert!(inbound.starts_with("wamid.HBgMMjAxMDAwMDAwMDAxFQIAEhgS"), "{inbound}");
        assert_ne!(first, wamid(Direction::Outbound, "201000000001", 0, 7, 2));
        assert_ne!(first, wamid(Direction::Outbound, "201000000001", 1, 7, 1));
    }

    proptest::proptest! {
        #[test]
        fn a_user_id_leads_back_to_its_person(seed: u64, digits in 1_000_000_u64..999_999_999_999_999) {
            proptest::prop_assert_eq!(wa_id_of_user(seed, &user_id(seed, digits)), Some(digits));
            proptest::prop_assert_eq!(wa_id_of_user(seed, &parent_user_id(seed, digits)), Some(digits));
        }

        #[test]
        fn any_other_text_is_nobody(text in "[A-Z]{2}\\.[0-9]{1,19}") {
            proptest::prop_assert_eq!(wa_id_of_user(7, &text), None);
        }
    }
}
