//! An instance, or a version of a launch template, from an AMI.

use std::collections::BTreeMap;

use holdfast_core::id::{ImageId, InstanceId, SnapshotId};
use holdfast_core::inventory::Image;
use holdfast_core::plan::restore::{
    InstanceGround, InstanceWish, newest_image, plan_instance, usable_image,
};
use holdfast_core::ports::ImageScope;
use holdfast_core::ports::records::Records;
use holdfast_core::ports::restore::{Stored, StoredScope, TemplateVersion, Wanted};
use holdfast_core::report::{Reason, ReasonCode, whole_second};
use jiff::Timestamp;

use super::gather::{Reads, absent, doubtful, is_missing, keys, mark, nodes, whole};
use super::volume::nothing;
use super::{Plan, Prospect};
use crate::error::RunError;

/// Which AMI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageFrom {
    /// This one.
    Image(ImageId),
    /// The newest good one of an instance that is not after a time.
    Newest(InstanceId, Timestamp),
}

/// What restoring an instance would come to; changes nothing.
///
/// # Errors
/// [`RunError::Inventory`]: EC2 could not be read to the end.
pub async fn instance<E: Reads, R: Records>(
    ec2: &E,
    records: &R,
    from: &ImageFrom,
    wish: &InstanceWish,
) -> Result<Prospect, RunError> {
    let all = match from {
        ImageFrom::Image(id) => ec2.images(&ImageScope::Ids(vec![id.clone()])).await,
        ImageFrom::Newest(id, _) => ec2.images_of(id).await,
    };
    let all = whole(all)?;
    let stored = behind(ec2, &all).await?;
    let keys = keys(ec2, &stored).await;
    let by_id: BTreeMap<&str, &Stored> = stored
        .iter()
        .map(|stored| (stored.snapshot.id.as_str(), stored))
        .collect();
    let (image, passed) = match from {
        ImageFrom::Image(id) => {
            let Some(image) = all.first() else {
                return Ok(Prospect::refuse(
                    id.as_str(),
                    absent(ec2, id.as_str()).await,
                ));
            };
            if let Err(reason) = usable_image(image, &by_id, &keys) {
                return Ok(Prospect::refuse(id.as_str(), reason));
            }
            (image, Vec::new())
        }
        ImageFrom::Newest(id, at) => match newest_image(&all, &by_id, *at, &keys) {
            Ok(found) => found,
            Err(passed) => {
                let instead = format!(
                    "; its volumes may have snapshots: holdfast restore set --source {id} --at {}",
                    whole_second(*at)
                );
                return Ok(Prospect {
                    passed,
                    ..Prospect::refuse(id.as_str(), nothing("AMI of it", *at, &instead))
                });
            }
        },
    };
    let mut doubts = doubtful(&keys);
    let id = image.id.to_string();
    let recorded = nodes(records, std::slice::from_ref(&id), &mut doubts).await;
    let source: Vec<InstanceId> = image.source_instance.iter().cloned().collect();
    let source = whole(ec2.machines(&Wanted::Ids(source)).await)?;
    let versions = match versions(ec2, wish).await? {
        Ok(versions) => versions,
        Err(reason) => {
            return Ok(Prospect {
                passed,
                ..Prospect::refuse(id, reason)
            });
        }
    };
    let made = Wanted::Tagged(mark(&wish.token(&id)));
    let made = whole(ec2.machines(&made).await)?;
    let planned = plan_instance(&InstanceGround {
        image,
        stored: &by_id,
        node: recorded.get(&id),
        source: source.first(),
        versions: &versions,
        made: &made,
        wish,
    });
    Ok(match planned {
        Ok(plan) => Prospect {
            plans: vec![Plan::Instance(plan)],
            passed,
            doubts,
            ..Prospect::default()
        },
        Err(reason) => Prospect {
            passed,
            ..Prospect::refuse(id, reason)
        },
    })
}

/// The account's snapshots behind AMIs, as far as they exist.
async fn behind<E: Reads>(ec2: &E, images: &[Image]) -> Result<Vec<Stored>, RunError> {
    let mut ids: Vec<SnapshotId> = images.iter().flat_map(Image::snapshots).cloned().collect();
    ids.sort_unstable();
    ids.dedup();
    whole(ec2.stored(&StoredScope::Ids(ids)).await)
}

/// The versions of the launch template that was named; a refusal where there is no such template.
async fn versions<E: Reads>(
    ec2: &E,
    wish: &InstanceWish,
) -> Result<Result<Vec<TemplateVersion>, Reason>, RunError> {
    let Some(choice) = wish.into_template.as_ref().or(wish.template.as_ref()) else {
        return Ok(Ok(Vec::new()));
    };
    let list = ec2.template_versions(choice).await;
    if list.error.as_ref().is_some_and(is_missing) {
        let words = format!(
            "launch template {} is not in this account and Region",
            choice.template
        );
        return Ok(Err(Reason::with(ReasonCode::NotFound, words)));
    }
    whole(list).map(Ok)
}
