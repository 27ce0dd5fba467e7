//! What people say when they want no more messages, as they type it and as buttons are labelled.
//!
//! A text has a [`Verdict`]. *Stop* is said where nothing else can be meant: by a word alone ("stop"), or by a sentence
//! about messages, lists or numbers ("please remove me from your list", "لا ترسلوا لي رسائل"). What could also mean an
//! order or an appointment ("cancel", "إلغاء") is *doubtful* and left to a person. What says the opposite ("don't
//! stop") or speaks of something else ("stop by the shop") is neither. Asking for messages again is understood only if
//! it is the whole message.
//!
//! Texts are compared after [`normalise`], with politeness taken out. Each language is a table of word classes and of
//! patterns over them (`languages`); an operator's own [`Words`] come before.

mod grammar;
mod languages;
mod normal;
pub mod scope;

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use grammar::{Grammar, MOST, Reading};
pub use normal::normalise;

/// Longer texts are cut before they are read. In bytes.
const LONGEST: usize = 2_000;
/// Whoever says stop in a longer message is read by a person: it tells a story. In words.
const STORY: usize = 40;
/// A word is never longer. In bytes.
const LONGEST_PHRASE: usize = 120;

/// What a text means for messages from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// No more messages.
    Stop,
    /// It may mean stop: a person decides.
    Doubtful,
    /// Messages again, please.
    Start,
    /// Nothing of the kind.
    Nothing,
}

impl Verdict {
    /// As it is written in commands and rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Doubtful => "doubtful",
            Self::Start => "start",
            Self::Nothing => "nothing",
        }
    }

    /// The verdict of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Stop, Self::Doubtful, Self::Start, Self::Nothing].into_iter().find(|verdict| verdict.as_str() == name)
    }
}

/// Why a phrase cannot be one of an operator's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordError {
    /// Nothing is left of it once punctuation and politeness are taken off.
    #[error("nothing is left of the phrase without punctuation and politeness")]
    Empty,
    /// It is longer than any word.
    #[error("the phrase is longer than {LONGEST_PHRASE} bytes")]
    TooLong,
}

/// The words that an operator added, each with its verdict. They are whole messages or labels, and come before the
/// built-in tables.
#[derive(Clone, Debug, Default)]
pub struct Words {
    own: HashMap<String, Verdict>,
}

impl Words {
    /// Words from phrases as [`Words::key`] wrote them.
    pub fn new(own: impl IntoIterator<Item = (String, Verdict)>) -> Self {
        Self { own: own.into_iter().collect() }
    }

    /// How a phrase is compared: two that have the same key are the same word.
    ///
    /// # Errors
    /// When nothing is left to be compared, or it is too long.
    pub fn key(phrase: &str) -> Result<String, WordError> {
        if phrase.len() > LONGEST_PHRASE {
            return Err(WordError::TooLong);
        }
        let key = said(phrase);
        if key.is_empty() { Err(WordError::Empty) } else { Ok(key) }
    }

    /// What a message says.
    #[must_use]
    pub fn read(&self, text: &str) -> Verdict {
        let text = cut(text);
        if let Some(verdict) = self.word(text) {
            return verdict;
        }
        match read_all(text) {
            // What stands between full stops is a sentence of its own: "Please stop. My order came."
            Verdict::Doubtful => {
                let mut sentences = text.split(['.', '!', '?', ';', '\n', '؟', '؛', '।', '…']);
                let is_said =
                    sentences.any(|sentence| sentence.len() < text.len() && read_all(sentence) == Verdict::Stop);
                if is_said { Verdict::Stop } else { Verdict::Doubtful }
            }
            Verdict::Nothing if is_sign(text) => Verdict::Doubtful,
            verdict => verdict,
        }
    }

    /// What a button with this label says.
    #[must_use]
    pub fn label(&self, label: &str) -> Verdict {
        let label = cut(label);
        if let Some(verdict) = self.word(label) {
            return verdict;
        }
        static LABELS: LazyLock<Vec<String>> = LazyLock::new(|| LABELS_WRITTEN.iter().map(|l| normalise(l)).collect());
        if LABELS.contains(&normalise(label)) { Verdict::Stop } else { read_all(label) }
    }

    fn word(&self, text: &str) -> Option<Verdict> {
        if self.own.is_empty() {
            return None;
        }
        self.own.get(&Self::key(text).ok()?).copied()
    }
}

/// What can mean one thing only on a button of a promotion, though not when somebody types it.
const LABELS_WRITTEN: &[&str] = &[
    "not interested",
    "no more promotions",
    "no thanks, stop",
    "no thanks",
    "غير مهتم",
    "لست مهتما",
    "لا أريد العروض",
    "مش مهتم",
    "cancelar suscripción",
    "cancelar la suscripción",
    "anular suscripción",
    "no me interesa",
    "cancelar inscrição",
    "não tenho interesse",
    "pas intéressé",
    "kein interesse",
    "ilgilenmiyorum",
    "tidak tertarik",
    "रुचि नहीं है",
];

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text)
}

/// A sign that stands for stop among nothing but signs and politeness.
fn is_sign(text: &str) -> bool {
    text.contains(['🛑', '🚫', '⛔', '👎', '✋', '🔕']) && said(text).is_empty()
}

