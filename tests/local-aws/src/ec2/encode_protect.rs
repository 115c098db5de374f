//! What protects snapshots and images, and to whom they are open, as XML.

use std::io;

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_sim::{Grantee, ImageAttribute, LockedSnapshot};

use super::encode_parts::time;
use crate::query::xml::Xml;

fn permissions(xml: &mut Xml, name: &str, grantees: &[Grantee]) -> io::Result<()> {
    xml.list(name, grantees, |xml, grantee| match grantee {
        Grantee::Everybody => xml.leaf("group", "all"),
        Grantee::Account(id) => xml.leaf("userId", id),
        Grantee::Organization(arn) => xml.leaf("organizationArn", arn),
        Grantee::OrganizationalUnit(arn) => xml.leaf("organizationalUnitArn", arn),
    })
}

pub(super) fn snapshot_permissions(
    xml: &mut Xml,
    id: &SnapshotId,
    grantees: &[Grantee],
) -> io::Result<()> {
    xml.leaf("snapshotId", id)?;
    permissions(xml, "createVolumePermission", grantees)
}

pub(super) fn snapshot_product_codes(xml: &mut Xml, id: &SnapshotId) -> io::Result<()> {
    xml.leaf("snapshotId", id)?;
    xml.list("productCodes", [(); 0], |_, ()| Ok(()))
}

pub(super) fn image_attribute(
    xml: &mut Xml,
    id: &ImageId,
    attribute: &ImageAttribute,
) -> io::Result<()> {
    xml.leaf("imageId", id)?;
    match attribute {
        ImageAttribute::LaunchPermission(grantees) => {
            permissions(xml, "launchPermission", grantees)
        }
        ImageAttribute::Description(text) => {
            xml.element("description", |xml| xml.leaf("value", text))
        }
    }
}

/// A locked snapshot in a list.
pub(super) fn locked_snapshot(xml: &mut Xml, s: &LockedSnapshot) -> io::Result<()> {
    xml.leaf("ownerId", &s.owner)?;
    lock(xml, s)
}

/// A locked snapshot as `LockSnapshot` answers it, without its owner `[B]`.
pub(super) fn lock(xml: &mut Xml, s: &LockedSnapshot) -> io::Result<()> {
    xml.leaf("snapshotId", &s.id)?;
    xml.leaf("lockState", s.state.as_str())?;
    xml.leaf("lockDuration", s.lock.days().to_string())?;
    if let Some((hours, until)) = s.lock.cool_off {
        xml.leaf("coolOffPeriod", hours.to_string())?;
        xml.leaf("coolOffPeriodExpiresOn", time(until))?;
    }
    xml.leaf("lockCreatedOn", time(s.lock.created))?;
    xml.maybe("lockDurationStartTime", s.lock.started.map(time))?;
    xml.maybe("lockExpiresOn", s.lock.expires().map(time))
}
