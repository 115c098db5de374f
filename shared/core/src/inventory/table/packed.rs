//! EC2's identifiers in sixteen bytes.

use super::symbols::{Symbol, Symbols};

/// Prefixes of the identifiers that are packed; others become symbols.
const PREFIXES: [&str; 4] = ["snap-", "ami-", "vol-", "i-"];
/// Hexadecimal digits that fit beside prefix and length.
const MOST_DIGITS: usize = 29;
const LENGTH_SHIFT: u32 = 116;
const PREFIX_SHIFT: u32 = 121;
const SYMBOL: u128 = 1 << 127;

/// An identifier: prefix, number of hexadecimal digits and their value, or a symbol for anything of
/// another shape. Equal exactly when the texts are, within one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
        let value = u128::from_str_radix(digits, 16).ok()?;
        let length = digits.len() as u128;
        Some(Self(
            (prefix << PREFIX_SHIFT) | (length << LENGTH_SHIFT) | value,
        ))
    }

    pub(super) fn pack(text: &str, symbols: &mut Symbols) -> Self {
        Self::of(text).unwrap_or_else(|| Self(SYMBOL | u128::from(symbols.intern(text).0)))
    }

    /// The packed form of a text that may not be known to the table.
    pub(super) fn find(text: &str, symbols: &Symbols) -> Option<Self> {
        let known = || {
            let symbol = symbols.find(text)?;
            Some(Self(SYMBOL | u128::from(symbol.0)))
        };
        Self::of(text).or_else(known)
    }

    /// Writes the identifier's text over what `to` holds.
    pub(super) fn unpack(self, symbols: &Symbols, to: &mut String) {
        use std::fmt::Write;

        to.clear();
        if self.0 & SYMBOL != 0 {
            let symbol = u32::try_from(self.0 & u128::from(u32::MAX)).unwrap_or(u32::MAX);
            to.push_str(symbols.text(Symbol(symbol)));
            return;
        }
        let prefix = usize::try_from((self.0 >> PREFIX_SHIFT) & 0x3f).unwrap_or(usize::MAX);
        let length = usize::try_from((self.0 >> LENGTH_SHIFT) & 0x1f).unwrap_or(0);
        let value = self.0 & ((1 << LENGTH_SHIFT) - 1);
        to.push_str(PREFIXES.get(prefix).copied().unwrap_or_default());
        // Writing to a string cannot fail.
        let _ = write!(to, "{value:0length$x}");
    }
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
    fn leading_zeros_and_prefixes_tell_identifiers_apart() {
        let mut symbols = Symbols::default();
        let mut packed = |text| PackedId::pack(text, &mut symbols);
        assert_ne!(packed("snap-01"), packed("snap-1"));
        assert_ne!(packed("snap-1"), packed("ami-1"));
        assert_ne!(packed("snap-x"), packed("snap-y"));
        assert_eq!(packed("snap-x"), packed("snap-x"));
    }
}
