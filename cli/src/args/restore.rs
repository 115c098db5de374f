//! Arguments of `restore`.

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use holdfast::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast::plan::restore::{Target, initialization_rate};
use holdfast::ports::restore::TemplateChoice;
use jiff::Timestamp;

/// Of `restore` as a whole.
pub const EXAMPLES: &str = "\
Examples:
  HOLDFAST_TABLE=holdfast holdfast restore volume snap-0123456789abcdef0
  holdfast restore set --source i-0123456789abcdef0 --at 2026-11-23T03:00:00Z
  holdfast restore instance ami-0123456789abcdef0 \\
      --into-template lt-0123456789abcdef0

Shows what it would make and asks on a terminal; elsewhere changes nothing without --yes. Makes new \
things beside the old ones and never touches what is there. A repeated command makes nothing twice, \
and goes on where one that was cut off stopped. \
Exit status 3: something could not be restored, or could not be found out.";

const VOLUME_EXAMPLES: &str = "\
Examples:
  holdfast restore volume snap-0123456789abcdef0
  holdfast restore volume --source vol-0123456789abcdef0 \\
      --at 2026-11-23T03:00:00Z --yes
  holdfast restore volume snap-0123456789abcdef0 \\
      --attach i-0123456789abcdef0:/dev/sdf \\
      --initialization-rate 300

Zone, type and performance are the source's where nothing else is said. A device that is in use is \
refused: nothing is detached. Needs ec2:CreateVolume, ec2:CreateTags and ec2:AttachVolume.";

const SET_EXAMPLES: &str = "\
Examples:
  # the set that it is a member of
  holdfast restore set snap-0123456789abcdef0
  holdfast restore set --source i-0123456789abcdef0 \\
      --at 2026-11-23T03:00:00Z --yes

All members, from one point in time, or none. Needs ec2:CreateVolume and ec2:CreateTags.";

const INSTANCE_EXAMPLES: &str = "\
Examples:
  holdfast restore instance ami-0123456789abcdef0
  holdfast restore instance --source i-0123456789abcdef0 \\
      --at 2026-11-23T03:00:00Z --yes
  holdfast restore instance ami-0123456789abcdef0 \\
      --launch-template lt-0123456789abcdef0
  holdfast restore instance ami-0123456789abcdef0 --into-template web:$Latest

Launched as the source instance is, as long as EC2 still tells how; else by a launch template. Needs \
ec2:RunInstances, ec2:CreateTags and, with an instance profile, iam:PassRole; or \
ec2:CreateLaunchTemplateVersion.";

/// What is to be restored.
#[derive(Debug, Subcommand)]
pub enum RestoreCommand {
    /// Make a volume of a snapshot
    #[command(after_help = VOLUME_EXAMPLES)]
    Volume(VolumeArguments),
    /// Make all volumes of a multi-volume set, from one point in time
    #[command(after_help = SET_EXAMPLES)]
    Set(SetArguments),
    /// Launch an instance of an AMI, or write the AMI into a launch template
    #[command(after_help = INSTANCE_EXAMPLES)]
    Instance(InstanceArguments),
}

/// What every restore takes.
#[derive(Args, Debug)]
pub struct Manner {
    /// Copy the user's tags of the backup to what is made; policies may then pick it
    #[arg(long)]
    pub copy_tags: bool,
    /// Make another one, besides what the same command made before
    #[arg(long, value_name = "LABEL", value_parser = NonEmptyStringValueParser::new())]
    pub again: Option<String>,
    /// Do it without asking
    #[arg(long)]
    pub yes: bool,
}

/// Arguments of `restore volume`.
#[derive(Args, Debug)]
pub struct VolumeArguments {
    /// snap-…
    #[arg(value_name = "SNAPSHOT", value_parser = snapshot, required_unless_present = "source")]
    pub snapshot: Option<SnapshotId>,
    /// The newest good backup of this volume (vol-…) that is not after --at
    #[arg(long, value_name = "VOLUME", value_parser = volume, requires = "at", conflicts_with = "snapshot")]
    pub source: Option<VolumeId>,
    /// The latest point in time, such as 2026-11-23T03:00:00Z
    #[arg(long, value_name = "TIME", value_parser = super::moment::parse, requires = "source")]
    pub at: Option<Timestamp>,
    /// Availability Zone [default: of --attach, else of the source]
    #[arg(long, value_name = "ZONE", value_parser = NonEmptyStringValueParser::new())]
    pub az: Option<String>,
    /// Volume type [default: the source's, else gp3]
    #[arg(long = "type", value_name = "TYPE", value_parser = NonEmptyStringValueParser::new())]
    pub volume_type: Option<String>,
    /// IOPS [default: the source's]
    #[arg(long, value_name = "N")]
    pub iops: Option<i32>,
    /// Throughput in MiB/s [default: the source's]
    #[arg(long, value_name = "N")]
    pub throughput: Option<i32>,
    /// Load all blocks at this rate in MiB/s, 100 to 300 (charged) [default: as they are read]
    #[arg(long, value_name = "N", value_parser = rate)]
    pub initialization_rate: Option<i32>,
    /// Attach it there, at a device that is free
    #[arg(long, value_name = "INSTANCE:DEVICE", value_parser = target)]
    pub attach: Option<Target>,
    /// How.
    #[command(flatten)]
    pub manner: Manner,
}

