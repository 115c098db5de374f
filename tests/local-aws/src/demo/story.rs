//! The story that `make demo` tells.

use jiff::Timestamp;
use serde_json::json;

use super::command::Command;
use super::fleet::{self, Fleet, Machine};
use super::golden::{GOLDEN, Golden};
use super::images::{self, Amis};
use super::past::{self, CHECK, CREATE, NIGHTLY, Past, SWEEP, locked};
use super::report::{Item, Report};
use super::teller::{Progress, Teller, day, minute};
use super::{DemoError, WEEKS, begin, end, expect, policies_path, witness};
use crate::bus::World;
use crate::lambda::Function;
use crate::local::{LocalAws, Options};

/// Lives and tells the story.
///
/// # Errors
///
/// Something does not work, or is not as it is told.
pub async fn tell() -> Result<(), DemoError> {
    let teller = &mut Teller::default();
    let end = end(Timestamp::now());
    let begin = begin(end);
    // Found before the weeks pass, not after them.
    let command = Command::find()?;
    let mut options = Options {
        policies: policies_path(),
        ..Options::default()
    };
    options.settings.start = begin - fleet::HEAD_START;
    let local = LocalAws::start(options).await?;
    let fleet = fleet::seed(&mut locked(&local.account))?;

    teller.head("Holdfast: six weeks of backups in a few seconds");
    teller.line("Real Lambda binaries, the real AWS SDK; EC2 is simulated, DynamoDB embedded.");
    teller.line("Nothing leaves this machine. What is marked ok was checked in account and table.");
    the_fleet(teller, &fleet);
    let past = the_weeks(teller, &local, &fleet, begin, end).await?;
    the_incidents(teller, &local, &past)?;
    first_lineage(teller, &local, &command, &fleet).await?;
    let planned = the_plan(teller, &local, &past).await?;
    let enforce = enforcing(&local)?;
    let swept = the_sweep(teller, &local, &past, &planned, &enforce).await?;
    the_held_snapshot(teller, &local, &command, &fleet, &past, &swept).await?;
    the_breaker(teller, &local, &swept, &enforce).await?;
    let golden = &mut Golden::new(&local, past.check.clone(), fleet.golden.clone())?;
    let bake = images::the_first_stop(teller, &local, &command, golden).await?;
    let amis = images::more_stops(teller, &local, &command, golden, bake).await?;
    images::by_hand(teller, &local, golden, &amis).await?;
    images::the_sweep(teller, &local, golden, &amis, &enforce).await?;
    the_end(teller, &local, &past, &swept, &amis)
}

fn the_fleet(teller: &mut Teller, fleet: &Fleet) {
    teller.step("A small fleet");
    for machine in &fleet.web {
        for (device, volume) in &machine.volumes {
            teller.line(format!(
                "{:<6} {}  {:<9}  {device:<9} {volume}",
                machine.name, machine.id, machine.instance_type
            ));
        }
    }
    teller.aside(format!(
        "       launched from {}, which names {}",
        fleet.web_template, fleet.web_image
    ));
    machine(teller, &fleet.database);
    teller.aside("       and an instance-store disk, which comes with an m5d.large");
    machine(teller, &fleet.golden);
    teller.line(format!(
        "a detached volume tagged Backup=archive           {}",
        fleet.archive
    ));
    teller.line(format!(
        "{:<6} {}  {:<9}  no policy selects it",
        fleet.build.name, fleet.build.id, fleet.build.instance_type
    ));
}

/// A machine of several volumes.
fn machine(teller: &Teller, machine: &Machine) {
    let (mut name, mut id) = (machine.name.as_str(), machine.id.as_str());
    let mut kind = machine.instance_type.as_str();
    for (device, volume) in &machine.volumes {
        teller.line(format!(
            "{name:<6} {id:<19}  {kind:<9}  {device:<9} {volume}"
        ));
        (name, id, kind) = ("", "", "");
    }
}

