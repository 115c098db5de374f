//! Requests about what protects snapshots and images, and to whom they are open.

use holdfast_sim::request::{self, Request};
use holdfast_sim::{ApiError, Grantee};

use super::decode::{filters, page};
use crate::query::params::Params;

/// Reads an operation of this subject; none where it is another's.
pub(super) fn request(action: &str, p: &mut Params) -> Result<Option<Request>, ApiError> {
    Ok(Some(match action {
        "ModifySnapshotAttribute" => modify_snapshot_attribute(p)?,
        "DescribeSnapshotAttribute" => {
            Request::DescribeSnapshotAttribute(request::DescribeSnapshotAttribute {
                id: p.required("SnapshotId")?,
                attribute: p.required("Attribute")?,
            })
        }
        "ResetSnapshotAttribute" => {
            Request::ResetSnapshotAttribute(request::ResetSnapshotAttribute {
                id: p.required("SnapshotId")?,
                attribute: p.required("Attribute")?,
            })
        }
        "ModifyImageAttribute" => modify_image_attribute(p)?,
        "DescribeImageAttribute" => {
            Request::DescribeImageAttribute(request::DescribeImageAttribute {
                id: p.required("ImageId")?,
                attribute: p.required("Attribute")?,
            })
        }
        "ResetImageAttribute" => Request::ResetImageAttribute(request::ResetImageAttribute {
            id: p.required("ImageId")?,
            attribute: p.required("Attribute")?,
        }),
        "LockSnapshot" => Request::LockSnapshot(request::LockSnapshot {
            id: p.required("SnapshotId")?,
            mode: p.required("LockMode")?,
            duration_days: p.number("LockDuration")?,
            expiration: p.number("ExpirationDate")?,
            cool_off_hours: p.number("CoolOffPeriod")?,
        }),
        "UnlockSnapshot" => Request::UnlockSnapshot(request::UnlockSnapshot {
            id: p.required("SnapshotId")?,
        }),
        "DescribeLockedSnapshots" => {
            Request::DescribeLockedSnapshots(request::DescribeLockedSnapshots {
                ids: p.list("SnapshotId"),
                filters: filters(p)?,
                page: page(p)?,
            })
        }
        _ => return Ok(None),
    }))
}

/// Who is added and who removed.
#[derive(Default)]
struct Changes {
    add: Vec<Grantee>,
    remove: Vec<Grantee>,
}

/// One entry of a permission list; it names exactly one grantee.
fn grantee(p: &mut Params) -> Result<Grantee, ApiError> {
    let named = (
        p.text("UserId"),
        p.text("Group"),
        p.text("OrganizationArn"),
        p.text("OrganizationalUnitArn"),
    );
    match named {
        (Some(id), None, None, None) => Ok(Grantee::Account(id)),
        (None, Some(name), None, None) => group(&name),
        (None, None, Some(arn), None) => Ok(Grantee::Organization(arn)),
        (None, None, None, Some(arn)) => Ok(Grantee::OrganizationalUnit(arn)),
        _ => Err(ApiError::invalid_combination(
            "A permission names one of UserId, Group, OrganizationArn and OrganizationalUnitArn.",
        )),
    }
}

fn group(name: &str) -> Result<Grantee, ApiError> {
    if name == "all" {
        Ok(Grantee::Everybody)
    } else {
        Err(ApiError::invalid_value(format!(
            "Value ({name}) for parameter group is invalid."
        )))
    }
}

/// The structured form, `NAME.Add` and `NAME.Remove`, and the older one with `OperationType`.
fn changes(p: &mut Params, structure: &str) -> Result<Changes, ApiError> {
    let mut changes = p
        .structure(structure, |s| {
            Ok(Changes {
                add: s.structures("Add", grantee)?,
                remove: s.structures("Remove", grantee)?,
            })
        })?
        .unwrap_or_default();
    let mut listed: Vec<Grantee> = p.list("UserId").into_iter().map(Grantee::Account).collect();
    for name in p.list("UserGroup") {
        listed.push(group(&name)?);
    }
    listed.extend(
        p.list("OrganizationArn")
            .into_iter()
            .map(Grantee::Organization),
    );
    listed.extend(
        p.list("OrganizationalUnitArn")
            .into_iter()
            .map(Grantee::OrganizationalUnit),
    );
    match p.text("OperationType").as_deref() {
        Some("add") => changes.add.extend(listed),
        Some("remove") => changes.remove.extend(listed),
        None if listed.is_empty() => {}
        None => return Err(ApiError::missing("OperationType")),
        Some(other) => {
            return Err(ApiError::invalid_value(format!(
                "Value ({other}) for parameter operationType is invalid."
            )));
        }
    }
    Ok(changes)
}

fn modify_snapshot_attribute(p: &mut Params) -> Result<Request, ApiError> {
    let changes = changes(p, "CreateVolumePermission")?;
    Ok(Request::ModifySnapshotAttribute(
        request::ModifySnapshotAttribute {
            id: p.required("SnapshotId")?,
            attribute: p.text("Attribute"),
            add: changes.add,
            remove: changes.remove,
        },
    ))
}

fn modify_image_attribute(p: &mut Params) -> Result<Request, ApiError> {
    let changes = changes(p, "LaunchPermission")?;
    Ok(Request::ModifyImageAttribute(
        request::ModifyImageAttribute {
            id: p.required("ImageId")?,
            attribute: p.text("Attribute"),
            add: changes.add,
            remove: changes.remove,
        },
    ))
}
