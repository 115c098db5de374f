//! `holdfast simulate`: what will this policy file do to my fleet over the next year?

mod show;

use std::path::Path;

use holdfast::aws::ec2::Ec2;
use holdfast::aws::sts;
use holdfast::plan::judge::{Evidence, OnRecord, governing};
use holdfast::policy::PolicyFile;
use holdfast::report::{Action, Item, Outcome, Reason, ReasonCode, Report, Run};
use holdfast::settings::load_policies;
use holdfast::simulation::{
    Advice, AdviceCode, Fleet, Level, Question, Simulation, Standing, end, simulate,
};
use holdfast::sweep::lists;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::head;
use crate::account::Account;
use crate::args::{Global, SimulateArguments};
use crate::exit::Exit;
use crate::failure::{Failure, unlisted};
use crate::output::items::seconds;
use crate::output::table::Look;
use crate::output::{print, print_json, progress, waited};

/// The command's report: the contract's, and the whole simulation beside its items.
#[derive(Debug, Serialize)]
struct SimulationReport {
    #[serde(flatten)]
    report: Report,
    simulation: Simulation,
}

/// What the simulation begins with.
struct Beginning {
    fleet: Fleet,
    /// None with a fleet file: what another policy file would have made stands then.
    standing: Option<Vec<Standing>>,
    account: Option<String>,
    region: Option<String>,
    /// Lists that could not be read.
    unread: Vec<Item>,
}

/// Runs the command.
///
/// # Errors
/// A policy file or the fleet file is wrong, or EC2 cannot be read.
pub async fn run(global: &Global, arguments: &SimulateArguments) -> Result<Exit, Failure> {
    // The clock's fractions of a second are nobody's question.
    let from = arguments.from.unwrap_or_else(|| seconds(Timestamp::now()));
    check_moment(arguments, from)?;
    let policies = load_policies(&arguments.policies.file, from)?;
    let against = arguments.against.as_deref();
    let against = against.map(|file| load_policies(file, from)).transpose()?;
    let beginning = match &arguments.fleet {
        Some(file) => Beginning {
            fleet: fleet(file)?,
            standing: None,
            account: None,
            region: None,
            unread: Vec::new(),
        },
        None => live(global, &policies, against.as_ref(), from).await?,
    };
    let question = Question {
        policies: &policies,
        against: against.as_ref(),
        fleet: &beginning.fleet,
        standing: beginning.standing.as_deref(),
        from,
        days: arguments.days,
        at: arguments.at,
        price: arguments.price_per_gb_month.or(policies.prices.standard),
    };
    let bar = bar();
    let simulation = simulate(&question, &mut |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    if let Some(source) = &arguments.source {
        check_source(&simulation, source)?;
    }

    let mut items: Vec<Item> = simulation.advice.iter().filter_map(item).collect();
    let complete = beginning.unread.is_empty();
    items.extend(beginning.unread.iter().cloned());
    let run = Run {
        account: beginning.account,
        region: beginning.region,
        policy_sha256: Some(policies.sha256.clone()),
        complete,
        ..head("simulate", from)
    };
    let report = Report::new(run, items);
    let exit = Exit::of_report(&report);
    if global.json {
        print_json(&SimulationReport { report, simulation })?;
    } else {
        let (source, unread) = (arguments.source.as_deref(), &beginning.unread);
        print(&show::people(
            &simulation,
            unread,
            source,
            Look::of_stdout(),
        ))?;
    }
    Ok(exit)
}

/// Progress on standard error, where that is a terminal.
fn bar() -> ProgressBar {
    waited();
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("simulating day {pos} of {len}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

fn fleet(file: &Path) -> Result<Fleet, Failure> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("{name}: cannot be read: {error}")))?;
    Fleet::parse(&name, &text)
        .map_err(|errors| Failure::usage(format!("the fleet file is wrong\n{errors}")))
}

