//! A table of images.

use std::borrow::Borrow;
use std::collections::BTreeSet;

use indexmap::IndexSet;
use jiff::Timestamp;

use super::add;
use super::packed::{PackedId, by_id, repeated};
use super::packed_time::PackedTime;
use super::symbols::{Symbol, Symbols};
use super::tag_lists::{TagLists, TagRow};
use crate::id::{ImageId, InstanceId, SnapshotId};
use crate::inventory::{Image, ImageMapping, ImageState, MappingTarget, Tags};

/// What many images have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Facts {
    state: Symbol,
    state_reason: Option<Symbol>,
    deregistration_protected: bool,
    owner: Option<Symbol>,
    source_image: Option<Symbol>,
    source_region: Option<Symbol>,
    root_device: Option<Symbol>,
    public: bool,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Ebs(Option<PackedId>),
    InstanceStore(Symbol),
    NoDevice,
    Unknown,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    id: PackedId,
    name: Option<Symbol>,
    created: Option<PackedTime>,
    last_launched: Option<PackedTime>,
    deprecated: Option<PackedTime>,
    source_instance: Option<Symbol>,
    facts: u32,
    /// Where its devices begin and end in the common list.
    mappings: (u32, u32),
    tags: TagRow,
}

/// Images, in the order in which they came. Other people's tags are left out.
#[derive(Clone, Debug, Default)]
pub struct ImageTable {
    symbols: Symbols,
    tags: TagLists,
    facts: IndexSet<Facts>,
    mappings: Vec<(Symbol, Target)>,
    rows: Vec<Row>,
}

impl ImageTable {
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
    pub fn push(&mut self, image: impl Borrow<Image>) {
        let row = self.row(image.borrow());
        add(&mut self.rows, row);
    }

    /// Changes the one at a place; nothing when there is none.
    pub fn update(&mut self, place: usize, change: impl FnOnce(&mut Image)) {
        if let Some(mut image) = self.get(place) {
            change(&mut image);
            let row = self.row(&image);
            self.rows[place] = row;
        }
    }

    fn row(&mut self, image: &Image) -> Row {
        let symbols = &mut self.symbols;
        let facts = Facts {
            state: symbols.intern(image.state.as_str()),
            state_reason: symbols.optional(image.state_reason.as_deref()),
            deregistration_protected: image.deregistration_protected,
            owner: symbols.optional(image.owner.as_deref()),
            source_image: symbols.optional(image.source_image.as_ref().map(ImageId::as_str)),
            source_region: symbols.optional(image.source_region.as_deref()),
            root_device: symbols.optional(image.root_device.as_deref()),
            public: image.public,
        };
        let facts = match self.facts.get_index_of(&facts) {
            Some(index) => index,
            None => self.facts.insert_full(facts).0,
        };
        let place = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let begin = place(self.mappings.len());
        for mapping in &image.mappings {
            let device = symbols.intern(&mapping.device);
            let target = match &mapping.target {
                MappingTarget::Ebs(id) => {
                    let id = id.as_ref();
                    Target::Ebs(id.map(|id| PackedId::pack(id.as_str(), symbols)))
                }
                MappingTarget::InstanceStore(name) => Target::InstanceStore(symbols.intern(name)),
                MappingTarget::NoDevice => Target::NoDevice,
                MappingTarget::Unknown => Target::Unknown,
            };
            add(&mut self.mappings, (device, target));
        }
        let made_of = image.source_instance.as_ref().map(InstanceId::as_str);
        Row {
            id: PackedId::pack(image.id.as_str(), symbols),
            name: symbols.optional(image.name.as_deref()),
            created: image.created.map(PackedTime::pack),
            last_launched: image.last_launched.map(PackedTime::pack),
            deprecated: image.deprecated.map(PackedTime::pack),
            source_instance: symbols.optional(made_of),
            facts: place(facts),
            mappings: (begin, place(self.mappings.len())),
            tags: self.tags.put(&image.tags, symbols),
        }
    }

    /// The one at a place, as it was pushed but for what a table leaves out.
    #[must_use]
    pub fn get(&self, row: usize) -> Option<Image> {
        let row = self.rows.get(row)?;
        let facts = self.facts.get_index(row.facts as usize)?;
        let symbols = &self.symbols;
        let text = |symbol: Option<Symbol>| symbol.map(|symbol| symbols.text(symbol).to_owned());
        let mut tags = Tags::new();
        self.tags.read_into(row.tags, symbols, &mut tags);
        let mappings = self.mappings_of(row).iter().map(|(device, target)| {
            let target = match target {
                Target::Ebs(id) => MappingTarget::Ebs(id.map(|id| self.snapshot(id))),
                Target::InstanceStore(name) => {
                    MappingTarget::InstanceStore(symbols.text(*name).to_owned())
                }
                Target::NoDevice => MappingTarget::NoDevice,
                Target::Unknown => MappingTarget::Unknown,
            };
            ImageMapping {
                device: symbols.text(*device).to_owned(),
                target,
            }
        });
        Some(Image {
            id: ImageId::new(self.unpacked(row.id)),
            name: text(row.name),
            state: ImageState::parse(symbols.text(facts.state)),
            state_reason: text(facts.state_reason),
            deregistration_protected: facts.deregistration_protected,
            owner: text(facts.owner),
            created: row.created.and_then(PackedTime::unpack),
            source_instance: text(row.source_instance).map(InstanceId::new),
            source_image: text(facts.source_image).map(ImageId::new),
            source_region: text(facts.source_region),
            last_launched: row.last_launched.and_then(PackedTime::unpack),
            deprecated: row.deprecated.and_then(PackedTime::unpack),
            public: facts.public,
            root_device: text(facts.root_device),
            mappings: mappings.collect(),
            tags,
        })
    }

