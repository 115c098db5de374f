//! `holdfast policies check`: is the file right, and when do its policies run next?

use holdfast::error::RunError;
use holdfast::policy::{
    Exclude, OnFailure, Policy, PolicyFile, PolicyState, Protect, RequestedConsistency, Retain,
    Select, TagPattern, TagPatterns, TemplateVersions, Trigger,
};
use holdfast::report::{Action, Item, Outcome, Reason, ReasonCode, Report, Run};
use holdfast::settings::load_policies;
use jiff::Timestamp;

use super::head;
use crate::args::{CheckArguments, Global};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::age::relative;
use crate::output::table::{Look, Tone};
use crate::output::{plain, print, print_json};

const FUNCTION: &str = "holdfast policies check";
/// How many of the next fire times are shown.
const SHOWN: usize = 3;

/// Runs the command.
///
/// # Errors
/// Standard output cannot be written; a wrong file is an answer.
pub fn check(global: &Global, arguments: &CheckArguments) -> Result<Exit, Failure> {
    let now = arguments.now.or_clock();
    match load_policies(&arguments.file, now) {
        Ok(file) => {
            if global.json {
                print_json(&report(&file, now))?;
            } else {
                print(&people(&file, now, Look::of_stdout()))?;
            }
            Ok(Exit::Done)
        }
        Err(error) => {
            let wrong = wrong(error);
            for (place, message) in &wrong {
                plain(&format!("{place}: {message}"));
            }
            if global.json {
                print_json(&wrong_report(&wrong, now))?;
            }
            Ok(Exit::Usage)
        }
    }
}

/// What is wrong: the place `FILE:LINE` and `KEY: message`.
fn wrong(error: RunError) -> Vec<(String, String)> {
    match error {
        RunError::Policies(errors) => errors
            .errors
            .iter()
            .map(|e| {
                (
                    format!("{}:{}", e.file, e.line),
                    format!("{}: {}", e.key, e.message),
                )
            })
            .collect(),
        RunError::PolicyFile { path, source } => {
            vec![(path, format!("cannot be read: {source}"))]
        }
        other => vec![("holdfast".into(), other.to_string())],
    }
}

fn wrong_report(wrong: &[(String, String)], now: Timestamp) -> Report {
    let items = wrong.iter().map(|(place, message)| {
        let reason = Reason::with(ReasonCode::Refused, message);
        Item::new(Action::Check, place, Outcome::Failed).reason(reason)
    });
    let run = Run {
        complete: false,
        ..head(FUNCTION, now)
    };
    Report::new(run, items.collect())
}

fn report(file: &PolicyFile, now: Timestamp) -> Report {
    let items = file.policies.iter().map(|policy| item(policy, now));
    let run = Run {
        policy_sha256: Some(file.sha256.clone()),
        ..head(FUNCTION, now)
    };
    Report::new(run, items.collect())
}

/// A policy with its next slot; those after it, and what else makes a backup, are reasons.
fn item(policy: &Policy, now: Timestamp) -> Item {
    let item = |outcome| Item::new(Action::Check, &policy.name, outcome).policy(&policy.name);
    if let Some(words) = idle(policy.state) {
        return item(Outcome::Skipped).reason(Reason::with(ReasonCode::PolicyPaused, words));
    }
    let slots = policy.next_slots(now, SHOWN);
    let mut item = item(Outcome::Planned);
    item.slot = slots.first().copied();
    for slot in slots {
        let detail = format!("{slot} ({})", local(policy, slot));
        item = item.reason(Reason::with(ReasonCode::SlotDue, detail));
    }
    if !policy.triggers.is_empty() {
        let detail = format!("when an instance is {}", triggers(policy));
        item = item.reason(Reason::with(ReasonCode::SlotDue, detail));
    }
    item
}

