//! `holdfast ls`: the backups that there are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use holdfast::artifact::{Artifact, ArtifactKind};
use holdfast::aws::ec2::Ec2;
use holdfast::aws::sts;
use holdfast::inventory::{Image, ImageState, Snapshot, SnapshotState};
use holdfast::plan::judge::COPY_PLACEHOLDER;
use holdfast::ports::{CallError, ImageScope, ReadEc2, SnapshotScope};
use holdfast::report::{Action, Item, Outcome, Reason, ReasonCode, Run};
use jiff::Timestamp;
use serde::Serialize;

use crate::account::Account;
use crate::args::{Global, LsArguments, Sort};
use crate::commands::head;
use crate::exit::Exit;
use crate::failure::{Failure, unlisted};
use crate::nearest::nearest;
use crate::output::age::relative;
use crate::output::items::{seconds, tone};
use crate::output::lines::Lines;
use crate::output::table::Look;
use crate::output::{note, progress};

/// A line of the report, with what EC2 tells of the backup.
#[derive(Clone, Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    item: Item,
    backup: Backup,
}

/// What EC2 tells of a backup.
#[derive(Clone, Debug, Serialize)]
struct Backup {
    /// `snapshot` or `image`.
    kind: &'static str,
    /// Its state, in EC2's words.
    state: String,
    /// Provisioned size of the volumes that it holds, in GiB; what it takes in storage is less.
    #[serde(skip_serializing_if = "Option::is_none")]
    size_gib: Option<i64>,
    /// The snapshots behind an AMI.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    snapshots: Vec<String>,
    /// The run that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
}

impl AsMut<Item> for Line {
    fn as_mut(&mut self) -> &mut Item {
        &mut self.item
    }
}

/// Runs the command.
///
/// # Errors
/// EC2 cannot be listed, or no backup is of the policy that was named.
pub async fn run(global: &Global, arguments: &LsArguments) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let config = Account::credentials(global).await?;
    let region = config.region().map(ToString::to_string);
    let place = region.as_deref().unwrap_or("no Region");
    progress(&format!("reading EC2 in {place} ..."));
    let ec2 = Ec2::new(&config);
    let (account, snapshots, images) = tokio::join!(
        sts::account(&config),
        ec2.snapshots(&SnapshotScope::Managed),
        ec2.images(&ImageScope::Own),
    );
    // Half a list is none: what is missing in it would be taken for gone.
    whole(snapshots.error.as_ref())?;
    whole(images.error.as_ref())?;
    let mut lines = lines(&snapshots.items, &images.items, account.as_deref());
    check_policy(arguments.policy.as_deref(), &lines)?;
    say_if_of_nobody(arguments, &lines);
    lines.retain(|line| wanted(line, arguments));
    sort(&mut lines, arguments.sort);
    let run = Run {
        account,
        region,
        ..head("ls", now)
    };
    Lines::new(run, lines).show(global.json, |report| {
        people(&report.lines, now, Look::of_stdout())
    })
}

fn whole(error: Option<&CallError>) -> Result<(), Failure> {
    error.map_or(Ok(()), |error| Err(unlisted(error)))
}

/// One for each snapshot in its own right and each AMI.
fn lines(snapshots: &[Snapshot], images: &[Image], account: Option<&str>) -> Vec<Line> {
    let sizes: BTreeMap<&str, i64> = snapshots
        .iter()
        .filter_map(|s| Some((s.id.as_str(), i64::from(s.size_gib?))))
        .collect();
    let behind: BTreeSet<&str> = images
        .iter()
        .flat_map(Image::snapshots)
        .map(|id| id.as_str())
        .collect();
    let mut lines = Vec::new();
    for snapshot in snapshots {
        let owner = snapshot.owner.as_deref();
        let Ok(artifact) = Artifact::read(&snapshot.tags, owner, account) else {
            continue;
        };
        if behind.contains(snapshot.id.as_str()) {
            continue;
        }
        let volume = snapshot.volume.as_ref().map(ToString::to_string);
        let source = volume.filter(|volume| volume != COPY_PLACEHOLDER);
        let standing = match snapshot.state {
            SnapshotState::Completed if artifact.kind == ArtifactKind::ImageSnapshot => {
                Standing::Orphan
            }
            SnapshotState::Completed => Standing::Good,
            SnapshotState::Error => Standing::Failed,
            _ => Standing::Unsettled,
        };
        let backup = Backup {
            kind: "snapshot",
            state: snapshot.state.to_string(),
            size_gib: snapshot.size_gib.map(i64::from),
            snapshots: Vec::new(),
            run: artifact.run.clone(),
        };
        let words = snapshot.state_message.as_deref();
        let item = item(snapshot.id.as_str(), &artifact, source, standing, words);
        lines.push(Line {
            item: Item {
                time: snapshot.start,
                ..item
            },
            backup,
        });
    }
    for image in images {
        let owner = image.owner.as_deref();
        let Ok(artifact) = Artifact::read(&image.tags, owner, account) else {
            continue;
        };
        let backing: Vec<String> = image.snapshots().map(ToString::to_string).collect();
        let size: Option<i64> = backing
            .iter()
            .map(|id| sizes.get(id.as_str()).copied())
            .sum();
        let standing = match image.state {
            ImageState::Available => Standing::Good,
            ImageState::Failed | ImageState::Error | ImageState::Invalid => Standing::Failed,
            _ => Standing::Unsettled,
        };
        let backup = Backup {
            kind: "image",
            state: image.state.to_string(),
            size_gib: size,
            snapshots: backing,
            run: artifact.run.clone(),
        };
        let source = image.source_instance.as_ref().map(ToString::to_string);
        let words = image.state_reason.as_deref();
        let item = item(image.id.as_str(), &artifact, source, standing, words);
        lines.push(Line {
            item: Item {
                time: image.created,
                ..item
            },
            backup,
        });
    }
    lines
}

