//! Chance without a random generator: every draw is a hash of what it is about, so that a run can be predicted and
//! repeated from its seed.

use std::hash::{BuildHasherDefault, Hasher};

/// A bijective 64-bit mixer (the finaliser of SplitMix64). Bijective, so that [`unmix`] can undo it.
pub(crate) const fn mix(mut x: u64) -> u64 {
    x ^= x >> 30;
    x = x.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x ^= x >> 27;
    x = x.wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The inverse of [`mix`]: `unmix(mix(x)) == x`.
pub(crate) const fn unmix(mut x: u64) -> u64 {
    x = x ^ (x >> 31) ^ (x >> 62);
    x = x.wrapping_mul(0x3196_42b2_d24d_8ec3);
    x = x ^ (x >> 27) ^ (x >> 54);
    x = x.wrapping_mul(0x96de_1b17_3f11_9089);
    x ^ (x >> 30) ^ (x >> 60)
}

/// A hash of a text under a seed (FNV-1a, then mixed). Stable across runs and machines.
pub(crate) fn text_hash(seed: u64, text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ mix(seed);
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix(hash)
}

/// What is decided about one subject: independent draws by salt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw(u64);

/// Names of the draws; two draws of one subject with different salts are independent.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub(crate) enum Salt {
    Error = 1,
    Fault,
    Held,
    Failed,
    Delivered,
    Read,
    ReadAlone,
    Reply,
    StopText,
    Context,
    HidesNumber,
    Reversed,
    Delay,
    Duplicate,
    DuplicateDelay,
    Dropped,
    Milliseconds,
    Name,
    Jitter,
    Latency,
    OtherButton,
}

impl Draw {
    pub(crate) const fn new(subject: u64) -> Draw {
        Draw(subject)
    }

    /// The same subject, seen from another side (for instance one of its statuses).
    pub(crate) const fn about(self, aspect: u64) -> Draw {
        Draw(mix(self.0 ^ mix(aspect.wrapping_add(0x5851_f42d_4c95_7f2d))))
    }

    /// A hash for this salt.
    pub(crate) const fn bits(self, salt: Salt) -> u64 {
        mix(self.0 ^ mix((salt as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// A number in `0.0..1.0`.
    pub(crate) fn unit(self, salt: Salt) -> f64 {
        (self.bits(salt) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True for about `share` of all subjects.
    pub(crate) fn within(self, salt: Salt, share: f64) -> bool {
        share > 0.0 && self.unit(salt) < share
    }

    /// Which of several exclusive shares this subject falls into, in their order; `None` for the rest.
    pub(crate) fn pick(self, salt: Salt, shares: impl IntoIterator<Item = f64>) -> Option<usize> {
        let unit = self.unit(salt);
        let mut upper = 0.0;
        shares.into_iter().position(|share| {
            upper += share;
            share > 0.0 && unit < upper
        })
    }

    /// An index below `len`; 0 when `len` is 0.
    pub(crate) fn index(self, salt: Salt, len: usize) -> usize {
        usize::try_from(self.bits(salt) % (len.max(1) as u64)).unwrap_or(0)
    }
}

/// Hashes integer keys by [`mix`]; the keys are our own dense numbers or phone digits, so no defence is needed.
#[derive(Default)]
pub(crate) struct MixHasher(u64);

impl Hasher for MixHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(u64::from(value));
    }

    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = mix(self.0.rotate_left(5) ^ value);
    }
}

/// A map keyed by small integers.
pub(crate) type IntMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<MixHasher>>;
/// A set of small integers.
pub(crate) type IntSet<K> = std::collections::HashSet<K, BuildHasherDefault<MixHasher>>;

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn unmix_undoes_mix(x: u64) {
            proptest::prop_assert_eq!(unmix(mix(x)), x);
        }
    }

    #[test]
    fn a_share_takes_about_that_part_of_all_subjects() {
        let hits = (0..100_000).filter(|i| Draw::new(mix(*i)).within(Salt::Read, 0.3)).count();
        assert!((29_000..31_000).contains(&hits), "{hits}");
    }

    #[test]
    fn exclusive_shares_do_not_overlap_and_leave_the_rest() {
        let mut counts = [0; 3];
        for i in 0..100_000 {
            match Draw::new(mix(i)).pick(Salt::Reply, [0.1, 0.0, 0.2]) {
                Some(0) => counts[0] += 1,
                Some(2) => counts[1] += 1,
                Some(other) => unreachable!("a share of zero was picked: {other}"),
                None => counts[2] += 1,
            }
        }
        assert!((9_000..11_000).contains(&counts[0]), "{counts:?}");
        assert!((19_000..21_000).contains(&counts[1]), "{counts:?}");
        assert!((69_000..71_000).contains(&counts[2]), "{counts:?}");
    }
}
