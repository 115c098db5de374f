//! Fleets, Spot Fleets and Spot requests, and EC2's own references to images.
//!
//! Whether one of them still needs what it names is the reference graph's to decide: here none is
//! left out for its state.

use aws_sdk_ec2::types;
use holdfast_core::id::{ImageId, SnapshotId};
use holdfast_core::inventory::{
    ImageReference, ReferenceType, Referrer, ReferrerKind, TemplateName, TemplateUse,
};

use crate::aws::listing::{Unreadable, identifier, told};

const NAMELESS_TEMPLATE: &str = "it launches from a template that it does not name";
const NOTHING_TO_LAUNCH: &str = "it names nothing to launch from";

/// What a referrer names, while it is being read.
#[derive(Default)]
struct Named {
    images: Vec<String>,
    snapshots: Vec<SnapshotId>,
    templates: Vec<TemplateUse>,
}

impl Named {
    fn mapped(&mut self, mappings: Option<Vec<types::BlockDeviceMapping>>) {
        let mappings = mappings.unwrap_or_default().into_iter();
        let ids = mappings.filter_map(|mapping| mapping.ebs?.snapshot_id);
        self.snapshots.extend(ids.map(SnapshotId::new));
    }

    fn template(
        &mut self,
        from: Option<types::FleetLaunchTemplateSpecification>,
    ) -> Result<(), &'static str> {
        let from = from.ok_or(NAMELESS_TEMPLATE)?;
        let id = told(from.launch_template_id).map(TemplateName::Id);
        let name = told(from.launch_template_name).map(TemplateName::Name);
        self.templates.push(TemplateUse {
            template: id.or(name).ok_or(NAMELESS_TEMPLATE)?,
            version: told(from.version),
        });
        Ok(())
    }

    fn fleet_choice(&mut self, from: types::FleetLaunchTemplateConfig) -> Result<(), &'static str> {
        self.template(from.launch_template_specification)?;
        for instead in from.overrides.unwrap_or_default() {
            self.images.extend(told(instead.image_id));
            let mappings = instead
                .block_device_mappings
                .unwrap_or_default()
                .into_iter();
            let ids = mappings.filter_map(|mapping| mapping.ebs?.snapshot_id);
            self.snapshots.extend(ids.map(SnapshotId::new));
        }
        Ok(())
    }

    /// A specification that names no image launches nothing: it is of a shape nobody knows.
    fn specification(
        &mut self,
        image: Option<String>,
        mappings: Option<Vec<types::BlockDeviceMapping>>,
    ) -> Result<(), &'static str> {
        self.images.push(told(image).ok_or("it names no image")?);
        self.mapped(mappings);
        Ok(())
    }

    fn referrer(self, id: String, kind: ReferrerKind, state: Option<String>) -> Referrer {
        Referrer {
            id,
            kind,
            state,
            images: self.images,
            snapshots: self.snapshots,
            templates: self.templates,
            launch_configuration: None,
        }
    }
}

pub(in crate::aws::ec2) fn fleet(from: types::FleetData) -> Result<Referrer, Unreadable> {
    let id = identifier(from.fleet_id)?;
    let state = from.fleet_state.map(|state| state.as_str().to_owned());
    let choices = from.launch_template_configs.unwrap_or_default();
    if choices.is_empty() {
        return Err(Unreadable::of(id, NOTHING_TO_LAUNCH));
    }
    let mut named = Named::default();
    for choice in choices {
        if let Err(why) = named.fleet_choice(choice) {
            return Err(Unreadable::of(id, why));
        }
    }
    Ok(named.referrer(id, ReferrerKind::Fleet, state))
}

pub(in crate::aws::ec2) fn spot_fleet(
    from: types::SpotFleetRequestConfig,
) -> Result<Referrer, Unreadable> {
    let id = identifier(from.spot_fleet_request_id)?;
    let state = from.spot_fleet_request_state;
    let state = state.map(|state| state.as_str().to_owned());
    let Some(config) = from.spot_fleet_request_config else {
        return Err(Unreadable::of(id, NOTHING_TO_LAUNCH));
    };
    match spot_fleet_names(config) {
        Ok(named) => Ok(named.referrer(id, ReferrerKind::SpotFleet, state)),
        Err(why) => Err(Unreadable::of(id, why)),
    }
}

/// By launch specifications or by launch templates; the overrides of a Spot Fleet name neither
/// image nor devices (`LaunchTemplateOverrides`, EC2 API Reference).
fn spot_fleet_names(config: types::SpotFleetRequestConfigData) -> Result<Named, &'static str> {
    let specifications = config.launch_specifications.unwrap_or_default();
    let choices = config.launch_template_configs.unwrap_or_default();
    if specifications.is_empty() && choices.is_empty() {
        return Err(NOTHING_TO_LAUNCH);
    }
    let mut named = Named::default();
    for one in specifications {
        named.specification(one.image_id, one.block_device_mappings)?;
    }
    for choice in choices {
        named.template(choice.launch_template_specification)?;
    }
    Ok(named)
}

pub(in crate::aws::ec2) fn spot_request(
    from: types::SpotInstanceRequest,
) -> Result<Referrer, Unreadable> {
    let id = identifier(from.spot_instance_request_id)?;
    let state = from.state.map(|state| state.as_str().to_owned());
    let Some(one) = from.launch_specification else {
        return Err(Unreadable::of(id, NOTHING_TO_LAUNCH));
    };
    let mut named = Named::default();
    match named.specification(one.image_id, one.block_device_mappings) {
        Ok(()) => Ok(named.referrer(id, ReferrerKind::SpotRequest, state)),
        Err(why) => Err(Unreadable::of(id, why)),
    }
}

/// A resource type that Holdfast does not know is kept under its own name.
pub(in crate::aws::ec2) fn image_reference(
    from: types::ImageReference,
) -> Result<ImageReference, Unreadable> {
    let image = identifier(from.image_id)?;
    let Some(kind) = from.resource_type else {
        let why = "a reference to it does not say what kind of resource refers";
        return Err(Unreadable::of(image, why));
    };
    let Some(arn) = told(from.arn) else {
        let why = "a reference to it does not name the resource that refers";
        return Err(Unreadable::of(image, why));
    };
    Ok(ImageReference {
        image: ImageId::new(image),
        kind: ReferenceType::parse(kind.as_str()),
        arn,
    })
}
