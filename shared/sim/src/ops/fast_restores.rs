//! `EnableFastSnapshotRestores`, `DisableFastSnapshotRestores`, `DescribeFastSnapshotRestores`.

use std::collections::BTreeSet;

use holdfast_core::id::SnapshotId;
use holdfast_core::inventory::SnapshotState;

use super::well_formed;
use crate::account::Account;
use crate::error::ApiError;
use crate::filter;
use crate::model::fast_restore::{
    FastRestore, FastRestoreChanges, FastRestoreRefusal, FastRestoreState,
};
use crate::request::{self, PageRequest};
use crate::response::Response;
use crate::transition::Transition;

/// Snapshots enabled in a Region `[Q]`.
const QUOTA: usize = 5;
/// The largest volume (EBS User Guide, "Fast snapshot restore").
const MAX_GIB: i32 = 16 * 1024;
/// Bounds of `MaxResults` `[B]`; 0 is taken as absent.
const PAGE: (i32, i32) = (1, 200);

impl Account {
    pub(super) fn enable_fast_restores(
        &mut self,
        r: &request::EnableFastSnapshotRestores,
    ) -> Result<Response, ApiError> {
        self.each_fast_restore(&r.ids, &r.zones, Self::enable_fast_restore)
    }

    pub(super) fn disable_fast_restores(
        &mut self,
        r: &request::DisableFastSnapshotRestores,
    ) -> Result<Response, ApiError> {
        self.each_fast_restore(&r.ids, &r.zones, Self::disable_fast_restore)
    }

    /// Changes what can be changed and says of the rest why not (API Reference,
    /// "EnableFastSnapshotRestores": success in part). The codes of the parts are assumed.
    fn each_fast_restore(
        &mut self,
        ids: &[String],
        zones: &[String],
        change: impl Fn(&mut Self, &SnapshotId, &str) -> Result<FastRestore, ApiError>,
    ) -> Result<Response, ApiError> {
        if ids.is_empty() {
            return Err(ApiError::missing("SourceSnapshotId"));
        }
        if zones.is_empty() {
            return Err(ApiError::missing("AvailabilityZone"));
        }
        for id in ids {
            well_formed(id, "snap-", "InvalidSnapshotID.Malformed")?;
        }
        for zone in zones {
            let letter = zone.strip_prefix(&self.settings.region);
            if !letter.is_some_and(|l| l.len() == 1 && l.bytes().all(|b| b.is_ascii_lowercase())) {
                return Err(ApiError::invalid_value(format!(
                    "Invalid availability zone: [{zone}]"
                )));
            }
        }
        let mut changes = FastRestoreChanges::default();
        for id in ids {
            for zone in zones {
                match change(self, &SnapshotId::new(id), zone) {
                    Ok(changed) => changes.successful.push(changed),
                    Err(error) => changes.unsuccessful.push(FastRestoreRefusal {
                        snapshot: id.clone(),
                        zone: zone.clone(),
                        code: error.code,
                        message: error.message,
                    }),
                }
            }
        }
        Ok(Response::FastRestoresChanged(changes))
    }

    /// One's own snapshots and those shared with one (EBS User Guide, "Fast snapshot restore").
    fn enable_fast_restore(
        &mut self,
        id: &SnapshotId,
        zone: &str,
    ) -> Result<FastRestore, ApiError> {
        let snapshot = self
            .snapshots
            .get(id)
            .filter(|s| self.may_see_snapshot(s))
            .ok_or_else(|| ApiError::snapshot_not_found(id.as_str()))?;
        let usable = snapshot.state == SnapshotState::Completed && snapshot.tier == "standard";
        if !usable || snapshot.size_gib > MAX_GIB {
            return Err(ApiError::new(
                "InvalidSnapshot.InvalidState",
                format!("The snapshot {id} cannot be enabled for fast snapshot restore."),
            ));
        }
        let key = (id.clone(), zone.to_owned());
        if let Some(present) = self.fast_restores.get(&key).filter(|f| f.state.is_on()) {
            return Ok(present.clone());
        }
        let mut enabled: BTreeSet<&SnapshotId> = self
            .fast_restores
            .values()
            .filter(|f| f.state.is_on())
            .map(|f| &f.snapshot)
            .collect();
        enabled.insert(id);
        if enabled.len() > QUOTA {
            return Err(ApiError::new(
                "ResourceLimitExceeded",
                format!("At most {QUOTA} snapshots can be enabled for fast snapshot restore."),
            ));
        }
        let restore = FastRestore {
            snapshot: id.clone(),
            zone: zone.to_owned(),
            state: FastRestoreState::Enabling,
            owner: self.settings.account_id.clone(),
            history: Vec::new(),
            due: None,
        };
        self.fast_restores.insert(key, restore);
        self.enter_fast_restore_state(id, zone, FastRestoreState::Enabling)
    }

