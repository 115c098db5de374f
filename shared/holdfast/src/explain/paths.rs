//! The reasons of an AMI as those of one of its snapshots, and words beside a reason.

use std::collections::BTreeSet;

use holdfast_core::id::ImageId;
use holdfast_core::inventory::Snapshot;
use holdfast_core::lineage::Consistency;
use holdfast_core::plan::judge::Subject;
use holdfast_core::report::{Item, Reason, ReasonCode};

/// An AMI's reasons as those of one of its snapshots.
pub(super) fn through(snapshot: &str, image: &str, reasons: Vec<Reason>) -> Vec<Reason> {
    let image = ImageId::new(image);
    let lead = |reason: Reason| Reason {
        path: through_image(snapshot, &image, reason.path),
        ..reason
    };
    reasons.into_iter().map(lead).collect()
}

/// The reasons of a snapshot as those of the AMI that it goes with.
pub(super) fn along(image: &ImageId, reasons: Vec<Reason>) -> Vec<Reason> {
    let lead = |mut reason: Reason| {
        reason.path.insert(0, image.to_string());
        reason
    };
    reasons.into_iter().map(lead).collect()
}

/// The path of an AMI's reason as it leads from one of its snapshots.
fn through_image(snapshot: &str, image: &ImageId, path: Vec<String>) -> Vec<String> {
    let start = [snapshot.to_owned(), image.to_string()];
    let rest: Vec<String> = path.into_iter().skip(1).collect();
    match rest.first() {
        // The AMI's reason was this very snapshot, and what needs it.
        Some(first) if first == snapshot => rest,
        _ => start.into_iter().chain(rest).collect(),
    }
}

/// Holdfast's by its tags, and yet without a verdict: the lists are not of one moment.
pub(super) fn not_judged() -> Reason {
    let detail = "it was not among the lists that were judged; ask again";
    Reason::with(ReasonCode::EvidenceIncomplete, detail)
}

/// Adds the reasons that are not there yet.
pub(super) fn add(reasons: &mut Vec<Reason>, more: impl IntoIterator<Item = Reason>) {
    let mut known: BTreeSet<Reason> = reasons.iter().cloned().collect();
    for reason in more {
        if known.insert(reason.clone()) {
            reasons.push(reason);
        }
    }
}

/// Tells what the artifact's point in time is worth, beside the first reason.
pub(super) fn tell_consistency(item: &mut Item, level: Consistency) {
    tell(item, &format!("its consistency is {}", level.as_str()));
}

/// Tells what lies in the archive tier, beside the first reason.
pub(super) fn tell_archived(item: &mut Item, subject: &Subject) {
    let archived = |snapshot: &&Snapshot| snapshot.tier.as_deref() == Some("archive");
    let where_to = "the archive tier: it must be restored before anything can be made of it";
    match subject {
        Subject::Snapshot(snapshot) if archived(&snapshot) => {
            tell(item, &format!("it lies in {where_to}"));
        }
        Subject::Snapshot(_) => {}
        Subject::Image { snapshots, .. } => {
            let ids: Vec<&str> = snapshots
                .iter()
                .filter(archived)
                .map(|s| s.id.as_str())
                .collect();
            if !ids.is_empty() {
                tell(
                    item,
                    &format!("its snapshot {} lies in {where_to}", ids.join(", ")),
                );
            }
        }
    }
}

fn tell(item: &mut Item, words: &str) {
    if let Some(first) = item.reasons.first_mut() {
        first.detail = Some(match first.detail.take() {
            Some(detail) => format!("{detail}; {words}"),
            None => words.to_owned(),
        });
    }
}
