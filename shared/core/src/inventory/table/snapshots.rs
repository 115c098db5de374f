//! A table of snapshots.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use indexmap::IndexSet;
use jiff::Timestamp;

use super::add;
use super::packed::{PackedId, by_id, repeated};
use super::packed_time::PackedTime;
use super::symbols::{Symbol, Symbols};
use super::tag_lists::{TagLists, TagRow};
use crate::id::{SnapshotId, VolumeId};
use crate::inventory::{Snapshot, SnapshotState, Tags};

/// What many snapshots have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Facts {
    state: Symbol,
    owner: Option<Symbol>,
    owner_alias: Option<Symbol>,
    tier: Option<Symbol>,
    state_message: Option<Symbol>,
    kms_key: Option<Symbol>,
    size_gib: Option<i32>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    id: PackedId,
    start: Option<PackedTime>,
    volume: Option<Symbol>,
    facts: u32,
    tags: TagRow,
}

/// Snapshots, in the order in which they came. Descriptions and other people's tags are left out.
#[derive(Clone, Debug, Default)]
pub struct SnapshotTable {
    symbols: Symbols,
    tags: TagLists,
    facts: IndexSet<Facts>,
    rows: Vec<Row>,
}

impl SnapshotTable {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Adds one.
    pub fn push(&mut self, snapshot: impl Borrow<Snapshot>) {
        let row = self.row(snapshot.borrow());
        add(&mut self.rows, row);
    }

    /// Changes the one at a place; nothing when there is none.
    pub fn update(&mut self, place: usize, change: impl FnOnce(&mut Snapshot)) {
        if let Some(mut snapshot) = self.get(place) {
            change(&mut snapshot);
            let row = self.row(&snapshot);
            self.rows[place] = row;
        }
    }

    /// Leaves the first `length` of them.
    pub fn truncate(&mut self, length: usize) {
        self.rows.truncate(length);
    }

    fn row(&mut self, snapshot: &Snapshot) -> Row {
        let symbols = &mut self.symbols;
        let facts = Facts {
            state: symbols.intern(snapshot.state.as_str()),
            owner: symbols.optional(snapshot.owner.as_deref()),
            owner_alias: symbols.optional(snapshot.owner_alias.as_deref()),
            tier: symbols.optional(snapshot.tier.as_deref()),
            state_message: symbols.optional(snapshot.state_message.as_deref()),
            kms_key: symbols.optional(snapshot.kms_key.as_deref()),
            size_gib: snapshot.size_gib,
        };
        let facts = match self.facts.get_index_of(&facts) {
            Some(index) => index,
            None => self.facts.insert_full(facts).0,
        };
        Row {
            id: PackedId::pack(snapshot.id.as_str(), symbols),
            start: snapshot.start.map(PackedTime::pack),
            volume: symbols.optional(snapshot.volume.as_ref().map(VolumeId::as_str)),
            facts: u32::try_from(facts).unwrap_or(u32::MAX),
            tags: self.tags.put(&snapshot.tags, symbols),
        }
    }

