//! What launches by itself, and what EC2 says refers to an image.

use aws_sdk_ec2::types::{
    ImageReferenceOptionName, ImageReferenceResourceType, ResourceTypeOption, ResourceTypeRequest,
};
use holdfast_core::id::ImageId;
use holdfast_core::inventory::{ImageReference, Listing, ReferenceScope, Referrer, Source};

use super::read::PAGE;
use super::{Ec2, convert};
use crate::aws::listing::{begun, collect};

/// Most images that one call may ask about (`DescribeImageReferences`, EC2 API Reference).
const IMAGES_PER_CALL: usize = 10;
/// Versions of a launch template that are looked at: all that a template can have. EC2 looks at
/// the ten newest unless told (EC2 User Guide, "Identify your resources referencing specified
/// AMIs").
const VERSION_DEPTH: &str = "10000";

impl Ec2 {
    /// Three lists in one. Fleets of type `instant` are listed only by their identifiers
    /// (`DescribeFleets`, EC2 API Reference): they launched once and never will again.
    pub(super) async fn every_fleet(&self) -> Listing<Referrer> {
        let mut list = begun(Source::Fleets);
        let fleets = self.client.describe_fleets().max_results(PAGE);
        collect!(list, "DescribeFleets", fleets,
            page => Some(page.fleets.unwrap_or_default()), convert::fleet);
        let fleets = self.client.describe_spot_fleet_requests().max_results(PAGE);
        collect!(list, "DescribeSpotFleetRequests", fleets,
            page => Some(page.spot_fleet_request_configs.unwrap_or_default()), convert::spot_fleet);
        let requests = self
            .client
            .describe_spot_instance_requests()
            .max_results(PAGE);
        collect!(list, "DescribeSpotInstanceRequests", requests,
            page => Some(page.spot_instance_requests.unwrap_or_default()), convert::spot_request);
        list
    }

    pub(super) async fn references_to(
        &self,
        images: &[ImageId],
        scope: ReferenceScope,
    ) -> Listing<ImageReference> {
        let mut list = begun(match scope {
            ReferenceScope::Launches => Source::ImageReferences,
            ReferenceScope::Recipes => Source::ImageRecipes,
        });
        for images in images.chunks(IMAGES_PER_CALL) {
            let images = images.iter().map(ToString::to_string).collect();
            let request = self
                .client
                .describe_image_references()
                .set_image_ids(Some(images))
                .set_resource_types(Some(resource_types(scope)))
                .max_results(PAGE);
            collect!(list, "DescribeImageReferences", request,
                page => Some(page.image_references.unwrap_or_default()), convert::image_reference);
        }
        list
    }
}

/// Named one by one: all of them at once would ask for the permissions of services that a policy
/// may have declared unused. Instances are looked at in every state unless states are named.
fn resource_types(scope: ReferenceScope) -> Vec<ResourceTypeRequest> {
    let plain = |name| ResourceTypeRequest::builder().resource_type(name).build();
    match scope {
        ReferenceScope::Launches => {
            let depth = ResourceTypeOption::builder()
                .option_name(ImageReferenceOptionName::VersionDepth)
                .option_values(VERSION_DEPTH)
                .build();
            vec![
                plain(ImageReferenceResourceType::Ec2Instance),
                ResourceTypeRequest::builder()
                    .resource_type(ImageReferenceResourceType::Ec2LaunchTemplate)
                    .resource_type_options(depth)
                    .build(),
                plain(ImageReferenceResourceType::SsmParameter),
            ]
        }
        ReferenceScope::Recipes => vec![
            plain(ImageReferenceResourceType::ImageBuilderImageRecipe),
            plain(ImageReferenceResourceType::ImageBuilderContainerRecipe),
        ],
    }
}
