//! What the guardrails ask of verdicts, however many there are and however they are kept.

use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::artifact::Artifact;
use crate::id::ImageId;
use crate::report::{Reason, ReasonCode};

use super::{Decision, FormerImage, Subject, Verdict};

/// What members of one multi-volume set have in common: run, slot and instance.
pub type SetKey = (String, Timestamp, String);

/// Verdicts in their order. A place beyond the last one is a mistake of the caller's.
pub trait Judged {
    /// How many there are.
    fn count(&self) -> usize;
    /// EC2's identifier of what it is about, `snap-…` or `ami-…`.
    fn id(&self, place: usize) -> Cow<'_, str>;
    /// Whether it is about an AMI.
    fn is_image(&self, place: usize) -> bool;
    /// The policy that governs it; the tagged name where none does.
    fn policy(&self, place: usize) -> &str;
    /// The point in time that the artifact holds, UTC.
    fn time(&self, place: usize) -> Option<Timestamp>;
    /// Whether it is a backup that counts.
    fn is_good(&self, place: usize) -> bool;
    /// The volume of a snapshot, the instance of an AMI.
    fn source(&self, place: usize) -> Option<Cow<'_, str>>;
    /// The sources whose pin or absence matters.
    fn sources(&self, place: usize) -> BTreeSet<String>;
    /// What its tags say, where they could be read.
    fn artifact(&self, place: usize) -> Option<Cow<'_, Artifact>>;
    /// The AMI that it backed, for a snapshot whose AMI somebody else deregistered; the one that an
    /// AMI maps all that is left of.
    fn orphan_of(&self, place: usize) -> Option<&FormerImage>;
    /// The AMI that it backed, for a snapshot that an earlier sweep left behind.
    fn former_image(&self, place: usize) -> Option<&ImageId>;
    /// Before when its deletion is not tried again, on the wall clock.
    fn retry_at(&self, place: usize) -> Option<Timestamp>;
    /// What is to become of it.
    fn decision(&self, place: usize) -> &Decision;
    /// Changes what is to become of it.
    fn decide(&mut self, place: usize, decision: Decision);

    /// Whether it may go.
    fn is_condemned(&self, place: usize) -> bool {
        matches!(self.decision(place), Decision::Condemn(_))
    }

    /// The places of those that may go.
    fn condemned(&self) -> Vec<usize> {
        (0..self.count())
            .filter(|&place| self.is_condemned(place))
            .collect()
    }

    /// Adds a reason to hold what was condemned; what is kept or held stays so.
    fn hold(&mut self, place: usize, reason: Reason) {
        let mut decision = self.decision(place).clone();
        decision.hold(reason, self.orphan_of(place).is_some());
        self.decide(place, decision);
    }

    /// Its set, for a snapshot that is a member of one. Images never are.
    fn set(&self, place: usize) -> Option<SetKey> {
        if self.is_image(place) {
            return None;
        }
        set_of(self.artifact(place)?.as_ref())
    }
}

pub(super) fn set_of(artifact: &Artifact) -> Option<SetKey> {
    let source = artifact.source.as_ref().filter(|s| s.starts_with("i-"))?;
    Some((artifact.run.clone()?, artifact.slot?, source.clone()))
}

impl Decision {
    /// Adds a reason to hold what was condemned; what is kept or held stays so. That somebody
    /// deregistered its AMI, which `orphan` tells, is said all the same.
    pub(super) fn hold(&mut self, reason: Reason, orphan: bool) {
        match self {
            Self::Condemn(reasons) => {
                let mut held = std::mem::take(reasons);
                held.retain(|r| orphan && r.code == ReasonCode::Orphaned);
                held.push(reason);
                *self = Self::Hold(held);
            }
            Self::Hold(reasons) => reasons.push(reason),
            Self::Keep(_) => {}
        }
    }

    /// Why.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Self::Keep(reasons) | Self::Hold(reasons) | Self::Condemn(reasons) => reasons,
        }
    }
}

impl Judged for Vec<Verdict> {
    fn count(&self) -> usize {
        self.len()
    }

    fn id(&self, place: usize) -> Cow<'_, str> {
        self[place].subject.id().into()
    }

    fn is_image(&self, place: usize) -> bool {
        matches!(self[place].subject, Subject::Image { .. })
    }

    fn policy(&self, place: usize) -> &str {
        &self[place].policy
    }

    fn time(&self, place: usize) -> Option<Timestamp> {
        self[place].subject.time()
    }

    fn is_good(&self, place: usize) -> bool {
        self[place].good
    }

    fn source(&self, place: usize) -> Option<Cow<'_, str>> {
        self[place].subject.source().map(Cow::from)
    }

    fn sources(&self, place: usize) -> BTreeSet<String> {
        let sources = self[place].subject.sources().into_iter();
        sources.map(str::to_owned).collect()
    }

    fn artifact(&self, place: usize) -> Option<Cow<'_, Artifact>> {
        self[place].artifact.as_ref().map(Cow::Borrowed)
    }

    fn orphan_of(&self, place: usize) -> Option<&FormerImage> {
        self[place].orphan_of.as_ref()
    }

    fn former_image(&self, place: usize) -> Option<&ImageId> {
        self[place].former_image.as_ref()
    }

    fn retry_at(&self, place: usize) -> Option<Timestamp> {
        self[place].retry_at
    }

    fn decision(&self, place: usize) -> &Decision {
        &self[place].decision
    }

    fn decide(&mut self, place: usize, decision: Decision) {
        self[place].decision = decision;
    }
}
