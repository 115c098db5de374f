//! Instance-store devices of the instances about to be taken.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::id::InstanceId;
use holdfast_core::inventory::{Image, Instance, InstanceType};
use holdfast_core::plan::create::instance_store_devices;
use holdfast_core::ports::{ImageScope, ReadEc2};

use super::Fleet;
use super::pick::Source;

/// The devices, as words for the report, by instance.
///
/// Only those words hang on the two lists read here, so a refused one costs just them.
pub(super) async fn instance_store<'s, E: ReadEc2>(
    ec2: &E,
    fleet: &Fleet,
    sources: impl Iterator<Item = &'s Source<'s>>,
) -> BTreeMap<InstanceId, Vec<String>> {
    let wanted: BTreeSet<&InstanceId> = sources
        .filter_map(|source| match source {
            Source::Set(set) => Some(&set.instance),
            Source::Machine(instance) => Some(*instance),
            Source::Single(_) => None,
        })
        .collect();
    let instances: Vec<&Instance> = fleet
        .instances
        .iter()
        .filter(|i| wanted.contains(&i.id))
        .collect();
    if instances.is_empty() {
        return BTreeMap::new();
    }
    let types: BTreeSet<String> = instances
        .iter()
        .filter_map(|i| i.instance_type.clone())
        .collect();
    let images: BTreeSet<_> = instances.iter().filter_map(|i| i.image.clone()).collect();
    let types: Vec<String> = types.into_iter().collect();
    let images = ImageScope::Ids(images.into_iter().collect());
    let (types, images) = tokio::join!(ec2.instance_types(&types), ec2.images(&images));
    for error in [&types.error, &images.error].into_iter().flatten() {
        tracing::warn!("instance-store devices may go unmentioned: {error}");
    }
    let types: BTreeMap<&str, &InstanceType> =
        types.items.iter().map(|t| (t.name.as_str(), t)).collect();
    let images: BTreeMap<&str, &Image> = images.items.iter().map(|i| (i.id.as_str(), i)).collect();
    instances
        .into_iter()
        .map(|instance| {
            let image = instance
                .image
                .as_ref()
                .and_then(|id| images.get(id.as_str()));
            let kind = instance
                .instance_type
                .as_deref()
                .and_then(|name| types.get(name));
            let devices = instance_store_devices(instance, image.copied(), kind.copied());
            (instance.id.clone(), devices)
        })
        .collect()
}
