//! Whom an import met without writing anything of them, since all of it was there already. Their ids are kept, by chunks
//! and in few bytes, so that an import before it can be taken back and they keep what this one brought, too.

use std::collections::BTreeMap;

use crate::db::{Link, Store, on};
use crate::error::Result;

/// Rows read at once, of some tens of thousands of people each.
const PAGE: i64 = 8;

/// Keeps whom an import met, under a number that no other row of it has.
pub(crate) async fn keep(tx: &mut Link, import_id: i64, chunk: i64, people: &[i64]) -> Result<()> {
    if people.is_empty() {
        return Ok(());
    }
    on!(tx, c => sqlx::query("INSERT INTO import_met (import_id, chunk, people) VALUES ($1, $2, $3)")
        .bind(import_id).bind(chunk).bind(pack(people)).execute(c).await.map(drop))?;
    Ok(())
}

/// Forgets whom an import met.
pub(crate) async fn forget(tx: &mut Link, import_id: i64) -> Result<()> {
    on!(tx, c => sqlx::query("DELETE FROM import_met WHERE import_id = $1").bind(import_id).execute(c).await.map(drop))?;
    Ok(())
}

impl Store {
    /// Whom an import met.
    pub(crate) async fn met_by(&self, import_id: i64) -> Result<People> {
        let (mut all, mut after) = (People::default(), -1);
        loop {
            let mut link = self.read().await?;
            let rows: Vec<(i64, Vec<u8>)> = on!(&mut link, c => sqlx::query_as(
                "SELECT chunk, people FROM import_met WHERE import_id = $1 AND chunk > $2 ORDER BY chunk LIMIT $3")
                .bind(import_id).bind(after).bind(PAGE).fetch_all(c).await)?;
            drop(link);
            let Some((last, _)) = rows.last() else { return Ok(all) };
            after = *last;
            for (_, packed) in &rows {
                unpack(packed, |person| all.insert(person));
            }
        }
    }
}

/// Ids ascending, each as its difference to the one before: seven bits to a byte, of which the eighth says that more
/// follow. A million new people in a row take a megabyte.
fn pack(people: &[i64]) -> Vec<u8> {
    let mut people = people.to_vec();
    people.sort_unstable();
    let mut packed = Vec::with_capacity(people.len() * 2);
    let mut before = 0;
    for person in people {
        let mut rest = person.wrapping_sub(before).cast_unsigned();
        before = person;
        while rest > 0x7f {
            packed.push((rest & 0x7f) as u8 | 0x80);
            rest >>= 7;
        }
        packed.push(rest as u8);
    }
    packed
}

/// What [`pack`] packed, one by one.
fn unpack(packed: &[u8], mut each: impl FnMut(i64)) {
    let (mut person, mut rest, mut shift) = (0_i64, 0_u64, 0);
    for byte in packed {
        rest |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if byte & 0x80 == 0 {
            person = person.wrapping_add(rest.cast_signed());
            each(person);
            (rest, shift) = (0, 0);
        }
    }
}

/// A set of ids that stand close together: a bit for each of a block of 65,536.
#[derive(Debug, Default)]
pub(crate) struct People(BTreeMap<i64, Box<[u64; 1024]>>);

impl People {
    fn insert(&mut self, person: i64) {
        let (word, bit) = place(person);
        self.0.entry(person >> 16).or_insert_with(|| Box::new([0; 1024]))[word] |= bit;
    }

    pub(crate) fn contains(&self, person: i64) -> bool {
        let (word, bit) = place(person);
        self.0.get(&(person >> 16)).is_some_and(|block| block[word] & bit != 0)
    }
}

const fn place(person: i64) -> (usize, u64) {
    let last = person.cast_unsigned() as usize & 0xffff;
    (last >> 6, 1 << (last & 63))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn who_was_packed_is_unpacked_and_nobody_else(
            near in prop::collection::btree_set(1_i64..3_000, 0..200),
            far in prop::collection::btree_set(any::<i64>(), 0..50),
        ) {
            let people: BTreeSet<i64> = near.into_iter().chain(far).collect();
            // In no order, as the chunks of a file come.
            let given: Vec<i64> = people.iter().rev().copied().collect();
            let (mut back, mut set) = (Vec::new(), People::default());
            unpack(&pack(&given), |person| back.push(person));
            prop_assert_eq!(&back, &people.iter().copied().collect::<Vec<_>>());
            back.iter().for_each(|person| set.insert(*person));
            for person in people.iter().flat_map(|person| [person.wrapping_sub(1), *person, person.wrapping_add(1)]) {
                prop_assert_eq!(set.contains(person), people.contains(&person));
            }
        }

        #[test]
        fn spoilt_bytes_are_no_panic(packed in prop::collection::vec(any::<u8>(), 0..60)) {
            unpack(&packed, |_| {});
        }
    }

    #[test]
    fn a_row_of_people_takes_a_byte_each() {
        assert!(pack(&(1_000_000..1_010_000).collect::<Vec<_>>()).len() < 10_010);
    }
}
