//! The chapters about AMIs: a machine that stops, an AMI that somebody deregisters by hand, and
//! what the reconcile and the sweep make of it.

use std::collections::BTreeSet;

use holdfast_core::artifact;
use holdfast_core::id::InstanceId;
use holdfast_sim::Account;

use super::command::Command;
use super::golden::{self, BAKE, Bake, GOLDEN, Golden, STOPS};
use super::past::{CHECK, SWEEP, locked};
use super::report::{Item, Report};
use super::teller::{Teller, clock};
use super::{DemoError, expect};
use crate::lambda::Function;
use crate::local::LocalAws;

/// What has become of the AMIs.
#[derive(Debug)]
pub struct Amis {
    /// One for each stop, the oldest first.
    bakes: [Bake; STOPS],
    /// Launched from the first.
    test: InstanceId,
}

impl Amis {
    /// The AMI that an instance was launched from.
    fn in_use(&self) -> &Bake {
        &self.bakes[0]
    }

    /// The AMI that nothing needs and no rule keeps.
    fn expired(&self) -> &Bake {
        &self.bakes[1]
    }

    /// The AMI that is kept only since [`Self::removed`] is gone.
    fn successor(&self) -> &Bake {
        &self.bakes[2]
    }

    /// The AMI that somebody deregisters.
    fn removed(&self) -> &Bake {
        &self.bakes[3]
    }

    fn newest(&self) -> &Bake {
        &self.bakes[4]
    }
}

/// Lets the machine stop for the first time, and tells what comes of it.
///
/// # Errors
///
/// Something is not as it is told.
pub async fn the_first_stop(
    teller: &mut Teller,
    local: &LocalAws,
    command: &Command,
    golden: &mut Golden,
) -> Result<Bake, DemoError> {
    teller.step("A machine stops, and its AMI is made while the disks are quiet");
    teller.line("From here on, every event goes where the template's rules send it.");
    let bake = golden.stop(2).await?;
    let (image, machine) = (bake.image.to_string(), golden.machine());
    let (name, id) = (machine.name.clone(), machine.id.to_string());
    teller.line(format!(
        "{} {name} stops; EC2's event is delivered to {BAKE} twice.",
        clock(bake.time)
    ));
    let calls = locked(&local.account)
        .calls()
        .iter()
        .filter(|call| call.operation == "CreateImage")
        .count();
    expect(calls == 1 && bake.made == [1, 0], || {
        format!("{calls} calls and {:?} AMIs", bake.made)
    })?;
    teller.checked(format!("1 call, and 1 AMI: {image}"));
    let on_record = golden::recorded(local, &image)?;
    expect(on_record == ("available".into(), "stopped".into()), || {
        format!("{image} is on record as {on_record:?}")
    })?;
    for snapshot in &bake.snapshots {
        let (state, _) = golden::recorded(local, snapshot.as_str())?;
        expect(state == "completed", || format!("{snapshot} is {state}"))?;
    }
    teller.line("Two minutes later it is available. EC2 says so in events, again twice each;");
    teller.line(format!(
        "they bring {CHECK} to fill in its snapshots: no reconcile was needed."
    ));
    teller.checked(format!(
        "{name} stood still before the call and after it, and so it is recorded: \"{}\"",
        on_record.1
    ));
    let graph = command.lineage(local, &image).await?;
    graph.tell(teller, &image);
    graph.expect_edge(&image, "image-of", &id)?;
    for snapshot in &bake.snapshots {
        graph.expect_edge(&image, "backed-by", snapshot.as_str())?;
    }
    if let Some(snapshot) = bake.snapshots.first() {
        let told = command.explain(local, &[snapshot.as_str()]).await?;
        teller.line(format!("$ holdfast explain {snapshot}"));
        let said = told.said(snapshot.as_str())?;
        expect(
            said == ("held", vec!["used-by-image", "retain.last"]),
            || format!("{snapshot} is {said:?}"),
        )?;
        reasons(teller, told.item(snapshot.as_str())?);
    }
    Ok(bake)
}

