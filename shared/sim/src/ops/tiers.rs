//! `ModifySnapshotTier`, `RestoreSnapshotTier`, `DescribeSnapshotTierStatus`.

use std::collections::BTreeSet;

use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::{ImageState, SnapshotState};
use jiff::{SignedDuration, Timestamp};

use crate::account::Account;
use crate::error::ApiError;
use crate::filter;
use crate::model::tier::{TierStatus, Tiering, TieringKind};
use crate::request;
use crate::response::{Response, TierRestore};
use crate::transition::Transition;

/// Days of a temporary restore (EBS User Guide, "Restore an archived snapshot").
const RESTORE_DAYS: std::ops::RangeInclusive<i32> = 1..=180;
/// Bounds of `MaxResults`; assumed.
const PAGE: (i32, i32) = (5, 1000);

/// The codes of the refusals here are assumed.
fn incorrect_state(message: String) -> ApiError {
    ApiError::new("IncorrectState", message)
}

fn days(n: i32) -> SignedDuration {
    SignedDuration::from_hours(24 * i64::from(n))
}

impl Account {
    /// Own, completed snapshots of the standard tier, when every AMI that uses them is disabled
    /// (EBS User Guide, "Archive snapshots"; EC2 User Guide, "Disable an AMI"). Assumed: not while
    /// fast restore is on.
    pub(super) fn modify_snapshot_tier(
        &mut self,
        r: &request::ModifySnapshotTier,
    ) -> Result<Response, ApiError> {
        if r.tier != "archive" {
            return Err(ApiError::invalid_value(format!(
                "Value ({}) for parameter StorageTier is invalid.",
                r.tier
            )));
        }
        let snapshot = self.own_snapshot(&r.id)?;
        let busy = snapshot
            .tiering
            .last
            .as_ref()
            .is_some_and(|t| t.ended.is_none());
        if snapshot.state != SnapshotState::Completed
            || snapshot.tier != "standard"
            || snapshot.tiering.restore_expires.is_some()
            || busy
        {
            return Err(incorrect_state(format!(
                "Snapshot {} is in state '{}', tier '{}', and cannot be archived.",
                r.id, snapshot.state, snapshot.tier
            )));
        }
        let id = snapshot.id.clone();
        let users = self.images_by_snapshot.get(&id);
        let enabled = users.into_iter().flatten().find(|image| {
            let image = self.images.get(*image);
            image.is_some_and(|i| i.state != ImageState::Disabled)
        });
        if let Some(image) = enabled {
            return Err(ApiError::new(
                "InvalidSnapshot.InUse",
                format!("The snapshot {id} is used by {image}, which is not disabled."),
            ));
        }
        if self.fast_restored_zones(&id).next().is_some() {
            return Err(incorrect_state(format!(
                "Fast snapshot restore is enabled for {id}."
            )));
        }
        self.begin_tiering(&id, TieringKind::Archival);
        Ok(Response::TieringStarted(id, self.now))
    }

    pub(super) fn restore_snapshot_tier(
        &mut self,
        r: &request::RestoreSnapshotTier,
    ) -> Result<Response, ApiError> {
        let kind = match (r.permanent, r.temporary_days) {
            (true, None) => TieringKind::PermanentRestore,
            (false, Some(n)) if RESTORE_DAYS.contains(&n) => TieringKind::TemporaryRestore(n),
            (false, Some(n)) => {
                return Err(ApiError::invalid_value(format!(
                    "Value ({n}) for parameter TemporaryRestoreDays is invalid."
                )));
            }
            (false, None) => return Err(ApiError::missing("TemporaryRestoreDays")),
            (true, Some(_)) => {
                return Err(ApiError::invalid_combination(
                    "Give PermanentRestore or TemporaryRestoreDays, not both.",
                ));
            }
        };
        let snapshot = self.own_snapshot(&r.id)?;
        let id = snapshot.id.clone();
        let busy = snapshot
            .tiering
            .last
            .as_ref()
            .is_some_and(|t| t.ended.is_none());
        let restored = snapshot.tiering.restore_expires.is_some();
        if busy || (snapshot.tier != "archive" && !restored) {
            return Err(incorrect_state(format!("Snapshot {id} is not archived.")));
        }
        self.begin_tiering(&id, kind);
        if restored {
            // It is here already: only until when changes (EBS User Guide, "Modify the restore
            // period").
            self.end_tiering(&id, self.now);
        }
        Ok(Response::TierRestoreStarted(TierRestore {
            id,
            started: self.now,
            days: r.temporary_days,
        }))
    }