    /// The one at a place, as it was pushed but for what a table leaves out.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<Snapshot> {
        let mut snapshot = blank();
        self.read_into(row, &mut snapshot).then_some(snapshot)
    }

    /// Writes the one at a place over `to`, which spares most of the memory traffic of
    /// [`Self::get`]; false when there is none.
    pub fn read_into(&self, row: usize, to: &mut Snapshot) -> bool {
        let Some(row) = self.rows.get(row) else {
            return false;
        };
        let Some(facts) = self.facts.get_index(row.facts as usize) else {
            return false;
        };
        let symbols = &self.symbols;
        to.id.rewrite(|text| row.id.unpack(symbols, text));
        match (row.volume, &mut to.volume) {
            (Some(volume), Some(to)) => to.rewrite(|text| {
                text.clear();
                text.push_str(symbols.text(volume));
            }),
            (volume, to) => *to = volume.map(|volume| VolumeId::new(symbols.text(volume))),
        }
        let state = symbols.text(facts.state);
        if to.state.as_str() != state {
            to.state = SnapshotState::parse(state);
        }
        to.start = row.start.and_then(PackedTime::unpack);
        symbols.write(facts.owner, &mut to.owner);
        symbols.write(facts.owner_alias, &mut to.owner_alias);
        symbols.write(facts.tier, &mut to.tier);
        symbols.write(facts.state_message, &mut to.state_message);
        symbols.write(facts.kms_key, &mut to.kms_key);
        to.size_gib = facts.size_gib;
        to.description.clear();
        self.tags.read_into(row.tags, symbols, &mut to.tags);
        true
    }

    /// The accounts that own any of them.
    pub fn owners(&self) -> impl Iterator<Item = &str> {
        let owners = self.facts.iter().filter_map(|facts| facts.owner);
        owners.map(|owner| self.symbols.text(owner))
    }

    /// Every one in its order, each as [`Self::get`] gives it.
    pub fn iter(&self) -> impl Iterator<Item = Snapshot> {
        (0..self.len()).filter_map(|row| self.get(row))
    }

    /// The identifier at a place.
    #[must_use]
    pub fn id(&self, row: usize) -> Option<PackedId> {
        self.rows.get(row).map(|row| row.id)
    }

    /// The identifier's text at a place.
    #[must_use]
    pub fn id_text(&self, row: usize) -> Option<String> {
        let row = self.rows.get(row)?;
        let mut text = String::new();
        row.id.unpack(&self.symbols, &mut text);
        Some(text)
    }

    /// The identifier at a place, as others take it.
    #[must_use]
    pub fn snapshot_id(&self, row: usize) -> Option<SnapshotId> {
        self.id_text(row).map(SnapshotId::new)
    }

    /// The point in time at a place, UTC.
    #[must_use]
    pub fn start(&self, row: usize) -> Option<Timestamp> {
        self.rows.get(row)?.start?.unpack()
    }

    /// All places by identifier.
    #[must_use]
    pub fn index(&self) -> SnapshotIndex<'_> {
        let by_id = by_id(self.rows.iter().map(|row| row.id));
        SnapshotIndex { table: self, by_id }
    }

    /// The place of an identifier; of several with the same one, the first.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<usize> {
        let wanted = PackedId::find(id, &self.symbols)?;
        self.rows.iter().position(|row| row.id == wanted)
    }

    /// The state at a place.
    #[must_use]
    pub fn state(&self, row: usize) -> Option<SnapshotState> {
        let facts = self.facts.get_index(self.rows.get(row)?.facts as usize)?;
        Some(SnapshotState::parse(self.symbols.text(facts.state)))
    }

    /// The places of those in a state.
    pub fn in_state(&self, state: &SnapshotState) -> impl Iterator<Item = usize> {
        let wanted = self.symbols.find(state.as_str());
        let rows = self.rows.iter().enumerate();
        rows.filter_map(move |(place, row)| {
            let facts = self.facts.get_index(row.facts as usize)?;
            (Some(facts.state) == wanted).then_some(place)
        })
    }

    /// The volume at a place.
    #[must_use]
    pub fn volume(&self, row: usize) -> Option<&str> {
        let volume = self.rows.get(row)?.volume?;
        Some(self.symbols.text(volume))
    }

    /// A tag's value at a place; one that a table leaves out is none.
    #[must_use]
    pub fn tag(&self, row: usize, key: &str) -> Option<&str> {
        self.tags
            .value(self.rows.get(row)?.tags, &self.symbols, key)
    }

    /// An identifier as this table packs it; `None` when nothing here has it.
    #[must_use]
    pub fn pack(&self, id: &SnapshotId) -> Option<PackedId> {
        PackedId::find(id.as_str(), &self.symbols)
    }
}

/// The places of a table's snapshots by identifier.
#[derive(Clone, Debug)]
pub struct SnapshotIndex<'t> {
    table: &'t SnapshotTable,
    by_id: Vec<u32>,
}

impl<'t> SnapshotIndex<'t> {
    /// The table.
    #[must_use]
    pub fn table(&self) -> &'t SnapshotTable {
        self.table
    }

    /// The place of an identifier; of several with the same one, the last.
    #[must_use]
    pub fn find(&self, id: &SnapshotId) -> Option<usize> {
        let rows = &self.table.rows;
        let wanted = self.table.pack(id)?;
        let not_after = |place: &u32| rows[*place as usize].id <= wanted;
        let end = self.by_id.partition_point(not_after);
        let place = *self.by_id.get(end.checked_sub(1)?)? as usize;
        (rows[place].id == wanted).then_some(place)
    }

    /// The places of those whose identifier an earlier one has.
    #[must_use]
    pub fn repeated(&self) -> BTreeSet<u32> {
        let rows = &self.table.rows;
        repeated(&self.by_id, |place| rows[place as usize].id)
    }
}

/// A snapshot to be written over by [`SnapshotTable::read_into`].
#[must_use]
pub fn blank() -> Snapshot {
    Snapshot {
        id: SnapshotId::new(String::new()),
        volume: None,
        state: SnapshotState::Pending,
        start: None,
        owner: None,
        owner_alias: None,
        size_gib: None,
        tier: None,
        state_message: None,
        kms_key: None,
        description: String::new(),
        tags: Tags::new(),
    }
}

impl Extend<Snapshot> for SnapshotTable {
    fn extend<I: IntoIterator<Item = Snapshot>>(&mut self, snapshots: I) {
        for snapshot in snapshots {
            self.push(snapshot);
        }
    }
}

impl FromIterator<Snapshot> for SnapshotTable {
    fn from_iter<I: IntoIterator<Item = Snapshot>>(snapshots: I) -> Self {
        let mut table = Self::default();
        table.extend(snapshots);
        table
    }
}

impl From<Vec<Snapshot>> for SnapshotTable {
    fn from(snapshots: Vec<Snapshot>) -> Self {
        snapshots.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_takes_48_bytes_beside_what_many_have_in_common() {
        assert_eq!(size_of::<Row>(), 48);
    }
}
