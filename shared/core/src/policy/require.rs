//! What some policy must pick: the file's `require`.

use super::field::{At, Findings};
use super::{TagPatterns, selector};

/// What a requirement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequiredResource {
    /// Instances: picked as such, or with a volume of theirs.
    Instances,
    /// Volumes: picked as such, or in an AMI of their instance.
    Volumes,
}

impl RequiredResource {
    /// Its spelling in policy files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Instances => "instances",
            Self::Volumes => "volumes",
        }
    }
}

/// Every resource of this kind with these tags must be picked by an active policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The kind.
    pub resource: RequiredResource,
    /// All must match; none at all matches every one.
    pub tags: TagPatterns,
}

/// Reads `require`, and notes what is wrong with it.
pub(super) fn require(at: &At<'_>, found: &mut Findings) -> Vec<Requirement> {
    let expected = "a list such as [{ resource: instances, tags: { Backup: \"*\" } }]";
    let items = at.list(found, expected).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| requirement(item, found))
        .collect()
}

fn requirement(item: &At<'_>, found: &mut Findings) -> Option<Requirement> {
    let expected = "{ resource: instances, tags: { Backup: \"*\" } }";
    let fields = item.fields(found, &["resource", "tags"], expected)?;
    let resource = fields
        .require(found, "resource", "instances or volumes")
        .and_then(|at| {
            let choices = [
                ("instances", RequiredResource::Instances),
                ("volumes", RequiredResource::Volumes),
            ];
            at.choice(found, &choices)
        });
    let tags = fields
        .require(found, "tags", "tags such as { Backup: \"*\" }")
        .and_then(|at| selector::tags(at, found));
    Some(Requirement {
        resource: resource?,
        tags: tags?,
    })
}
