//! What can be asked for on the command line.

mod lineage;
pub mod moment;
mod operate;
mod report;
pub mod restore;
mod simulate;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, Subcommand};
use holdfast::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast::settings::DEFAULT_POLICIES;
use jiff::Timestamp;

pub use lineage::{Format, LineageArguments};
pub use operate::*;
pub use report::ReportArguments;
pub use simulate::SimulateArguments;

const EXAMPLES: &str = "\
Examples:
  holdfast policies check policies.yaml
  holdfast retention --policies policies.yaml --policy nightly \\
      --times times.txt
  holdfast plan --policies policies.yaml
  holdfast simulate --policies policies.yaml --fleet fleet.yaml
  holdfast coverage --policies policies.yaml
  holdfast explain ami-0123456789abcdef0
  holdfast evidence snap-0123456789abcdef0
  holdfast adopt --policy nightly snap-0123456789abcdef0
  holdfast lineage snap-0123456789abcdef0
  holdfast ls --policy nightly --since 7d
  holdfast runs --since 24h
  holdfast run nightly --dry-run
  holdfast sweep
  holdfast report --html backups.html --policies policies.yaml
  holdfast restore volume snap-0123456789abcdef0

Exit status:
  0  done, nothing wrong
  1  failed
  2  wrong usage, or a wrong policy file
  3  done, and something needs attention

HOLDFAST_TABLE names the table. A time is RFC 3339 (2026-11-23T03:00:00Z) or counted from now: 7d is \
seven days ago, +2h is in two hours. NO_COLOR turns colours off. AWS settings are the SDK's own:
AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL and so on.";

const CHECK_EXAMPLES: &str = "\
Examples:
  holdfast policies check policies.yaml
  # over a change of clocks
  holdfast policies check policies.yaml --now 2027-03-27T12:00:00Z

What is wrong is printed to standard error, one a line: FILE:LINE: KEY: message.";

const RETENTION_EXAMPLES: &str = "\
Examples:
  holdfast retention --policies policies.yaml --policy nightly \\
      --times times.txt
  printf '2026-11-22T03:00:00Z\\n2026-11-23T03:00:00Z\\n' |
    holdfast retention --policies policies.yaml --policy nightly --times -

Needs no AWS access and no settings.";

const PLAN_EXAMPLES: &str = "\
Examples:
  HOLDFAST_TABLE=holdfast holdfast plan --policies policies.yaml
  holdfast plan --region eu-central-1 --profile backup --json | jq .summary
  holdfast plan --now 2026-11-23T03:00:00Z

Changes nothing. Exit status 3: something needs attention.";

const COVERAGE_EXAMPLES: &str = "\
Examples:
  HOLDFAST_TABLE=holdfast holdfast coverage --policies policies.yaml
  holdfast coverage --json \\
      | jq -r '.items[] | select(.outcome == \"finding\") | .resource'

For each source that an active policy picks: its newest good backup, how old that is, how old it may \
get (rpo), and the consistency that it reached. Then policies that pick nothing, sources that no policy \
picks although `require` names them or they have backups, and keys that make backups unusable. \
Changes nothing. Exit status 3: a source is without what was promised, or nobody can say.";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  HOLDFAST_TABLE=holdfast holdfast explain ami-0123456789abcdef0 \\
      --policies policies.yaml
  holdfast explain snap-0123456789abcdef0 snap-0fedcba9876543210 --json \\
      | jq '.items[].reasons'

A path reads from the backup to what needs it: snap-1 <- ami-1 <- i-1. Below the table stand, for \
each, what would break if it went, and what would have to change for it to become deletable. \
Changes nothing. Exit status 3: not all of them may be deleted.";

const EVIDENCE_EXAMPLES: &str = "\
Examples:
  HOLDFAST_TABLE=holdfast holdfast evidence ami-0123456789abcdef0
  holdfast evidence snap-0123456789abcdef0 --json \\
      | jq '.items[].evidence.lists'

What Holdfast recorded of a deletion stays when the resource is gone: what it was, why it went, which \
sources were read when, its mapping and tags, who ran it and how it ended. EC2 is not asked. \
Exit status 3: one is not on record, or nobody heard how its deletion ended.";

const ADOPT_EXAMPLES: &str = "\
Examples:
  HOLDFAST_TABLE=holdfast holdfast adopt \\
      --policy nightly snap-0123456789abcdef0
  holdfast adopt --policy bake ami-0123456789abcdef0 ami-0fedcba9876543210 \\
      --yes

Shows the tags that it would write, and the verdicts that a sweep would come to then; asks on a \
terminal, and elsewhere changes nothing without --yes. An AMI's snapshots are adopted with it. Never \
taken over: what DLM, AWS Backup or Image Builder still manages, what another account owns, copies, \
what is pending or failed. Needs ec2:CreateTags. A repeated command finishes one that was cut off. \
Exit status 3: one of them cannot be adopted.";

