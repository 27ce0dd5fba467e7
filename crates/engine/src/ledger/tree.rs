//! One hash over many pieces of evidence: the root of a Merkle tree, as in RFC 6962, section 2.1.
//!
//! An import's chunk writes one ledger entry with the root over its people's leaves. A leaf is salted by its own
//! random bytes, kept beside the evidence and erased with it; so one person can be erased, and another proven, without
//! showing or losing the rest of the chunk.

use ring::digest::{Context, SHA256};
use store::ConsentText;

/// A SHA-256 hash.
pub type Hash = [u8; 32];

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// The leaf of one person's consent: who (the canonical phone key), when (epoch ms), by which source, in which words.
#[must_use]
pub fn leaf(salt: &[u8; 16], phone_key: i64, at: i64, text: &ConsentText) -> Hash {
    let length = (text.source.len() as u64).to_be_bytes();
    let (source, wording) = (text.source.as_bytes(), text.wording.as_bytes());
    sha256(&[&[0], salt, &phone_key.to_be_bytes(), &at.to_be_bytes(), &length, source, wording])
}

/// The leaf of somebody who has no number that we know: as [`leaf`], by the business-scoped user id. The first byte
/// keeps it apart from every leaf and node.
#[must_use]
pub fn leaf_by_user_id(salt: &[u8; 16], user_id: &str, at: i64, text: &ConsentText) -> Hash {
    let lengths = [user_id, &text.source].map(|part| (part.len() as u64).to_be_bytes());
    let (source, wording) = (text.source.as_bytes(), text.wording.as_bytes());
    sha256(&[&[2], salt, &lengths[0], user_id.as_bytes(), &at.to_be_bytes(), &lengths[1], source, wording])
}

/// The root over leaves in the order of their bytes, so that it does not depend on the order of the rows.
#[must_use]
pub fn root(mut leaves: Vec<Hash>) -> Hash {
    leaves.sort_unstable();
    root_of(&leaves)
}

fn root_of(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            // The largest power of two below their number goes to the left.
            let left = leaves.len().next_power_of_two() / 2;
            let (left, right) = leaves.split_at(left);
            sha256(&[&[1], &root_of(left), &root_of(right)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(source: &str) -> ConsentText {
        ConsentText { source: source.to_owned(), wording: "yes".to_owned() }
    }

    #[test]
    fn the_root_follows_from_the_leaves_alone() {
        let leaves: Vec<Hash> = (0..7).map(|n| leaf(&[n; 16], i64::from(n), 5, &text("shop"))).collect();
        let mut turned = leaves.clone();
        turned.reverse();
        assert_eq!(root(leaves.clone()), root(turned));
        for missing in 0..leaves.len() {
            let mut fewer = leaves.clone();
            fewer.remove(missing);
            assert_ne!(root(fewer), root(leaves.clone()));
        }
    }

    #[test]
    fn a_tree_of_three_is_built_as_rfc_6962_says() {
        let mut leaves: Vec<Hash> = (0..3).map(|n| leaf(&[n; 16], 1, 5, &text("shop"))).collect();
        leaves.sort_unstable();
        let left = sha256(&[&[1], &leaves[0], &leaves[1]]);
        assert_eq!(root(leaves.clone()), sha256(&[&[1], &left, &leaves[2]]));
        assert_eq!(root(vec![leaves[0]]), leaves[0]);
    }

    #[test]
    fn every_part_of_a_leaf_counts() {
        let one = leaf(&[1; 16], 2, 3, &text("shop"));
        assert_ne!(one, leaf(&[2; 16], 2, 3, &text("shop")));
        assert_ne!(one, leaf(&[1; 16], 3, 3, &text("shop")));
        assert_ne!(one, leaf(&[1; 16], 2, 4, &text("shop")));
        assert_ne!(one, leaf(&[1; 16], 2, 3, &text("till")));
        let moved = ConsentText { source: "shopy".to_owned(), wording: "es".to_owned() };
        assert_ne!(one, leaf(&[1; 16], 2, 3, &moved), "where the source ends counts");
    }
}
