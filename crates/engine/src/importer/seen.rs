//! Who came by in a file, so that repeats are found: exact, small, and bounded however long the file is.
//!
//! Past the bounds the oldest are forgotten. A repeat of somebody forgotten is met in the database like anybody who is
//! known: nobody is doubled there and nothing is lost, but the row counts as accepted, and its name and columns go over
//! those of the first.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Bytes for the numbers of one generation, of which two are kept. Fifteen million from all over the world fit, and of
/// the mobiles of one country all there are. In the worst case it is half a million, which is still more than are
/// gathered at once: a chunk never has somebody twice.
const NUMBERS: usize = 48 * 1024 * 1024;
/// User ids of one generation; some 20 MB.
const USER_IDS: usize = 450_000;
/// Numbers whose last 16 bits are listed, before a bit for each possible one takes less room.
const LISTED: usize = 4_096;

/// Who came by.
#[derive(Debug)]
pub(super) struct Seen {
    numbers: Numbers,
    /// The generation before.
    old_numbers: Numbers,
    user_ids: UserIds,
    room: usize,
    forgot: bool,
}

/// Whether somebody came by before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Not that we know.
    No,
    /// Yes.
    Yes,
    /// By the user id, and with another number.
    WithAnotherNumber,
}

impl Default for Seen {
    fn default() -> Self {
        Self::bounded(NUMBERS, USER_IDS)
    }
}

impl Seen {
    fn bounded(room: usize, user_ids: usize) -> Self {
        let (numbers, old_numbers) = (Numbers::default(), Numbers::default());
        Self { numbers, old_numbers, user_ids: UserIds::bounded(user_ids), room, forgot: false }
    }

    /// Notes a person, by the key of their number or a user id or both, and says whether they came before.
    pub(super) fn note(&mut self, key: Option<u64>, user_id: Option<&str>) -> Before {
        if let Some(user_id) = user_id {
            let name = self.user_ids.name_of(user_id);
            match (self.user_ids.get(name), key) {
                (Some(Some(before)), Some(key)) if before != key => return Before::WithAnotherNumber,
                (Some(_), None) => return Before::Yes,
                // A number for somebody of whom only the user id was known: more than a repeat.
                _ => self.forgot |= self.user_ids.insert(name, key),
            }
        }
        let Some(key) = key else { return Before::No };
        if self.old_numbers.contains(key) || !self.numbers.insert(key) {
            return Before::Yes;
        }
        if self.numbers.bytes > self.room {
            self.forgot |= !self.old_numbers.blocks.is_empty();
            self.old_numbers = std::mem::take(&mut self.numbers);
        }
        Before::No
    }

    /// Whether the file is so long that somebody had to be forgotten.
    pub(super) fn forgot(&self) -> bool {
        self.forgot
    }
}

/// A set of numbers that stand as close together as phone numbers do: those that differ only in their last 16 bits share
/// a block. A million of one country take some three megabytes, a tenth of what a set of them would.
#[derive(Debug, Default)]
struct Numbers {
    blocks: HashMap<u64, Block>,
    /// What it takes, roughly.
    bytes: usize,
}

#[derive(Debug)]
enum Block {
    /// The last 16 bits of its numbers, ascending.
    Listed(Vec<u16>),
    /// A bit for each.
    Bits(Box<[u64; 1024]>),
}

impl Numbers {
    /// What a block takes beside its numbers: its place in the map, which is half empty at worst.
    const BLOCK: usize = 64;

    fn contains(&self, number: u64) -> bool {
        let last = (number & 0xffff) as u16;
        match self.blocks.get(&(number >> 16)) {
            None => false,
            Some(Block::Listed(numbers)) => numbers.binary_search(&last).is_ok(),
            Some(Block::Bits(bits)) => bits[usize::from(last >> 6)] >> (last & 63) & 1 == 1,
        }
    }

    /// `false` if it is there already.
    fn insert(&mut self, number: u64) -> bool {
        let last = (number & 0xffff) as u16;
        let block = self.blocks.entry(number >> 16).or_insert_with(|| {
            self.bytes += Self::BLOCK;
            Block::Listed(Vec::new())
        });
        match block {
            Block::Listed(numbers) => {
                let Err(place) = numbers.binary_search(&last) else { return false };
                if numbers.len() == LISTED {
                    let mut bits = Box::new([0; 1024]);
                    for number in numbers.iter().chain([&last]) {
                        set(&mut bits, *number);
                    }
                    *block = Block::Bits(bits);
                    return true;
                }
                if numbers.len() == numbers.capacity() {
                    // Doubling would leave a quarter of all this empty.
                    let more = (numbers.len() / 4).max(4).min(LISTED - numbers.len());
                    numbers.reserve_exact(more);
                    self.bytes += more * size_of::<u16>();
                }
                numbers.insert(place, last);
                true
            }
            Block::Bits(bits) => set(bits, last),
        }
    }
}