/// Backups of EC2 that are retired only when nothing depends on them
#[derive(Debug, Parser)]
#[command(name = "holdfast", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Arguments {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Args, Debug)]
pub struct Global {
    /// Print JSON for programs instead of tables for people
    #[arg(long, global = true)]
    pub json: bool,
    /// AWS Region [default: as the AWS settings have it]
    #[arg(long, global = true, value_name = "REGION", value_parser = NonEmptyStringValueParser::new())]
    pub region: Option<String>,
    /// Profile of the AWS configuration files; its credentials win over the environment's
    #[arg(long, global = true, value_name = "PROFILE", value_parser = NonEmptyStringValueParser::new())]
    pub profile: Option<String>,
}

/// A command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Work with policy files
    #[command(subcommand, after_help = CHECK_EXAMPLES)]
    Policies(PoliciesCommand),
    /// Show which backups a policy's rules keep, for times given one a line
    #[command(after_help = RETENTION_EXAMPLES)]
    Retention(RetentionArguments),
    /// Show what a run now would create, retire, keep and hold, and why
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(PlanArguments),
    /// Show what a policy file will do to a fleet over the next year, before it does it
    #[command(after_help = simulate::EXAMPLES)]
    Simulate(SimulateArguments),
    /// Show for each protected source its newest backup, and whether it is as young as promised
    #[command(after_help = COVERAGE_EXAMPLES)]
    Coverage(CoverageArguments),
    /// Tell why backups may be deleted or not, with every path to what needs them
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(ExplainArguments),
    /// Show the stored proof of deletions: what went, why, and on which evidence
    #[command(after_help = EVIDENCE_EXAMPLES)]
    Evidence(EvidenceArguments),
    /// Put snapshots and AMIs that another tool made under a policy, after showing what that means
    #[command(after_help = ADOPT_EXAMPLES)]
    Adopt(AdoptArguments),
    /// Draw everything on one page: coverage by day, lineage, the plan and its reasons
    #[command(after_help = report::EXAMPLES)]
    Report(ReportArguments),
    /// Show what a snapshot, AMI, volume or instance came from, and what came from it
    #[command(after_help = lineage::EXAMPLES)]
    Lineage(LineageArguments),
    /// List backups by policy and source
    #[command(after_help = operate::LS_EXAMPLES)]
    Ls(LsArguments),
    /// List recent runs from the ledger, or show one whole
    #[command(after_help = operate::RUNS_EXAMPLES)]
    Runs(RunsArguments),
    /// Run a policy now: through the deployed function, or in this process
    #[command(after_help = operate::RUN_EXAMPLES)]
    Run(RunArguments),
    /// Show what a sweep would retire, or have it done
    #[command(after_help = operate::SWEEP_EXAMPLES)]
    Sweep(SweepArguments),
    /// Take a pin off a backup or a source, after showing what it keeps
    #[command(after_help = operate::UNPIN_EXAMPLES)]
    Unpin(UnpinArguments),
    /// Work with events
    #[command(subcommand, after_help = operate::SEND_EXAMPLES)]
    Events(EventsCommand),
    /// Print a completion script for a shell
    #[command(after_help = operate::COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArguments),
    /// Make a volume, a set of volumes or an instance of a backup, after showing what that means
    #[command(subcommand, after_help = restore::EXAMPLES)]
    Restore(restore::RestoreCommand),
}

/// A command about policy files.
#[derive(Debug, Subcommand)]
pub enum PoliciesCommand {
    /// Check a policy file, and show when its policies run next
    #[command(after_help = CHECK_EXAMPLES)]
    Check(CheckArguments),
}

/// Arguments of `policies check`.
#[derive(Args, Debug)]
pub struct CheckArguments {
    /// The policy file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The time to reckon from
    #[command(flatten)]
    pub now: Now,
}

/// Arguments of `retention`.
#[derive(Args, Debug)]
pub struct RetentionArguments {
    /// The policy file.
    #[command(flatten)]
    pub policies: Policies,
    /// The policy whose rules apply
    #[arg(long, value_name = "NAME")]
    pub policy: String,
    /// Times of backups of one group, one RFC 3339 time a line; `-` is standard input
    #[arg(long, value_name = "FILE|-")]
    pub times: PathBuf,
    /// The time to reckon from.
    #[command(flatten)]
    pub now: Now,
}

/// Arguments of `plan`.
#[derive(Args, Debug)]
pub struct PlanArguments {
    /// The policy file.
    #[command(flatten)]
    pub policies: Policies,
    /// The time to reckon from.
    #[command(flatten)]
    pub now: Now,
}

