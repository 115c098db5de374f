//! EC2's identifiers in sixteen bytes.

use std::collections::BTreeSet;

use super::symbols::{Symbol, Symbols};

/// Prefixes of the identifiers that are packed, ascending; others become symbols.
const PREFIXES: [&str; 4] = ["ami-", "i-", "snap-", "vol-"];
/// Hexadecimal digits that fit beside prefix and length.
const MOST_DIGITS: usize = 29;
/// From the lowest bit: the number of digits, the digits (the first of them highest), the prefix.
const DIGITS_SHIFT: u32 = 5;
const PREFIX_SHIFT: u32 = 121;
const SYMBOL: u128 = 1 << 127;

/// An identifier: prefix, hexadecimal digits and their number, or a symbol for anything of another
/// shape. Equal exactly when the texts are, within one table. Those that EC2 shaped are equal
/// across tables too, and in the order of their texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(Rust, packed(4))]
pub struct PackedId(u128);

impl PackedId {
    /// The identifier, when EC2 shaped it.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        let (prefix, digits) = PREFIXES
            .iter()
            .zip(0u128..)
            .find_map(|(prefix, n)| Some((n, text.strip_prefix(prefix)?)))?;
        let lower = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if digits.is_empty() || digits.len() > MOST_DIGITS || !digits.bytes().all(lower) {
            return None;
        }
        let value = u128::from_str_radix(digits, 16).ok()? << (4 * (MOST_DIGITS - digits.len()));
        let length = digits.len() as u128;
        Some(Self(
            (prefix << PREFIX_SHIFT) | (value << DIGITS_SHIFT) | length,
        ))
    }

    /// Whether EC2 shaped it, so that it means the same in every table.
    #[must_use]
    pub fn is_shaped(self) -> bool {
        self.0 & SYMBOL == 0
    }

    pub(super) fn pack(text: &str, symbols: &mut Symbols) -> Self {
        Self::of(text).unwrap_or_else(|| Self(SYMBOL | u128::from(symbols.intern(text).number())))
    }

    /// The packed form of a text that may not be known to the table.
    pub(super) fn find(text: &str, symbols: &Symbols) -> Option<Self> {
        let known = || {
            let symbol = symbols.find(text)?;
            Some(Self(SYMBOL | u128::from(symbol.number())))
        };
        Self::of(text).or_else(known)
    }

    /// Writes the identifier's text over what `to` holds.
    pub(super) fn unpack(self, symbols: &Symbols, to: &mut String) {
        use std::fmt::Write;

        to.clear();
        if !self.is_shaped() {
            let number = u32::try_from(self.0 & u128::from(u32::MAX)).unwrap_or(u32::MAX);
            to.push_str(Symbol::of(number).map_or("", |symbol| symbols.text(symbol)));
            return;
        }
        let prefix = usize::try_from((self.0 >> PREFIX_SHIFT) & 0x3f).unwrap_or(usize::MAX);
        let length = usize::try_from(self.0 & 0x1f).unwrap_or(0);
        let digits = (self.0 >> DIGITS_SHIFT) & ((1 << (4 * MOST_DIGITS)) - 1);
        let value = digits >> (4 * MOST_DIGITS.saturating_sub(length));
        to.push_str(PREFIXES.get(prefix).copied().unwrap_or_default());
        // Writing to a string cannot fail.
        let _ = write!(to, "{value:0length$x}");
    }
}

/// All places by identifier, and by place where several have the same one.
pub(super) fn by_id(ids: impl Iterator<Item = PackedId>) -> Vec<u32> {
    let mut keys: Vec<(PackedId, u32)> = ids.zip(0u32..).collect();
    keys.sort_unstable();
    keys.into_iter().map(|(_, place)| place).collect()
}

/// The places of those whose identifier an earlier one has.
pub(super) fn repeated(by_id: &[u32], id: impl Fn(u32) -> PackedId) -> BTreeSet<u32> {
    let again = by_id.windows(2).filter(|pair| id(pair[0]) == id(pair[1]));
    again.map(|pair| pair[1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) -> String {
        let mut symbols = Symbols::default();
        let packed = PackedId::pack(text, &mut symbols);
        let mut back = "what stood there before".to_owned();
        packed.unpack(&symbols, &mut back);
        back
    }

    #[test]
    fn every_text_comes_back_as_it_was() {
        for text in [
            "snap-0123456789abcdef0",
            "ami-00000000000000000",
            "vol-ffffffff",
            "i-1",
            "snap-",
            "snap-UPPER",
            "lt-0123456789abcdef0",
            "snap-123456789012345678901234567890123",
            "",
        ] {
            assert_eq!(round_trip(text), text);
        }
    }

    #[test]
    fn the_order_is_that_of_the_texts() {
        let texts = [
            "ami-0",
            "ami-00",
            "ami-1",
            "ami-10",
            "i-9",
            "snap-0123456789abcdef0",
            "snap-0123456789abcdef1",
            "snap-1",
            "snap-fffffffffffffffff",
            "vol-0",
        ];
        let packed: Vec<PackedId> = texts.iter().filter_map(|text| PackedId::of(text)).collect();
        assert_eq!(packed.len(), texts.len());
        assert!(packed.is_sorted());
    }

    #[test]
    fn leading_zeros_and_prefixes_tell_identifiers_apart() {
        let mut symbols = Symbols::default();
        let mut packed = |text| PackedId::pack(text, &mut symbols);
        assert_ne!(packed("snap-01"), packed("snap-1"));
        assert_ne!(packed("snap-1"), packed("ami-1"));
        assert_ne!(packed("snap-x"), packed("snap-y"));
        assert_eq!(packed("snap-x"), packed("snap-x"));
    }
}
