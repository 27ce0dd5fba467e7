//! Why a row of a file is refused and what to do about it, for a person, in the language they read.
//!
//! A refusal is a code, which programs go by and which never changes, and up to two facts that its text names. The
//! texts stand here, keyed by the code.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A language that reasons are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tongue {
    /// `en`
    #[default]
    English,
    /// `ar`
    Arabic,
    /// `es`
    Spanish,
}

/// A text that names no language of reasons.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a language of reasons; they are en, ar and es")]
pub struct UnknownTongue(pub String);

impl FromStr for Tongue {
    type Err = UnknownTongue;

    fn from_str(text: &str) -> Result<Self, UnknownTongue> {
        match text.trim().to_ascii_lowercase().as_str() {
            "en" => Ok(Tongue::English),
            "ar" => Ok(Tongue::Arabic),
            "es" => Ok(Tongue::Spanish),
            _ => Err(UnknownTongue(text.chars().take(16).collect())),
        }
    }
}

impl fmt::Display for Tongue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Tongue::English => "en",
            Tongue::Arabic => "ar",
            Tongue::Spanish => "es",
        })
    }
}

/// One reason in every language. `{0}` and `{1}` stand for the facts.
struct Reason {
    code: &'static str,
    english: &'static str,
    arabic: &'static str,
    spanish: &'static str,
}

/// The reason of that code. A code that is not in the table is its own text.
pub fn text(code: &str, facts: &[String], tongue: Tongue) -> String {
    let Some(reason) = REASONS.iter().find(|reason| reason.code == code) else { return code.to_owned() };
    let text = match tongue {
        Tongue::English => reason.english,
        Tongue::Arabic => reason.arabic,
        Tongue::Spanish => reason.spanish,
    };
    let mut text = text.to_owned();
    for (place, fact) in facts.iter().enumerate() {
        text = text.replace(&format!("{{{place}}}"), fact);
    }
    text
}

/// Every code that a row may be refused with.
pub fn codes() -> impl Iterator<Item = &'static str> {
    REASONS.iter().map(|reason| reason.code)
}

