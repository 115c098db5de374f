//! What protects snapshots and images, and to whom they are open, as XML.

use std::io;

use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_sim::{Grantee, ImageAttribute};

use super::xml::Xml;

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
