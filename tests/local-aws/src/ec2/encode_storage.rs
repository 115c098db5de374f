//! Fast restore and storage tiers of snapshots as XML.

use std::io;

use holdfast_sim::{FastRestore, FastRestoreChanges, FastRestoreState, TierRestore, TierStatus};

use super::encode_parts::{tags, time, truth};
use crate::query::xml::Xml;

pub(super) fn fast_restore(xml: &mut Xml, f: &FastRestore) -> io::Result<()> {
    xml.leaf("snapshotId", &f.snapshot)?;
    xml.leaf("availabilityZone", &f.zone)?;
    xml.leaf("state", f.state.as_str())?;
    xml.leaf(
        "stateTransitionReason",
        "Client.UserInitiated - Lifecycle state transition",
    )?;
    xml.leaf("ownerId", &f.owner)?;
    for (name, state) in [
        ("enablingTime", FastRestoreState::Enabling),
        ("optimizingTime", FastRestoreState::Optimizing),
        ("enabledTime", FastRestoreState::Enabled),
        ("disablingTime", FastRestoreState::Disabling),
        ("disabledTime", FastRestoreState::Disabled),
    ] {
        xml.maybe(name, f.entered(state).map(time))?;
    }
    Ok(())
}

/// What was done, and what was not: one entry a snapshot, with its zones.
pub(super) fn fast_restore_changes(xml: &mut Xml, c: &FastRestoreChanges) -> io::Result<()> {
    xml.list("successful", &c.successful, fast_restore)?;
    let by_snapshot = c.unsuccessful.chunk_by(|a, b| a.snapshot == b.snapshot);
    xml.list("unsuccessful", by_snapshot, |xml, refusals| {
        xml.maybe("snapshotId", refusals.first().map(|r| &r.snapshot))?;
        xml.list("fastSnapshotRestoreStateErrorSet", refusals, |xml, r| {
            xml.leaf("availabilityZone", &r.zone)?;
            xml.element("error", |xml| {
                xml.leaf("code", &r.code)?;
                xml.leaf("message", &r.message)
            })
        })
    })
}

pub(super) fn tier_restore(xml: &mut Xml, r: &TierRestore) -> io::Result<()> {
    xml.leaf("snapshotId", &r.id)?;
    xml.leaf("restoreStartTime", time(r.started))?;
    xml.maybe("restoreDuration", r.days.map(|n| n.to_string()))?;
    xml.leaf("isPermanentRestore", truth(r.days.is_none()))
}

pub(super) fn tier_status(xml: &mut Xml, s: &TierStatus) -> io::Result<()> {
    xml.leaf("snapshotId", &s.id)?;
    xml.leaf("volumeId", &s.volume)?;
    xml.leaf("status", s.state.as_str())?;
    xml.leaf("ownerId", &s.owner)?;
    tags(xml, &s.tags)?;
    xml.leaf("storageTier", &s.tier)?;
    if let Some(last) = &s.history.last {
        xml.leaf("lastTieringStartTime", time(last.started))?;
        xml.leaf(
            "lastTieringProgress",
            if last.ended.is_some() { "100" } else { "0" },
        )?;
        xml.leaf("lastTieringOperationStatus", last.status())?;
    }
    xml.maybe("restoreExpiryTime", s.history.restore_expires.map(time))?;
    xml.maybe("archivalCompleteTime", s.history.archived.map(time))
}
