//! What a verdict is about: a snapshot, or an AMI with the snapshots that back it.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::artifact::SOURCE;
use crate::inventory::{Image, Snapshot, Tags};

/// What a verdict is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A snapshot in its own right, or one whose AMI is gone.
    Snapshot(Snapshot),
    /// An AMI, which takes its snapshots with it.
    Image {
        /// The AMI.
        image: Image,
        /// Those of the snapshots it maps that are listed, each once; of a failed one those of its
        /// run that nothing maps, too.
        snapshots: Vec<Snapshot>,
    },
}

impl Subject {
    /// EC2's identifier, `snap-…` or `ami-…`.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Snapshot(snapshot) => snapshot.id.as_str(),
            Self::Image { image, .. } => image.id.as_str(),
        }
    }

    /// The point in time it holds, UTC: `StartTime` of a snapshot, `CreationDate` of an AMI.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        match self {
            Self::Snapshot(snapshot) => snapshot.start,
            Self::Image { image, .. } => image.created,
        }
    }

    /// The volume of a snapshot, the instance of an AMI.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::Snapshot(snapshot) => snapshot.volume.as_ref().map(AsRef::as_ref),
            Self::Image { image, .. } => {
                let made_of = image.source_instance.as_ref().map(AsRef::as_ref);
                made_of.or_else(|| image.tags.get(SOURCE).map(String::as_str))
            }
        }
    }

    /// The account that owns it.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        match self {
            Self::Snapshot(snapshot) => snapshot.owner.as_deref(),
            Self::Image { image, .. } => image.owner.as_deref(),
        }
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> &Tags {
        match self {
            Self::Snapshot(snapshot) => &snapshot.tags,
            Self::Image { image, .. } => &image.tags,
        }
    }

    /// Its state, as EC2 spells it.
    #[must_use]
    pub fn state(&self) -> &str {
        match self {
            Self::Snapshot(snapshot) => snapshot.state.as_str(),
            Self::Image { image, .. } => image.state.as_str(),
        }
    }

    /// The sources whose pin or absence matters: volumes, the instance, and what the call named.
    #[must_use]
    pub fn sources(&self) -> BTreeSet<&str> {
        let mut sources: BTreeSet<&str> = self.source().into_iter().collect();
        sources.extend(self.tags().get(SOURCE).map(String::as_str));
        if let Self::Image { snapshots, .. } = self {
            let volumes = snapshots.iter().filter_map(|s| s.volume.as_ref());
            sources.extend(volumes.map(AsRef::<str>::as_ref));
        }
        sources
    }
}
