//! `holdfast retention`: which of these times would a policy's rules keep?

use std::io::Read;
use std::path::Path;

use holdfast::policy::{Policy, PolicyFile, PolicyState};
use holdfast::report::{Action, Item, Outcome, Reason, ReasonCode, Report, Run};
use holdfast::retention::{Backup, keep};
use holdfast::settings::load_policies;
use jiff::Timestamp;

use super::head;
use crate::args::{Global, RetentionArguments};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::nearest::nearest;
use crate::output::age::relative;
use crate::output::items::{counts, reasons, seconds, tone, verdict};
use crate::output::table::Look;
use crate::output::{note, print_report};

/// A time, and how it was written.
#[derive(Debug)]
struct Line {
    text: String,
    backup: Backup,
}

/// Runs the command.
///
/// # Errors
/// The policy file, the policy or a time is wrong.
pub fn run(global: &Global, arguments: &RetentionArguments) -> Result<Exit, Failure> {
    let now = arguments.now.or_clock();
    let file = load_policies(&arguments.policies.file, now)?;
    let policy = named(&file, &arguments.policy, &arguments.policies.file)?;
    let lines = read(&arguments.times)?;
    if policy.state == PolicyState::Paused {
        note(&format!(
            "{} is paused: a sweep retires nothing of it",
            policy.name
        ));
    }
    let run = Run {
        policy_sha256: Some(file.sha256.clone()),
        ..head("retention", now)
    };
    let report = Report::new(run, items(policy, now, lines));
    print_report(global.json, &report, || {
        people(&report, policy, now, Look::of_stdout())
    })?;
    Ok(Exit::Done)
}

/// The policy of that name, or the one that was probably meant.
pub(super) fn named<'p>(
    file: &'p PolicyFile,
    name: &str,
    path: &Path,
) -> Result<&'p Policy, Failure> {
    let policies = &file.policies;
    if let Some(policy) = policies.iter().find(|policy| policy.name == name) {
        return Ok(policy);
    }
    let names = || policies.iter().map(|policy| policy.name.as_str());
    let hint = match nearest(name, names()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("it has {}", names().collect::<Vec<_>>().join(", ")),
    };
    Err(Failure::usage(format!(
        "no policy in {} is named {name:?}; {hint}",
        path.display()
    )))
}

fn read(path: &Path) -> Result<Vec<Line>, Failure> {
    let standard_input = path == Path::new("-");
    let mut text = String::new();
    let result = if standard_input {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    let shown = if standard_input {
        "<stdin>".to_owned()
    } else {
        path.display().to_string()
    };
    result.map_err(|error| Failure::usage(format!("{shown}: cannot be read: {error}")))?;
    times(&shown, &text)
}

/// The times of a text, or everything in it that is none.
fn times(shown: &str, text: &str) -> Result<Vec<Line>, Failure> {
    let mut lines = Vec::new();
    let mut wrong = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        match line.parse() {
            Ok(time) => lines.push(Line {
                text: line.to_owned(),
                backup: Backup {
                    // Padded, so that of two backups of one instant the lower line is the newer.
                    id: format!("{number:012}"),
                    time,
                },
            }),
            Err(_) => wrong.push(format!(
                "{shown}:{number}: {line:?} is not an RFC 3339 time; write one such as \
                 2026-11-23T03:00:00Z"
            )),
        }
    }
    if wrong.is_empty() {
        Ok(lines)
    } else {
        Err(Failure::usage(wrong.join("\n")))
    }
}

fn items(policy: &Policy, now: Timestamp, lines: Vec<Line>) -> Vec<Item> {
    let (texts, backups): (Vec<String>, Vec<Backup>) = lines
        .into_iter()
        .map(|line| (line.text, line.backup))
        .unzip();
    let kept = keep(
        &policy.retain,
        policy.min_copies,
        &policy.timezone,
        now,
        &backups,
    );
    texts
        .into_iter()
        .zip(backups)
        .zip(kept)
        .map(|((text, backup), reasons)| {
            let (outcome, reasons) = if reasons.is_empty() {
                (Outcome::Planned, vec![Reason::of(ReasonCode::Expired)])
            } else {
                (Outcome::Kept, reasons)
            };
            Item {
                time: Some(backup.time),
                reasons,
                ..Item::new(Action::Delete, text, outcome).policy(&policy.name)
            }
        })
        .collect()
}

fn people(report: &Report, policy: &Policy, now: Timestamp, look: Look) -> String {
    let items = &report.items;
    let rows = items.iter().map(|item| {
        vec![
            look.plain(&item.resource),
            look.cell(verdict(item), tone(item)),
            look.plain(
                item.time
                    .map_or_else(String::new, |time| relative(time, now)),
            ),
            look.plain(reasons(&item.reasons)),
        ]
    });
    let table = look.table(&["TIME", "VERDICT", "AGE", "WHY"], rows.collect());
    let counts = match counts(items) {
        counts if counts.is_empty() => "no times were given".to_owned(),
        counts => counts,
    };
    let zone = policy.timezone.iana_name().unwrap_or("UTC");
    let now = seconds(now);
    format!("{table}\n{counts} by {} at {now} ({zone})\n", policy.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_that_is_no_time_is_named_by_its_number() {
        let text = "2026-11-22T03:00:00Z\n\nyesterday\r\n2026-11-23T03:00\n";
        let failure = times("t.txt", text).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        let lines: Vec<&str> = failure.message.lines().collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].starts_with("t.txt:3: \"yesterday\" is not"),
            "{lines:?}"
        );
        assert!(lines[1].starts_with("t.txt:4: "), "{lines:?}");
    }

    #[test]
    fn a_time_keeps_its_spelling_whatever_its_offset() {
        let lines = times("t", " 2026-11-22T03:00:00+01:00 \n").unwrap();
        assert_eq!(lines[0].text, "2026-11-22T03:00:00+01:00");
        assert_eq!(
            lines[0].backup.time,
            "2026-11-22T02:00:00Z".parse().unwrap()
        );
    }
}