/// Arguments of `restore set`.
#[derive(Args, Debug)]
pub struct SetArguments {
    /// snap-…, any member of the set
    #[arg(value_name = "SNAPSHOT", value_parser = snapshot, required_unless_present = "source")]
    pub snapshot: Option<SnapshotId>,
    /// The newest whole set of this instance (i-…) that is not after --at
    #[arg(long, value_name = "INSTANCE", value_parser = instance, requires = "at", conflicts_with = "snapshot")]
    pub source: Option<InstanceId>,
    /// The latest point in time, such as 2026-11-23T03:00:00Z
    #[arg(long, value_name = "TIME", value_parser = super::moment::parse, requires = "source")]
    pub at: Option<Timestamp>,
    /// Availability Zone [default: of the sources, else of their instance]
    #[arg(long, value_name = "ZONE", value_parser = NonEmptyStringValueParser::new())]
    pub az: Option<String>,
    /// Load all blocks at this rate in MiB/s, 100 to 300 (charged) [default: as they are read]
    #[arg(long, value_name = "N", value_parser = rate)]
    pub initialization_rate: Option<i32>,
    /// How.
    #[command(flatten)]
    pub manner: Manner,
}

/// Arguments of `restore instance`.
#[derive(Args, Debug)]
pub struct InstanceArguments {
    /// ami-…
    #[arg(value_name = "AMI", value_parser = image, required_unless_present = "source")]
    pub image: Option<ImageId>,
    /// The newest good AMI of this instance (i-…) that is not after --at
    #[arg(long, value_name = "INSTANCE", value_parser = instance, requires = "at", conflicts_with = "image")]
    pub source: Option<InstanceId>,
    /// The latest point in time, such as 2026-11-23T03:00:00Z
    #[arg(long, value_name = "TIME", value_parser = super::moment::parse, requires = "source")]
    pub at: Option<Timestamp>,
    /// Launch by this template instead (lt-… or name, default version unless :VERSION)
    #[arg(long, value_name = "TEMPLATE[:VERSION]", value_parser = template)]
    pub launch_template: Option<TemplateChoice>,
    /// Launch nothing: write a new version of this template (from its latest unless :VERSION)
    #[arg(long, value_name = "TEMPLATE[:VERSION]", value_parser = template, conflicts_with = "launch_template")]
    pub into_template: Option<TemplateChoice>,
    /// How.
    #[command(flatten)]
    pub manner: Manner,
}

fn snapshot(text: &str) -> Result<SnapshotId, String> {
    SnapshotId::parse(text).ok_or_else(|| "write the identifier of a snapshot (snap-…)".to_owned())
}

fn volume(text: &str) -> Result<VolumeId, String> {
    VolumeId::parse(text).ok_or_else(|| "write the identifier of a volume (vol-…)".to_owned())
}

fn instance(text: &str) -> Result<InstanceId, String> {
    InstanceId::parse(text).ok_or_else(|| "write the identifier of an instance (i-…)".to_owned())
}

fn image(text: &str) -> Result<ImageId, String> {
    ImageId::parse(text).ok_or_else(|| "write the identifier of an AMI (ami-…)".to_owned())
}

fn target(text: &str) -> Result<Target, String> {
    let wrong =
        || "write an instance and a device, such as i-0123456789abcdef0:/dev/sdf".to_owned();
    Target::parse(text).ok_or_else(wrong)
}

fn template(text: &str) -> Result<TemplateChoice, String> {
    let wrong = || "write lt-… or a name, with :NUMBER, :$Latest or :$Default if wanted".to_owned();
    TemplateChoice::parse(text).ok_or_else(wrong)
}

fn rate(text: &str) -> Result<i32, String> {
    let number = text.parse().map_err(|_| "write a whole number".to_owned());
    number.and_then(initialization_rate)
}