/// Lets the machine stop some times more, and tells what would go.
///
/// # Errors
///
/// Something is not as it is told.
pub async fn more_stops(
    teller: &mut Teller,
    local: &LocalAws,
    command: &Command,
    golden: &mut Golden,
    first: Bake,
) -> Result<Amis, DemoError> {
    teller.step(&format!("It stops {} times more", STOPS - 1));
    let bakes = golden.go_on(first).await?;
    let test = golden.launch_from(&bakes[0].image).await?;
    let amis = Amis { bakes, test };
    let ids: Vec<&str> = amis.bakes.iter().map(|b| b.image.as_str()).collect();
    let told = command.explain(local, &ids).await?;
    teller.line(format!(
        "{GOLDEN} keeps the newest two AMIs. Of these, says holdfast explain,"
    ));
    for (bake, (outcome, code)) in amis.bakes.iter().zip([
        ("held", "used-by-instance"),
        ("deletable", "expired"),
        ("deletable", "expired"),
        ("held", "retain.last"),
        ("held", "retain.last"),
    ]) {
        let id = bake.image.as_str();
        let said = told.said(id)?;
        expect(said == (outcome, vec![code]), || {
            format!("{id} is {said:?}")
        })?;
        let verdict = match outcome {
            "held" => "stays",
            _ => "may go",
        };
        teller.line(format!(
            "  {id} of {}  {verdict:<6}  {code}",
            clock(bake.time)
        ));
    }
    teller.aside(format!(
        "a test machine, {}, was launched from the first",
        amis.test
    ));
    teller.checked(format!(
        "{STOPS} AMIs, each with 2 completed snapshots, each made while it stood still"
    ));
    Ok(amis)
}

/// Lets somebody deregister an AMI, and tells what two reconciles report.
///
/// # Errors
///
/// Something is not as it is told.
pub async fn by_hand(
    teller: &mut Teller,
    local: &LocalAws,
    golden: &mut Golden,
    amis: &Amis,
) -> Result<(), DemoError> {
    teller.step("A colleague deregisters an AMI by hand");
    let removed = amis.removed();
    let image = removed.image.as_str();
    teller.line(format!(
        "{} {image} is deregistered, and its snapshots stay.",
        clock(golden.now())
    ));
    let told = golden.deregister(&removed.image).await?;
    let (state, _) = golden::recorded(local, image)?;
    expect(told == 2 && state == "available", || {
        format!("{told} events, and {image} is on record as {state}")
    })?;
    teller.line("EC2's event and CloudTrail's are hints. Only what two reconciles miss is gone:");
    for (nth, outcome) in [("first", "deferred"), ("second", "finding")] {
        let mut told = Vec::new();
        let time = golden.now();
        let report = golden.reconcile().await?;
        let said = report.said(image)?;
        expect(said == (outcome, vec!["gone"]), || {
            format!("the {nth} reconcile says of {image}: {said:?}")
        })?;
        teller.line(format!("{} the {nth} reconcile", clock(time)));
        told.push(report.item(image)?);
        for snapshot in &removed.snapshots {
            let said = report.said(snapshot.as_str())?;
            expect(said == ("finding", vec!["orphaned"]), || {
                format!("the {nth} reconcile says of {snapshot}: {said:?}")
            })?;
            told.push(report.item(snapshot.as_str())?);
        }
        lines(teller, &told);
    }
    let (state, _) = golden::recorded(local, image)?;
    expect(state == "gone", || {
        format!("{image} is on record as {state}")
    })?;
    teller.checked("it is on record as gone, and its snapshots as what they are: orphaned");
    Ok(())
}

