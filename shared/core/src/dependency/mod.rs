//! The reference graph: what needs a snapshot, with the path to it.
//!
//! Built from lists that are already here; it never fetches. What it does not find is proof of
//! nothing unless the lists were complete, which is the planner's to check.

use std::collections::{BTreeMap, HashMap};

use crate::id::{ImageId, SnapshotId};
use crate::inventory::{Image, Instance, InstanceState, LaunchTemplateVersion};
use crate::report::{Reason, ReasonCode};

/// Who refers to what.
#[derive(Debug, Default)]
pub struct References<'a> {
    images_by_snapshot: HashMap<&'a SnapshotId, Vec<&'a Image>>,
    templates_by_snapshot: HashMap<&'a SnapshotId, Vec<&'a LaunchTemplateVersion>>,
    templates_by_image: HashMap<&'a str, Vec<&'a LaunchTemplateVersion>>,
    instances_by_image: HashMap<&'a ImageId, Vec<&'a Instance>>,
}

impl<'a> References<'a> {
    /// The graph over these lists.
    pub fn new(
        images: &'a [Image],
        instances: &'a [Instance],
        templates: &'a [LaunchTemplateVersion],
    ) -> Self {
        let mut graph = Self::default();
        for image in images {
            for snapshot in image.snapshots() {
                graph
                    .images_by_snapshot
                    .entry(snapshot)
                    .or_default()
                    .push(image);
            }
        }
        for version in templates {
            for snapshot in &version.snapshots {
                graph
                    .templates_by_snapshot
                    .entry(snapshot)
                    .or_default()
                    .push(version);
            }
            if let Some(image) = &version.image {
                graph
                    .templates_by_image
                    .entry(image)
                    .or_default()
                    .push(version);
            }
        }
        for instance in instances {
            // A terminated instance stays listed for about an hour and needs nothing any more.
            if instance.state != InstanceState::Terminated
                && let Some(image) = &instance.image
            {
                graph
                    .instances_by_image
                    .entry(image)
                    .or_default()
                    .push(instance);
            }
        }
        graph
    }

    /// The images that map a snapshot, in whatever state they are.
    pub fn images_of(&self, snapshot: &SnapshotId) -> &[&'a Image] {
        self.images_by_snapshot
            .get(snapshot)
            .map_or(&[], Vec::as_slice)
    }

    /// Everything that needs a snapshot, each with its path; empty when nothing does.
    #[must_use]
    pub fn holders_of_snapshot(&self, snapshot: &SnapshotId) -> Vec<Reason> {
        let mut holders = Vec::new();
        for image in self.images_of(snapshot) {
            let path = vec![snapshot.to_string(), image.id.to_string()];
            holders.push(Reason {
                code: ReasonCode::UsedByImage,
                detail: Some(format!("{} ({}) maps it", image.id, image.state)),
                path: path.clone(),
            });
            holders.extend(
                self.holders_of_image(&image.id)
                    .into_iter()
                    .map(|mut holder| {
                        holder.path.splice(0..1, path.iter().cloned());
                        holder
                    }),
            );
        }
        holders.extend(self.templates_of_snapshot(snapshot));
        holders.sort();
        holders.dedup();
        holders
    }

    /// The launch templates that name a snapshot itself, each with its path.
    #[must_use]
    pub fn templates_of_snapshot(&self, snapshot: &SnapshotId) -> Vec<Reason> {
        let direct = self
            .templates_by_snapshot
            .get(snapshot)
            .map_or(&[][..], Vec::as_slice);
        templates(direct, snapshot.as_str())
    }

    /// Everything that needs an image or, by name, a snapshot that would go with it.
    ///
    /// Another image over the same snapshot is no holder: the snapshot stays with that one
    /// (`DeleteSnapshotReturnCode` `skipped`, EC2 API Reference).
    #[must_use]
    pub fn holders_of_image_with_snapshots(&self, image: &Image) -> Vec<Reason> {
        let mut holders = self.holders_of_image(&image.id);
        for snapshot in image.snapshots() {
            let named = self.templates_of_snapshot(snapshot).into_iter();
            holders.extend(named.map(|mut holder| {
                holder.path.insert(0, image.id.to_string());
                holder
            }));
        }
        holders.sort();
        holders.dedup();
        holders
    }

    /// Everything that needs an image, each with its path; empty when nothing does.
    #[must_use]
    pub fn holders_of_image(&self, image: &ImageId) -> Vec<Reason> {
        let mut holders = Vec::new();
        for instance in self
            .instances_by_image
            .get(image)
            .map_or(&[][..], Vec::as_slice)
        {
            holders.push(Reason {
                code: ReasonCode::UsedByInstance,
                detail: Some(format!(
                    "{} ({}) was launched from it",
                    instance.id, instance.state
                )),
                path: vec![image.to_string(), instance.id.to_string()],
            });
        }
        let named = self
            .templates_by_image
            .get(image.as_str())
            .map_or(&[][..], Vec::as_slice);
        holders.extend(templates(named, image.as_str()));
        holders.sort();
        holders.dedup();
        holders
    }
}

/// Names that begin with `/aws` are reserved, and those under `/aws/service` are AWS's public
/// parameters (Systems Manager User Guide, "Working with public parameters").
const PUBLIC_PARAMETER: &str = "resolve:ssm:/aws/service/";

/// A reason for each template with versions that name no AMI but a way to find one, such as
/// `resolve:ssm:…`: which AMI that is today, nobody has asked. AWS's own public parameters are no
/// doubt: they name AWS's AMIs, and nobody else can write them.
#[must_use]
pub fn unresolved(versions: &[LaunchTemplateVersion], image: &ImageId) -> Vec<Reason> {
    let hidden = |version: &&LaunchTemplateVersion| {
        let named = version.image.as_deref();
        named.is_some_and(|named| {
            !named.starts_with(ImageId::PREFIX) && !named.starts_with(PUBLIC_PARAMETER)
        })
    };
    let hidden: Vec<&LaunchTemplateVersion> = versions.iter().filter(hidden).collect();
    let named = templates(&hidden, image.as_str()).into_iter();
    named
        .map(|reason| Reason {
            code: ReasonCode::EvidenceIncomplete,
            detail: reason
                .detail
                .map(|which| format!("{which}: its image is a parameter that is not resolved")),
            ..reason
        })
        .collect()
}

/// One reason a template, with its versions: hundreds of old versions are one line.
fn templates(versions: &[&LaunchTemplateVersion], from: &str) -> Vec<Reason> {
    let mut by_template: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for version in versions {
        by_template
            .entry(version.template.as_str())
            .or_default()
            .push(version.version);
    }
    by_template
        .into_iter()
        .map(|(template, mut versions)| {
            versions.sort_unstable();
            versions.dedup();
            let word = if versions.len() == 1 {
                "version"
            } else {
                "versions"
            };
            let list: Vec<String> = versions.iter().map(i64::to_string).collect();
            Reason {
                code: ReasonCode::UsedByLaunchTemplate,
                detail: Some(format!("{template} {word} {}", list.join(", "))),
                path: vec![from.to_owned(), template.to_owned()],
            }
        })
        .collect()
}
