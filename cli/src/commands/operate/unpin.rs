//! `holdfast unpin`: a pin taken off.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::artifact::{Artifact, PIN};
use holdfast::aws::CALL_TIMEOUT;
use holdfast::aws::ec2::Ec2;
use holdfast::id::{ImageId, InstanceId, SnapshotId, VolumeId};
use holdfast::inventory::{Listing, Tags};
use holdfast::lease::Held;
use holdfast::ports::records::Records;
use holdfast::ports::{
    CallError, ErrorClass, ImageScope, InstanceScope, ReadEc2, SnapshotScope, WriteEc2,
};
use holdfast::report::{Action, Item, Outcome, Reason, ReasonCode, Report, Run};
use holdfast::sweep;
use jiff::Timestamp;
use uuid::Uuid;

use crate::account::Account;
use crate::args::{Global, UnpinArguments};
use crate::commands::head;
use crate::confirm::{Question, YES, asks_a_person};
use crate::exit::Exit;
use crate::failure::{Failure, permission, unlisted};
use crate::output::items::{counts, table};
use crate::output::table::Look;
use crate::output::{plain, print_report};

/// How a resource is pinned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pin {
    /// The value of its tag.
    tag: Option<String>,
    /// Whether its pin is on record, which outlives it.
    recorded: bool,
    /// Whether EC2 lists it.
    listed: bool,
    /// How many backups it is the source of.
    backups: usize,
}

/// Runs the command.
///
/// # Errors
/// EC2 or the table cannot be read, or a sweep is at work.
pub async fn run(global: &Global, arguments: &UnpinArguments) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let account = Account::connect(global).await?;
    account.reading("EC2 and the record");
    let number = account.number().await;
    let ids: BTreeSet<String> = arguments.ids.iter().cloned().collect();
    let recorded = account.table.pins().await?;
    let pins = pins(&account.ec2, &ids, &recorded, number.as_deref()).await?;
    let pinned: BTreeMap<&String, &Pin> = pins.iter().filter(|(_, pin)| is_pinned(pin)).collect();

    let shown: Vec<Item> = pins.iter().map(|(id, pin)| item(id, pin, None)).collect();
    let head = Run {
        account: number,
        region: account.region.clone(),
        ..head("unpin", now)
    };
    let mut wanted = arguments.yes && !pinned.is_empty();
    if !wanted && !pinned.is_empty() && !global.json {
        if asks_a_person() {
            show(global, &head, shown.clone())?;
            let asking = Question {
                words: "take these pins off? [y/N]",
                expected: &YES,
                otherwise: "nothing was changed",
            };
            // Of a pin that changed meanwhile, taking it off is still what was asked for.
            wanted = asking.ask(async || Ok(true)).await?;
            if !wanted {
                return Ok(Exit::Done);
            }
        } else {
            plain("nothing was changed; --yes takes these pins off");
        }
    }
    if !wanted {
        return show(global, &head, shown);
    }
    let done = take_off(&account, &pinned).await?;
    let items = pins
        .iter()
        .map(|(id, pin)| item(id, pin, done.get(id.as_str())));
    show(global, &head, items.collect())
}

fn is_pinned(pin: &Pin) -> bool {
    pin.tag.is_some() || pin.recorded
}

fn show(global: &Global, head: &Run, items: Vec<Item>) -> Result<Exit, Failure> {
    let report = Report::new(head.clone(), items);
    print_report(global.json, &report, || {
        let rows = table(Look::of_stdout(), &report.items, report.run.now);
        format!("{rows}\n{}\n", counts(&report.items))
    })?;
    Ok(Exit::of_report(&report))
}

/// How each of these is pinned.
async fn pins(
    ec2: &Ec2,
    ids: &BTreeSet<String>,
    recorded: &BTreeSet<String>,
    account: Option<&str>,
) -> Result<BTreeMap<String, Pin>, Failure> {
    let snapshots: Vec<SnapshotId> = ids.iter().filter_map(|id| SnapshotId::parse(id)).collect();
    let images: Vec<ImageId> = ids.iter().filter_map(|id| ImageId::parse(id)).collect();
    let instances: Vec<InstanceId> = ids.iter().filter_map(|id| InstanceId::parse(id)).collect();
    let volumes = ids.iter().any(|id| VolumeId::parse(id).is_some());
    let sources = volumes || !instances.is_empty();

    let mut tags: BTreeMap<String, Tags> = BTreeMap::new();
    if !snapshots.is_empty() {
        let listed = whole(ec2.snapshots(&SnapshotScope::Ids(snapshots)).await)?;
        tags.extend(listed.into_iter().map(|one| (one.id.to_string(), one.tags)));
    }
    if !images.is_empty() {
        let listed = whole(ec2.images(&ImageScope::Ids(images)).await)?;
        tags.extend(listed.into_iter().map(|one| (one.id.to_string(), one.tags)));
    }
    if !instances.is_empty() {
        let listed = whole(ec2.instances(&InstanceScope::Ids(instances)).await)?;
        tags.extend(listed.into_iter().map(|one| (one.id.to_string(), one.tags)));
    }
    if volumes {
        let listed = whole(ec2.volumes().await)?;
        tags.extend(listed.into_iter().map(|one| (one.id.to_string(), one.tags)));
    }
    let of_sources = match sources {
        true => backups(ec2, account).await?,
        false => BTreeMap::new(),
    };
    let pin = |id: &String| Pin {
        tag: tags.get(id).and_then(|tags| tags.get(PIN)).cloned(),
        recorded: recorded.contains(id),
        listed: tags.contains_key(id),
        backups: of_sources.get(id).map_or(0, BTreeSet::len),
    };
    Ok(ids.iter().map(|id| (id.clone(), pin(id))).collect())
}