const REASONS: &[Reason] = &[
    Reason {
        code: "phone-empty",
        english: "the phone number is empty; fill it in or remove the row",
        arabic: "رقم الهاتف فارغ؛ املأه أو احذف الصف",
        spanish: "el número de teléfono está vacío; complételo o elimine la fila",
    },
    Reason {
        code: "phone-scientific-notation",
        english: "a spreadsheet turned the number into scientific notation and its last digits are lost; format the \
                  column as Text and export it again from the source",
        arabic: "حوّل برنامج الجداول الرقم إلى صيغة علمية فضاعت أرقامه الأخيرة؛ اجعل تنسيق العمود نصًا ثم صدّره من \
                 المصدر مرة أخرى",
        spanish: "una hoja de cálculo convirtió el número a notación científica y se perdieron sus últimos dígitos; dé \
                  a la columna formato de texto y expórtela de nuevo desde el origen",
    },
    Reason {
        code: "phone-two-numbers",
        english: "there are two numbers in one cell; keep one of them, or make two rows",
        arabic: "في الخلية رقمان؛ أبقِ أحدهما أو اجعلهما في صفين",
        spanish: "hay dos números en una celda; deje uno de ellos o haga dos filas",
    },
    Reason {
        code: "phone-letters",
        english: "there are letters among the digits; write the number in digits only, without an extension",
        arabic: "بين الأرقام حروف؛ اكتب الرقم بالأرقام وحدها ومن دون تحويلة",
        spanish: "hay letras entre los dígitos; escriba el número solo con dígitos, sin extensión",
    },
    Reason {
        code: "phone-unexpected-character",
        english: "the character {0} has no place in a phone number; remove it",
        arabic: "لا مكان للرمز {0} في رقم هاتف؛ احذفه",
        spanish: "el carácter {0} no tiene lugar en un número de teléfono; elimínelo",
    },
    Reason {
        code: "phone-needs-region",
        english: "the number has no country code; write it with + and the country code, or give the file's country \
                  (--region)",
        arabic: "ليس للرقم رمز دولة؛ اكتبه مسبوقًا بعلامة + ورمز الدولة، أو حدّد دولة الملف (--region)",
        spanish: "el número no tiene código de país; escríbalo con + y el código de país, o indique el país del archivo \
                  (--region)",
    },
    Reason {
        code: "phone-unknown-country-code",
        english: "no country has this calling code; check the digits after the +",
        arabic: "ليس لأي دولة رمز الاتصال هذا؛ راجع الأرقام التي بعد علامة +",
        spanish: "ningún país tiene este prefijo; revise los dígitos después del +",
    },
    Reason {
        code: "phone-too-short",
        english: "the number is too short; digits or the area code are missing",
        arabic: "الرقم قصير؛ تنقصه أرقام أو رمز المنطقة",
        spanish: "el número es demasiado corto; faltan dígitos o el código de área",
    },
    Reason {
        code: "phone-too-long",
        english: "the number is too long; check for an extra digit",
        arabic: "الرقم طويل؛ لعل فيه رقمًا زائدًا",
        spanish: "el número es demasiado largo; compruebe si sobra algún dígito",
    },
    Reason {
        code: "phone-not-assigned",
        english: "no number in its country looks like this; check the digits, and the country code if it is from \
                  elsewhere",
        arabic: "لا يوجد في بلده رقم بهذا الشكل؛ راجع الأرقام، ورمز الدولة إن كان من بلد آخر",
        spanish: "ningún número de su país es así; revise los dígitos, y el código de país si es de otro lugar",
    },
    Reason {
        code: "phone-in-columns",
        english: "the phone number is empty and column {0} holds one; move it over, or map that column (--map \
                  phone={0})",
        arabic: "رقم الهاتف فارغ وفي العمود {0} رقم؛ انقله، أو اجعل ذلك العمود هو الهاتف (--map phone={0})",
        spanish: "el número de teléfono está vacío y la columna {0} contiene uno; muévalo, o asigne esa columna (--map \
                  phone={0})",
    },
    Reason {
        code: "user-id-unreadable",
        english: "this is no business-scoped user id; it looks like EG.1349A0, two letters, a dot, letters and digits",
        arabic: "هذا ليس معرّف مستخدم خاصًا بالنشاط التجاري؛ شكله EG.1349A0: حرفان فنقطة فحروف وأرقام",
        spanish: "esto no es un identificador de usuario de la empresa; es como EG.1349A0: dos letras, un punto, letras \
                  y dígitos",
    },
    Reason {
        code: "user-id-parent",
        english: "this is a parent user id (…ENT…), to which nothing can be sent; give the portfolio's own user id",
        arabic: "هذا معرّف مستخدم أعلى (…ENT…) لا يُرسَل إليه؛ أعطِ معرّف المستخدم الخاص بالمحفظة",
        spanish: "este es un identificador superior (…ENT…), al que no se puede enviar; indique el identificador propio \
                  de la cartera",
    },
    Reason {
        code: "user-id-empty",
        english: "the user id is empty; fill it in or remove the row",
        arabic: "معرّف المستخدم فارغ؛ املأه أو احذف الصف",
        spanish: "el identificador de usuario está vacío; complételo o elimine la fila",
    },
    Reason {
        code: "user-id-of-two-numbers",
        english: "an earlier row gives this user id another number; one of the two is wrong",
        arabic: "في صف سابق رقم آخر لمعرّف المستخدم هذا؛ أحدهما خطأ",
        spanish: "una fila anterior da otro número a este identificador; uno de los dos es erróneo",
    },
    Reason {
        code: "language-unknown",
        english: "the language is not known; write its code, for example ar, en_US, es, pt_BR or fr",
        arabic: "اللغة غير معروفة؛ اكتب رمزها، مثل ar أو en_US أو es أو pt_BR أو fr",
        spanish: "no se conoce el idioma; escriba su código, por ejemplo ar, en_US, es, pt_BR o fr",
    },
    Reason {
        code: "country-unknown",
        english: "the country is not known, and the number needs it; write its two letters, for example EG, MX or ES",
        arabic: "الدولة غير معروفة والرقم بحاجة إليها؛ اكتب حرفيها، مثل EG أو MX أو ES",
        spanish: "no se conoce el país y el número lo necesita; escriba sus dos letras, por ejemplo EG, MX o ES",
    },
    Reason {
        code: "time-zone-unknown",
        english: "the time zone is not known; write it as Africa/Cairo or America/Mexico_City",
        arabic: "المنطقة الزمنية غير معروفة؛ اكتبها مثل Africa/Cairo أو America/Mexico_City",
        spanish: "no se conoce la zona horaria; escríbala como Africa/Cairo o America/Mexico_City",
    },
    Reason {
        code: "opt-in-empty",
        english: "the time of the opt-in is empty; without it there is no proof of consent",
        arabic: "وقت الموافقة فارغ؛ ولا دليل على الموافقة من دونه",
        spanish: "la fecha del consentimiento está vacía; sin ella no hay prueba de consentimiento",
    },
    Reason {
        code: "opt-in-unreadable",
        english: "the time of the opt-in cannot be read; write it as 2026-03-25, 2026-03-25 10:00 or \
                  2026-03-25T10:00:00+02:00",
        arabic: "تتعذر قراءة وقت الموافقة؛ اكتبه مثل 2026-03-25 أو 2026-03-25 10:00 أو 2026-03-25T10:00:00+02:00",
        spanish: "no se puede leer la fecha del consentimiento; escríbala como 2026-03-25, 2026-03-25 10:00 o \
                  2026-03-25T10:00:00+02:00",
    },
    Reason {
        code: "opt-in-ambiguous",
        english: "day and month of the opt-in cannot be told apart; write the date as 2026-03-25, year first, or say \
                  which comes first (--date-order)",
        arabic: "لا يُعرف اليوم من الشهر في تاريخ الموافقة؛ اكتبه والسنة أولًا مثل 2026-03-25، أو بيّن أيهما أولًا \
                 (--date-order)",
        spanish: "no se distinguen día y mes del consentimiento; escriba la fecha como 2026-03-25, con el año primero, o \
                  diga cuál va primero (--date-order)",
    },
    Reason {
        code: "opt-in-future",
        english: "the opt-in is in the future; check the date",
        arabic: "تاريخ الموافقة في المستقبل؛ راجع التاريخ",
        spanish: "el consentimiento está en el futuro; revise la fecha",
    },
    Reason {
        code: "opt-in-too-old",
        english: "the opt-in is before the year 2000; check the date",
        arabic: "تاريخ الموافقة قبل عام 2000؛ راجع التاريخ",
        spanish: "el consentimiento es anterior al año 2000; revise la fecha",
    },
    Reason {
        code: "opt-in-no-column",
        english: "no column holds the time of the opt-in; name it",
        arabic: "ليس في الملف عمود لوقت الموافقة؛ سمِّه",
        spanish: "ninguna columna contiene la fecha del consentimiento; indíquela",
    },
    Reason {
        code: "opt-in-source-empty",
        english: "where the consent comes from is empty; without it there is no proof of consent",
        arabic: "مصدر الموافقة فارغ؛ ولا دليل على الموافقة من دونه",
        spanish: "el origen del consentimiento está vacío; sin él no hay prueba de consentimiento",
    },
    Reason {
        code: "opt-in-source-too-long",
        english: "where the consent comes from must fit on one line of {0} characters",
        arabic: "يجب ألا يزيد مصدر الموافقة على سطر واحد من {0} حرفًا",
        spanish: "el origen del consentimiento debe caber en una línea de {0} caracteres",
    },
    Reason {
        code: "opt-in-wording-empty",
        english: "the words that the person agreed to are empty; fill them in",
        arabic: "النص الذي وافق عليه الشخص فارغ؛ املأه",
        spanish: "el texto que la persona aceptó está vacío; complételo",
    },
    Reason {
        code: "row-too-few-cells",
        english: "the row has {0} cells and the header {1}; a delimiter or a cell is missing",
        arabic: "في الصف {0} خلايا وفي العناوين {1}؛ ينقص فاصل أو خلية",
        spanish: "la fila tiene {0} celdas y el encabezado {1}; falta un separador o una celda",
    },
    Reason {
        code: "row-too-many-cells",
        english: "the row has {0} cells and the header {1}; a value with the delimiter in it needs quotes",
        arabic: "في الصف {0} خلايا وفي العناوين {1}؛ القيمة التي فيها الفاصل تحتاج إلى علامتي اقتباس",
        spanish: "la fila tiene {0} celdas y el encabezado {1}; un valor que contiene el separador necesita comillas",
    },
    Reason {
        code: "row-open-quote",
        english: "a quote opens a cell and does not close it; close or remove it",
        arabic: "علامة اقتباس تفتح خلية ولا تغلقها؛ أغلقها أو احذفها",
        spanish: "unas comillas abren una celda y no la cierran; ciérrelas o elimínelas",
    },
    Reason {
        code: "row-too-long",
        english: "the row is longer than {0} bytes; look for a missing line end",
        arabic: "الصف أطول من {0} بايت؛ ابحث عن نهاية سطر ناقصة",
        spanish: "la fila tiene más de {0} bytes; busque un salto de línea que falte",
    },
    Reason {
        code: "cell-too-long",
        english: "the cell is longer than {0} bytes; shorten it, or check for a missing quote",
        arabic: "الخلية أطول من {0} بايت؛ اختصرها أو ابحث عن علامة اقتباس ناقصة",
        spanish: "la celda tiene más de {0} bytes; acórtela o compruebe si faltan unas comillas",
    },
    Reason {
        code: "cell-binary",
        english: "the cell holds a zero byte; export the file as text, in UTF-8",
        arabic: "في الخلية بايت صفري؛ صدّر الملف نصًا بترميز UTF-8",
        spanish: "la celda contiene un byte cero; exporte el archivo como texto, en UTF-8",
    },
    Reason {
        code: "cell-not-utf8",
        english: "the cell is not in UTF-8; if the whole file is not, name its encoding (--encoding windows-1252)",
        arabic: "الخلية ليست بترميز UTF-8؛ فإن كان الملف كله كذلك فاذكر ترميزه (--encoding windows-1256)",
        spanish: "la celda no está en UTF-8; si todo el archivo no lo está, indique su codificación (--encoding \
                  windows-1252)",
    },
    Reason {
        code: "cell-letters-lost",
        english: "the cell holds \u{fffd}, which stands for letters that a conversion lost; export it again in UTF-8",
        arabic: "في الخلية \u{fffd}، وهو مكان حروف ضاعت في تحويل؛ صدّر الملف مرة أخرى بترميز UTF-8",
        spanish: "la celda contiene \u{fffd}, en lugar de letras que una conversión perdió; expórtela de nuevo en UTF-8",
    },
    Reason {
        code: "cell-formula-error",
        english: "the cell holds the spreadsheet's error {0}; correct the formula, or put the value in its place",
        arabic: "في الخلية خطأ من برنامج الجداول: {0}؛ صحّح الصيغة أو ضع القيمة مكانها",
        spanish: "la celda contiene el error {0} de la hoja de cálculo; corrija la fórmula o ponga el valor en su lugar",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::PhoneError;

    #[test]
    fn every_code_has_a_text_of_its_own_in_every_language_with_the_same_facts() {
        for (place, reason) in REASONS.iter().enumerate() {
            assert!(REASONS[..place].iter().all(|other| other.code != reason.code), "{} twice", reason.code);
            let texts = [reason.english, reason.arabic, reason.spanish];
            for text in texts {
                assert!(!text.is_empty() && !text.contains("  ") && !text.ends_with('.'), "{text}");
                for fact in ["{0}", "{1}"] {
                    assert_eq!(text.contains(fact), reason.english.contains(fact), "{}: {fact}", reason.code);
                }
            }
            assert!(reason.arabic.chars().any(|c| ('\u{600}'..='\u{6ff}').contains(&c)), "{}", reason.code);
            assert_ne!(reason.english, reason.spanish);
        }
    }

    #[test]
    fn the_reasons_of_phone_numbers_read_as_they_do_elsewhere() {
        for error in [
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
        ] {
            assert_eq!(text(error.code(), &["'#'".to_owned()], Tongue::English), error.to_string());
        }
    }

    #[test]
    fn facts_are_filled_in_and_an_unknown_code_is_shown_as_it_is() {
        let facts = ["3".to_owned(), "5".to_owned()];
        assert!(
            text("row-too-few-cells", &facts, Tongue::Spanish).starts_with("la fila tiene 3 celdas y el encabezado 5")
        );
        assert_eq!(text("no-such", &facts, Tongue::Arabic), "no-such");
        assert_eq!("AR".parse(), Ok(Tongue::Arabic));
        assert!("de".parse::<Tongue>().is_err());
    }
}
