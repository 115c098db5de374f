//! `LockSnapshot`, `UnlockSnapshot`, `DescribeLockedSnapshots`.

use std::collections::BTreeSet;

use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::SnapshotState;
use jiff::{SignedDuration, Timestamp};

use super::well_formed;
use crate::account::Account;
use crate::error::ApiError;
use crate::filter;
use crate::model::lock::{Lock, LockEnd, LockMode, LockState, LockedSnapshot};
use crate::model::snapshot::Snapshot;
use crate::request;
use crate::response::Response;

/// Bounds of the API Reference, "LockSnapshot" and "DescribeLockedSnapshots" `[B]`.
const DAYS: std::ops::RangeInclusive<i32> = 1..=36_500;
const COOL_OFF_HOURS: std::ops::RangeInclusive<i32> = 1..=72;
const PAGE: (i32, i32) = (5, 1000);

/// A lock cannot be set or taken away in the state it is in; the code is assumed.
fn not_permitted(message: String) -> ApiError {
    ApiError::new("OperationNotPermitted", message)
}

impl Account {
    pub(super) fn lock_snapshot(
        &mut self,
        r: &request::LockSnapshot,
    ) -> Result<Response, ApiError> {
        let now = self.now;
        let mode = mode_of(r)?;
        let end = end_of(r, now)?;
        let cool_off = r
            .cool_off_hours
            .map(|hours| (hours, self.after(SignedDuration::from_hours(hours.into()))));
        let snapshot = self.own_snapshot(&r.id)?;
        // Pending or completed only (EBS User Guide, "Lock a snapshot"; the code is assumed).
        let completed = match snapshot.state {
            SnapshotState::Completed => true,
            SnapshotState::Pending => false,
            _ => {
                return Err(ApiError::new(
                    "IncorrectState",
                    format!("Snapshot {} is in state '{}'.", r.id, snapshot.state),
                ));
            }
        };
        let before = snapshot
            .lock
            .clone()
            .filter(|lock| lock.state(now) != LockState::Expired);
        // Assumed: a modified lock keeps the time it was made and started.
        let lock = Lock {
            mode,
            end,
            cool_off,
            created: before.as_ref().map_or(now, |b| b.created),
            started: match &before {
                Some(lock) => lock.started,
                None => completed.then_some(now),
            },
        };
        if let Some(before) = &before
            && before.state(now) == LockState::Compliance
        {
            extends(before, &lock)?;
        }
        snapshot.lock = Some(lock);
        let id = snapshot.id.clone();
        if completed {
            self.emit_snapshot_locked(&id);
        }
        let locked = self
            .snapshots
            .get(&id)
            .and_then(|s| locked(s, now))
            .ok_or_else(ApiError::internal)?;
        Ok(Response::Locked(Box::new(locked)))
    }

    pub(super) fn unlock_snapshot(&mut self, id: &str) -> Result<Response, ApiError> {
        let now = self.now;
        let snapshot = self.own_snapshot(id)?;
        match snapshot.lock.as_ref().map(|lock| lock.state(now)) {
            Some(LockState::Governance | LockState::ComplianceCoolOff) => {
                snapshot.lock = None;
                Ok(Response::Unlocked(snapshot.id.clone()))
            }
            // Not in compliance mode after its cooling-off period (API Reference,
            // "UnlockSnapshot").
            Some(LockState::Compliance) => Err(not_permitted(format!(
                "Snapshot {id} is locked in compliance mode."
            ))),
            // Assumed.
            Some(LockState::Expired) | None => Err(ApiError::new(
                "IncorrectState",
                format!("Snapshot {id} is not locked."),
            )),
        }
    }

