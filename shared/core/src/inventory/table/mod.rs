//! Snapshots and images by the hundred thousand, in little memory.
//!
//! A table holds what decisions need and gives back whole [`Snapshot`]s and [`Image`]s one at a
//! time. Descriptions and tags that neither Holdfast nor AWS wrote are not kept: no verdict rests
//! on them, and what is about to go is read again anyway.
//!
//! [`Snapshot`]: super::Snapshot
//! [`Image`]: super::Image

mod images;
mod packed;
mod packed_time;
mod snapshots;
mod symbols;
mod tag_lists;

pub use images::ImageTable;
pub use packed::PackedId;
pub use snapshots::{SnapshotIndex, SnapshotTable, blank};

/// Adds to a list of up to hundreds of thousands, which grows by a quarter rather than to twice its
/// size.
pub(crate) fn add<T>(list: &mut Vec<T>, item: T) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 4).max(64));
    }
    list.push(item);
}