#[derive(Clone, Copy, Debug)]
enum Standing {
    Good,
    /// The AMI that it was made for is gone.
    Orphan,
    Unsettled,
    Failed,
}

fn item(
    id: &str,
    artifact: &Artifact,
    source: Option<String>,
    standing: Standing,
    words: Option<&str>,
) -> Item {
    let (outcome, code) = match standing {
        Standing::Good => (Outcome::Recorded, None),
        Standing::Orphan => (Outcome::Recorded, Some(ReasonCode::Orphaned)),
        Standing::Unsettled => (Outcome::Recorded, Some(ReasonCode::Pending)),
        Standing::Failed => (Outcome::Finding, Some(ReasonCode::FailedBackup)),
    };
    let reason = code.map(|code| Reason {
        detail: words.filter(|words| !words.is_empty()).map(str::to_owned),
        ..Reason::of(code)
    });
    Item {
        source: source.or_else(|| artifact.source.clone()),
        slot: artifact.slot,
        reasons: reason.into_iter().collect(),
        ..Item::new(Action::Check, id, outcome).policy(&artifact.policy)
    }
}

/// Policies are named by the backups themselves: those of one that left the file are still there.
fn check_policy(wanted: Option<&str>, lines: &[Line]) -> Result<(), Failure> {
    let names: BTreeSet<&str> = lines
        .iter()
        .filter_map(|line| line.item.policy.as_deref())
        .collect();
    let Some(wanted) = wanted.filter(|wanted| !names.contains(wanted)) else {
        return Ok(());
    };
    match nearest(wanted, names.iter().copied()) {
        Some(near) => Err(Failure::usage(format!(
            "no backup is of a policy {wanted:?}; did you mean {near}?"
        ))),
        None => Ok(()),
    }
}

/// Nothing of a name that no backup has is perhaps a slip, and perhaps the truth.
fn say_if_of_nobody(arguments: &LsArguments, lines: &[Line]) {
    type Of = fn(&Item) -> Option<&str>;
    let named: [(&Option<String>, &str, Of); 2] = [
        (&arguments.policy, "policy", |item| item.policy.as_deref()),
        (&arguments.source, "source", |item| item.source.as_deref()),
    ];
    for (wanted, what, of) in named {
        if let Some(wanted) = wanted
            && !lines.iter().any(|line| of(&line.item) == Some(wanted))
        {
            note(&format!(
                "no backup in this account and Region is of a {what} {wanted:?}"
            ));
        }
    }
}

fn wanted(line: &Line, arguments: &LsArguments) -> bool {
    let Line { item, backup } = line;
    let is = |asked: &Option<String>, has: &Option<String>| asked.is_none() || asked == has;
    is(&arguments.policy, &item.policy)
        && is(&arguments.source, &item.source)
        && arguments
            .since
            .is_none_or(|since| item.time.is_some_and(|time| time >= since))
        && (arguments.state.is_empty() || arguments.state.contains(&backup.state))
}

