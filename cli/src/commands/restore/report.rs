//! The report of a restore.

use std::collections::BTreeMap;

use holdfast::plan::restore::{InstancePlan, Making, Passed, VolumePlan};
use holdfast::report::{Action, Item, Outcome, Reason, ReasonCode};
use holdfast::restore::{Done, Plan, Prospect};
use jiff::Timestamp;
use serde::Serialize;

/// A line of the report, with what a restore has to say beside.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// The contract's item: `create` of what is made (before that, of the backup), `check` of a
    /// newer backup that was passed over, `record` of what is not in the lineage.
    #[serde(flatten)]
    pub(super) item: Item,
    /// What is made, and of what.
    #[serde(skip_serializing_if = "Option::is_none")]
    restore: Option<Detail>,
}

/// What is made, and of what. Keys without a value are left out.
#[derive(Debug, Default, Serialize)]
struct Detail {
    /// `volume`, `instance` or `launch-template-version`.
    kind: &'static str,
    /// The backup.
    backup: String,
    /// What the backup's point in time is worth, where that is on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    consistency: Option<&'static str>,
    /// Disks of the source that the backup does not hold, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<String>,
    /// Availability Zone of a volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    /// Type of a volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    volume_type: Option<String>,
    /// Size of a volume in GiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    size_gib: Option<i32>,
    /// IOPS of a volume, where they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    iops: Option<i32>,
    /// Throughput of a volume in MiB/s, where it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    throughput: Option<i32>,
    /// Rate in MiB/s at which a volume's blocks are loaded, where it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    initialization_rate: Option<i32>,
    /// Where a volume is attached: `i-…:/dev/…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    attach: Option<String>,
    /// The disks an AMI comes with: device to snapshot.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    disks: BTreeMap<String, String>,
    /// What else is worth knowing, for people.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// The client token of the request, and the value of the tag `holdfast:restore`.
    token: String,
}

impl AsMut<Item> for Line {
    fn as_mut(&mut self) -> &mut Item {
        &mut self.item
    }
}

/// The report's lines.
pub(super) fn lines(shown: &Prospect, done: Option<&[Done]>) -> Vec<Line> {
    let bare = |item| Line {
        item,
        restore: None,
    };
    let mut lines: Vec<Line> = Vec::new();
    if let Some((resource, reason)) = &shown.refused {
        let item = Item::new(Action::Create, resource, Outcome::Failed);
        lines.push(bare(item.reason(reason.clone())));
    }
    for (n, plan) in shown.plans.iter().enumerate() {
        let done = done.and_then(|done| done.get(n));
        let mut item = item(plan, done);
        if n == 0 {
            item.reasons.extend(shown.doubts.iter().cloned());
        }
        let resource = item.resource.clone();
        lines.push(Line {
            item,
            restore: Some(detail(plan)),
        });
        if let Some(reason) = done.and_then(|done| done.unrecorded.clone()) {
            let item = Item::new(Action::Record, resource, Outcome::Failed);
            lines.push(bare(item.reason(reason)));
        }
    }
    lines.extend(shown.passed.iter().map(|passed| bare(passed_over(passed))));
    lines
}

fn item(plan: &Plan, done: Option<&Done>) -> Item {
    let origin = plan.origin();
    let made = done.and_then(|done| done.made.as_ref());
    let failed = done.and_then(|done| done.failed.as_ref());
    let outcome = match (done, failed) {
        (None, _) => Outcome::Planned,
        (_, Some(_)) => Outcome::Failed,
        (_, None) => Outcome::Created,
    };
    let resource = made.map_or(&origin.backup, |made| &made.id);
    let mut item = Item {
        policy: origin.policy.clone(),
        source: origin.source.clone(),
        time: origin.time,
        ..Item::new(Action::Create, resource, outcome)
    };
    let before = match plan {
        Plan::Volume(plan) => plan.made.as_ref().map(ToString::to_string),
        Plan::Instance(plan) => plan.made.clone(),
    };
    if let Some(before) = before {
        let words = format!("an earlier run of the same command made {before}");
        item.reasons
            .push(Reason::with(ReasonCode::AlreadyCreated, words));
    }
    let mut path = vec![origin.backup.clone()];
    path.extend(origin.source.clone());
    if let Some(made) = made {
        path.insert(0, made.id.clone());
    }
    item.reasons.push(Reason {
        code: ReasonCode::RestoredFrom,
        detail: Some(origin.worth.clone()),
        path,
    });
    item.reasons.extend(failed.cloned());
    item
}

/// A newer backup that could not be taken.
fn passed_over(passed: &Passed) -> Item {
    Item {
        time: passed.time,
        ..Item::new(Action::Check, &passed.id, Outcome::Skipped)
    }
    .reason(passed.reason.clone())
}

fn detail(plan: &Plan) -> Detail {
    let origin = plan.origin();
    let common = Detail {
        backup: origin.backup.clone(),
        consistency: origin.consistency.map(|level| level.as_str()),
        missing: origin.missing.clone(),
        notes: plan.notes().to_vec(),
        ..Detail::default()
    };
    match plan {
        Plan::Volume(VolumePlan {
            request,
            size_gib,
            attach,
            ..
        }) => Detail {
            kind: "volume",
            zone: Some(request.zone.clone()),
            volume_type: Some(request.volume_type.clone()),
            size_gib: *size_gib,
            iops: request.iops,
            throughput: request.throughput,
            initialization_rate: request.initialization_rate,
            attach: attach.as_ref().map(ToString::to_string),
            token: request.token.clone(),
            ..common
        },
        Plan::Instance(InstancePlan { making, disks, .. }) => {
            let (kind, token) = match making {
                Making::Instance(request) => ("instance", &request.token),
                Making::Version(request) => ("launch-template-version", &request.token),
            };
            let disks = disks.iter();
            Detail {
                kind,
                disks: disks
                    .map(|disk| (disk.device.clone(), disk.snapshot.clone()))
                    .collect(),
                token: token.clone(),
                ..common
            }
        }
    }
}

/// The point in time for people.
pub(super) fn point(time: Option<Timestamp>) -> String {
    time.map_or_else(
        || "-".to_owned(),
        |t| holdfast::report::whole_second(t).to_string(),
    )
}
