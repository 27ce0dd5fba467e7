//! What a stop stops: everything, marketing, or the marketing of one brand or one business number; and which of these
//! forbid a message that is about to leave.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// The longest name of a brand, in characters.
const LONGEST_BRAND: usize = 60;

/// What a stop stops, the widest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Every message, orders and passwords among them.
    All,
    /// Marketing from any of our numbers. Utility and authentication messages go on.
    Marketing,
    /// Marketing from the numbers of one brand.
    Brand(String),
    /// Marketing from one business number, by Meta's id of it.
    Number(String),
}

/// Why a text names no scope.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// None of the words.
    #[error("a scope is all, marketing, brand:NAME or number:PHONE_NUMBER_ID")]
    Unknown,
    /// Not a brand's name.
    #[error("a brand's name has 1 to {LONGEST_BRAND} characters and no line breaks")]
    BadBrand,
    /// Not an id of Meta's.
    #[error("a business number is named by Meta's id of it, in digits")]
    BadNumber,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Marketing => f.write_str("marketing"),
            Self::Brand(name) => write!(f, "brand:{name}"),
            Self::Number(id) => write!(f, "number:{id}"),
        }
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, ScopeError> {
        match text.trim() {
            "all" => Ok(Self::All),
            "marketing" => Ok(Self::Marketing),
            other => match other.split_once(':') {
                Some(("brand", name)) => brand_name(name).map(Self::Brand),
                Some(("number", id)) if is_meta_id(id.trim()) => Ok(Self::Number(id.trim().to_owned())),
                Some(("number", _)) => Err(ScopeError::BadNumber),
                _ => Err(ScopeError::Unknown),
            },
        }
    }
}

fn is_meta_id(id: &str) -> bool {
    (1..=40).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A brand's name as it is kept and compared: without blanks around it.
///
/// # Errors
/// [`ScopeError::BadBrand`].
pub fn brand_name(text: &str) -> Result<String, ScopeError> {
    let name = text.trim();
    let fits = (1..=LONGEST_BRAND).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits { Ok(name.to_owned()) } else { Err(ScopeError::BadBrand) }
}

/// The category of a free text within the service window, by Meta's name for its price.
pub const SERVICE: &str = "SERVICE";

/// Whether a message of this category of Meta's is marketing. A category that we do not know is: whoever stopped
/// marketing must not get it by a word that Meta introduced since.
#[must_use]
pub fn is_marketing(category: &str) -> bool {
    !["UTILITY", "AUTHENTICATION", SERVICE].iter().any(|other| category.eq_ignore_ascii_case(other))
}

/// The scopes of stops that forbid a message, in their written form. There are always four, so that a statement has a
/// place for each; where fewer forbid, the first stands in the places of the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidding([String; 4]);

impl Forbidding {
    /// What forbids a message of a template of this category from this business number (Meta's id), which may be of a
    /// brand.
    #[must_use]
    pub fn of(category: &str, phone_number_id: &str, brand: Option<&str>) -> Self {
        let all = Scope::All.to_string();
        if !is_marketing(category) {
            return Self::only_all();
        }
        let brand = brand.map(|brand| Scope::Brand(brand.to_owned()).to_string());
        Self([
            all.clone(),
            Scope::Marketing.to_string(),
            Scope::Number(phone_number_id.to_owned()).to_string(),
            brand.unwrap_or(all),
        ])
    }

    /// What forbids it from each of several business numbers, with their brands.
    #[must_use]
    pub fn of_every(category: &str, numbers: &[(String, Option<String>)]) -> Self {
        let mut each = numbers.iter().map(|(id, brand)| Self::of(category, id, brand.as_deref()));
        let Some(first) = each.next() else { return Self::of(category, "", None) };
        let rest: Vec<Self> = each.collect();
        let all = Scope::All.to_string();
        Self(first.0.map(|scope| if rest.iter().all(|other| other.0.contains(&scope)) { scope } else { all.clone() }))
    }

    fn only_all() -> Self {
        Self(std::array::from_fn(|_| Scope::All.to_string()))
    }

    /// The four.
    #[must_use]
    pub fn scopes(&self) -> &[String; 4] {
        &self.0
    }

    /// Whether a stop of this scope forbids it.
    #[must_use]
    pub fn forbids(&self, scope: &Scope) -> bool {
        let scope = scope.to_string();
        self.0.contains(&scope)
    }
}

/// By which way a stop comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// A tap on a button of a message.
    Button,
    /// Words.
    Text,
    /// The switch for marketing messages in WhatsApp itself.
    UserPreferences,
    /// Meta's refusal 131050, which tells of that switch.
    Meta,
    /// Somebody of ours: the command, the API, the console.
    Manual,
    /// A list taken over from elsewhere.
    Import,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Button, Self::Text, Self::UserPreferences, Self::Meta, Self::Manual, Self::Import];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Button => "button",
            Self::Text => "text",
            Self::UserPreferences => "user_preferences",
            Self::Meta => "meta",
            Self::Manual => "manual",
            Self::Import => "import",
        }
    }

    /// The way of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.as_str() == name)
    }

    /// How far a stop by this way reaches where nobody set anything: marketing is what people are asked about and
    /// answer; whoever of ours blocks somebody, or brings a list, means every message until they say less.
    #[must_use]
    pub fn usual(self) -> Reach {
        match self {
            Self::Button | Self::Text | Self::UserPreferences | Self::Meta => Reach::Marketing,
            Self::Manual | Self::Import => Reach::All,
        }
    }

    /// Whether a stop by this way may reach no further than one number or brand: only where it was said to one.
    #[must_use]
    pub fn may_be_narrow(self) -> bool {
        matches!(self, Self::Button | Self::Text)
    }
}

