//! Requests about what refers to images and snapshots.

use holdfast_sim::ApiError;
use holdfast_sim::request::{self, ReferenceScope, Request};

use super::decode::{filters, page};
use crate::query::params::Params;

/// Reads an operation of this subject; none where it is another's.
pub(super) fn request(action: &str, p: &mut Params) -> Result<Option<Request>, ApiError> {
    Ok(Some(match action {
        "DescribeImageReferences" => {
            Request::DescribeImageReferences(request::DescribeImageReferences {
                ids: p.list("ImageId"),
                include_all: p.boolean("IncludeAllResourceTypes")?.unwrap_or(false),
                scopes: p.structures("ResourceType", scope)?,
                page: page(p)?,
            })
        }
        "DescribeFleets" => Request::DescribeFleets(request::DescribeFleets {
            ids: p.list("FleetId"),
            filters: filters(p)?,
            page: page(p)?,
        }),
        "DescribeSpotFleetRequests" => {
            Request::DescribeSpotFleetRequests(request::DescribeSpotFleetRequests {
                ids: p.list("SpotFleetRequestId"),
                page: page(p)?,
            })
        }
        "DescribeSpotInstanceRequests" => {
            Request::DescribeSpotInstanceRequests(request::DescribeSpotInstanceRequests {
                ids: p.list("SpotInstanceRequestId"),
                filters: filters(p)?,
                page: page(p)?,
            })
        }
        _ => return Ok(None),
    }))
}

fn scope(p: &mut Params) -> Result<ReferenceScope, ApiError> {
    Ok(ReferenceScope {
        resource_type: p.required("ResourceType")?,
        options: p.structures("ResourceTypeOption", |o| {
            Ok((o.required("OptionName")?, o.list("OptionValue")))
        })?,
    })
}
