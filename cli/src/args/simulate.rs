//! Arguments of `simulate`.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use super::Policies;
use super::moment::parse as time;

/// Examples for its help.
pub const EXAMPLES: &str = "\
Examples:
  holdfast simulate --policies policies.yaml --fleet fleet.yaml
  holdfast simulate --policies policies.yaml --days 90 \\
      --at 2027-02-01T00:00:00Z --source vol-0a1
  holdfast simulate --policies new.yaml --against policies.yaml
  holdfast simulate --policies policies.yaml --fleet fleet.yaml --json \\
      | jq '.simulation.policies'

Goes from slot to slot and from sweep to sweep on a virtual clock, with the decisions of the \
functions themselves. Without --fleet it begins with the account's instances, volumes and backups. \
A fleet file is YAML:
  version: 1
  instances:
    - { name: web, count: 20, tags: { Backup: nightly },
        since: 2026-12-01, until: 2027-06-01,
        volumes: [ { size_gib: 30, boot: true },
                   { size_gib: 500, changed_gib_per_day: 12.5 } ] }
  volumes:
    - { name: archive, count: 3, size_gib: 2000, type: sc1,
        tags: { Backup: critical } }

Left out, and said in the output: backups of triggers, bakes and requests (schedules alone make \
some); what a sweep's comparison with the last one would hold; the delay of slots that EC2's limits \
make late, and the stop of a breaker that trips (both are told, with dates). References stay as they \
are today.

With --fleet it needs no AWS access. Changes nothing. Exit status 3: something is probably not meant \
so, or a list of the account could not be read.";

/// Arguments of `simulate`.
#[derive(Args, Debug)]
pub struct SimulateArguments {
    /// The policy file.
    #[command(flatten)]
    pub policies: Policies,
    /// A fleet to try it on [default: the account's instances, volumes and backups]
    #[arg(long, value_name = "FILE")]
    pub fleet: Option<PathBuf>,
    /// Begin at this time, such as 2026-11-23T03:00:00Z [default: the clock]
    #[arg(long, value_name = "T", value_parser = time)]
    pub from: Option<Timestamp>,
    /// How many days to look ahead
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub days: u32,
    /// Show the restore points of this moment between the beginning and the end [default: the end]
    #[arg(long, value_name = "T", value_parser = time)]
    pub at: Option<Timestamp>,
    /// Show the restore points of this volume or instance only
    #[arg(long, value_name = "ID")]
    pub source: Option<String>,
    /// Tell what differs from this policy file
    #[arg(long, value_name = "OLD")]
    pub against: Option<PathBuf>,
    /// What a GB-month costs, in any currency [default: `prices.standard` of the policy file]
    #[arg(long, value_name = "PRICE", value_parser = price)]
    pub price_per_gb_month: Option<f64>,
}

fn price(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    number
        .filter(|price| price.is_finite() && *price >= 0.0)
        .ok_or_else(|| "write a price of 0 or more, such as 0.05".to_owned())
}
