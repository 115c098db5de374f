//! Texts that occur many times, each kept once.

use std::num::NonZeroU32;

use indexmap::IndexSet;

/// The place of a text, from one on, so that none takes no room of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Symbol(NonZeroU32);

impl Symbol {
    fn at(index: usize) -> Self {
        let place = u32::try_from(index).unwrap_or(u32::MAX);
        Self(NonZeroU32::MIN.saturating_add(place))
    }

    /// The symbol of that number.
    pub(super) fn of(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// Its number.
    pub(super) fn number(self) -> u32 {
        self.0.get()
    }
}

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
        Symbol::at(index)
    }

    pub(super) fn find(&self, text: &str) -> Option<Symbol> {
        let index = self.0.get_index_of(text)?;
        Some(Symbol::at(index))
    }

    pub(super) fn text(&self, symbol: Symbol) -> &str {
        self.0
            .get_index(symbol.number() as usize - 1)
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
