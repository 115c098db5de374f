//! Texts that occur many times, each kept once.

use indexmap::IndexSet;

/// The place of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Symbol(pub(super) u32);

/// The texts.
#[derive(Clone, Debug, Default)]
pub(super) struct Symbols(IndexSet<Box<str>>);

impl Symbols {
    /// The symbol of a text. Of more than 2^32 texts the last ones would share one, which no
    /// account has room for.
    pub(super) fn intern(&mut self, text: &str) -> Symbol {
        let index = match self.0.get_index_of(text) {
            Some(index) => index,
            None => self.0.insert_full(text.into()).0,
        };
        Symbol(u32::try_from(index).unwrap_or(u32::MAX))
    }

    pub(super) fn find(&self, text: &str) -> Option<Symbol> {
        let index = self.0.get_index_of(text)?;
        Some(Symbol(u32::try_from(index).ok()?))
    }

    pub(super) fn text(&self, symbol: Symbol) -> &str {
        self.0
            .get_index(symbol.0 as usize)
            .map_or("", |text| &**text)
    }

    pub(super) fn optional(&mut self, text: Option<&str>) -> Option<Symbol> {
        text.map(|text| self.intern(text))
    }

    /// Writes a text over what `to` holds.
    pub(super) fn write(&self, symbol: Option<Symbol>, to: &mut Option<String>) {
        match (symbol.map(|symbol| self.text(symbol)), to.as_mut()) {
            (Some(text), Some(to)) => {
                to.clear();
                to.push_str(text);
            }
            (text, _) => *to = text.map(str::to_owned),
        }
    }
}
