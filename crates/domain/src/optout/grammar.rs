//! A language's ways of saying stop, as patterns over classes of words.
//!
//! A pattern is a row of elements, one per word or group of words:
//!
//! | written | means |
//! |---|---|
//! | `stop` | this word; `*` in it stands for any letters, also none |
//! | `stop/quit` | one of these words |
//! | `{msg}` | one phrase of the class `msg`; a phrase is a pattern itself. `{msg}/nothing`: or this word |
//! | `me?` `{mod}*` | the element may be missing; may stand any number of times |
//! | `~3` | up to three words, whichever |
//! | `^` `$` | the message's beginning, its end |
//!
//! Phrases of a class are separated by `|`. Words are written as people write them and are compared normalised.

use std::collections::HashMap;

use super::normal::normalise;

/// A language as its file describes it.
pub(super) struct Language {
    /// Words and greetings that carry no meaning here, in no language; `|` between them. They are taken out.
    pub(super) polite: &'static str,
    /// Name and phrases; a phrase may name classes that stand before it.
    pub(super) classes: &'static [(&'static str, &'static str)],
    /// What stops if it is the whole message.
    pub(super) alone: &'static [&'static str],
    /// What stops wherever it is said.
    pub(super) anywhere: &'static [&'static str],
    /// What turns a stop into its opposite or into a question: "don't stop".
    pub(super) keeps: &'static [&'static str],
    /// What a stop may be about instead of our messages: orders, deliveries, days. Then a person decides.
    pub(super) guards: &'static [&'static str],
    /// What may mean stop, as a whole message: a person decides.
    pub(super) doubts: &'static [&'static str],
    /// What may mean stop wherever it is said in a short message: a person decides.
    pub(super) hints: &'static [&'static str],
    /// What asks for messages again, as a whole message.
    pub(super) starts: &'static [&'static str],
    /// Long words that people misspell.
    pub(super) spelled: &'static [&'static str],
}

/// What a language makes of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// The whole of it means stop.
    pub(super) alone: bool,
    /// The whole of it asks for messages again.
    pub(super) start: bool,
    /// The whole of it may mean stop.
    pub(super) doubt: bool,
    /// A part of it means stop.
    pub(super) stop: bool,
    /// A part of it may mean stop.
    pub(super) hint: bool,
    /// A part of it turns that into its opposite.
    pub(super) keep: bool,
    /// It speaks of something that is no message of ours.
    pub(super) guard: bool,
}

/// A hint counts in a message of so many words.
const SHORT: usize = 8;
/// Words of a message that are looked at. Places between them are the bits of a [`Places`].
pub(super) const MOST: usize = 60;

/// A set of places in a text: bit n is the place before its word n.
type Places = u64;

/// A language, ready to be asked.
pub(super) struct Grammar {
    groups: Groups,
    classes: Vec<Class>,
    alone: Vec<Row>,
    anywhere: Vec<Row>,
    keeps: Vec<Row>,
    guards: Vec<Row>,
    doubts: Vec<Row>,
    hints: Vec<Row>,
    starts: Vec<Row>,
}

/// Phrases that may stand for one another.
struct Class {
    words: Group,
    phrases: Vec<Row>,
}

/// Words that may stand for one another, by number.
type Group = usize;

/// Which words are in which groups, so that a word of a text is looked up once.
#[derive(Default)]
struct Groups {
    count: usize,
    exact: HashMap<String, Vec<Group>>,
    /// Words with letters left open, in the parts between them.
    open: Vec<(Vec<String>, Group)>,
}

type Row = Vec<(Element, Repeat)>;

enum Element {
    Begin,
    End,
    Gap(usize),
    /// One of these words, or a phrase of one of these classes.
    One(Group, Vec<usize>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Once,
    Maybe,
    Any,
}

impl Groups {
    fn add<'a>(&mut self, written: impl Iterator<Item = &'a str>) -> Group {
        let group = self.count;
        self.count += 1;
        for word in written {
            if word.contains('*') {
                self.open.push((word.split('*').map(normalise).collect(), group));
            } else {
                self.exact.entry(normalise(word)).or_default().push(group);
            }
        }
        group
    }

    /// The groups of a word, as bits.
    fn of(&self, word: &str) -> Vec<u64> {
        let mut bits = vec![0; self.count.div_ceil(64)];
        let open = self.open.iter().filter(|(parts, _)| fits(parts, word)).map(|(_, group)| group);
        for group in self.exact.get(word).into_iter().flatten().chain(open) {
            bits[group / 64] |= 1 << (group % 64);
        }
        bits
    }
}