/// Sets a bit; `false` if it was set.
fn set(bits: &mut [u64; 1024], number: u16) -> bool {
    let (word, bit) = (&mut bits[usize::from(number >> 6)], 1 << (number & 63));
    let before = *word & bit;
    *word |= bit;
    before == 0
}

/// User ids, each with the number beside it, by a fingerprint of 128 bits: two of a file share one by chance less often
/// than once in 10²⁶ files.
#[derive(Debug)]
struct UserIds {
    hashers: [RandomState; 2],
    new: HashMap<u128, Option<u64>>,
    /// The generation before.
    old: HashMap<u128, Option<u64>>,
    /// So many are a generation.
    most: usize,
}

impl UserIds {
    fn bounded(most: usize) -> Self {
        Self { hashers: Default::default(), new: HashMap::new(), old: HashMap::new(), most }
    }

    fn name_of(&self, user_id: &str) -> u128 {
        let [high, low] = self.hashers.each_ref().map(|hasher| u128::from(hasher.hash_one(user_id)));
        high << 64 | low
    }

    /// The number beside it, if it came by; there may have been none.
    fn get(&self, name: u128) -> Option<Option<u64>> {
        self.new.get(&name).or_else(|| self.old.get(&name)).copied()
    }

    /// `true` when older ones were forgotten for it.
    fn insert(&mut self, name: u128, key: Option<u64>) -> bool {
        let mut forgot = false;
        if self.new.len() == self.most && !self.new.contains_key(&name) {
            forgot = !self.old.is_empty();
            self.old = std::mem::take(&mut self.new);
        }
        self.new.insert(name, key);
        forgot
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever numbers come, near each other or not, it says what a plain set would.
        #[test]
        fn numbers_are_told_apart_as_by_a_set(
            near in prop::collection::vec(0_u64..20_000, 0..9_000),
            far in prop::collection::vec(0_u64..1_000_000_000_000_000, 0..200),
        ) {
            let (mut numbers, mut plain) = (Numbers::default(), HashSet::new());
            let near = near.into_iter().map(|n| 201_000_000_000 + n * 7 % 65_536);
            for number in near.chain(far.clone()).chain(far) {
                prop_assert_eq!(numbers.contains(number), plain.contains(&number));
                prop_assert_eq!(numbers.insert(number), plain.insert(number));
            }
        }
    }

    #[test]
    fn a_block_that_fills_up_forgets_nobody() {
        let mut numbers = Numbers::default();
        let all = (0..65_536_u64).map(|n| n * 40_503 % 65_536);
        assert!(all.clone().all(|number| numbers.insert(number)));
        assert!(all.clone().all(|number| !numbers.insert(number)));
        assert!(matches!(numbers.blocks[&0], Block::Bits(_)));
    }

    #[test]
    fn a_million_numbers_of_one_country_take_a_few_megabytes() {
        let mut numbers = Numbers::default();
        for n in 0..1_000_000_u64 {
            assert!(numbers.insert(201_000_000_000 + n * 48_271_337 % 99_999_989));
        }
        assert!(numbers.bytes < 4_000_000, "{} bytes", numbers.bytes);
    }

    #[test]
    fn a_person_is_known_by_the_number_and_by_the_user_id() {
        let mut seen = Seen::default();
        assert_eq!(seen.note(Some(1), None), Before::No);
        assert_eq!(seen.note(Some(1), None), Before::Yes);
        assert_eq!(seen.note(None, Some("EG.1")), Before::No);
        assert_eq!(seen.note(None, Some("EG.1")), Before::Yes);
        assert_eq!(seen.note(Some(2), Some("EG.1")), Before::No, "a number is more than was known");
        assert_eq!(seen.note(Some(3), Some("EG.1")), Before::WithAnotherNumber);
        assert_eq!(seen.note(Some(2), Some("EG.1")), Before::Yes);
        assert!(!seen.forgot());
    }

    #[test]
    fn a_file_without_end_takes_no_more_room_and_says_that_somebody_was_forgotten() {
        let mut seen = Seen::bounded(1_000, 10);
        assert_eq!(seen.note(Some(7), Some("EG.7")), Before::No);
        for n in 0..1_000_u64 {
            // Each in a block of its own: the worst that can come.
            assert_eq!(seen.note(Some(n << 16 | 1), Some(&format!("EG.{n}-{n}"))), Before::No);
            assert!(seen.numbers.bytes + seen.old_numbers.bytes <= 2_100);
            assert!(seen.user_ids.new.len() + seen.user_ids.old.len() <= 20);
        }
        assert!(seen.forgot());
        assert_eq!(seen.note(Some(7), Some("EG.7")), Before::No, "forgotten, and so left to the database");
        for n in 990..1_000 {
            assert_eq!(seen.note(Some(n << 16 | 1), None), Before::Yes, "the newest are remembered");
        }
        assert_eq!(seen.note(None, Some("EG.999-999")), Before::Yes);
    }
}
