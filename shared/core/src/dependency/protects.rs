//! What a source could protect, and so what may not go while the source is unread.

use jiff::{SignedDuration, Timestamp};

use crate::inventory::{Reading, Source};
use crate::plan::judge::Subject;
use crate::policy::{EvidenceSource, Policy, TemplateVersions};
use crate::report::{Reason, ReasonCode};

/// Evidence older than this on the wall clock justifies no deletion.
pub const FRESH: SignedDuration = SignedDuration::from_mins(15);

/// When it is asked what is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// While planning, on the lists alone.
    Planning,
    /// Right before a deletion, and to explain: by then shares and image references are read, too.
    Acting,
}

/// Every source that a deletion may need; all but `InstanceTypes`, which protects nothing, and
/// `Lineage`, which has its own guardrail.
const SOURCES: [Source; 14] = [
    Source::Instances,
    Source::Volumes,
    Source::Snapshots,
    Source::Images,
    Source::LaunchTemplates,
    Source::LaunchConfigurations,
    Source::AutoScaling,
    Source::Fleets,
    Source::ImageReferences,
    Source::ImageRecipes,
    Source::RecycleBin,
    Source::FastRestore,
    Source::Shares,
    Source::Locks,
];

/// A reason for each source that could protect the subject and whose evidence is missing: it was
/// not read, not to its end, or more than [`FRESH`] from `wall`, the time on the wall clock. What
/// the policy declares not in use is not missed.
///
/// Several readings of one source must all be good.
#[must_use]
pub fn unread(
    policy: Option<&Policy>,
    subject: &Subject,
    readings: &[Reading],
    wall: Timestamp,
    moment: Moment,
) -> Vec<Reason> {
    let missing = |source: Source| -> Option<String> {
        let mut of_source = readings.iter().filter(|r| r.source == source).peekable();
        if of_source.peek().is_none() {
            let needed = moment == Moment::Acting || !read_late(source);
            return needed.then(|| "was not read".to_owned());
        }
        of_source.find_map(|reading| {
            if let Some(error) = &reading.error {
                return Some(error.to_string());
            }
            let age = wall.duration_since(reading.read_at);
            // A clock that was set back makes an age that says nothing.
            (age.abs() > FRESH)
                .then(|| format!("was read at {}, not within {FRESH:#}", reading.read_at))
        })
    };
    let sources = SOURCES.into_iter().filter(|source| {
        let declared = declarable(*source);
        let unused =
            declared.is_some_and(|d| policy.is_some_and(|p| p.evidence_not_used.contains(&d)));
        !unused && could_protect(*source, policy, subject)
    });
    sources
        .filter_map(|source| Some((source, missing(source)?)))
        .map(|(source, why)| {
            let detail = format!("{}: {why}", source.as_str());
            Reason::with(ReasonCode::EvidenceIncomplete, detail)
        })
        .collect()
}

/// Whether evidence of this source could hold the subject under this policy.
#[must_use]
pub fn could_protect(source: Source, policy: Option<&Policy>, subject: &Subject) -> bool {
    let is_image = matches!(subject, Subject::Image { .. });
    let from = |prefix: &str| subject.sources().iter().any(|id| id.starts_with(prefix));
    match source {
        Source::Snapshots
        | Source::Images
        | Source::Shares
        // Both name AMIs and snapshots.
        | Source::LaunchTemplates
        | Source::LaunchConfigurations
        | Source::Fleets => true,
        // AMIs that were launched, and pins.
        Source::Instances => is_image || from("i-"),
        // Pins.
        Source::Volumes => from("vol-"),
        // A group's own word on a snapshot is which version of a template it launches, and that
        // holds by itself unless the policy lets old versions go.
        Source::AutoScaling => {
            is_image
                || policy.is_some_and(|p| p.launch_template_versions != TemplateVersions::All)
        }
        Source::ImageReferences | Source::ImageRecipes => is_image,
        // What concerns snapshots concerns an AMI through its own.
        Source::RecycleBin | Source::FastRestore => !is_image || has_snapshots(subject),
        // EC2 itself refuses to delete a locked snapshot, but not to deregister the AMI over it (EBS
        // User Guide, "Amazon EBS snapshot lock").
        Source::Locks => is_image && has_snapshots(subject),
        Source::InstanceTypes | Source::Lineage => false,
    }
}

fn has_snapshots(subject: &Subject) -> bool {
    match subject {
        Subject::Snapshot(_) => true,
        Subject::Image { image, snapshots } => {
            !snapshots.is_empty() || image.snapshots().next().is_some()
        }
    }
}

/// Whether a source is read for single artifacts, right before they go or to explain them.
fn read_late(source: Source) -> bool {
    matches!(
        source,
        Source::ImageReferences | Source::ImageRecipes | Source::Shares
    )
}

/// The source as policies may declare it.
fn declarable(source: Source) -> Option<EvidenceSource> {
    match source {
        Source::LaunchTemplates => Some(EvidenceSource::LaunchTemplates),
        Source::LaunchConfigurations => Some(EvidenceSource::LaunchConfigurations),
        Source::AutoScaling => Some(EvidenceSource::AutoScaling),
        Source::Fleets => Some(EvidenceSource::Fleets),
        Source::ImageReferences => Some(EvidenceSource::ImageReferences),
        Source::ImageRecipes => Some(EvidenceSource::ImageRecipes),
        Source::RecycleBin => Some(EvidenceSource::RecycleBin),
        Source::FastRestore => Some(EvidenceSource::FastRestore),
        Source::Instances
        | Source::Volumes
        | Source::Snapshots
        | Source::Images
        | Source::InstanceTypes
        | Source::Shares
        | Source::Locks
        | Source::Lineage => None,
    }
}