/// Arguments of `coverage`.
#[derive(Args, Debug)]
pub struct CoverageArguments {
    /// The policy file.
    #[command(flatten)]
    pub policies: Policies,
    /// The time to reckon from.
    #[command(flatten)]
    pub now: Now,
}

/// Arguments of `explain`.
#[derive(Args, Debug)]
pub struct ExplainArguments {
    /// snap-… or ami-…
    #[arg(value_name = "ID", required = true, value_parser = artifact)]
    pub ids: Vec<String>,
    /// The policy file.
    #[command(flatten)]
    pub policies: Policies,
    /// The time to reckon from.
    #[command(flatten)]
    pub now: Now,
}

/// Arguments of `evidence`.
#[derive(Args, Debug)]
pub struct EvidenceArguments {
    /// snap-… or ami-…
    #[arg(value_name = "ID", required = true, value_parser = artifact)]
    pub ids: Vec<String>,
}

/// Arguments of `adopt`.
#[derive(Args, Debug)]
pub struct AdoptArguments {
    /// snap-… or ami-…, each by its identifier
    #[arg(value_name = "ID", required = true, value_parser = artifact)]
    pub ids: Vec<String>,
    /// The policy that is to govern them
    #[arg(long, value_name = "NAME")]
    pub policy: String,
    /// Write the tags without asking
    #[arg(long)]
    pub yes: bool,
    /// The policy file.
    #[command(flatten)]
    pub policies: Policies,
    /// The time to reckon from.
    #[command(flatten)]
    pub now: Now,
}

/// Where the policy file is.
#[derive(Args, Debug)]
pub struct Policies {
    /// The policy file
    #[arg(
        long = "policies",
        value_name = "FILE",
        env = "HOLDFAST_POLICIES",
        hide_env_values = true,
        default_value = DEFAULT_POLICIES
    )]
    pub file: PathBuf,
}

/// The time to reckon from.
#[derive(Args, Debug)]
pub struct Now {
    /// Reckon from this time, such as 2026-11-23T03:00:00Z, 7d (ago) or +2h [default: the clock]
    #[arg(long = "now", value_name = "T", value_parser = moment::parse, allow_hyphen_values = true)]
    pub given: Option<Timestamp>,
}

impl Now {
    /// The time given, else the clock's.
    #[must_use]
    pub fn or_clock(&self) -> Timestamp {
        self.given.unwrap_or_else(Timestamp::now)
    }
}

fn artifact(text: &str) -> Result<String, String> {
    if SnapshotId::parse(text).is_some() || ImageId::parse(text).is_some() {
        Ok(text.to_owned())
    } else {
        Err("write the identifier of a snapshot (snap-…) or an AMI (ami-…)".to_owned())
    }
}

fn resource(text: &str) -> Result<String, String> {
    let known = SnapshotId::parse(text).is_some()
        || ImageId::parse(text).is_some()
        || VolumeId::parse(text).is_some()
        || InstanceId::parse(text).is_some();
    if known {
        Ok(text.to_owned())
    } else {
        Err(
            "write the identifier of a snapshot (snap-…), an AMI (ami-…), a volume (vol-…) or \
             an instance (i-…)"
                .to_owned(),
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example_in_its_help() {
        fn walk(command: &clap::Command) {
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_default();
            assert!(
                help.contains("holdfast "),
                "{} has none",
                command.get_name()
            );
            command
                .get_subcommands()
                .filter(|sub| sub.get_name() != "help")
                .for_each(walk);
        }
        walk(&Arguments::command());
    }

    #[test]
    fn the_common_options_stand_before_or_behind_the_command() {
        for line in [
            ["holdfast", "--json", "lineage", "vol-1"],
            ["holdfast", "lineage", "vol-1", "--json"],
        ] {
            assert!(Arguments::try_parse_from(line).unwrap().global.json);
        }
    }

    #[test]
    fn only_a_backup_can_be_explained() {
        for id in ["snap-0a1", "ami-0a1"] {
            assert_eq!(artifact(id).as_deref(), Ok(id));
        }
        for wrong in ["vol-0a1", "i-0a1", "ami-", "snap-0a1,snap-0a2"] {
            assert!(artifact(wrong).is_err(), "{wrong}");
        }
        assert!(Arguments::try_parse_from(["holdfast", "explain"]).is_err());
    }

    #[test]
    fn only_what_lineage_can_know_is_taken_for_an_identifier() {
        for id in ["snap-0a1", "ami-0a1", "vol-0a1", "i-0a1"] {
            assert_eq!(resource(id).as_deref(), Ok(id));
        }
        for wrong in ["lt-0a1", "snap-", "0a1", "vol-../x"] {
            assert!(resource(wrong).is_err(), "{wrong}");
        }
    }
}
