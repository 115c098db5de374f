//! What changed about an artifact since the lists were read.

use holdfast_core::artifact;
use holdfast_core::inventory::{Image, Snapshot, Tags};
use holdfast_core::plan::judge::Verdict;
use holdfast_core::report::{Reason, ReasonCode};

/// Holds the verdict when the AMI is no longer what it was decided on.
pub(super) fn image(verdict: &mut Verdict, before: &Image, now: Option<&Image>, complete: bool) {
    let Some(now) = now else {
        if complete {
            verdict.hold(not_listed(&before.id));
        }
        return;
    };
    if now.deregistration_protected {
        let detail = "it was protected from deregistration during the sweep";
        let code = ReasonCode::DeregistrationProtected;
        verdict.hold(Reason::with(code, detail));
    }
    if now.tags.contains_key(artifact::PIN) {
        verdict.hold(pinned("it"));
    } else if ours(&now.tags) != ours(&before.tags)
        || now.state != before.state
        || now.mappings != before.mappings
    {
        verdict.hold(changed("its tags, its state or its devices"));
    }
}

/// Holds the verdict when a snapshot is no longer what it was decided on.
pub(super) fn snapshot(
    verdict: &mut Verdict,
    before: &Snapshot,
    now: Option<&Snapshot>,
    complete: bool,
) {
    match now {
        None if complete => verdict.hold(not_listed(&before.id)),
        None => {}
        Some(now) if now.tags.contains_key(artifact::PIN) => {
            verdict.hold(pinned(before.id.as_str()));
        }
        Some(now) if ours(&now.tags) != ours(&before.tags) || now.state != before.state => {
            verdict.hold(changed(&format!("tags or state of {}", before.id)));
        }
        Some(_) => {}
    }
}

fn not_listed(id: &impl std::fmt::Display) -> Reason {
    let detail = format!("{id} was not listed again; the next sweep sees whether it is gone");
    Reason::with(ReasonCode::EvidenceIncomplete, detail)
}

fn pinned(what: &str) -> Reason {
    Reason::with(
        ReasonCode::Pinned,
        format!("{what} carries {}", artifact::PIN),
    )
}

fn changed(what: &str) -> Reason {
    let detail = format!("{what} changed during the sweep");
    Reason::with(ReasonCode::EvidenceIncomplete, detail)
}

/// The tags that make an artifact Holdfast's, or another tool's.
fn ours(tags: &Tags) -> Vec<(&String, &String)> {
    let managed = |key: &str| key.starts_with(artifact::PREFIX) || key.starts_with("aws:");
    tags.iter().filter(|(key, _)| managed(key)).collect()
}
