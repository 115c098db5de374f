//! Arguments of the commands by which backups are looked at and operated.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};
use clap_complete::Shell;
use holdfast::inventory::{ImageState, SnapshotState};
use jiff::Timestamp;

use super::{Now, Policies, moment, resource};

pub(super) const LS_EXAMPLES: &str = "\
Examples:
  holdfast ls
  holdfast ls --policy nightly --since 7d --sort size
  holdfast ls --source vol-0123456789abcdef0 --json \\
      | jq -r '.items[].resource'
  holdfast ls --state pending,error

The account's own managed snapshots and AMIs, as EC2 lists them; the snapshots behind an AMI are \
counted in its size. --sort: time (newest first), age (oldest first), size (largest first), policy, \
source. Changes nothing, and needs no table. Exit status 3: a failed backup is among them.";

pub(super) const RUNS_EXAMPLES: &str = "\
Examples:
  HOLDFAST_TABLE=holdfast holdfast runs
  holdfast runs --since 2h --policy nightly
  holdfast runs 3f0c8a52-7d0e-4a5e-9d49-0a52d2b2b9ab

A run is known by what it made, failed at or deleted: one that had nothing to do leaves no trace. \
Without ID, runs of the last 24 hours; with ID, everything recorded of that run. Reads the whole table \
page by page (dynamodb:Scan). Exit status 3: something failed.";

pub(super) const RUN_EXAMPLES: &str = "\
Examples:
  holdfast run nightly --dry-run --function holdfast-CreateSnapshots-1A2B3C
  holdfast run nightly --resources i-0123456789abcdef0,vol-0123456789abcdef0
  HOLDFAST_TABLE=holdfast holdfast run nightly --local

The function is named by --function or, after what the policy protects, by \
HOLDFAST_FUNCTION_CREATE_SNAPSHOTS or HOLDFAST_FUNCTION_CREATE_IMAGES (the stack's outputs \
CreateSnapshotsArn and CreateImagesArn). --local does the same work in this process, with your own \
credentials and the local policy file. The same --id again is the same run: nothing is made twice, and \
a run that was interrupted goes on.";

pub(super) const SWEEP_EXAMPLES: &str = "\
Examples:
  HOLDFAST_TABLE=holdfast holdfast sweep --policies policies.yaml
  holdfast sweep --policy nightly --now +7d
  holdfast sweep --enforce --function holdfast-SweepRetention-1A2B3C
  holdfast sweep --enforce --yes --override PLAN-HASH

Without --enforce, a plan: nothing changes. With it, the plan is shown and the number of deletions has \
to be typed back (--yes: not); then they are carried out in this process, with your own credentials, \
under the function's lease, its guardrails and its last look at each backup. Refused when the deployed \
function (--function or HOLDFAST_FUNCTION_SWEEP_RETENTION, the stack's output SweepRetentionArn), which \
is asked for a dry run, has another policy file, or cannot be asked. What Ctrl-C interrupts, the next \
sweep finishes.";

pub(super) const UNPIN_EXAMPLES: &str = "\
Examples:
  HOLDFAST_TABLE=holdfast holdfast unpin snap-0123456789abcdef0
  holdfast unpin vol-0123456789abcdef0 --yes

Takes the tag holdfast:pin off a snapshot, an AMI, a volume or an instance, and a source's pin off the \
record, where it outlives the source. Says what it keeps and asks first; elsewhere than on a terminal \
it changes nothing without --yes. Nothing is deleted here: the next sweep judges anew. Needs \
ec2:DeleteTags.";

pub(super) const SEND_EXAMPLES: &str = "\
Examples:
  holdfast events send events/create-snapshots/valid/scheduled-event.json \\
      --function create-snapshots
  holdfast events send event.json \\
      --function arn:aws:lambda:eu-central-1:111122223333:function:sweep
  jq '.time = (now | todate)' heartbeat.json | holdfast events send - \\
      --function sweep-retention
  holdfast events send event.json --function create-images --local

--function is a Lambda function's name or ARN; create-snapshots, create-images, sweep-retention and \
check-dependencies stand for what HOLDFAST_FUNCTION_CREATE_SNAPSHOTS, …_CREATE_IMAGES, \
…_SWEEP_RETENTION and …_CHECK_DEPENDENCIES name. With --local, the one of that name is run in this \
process, with your own credentials; a local sweep only plans.";

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  holdfast completions bash > /etc/bash_completion.d/holdfast
  source <(holdfast completions zsh)";