fn people(file: &PolicyFile, now: Timestamp, look: Look) -> String {
    let policies = &file.policies;
    let rows = policies.iter().map(|policy| {
        let tone = match policy.state {
            PolicyState::Active => Tone::Good,
            PolicyState::Paused | PolicyState::Retired => Tone::Held,
        };
        vec![
            look.plain(&policy.name),
            look.cell(state(policy.state), tone),
            look.plain(protects(policy)),
            look.plain(consistency(&policy.consistency)),
            look.plain(schedules(policy)),
            look.plain(if policy.triggers.is_empty() {
                "-".into()
            } else {
                triggers(policy)
            }),
            look.plain(retain(&policy.retain)),
            look.plain(policy.min_copies),
        ]
    });
    let header = [
        "POLICY",
        "STATE",
        "PROTECTS",
        "CONSISTENCY",
        "SCHEDULE",
        "TRIGGERS",
        "KEEPS",
        "AT LEAST",
    ];
    let mut text = look.table(&header, rows.collect());

    let mut runs = Vec::new();
    for policy in policies {
        let row = |local: &str, utc: &str, when: &str, tone| {
            vec![
                look.plain(&policy.name),
                look.cell(local, tone),
                look.plain(utc),
                look.plain(when),
            ]
        };
        if let Some(words) = idle(policy.state) {
            runs.push(row("-", "-", words, Tone::Quiet));
            continue;
        }
        for slot in policy.next_slots(now, SHOWN) {
            let (local, utc) = (local(policy, slot), slot.to_string());
            runs.push(row(&local, &utc, &relative(slot, now), Tone::Plain));
        }
        if !policy.triggers.is_empty() {
            let words = format!("when an instance is {}", triggers(policy));
            runs.push(row("-", "-", &words, Tone::Plain));
        }
    }
    text.push('\n');
    text.push_str(&look.table(&["POLICY", "NEXT RUN", "UTC", "WHEN"], runs));
    let notes = policies.iter().flat_map(|policy| {
        let notes = notes(policy).into_iter();
        notes.map(|note| vec![look.plain(&policy.name), look.plain(note)])
    });
    let notes: Vec<_> = notes.collect();
    if !notes.is_empty() {
        text.push('\n');
        text.push_str(&look.table(&["POLICY", "WHAT HOLDS ITS BACKUPS"], notes));
    }

    let count = |state| policies.iter().filter(|p| p.state == state).count();
    text.push_str(&format!(
        "\n{} {} right: {} active, {} paused, {} retired\n",
        policies.len(),
        if policies.len() == 1 {
            "policy is"
        } else {
            "policies are"
        },
        count(PolicyState::Active),
        count(PolicyState::Paused),
        count(PolicyState::Retired),
    ));
    text
}

/// Why a policy never runs, if so.
fn idle(state: PolicyState) -> Option<&'static str> {
    match state {
        PolicyState::Active => None,
        PolicyState::Paused => Some("never: paused, creates nothing and retires nothing"),
        PolicyState::Retired => Some("never: retired, creates nothing"),
    }
}

fn state(state: PolicyState) -> &'static str {
    match state {
        PolicyState::Active => "active",
        PolicyState::Paused => "paused",
        PolicyState::Retired => "retired",
    }
}

/// The wall clock of the policy's time zone.
fn local(policy: &Policy, slot: Timestamp) -> String {
    let zoned = slot.to_zoned(policy.timezone.clone());
    zoned.strftime("%a %Y-%m-%d %H:%M %Z").to_string()
}

fn schedules(policy: &Policy) -> String {
    if policy.schedules.is_empty() {
        return "-".into();
    }
    let all: Vec<String> = policy.schedules.iter().map(ToString::to_string).collect();
    let zone = policy.timezone.iana_name().unwrap_or("UTC");
    format!("{} {zone}", all.join(", "))
}

fn triggers(policy: &Policy) -> String {
    let words: Vec<&str> = policy
        .triggers
        .iter()
        .map(|trigger| match trigger {
            Trigger::Stopped => "stopped",
            Trigger::Running => "running",
            Trigger::SpotInterruption => "about to be interrupted (Spot)",
        })
        .collect();
    words.join(" or ")
}

fn protects(policy: &Policy) -> String {
    let what = match policy.protect {
        Protect::Volumes => "volumes",
        Protect::Instances => "instances",
    };
    format!("{what}: {}", selection(policy.protect, &policy.select))
}