/// The account's instances, volumes and good backups.
async fn live(
    global: &Global,
    policies: &PolicyFile,
    against: Option<&PolicyFile>,
    now: Timestamp,
) -> Result<Beginning, Failure> {
    let config = Account::credentials(global).await?;
    let ec2 = Ec2::new(&config);
    let region = config.region().map(ToString::to_string);
    progress(&format!(
        "reading EC2 in {} ...",
        region.as_deref().unwrap_or("no Region")
    ));
    let both = together(policies, against);
    let (account, inventory) = tokio::join!(sts::account(&config), lists::read(&ec2, &both));
    let errors = [
        &inventory.snapshots.error,
        &inventory.images.error,
        &inventory.instances.error,
        &inventory.volumes.error,
    ];
    // Of half a fleet, half a simulation would follow.
    if let Some(error) = errors.into_iter().flatten().next() {
        return Err(unlisted(error));
    }
    let evidence = Evidence {
        inventory: &inventory,
        on_record: &OnRecord::default(),
        account: account.as_deref(),
    };
    let standing = Standing::of(&both, &evidence, now);
    Ok(Beginning {
        fleet: Fleet::of(&inventory),
        standing: Some(standing),
        account,
        region,
        unread: lists::unread(&inventory),
    })
}

/// The policies of both files: what governs a backup in either.
fn together(policies: &PolicyFile, against: Option<&PolicyFile>) -> PolicyFile {
    let mut both = policies.clone();
    let old = against.into_iter().flat_map(|file| &file.policies);
    let only_old = old.filter(|one| governing(policies, &one.name).is_none());
    both.policies.extend(only_old.cloned());
    both
}

/// # Errors
/// `--at` lies before the beginning or after the end, of which nothing is simulated.
fn check_moment(arguments: &SimulateArguments, from: Timestamp) -> Result<(), Failure> {
    let Some(at) = arguments.at else {
        return Ok(());
    };
    let to = end(from, arguments.days);
    // Where the clock is the beginning, `--at now` was read off it a little earlier.
    let lead = SignedDuration::from_secs(if arguments.from.is_none() { 60 } else { 0 });
    if from - lead <= at && seconds(at) <= to {
        return Ok(());
    }
    let [at, from, to] = [at, from, to].map(seconds);
    Err(Failure::usage(format!(
        "--at {at} lies outside the simulation, which goes from {from} to {to}; choose a moment between \
         them, or move its ends with --from and --days"
    )))
}

/// # Errors
/// The source has no restore point, and perhaps does not exist.
fn check_source(simulation: &Simulation, source: &str) -> Result<(), Failure> {
    let mut lists = simulation.policies.iter().flat_map(|p| &p.restore_points);
    if lists.any(|list| list.sources.iter().any(|one| one == source)) {
        return Ok(());
    }
    Err(Failure::failed(format!(
        "{source} has no restore point at {}; check its identifier, and what picks it in the \
         figures without --source",
        seconds(simulation.at)
    )))
}

/// A warning as a line of the report; what is merely worth knowing is none.
fn item(advice: &Advice) -> Option<Item> {
    if advice.level != Level::Warning {
        return None;
    }
    let code = match advice.code {
        AdviceCode::MatchesNothing => ReasonCode::MatchesNothing,
        AdviceCode::NotPicked => ReasonCode::NotPicked,
        AdviceCode::CircuitBreaker => ReasonCode::CircuitBreaker,
        AdviceCode::Late => ReasonCode::Late,
        AdviceCode::PolicyUnknown => ReasonCode::PolicyUnknown,
        AdviceCode::LadderHole
        | AdviceCode::FinerThanKept
        | AdviceCode::TriggersUseUpLast
        | AdviceCode::NoPrice
        | AdviceCode::NoRateOfChange => ReasonCode::Foreseen,
    };
    let about = advice.policy.as_deref().unwrap_or("policy file");
    let mut item = Item::new(Action::Check, about, Outcome::Finding);
    item.policy.clone_from(&advice.policy);
    Some(item.reason(Reason::with(code, &advice.text)))
}
