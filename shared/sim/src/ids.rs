//! Identifiers that look like EC2's and come from a seed.

use crate::random::Numbers;

/// Source of identifiers; the same seed gives the same sequence.
#[derive(Clone, Debug)]
pub(crate) struct IdSource {
    /// No number comes twice: each is a bijection of its place in the sequence.
    numbers: Numbers,
}

impl IdSource {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            numbers: Numbers::new(seed),
        }
    }

    /// A resource identifier: the prefix, `0`, and 16 hexadecimal digits, as EC2's long format.
    pub(crate) fn resource(&mut self, prefix: &str) -> String {
        format!("{prefix}0{:016x}", self.numbers.draw())
    }

    /// A request or event identifier in the shape of a UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.numbers.draw(), self.numbers.draw());
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            (b >> 48) & 0xfff,
            b & 0xffff_ffff_ffff
        )
    }
}

/// Whether `id` is a well-formed identifier with `prefix`.
///
/// EC2's are 8 or 17 hexadecimal digits long. Any length up to 17 passes here, so that a seeded
/// account may use short, readable identifiers.
pub(crate) fn is_well_formed(id: &str, prefix: &str) -> bool {
    id.strip_prefix(prefix).is_some_and(|rest| {
        (1..=17).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_fixes_the_sequence_and_identifiers_have_seventeen_digits() {
        let (mut a, mut b, mut c) = (IdSource::new(1), IdSource::new(1), IdSource::new(2));
        let first = a.resource("snap-");
        assert_eq!(first, b.resource("snap-"));
        assert_ne!(first, c.resource("snap-"));
        assert_eq!(first.len(), "snap-".len() + 17);
        assert!(first.starts_with("snap-0"));
        assert!(is_well_formed(&first, "snap-"));
        assert_eq!(a.uuid().len(), 36);
    }

    #[test]
    fn malformed_identifiers_are_told_apart() {
        assert!(is_well_formed("vol-0a1b", "vol-"));
        assert!(!is_well_formed("vol-", "vol-"));
        assert!(!is_well_formed("vol-xyz", "vol-"));
        assert!(!is_well_formed("snap-0a1b", "vol-"));
        assert!(!is_well_formed("vol-0123456789abcdef01", "vol-"));
    }
}
