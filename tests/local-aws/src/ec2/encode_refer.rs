//! What refers to images and snapshots, as XML.

use std::io;

use holdfast_sim::ImageReference;

use super::xml::Xml;

pub(super) fn image_reference(xml: &mut Xml, r: &ImageReference) -> io::Result<()> {
    xml.leaf("imageId", &r.image)?;
    xml.leaf("resourceType", r.resource_type.as_str())?;
    xml.leaf("arn", &r.arn)
}