async fn the_weeks(
    teller: &mut Teller,
    local: &LocalAws,
    fleet: &Fleet,
    begin: Timestamp,
    end: Timestamp,
) -> Result<Past, DemoError> {
    teller.step(&format!(
        "{WEEKS} weeks of heartbeats, from {} to {}",
        day(begin),
        day(end)
    ));
    for policy in past::policies(begin)?.policies {
        let retain = &policy.retain;
        if policy.name == GOLDEN {
            teller.line(format!(
                "{GOLDEN:<15} keeps last {}; whenever the machine stops",
                retain.last
            ));
            continue;
        }
        teller.line(format!(
            "{:<15} keeps daily {}, weekly {}; first slot {}",
            policy.name,
            retain.daily,
            retain.weekly,
            policy.next_slot(begin).map(minute).unwrap_or_default()
        ));
    }
    teller.aside("the policy file is tests/local-aws/demo/policies.yaml");
    let mut progress = Progress::new(begin, end);
    let past = past::play(local, fleet, end, &mut |now| progress.at(now)).await;
    progress.done();
    let past = past?;
    let tally = &past.tally;
    teller.line(format!(
        "{} heartbeats fell into these weeks, one every five minutes.",
        tally.delivered + tally.skipped
    ));
    teller.line(format!(
        "{} were delivered to one warm {CREATE}; {} were skipped: nothing was due.",
        tally.delivered, tally.skipped
    ));
    teller.aside(format!(
        "{} hourly ones of {SWEEP} were skipped too: in mode plan it only reports.",
        tally.sweeps_skipped
    ));
    let account = locked(&local.account);
    let sets = witness::one_set_for_every_slot(&account, fleet, &past.policies, tally)?;
    let snapshots = witness::managed(&account).len();
    expect(snapshots == tally.created, || {
        format!(
            "{} snapshots were reported and {snapshots} are there",
            tally.created
        )
    })?;
    teller.checked(format!(
        "{snapshots} snapshots: for every slot exactly one whole set of each source ({sets} sets)"
    ));
    expect(past.reconciled == snapshots, || {
        format!("{} of {snapshots} were recorded", past.reconciled)
    })?;
    teller.line(format!(
        "No event of EC2's has reached {CHECK}; one reconcile has recorded"
    ));
    teller.line("that all of them are complete.");
    Ok(past)
}

fn the_incidents(teller: &mut Teller, local: &LocalAws, past: &Past) -> Result<(), DemoError> {
    teller.step("What happened in these weeks");
    let (nights, uncovered) = &past.not_covered;
    let sets = witness::sets(&locked(&local.account));
    let backups = sets.keys().filter(|(policy, ..)| policy == NIGHTLY).count();
    expect(*nights == backups, || {
        format!("{nights} of {backups} reports name the instance-store disk")
    })?;
    teller.line(format!(
        "Each of the {nights} reports on the database says what it lacks:"
    ));
    teller.line(format!("  {uncovered}."));

    let (thrice, account) = (&past.thrice, locked(&local.account));
    let made: Vec<String> = thrice.made.iter().map(ToString::to_string).collect();
    expect(thrice.made == [3, 0, 0], || {
        format!("three deliveries of one heartbeat made {made:?} snapshots")
    })?;
    teller.line(format!(
        "{}: one heartbeat was delivered three times.",
        day(thrice.slot)
    ));
    teller.checked(format!(
        "the deliveries made {} snapshots: one set",
        made.join(", ")
    ));

    let borrowed = &past.borrowed;
    teller.line(format!(
        "{}: a colleague registers {} (\"{}\")",
        day(borrowed.at),
        borrowed.image,
        borrowed.name
    ));
    teller.line(format!(
        "  from our {} of {}, and names it in version {} of the",
        borrowed.snapshot, borrowed.of, borrowed.version
    ));
    teller.line("  web group's launch template. Nobody tells Holdfast.");
    expect(account.image(&borrowed.image).is_some(), || {
        "the AMI is missing".to_owned()
    })?;

    let lost = &past.lost;
    teller.line(format!(
        "{}: EC2 made the set, and the connection broke before the answer.",
        day(lost.slot)
    ));
    expect((lost.calls, lost.adopted) == (1, 3), || format!("{lost:?}"))?;
    teller.checked(format!(
        "{} call; the {} snapshots were found by their tags and recorded",
        lost.calls, lost.adopted
    ));
    Ok(())
}

async fn first_lineage(
    teller: &mut Teller,
    local: &LocalAws,
    command: &Command,
    fleet: &Fleet,
) -> Result<(), DemoError> {
    teller.step("The lineage of the database's newest backup");
    let newest = {
        let account = locked(&local.account);
        let of = |(policy, _, slot): &witness::Key| (policy == NIGHTLY).then(|| slot.clone());
        let sets = witness::sets(&account);
        let newest = sets
            .iter()
            .filter_map(|(key, set)| Some((of(key)?, set)))
            .max();
        let members = newest.map(|(_, set)| set.clone()).unwrap_or_default();
        members
            .first()
            .map(|(volume, id)| (volume.to_string(), id.to_string()))
    };
    let (volume, snapshot) =
        newest.ok_or_else(|| DemoError::Unexpected("the database has no backup".into()))?;
    let graph = command.lineage(local, &snapshot).await?;
    graph.tell(teller, &snapshot);
    graph.expect_edge(&snapshot, "snapshot-of", &volume)?;
    graph.expect_edge(&volume, "attached-to", fleet.database.id.as_str())
}

