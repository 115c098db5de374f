//! `make local`: a local AWS until Ctrl-C, for a shell to work against.
//!
//! It begins with the demo's fleet, six weeks of its backups and some AMIs, and goes on with heartbeats as a
//! deployed stack has them, in mode `plan`. Standard output is nothing but `export` lines, so that
//! `eval` can take them; everything else goes to standard error. The simulated account's clock
//! follows the machine's.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use holdfast_local_aws::bus::{Bus, World};
use holdfast_local_aws::demo::past;
use holdfast_local_aws::demo::teller::Progress;
use holdfast_local_aws::demo::{self, DemoError, fleet, golden};
use holdfast_local_aws::dynamodb::Storage;
use holdfast_local_aws::lambda::find_binary;
use holdfast_local_aws::local::{LocalAws, Options, Ports};
use holdfast_local_aws::pace::{Clock, Pace};
use holdfast_sim::{Chaos, Settings, SharedAccount};
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

/// A local AWS: EC2 (simulated), DynamoDB (embedded) with Holdfast's table, and STS.
#[derive(Parser)]
struct Arguments {
    /// Port of EC2; 0 is any free one
    #[arg(long, default_value_t = 4511)]
    ec2_port: u16,
    /// Port of DynamoDB; 0 is any free one
    #[arg(long, default_value_t = 4512)]
    dynamodb_port: u16,
    /// Port of STS; 0 is any free one
    #[arg(long, default_value_t = 4513)]
    sts_port: u16,
    /// Port of Auto Scaling; 0 is any free one
    #[arg(long, default_value_t = 4514)]
    auto_scaling_port: u16,
    /// Port of Systems Manager; 0 is any free one
    #[arg(long, default_value_t = 4515)]
    ssm_port: u16,
    /// Port of KMS; 0 is any free one
    #[arg(long, default_value_t = 4516)]
    kms_port: u16,
    /// Port of Lambda; 0 is any free one
    #[arg(long, default_value_t = 4517)]
    lambda_port: u16,
    /// Begin without the demo's fleet, its backups and the functions
    #[arg(long)]
    empty: bool,
    /// Keep the table in this file instead of in memory; the account never outlives the process
    #[arg(long, value_name = "FILE", requires = "empty")]
    database: Option<PathBuf>,
    /// Name of the table
    #[arg(long, default_value = "holdfast")]
    table: String,
    /// Region of the account
    #[arg(long, default_value = "eu-central-1")]
    region: String,
    /// The account's number
    #[arg(long, default_value = "111122223333")]
    account: String,
    /// Milliseconds that every call of EC2 and Auto Scaling takes
    #[arg(long, value_name = "MS", default_value_t = 0, requires = "empty")]
    latency_ms: u64,
    /// Put EC2's request token buckets in force
    #[arg(long, requires = "empty")]
    throttling: bool,
    /// Faults drawn from this number
    #[arg(long, value_name = "SEED", requires = "empty")]
    chaos: Option<u64>,
    /// Policy file for HOLDFAST_POLICIES [default: the one that is deployed]
    #[arg(long, value_name = "FILE", requires = "empty")]
    policies: Option<PathBuf>,
}

impl Arguments {
    /// The options for a local AWS whose clock is to reach `now`.
    fn into_options(self, now: Timestamp) -> Options {
        let defaults = Options::default();
        let (start, policies) = if self.empty {
            (now, self.policies.unwrap_or(defaults.policies))
        } else {
            let begin = demo::begin(demo::end(now));
            (begin - fleet::HEAD_START, demo::policies_path())
        };
        Options {
            settings: Settings {
                region: self.region,
                account_id: self.account,
                start,
                throttling: self.throttling,
                chaos: self.chaos.map(Chaos::drawn),
                ..Settings::default()
            },
            table_name: self.table,
            storage: self.database.map_or(Storage::Memory, Storage::File),
            policies,
            ports: Ports {
                ec2: self.ec2_port,
                dynamodb: self.dynamodb_port,
                sts: self.sts_port,
                auto_scaling: self.auto_scaling_port,
                ssm: self.ssm_port,
                kms: self.kms_port,
                lambda: self.lambda_port,
            },
            pace: Pace {
                latency: Duration::from_millis(self.latency_ms),
                clock: Clock::Virtual,
            },
            ..Options::default()
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("local-aws: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let now = Timestamp::now();
    let empty = arguments.empty;
    let local = LocalAws::start(arguments.into_options(now)).await?;
    let mut bus = if empty {
        local.bus(&[])?
    } else {
        with_a_past(&local, demo::end(now)).await?
    };
    let mut environment = local.environment();
    environment.extend(local.functions.names().into_iter().map(|name| {
        let variable = name.to_uppercase().replace('-', "_");
        (format!("HOLDFAST_FUNCTION_{variable}"), name)
    }));
    let mut out = std::io::stdout().lock();
    for (name, value) in environment {
        writeln!(out, "export {name}='{}'", value.replace('\'', r"'\''"))?;
    }
    out.flush()?;
    drop(out);
    eprintln!("The local AWS is running; Ctrl-C ends it. In another shell, after these lines:");
    eprintln!("  aws ec2 describe-snapshots --owner-ids self");
    let holdfast = find_binary("holdfast").unwrap_or_else(|_| "holdfast".into());
    eprintln!("  {} plan", holdfast.display());

    let mut tick = interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
            _ = tick.tick() => {
                let progress = bus.advance_to(Timestamp::now()).await?;
                for attempt in progress.attempts.iter().filter(|a| a.outcome.ok().is_none()) {
                    eprintln!("{}: {:?}", attempt.function, attempt.outcome);
                }
            }
        }
    }
}

/// The demo's fleet, its weeks until `end`, and the AMIs since. The bus has all functions.
async fn with_a_past(local: &LocalAws, end: Timestamp) -> Result<Bus<SharedAccount>, DemoError> {
    let fleet = fleet::seed(&mut past::locked(&local.account))?;
    eprintln!("{} weeks of backups are being made:", demo::WEEKS);
    let mut progress = Progress::new(local.account.now(), end);
    let past = past::play(local, &fleet, end, &mut |time| progress.at(time)).await;
    progress.done();
    let past = past?;
    let borrowed = &past.borrowed;
    eprintln!(
        "{} snapshots were made; {} maps one of them, {}",
        past.tally.created, borrowed.image, borrowed.snapshot
    );
    let bus = golden::play(local, past.check, fleet.golden).await?;
    eprintln!(
        "{} AMIs were made; somebody deregistered one and left its snapshots",
        golden::STOPS
    );
    Ok(bus)
}
