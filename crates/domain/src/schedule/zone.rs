//! Which time zone a person lives in: as their row says, else where their country has but one, else as the campaign
//! says.

use chrono_tz::Tz;
use thiserror::Error;

use crate::phone::Region;

/// The columns of a file that name a person's time zone, in small letters and with `_` for blanks and hyphens.
pub const ZONE_COLUMNS: [&str; 2] = ["timezone", "time_zone"];

/// A text that names no time zone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a time zone; use a name of the tz database, for example Africa/Cairo or America/Mexico_City")]
pub struct UnknownZone(pub String);

/// Reads the name of a zone in the tz database, in any case: `Africa/Cairo`.
///
/// # Errors
/// [`UnknownZone`], with at most 40 characters of the text.
pub fn parse_zone(text: &str) -> Result<Tz, UnknownZone> {
    let text = text.trim();
    let known = text.parse::<Tz>().ok().or_else(|| {
        let mut zones = chrono_tz::TZ_VARIANTS.iter();
        zones.find(|zone| zone.name().eq_ignore_ascii_case(text)).copied()
    });
    known.ok_or_else(|| UnknownZone(text.chars().take(40).collect()))
}

/// The time zone that a person's own columns name: `timezone` or `time_zone`, written in any case. A cell that names
/// none says nothing.
#[must_use]
pub fn own_zone<'a>(columns: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Tz> {
    columns.into_iter().filter(|(column, _)| is_zone_column(column)).find_map(|(_, text)| parse_zone(text).ok())
}

fn is_zone_column(column: &str) -> bool {
    let letter = |c: char| if matches!(c, ' ' | '-') { '_' } else { c.to_ascii_lowercase() };
    ZONE_COLUMNS.iter().any(|known| column.trim().chars().map(letter).eq(known.chars()))
}

/// The time zone in which a person's day is counted: their own where they name one, else that of their number's country
/// where it has one time, else the campaign's.
#[must_use]
pub fn zone_of_person<'a>(
    columns: impl IntoIterator<Item = (&'a str, &'a str)>,
    country: impl FnOnce() -> Option<Region>,
    otherwise: Tz,
) -> Tz {
    own_zone(columns).or_else(|| country().and_then(zone_of_region)).unwrap_or(otherwise)
}

/// The time zone of a country, where the whole of it has the same time. `None`: it has several, or is not known.
#[must_use]
pub fn zone_of_region(region: Region) -> Option<Tz> {
    let place = ONE_ZONE.binary_search_by(|(country, _)| (*country).cmp(region.as_str())).ok()?;
    ONE_ZONE[place].1.parse().ok()
}