/// Whether a word consists of these parts, with anything in between.
fn fits(parts: &[String], word: &str) -> bool {
    let [first, middle @ .., last] = parts else { return false };
    let Some(mut rest) = word.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str())) else {
        return false;
    };
    middle.iter().all(|part| match rest.split_once(part.as_str()) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

impl Grammar {
    pub(super) fn of(language: &Language) -> Self {
        let mut groups = Groups::default();
        let mut names = HashMap::new();
        let mut classes = Vec::new();
        for (place, (name, phrases)) in language.classes.iter().enumerate() {
            let phrases: Vec<&str> = phrases.split('|').map(str::trim).collect();
            let (longer, words): (Vec<&str>, Vec<&str>) =
                phrases.into_iter().partition(|phrase| phrase.contains([' ', '{', '~']));
            classes.push(Class {
                words: groups.add(words.into_iter().flat_map(|words| words.split('/'))),
                phrases: longer.into_iter().map(|phrase| row(&mut groups, &names, phrase)).collect(),
            });
            names.insert(*name, place);
        }
        let mut rows =
            |patterns: &[&str]| patterns.iter().map(|pattern| row(&mut groups, &names, pattern)).collect::<Vec<Row>>();
        Self {
            alone: rows(language.alone),
            anywhere: rows(language.anywhere),
            keeps: rows(language.keeps),
            guards: rows(language.guards),
            doubts: rows(language.doubts),
            hints: rows(language.hints),
            starts: rows(language.starts),
            classes,
            groups,
        }
    }

    /// Whether the word stands in one of the tables.
    pub(super) fn knows(&self, word: &str) -> bool {
        self.groups.exact.contains_key(word)
    }

    /// Reads a text by its words, [`MOST`] of them at most.
    pub(super) fn read(&self, words: &[&str]) -> Reading {
        let groups = words.iter().map(|word| self.groups.of(word)).collect();
        let mut reader = Reader { grammar: self, groups, ends: HashMap::new() };
        Reading {
            alone: reader.is_whole(&self.alone),
            start: reader.is_whole(&self.starts),
            doubt: reader.is_whole(&self.doubts),
            stop: reader.finds(&self.anywhere),
            hint: words.len() <= SHORT && reader.finds(&self.hints),
            keep: reader.finds(&self.keeps),
            guard: reader.finds(&self.guards),
        }
    }
}

/// Reads a pattern. A class that does not exist is an empty one; a test finds such.
fn row(groups: &mut Groups, names: &HashMap<&str, usize>, pattern: &str) -> Row {
    let mut row = Row::new();
    for written in pattern.split_whitespace() {
        let (written, repeat) = match written.strip_suffix('?') {
            Some(written) => (written, Repeat::Maybe),
            None if written.ends_with("}*") => (&written[..written.len() - 1], Repeat::Any),
            None => (written, Repeat::Once),
        };
        let element = match written {
            "^" => Element::Begin,
            "$" => Element::End,
            _ => match written.strip_prefix('~').map(str::parse) {
                Some(most) => Element::Gap(most.unwrap_or(0)),
                None => {
                    let (classes, words): (Vec<&str>, Vec<&str>) =
                        written.split('/').partition(|part| part.starts_with('{'));
                    let classes = classes.into_iter().filter_map(|class| names.get(class.trim_matches(['{', '}'])));
                    let classes = classes.copied().collect();
                    Element::One(groups.add(words.into_iter()), classes)
                }
            },
        };
        row.push((element, repeat));
    }
    row
}

/// Follows patterns through one text, all ways at once.
struct Reader<'a> {
    grammar: &'a Grammar,
    /// The groups of each word, as bits.
    groups: Vec<Vec<u64>>,
    /// Where phrases of a class that begin at a place end.
    ends: HashMap<(usize, usize), Places>,
}

impl<'a> Reader<'a> {
    fn end(&self) -> Places {
        1 << self.groups.len()
    }

    /// Whether the text is one of the patterns, or several one after another.
    fn is_whole(&mut self, rows: &'a [Row]) -> bool {
        let mut reached: Places = 1;
        loop {
            let before = reached;
            for row in rows {
                reached |= self.follow(row, reached);
            }
            if reached == before {
                return !self.groups.is_empty() && reached & self.end() != 0;
            }
        }
    }

    fn finds(&mut self, rows: &'a [Row]) -> bool {
        let everywhere = (self.end() << 1).wrapping_sub(1);
        rows.iter().any(|row| self.follow(row, everywhere) != 0)
    }

    /// Where a row ends that begins at one of these places.
    fn follow(&mut self, row: &'a Row, from: Places) -> Places {
        let mut at = from;
        for (element, repeat) in row {
            let mut reached = self.step(element, at);
            match repeat {
                Repeat::Once => {}
                Repeat::Maybe => reached |= at,
                Repeat::Any => {
                    let mut new = reached & !at;
                    reached |= at;
                    while new != 0 {
                        new = self.step(element, new) & !reached;
                        reached |= new;
                    }
                }
            }
            at = reached;
            if at == 0 {
                break;
            }
        }
        at
    }

    fn step(&mut self, element: &'a Element, from: Places) -> Places {
        match element {
            Element::Begin => from & 1,
            Element::End => from & self.end(),
            Element::Gap(most) => {
                let all = (self.end() << 1).wrapping_sub(1);
                (0..=*most).fold(0, |places, words| places | (from << words)) & all
            }
            Element::One(words, classes) => self.each(from, |reader, place| {
                let word = reader.word_of(*words, place);
                classes.iter().fold(word, |places, class| places | reader.class_from(*class, place))
            }),
        }
    }

    /// The place after a word that is in the group.
    fn word_of(&self, group: Group, place: usize) -> Places {
        let holds = self.groups.get(place).is_some_and(|bits| bits[group / 64] & (1 << (group % 64)) != 0);
        if holds { 1 << (place + 1) } else { 0 }
    }

    fn each(&mut self, from: Places, mut step: impl FnMut(&mut Self, usize) -> Places) -> Places {
        let mut left = from;
        let mut reached = 0;
        while left != 0 {
            reached |= step(self, left.trailing_zeros() as usize);
            left &= left - 1;
        }
        reached
    }

    fn class_from(&mut self, class: usize, place: usize) -> Places {
        if let Some(ends) = self.ends.get(&(class, place)) {
            return *ends;
        }
        let phrases = &self.grammar.classes[class];
        let mut ends = self.word_of(phrases.words, place);
        for phrase in &phrases.phrases {
            ends |= self.follow(phrase, 1 << place);
        }
        self.ends.insert((class, place), ends);
        ends
    }
}
