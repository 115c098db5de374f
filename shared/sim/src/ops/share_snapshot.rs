//! `ModifySnapshotAttribute`, `DescribeSnapshotAttribute`, `ResetSnapshotAttribute`.

use holdfast_core::id::SnapshotId;

use super::well_formed;
use crate::account::Account;
use crate::error::ApiError;
use crate::model::permission::Grantee;
use crate::model::snapshot::Snapshot;
use crate::request;
use crate::response::Response;

/// Modifications in one call (API Reference, "ModifySnapshotAttribute").
const MAX_CHANGES: usize = 500;

const PERMISSION: &str = "createVolumePermission";

/// Refuses what no permission can name.
///
/// `InvalidUserID.Malformed` is in `[E]`; the code for another group is assumed.
pub(super) fn check_grantees<'a>(
    grantees: impl IntoIterator<Item = &'a Grantee>,
) -> Result<(), ApiError> {
    for grantee in grantees {
        match grantee {
            Grantee::Account(id) if id.len() != 12 || !id.bytes().all(|b| b.is_ascii_digit()) => {
                return Err(ApiError::new(
                    "InvalidUserID.Malformed",
                    format!("Invalid user id: \"{id}\""),
                ));
            }
            Grantee::Organization(arn) | Grantee::OrganizationalUnit(arn)
                if !arn.starts_with("arn:") =>
            {
                return Err(ApiError::invalid_value(format!(
                    "Invalid organization ARN: \"{arn}\""
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Account {
    /// A snapshot of one's own, in whatever state.
    pub(super) fn own_snapshot(&mut self, id: &str) -> Result<&mut Snapshot, ApiError> {
        well_formed(id, "snap-", "InvalidSnapshotID.Malformed")?;
        let account = self.settings.account_id.clone();
        let snapshot = self
            .snapshots
            .get_mut(&SnapshotId::new(id))
            .filter(|s| !s.delete_when_settled)
            .ok_or_else(|| ApiError::snapshot_not_found(id))?;
        if snapshot.owner == account {
            return Ok(snapshot);
        }
        // One that the caller may not even see does not exist for him.
        Err(
            if snapshot.public || snapshot.shared_with.contains(&account) {
                ApiError::not_owner(id)
            } else {
                ApiError::snapshot_not_found(id)
            },
        )
    }

    pub(super) fn modify_snapshot_attribute(
        &mut self,
        r: &request::ModifySnapshotAttribute,
    ) -> Result<Response, ApiError> {
        if let Some(attribute) = &r.attribute {
            permission_only(attribute)?;
        }
        check_grantees(r.add.iter().chain(&r.remove))?;
        if r.add.is_empty() && r.remove.is_empty() {
            return Err(ApiError::missing("CreateVolumePermission"));
        }
        // Adding and removing need two calls (API Reference, "ModifySnapshotAttribute").
        if !r.add.is_empty() && !r.remove.is_empty() {
            return Err(ApiError::invalid_combination(
                "Permissions cannot be added and removed in one request.",
            ));
        }
        if r.add.len() + r.remove.len() > MAX_CHANGES {
            return Err(ApiError::invalid_value(format!(
                "At most {MAX_CHANGES} permissions can be modified in one request."
            )));
        }
        let named = r.add.iter().chain(&r.remove);
        if named
            .clone()
            .any(|g| matches!(g, Grantee::Organization(_) | Grantee::OrganizationalUnit(_)))
        {
            return Err(ApiError::invalid_value(
                "Snapshots are shared with accounts and with the group all only.",
            ));
        }
        let snapshot = self.own_snapshot(&r.id)?;
        if !r.add.is_empty() {
            shareable(snapshot, r.add.contains(&Grantee::Everybody))?;
        }
        for grantee in &r.add {
            match grantee {
                Grantee::Account(id) => {
                    snapshot.shared_with.insert(id.clone());
                }
                _ => snapshot.public = true,
            }
        }
        for grantee in &r.remove {
            match grantee {
                Grantee::Account(id) => {
                    snapshot.shared_with.remove(id);
                }
                _ => snapshot.public = false,
            }
        }
        Ok(Response::Done)
    }

    pub(super) fn describe_snapshot_attribute(
        &mut self,
        r: &request::DescribeSnapshotAttribute,
    ) -> Result<Response, ApiError> {
        let id = self.own_snapshot(&r.id)?.id.clone();
        let shown = self.past.snapshots.one(&self.snapshots, &id, self.view());
        let snapshot = shown.ok_or_else(|| ApiError::snapshot_not_found(&r.id))?;
        match r.attribute.as_str() {
            PERMISSION => {
                let everybody = snapshot.public.then_some(Grantee::Everybody);
                let accounts = snapshot.shared_with.iter().cloned().map(Grantee::Account);
                let all = everybody.into_iter().chain(accounts).collect();
                Ok(Response::SnapshotPermissions(id, all))
            }
            // Nothing here comes from AWS Marketplace.
            "productCodes" => Ok(Response::SnapshotProductCodes(id)),
            other => Err(unknown_attribute(other)),
        }
    }

    pub(super) fn reset_snapshot_attribute(
        &mut self,
        r: &request::ResetSnapshotAttribute,
    ) -> Result<Response, ApiError> {
        // Only this attribute can be reset (API Reference, "ResetSnapshotAttribute").
        permission_only(&r.attribute)?;
        let snapshot = self.own_snapshot(&r.id)?;
        snapshot.public = false;
        snapshot.shared_with.clear();
        Ok(Response::Done)
    }
}

/// An archived snapshot cannot be shared (EBS User Guide, "Archive snapshots"; the code is
/// assumed), nor one under the account's default key (code and words as packer issue #7499 shows
/// them), and an encrypted one cannot be public (API Reference, "ModifySnapshotAttribute"; the
/// code is assumed).
fn shareable(snapshot: &Snapshot, publicly: bool) -> Result<(), ApiError> {
    if snapshot.tier != "standard" {
        return Err(ApiError::new(
            "IncorrectState",
            format!("Snapshot {} is archived and cannot be shared.", snapshot.id),
        ));
    }
    if snapshot.encrypted && snapshot.kms_key.is_none() {
        return Err(ApiError::new(
            "OperationNotPermitted",
            "Encrypted snapshots with EBS default key cannot be shared",
        ));
    }
    if snapshot.encrypted && publicly {
        return Err(ApiError::new(
            "OperationNotPermitted",
            "Encrypted snapshots cannot be made public",
        ));
    }
    Ok(())
}

fn permission_only(attribute: &str) -> Result<(), ApiError> {
    if attribute == PERMISSION {
        Ok(())
    } else {
        Err(unknown_attribute(attribute))
    }
}

pub(super) fn unknown_attribute(attribute: &str) -> ApiError {
    ApiError::invalid_value(format!(
        "Value ( {attribute} ) for parameter attribute is invalid."
    ))
}