/// The backups of each source: by EC2's own word for it and by the tag.
async fn backups(
    ec2: &Ec2,
    account: Option<&str>,
) -> Result<BTreeMap<String, BTreeSet<String>>, Failure> {
    let (snapshots, images) = tokio::join!(
        ec2.snapshots(&SnapshotScope::Managed),
        ec2.images(&ImageScope::Own)
    );
    let mut of: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |source: Option<String>, backup: &str| {
        if let Some(source) = source {
            of.entry(source).or_default().insert(backup.to_owned());
        }
    };
    for snapshot in whole(snapshots)? {
        if let Ok(artifact) = Artifact::read(&snapshot.tags, snapshot.owner.as_deref(), account) {
            let id = snapshot.id.as_str();
            add(snapshot.volume.as_ref().map(ToString::to_string), id);
            add(artifact.source, id);
        }
    }
    for image in whole(images)? {
        if let Ok(artifact) = Artifact::read(&image.tags, image.owner.as_deref(), account) {
            let id = image.id.as_str();
            add(image.source_instance.as_ref().map(ToString::to_string), id);
            add(artifact.source, id);
        }
    }
    Ok(of)
}

fn whole<T>(list: Listing<T>) -> Result<Vec<T>, Failure> {
    match &list.error {
        Some(error) => Err(unlisted(error)),
        None => Ok(list.items),
    }
}

/// Takes the tags off, then the records: a record whose tag stands would be written again by the next
/// sweep. Under the sweep's lease, so that none decides in between, and by whose token a later sweep
/// that finds a pin wins.
async fn take_off(
    account: &Account,
    pinned: &BTreeMap<&String, &Pin>,
) -> Result<BTreeMap<String, Result<(), CallError>>, Failure> {
    let holder = format!("unpin-{}", Uuid::new_v4());
    let held = Held::take(&account.table, sweep::FUNCTION, &holder).await?;
    let held = held.map_err(|until| {
        Failure::failed(format!(
            "a sweep is at work until {until}; nothing was changed: try again then"
        ))
    })?;
    let mut done = BTreeMap::new();
    let mut failed = None;
    for (id, pin) in pinned {
        let taken = match &pin.tag {
            Some(_) => account.ec2.untag(std::slice::from_ref(*id), PIN).await,
            None => Ok(()),
        };
        let gone = taken.is_ok();
        done.insert((*id).clone(), taken);
        if gone && pin.recorded {
            let unpinned = async {
                let lease = held.good_for(CALL_TIMEOUT).await?;
                let sources = std::slice::from_ref(*id);
                account.table.unpin(sources, &lease).await
            };
            if let Err(error) = unpinned.await {
                failed = Some(error);
                break;
            }
        }
    }
    held.release().await;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(done),
    }
}

/// The report's line on one of them, before or after.
fn item(id: &str, pin: &Pin, done: Option<&Result<(), CallError>>) -> Item {
    let (outcome, code, words) = match done {
        _ if !is_pinned(pin) && !pin.listed => (
            Outcome::Failed,
            ReasonCode::NotFound,
            "EC2 does not list it, and no pin of it is on record".to_owned(),
        ),
        _ if !is_pinned(pin) => (
            Outcome::Skipped,
            ReasonCode::NotPicked,
            format!("it has no tag {PIN}, and no pin of it is on record"),
        ),
        None => (Outcome::Planned, ReasonCode::Pinned, words(pin)),
        Some(Ok(())) => (
            Outcome::Recorded,
            ReasonCode::Pinned,
            format!("no more; it had {}", words(pin)),
        ),
        Some(Err(error)) => {
            let (code, advice) = match error.class {
                ErrorClass::Denied => {
                    let advice = permission(error.operation, "*");
                    (ReasonCode::AccessDenied, advice)
                }
                ErrorClass::Throttled | ErrorClass::Limited => {
                    (ReasonCode::Throttled, String::new())
                }
                _ => (ReasonCode::Refused, String::new()),
            };
            let words = format!("{error}{advice}; the same command again finishes it");
            (Outcome::Failed, code, words)
        }
    };
    Item::new(Action::Record, id, outcome).reason(Reason::with(code, words))
}

fn words(pin: &Pin) -> String {
    let mut words = Vec::new();
    if let Some(value) = &pin.tag {
        words.push(format!("tag {PIN}={value}"));
    }
    if pin.recorded {
        words.push(match pin.listed {
            true => "its pin is on record".to_owned(),
            false => "its pin is on record, though it is gone".to_owned(),
        });
    }
    match pin.backups {
        0 => {}
        1 => words.push("it is the source of 1 backup".to_owned()),
        n => words.push(format!("it is the source of {n} backups")),
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_is_told_before_it_goes_and_what_is_not_pinned_is_left_alone() {
        let pin = Pin {
            tag: None,
            recorded: true,
            listed: false,
            backups: 2,
        };
        let shown = item("vol-1", &pin, None);
        assert_eq!(shown.outcome, Outcome::Planned);
        assert_eq!(
            shown.reasons[0].detail.as_deref(),
            Some("its pin is on record, though it is gone, it is the source of 2 backups")
        );
        assert_eq!(
            item("vol-1", &pin, Some(&Ok(()))).outcome,
            Outcome::Recorded
        );
        let free = Pin {
            listed: true,
            ..Pin::default()
        };
        assert_eq!(item("vol-2", &free, None).outcome, Outcome::Skipped);
        let unknown = item("vol-3", &Pin::default(), None);
        assert_eq!(unknown.outcome, Outcome::Failed);
        assert_eq!(unknown.reasons[0].code, ReasonCode::NotFound);
    }
}
