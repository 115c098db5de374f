//! `holdfast plan`: what would a run now do?

use holdfast::create;
use holdfast::plan::census::findings;
use holdfast::plan::due::is_late;
use holdfast::plan::judge::Verdict;
use holdfast::ports::records::Records;
use holdfast::report::{Mode, ReasonCode, Report, Run, sources};
use holdfast::settings::load_policies;
use holdfast::sweep::{self, Sweep, lists};
use jiff::Timestamp;

use super::head;
use crate::account::Account;
use crate::args::{Global, PlanArguments};
use crate::exit::Exit;
use crate::failure::{Failure, unlisted};
use crate::output::items::{counts, seconds, table};
use crate::output::table::Look;
use crate::output::{note, print_report};

/// Runs the command.
///
/// # Errors
/// The policy file is wrong, or EC2 or the table cannot be read.
pub async fn run(global: &Global, arguments: &PlanArguments) -> Result<Exit, Failure> {
    let now = arguments.now.or_clock();
    let policies = load_policies(&arguments.policies.file, now)?;
    let account = Account::connect(global).await?;
    let Account { ec2, table, .. } = &account;
    account.reading("EC2 and the ledger");

    let (number, creations, inventory) = tokio::join!(
        account.number(),
        create::preview(ec2, table, &policies, now),
        lists::read(ec2, &policies),
    );
    let mut items = creations?;
    let sweep = Sweep {
        policies: &policies,
        only: None,
        release: None,
        account: number.as_deref(),
        now,
        acts: false,
    };
    if let Some(error) = &inventory.snapshots.error
        && inventory.snapshots.pages == 0
    {
        return Err(unlisted(error));
    }
    let planned = sweep::plan(table, &sweep, &inventory).await;
    let mut drift = false;
    // Each is made whole once: of hundreds of thousands that is what takes the time.
    for verdict in planned.verdicts.iter() {
        drift |= drifted(&verdict);
        items.push(verdict.planned());
    }
    items.extend(findings(&planned.settled.trips));
    let unread = lists::unread(&inventory);
    let complete = unread.is_empty();
    items.extend(unread);

    if arguments.now.given.is_some() {
        say_if_late(table, now).await?;
    }
    let run = Run {
        mode: Some(Mode::Plan),
        account: number,
        region: account.region.clone(),
        policy_sha256: Some(policies.sha256.clone()),
        plan_hash: Some(planned.settled.plan_hash.clone()),
        complete,
        evidence: sources(&inventory.readings(), &policies),
        ..head("plan", now)
    };
    let report = Report::new(run, items);
    let tripped: Vec<&str> = planned.settled.tripped.keys().map(String::as_str).collect();
    print_report(global.json, &report, || {
        people(&report, &tripped, Look::of_stdout())
    })?;
    let exit = if drift { Exit::Attention } else { Exit::Done };
    Ok(exit.merge(Exit::of_report(&report)))
}

/// Whether somebody else took away part of an AMI of Holdfast's: what a reconcile finds as drift, and
/// what held or kept it in the plan does not make right. What Holdfast's own deletion has still to
/// finish is none.
pub(super) fn drifted(verdict: &Verdict) -> bool {
    let mut reasons = verdict.reasons().iter();
    verdict.former_image.is_none()
        && reasons.any(|reason| {
            matches!(
                reason.code,
                ReasonCode::Orphaned | ReasonCode::SnapshotMissing
            )
        })
}

/// Tells that a real run at this time would do less, because a later one was made.
async fn say_if_late<R: Records>(records: &R, now: Timestamp) -> Result<(), Failure> {
    for (function, does) in [
        (create::SNAPSHOTS, "only finishes what was begun"),
        (create::IMAGES, "only finishes what was begun"),
        (sweep::FUNCTION, "only plans"),
    ] {
        let begun = records.begun(function).await?;
        if let Some(highest) = begun.highest
            && is_late(&begun, now)
        {
            note(&format!(
                "{function} has run for {highest}; a run for {now} {does}"
            ));
        }
    }
    Ok(())
}

fn people(report: &Report, tripped: &[&str], look: Look) -> String {
    let run = &report.run;
    let mut text = String::new();
    if report.items.is_empty() {
        text.push_str("nothing is due, and there are no backups to judge\n");
    } else {
        text.push_str(&table(look, &report.items, run.now));
        text.push_str(&format!("\n{}\n", counts(&report.items)));
    }
    let unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".into());
    text.push_str(&format!(
        "account {}, Region {}, at {}\n",
        unknown(&run.account),
        unknown(&run.region),
        seconds(run.now)
    ));
    for source in run.evidence.iter().filter(|s| !s.not_used_by.is_empty()) {
        text.push_str(&format!(
            "declared not in use by {}: {}\n",
            source.not_used_by.join(", "),
            source.source
        ));
    }
    if let Some(hash) = &run.plan_hash {
        text.push_str(&format!("plan hash {hash}\n"));
        if !tripped.is_empty() {
            text.push_str(&format!(
                "the breaker holds the deletions of {}; once a sweep has tripped too, send \
                 sweep-retention {{\"override\": \"{hash}\"}} to let them go\n",
                tripped.join(", ")
            ));
        }
    }
    text
}