    fn begin_tiering(&mut self, id: &SnapshotId, kind: TieringKind) {
        let (now, due) = (self.now, self.after(self.settings.tiering_duration));
        if let Some(snapshot) = self.snapshots.get_mut(id) {
            snapshot.tiering.last = Some(Tiering {
                kind,
                started: now,
                ended: None,
            });
            self.schedule
                .add(due, Transition::TieringEnds(id.clone(), now));
        }
    }

    /// Ends the tiering that began at `began`, if it is still in progress.
    pub(super) fn end_tiering(&mut self, id: &SnapshotId, began: Timestamp) {
        let now = self.now;
        let Some(snapshot) = self.snapshots.get_mut(id) else {
            return;
        };
        let history = &mut snapshot.tiering;
        let Some(last) = history
            .last
            .as_mut()
            .filter(|t| t.ended.is_none() && t.started == began)
        else {
            return;
        };
        last.ended = Some(now);
        let (kind, started) = (last.kind, last.started);
        history.restore_expires = None;
        let event = match kind {
            TieringKind::Archival => {
                history.archived = Some(now);
                snapshot.tier = "archive".to_owned();
                "archiveSnapshot"
            }
            TieringKind::PermanentRestore => {
                snapshot.tier = "standard".to_owned();
                "permanentRestoreSnapshot"
            }
            TieringKind::TemporaryRestore(n) => {
                let expires = now.checked_add(days(n)).unwrap_or(Timestamp::MAX);
                // Assumed: until then the snapshot shows the standard tier.
                snapshot.tier = "standard".to_owned();
                history.restore_expires = Some(expires);
                self.schedule
                    .add(expires, Transition::RestoreExpires(id.clone()));
                "temporaryRestoreSnapshot"
            }
        };
        let expires = snapshot.tiering.restore_expires;
        self.emit_tiering(id, event, started, expires);
    }

    /// Ends a temporary restore whose time is over.
    pub(super) fn expire_restore(&mut self, id: &SnapshotId) {
        let now = self.now;
        let Some(snapshot) = self.snapshots.get_mut(id) else {
            return;
        };
        if snapshot
            .tiering
            .restore_expires
            .take_if(|at| *at <= now)
            .is_some()
        {
            snapshot.tier = "archive".to_owned();
            self.emit_tiering(id, "restoreExpiry", now, None);
        }
    }

    /// Assumed: every snapshot of one's own is listed, archived or not.
    pub(super) fn describe_snapshot_tier_status(
        &mut self,
        r: &request::DescribeSnapshotTierStatus,
    ) -> Result<Response, ApiError> {
        filter::check::<TierStatus>(&r.filters, false)?;
        let operation = "DescribeSnapshotTierStatus";
        let cursor = self.open_page(operation, &r.filters, &r.page, PAGE)?;
        let only: Option<BTreeSet<String>> = filter::exact(&r.filters, "snapshot-id");
        let view = self.view();
        let all = self.past.snapshots.over(
            &self.snapshots,
            view,
            cursor.after.as_deref(),
            only.as_ref(),
            SnapshotId::new,
        );
        let all = all
            .filter(|(_, s)| view.lists(s.listed_from) && self.is_own(&s.owner))
            .map(|(key, s)| {
                let status = TierStatus {
                    id: s.id.clone(),
                    volume: s.volume.clone(),
                    state: s.state.clone(),
                    owner: s.owner.clone(),
                    tier: s.tier.clone(),
                    history: s.tiering.clone(),
                    tags: s.tags.clone(),
                };
                (key, status)
            });
        Ok(Response::TierStatuses(
            cursor.collect(all, |s: &TierStatus| filter::passes(&r.filters, s)),
        ))
    }
}
