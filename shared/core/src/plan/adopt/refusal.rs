//! Why something must not be adopted, told from itself alone.

use super::Proposed;
use crate::artifact::{MANAGED, MAX_TAGS, foreign_manager};
use crate::inventory::{Snapshot, SnapshotState, Tags};
use crate::report::{Reason, ReasonCode};

/// Whether it carries Holdfast's tag.
pub(super) fn is_managed(tags: &Tags) -> bool {
    tags.get(MANAGED).map(String::as_str) == Some("true")
}

/// A refusal.
pub(super) fn refuse<T>(code: ReasonCode, words: impl Into<String>) -> Result<T, Proposed> {
    Err(Proposed::Refuse(Reason::with(code, words)))
}

/// Which service still manages a resource, in words.
pub(super) fn manager(tags: &Tags, owner_alias: Option<&str>) -> Option<String> {
    if owner_alias == Some("aws-backup-vault") {
        return Some("it lies in an AWS Backup vault".into());
    }
    if let Some(key) = foreign_manager(tags) {
        let by = if key.starts_with("aws:dlm:") {
            "Data Lifecycle Manager"
        } else if key.starts_with("aws:backup:") {
            "AWS Backup"
        } else {
            return Some("its tags say that EC2 Image Builder made it and may manage it".into());
        };
        return Some(format!("it carries {key}: {by} still manages it"));
    }
    None
}

/// Refuses what is not complete.
pub(super) fn state_of(snapshot: &Snapshot, whose: &str) -> Result<(), Proposed> {
    let state = &snapshot.state;
    let code = match state {
        SnapshotState::Completed => return Ok(()),
        SnapshotState::Pending => ReasonCode::Pending,
        SnapshotState::Error => ReasonCode::FailedBackup,
        _ => ReasonCode::UnknownState,
    };
    refuse(code, format!("{whose}its state is {state}"))
}

/// Refuses what would have more tags than EC2 allows; AWS's own are not counted (EC2 User Guide,
/// "Tag restrictions").
pub(super) fn fits(now: &Tags, new: &Tags, id: &str) -> Result<(), Proposed> {
    let mut all: Vec<&String> = now.keys().chain(new.keys()).collect();
    all.retain(|key| !key.starts_with("aws:"));
    all.sort_unstable();
    all.dedup();
    if all.len() <= MAX_TAGS {
        return Ok(());
    }
    let words = format!(
        "{id} would have {} tags, and EC2 allows {MAX_TAGS}: remove some",
        all.len()
    );
    refuse(ReasonCode::ResourceLimit, words)
}