/// Countries in all of which clocks show the same from 2024 to 2030, by their two letters, and a zone of theirs. From
/// `zone.tab` of the tz database 2025b, which is in the public domain.
const ONE_ZONE: &[(&str, &str)] = &[
    ("AD", "Europe/Andorra"),
    ("AE", "Asia/Dubai"),
    ("AF", "Asia/Kabul"),
    ("AG", "America/Antigua"),
    ("AI", "America/Anguilla"),
    ("AL", "Europe/Tirane"),
    ("AM", "Asia/Yerevan"),
    ("AO", "Africa/Luanda"),
    ("AR", "America/Argentina/Buenos_Aires"),
    ("AS", "Pacific/Pago_Pago"),
    ("AT", "Europe/Vienna"),
    ("AW", "America/Aruba"),
    ("AX", "Europe/Mariehamn"),
    ("AZ", "Asia/Baku"),
    ("BA", "Europe/Sarajevo"),
    ("BB", "America/Barbados"),
    ("BD", "Asia/Dhaka"),
    ("BE", "Europe/Brussels"),
    ("BF", "Africa/Ouagadougou"),
    ("BG", "Europe/Sofia"),
    ("BH", "Asia/Bahrain"),
    ("BI", "Africa/Bujumbura"),
    ("BJ", "Africa/Porto-Novo"),
    ("BL", "America/St_Barthelemy"),
    ("BM", "Atlantic/Bermuda"),
    ("BN", "Asia/Brunei"),
    ("BO", "America/La_Paz"),
    ("BQ", "America/Kralendijk"),
    ("BS", "America/Nassau"),
    ("BT", "Asia/Thimphu"),
    ("BW", "Africa/Gaborone"),
    ("BY", "Europe/Minsk"),
    ("BZ", "America/Belize"),
    ("CC", "Indian/Cocos"),
    ("CF", "Africa/Bangui"),
    ("CG", "Africa/Brazzaville"),
    ("CH", "Europe/Zurich"),
    ("CI", "Africa/Abidjan"),
    ("CK", "Pacific/Rarotonga"),
    ("CM", "Africa/Douala"),
    ("CO", "America/Bogota"),
    ("CR", "America/Costa_Rica"),
    ("CU", "America/Havana"),
    ("CV", "Atlantic/Cape_Verde"),
    ("CW", "America/Curacao"),
    ("CX", "Indian/Christmas"),
    ("CY", "Asia/Nicosia"),
    ("CZ", "Europe/Prague"),
    ("DE", "Europe/Berlin"),
    ("DJ", "Africa/Djibouti"),
    ("DK", "Europe/Copenhagen"),
    ("DM", "America/Dominica"),
    ("DO", "America/Santo_Domingo"),
    ("DZ", "Africa/Algiers"),
    ("EE", "Europe/Tallinn"),
    ("EG", "Africa/Cairo"),
    ("EH", "Africa/El_Aaiun"),
    ("ER", "Africa/Asmara"),
    ("ET", "Africa/Addis_Ababa"),
    ("FI", "Europe/Helsinki"),
    ("FJ", "Pacific/Fiji"),
    ("FK", "Atlantic/Stanley"),
    ("FO", "Atlantic/Faroe"),
    ("FR", "Europe/Paris"),
    ("GA", "Africa/Libreville"),
    ("GB", "Europe/London"),
    ("GD", "America/Grenada"),
    ("GE", "Asia/Tbilisi"),
    ("GF", "America/Cayenne"),
    ("GG", "Europe/Guernsey"),
    ("GH", "Africa/Accra"),
    ("GI", "Europe/Gibraltar"),
    ("GM", "Africa/Banjul"),
    ("GN", "Africa/Conakry"),
    ("GP", "America/Guadeloupe"),
    ("GQ", "Africa/Malabo"),
    ("GR", "Europe/Athens"),
    ("GS", "Atlantic/South_Georgia"),
    ("GT", "America/Guatemala"),
    ("GU", "Pacific/Guam"),
    ("GW", "Africa/Bissau"),
    ("GY", "America/Guyana"),
    ("HK", "Asia/Hong_Kong"),
    ("HN", "America/Tegucigalpa"),
    ("HR", "Europe/Zagreb"),
    ("HT", "America/Port-au-Prince"),
    ("HU", "Europe/Budapest"),
    ("IE", "Europe/Dublin"),
    ("IL", "Asia/Jerusalem"),
    ("IM", "Europe/Isle_of_Man"),
    ("IN", "Asia/Kolkata"),
    ("IO", "Indian/Chagos"),
    ("IQ", "Asia/Baghdad"),
    ("IR", "Asia/Tehran"),
    ("IS", "Atlantic/Reykjavik"),
    ("IT", "Europe/Rome"),
    ("JE", "Europe/Jersey"),
    ("JM", "America/Jamaica"),
    ("JO", "Asia/Amman"),
    ("JP", "Asia/Tokyo"),
    ("KE", "Africa/Nairobi"),
    ("KG", "Asia/Bishkek"),
    ("KH", "Asia/Phnom_Penh"),
    ("KM", "Indian/Comoro"),
    ("KN", "America/St_Kitts"),
    ("KP", "Asia/Pyongyang"),
    ("KR", "Asia/Seoul"),
    ("KW", "Asia/Kuwait"),
    ("KY", "America/Cayman"),
    ("LA", "Asia/Vientiane"),
    ("LB", "Asia/Beirut"),
    ("LC", "America/St_Lucia"),
    ("LI", "Europe/Vaduz"),
    ("LK", "Asia/Colombo"),
    ("LR", "Africa/Monrovia"),
    ("LS", "Africa/Maseru"),
    ("LT", "Europe/Vilnius"),
    ("LU", "Europe/Luxembourg"),
    ("LV", "Europe/Riga"),
    ("LY", "Africa/Tripoli"),
    ("MA", "Africa/Casablanca"),
    ("MC", "Europe/Monaco"),
    ("MD", "Europe/Chisinau"),
    ("ME", "Europe/Podgorica"),
    ("MF", "America/Marigot"),
    ("MG", "Indian/Antananarivo"),
    ("MH", "Pacific/Majuro"),
    ("MK", "Europe/Skopje"),
    ("ML", "Africa/Bamako"),
    ("MM", "Asia/Yangon"),
    ("MO", "Asia/Macau"),
    ("MP", "Pacific/Saipan"),
    ("MQ", "America/Martinique"),
    ("MR", "Africa/Nouakchott"),
    ("MS", "America/Montserrat"),
    ("MT", "Europe/Malta"),
    ("MU", "Indian/Mauritius"),
    ("MV", "Indian/Maldives"),
    ("MW", "Africa/Blantyre"),
    ("MY", "Asia/Kuala_Lumpur"),
    ("MZ", "Africa/Maputo"),
    ("NA", "Africa/Windhoek"),
    ("NC", "Pacific/Noumea"),
    ("NE", "Africa/Niamey"),
    ("NF", "Pacific/Norfolk"),
    ("NG", "Africa/Lagos"),
    ("NI", "America/Managua"),
    ("NL", "Europe/Amsterdam"),
    ("NO", "Europe/Oslo"),
    ("NP", "Asia/Kathmandu"),
    ("NR", "Pacific/Nauru"),
    ("NU", "Pacific/Niue"),
    ("OM", "Asia/Muscat"),
    ("PA", "America/Panama"),
    ("PE", "America/Lima"),
    ("PH", "Asia/Manila"),
    ("PK", "Asia/Karachi"),
    ("PL", "Europe/Warsaw"),
    ("PM", "America/Miquelon"),
    ("PN", "Pacific/Pitcairn"),
    ("PR", "America/Puerto_Rico"),
    ("PS", "Asia/Gaza"),
    ("PW", "Pacific/Palau"),
    ("PY", "America/Asuncion"),
    ("QA", "Asia/Qatar"),
    ("RE", "Indian/Reunion"),
    ("RO", "Europe/Bucharest"),
    ("RS", "Europe/Belgrade"),
    ("RW", "Africa/Kigali"),
    ("SA", "Asia/Riyadh"),
    ("SB", "Pacific/Guadalcanal"),
    ("SC", "Indian/Mahe"),
    ("SD", "Africa/Khartoum"),
    ("SE", "Europe/Stockholm"),
    ("SG", "Asia/Singapore"),
    ("SH", "Atlantic/St_Helena"),
    ("SI", "Europe/Ljubljana"),
    ("SJ", "Arctic/Longyearbyen"),
    ("SK", "Europe/Bratislava"),
    ("SL", "Africa/Freetown"),
    ("SM", "Europe/San_Marino"),
    ("SN", "Africa/Dakar"),
    ("SO", "Africa/Mogadishu"),
    ("SR", "America/Paramaribo"),
    ("SS", "Africa/Juba"),
    ("ST", "Africa/Sao_Tome"),
    ("SV", "America/El_Salvador"),
    ("SX", "America/Lower_Princes"),
    ("SY", "Asia/Damascus"),
    ("SZ", "Africa/Mbabane"),
    ("TC", "America/Grand_Turk"),
    ("TD", "Africa/Ndjamena"),
    ("TF", "Indian/Kerguelen"),
    ("TG", "Africa/Lome"),
    ("TH", "Asia/Bangkok"),
    ("TJ", "Asia/Dushanbe"),
    ("TK", "Pacific/Fakaofo"),
    ("TL", "Asia/Dili"),
    ("TM", "Asia/Ashgabat"),
    ("TN", "Africa/Tunis"),
    ("TO", "Pacific/Tongatapu"),
    ("TR", "Europe/Istanbul"),
    ("TT", "America/Port_of_Spain"),
    ("TV", "Pacific/Funafuti"),
    ("TW", "Asia/Taipei"),
    ("TZ", "Africa/Dar_es_Salaam"),
    ("UG", "Africa/Kampala"),
    ("UY", "America/Montevideo"),
    ("UZ", "Asia/Samarkand"),
    ("VA", "Europe/Vatican"),
    ("VC", "America/St_Vincent"),
    ("VE", "America/Caracas"),
    ("VG", "America/Tortola"),
    ("VI", "America/St_Thomas"),
    ("VN", "Asia/Ho_Chi_Minh"),
    ("VU", "Pacific/Efate"),
    ("WF", "Pacific/Wallis"),
    ("WS", "Pacific/Apia"),
    ("YE", "Asia/Aden"),
    ("YT", "Indian/Mayotte"),
    ("ZA", "Africa/Johannesburg"),
    ("ZM", "Africa/Lusaka"),
    ("ZW", "Africa/Harare"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_read_by_its_name_in_any_case() {
        assert_eq!(parse_zone(" Africa/Cairo "), Ok(Tz::Africa__Cairo));
        assert_eq!(parse_zone("america/mexico_city"), Ok(Tz::America__Mexico_City));
        for text in ["", "Cairo", "GMT+25", "Africa/Atlantis"] {
            assert_eq!(parse_zone(text), Err(UnknownZone(text.to_owned())), "{text}");
        }
        assert_eq!(parse_zone(&"x".repeat(500)), Err(UnknownZone("x".repeat(40))));
    }

    #[test]
    fn a_country_with_one_time_gives_its_zone_and_one_with_several_gives_none() {
        let zone = |code: &str| zone_of_region(code.parse().unwrap());
        assert_eq!(zone("EG"), Some(Tz::Africa__Cairo));
        assert_eq!(zone("SA"), Some(Tz::Asia__Riyadh));
        assert_eq!(zone("DE"), Some(Tz::Europe__Berlin));
        assert_eq!(zone("IN"), Some(Tz::Asia__Kolkata));
        for code in ["US", "MX", "BR", "ES", "RU", "AU", "CA", "ID", "PT"] {
            assert_eq!(zone(code), None, "{code}");
        }
    }

    #[test]
    fn a_persons_own_zone_comes_first_then_the_country_of_their_number_then_the_campaigns() {
        let country = |code: &str| code.parse::<Region>().ok();
        let (cairo, mexico) = (country("EG"), country("MX"));
        let zone = |column, text, country| zone_of_person([("city", "Lima"), (column, text)], || country, Tz::UTC);
        for column in ["timezone", "time_zone", "Time Zone", " TIME-ZONE "] {
            assert_eq!(zone(column, "america/mexico_city", cairo), Tz::America__Mexico_City, "{column}");
        }
        assert_eq!(zone("zone", "America/Lima", cairo), Tz::Africa__Cairo, "another column");
        assert_eq!(zone("timezone", "Lima", cairo), Tz::Africa__Cairo, "no zone's name");
        assert_eq!(zone("timezone", "", mexico), Tz::UTC, "a country of several times");
        assert_eq!(zone("timezone", "", None), Tz::UTC);
    }

    #[test]
    fn every_row_of_the_table_is_in_order_and_names_a_zone_that_exists() {
        assert!(ONE_ZONE.is_sorted_by(|one, next| one.0 < next.0));
        for (country, zone) in ONE_ZONE {
            assert!(parse_zone(zone).is_ok(), "{country}: {zone}");
        }
    }
}