    fn disable_fast_restore(
        &mut self,
        id: &SnapshotId,
        zone: &str,
    ) -> Result<FastRestore, ApiError> {
        let key = (id.clone(), zone.to_owned());
        if !self
            .fast_restores
            .get(&key)
            .is_some_and(|f| f.state.is_on())
        {
            return Err(ApiError::new(
                "IncorrectState",
                format!("Fast snapshot restore is not enabled for {id} in {zone}."),
            ));
        }
        self.enter_fast_restore_state(id, zone, FastRestoreState::Disabling)
    }

    fn enter_fast_restore_state(
        &mut self,
        id: &SnapshotId,
        zone: &str,
        state: FastRestoreState,
    ) -> Result<FastRestore, ApiError> {
        let lasts = match state {
            FastRestoreState::Optimizing => self.settings.fast_restore_optimizing,
            _ => self.settings.fast_restore_switch,
        };
        let due = state.next().map(|_| self.after(lasts));
        let now = self.now;
        let restore = self
            .fast_restores
            .get_mut(&(id.clone(), zone.to_owned()))
            .ok_or_else(ApiError::internal)?;
        restore.state = state;
        restore.history.push((state, now));
        restore.due = due;
        let restore = restore.clone();
        if let Some(due) = due {
            let transition = Transition::FastRestoreMoves(id.clone(), zone.to_owned());
            self.schedule.add(due, transition);
        }
        self.emit_fast_restore_state(id, zone, state.as_str());
        Ok(restore)
    }

    /// Lets a fast restore go on to its next state, if that is due.
    pub(super) fn move_fast_restore(&mut self, id: &SnapshotId, zone: &str) {
        let now = self.now;
        let next = self
            .fast_restores
            .get(&(id.clone(), zone.to_owned()))
            .filter(|f| f.due.is_some_and(|due| due <= now))
            .and_then(|f| f.state.next());
        if let Some(next) = next {
            // It stands in the map: it was just read there.
            let _ = self.enter_fast_restore_state(id, zone, next);
        }
    }

    /// Fast restore of a deleted snapshot ends shortly after, unless the snapshot is restored
    /// from the Recycle Bin before (EBS User Guide, "Considerations for Recycle Bin").
    pub(super) fn expect_fast_restores_to_end(&mut self, id: &SnapshotId) {
        if self.fast_restored_zones(id).next().is_some() {
            let at = self.after(self.settings.fast_restore_switch);
            self.schedule
                .add(at, Transition::FastRestoresOrphaned(id.clone()));
        }
    }

    pub(super) fn end_orphaned_fast_restores(&mut self, id: &SnapshotId) {
        if self.snapshots.contains_key(id) {
            return;
        }
        let zones: Vec<String> = self.fast_restored_zones(id).map(str::to_owned).collect();
        for zone in zones {
            let _ = self.enter_fast_restore_state(id, &zone, FastRestoreState::Disabling);
        }
    }

    /// Zones in which fast restore of a snapshot is on.
    pub(super) fn fast_restored_zones(&self, id: &SnapshotId) -> impl Iterator<Item = &str> {
        self.fast_restores
            .range((id.clone(), String::new())..)
            .take_while(move |((snapshot, _), _)| snapshot == id)
            .filter(|(_, f)| f.state.is_on())
            .map(|((_, zone), _)| zone.as_str())
    }

    pub(super) fn describe_fast_restores(
        &mut self,
        r: &request::DescribeFastSnapshotRestores,
    ) -> Result<Response, ApiError> {
        filter::check::<FastRestore>(&r.filters, false)?;
        let page = PageRequest {
            max_results: r.page.max_results.filter(|max| *max != 0),
            next_token: r.page.next_token.clone(),
        };
        let operation = "DescribeFastSnapshotRestores";
        let cursor = self.open_page(operation, &r.filters, &page, PAGE)?;
        let all = self
            .fast_restores
            .iter()
            .map(|((id, zone), f)| (format!("{id}\t{zone}"), f))
            .filter(|(key, _)| cursor.after.as_ref().is_none_or(|after| key > after));
        Ok(Response::FastRestores(
            cursor.collect(all, |f: &FastRestore| filter::passes(&r.filters, f)),
        ))
    }
}