    pub(super) fn describe_locked_snapshots(
        &mut self,
        r: &request::DescribeLockedSnapshots,
    ) -> Result<Response, ApiError> {
        filter::check::<LockedSnapshot>(&r.filters, false)?;
        for id in &r.ids {
            well_formed(id, "snap-", "InvalidSnapshotID.Malformed")?;
            self.past
                .snapshots
                .one(&self.snapshots, &SnapshotId::new(id.clone()), self.view())
                .filter(|s| self.view().lists(s.listed_from) && self.is_own(&s.owner))
                .ok_or_else(|| ApiError::snapshot_not_found(id))?;
        }
        let parameters = (&r.ids, &r.filters);
        let cursor = self.open_page("DescribeLockedSnapshots", &parameters, &r.page, PAGE)?;
        let only: BTreeSet<String> = r.ids.iter().cloned().collect();
        let now = self.now;
        let view = self.view();
        let all = self.past.snapshots.over(
            &self.snapshots,
            view,
            cursor.after.as_deref(),
            (!only.is_empty()).then_some(&only),
            SnapshotId::new,
        );
        let all = all
            .filter(|(_, s)| view.lists(s.listed_from) && self.is_own(&s.owner))
            .filter_map(|(key, s)| Some((key, locked(s, now)?)));
        Ok(Response::LockedSnapshots(
            cursor.collect(all, |s: &LockedSnapshot| filter::passes(&r.filters, s)),
        ))
    }
}

fn locked(snapshot: &Snapshot, now: Timestamp) -> Option<LockedSnapshot> {
    let lock = snapshot.lock.clone()?;
    Some(LockedSnapshot {
        id: snapshot.id.clone(),
        owner: snapshot.owner.clone(),
        state: lock.state(now),
        lock,
    })
}

fn mode_of(r: &request::LockSnapshot) -> Result<LockMode, ApiError> {
    let mode = match r.mode.as_str() {
        "governance" => LockMode::Governance,
        "compliance" => LockMode::Compliance,
        other => {
            return Err(ApiError::invalid_value(format!(
                "Value ({other}) for parameter LockMode is invalid."
            )));
        }
    };
    match r.cool_off_hours {
        Some(_) if mode == LockMode::Governance => Err(ApiError::invalid_combination(
            "CoolOffPeriod cannot be used with governance mode.",
        )),
        Some(hours) if !COOL_OFF_HOURS.contains(&hours) => Err(ApiError::invalid_value(format!(
            "Value ({hours}) for parameter CoolOffPeriod is invalid."
        ))),
        _ => Ok(mode),
    }
}

/// A duration or a date, and not both (API Reference, "LockSnapshot").
fn end_of(r: &request::LockSnapshot, now: Timestamp) -> Result<LockEnd, ApiError> {
    match (r.duration_days, r.expiration) {
        (Some(days), None) if DAYS.contains(&days) => Ok(LockEnd::After(days)),
        (Some(days), None) => Err(ApiError::invalid_value(format!(
            "Value ({days}) for parameter LockDuration is invalid."
        ))),
        (None, Some(time)) if time > now => Ok(LockEnd::At(time)),
        (None, Some(time)) => Err(ApiError::invalid_value(format!(
            "Value ({time}) for parameter ExpirationDate is in the past."
        ))),
        (None, None) => Err(ApiError::missing("LockDuration")),
        (Some(_), Some(_)) => Err(ApiError::invalid_combination(
            "Give LockDuration or ExpirationDate, not both.",
        )),
    }
}

/// After the cooling-off period a compliance lock can only be extended, without a new cooling-off
/// period (API Reference, "LockSnapshot").
fn extends(before: &Lock, after: &Lock) -> Result<(), ApiError> {
    if after.mode != LockMode::Compliance || after.cool_off.is_some() {
        return Err(not_permitted(
            "A lock in compliance mode can only be extended.".to_owned(),
        ));
    }
    if after.reckoned_end() <= before.reckoned_end() {
        return Err(not_permitted(
            "The duration of a lock in compliance mode can only be increased.".to_owned(),
        ));
    }
    Ok(())
}
