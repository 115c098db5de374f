//! The tags that decisions rest on. What a policy makes for one slot differs in source and run
//! alone, so these are kept apart and the rest once.

use indexmap::IndexSet;

use super::symbols::{Symbol, Symbols};
use crate::artifact::{PREFIX, RUN, SOURCE};
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
    /// The values of [`APART`].
    apart: [Option<Symbol>; 2],
    list: u32,
}

/// Keys whose values differ from one resource to the next, while the other tags are those of many.
const APART: [&str; 2] = [SOURCE, RUN];

/// Whether a decision may rest on a tag of this key.
fn decides(key: &str) -> bool {
    key.starts_with(PREFIX) || key.starts_with("aws:") || IMAGE_BUILDER.contains(&key)
}

impl TagLists {
    pub(super) fn put(&mut self, tags: &Tags, symbols: &mut Symbols) -> TagRow {
        let apart = APART.map(|key| symbols.optional(tags.get(key).map(String::as_str)));
        let kept = tags
            .iter()
            .filter(|(key, _)| decides(key) && !APART.contains(&key.as_str()));
        let list: List = kept
            .map(|(key, value)| (symbols.intern(key), symbols.intern(value)))
            .collect();
        let index = match self.0.get_index_of(&list) {
            Some(index) => index,
            None => self.0.insert_full(list).0,
        };
        TagRow {
            apart,
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
        if let Some(place) = APART.iter().position(|apart| *apart == key) {
            return row.apart[place].map(|value| symbols.text(value));
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
        let apart = || {
            let values = APART.into_iter().zip(row.apart);
            values.filter_map(|(key, value)| Some((key, symbols.text(value?))))
        };
        let count = list.len() + apart().count();
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
        for (key, value) in apart() {
            same &= set(key, value);
        }
        if same && to.len() == count {
            return;
        }
        let of_list = |key: &String| {
            list.iter().any(|(k, _)| symbols.text(*k) == key) || apart().any(|(k, _)| k == key)
        };
        to.retain(|key, _| of_list(key));
    }
}
