//! Requests of the Query protocol as the account's own; parameter names are those that
//! `aws-sdk-ec2` writes.

use holdfast_sim::request::{self, PageRequest, Request};
use holdfast_sim::{ApiError, Filter};

use super::{
    decode_change as change, decode_protect as protect, decode_recycle_bin as recycle_bin,
    decode_refer as refer, decode_storage as storage,
};
use crate::query::params::Params;

/// A request and whether it is a dry run.
pub(super) struct Call {
    pub(super) request: Request,
    pub(super) dry_run: bool,
}

/// Reads a request to its last parameter, or says under which operation it was refused.
pub(super) fn call(body: &[u8]) -> Result<Call, (String, ApiError)> {
    let mut p = Params::read(body).map_err(|error| (String::new(), error))?;
    let Some(action) = p.text("Action") else {
        let error = ApiError::new("MissingAction", "The request is missing an action.");
        return Err((String::new(), error));
    };
    read(&action, &mut p).map_err(|error| (action, error))
}

fn read(action: &str, p: &mut Params) -> Result<Call, ApiError> {
    let version = p.required("Version")?;
    if version != super::VERSION {
        return Err(ApiError::new(
            "NoSuchVersion",
            format!("API version {version} is not spoken here"),
        ));
    }
    let dry_run = p.boolean("DryRun")?.unwrap_or(false);
    let request = match action {
        "DescribeInstances" => describe_instances(p)?,
        "DescribeVolumes" => describe_volumes(p)?,
        "DescribeSnapshots" => describe_snapshots(p)?,
        "DescribeImages" => describe_images(p)?,
        "DescribeLaunchTemplates" => describe_launch_templates(p)?,
        "DescribeLaunchTemplateVersions" => describe_launch_template_versions(p)?,
        "DescribeInstanceTypes" => describe_instance_types(p)?,
        "DescribeTags" => Request::DescribeTags(request::DescribeTags {
            filters: filters(p)?,
            page: page(p)?,
        }),
        other => of_other_subjects(other, p)?,
    };
    p.finish()?;
    Ok(Call { request, dry_run })
}

/// Reads one subject's operations; none where the operation is another's.
type Subject = fn(&str, &mut Params) -> Result<Option<Request>, ApiError>;

const SUBJECTS: [Subject; 5] = [
    change::request,
    protect::request,
    recycle_bin::request,
    refer::request,
    storage::request,
];

fn of_other_subjects(action: &str, p: &mut Params) -> Result<Request, ApiError> {
    for subject in SUBJECTS {
        if let Some(request) = subject(action, p)? {
            return Ok(request);
        }
    }
    Err(ApiError::new(
        "InvalidAction",
        format!("The action {action} is not valid for this web service."),
    ))
}

pub(super) fn page(p: &mut Params) -> Result<PageRequest, ApiError> {
    Ok(PageRequest {
        max_results: p.number("MaxResults")?,
        next_token: p.text("NextToken"),
    })
}

pub(super) fn filters(p: &mut Params) -> Result<Vec<Filter>, ApiError> {
    p.structures("Filter", |f| {
        Ok(Filter {
            name: f.required("Name")?,
            values: f.list("Value"),
        })
    })
}

fn describe_instances(p: &mut Params) -> Result<Request, ApiError> {
    Ok(Request::DescribeInstances(request::DescribeInstances {
        ids: p.list("InstanceId"),
        filters: filters(p)?,
        include_managed: p.boolean("IncludeManagedResources")?.unwrap_or(false),
        page: page(p)?,
    }))
}

fn describe_volumes(p: &mut Params) -> Result<Request, ApiError> {
    Ok(Request::DescribeVolumes(request::DescribeVolumes {
        ids: p.list("VolumeId"),
        filters: filters(p)?,
        include_managed: p.boolean("IncludeManagedResources")?.unwrap_or(false),
        page: page(p)?,
    }))
}

fn describe_snapshots(p: &mut Params) -> Result<Request, ApiError> {
    Ok(Request::DescribeSnapshots(request::DescribeSnapshots {
        ids: p.list("SnapshotId"),
        owners: p.list("Owner"),
        restorable_by: p.list("RestorableBy"),
        filters: filters(p)?,
        page: page(p)?,
    }))
}

fn describe_images(p: &mut Params) -> Result<Request, ApiError> {
    Ok(Request::DescribeImages(request::DescribeImages {
        ids: p.list("ImageId"),
        owners: p.list("Owner"),
        include_disabled: p.boolean("IncludeDisabled")?.unwrap_or(false),
        include_deprecated: p.boolean("IncludeDeprecated")?.unwrap_or(false),
        filters: filters(p)?,
        page: page(p)?,
    }))
}

/// Launch templates that services manage are not modelled, so that this flag changes nothing.
fn managed_templates(p: &mut Params) -> Result<(), ApiError> {
    p.boolean("IncludeManagedResources").map(|_| ())
}

fn describe_launch_templates(p: &mut Params) -> Result<Request, ApiError> {
    managed_templates(p)?;
    Ok(Request::DescribeLaunchTemplates(
        request::DescribeLaunchTemplates {
            ids: p.list("LaunchTemplateId"),
            names: p.list("LaunchTemplateName"),
            filters: filters(p)?,
            page: page(p)?,
        },
    ))
}

fn describe_launch_template_versions(p: &mut Params) -> Result<Request, ApiError> {
    managed_templates(p)?;
    Ok(Request::DescribeLaunchTemplateVersions(
        request::DescribeLaunchTemplateVersions {
            id: p.text("LaunchTemplateId"),
            name: p.text("LaunchTemplateName"),
            versions: p.list("LaunchTemplateVersion"),
            min_version: p.number("MinVersion")?,
            max_version: p.number("MaxVersion")?,
            resolve_alias: p.boolean("ResolveAlias")?.unwrap_or(false),
            filters: filters(p)?,
            page: page(p)?,
        },
    ))
}

/// In the answer to a new version `resolve:ssm:` names are shown as they are.
pub(super) fn refuse_resolving(p: &mut Params) -> Result<(), ApiError> {
    if p.boolean("ResolveAlias")? == Some(true) {
        return Err(ApiError::new(
            "UnsupportedOperation",
            "ResolveAlias=true is not supported by this simulated account.",
        ));
    }
    Ok(())
}

fn describe_instance_types(p: &mut Params) -> Result<Request, ApiError> {
    Ok(Request::DescribeInstanceTypes(
        request::DescribeInstanceTypes {
            names: p.list("InstanceType"),
            filters: filters(p)?,
            page: page(p)?,
        },
    ))
}
