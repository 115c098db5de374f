//! Answers as the XML that `aws-sdk-ec2` reads: the element names are those of its parsers.

use std::io;

use holdfast_sim::{ApiError, Page, Response};

use super::{
    encode_parts as parts, encode_protect as protect, encode_recycle_bin as recycle_bin,
    encode_refer as refer, encode_storage as storage,
};
use crate::query::xml::Xml;

const NAMESPACE: &str = "http://ec2.amazonaws.com/doc/2016-11-15/";

/// What an answer says besides its content.
pub(super) struct Context<'a> {
    pub(super) operation: &'a str,
    pub(super) request_id: &'a str,
    pub(super) account_id: &'a str,
}

/// An error answer.
pub(super) fn error(error: &ApiError, request_id: &str) -> io::Result<Vec<u8>> {
    let mut xml = Xml::new()?;
    xml.root("Response", None, |xml| {
        xml.element("Errors", |xml| {
            xml.element("Error", |xml| {
                xml.leaf("Code", &error.code)?;
                xml.leaf("Message", &error.message)
            })
        })?;
        xml.leaf("RequestID", request_id)
    })?;
    Ok(xml.into_bytes())
}

/// A good answer.
pub(super) fn answer(context: &Context<'_>, response: &Response) -> io::Result<Vec<u8>> {
    let mut xml = Xml::new()?;
    let root = format!("{}Response", context.operation);
    xml.root(&root, Some(NAMESPACE), |xml| {
        xml.leaf("requestId", context.request_id)?;
        body(xml, context, response)
    })?;
    Ok(xml.into_bytes())
}

fn paged<T>(
    xml: &mut Xml,
    name: &str,
    page: &Page<T>,
    write: impl FnMut(&mut Xml, &T) -> io::Result<()>,
) -> io::Result<()> {
    xml.list(name, &page.items, write)?;
    xml.maybe("nextToken", page.next_token.as_ref())
}

fn body(xml: &mut Xml, context: &Context<'_>, response: &Response) -> io::Result<()> {
    match response {
        Response::Instances(page) => {
            parts::reservations(xml, context, &page.items)?;
            xml.maybe("nextToken", page.next_token.as_ref())
        }
        Response::Volumes(page) => paged(xml, "volumeSet", page, parts::volume),
        Response::Snapshots(page) => paged(xml, "snapshotSet", page, |xml, snapshot| {
            parts::snapshot(xml, snapshot)?;
            // Only this call says why a snapshot failed.
            xml.maybe("statusMessage", snapshot.state_message.as_ref())
        }),
        Response::Images(page) => paged(xml, "imagesSet", page, |xml, image| {
            parts::image(xml, context, image)
        }),
        Response::LaunchTemplates(page) => paged(xml, "launchTemplates", page, |xml, t| {
            parts::launch_template(xml, context, t)
        }),
        Response::LaunchTemplateVersions(page) => {
            paged(xml, "launchTemplateVersionSet", page, |xml, v| {
                parts::launch_template_version(xml, context, v)
            })
        }
        Response::InstanceTypes(page) => paged(xml, "instanceTypeSet", page, parts::instance_type),
        Response::Tags(page) => paged(xml, "tagSet", page, |xml, tag| {
            xml.leaf("resourceId", &tag.resource)?;
            xml.leaf("resourceType", tag.resource_type)?;
            xml.leaf("key", &tag.key)?;
            xml.leaf("value", &tag.value)
        }),
        Response::Snapshot(snapshot) => parts::snapshot(xml, snapshot),
        Response::SnapshotSet(set) => xml.list("snapshotSet", set, parts::snapshot_info),
        Response::ImageMade(id) => xml.leaf("imageId", id),
        Response::Deregistered(deleted) => {
            xml.leaf("return", "true")?;
            xml.list("deleteSnapshotResultSet", deleted, |xml, one| {
                xml.leaf("snapshotId", &one.id)?;
                xml.leaf("returnCode", one.return_code)
            })
        }
        Response::SnapshotPermissions(id, all) => protect::snapshot_permissions(xml, id, all),
        Response::SnapshotProductCodes(id) => protect::snapshot_product_codes(xml, id),
        Response::ImageAttribute(id, attribute) => protect::image_attribute(xml, id, attribute),
        Response::Locked(locked) => protect::lock(xml, locked),
        Response::Unlocked(id) => xml.leaf("snapshotId", id),
        Response::LockedSnapshots(page) => {
            paged(xml, "snapshotSet", page, protect::locked_snapshot)
        }
        Response::BinnedSnapshots(page) => paged(xml, "snapshotSet", page, recycle_bin::snapshot),
        Response::BinnedImages(page) => paged(xml, "imageSet", page, recycle_bin::image),
        Response::RestoredSnapshot(snapshot) => recycle_bin::restored(xml, snapshot),
        Response::ImageReferences(page) => {
            paged(xml, "imageReferenceSet", page, refer::image_reference)
        }
        Response::FastRestoresChanged(changes) => storage::fast_restore_changes(xml, changes),
        Response::FastRestores(page) => {
            paged(xml, "fastSnapshotRestoreSet", page, storage::fast_restore)
        }
        Response::TieringStarted(id, time) => {
            xml.leaf("snapshotId", id)?;
            xml.leaf("tieringStartTime", parts::time(*time))
        }
        Response::TierRestoreStarted(restore) => storage::tier_restore(xml, restore),
        Response::TierStatuses(page) => {
            paged(xml, "snapshotTierStatusSet", page, storage::tier_status)
        }
        Response::SnapshotCopied(id, tags) => {
            xml.leaf("snapshotId", id)?;
            parts::tags(xml, tags)
        }
        Response::Fleets(page) => paged(xml, "fleetSet", page, refer::fleet),
        Response::SpotFleets(page) => {
            paged(xml, "spotFleetRequestConfigSet", page, |xml, fleet| {
                refer::spot_fleet(xml, context, fleet)
            })
        }
        Response::SpotRequests(page) => {
            paged(xml, "spotInstanceRequestSet", page, refer::spot_request)
        }
        Response::Volume(volume) => parts::volume(xml, volume),
        Response::Attachment(attachment) => parts::attachment(xml, attachment),
        Response::Launched(instances) => {
            xml.maybe(
                "reservationId",
                instances.first().map(|i| i.reservation.as_str()),
            )?;
            xml.leaf("ownerId", context.account_id)?;
            xml.list("instancesSet", instances, parts::instance)
        }
        Response::StateChanges(changes) => xml.list("instancesSet", changes, |xml, change| {
            xml.leaf("instanceId", &change.instance)?;
            parts::instance_state(xml, "currentState", &change.current)?;
            parts::instance_state(xml, "previousState", &change.previous)
        }),
        Response::LaunchTemplate(template) => xml.element("launchTemplate", |xml| {
            parts::launch_template(xml, context, template)
        }),
        Response::LaunchTemplateVersion(version) => xml.element("launchTemplateVersion", |xml| {
            parts::launch_template_version(xml, context, version)
        }),
        // Answers of another service never come in at this door.
        Response::LaunchConfigurations(_)
        | Response::AutoScalingGroups(_)
        | Response::InstanceRefreshes(_) => Err(io::Error::other(
            "an answer of Auto Scaling at the door of EC2",
        )),
        Response::Done => xml.leaf("return", "true"),
    }
}