static GRAMMARS: LazyLock<Vec<Grammar>> =
    LazyLock::new(|| languages::ALL.iter().map(|language| Grammar::of(language)).collect());

/// Phrases of politeness by their first word, the longest first.
static POLITE: LazyLock<HashMap<String, Vec<Vec<String>>>> = LazyLock::new(|| {
    let mut polite: HashMap<String, Vec<Vec<String>>> = HashMap::new();
    for phrase in languages::ALL.iter().flat_map(|language| language.polite.split('|')) {
        let words: Vec<String> = normalise(phrase).split(' ').map(str::to_owned).collect();
        let Some(first) = words.first().filter(|first| !first.is_empty()) else { continue };
        polite.entry(first.clone()).or_default().push(words);
    }
    for phrases in polite.values_mut() {
        phrases.sort_by_key(|words| std::cmp::Reverse(words.len()));
    }
    polite
});

/// Long words that people misspell.
static SPELLED: LazyLock<Vec<String>> =
    LazyLock::new(|| languages::ALL.iter().flat_map(|language| language.spelled).map(|word| normalise(word)).collect());

/// A text in its normal form without politeness, and as one word if what is left is spelt letter by letter.
fn said(text: &str) -> String {
    let normal = normalise(text);
    let once = normal::joined(without_politeness(normal.split_whitespace().collect()).join(" "));
    // Politeness may be spelt letter by letter too.
    without_politeness(once.split_whitespace().collect()).join(" ")
}

fn without_politeness(words: Vec<&str>) -> Vec<&str> {
    let mut left = Vec::with_capacity(words.len());
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let phrases = POLITE.get(*word).into_iter().flatten();
        let polite = phrases.map(Vec::as_slice).find(|phrase| words[at..].starts_with_words(phrase));
        match polite {
            Some(phrase) => at += phrase.len(),
            None => {
                left.push(*word);
                at += 1;
            }
        }
    }
    left
}

trait StartsWithWords {
    fn starts_with_words(&self, phrase: &[String]) -> bool;
}

impl StartsWithWords for [&str] {
    fn starts_with_words(&self, phrase: &[String]) -> bool {
        self.len() >= phrase.len() && self.iter().zip(phrase).all(|(word, other)| word == other)
    }
}

/// The word that was meant: a long one with a slip in it is put right.
fn spelled(word: &str) -> &str {
    let letters = word.chars().count();
    if letters < 6 || GRAMMARS.iter().any(|grammar| grammar.knows(word)) {
        return word;
    }
    let allowed = |right: &str| if right.chars().count() >= 10 && letters >= 9 { 2 } else { 1 };
    SPELLED
        .iter()
        .find(|right| {
            let most = allowed(right);
            // The first letter is seldom wrong, and "subscribe" is not "unsubscribe".
            word.chars().next() == right.chars().next() && normal::distance(word, right, most) <= most
        })
        .map_or(word, String::as_str)
}

/// A word that nobody knows, without the last letter if that is the one before it once more: "durr".
fn undrawn(word: &str) -> String {
    let mut letters = word.chars().rev();
    let (last, before) = (letters.next(), letters.next());
    if last.is_some() && last == before && !GRAMMARS.iter().any(|grammar| grammar.knows(word)) {
        let shorter: String = word.chars().take(word.chars().count() - 1).collect();
        if GRAMMARS.iter().any(|grammar| grammar.knows(&shorter)) {
            return shorter;
        }
    }
    word.to_owned()
}

/// What the languages make of a text together: "don't stop" in one holds against "stop" in another, for people mix them.
fn read_all(text: &str) -> Verdict {
    let said = said(text);
    let words: Vec<&str> = said.split_whitespace().collect();
    let is_story = words.len() > STORY;
    // Of a very long text the beginning and the end are read, where people put what they want.
    let parts = [&words[..words.len().min(MOST)], &words[words.len().saturating_sub(MOST)..]];
    for part in &parts[..if words.len() > MOST { 2 } else { 1 }] {
        let verdict = match weigh(part, is_story) {
            Verdict::Nothing => {
                let once: Vec<String> = part.iter().map(|word| undrawn(word)).collect();
                let right: Vec<&str> = once.iter().map(|word| spelled(word)).collect();
                if right == *part { Verdict::Nothing } else { weigh(&right, is_story) }
            }
            verdict => verdict,
        };
        if verdict != Verdict::Nothing {
            return verdict;
        }
    }
    Verdict::Nothing
}

fn weigh(words: &[&str], is_story: bool) -> Verdict {
    let readings: Vec<Reading> = GRAMMARS.iter().map(|grammar| grammar.read(words)).collect();
    let any = |says: fn(&Reading) -> bool| readings.iter().any(says);
    if any(|reading| reading.alone) {
        return if is_story { Verdict::Doubtful } else { Verdict::Stop };
    }
    if any(|reading| reading.start) {
        return Verdict::Start;
    }
    if any(|reading| reading.doubt) {
        return Verdict::Doubtful;
    }
    let stops = any(|reading| reading.stop);
    if any(|reading| reading.keep) || (!stops && !any(|reading| reading.hint)) {
        return Verdict::Nothing;
    }
    match any(|reading| reading.guard) {
        false if stops && !is_story => Verdict::Stop,
        true if !stops => Verdict::Nothing,
        _ => Verdict::Doubtful,
    }
}

#[cfg(test)]
mod tests;