/// A heartbeat of sweep-retention at the account's time.
async fn sweep(local: &LocalAws, past: &Past, function: &Function) -> Result<Report, DemoError> {
    let now = local.account.now();
    let beat = past.bus.heartbeat_envelope("SweepRetentionHeartbeat", now);
    Report::of(SWEEP, &function.invoke(&beat).await?)
}

async fn the_plan(teller: &mut Teller, local: &LocalAws, past: &Past) -> Result<Report, DemoError> {
    teller.step("A sweep in mode plan, which is the default");
    let before = witness::managed(&locked(&local.account));
    let report = sweep(local, past, &past.sweep).await?;
    table(teller, &report, "planned", "would go");
    for (outcome, code) in [
        ("kept", "retain.daily"),
        ("kept", "retain.weekly"),
        ("planned", "expired"),
        ("held", "circuit-breaker"),
        ("held", "used-by-image"),
    ] {
        let example = report.with(outcome).find(|item| item.has(code));
        let example = example.ok_or_else(|| {
            DemoError::Unexpected(format!("nothing is {outcome} for {code} in the plan"))
        })?;
        tell_item(teller, example, code);
    }
    let after = witness::managed(&locked(&local.account));
    expect(before == after, || {
        "a sweep in mode plan deleted something".to_owned()
    })?;
    expect(report.run.mode.as_deref() == Some("plan"), || {
        format!("{:?}", report.run)
    })?;
    expect(report.items.len() == after.len(), || {
        format!("{} items for {} snapshots", report.items.len(), after.len())
    })?;
    teller.checked(format!(
        "nothing was deleted; all {} snapshots have a verdict",
        after.len()
    ));
    Ok(report)
}

/// The same function with leave to delete.
fn enforcing(local: &LocalAws) -> Result<Function, DemoError> {
    let mut config = local.function_config(SWEEP)?;
    // The later of two equal names wins.
    let mode = ("HOLDFAST_MODE".to_owned(), "enforce".to_owned());
    config.environment.push(mode);
    Ok(Function::start(config)?)
}

async fn the_sweep(
    teller: &mut Teller,
    local: &LocalAws,
    past: &Past,
    planned: &Report,
    enforce: &Function,
) -> Result<Report, DemoError> {
    teller.step("The same sweep with HOLDFAST_MODE=enforce");
    let before = witness::managed(&locked(&local.account));
    let report = sweep(local, past, enforce).await?;
    table(teller, &report, "deleted", "went");
    let after = witness::managed(&locked(&local.account));
    let gone: Vec<&str> = before.difference(&after).map(String::as_str).collect();
    expect(gone == report.resources("deleted"), || {
        format!(
            "{} snapshots are gone, and the report names others",
            gone.len()
        )
    })?;
    expect(gone == planned.resources("planned"), || {
        "what went is not what the plan named".to_owned()
    })?;
    teller.checked(format!(
        "{} snapshots are gone, exactly those that the plan named",
        gone.len()
    ));
    Ok(report)
}

async fn the_held_snapshot(
    teller: &mut Teller,
    local: &LocalAws,
    command: &Command,
    fleet: &Fleet,
    past: &Past,
    swept: &Report,
) -> Result<(), DemoError> {
    let borrowed = &past.borrowed;
    let (snapshot, image) = (borrowed.snapshot.to_string(), borrowed.image.to_string());
    teller.step(&format!("Why {snapshot} is still there"));
    let item = swept
        .items
        .iter()
        .find(|item| item.resource == snapshot && item.outcome == "held")
        .ok_or_else(|| DemoError::Unexpected(format!("{snapshot} was not held")))?;
    teller.line("No rule keeps it any more. It is held all the same:");
    for reason in &item.reasons {
        teller.line(format!("{}: {}", reason.code, reason.detail));
        teller.line(format!("  {}", reason.path.join(" <- ")));
    }
    let template = fleet.web_template.to_string();
    for (code, path) in [
        ("used-by-image", vec![&snapshot, &image]),
        (
            "used-by-launch-template",
            vec![&snapshot, &image, &template],
        ),
    ] {
        let found = item.reasons.iter().find(|reason| reason.code == code);
        let same = found.is_some_and(|reason| reason.path.iter().eq(path.iter().copied()));
        expect(same, || {
            format!("{code} should have the path {path:?}: {found:?}")
        })?;
    }
    {
        let account = locked(&local.account);
        let kept = account.snapshot(&borrowed.snapshot).is_some();
        expect(kept, || format!("{snapshot}, which an AMI maps, is gone"))?;
        let tried = account
            .calls()
            .iter()
            .any(|call| call.operation == "DeleteSnapshot" && call.resources.contains(&snapshot));
        expect(!tried, || {
            format!("DeleteSnapshot was called for {snapshot}")
        })?;
    }
    teller.checked("it exists, and DeleteSnapshot was never called for it");
    let graph = command.lineage(local, &snapshot).await?;
    graph.tell(teller, &snapshot);
    graph.expect_edge(&image, "backed-by", &snapshot)
}

