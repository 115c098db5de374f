//! A restore as people read it.

use std::collections::BTreeSet;

use holdfast::plan::restore::{InstancePlan, Making, VolumePlan};
use holdfast::ports::restore::LaunchBy;
use holdfast::report::Reason;
use holdfast::restore::{Done, Plan, Prospect};
use jiff::Timestamp;

use super::report::point;
use crate::output::age::relative;
use crate::output::items::reasons;
use crate::output::table::{Look, Tone};
use crate::output::visible;

/// What would be made, of what, and what will be missing.
pub(super) fn prospect(shown: &Prospect, now: Timestamp, look: Look) -> String {
    let mut text = String::new();
    if let Some((resource, reason)) = &shown.refused {
        let row = vec![
            look.cell("refused", Tone::Bad),
            look.plain(resource),
            look.plain(why(reason)),
        ];
        text.push_str(&look.table(&["RESTORE", "RESOURCE", "WHY"], vec![row]));
    }
    if !shown.plans.is_empty() {
        let rows = shown.plans.iter().map(|plan| {
            let origin = plan.origin();
            let age = origin.time.map(|time| relative(time, now));
            vec![
                look.cell(verb(plan), Tone::Good),
                look.plain(&origin.backup),
                look.plain(origin.source.as_deref().unwrap_or("-")),
                look.plain(point(origin.time)),
                look.plain(age.as_deref().unwrap_or("-")),
                look.plain(what(plan)),
            ]
        });
        let header = ["RESTORE", "BACKUP", "OF", "POINT IN TIME", "AGE", "MAKES"];
        text.push_str(&look.table(&header, rows.collect()));
        text.push_str(&said(shown));
    }
    if !shown.passed.is_empty() {
        text.push_str("\nNewer backups that were passed over:\n");
        let rows = shown.passed.iter().map(|passed| {
            vec![
                look.plain(&passed.id),
                look.plain(point(passed.time)),
                look.plain(why(&passed.reason)),
            ]
        });
        text.push_str(&look.table(&["BACKUP", "TIME", "WHY NOT"], rows.collect()));
    }
    text
}

fn verb(plan: &Plan) -> &'static str {
    let made = match plan {
        Plan::Volume(plan) => plan.made.is_some(),
        Plan::Instance(plan) => plan.made.is_some(),
    };
    if made { "go on" } else { "make" }
}

fn what(plan: &Plan) -> String {
    match plan {
        Plan::Volume(plan) => volume(plan),
        Plan::Instance(plan) => instance(plan),
    }
}

fn volume(plan: &VolumePlan) -> String {
    let request = &plan.request;
    let mut words = vec![match &plan.made {
        Some(id) => format!("{id} (made before)"),
        None => "a volume".to_owned(),
    }];
    words.extend(plan.size_gib.map(|size| format!("{size} GiB")));
    words.push(request.volume_type.clone());
    words.extend(request.iops.map(|iops| format!("{iops} IOPS")));
    words.extend(request.throughput.map(|rate| format!("{rate} MiB/s")));
    words.push(format!("in {}", request.zone));
    words.extend(
        plan.attach
            .as_ref()
            .map(|target| format!("attached to {target}")),
    );
    words.join(", ")
}

fn instance(plan: &InstancePlan) -> String {
    let mut words = Vec::new();
    match &plan.making {
        Making::Instance(request) => {
            words.push(match &plan.made {
                Some(id) => format!("{id} (made before)"),
                None => "an instance".to_owned(),
            });
            match &request.by {
                LaunchBy::Template(choice) => {
                    let version = choice.version.as_deref().unwrap_or("$Default");
                    words.push(format!("by {} version {version}", choice.template));
                }
                LaunchBy::Parameters(how) => {
                    words.extend(how.instance_type.clone());
                    words.extend(how.subnet.clone());
                    words.extend(how.security_groups.iter().cloned());
                    words.extend(how.key_name.as_ref().map(|key| format!("key pair {key}")));
                    words.extend(how.instance_profile.clone());
                }
            }
        }
        Making::Version(request) => {
            let base = request.base.version.as_deref().unwrap_or("$Latest");
            words.push(match &plan.made {
                Some(number) => format!(
                    "version {number} of {} (made before)",
                    request.base.template
                ),
                None => format!("a version of {} from its {base}", request.base.template),
            });
        }
    }
    for disk in &plan.disks {
        let size = disk.size_gib.map(|size| format!(" {size} GiB"));
        words.push(format!("{}{}", disk.device, size.unwrap_or_default()));
    }
    words.join(", ")
}

/// What is worth knowing, each once.
fn said(shown: &Prospect) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut say = |line: String| {
        if seen.insert(line.clone()) {
            lines.push(line);
        }
    };
    for plan in &shown.plans {
        let origin = plan.origin();
        say(format!("consistency: {}", origin.worth));
    }
    for plan in &shown.plans {
        for missing in &plan.origin().missing {
            say(format!("missing: {missing}"));
        }
    }
    for plan in &shown.plans {
        let backup = &plan.origin().backup;
        for note in plan.notes() {
            let of_all = shown.plans.iter().all(|plan| plan.notes().contains(note));
            match of_all {
                true => say(format!("note: {note}")),
                false => say(format!("note: {backup}: {note}")),
            }
        }
    }
    for doubt in &shown.doubts {
        say(format!("not known: {}", why(doubt)));
    }
    let mut text = String::from("\n");
    for line in lines {
        text.push_str(&visible(&line));
        text.push('\n');
    }
    text
}

/// What came of it.
pub(super) fn done(shown: &Prospect, done: &[Done], look: Look) -> String {
    let rows = shown.plans.iter().zip(done).map(|(plan, done)| {
        let (word, tone) = match (&done.failed, &done.made) {
            (Some(_), _) => ("failed", Tone::Bad),
            (None, Some(made)) if made.already => ("made before", Tone::Good),
            (None, _) => ("made", Tone::Good),
        };
        let reasons: Vec<String> = done
            .failed
            .iter()
            .chain(&done.unrecorded)
            .map(why)
            .collect();
        vec![
            look.cell(word, tone),
            look.plain(done.made.as_ref().map_or("-", |made| made.id.as_str())),
            look.plain(&plan.origin().backup),
            look.plain(reasons.join("; ")),
        ]
    });
    let header = ["OUTCOME", "RESOURCE", "BACKUP", "WHY"];
    format!("\n{}", look.table(&header, rows.collect()))
}

fn why(reason: &Reason) -> String {
    reasons(std::slice::from_ref(reason))
}
