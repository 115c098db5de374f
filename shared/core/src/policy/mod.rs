//! The policy file: what is backed up, when, and how long it is kept.
//!
//! This module reads the text it is given; it never reads a clock and does no other I/O.

mod check;
mod consistency;
mod cron;
mod cron_field;
pub mod error;
mod exclude;
pub(crate) mod field;
mod gap;
mod holding;
pub(crate) mod node;
mod parse;
pub mod period;
mod prices;
mod require;
mod rpo;
pub mod schedule;
pub mod selection;
mod selector;
mod slots;
pub mod spacing;
mod triggers;

pub use consistency::{Application, OnFailure, RequestedConsistency};
pub use error::{PolicyError, PolicyErrors};
pub use exclude::Exclude;
pub use holding::TemplateVersions;
pub use prices::Prices;
pub use require::{RequiredResource, Requirement};
pub use rpo::Rpo;

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use period::Period;

/// A policy file that passed every check.
#[derive(Clone, Debug)]
pub struct PolicyFile {
    /// The policies, in the file's order.
    pub policies: Vec<Policy>,
    /// What some active policy must pick.
    pub require: Vec<Requirement>,
    /// What storage costs, for figures only.
    pub prices: Prices,
    /// SHA-256 of the file's bytes, lower-case hexadecimal.
    pub sha256: String,
}

/// What a policy makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protect {
    /// EBS snapshots.
    Volumes,
    /// AMIs.
    Instances,
}

/// What one retention group is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// The volume of a snapshot, the instance of an AMI.
    Source,
    /// Everything that the policy made.
    Policy,
    /// The source's value of this tag at creation.
    Tag(String),
}

/// Whether a policy works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyState {
    /// Creates and retires.
    Active,
    /// Creates nothing, retires nothing.
    Paused,
    /// Creates nothing, retires.
    Retired,
}

/// A state change of an instance that makes a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// The instance has stopped.
    Stopped,
    /// The instance is running.
    Running,
    /// A Spot instance will be interrupted in two minutes.
    SpotInterruption,
}

impl Trigger {
    /// Every trigger.
    pub const ALL: [Self; 3] = [Self::Stopped, Self::Running, Self::SpotInterruption];

    /// Its spelling in policy files and records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Running => "running",
            Self::SpotInterruption => "spot-interruption",
        }
    }

    /// The trigger for a spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// A source of evidence that a policy may declare not in use in this account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EvidenceSource {
    /// Launch templates.
    LaunchTemplates,
    /// Launch configurations.
    LaunchConfigurations,
    /// Auto Scaling groups.
    AutoScaling,
    /// EC2 Fleets, Spot Fleets and Spot requests.
    Fleets,
    /// `DescribeImageReferences`.
    ImageReferences,
    /// Image Builder recipes.
    ImageRecipes,
    /// The Recycle Bin.
    RecycleBin,
    /// Fast snapshot restore.
    FastRestore,
}

impl EvidenceSource {
    /// Every source that may be declared not in use.
    pub const ALL: [Self; 8] = [
        Self::LaunchTemplates,
        Self::LaunchConfigurations,
        Self::AutoScaling,
        Self::Fleets,
        Self::ImageReferences,
        Self::ImageRecipes,
        Self::RecycleBin,
        Self::FastRestore,
    ];

    /// The source's name in policy files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LaunchTemplates => "launch_templates",
            Self::LaunchConfigurations => "launch_configurations",
            Self::AutoScaling => "auto_scaling",
            Self::Fleets => "fleets",
            Self::ImageReferences => "image_references",
            Self::ImageRecipes => "image_recipes",
            Self::RecycleBin => "recycle_bin",
            Self::FastRestore => "fast_restore",
        }
    }
}

/// One accepted value pattern of a tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TagPattern {
    /// Any value, written `"*"`.
    Any,
    /// One of these values.
    OneOf(Vec<String>),
}

/// Tags that must all (in a selection) or any of which may (in an exclusion) match.
pub type TagPatterns = BTreeMap<String, TagPattern>;

/// What a policy picks: the union of its entries, less the exclusions.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Select {
    /// Instances by tags.
    pub instances: Option<TagPatterns>,
    /// Volumes by tags, attached or not (`protect: volumes` only).
    pub volumes: Option<TagPatterns>,
    /// What is left out of them.
    pub exclude: Exclude,
}

/// Keep rules; zero or `None` is no rule.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Retain {
    /// Newest backups by count.
    pub last: u32,
    /// Newest of each of the last hours that have one.
    pub hourly: u32,
    /// Newest of each of the last days that have one.
    pub daily: u32,
    /// Newest of each of the last ISO weeks that have one.
    pub weekly: u32,
    /// Newest of each of the last months that have one.
    pub monthly: u32,
    /// Newest of each of the last years that have one.
    pub yearly: u32,
    /// Everything younger than this, measured from the newest good backup of the group.
    pub within: Option<Period>,
}

/// How far a policy's good backups may fall in 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Percentage of what stood 24 h before that may go.
    pub max_shrink_percent: u32,
    /// Deletions in 24 h that never trip the breaker.
    pub free: u32,
}

/// One policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Its name, `^[a-z0-9][a-z0-9-]{0,39}$`.
    pub name: String,
    /// What it makes.
    pub protect: Protect,
    /// What it picks.
    pub select: Select,
    /// When it makes a backup; may be empty when there are triggers.
    pub schedules: Vec<schedule::Schedule>,
    /// How long after its slot a backup may be started and still be on time.
    pub start_within: Period,
    /// Zone in which cron slots and retention periods are reckoned.
    pub timezone: TimeZone,
    /// State changes that make a backup.
    pub triggers: BTreeSet<Trigger>,
    /// For how long after a backup that a state change made none is made for another of the same
    /// instance.
    pub cooldown: Period,
    /// Reboot the instance for its AMI.
    pub reboot: bool,
    /// How consistent its backups are to be.
    pub consistency: RequestedConsistency,
    /// Keep rules.
    pub retain: Retain,
    /// Newest good backups of a group that are never retired; at least 1.
    pub min_copies: u32,
    /// What one retention group is.
    pub group: GroupBy,
    /// Time between a sweep that condemns and a later one that deletes; `None` is none.
    pub grace: Option<Period>,
    /// The circuit breaker.
    pub limits: Limits,
    /// Sources of evidence declared not in use.
    pub evidence_not_used: BTreeSet<EvidenceSource>,
    /// Which versions of a launch template hold what they name.
    pub launch_template_versions: TemplateVersions,
    /// Whether a stopped instance holds the AMI that it was launched from.
    pub stopped_instances_hold: bool,
    /// Whether a terminated instance does, for the hour or so that EC2 still lists it.
    pub terminated_instances_hold: bool,
    /// For how long a launch holds the AMI; `None` is not at all.
    pub recently_launched: Option<Period>,
    /// After how long the last backups of a source that is gone may go; `None` is never.
    pub source_gone_delete_after: Option<Period>,
    /// How old a source's newest good backup may get, where the policy says so; see
    /// [`Policy::rpo_at`].
    pub rpo: Option<Period>,
    /// Whether it works.
    pub state: PolicyState,
    /// Earlier names whose backups this policy governs.
    pub formerly: Vec<String>,
}