/// How far a stop reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Every message.
    All,
    /// Marketing.
    Marketing,
    /// Marketing of the brand of the number it was said to; that number alone where it is of no brand.
    Brand,
    /// Marketing of the number it was said to.
    Number,
}

impl Reach {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::All, Self::Marketing, Self::Brand, Self::Number];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Marketing => "marketing",
            Self::Brand => "brand",
            Self::Number => "number",
        }
    }

    /// The reach of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reach| reach.as_str() == name)
    }

    /// The scope of a stop that was said to this number of this brand. Where it is not known to which, all marketing
    /// stops: a stop is never lost for want of a number.
    #[must_use]
    pub fn scope(self, phone_number_id: Option<&str>, brand: Option<&str>) -> Scope {
        match (self, phone_number_id, brand) {
            (Self::All, ..) => Scope::All,
            (Self::Brand, Some(_), Some(brand)) => Scope::Brand(brand.to_owned()),
            (Self::Brand | Self::Number, Some(id), _) => Scope::Number(id.to_owned()),
            _ => Scope::Marketing,
        }
    }
}

/// How far stops reach, by their way: what an operator set, and the usual for the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reaches(BTreeMap<Way, Reach>);

impl Reaches {
    /// With what was set. A narrow reach of a way that cannot have one counts as marketing.
    #[must_use]
    pub fn new(set: impl IntoIterator<Item = (Way, Reach)>) -> Self {
        let held = |way: Way, reach| match reach {
            Reach::Brand | Reach::Number if !way.may_be_narrow() => Reach::Marketing,
            other => other,
        };
        Self(set.into_iter().map(|(way, reach)| (way, held(way, reach))).collect())
    }

    /// How far a stop by this way reaches.
    #[must_use]
    pub fn of(&self, way: Way) -> Reach {
        self.0.get(&way).copied().unwrap_or_else(|| way.usual())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_back_as_they_are_written() {
        for text in ["all", "marketing", "brand:Nile Shoes", "brand:أحذية", "number:106540352242922"] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        for bad in ["", "everything", "brand:", "brand: ", "number:", "number:12 3", "number:a;b", "brand:a\nb"] {
            assert!(bad.parse::<Scope>().is_err(), "{bad:?}");
        }
        assert!("brand:".parse::<Scope>() == Err(ScopeError::BadBrand));
    }

    #[test]
    fn a_marketing_message_is_forbidden_by_four_scopes_and_any_other_by_one() {
        let marketing = Forbidding::of("MARKETING", "7", Some("Nile"));
        for scope in ["all", "marketing", "number:7", "brand:Nile"] {
            assert!(marketing.forbids(&scope.parse().unwrap()), "{scope}");
        }
        for scope in ["number:8", "brand:Delta"] {
            assert!(!marketing.forbids(&scope.parse().unwrap()), "{scope}");
        }
        for category in ["UTILITY", "authentication"] {
            let other = Forbidding::of(category, "7", Some("Nile"));
            assert!(other.forbids(&Scope::All) && !other.forbids(&Scope::Marketing));
            assert!(!other.forbids(&Scope::Number("7".into())));
        }
        assert!(Forbidding::of("NEW_WORD", "7", None).forbids(&Scope::Marketing), "a word we do not know is marketing");
    }

    #[test]
    fn what_forbids_a_message_from_every_number_is_what_they_share() {
        let number = |id: &str, brand: Option<&str>| (id.to_owned(), brand.map(str::to_owned));
        let one = [number("1", Some("Nile"))];
        assert_eq!(Forbidding::of_every("MARKETING", &one), Forbidding::of("MARKETING", "1", Some("Nile")));
        let same = Forbidding::of_every("MARKETING", &[number("1", Some("Nile")), number("2", Some("Nile"))]);
        assert!(same.forbids(&Scope::Brand("Nile".into())) && same.forbids(&Scope::Marketing));
        assert!(!same.forbids(&Scope::Number("1".into())));
        let mixed = Forbidding::of_every("MARKETING", &[number("1", Some("Nile")), number("2", None)]);
        assert!(!mixed.forbids(&Scope::Brand("Nile".into())) && mixed.forbids(&Scope::All));
    }

    #[test]
    fn a_stop_reaches_as_far_as_its_way_is_set_to_and_never_nowhere() {
        let usual = Reaches::default();
        assert_eq!((usual.of(Way::Text), usual.of(Way::Manual)), (Reach::Marketing, Reach::All));
        let set = Reaches::new([(Way::Button, Reach::Brand), (Way::Meta, Reach::Number), (Way::Text, Reach::All)]);
        assert_eq!((set.of(Way::Button), set.of(Way::Text)), (Reach::Brand, Reach::All));
        assert_eq!(set.of(Way::Meta), Reach::Marketing, "Meta's switch is for all of an account's marketing");
        assert_eq!(Reach::Brand.scope(Some("7"), Some("Nile")), Scope::Brand("Nile".into()));
        assert_eq!(Reach::Brand.scope(Some("7"), None), Scope::Number("7".into()));
        assert_eq!(Reach::Number.scope(None, None), Scope::Marketing);
        for (way, name) in Way::ALL.iter().map(|way| (*way, way.as_str())) {
            assert_eq!(Way::named(name), Some(way));
        }
    }
}
