//! What refers to images and snapshots, as XML.

use std::io;

use holdfast_sim::request::LaunchTemplateReference;
use holdfast_sim::{
    Fleet, ImageReference, LaunchOverride, SpotFleet, SpotRequest, TemplateChoice, TemplateData,
};

use super::encode::Context;
use super::encode_parts::{block_device, tags, time};
use crate::query::xml::Xml;

pub(super) fn image_reference(xml: &mut Xml, r: &ImageReference) -> io::Result<()> {
    xml.leaf("imageId", &r.image)?;
    xml.leaf("resourceType", r.resource_type.as_str())?;
    xml.leaf("arn", &r.arn)
}

fn template(xml: &mut Xml, t: &LaunchTemplateReference) -> io::Result<()> {
    xml.element("launchTemplateSpecification", |xml| {
        xml.maybe("launchTemplateId", t.id.as_ref())?;
        xml.maybe("launchTemplateName", t.name.as_ref())?;
        xml.maybe("version", t.version.as_ref())
    })
}

fn fleet_override(xml: &mut Xml, o: &LaunchOverride) -> io::Result<()> {
    xml.maybe("instanceType", o.instance_type.as_ref())?;
    xml.maybe("imageId", o.image.as_ref())?;
    if o.mappings.is_empty() {
        return Ok(());
    }
    xml.list("blockDeviceMappingSet", &o.mappings, block_device)
}

/// An override of a Spot Fleet names neither image nor devices `[B]`.
fn spot_override(xml: &mut Xml, o: &LaunchOverride) -> io::Result<()> {
    xml.maybe("instanceType", o.instance_type.as_ref())
}

fn choices(
    xml: &mut Xml,
    choices: &[TemplateChoice],
    write: fn(&mut Xml, &LaunchOverride) -> io::Result<()>,
) -> io::Result<()> {
    xml.list("launchTemplateConfigs", choices, |xml, choice| {
        template(xml, &choice.template)?;
        xml.list("overrides", &choice.overrides, write)
    })
}

pub(super) fn fleet(xml: &mut Xml, f: &Fleet) -> io::Result<()> {
    xml.leaf("fleetId", &f.id)?;
    xml.leaf("fleetState", &f.state)?;
    xml.leaf("createTime", time(f.created))?;
    xml.leaf("type", &f.kind)?;
    choices(xml, &f.choices, fleet_override)?;
    tags(xml, &f.tags)
}

fn specification(xml: &mut Xml, s: &TemplateData) -> io::Result<()> {
    xml.maybe("imageId", s.image.as_ref())?;
    xml.maybe("instanceType", s.instance_type.as_ref())?;
    xml.list("blockDeviceMapping", &s.mappings, block_device)
}

pub(super) fn spot_fleet(xml: &mut Xml, context: &Context<'_>, f: &SpotFleet) -> io::Result<()> {
    xml.leaf("spotFleetRequestId", &f.id)?;
    xml.leaf("spotFleetRequestState", &f.state)?;
    xml.leaf("createTime", time(f.created))?;
    xml.element("spotFleetRequestConfig", |xml| {
        // Role and capacity are always there `[B]`; nothing here depends on them.
        let role = format!(
            "arn:aws:iam::{}:role/aws-ec2-spot-fleet-tagging-role",
            context.account_id
        );
        xml.leaf("iamFleetRole", role)?;
        xml.leaf("targetCapacity", "1")?;
        xml.list("launchSpecifications", &f.specifications, specification)?;
        choices(xml, &f.choices, spot_override)
    })?;
    tags(xml, &f.tags)
}

pub(super) fn spot_request(xml: &mut Xml, s: &SpotRequest) -> io::Result<()> {
    xml.leaf("spotInstanceRequestId", &s.id)?;
    xml.leaf("state", &s.state)?;
    xml.leaf("type", &s.kind)?;
    xml.leaf("createTime", time(s.created))?;
    xml.maybe("instanceId", s.instance.as_ref())?;
    xml.element("launchSpecification", |xml| {
        specification(xml, &s.specification)
    })?;
    tags(xml, &s.tags)
}