/// A sweep in mode `enforce`, and what has gone by it.
///
/// # Errors
///
/// Something is not as it is told.
pub async fn the_sweep(
    teller: &mut Teller,
    local: &LocalAws,
    golden: &Golden,
    amis: &Amis,
    enforce: &Function,
) -> Result<(), DemoError> {
    let now = golden.now();
    teller.step("The next sweep, with HOLDFAST_MODE=enforce");
    let before = artifacts(&locked(&local.account));
    let beat = golden
        .bus
        .heartbeat_envelope("SweepRetentionHeartbeat", now);
    let report = Report::of(SWEEP, &enforce.invoke(&beat).await?)?;
    let mut told = Vec::new();
    for (bake, outcome, code) in [
        (amis.in_use(), "held", "used-by-instance"),
        (amis.expired(), "deleted", "expired"),
        (amis.successor(), "kept", "retain.last"),
        (amis.newest(), "kept", "retain.last"),
    ] {
        let id = bake.image.as_str();
        let said = report.said(id)?;
        expect(said == (outcome, vec![code]), || {
            format!("{id} is {said:?}")
        })?;
        told.push(report.item(id)?);
    }
    for snapshot in &amis.removed().snapshots {
        let said = report.said(snapshot.as_str())?;
        expect(said == ("kept", vec!["retain.last", "orphaned"]), || {
            format!("{snapshot} is {said:?}")
        })?;
        told.push(report.item(snapshot.as_str())?);
    }
    lines(teller, &told);
    let after = artifacts(&locked(&local.account));
    let gone: BTreeSet<String> = before.difference(&after).cloned().collect();
    let expired = amis.expired();
    expect(gone == parts(expired), || format!("{gone:?} are gone"))?;
    teller.checked(format!(
        "{} is gone with its snapshots, and nothing else",
        expired.image
    ));
    teller.line(format!(
        "{} counts in place of the one that is no more: retention counts what",
        amis.successor().image
    ));
    teller.line(
        "there is. The orphans are judged as if their AMI still stood: a rule would keep it, and so",
    );
    teller.line("they stay; RegisterImage makes an AMI of them again.");
    Ok(())
}

/// Tells which AMIs are left, and checks that these and their snapshots are all there is.
///
/// # Errors
///
/// There is more, or less.
pub fn the_end(teller: &Teller, account: &Account, amis: &Amis) -> Result<(), DemoError> {
    let mut wanted: BTreeSet<String> = [amis.in_use(), amis.successor(), amis.newest()]
        .into_iter()
        .flat_map(parts)
        .collect();
    let orphans = &amis.removed().snapshots;
    wanted.extend(orphans.iter().map(ToString::to_string));
    let left: BTreeSet<String> = artifacts(account)
        .into_iter()
        .filter(|id| of_an_image(account, id))
        .collect();
    expect(left == wanted, || {
        format!("{left:?} are left, not {wanted:?}")
    })?;
    teller.line(format!(
        "{STOPS} AMIs were made; 3 are left, and {} snapshots of one that is gone:",
        orphans.len()
    ));
    teller.checked(format!(
        "the 2 that a rule keeps, the one under {}, and the {} orphans",
        amis.test,
        orphans.len()
    ));
    Ok(())
}

/// An AMI and its snapshots.
fn parts(bake: &Bake) -> BTreeSet<String> {
    let snapshots = bake.snapshots.iter().map(ToString::to_string);
    snapshots.chain([bake.image.to_string()]).collect()
}

/// Every snapshot and every AMI in the account, whoever made it.
fn artifacts(account: &Account) -> BTreeSet<String> {
    let snapshots = account.snapshots().map(|snapshot| snapshot.id.to_string());
    let images = account.images().map(|image| image.id.to_string());
    snapshots.chain(images).collect()
}

/// Whether an artifact is tagged as an AMI of Holdfast's, or as a snapshot behind one.
fn of_an_image(account: &Account, id: &str) -> bool {
    let snapshot = account.snapshots().find(|s| s.id.as_str() == id);
    let image = account.images().find(|i| i.id.as_str() == id);
    let tags = snapshot.map(|s| &s.tags).or(image.map(|i| &i.tags));
    let kind = tags.and_then(|tags| tags.get(artifact::ARTIFACT));
    kind.is_some_and(|kind| kind.starts_with("image"))
}

/// What is said of each: a line, and the reasons' words where the line before has not just said them.
fn lines(teller: &Teller, items: &[&Item]) {
    let mut before: Vec<&str> = Vec::new();
    for item in items {
        let codes: Vec<&str> = item.reasons.iter().map(|r| r.code.as_str()).collect();
        teller.line(format!(
            "  {:<8} {:<22}  {}",
            item.outcome,
            item.resource,
            codes.join(", ")
        ));
        let words: Vec<&str> = item.reasons.iter().map(|r| r.detail.as_str()).collect();
        for detail in words.iter().filter(|_| words != before) {
            teller.aside(format!("           {detail}"));
        }
        before = words;
    }
}

/// Why something stays, a reason with its path at a time.
fn reasons(teller: &Teller, item: &Item) {
    teller.line(format!("  {}", item.outcome));
    for reason in &item.reasons {
        teller.line(format!("  {}: {}", reason.code, reason.detail));
        teller.line(format!("    {}", reason.path.join(" <- ")));
    }
}