    /// The accounts that own any of them.
    pub fn owners(&self) -> impl Iterator<Item = &str> {
        let owners = self.facts.iter().filter_map(|facts| facts.owner);
        owners.map(|owner| self.symbols.text(owner))
    }

    /// Every one in its order, each as [`Self::get`] gives it.
    pub fn iter(&self) -> impl Iterator<Item = Image> {
        (0..self.len()).filter_map(|row| self.get(row))
    }

    /// The snapshots that the one at a place maps, without reading the whole of it.
    pub fn snapshots(&self, row: usize) -> impl Iterator<Item = SnapshotId> {
        let mappings = self
            .rows
            .get(row)
            .map_or(&[][..], |row| self.mappings_of(row));
        mappings.iter().filter_map(|(_, target)| match target {
            Target::Ebs(id) => id.map(|id| self.snapshot(id)),
            Target::InstanceStore(_) | Target::NoDevice | Target::Unknown => None,
        })
    }

    /// The snapshots that the one at a place maps, as this table packs them.
    pub fn mapped(&self, row: usize) -> impl Iterator<Item = PackedId> {
        let mappings = self
            .rows
            .get(row)
            .map_or(&[][..], |row| self.mappings_of(row));
        mappings.iter().filter_map(|(_, target)| match target {
            Target::Ebs(id) => *id,
            Target::InstanceStore(_) | Target::NoDevice | Target::Unknown => None,
        })
    }

    /// A snapshot's identifier as this table packs it; `None` when no image here maps it.
    #[must_use]
    pub fn pack(&self, id: &SnapshotId) -> Option<PackedId> {
        PackedId::find(id.as_str(), &self.symbols)
    }

    /// The places of those in a state.
    pub fn in_state(&self, state: &ImageState) -> impl Iterator<Item = usize> {
        let wanted = self.symbols.find(state.as_str());
        self.rows
            .iter()
            .enumerate()
            .filter_map(move |(place, row)| {
                let facts = self.facts.get_index(row.facts as usize)?;
                (Some(facts.state) == wanted).then_some(place)
            })
    }

    /// The places of those that name an image they come from and no instance: copies.
    pub fn copies(&self) -> impl Iterator<Item = usize> {
        self.rows.iter().enumerate().filter_map(|(place, row)| {
            let facts = self.facts.get_index(row.facts as usize)?;
            let copy = facts.source_image.is_some() && row.source_instance.is_none();
            copy.then_some(place)
        })
    }

    fn mappings_of(&self, row: &Row) -> &[(Symbol, Target)] {
        let (begin, end) = row.mappings;
        self.mappings
            .get(begin as usize..end as usize)
            .unwrap_or_default()
    }

    /// A snapshot's identifier, as this table packs it.
    #[must_use]
    pub fn snapshot(&self, id: PackedId) -> SnapshotId {
        SnapshotId::new(self.unpacked(id))
    }

    fn unpacked(&self, id: PackedId) -> String {
        let mut text = String::new();
        id.unpack(&self.symbols, &mut text);
        text
    }

    /// The identifier at a place.
    #[must_use]
    pub fn id(&self, row: usize) -> Option<PackedId> {
        self.rows.get(row).map(|row| row.id)
    }

    /// The place of an identifier; of several with the same one, the first.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<usize> {
        let wanted = PackedId::find(id, &self.symbols)?;
        self.rows.iter().position(|row| row.id == wanted)
    }

    /// The places of those whose identifier an earlier one has.
    #[must_use]
    pub fn repeated(&self) -> BTreeSet<u32> {
        let by_id = by_id(self.rows.iter().map(|row| row.id));
        repeated(&by_id, |place| self.rows[place as usize].id)
    }

    /// The instance at a place that EC2 says it was made of.
    #[must_use]
    pub fn source_instance(&self, row: usize) -> Option<&str> {
        let instance = self.rows.get(row)?.source_instance?;
        Some(self.symbols.text(instance))
    }

    /// The state at a place.
    #[must_use]
    pub fn state(&self, row: usize) -> Option<ImageState> {
        let facts = self.facts.get_index(self.rows.get(row)?.facts as usize)?;
        Some(ImageState::parse(self.symbols.text(facts.state)))
    }

    /// A tag's value at a place; one that a table leaves out is none.
    #[must_use]
    pub fn tag(&self, row: usize, key: &str) -> Option<&str> {
        self.tags
            .value(self.rows.get(row)?.tags, &self.symbols, key)
    }

    /// The identifier's text at a place.
    #[must_use]
    pub fn id_text(&self, row: usize) -> Option<String> {
        self.rows.get(row).map(|row| self.unpacked(row.id))
    }

    /// The creation date at a place, UTC.
    #[must_use]
    pub fn created(&self, row: usize) -> Option<Timestamp> {
        self.rows.get(row)?.created?.unpack()
    }
}

impl Extend<Image> for ImageTable {
    fn extend<I: IntoIterator<Item = Image>>(&mut self, images: I) {
        for image in images {
            self.push(image);
        }
    }
}

impl FromIterator<Image> for ImageTable {
    fn from_iter<I: IntoIterator<Item = Image>>(images: I) -> Self {
        let mut table = Self::default();
        table.extend(images);
        table
    }
}

impl From<Vec<Image>> for ImageTable {
    fn from(images: Vec<Image>) -> Self {
        images.into_iter().collect()
    }
}
