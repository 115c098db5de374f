//! Arguments of `report`.

use std::path::PathBuf;

use clap::Args;

use super::{Now, Policies};

/// Examples of `report`, shown below its help.
pub(super) const EXAMPLES: &str = "\
Examples:
  HOLDFAST_TABLE=holdfast holdfast report --html backups.html \\
      --policies policies.yaml
  holdfast report --html backups.html --profile backup \\
      --region eu-central-1 --json | jq .summary

One page that needs no network: which backup exists of which day, with what is missing; the graph of \
instances, volumes, snapshots, AMIs and what uses them; what a sweep would retire, keep and hold, and \
why; how many backups each policy will have over the next year, as far as two seconds of simulation \
get (holdfast simulate has all of it, and more than 20,000 snapshots are left to it). Changes nothing. \
Exit status 3: something needs attention.";

/// Arguments of `report`.
#[derive(Args, Debug)]
pub struct ReportArguments {
    /// Write the page to this file, over one that is there
    #[arg(long, value_name = "FILE")]
    pub html: PathBuf,
    /// The policy file.
    #[command(flatten)]
    pub policies: Policies,
    /// The time to reckon from.
    #[command(flatten)]
    pub now: Now,
}
