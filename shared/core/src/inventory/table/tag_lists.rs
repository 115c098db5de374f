//! The tags that decisions rest on. What one run writes on all it makes differs in the source
//! alone, so that is kept apart and the rest once.

use indexmap::IndexSet;

use super::symbols::{Symbol, Symbols};
use crate::artifact::{PREFIX, SOURCE};
use crate::inventory::Tags;

/// Tags by which Image Builder marks what it made (Image Builder User Guide, "Tag resources").
const IMAGE_BUILDER: [&str; 2] = ["CreatedBy", "Ec2ImageBuilderArn"];

type List = Box<[(Symbol, Symbol)]>;

/// Lists of tags, each kept once.
#[derive(Clone, Debug, Default)]
pub(super) struct TagLists(IndexSet<List>);

/// The tags of one resource.
#[derive(Clone, Copy, Debug)]
pub(super) struct TagRow {
    source: Option<Symbol>,
    list: u32,
}

/// Whether a decision may rest on a tag of this key.
fn decides(key: &str) -> bool {
    key.starts_with(PREFIX) || key.starts_with("aws:") || IMAGE_BUILDER.contains(&key)
}

impl TagLists {
    pub(super) fn put(&mut self, tags: &Tags, symbols: &mut Symbols) -> TagRow {
        let source = symbols.optional(tags.get(SOURCE).map(String::as_str));
        let kept = tags
            .iter()
            .filter(|(key, _)| decides(key) && key.as_str() != SOURCE);
        let list: List = kept
            .map(|(key, value)| (symbols.intern(key), symbols.intern(value)))
            .collect();
        let index = match self.0.get_index_of(&list) {
            Some(index) => index,
            None => self.0.insert_full(list).0,
        };
        TagRow {
            source,
            list: u32::try_from(index).unwrap_or(u32::MAX),
        }
    }

    /// The value of a tag.
    pub(super) fn value<'s>(
        &self,
        row: TagRow,
        symbols: &'s Symbols,
        key: &str,
    ) -> Option<&'s str> {
        if key == SOURCE {
            return row.source.map(|source| symbols.text(source));
        }
        let list = self.0.get_index(row.list as usize)?;
        let mut tags = list.iter().map(|&(k, v)| (symbols.text(k), v));
        let (_, value) = tags.find(|(k, _)| *k == key)?;
        Some(symbols.text(value))
    }

    /// Writes the tags over what `to` holds, leaving what is the same already.
    pub(super) fn read_into(&self, row: TagRow, symbols: &Symbols, to: &mut Tags) {
        let list = self
            .0
            .get_index(row.list as usize)
            .map_or(&[][..], |list| &**list);
        let count = list.len() + usize::from(row.source.is_some());
        let mut set = |key: &str, value: &str| match to.get_mut(key) {
            Some(old) => {
                old.clear();
                old.push_str(value);
                true
            }
            None => {
                to.insert(key.to_owned(), value.to_owned());
                false
            }
        };
        let mut same = true;
        for &(key, value) in list {
            same &= set(symbols.text(key), symbols.text(value));
        }
        if let Some(source) = row.source {
            same &= set(SOURCE, symbols.text(source));
        }
        if same && to.len() == count {
            return;
        }
        let of_list = |key: &String| {
            list.iter().any(|(k, _)| symbols.text(*k) == key)
                || (row.source.is_some() && key == SOURCE)
        };
        to.retain(|key, _| of_list(key));
    }
}