/// Arguments of `ls`.
#[derive(Args, Debug)]
pub struct LsArguments {
    /// Only backups of this policy
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub policy: Option<String>,
    /// Only backups of this volume or instance
    #[arg(long, value_name = "ID", value_parser = resource)]
    pub source: Option<String>,
    /// Only backups whose point in time is not before this
    #[arg(long, value_name = "T", value_parser = moment::parse, allow_hyphen_values = true)]
    pub since: Option<Timestamp>,
    /// Only backups in one of these states, in EC2's words
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = state)]
    pub state: Vec<String>,
    /// The order
    #[arg(long, value_name = "ORDER", default_value = "time")]
    pub sort: Sort,
}

/// The order of a list of backups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// Newest first
    Time,
    /// Oldest first
    Age,
    /// Largest first
    Size,
    /// By policy, then by source, newest first
    Policy,
    /// By source, newest first
    Source,
}

/// Arguments of `runs`.
#[derive(Args, Debug)]
pub struct RunsArguments {
    /// A run
    #[arg(value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub id: Option<String>,
    /// Only what happened from this time on [default: 24h; with ID: all]
    #[arg(long, value_name = "T", value_parser = moment::parse, allow_hyphen_values = true)]
    pub since: Option<Timestamp>,
    /// Only what concerned this policy
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub policy: Option<String>,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub struct RunArguments {
    /// The policy
    #[arg(value_name = "POLICY")]
    pub policy: String,
    /// Only these of its sources: i-…, for volumes also vol-…
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = resource)]
    pub resources: Vec<String>,
    /// Show what would be made
    #[arg(long)]
    pub dry_run: bool,
    /// Identifier that makes a repeated command the same run [default: a new one]
    #[arg(long, value_name = "RUN-ID", value_parser = NonEmptyStringValueParser::new())]
    pub id: Option<String>,
    /// The Lambda function's name or ARN
    #[arg(long, value_name = "NAME|ARN", value_parser = NonEmptyStringValueParser::new())]
    pub function: Option<String>,
    /// Do it in this process
    #[arg(long, conflicts_with = "function")]
    pub local: bool,
    /// The policy file.
    #[command(flatten)]
    pub policies: Policies,
    /// The time to reckon from.
    #[command(flatten)]
    pub now: Now,
}

/// Arguments of `sweep`.
#[derive(Args, Debug)]
pub struct SweepArguments {
    /// Only this policy
    #[arg(long, value_name = "NAME")]
    pub policy: Option<String>,
    /// Delete what the plan says
    #[arg(long, conflicts_with = "given")]
    pub enforce: bool,
    /// Without asking
    #[arg(long, requires = "enforce")]
    pub yes: bool,
    /// Release what a tripped breaker held under this plan hash
    #[arg(long = "override", value_name = "PLAN-HASH", value_parser = NonEmptyStringValueParser::new())]
    pub release: Option<String>,
    /// The deployed sweep's name or ARN, asked which policy file it has
    #[arg(long, value_name = "NAME|ARN", requires = "enforce", value_parser = NonEmptyStringValueParser::new())]
    pub function: Option<String>,
    /// The policy file.
    #[command(flatten)]
    pub policies: Policies,
    /// The time to reckon from.
    #[command(flatten)]
    pub now: Now,
}

/// Arguments of `unpin`.
#[derive(Args, Debug)]
pub struct UnpinArguments {
    /// snap-…, ami-…, vol-… or i-…
    #[arg(value_name = "ID", required = true, value_parser = resource)]
    pub ids: Vec<String>,
    /// Without asking
    #[arg(long)]
    pub yes: bool,
}

/// A command about events.
#[derive(Debug, Subcommand)]
pub enum EventsCommand {
    /// Send an event from a file to a function, and show its report
    #[command(after_help = SEND_EXAMPLES)]
    Send(SendArguments),
}

/// Arguments of `events send`.
#[derive(Args, Debug)]
pub struct SendArguments {
    /// The event, as JSON; `-` is standard input
    #[arg(value_name = "FILE|-")]
    pub event: PathBuf,
    /// The function: its name or ARN, or one of Holdfast's four names
    #[arg(long, value_name = "NAME|ARN", value_parser = NonEmptyStringValueParser::new())]
    pub function: String,
    /// Do the function's work in this process
    #[arg(long)]
    pub local: bool,
    /// The policy file, with --local.
    #[command(flatten)]
    pub policies: Policies,
}

/// Arguments of `completions`.
#[derive(Args, Debug)]
pub struct CompletionsArguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

fn state(text: &str) -> Result<String, String> {
    let known = !matches!(SnapshotState::parse(text), SnapshotState::Unknown(_))
        || !matches!(ImageState::parse(text), ImageState::Unknown(_));
    if known {
        return Ok(text.to_owned());
    }
    Err(
        "write a state of snapshots (pending, completed, error, recoverable, recovering) or of AMIs \
         (pending, available, failed, disabled, deregistered, invalid, transient, error)"
            .to_owned(),
    )
}
