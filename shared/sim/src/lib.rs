//! A simulated EC2 account with EC2's documented rules, on a virtual clock.
//!
//! One [`Account`] holds instances, volumes, snapshots, AMIs, launch templates and whatever else
//! refers to them, and answers requests of EC2 and Auto Scaling ([`request::Request`]) as these
//! document them. There is no I/O and no hidden
//! state: the clock moves only when told ([`Account::advance_to`]), identifiers come from a seed,
//! faults from rules, so the same seed and the same calls always give the same answers. An
//! operation or parameter that the account does not know cannot be said to it at all; the HTTP
//! door refuses it loudly.
//!
//! [`records`] holds Holdfast's own records in memory, for runs without a table.
//!
//! Two doors lead in: [`InProcess`] behind the product's ports, and the EC2 Query protocol over
//! HTTP in `holdfast-local-aws`.
//!
//! Where a rule cites `[B]`, `[E]`, `[Q]`, `[T]` or a user-guide page, that is: botocore's service
//! model, the API Reference's error page, the EBS quota page, the throttling page of the EC2
//! Developer Guide, or the page named. "Assumed" marks behaviour that AWS does not document.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod account;
mod call_log;
mod chaos;
mod echo;
mod error;
mod event;
mod fault;
mod filter;
mod ids;
mod in_process;
mod limits;
mod model;
mod ops;
mod page;
mod random;
pub mod records;
pub mod request;
mod response;
mod seed;
mod settings;
mod tag;
mod transition;

pub use account::{Account, SharedAccount};
pub use call_log::{CallOutcome, CallRecord, CallTally};
pub use chaos::{Chaos, ChaosFault};
pub use error::{ApiError, CallFailure};
pub use fault::{Fault, FaultRule};
pub use filter::Filter;
pub use in_process::InProcess;
pub use model::auto_scaling::{
    AutoScalingGroup, GroupLaunch, InstanceRefresh, LaunchConfiguration,
};
pub use model::device::{BlockDevice, DeviceTarget, EbsDevice};
pub use model::fast_restore::{
    FastRestore, FastRestoreChanges, FastRestoreRefusal, FastRestoreState,
};
pub use model::fleet::{Fleet, LaunchOverride, SpotFleet, SpotRequest, TemplateChoice};
pub use model::guest::{Command, Conduct, Guest, GuestSeed, Progress};
pub use model::image::{DeregistrationProtection, Image};
pub use model::image_reference::{ImageReference, Parameter, Recipe, ReferrerType};
pub use model::instance::{AttachedDevice, Instance, LaunchSettings, VirtualDevice};
pub use model::instance_type::InstanceTypeInfo;
pub use model::launch_template::{LaunchTemplate, LaunchTemplateVersion, TemplateData};
pub use model::lock::{Lock, LockEnd, LockMode, LockState, LockedSnapshot};
pub use model::permission::Grantee;
pub use model::recycle_bin::{Binned, Retained, RetentionRule};
pub use model::snapshot::Snapshot;
pub use model::tier::{TierHistory, TierStatus, Tiering, TieringKind};
pub use model::volume::{Volume, VolumeAttachment};
pub use page::Page;
pub use random::Numbers;
pub use response::{
    DeletedSnapshot, ImageAttribute, Response, StateChange, TagDescription, TierRestore,
};
pub use seed::{
    AutoScalingGroupSeed, FleetSeed, ImageSeed, InstanceSeed, SnapshotSeed, SpotFleetSeed,
    SpotRequestSeed, VolumeSeed,
};
pub use settings::Settings;