fn selection(protect: Protect, select: &Select) -> String {
    let mut parts = Vec::new();
    if let Some(tags) = &select.instances {
        let of = match protect {
            Protect::Volumes => "of instances ",
            Protect::Instances => "",
        };
        parts.push(format!("{of}{}", all_of(tags)));
    }
    if let Some(volumes) = &select.volumes {
        parts.push(all_of(volumes));
    }
    let mut text = parts.join(", or ");
    let without = exclusions(&select.exclude);
    if !without.is_empty() {
        text.push_str(&format!(", not {}", without.join(" or ")));
    }
    text
}

fn exclusions(exclude: &Exclude) -> Vec<String> {
    let tags = exclude.tags.iter();
    let mut without: Vec<String> = tags.map(|(key, pattern)| tag(key, pattern)).collect();
    if exclude.boot_volumes {
        without.push("root volumes".into());
    }
    if exclude.data_volumes {
        without.push("data volumes".into());
    }
    if !exclude.volume_types.is_empty() {
        let types: Vec<&str> = exclude.volume_types.iter().map(String::as_str).collect();
        without.push(types.join("|"));
    }
    let sizes = [
        ("over", exclude.larger_than_gib),
        ("under", exclude.smaller_than_gib),
    ];
    for (word, bound) in sizes {
        without.extend(bound.map(|gib| format!("{word} {gib} GiB")));
    }
    without
}

/// The level that is asked for, and what becomes of a source that does not reach it.
fn consistency(requested: &RequestedConsistency) -> String {
    let level = requested.as_str();
    match requested {
        RequestedConsistency::Crash | RequestedConsistency::Stopped => level.to_owned(),
        RequestedConsistency::Application(application) => {
            let otherwise = match application.on_failure {
                OnFailure::Skip => "no backup",
                OnFailure::Crash => "crash",
            };
            format!("{level} by {}, else {otherwise}", application.document)
        }
    }
}

fn all_of(tags: &TagPatterns) -> String {
    let tags: Vec<String> = tags
        .iter()
        .map(|(key, pattern)| tag(key, pattern))
        .collect();
    tags.join(" and ")
}

fn tag(key: &str, pattern: &TagPattern) -> String {
    match pattern {
        TagPattern::Any => format!("{key}=*"),
        TagPattern::OneOf(values) => format!("{key}={}", values.join("|")),
    }
}

/// What the policy says of references that hold, where it differs from what holds unless told.
fn notes(policy: &Policy) -> Vec<String> {
    let mut notes = Vec::new();
    match policy.launch_template_versions {
        TemplateVersions::All => {}
        TemplateVersions::DefaultAndLatest => notes.push(
            "of a launch template only the default and the newest version, and what a group or \
             fleet launches"
                .to_owned(),
        ),
        TemplateVersions::Newest(count) => notes.push(format!(
            "of a launch template only the default and the newest {count} versions, and what a \
             group or fleet launches"
        )),
    }
    if !policy.stopped_instances_hold {
        notes.push("no instance that is stopped".into());
    }
    if policy.terminated_instances_hold {
        notes.push("instances that are terminated, as long as EC2 lists them".into());
    }
    if let Some(period) = policy.recently_launched {
        notes.push(format!("a launch within {period}"));
    }
    if !policy.evidence_not_used.is_empty() {
        let sources = policy
            .evidence_not_used
            .iter()
            .map(|source| source.as_str());
        let sources: Vec<&str> = sources.collect();
        notes.push(format!(
            "not missed if unread, as declared not in use: {}",
            sources.join(", ")
        ));
    }
    notes
}

fn retain(retain: &Retain) -> String {
    let counts = [
        ("last", retain.last),
        ("hourly", retain.hourly),
        ("daily", retain.daily),
        ("weekly", retain.weekly),
        ("monthly", retain.monthly),
        ("yearly", retain.yearly),
    ];
    let counts = counts.iter().filter(|(_, count)| *count > 0);
    let mut words: Vec<String> = counts
        .map(|(rule, count)| format!("{rule} {count}"))
        .collect();
    words.extend(retain.within.map(|within| format!("within {within}")));
    words.join(", ")
}