fn sort(lines: &mut [Line], order: Sort) {
    // Two of one instant are ordered by their identifiers.
    lines.sort_by(|a, b| a.item.resource.cmp(&b.item.resource));
    lines.sort_by_key(|line| Reverse(line.item.time));
    match order {
        Sort::Time => {}
        Sort::Age => lines.sort_by_key(|line| line.item.time),
        Sort::Size => lines.sort_by_key(|line| Reverse(line.backup.size_gib)),
        Sort::Policy => lines.sort_by(|a, b| {
            let key = |line: &Line| (line.item.policy.clone(), line.item.source.clone());
            key(a).cmp(&key(b))
        }),
        Sort::Source => lines.sort_by(|a, b| a.item.source.cmp(&b.item.source)),
    }
}

fn people(lines: &[Line], now: Timestamp, look: Look) -> String {
    if lines.is_empty() {
        return "no backups\n".to_owned();
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let rows = lines.iter().map(|Line { item, backup }| {
        let time = item.time.map(|time| seconds(time).to_string());
        let size = backup.size_gib.map(|size| format!("{size} GiB"));
        vec![
            look.plain(&item.resource),
            look.plain(text(&item.policy)),
            look.plain(text(&item.source)),
            look.plain(text(&time)),
            look.plain(text(&item.time.map(|time| relative(time, now)))),
            look.cell(&backup.state, tone(item)),
            look.plain(text(&size)),
        ]
    });
    let header = ["BACKUP", "POLICY", "SOURCE", "TIME", "AGE", "STATE", "SIZE"];
    let mut text = look.table(&header, rows.collect());
    let orphaned = |line: &Line| {
        let mut reasons = line.item.reasons.iter();
        reasons.any(|reason| reason.code == ReasonCode::Orphaned)
    };
    let failed = |line: &Line| line.item.outcome == Outcome::Finding;
    let good = lines.iter().filter(|line| !failed(line) && !orphaned(line));
    let size: i64 = good.clone().filter_map(|line| line.backup.size_gib).sum();
    let count =
        |n: usize, one: &str, more: &str| format!("{n} {}", if n == 1 { one } else { more });
    text.push_str(&format!(
        "\n{}, of volumes of {size} GiB together\n",
        count(good.count(), "backup", "backups")
    ));
    // What failed never was a backup, and a snapshot without its AMI recreates no machine.
    let failures = lines.iter().filter(|line| failed(line)).count();
    if failures > 0 {
        let words = count(failures, "that failed is none", "that failed are none");
        text.push_str(&format!("{words}\n"));
    }
    let orphans = lines.iter().filter(|line| orphaned(line)).count();
    if orphans > 0 {
        let words = count(
            orphans,
            "snapshot of an AMI that is gone is none by itself",
            "snapshots of AMIs that are gone are none by themselves",
        );
        text.push_str(&format!(
            "{words}: `holdfast explain` tells what becomes of them\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str, policy: &str, source: &str, hour: u32, size: i64) -> Line {
        let time = format!("2026-11-20T{hour:02}:00:00Z");
        Line {
            item: Item {
                time: Some(time.parse().unwrap()),
                ..Item::new(Action::Check, id, Outcome::Recorded)
                    .policy(policy)
                    .source(source)
            },
            backup: Backup {
                kind: "snapshot",
                state: "completed".into(),
                size_gib: Some(size),
                snapshots: Vec::new(),
                run: None,
            },
        }
    }

    #[test]
    fn each_order_is_as_it_says_and_the_newest_is_first_among_equals() {
        let all = [
            line("snap-1", "b", "vol-1", 1, 10),
            line("snap-2", "a", "vol-2", 2, 30),
            line("snap-3", "b", "vol-1", 3, 20),
            line("snap-4", "a", "vol-1", 2, 20),
        ];
        for (order, ids) in [
            (Sort::Time, "3 2 4 1"),
            (Sort::Age, "1 2 4 3"),
            (Sort::Size, "2 3 4 1"),
            (Sort::Policy, "4 2 3 1"),
            (Sort::Source, "3 4 1 2"),
        ] {
            let mut lines = all.to_vec();
            sort(&mut lines, order);
            let sorted: Vec<&str> = lines
                .iter()
                .map(|line| &line.item.resource["snap-".len()..])
                .collect();
            assert_eq!(sorted.join(" "), ids, "{order:?}");
        }
    }

    #[test]
    fn a_misspelt_policy_is_told_from_one_without_backups() {
        let lines = [line("snap-1", "nightly-db", "vol-1", 1, 10)];
        let near = check_policy(Some("nigthly-db"), &lines).unwrap_err();
        assert!(
            near.message.contains("did you mean nightly-db?"),
            "{near:?}"
        );
        assert_eq!(near.exit, Exit::Usage);
        assert_eq!(check_policy(Some("weekly-web"), &lines), Ok(()));
        assert_eq!(check_policy(Some("nightly-db"), &lines), Ok(()));
    }
}
