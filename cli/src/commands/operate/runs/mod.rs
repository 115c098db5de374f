//! `holdfast runs`: what runs did, as the ledger has it.

mod known;

use std::collections::BTreeSet;

use holdfast::ports::records::{Ledger, Readable, Records, RunRecord, TableError};
use holdfast::report::{Action, Item, Outcome, Reason, ReasonCode, Report, Run};
use jiff::{SignedDuration, Timestamp};

use crate::account::Account;
use crate::args::{Global, RunsArguments};
use crate::commands::head;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::nearest::nearest;
use crate::output::age::relative;
use crate::output::items::{self, reasons, seconds, tone};
use crate::output::lines::Lines;
use crate::output::table::Look;
use crate::output::{note, print_report, warn};
use known::{Line, lines, of_run};

/// How far back runs are listed by default.
const RECENT: SignedDuration = SignedDuration::from_hours(24);

/// Runs the command.
///
/// # Errors
/// The table cannot be read, or nothing is known of the run that was named.
pub async fn run(global: &Global, arguments: &RunsArguments) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let account = Account::connect(global).await?;
    account.reading("the ledger");
    let since = match (&arguments.since, &arguments.id) {
        (Some(since), _) => *since,
        (None, Some(_)) => Timestamp::UNIX_EPOCH,
        (None, None) => now - RECENT,
    };
    let Readable { read, unreadable } = account.table.ledger(since).await?;
    for (record, error) in &unreadable {
        warn(&format!("{record} could not be read: {}", error.message));
    }
    let ledger = of_policy(read, arguments.policy.as_deref())?;
    let run = Run {
        region: account.region.clone(),
        complete: unreadable.is_empty(),
        ..head("runs", now)
    };
    match &arguments.id {
        Some(id) => whole(global, run, id, &ledger, &unreadable),
        None => list(global, run, &ledger, &unreadable),
    }
}

/// What concerns one policy.
fn of_policy(mut ledger: Ledger, policy: Option<&str>) -> Result<Ledger, Failure> {
    let Some(policy) = policy else {
        return Ok(ledger);
    };
    let names: BTreeSet<&str> = ledger
        .creations
        .iter()
        .map(|creation| creation.policy.as_str())
        .chain(ledger.deletions.iter().map(|(d, _)| d.policy.as_str()))
        .collect();
    if !names.contains(policy) {
        if let Some(near) = nearest(policy, names.iter().copied()) {
            return Err(Failure::usage(format!(
                "nothing is on record of a policy {policy:?}; did you mean {near}?"
            )));
        }
        note(&format!(
            "nothing in this time is on record of a policy {policy:?}"
        ));
    }
    ledger
        .creations
        .retain(|creation| creation.policy == policy);
    ledger.requests.retain(|request| request.policy == policy);
    ledger
        .deletions
        .retain(|(deletion, _)| deletion.policy == policy);
    Ok(ledger)
}

/// One line for each run, the newest first.
fn list(
    global: &Global,
    run: Run,
    ledger: &Ledger,
    unreadable: &[(String, TableError)],
) -> Result<Exit, Failure> {
    let now = run.now;
    let mut lines = lines(ledger);
    lines.sort_by(|a, b| {
        let key = |line: &Line| (line.item.time, line.item.resource.clone());
        key(b).cmp(&key(a))
    });
    lines.extend(unread(unreadable).map(|item| Line { item, of_run: None }));
    Lines::new(run, lines).show(global.json, |report| {
        people(&report.lines, now, Look::of_stdout())
    })
}

/// Everything of one run.
fn whole(
    global: &Global,
    run: Run,
    id: &str,
    ledger: &Ledger,
    unreadable: &[(String, TableError)],
) -> Result<Exit, Failure> {
    let mut items: Vec<Item> = of_run(ledger).remove(id).unwrap_or_default();
    let request = ledger.requests.iter().find(|request| request.id == id);
    if items.is_empty() && request.is_none() {
        let hint = match nearest(id, of_run(ledger).keys().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => "`holdfast runs` lists them; one that had nothing to do leaves no trace".into(),
        };
        return Err(Failure::failed(format!(
            "nothing is on record of a run {id}; {hint}"
        )));
    }
    items.extend(unread(unreadable));
    let report = Report::new(run, items);
    let now = report.run.now;
    print_report(global.json, &report, || {
        let mut text = String::new();
        if let Some(request) = request {
            text.push_str(&asked(request, now));
        }
        text.push_str(&items::table(Look::of_stdout(), &report.items, now));
        text.push_str(&format!("\n{}\n", items::counts(&report.items)));
        text
    })?;
    Ok(Exit::of_report(&report))
}

fn asked(request: &RunRecord, now: Timestamp) -> String {
    let only = match &request.resources {
        Some(resources) => format!(", only {}", resources.join(", ")),
        None => String::new(),
    };
    format!(
        "{} of policy {} at {} ({}){only}\n",
        request.function,
        request.policy,
        seconds(request.started),
        relative(request.started, now)
    )
}

fn unread(unreadable: &[(String, TableError)]) -> impl Iterator<Item = Item> + '_ {
    unreadable.iter().map(|(record, error)| {
        let reason = Reason::with(ReasonCode::TableFailed, error.message.clone());
        Item::new(Action::Check, record, Outcome::Failed).reason(reason)
    })
}

fn people(lines: &[Line], now: Timestamp, look: Look) -> String {
    let known = lines
        .iter()
        .filter_map(|line| Some((&line.item, line.of_run.as_ref()?)));
    if known.clone().next().is_none() {
        return "no run did anything in this time\n".to_owned();
    }
    let rows = known.map(|(item, of_run)| {
        let policies: Vec<&str> = of_run.policies.iter().map(String::as_str).collect();
        let counts = of_run.counts.iter();
        let counts: Vec<String> = counts.map(|(what, n)| format!("{n} {what}")).collect();
        let time = item.time;
        let or_none = |words: Option<String>| words.unwrap_or_else(|| "-".into());
        vec![
            look.plain(or_none(time.map(|time| seconds(time).to_string()))),
            look.plain(or_none(time.map(|time| relative(time, now)))),
            look.plain(of_run.function),
            look.plain(policies.join(", ")),
            look.cell(
                match counts.is_empty() {
                    true => "nothing".to_owned(),
                    false => counts.join(", "),
                },
                tone(item),
            ),
            look.plain(&item.resource),
            look.plain(reasons(&item.reasons)),
        ]
    });
    let header = ["TIME", "AGE", "FUNCTION", "POLICY", "DID", "RUN", "WHY"];
    look.table(&header, rows.collect())
}
