//! The scenarios, one file a subject.

mod auto_scaling;
mod deregistering;
mod disabling;
mod dry_run;
mod fleets;
mod image_lists;
mod images;
mod instances;
mod listing;
mod sets;
mod shared_snapshots;
mod shares;
mod snapshots;
mod tags;
mod templates;
mod volumes;

use crate::scenario::Scenario;

/// Every scenario, by subject.
pub(crate) const GROUPS: &[&[Scenario]] = &[
    snapshots::ALL,
    sets::ALL,
    listing::ALL,
    images::ALL,
    image_lists::ALL,
    deregistering::ALL,
    shared_snapshots::ALL,
    shares::ALL,
    disabling::ALL,
    instances::ALL,
    volumes::ALL,
    tags::ALL,
    templates::ALL,
    auto_scaling::ALL,
    fleets::ALL,
    dry_run::ALL,
];