async fn the_breaker(
    teller: &mut Teller,
    local: &LocalAws,
    swept: &Report,
    enforce: &Function,
) -> Result<(), DemoError> {
    teller.step(&format!("The circuit breaker of {NIGHTLY}"));
    let tripped: Vec<&Item> = swept
        .with("held")
        .filter(|item| item.has("circuit-breaker"))
        .collect();
    let reason = tripped.first().and_then(|item| item.reasons.first());
    let reason = reason.ok_or_else(|| DemoError::Unexpected("no breaker tripped".into()))?;
    let hash = swept.run.plan_hash.clone().unwrap_or_default();
    teller.line(format!("It held {} expired snapshots:", tripped.len()));
    teller.line(format!("  {}.", reason.detail));
    teller
        .line("It counts deletions on the real clock, and all these weeks passed within seconds:");
    teller.line("to it, this is a first clean-up of six weeks at once. An operator looks at the");
    teller.line("plan, and releases exactly it:");
    // Without its own time it would be for the machine's, to which the story has yet to come.
    let now = local.account.now();
    let request = json!({ "run": NIGHTLY, "override": hash, "now": now });
    teller.aside(request.to_string());
    let mut held: Vec<&str> = tripped.iter().map(|item| item.resource.as_str()).collect();
    held.sort_unstable();
    let report = Report::of(SWEEP, &enforce.invoke(&request).await?)?;
    expect(report.resources("deleted") == held, || {
        "the release freed other snapshots than the breaker had held".to_owned()
    })?;
    let left = witness::managed(&locked(&local.account));
    expect(held.iter().all(|id| !left.contains(*id)), || {
        "a released snapshot is still there".to_owned()
    })?;
    teller.checked(format!("those {} went, and nothing else", held.len()));
    Ok(())
}

fn the_end(
    teller: &mut Teller,
    local: &LocalAws,
    past: &Past,
    swept: &Report,
    amis: &Amis,
) -> Result<(), DemoError> {
    teller.step("What is left");
    let account = locked(&local.account);
    let left = witness::managed(&account);
    let mut wanted: Vec<&str> = swept.resources("kept");
    wanted.push(past.borrowed.snapshot.as_str());
    wanted.sort_unstable();
    expect(
        left.iter().map(String::as_str).eq(wanted.iter().copied()),
        || format!("{} snapshots are left, not {}", left.len(), wanted.len()),
    )?;
    teller.line(format!(
        "{} snapshots of volumes were made, {} are left:",
        past.tally.created,
        left.len()
    ));
    teller.checked(format!(
        "the {} that a rule keeps, and the one under {}",
        wanted.len() - 1,
        past.borrowed.image
    ));
    images::the_end(teller, &account, amis)?;
    teller.line("Look around in such an account yourself:  make local");
    Ok(())
}

/// A line for each policy: how many are kept, go and are held.
fn table(teller: &Teller, report: &Report, goes: &str, words: &str) {
    for (policy, counts) in report.counts() {
        let of = |outcome: &str| counts.get(outcome).copied().unwrap_or(0);
        teller.line(format!(
            "{policy:<15} {:>4} kept  {:>4} {words}  {:>4} held",
            of("kept"),
            of(goes),
            of("held")
        ));
    }
}

fn tell_item(teller: &Teller, item: &Item, code: &str) {
    let detail = item.reasons.iter().find(|reason| reason.code == code);
    let word = if item.outcome == "planned" {
        "to go"
    } else {
        &item.outcome
    };
    teller.line(format!(
        "e.g. {word:<5} {} of {}: {code}",
        item.resource,
        item.time.map(minute).unwrap_or_default()
    ));
    let source = item.source.as_deref().unwrap_or_default();
    let detail = detail
        .map(|reason| reason.detail.as_str())
        .unwrap_or_default();
    teller.aside(format!("           {} {source}; {detail}", item.policy));
}
