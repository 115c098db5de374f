//! An adoption as people read it.

use std::collections::{BTreeMap, BTreeSet};

use holdfast::adopt::Prospect;
use holdfast::plan::adopt::{Proposal, Proposed};
use holdfast::policy::Policy;
use holdfast::ports::CallError;
use holdfast::report::{Item, Outcome, Reason};
use jiff::Timestamp;

use super::{adoptable, outcome};
use crate::output::age::relative;
use crate::output::items::{reasons, seconds, tone, verdict};
use crate::output::table::{Look, Tone};
use crate::output::visible;

/// What it would come to: the tags, and the verdicts of a sweep then.
pub(super) fn prospect(shown: &Prospect, policy: &Policy, now: Timestamp, look: Look) -> String {
    let named = shown.proposals.iter().map(|proposal| {
        let (word, tone, why) = match &proposal.proposed {
            Proposed::Adopt(_) => ("adopt", Tone::Good, String::new()),
            Proposed::Already(reason) => ("nothing to do", Tone::Quiet, why(reason)),
            Proposed::Refuse(reason) => ("refused", Tone::Bad, why(reason)),
        };
        let time = proposal.time;
        let unknown = || "-".to_owned();
        vec![
            look.cell(word, tone),
            look.plain(&proposal.id),
            look.plain(proposal.source.clone().unwrap_or_else(unknown)),
            look.plain(time.map_or_else(unknown, |t| seconds(t).to_string())),
            look.plain(time.map_or_else(unknown, |t| relative(t, now))),
            look.plain(why),
        ]
    });
    let header = ["ADOPTION", "RESOURCE", "SOURCE", "TIME", "AGE", "WHY"];
    let mut text = look.table(&header, named.collect());
    if shown.proposals.iter().any(adoptable) {
        text.push_str(&tags(&shown.proposals, look));
        text.push_str(&format!(
            "\nThe verdicts that a sweep of {} would come to then:\n",
            policy.name
        ));
        text.push_str(&verdicts(shown, now, look));
    }
    for item in &shown.unread {
        text.push_str(&format!(
            "not read: {} ({})\n",
            item.resource,
            visible(&reasons(&item.reasons))
        ));
    }
    text
}

/// The tags, a row for each call and tag.
fn tags(proposals: &[Proposal], look: Look) -> String {
    let mut rows = Vec::new();
    for proposal in proposals {
        let Proposed::Adopt(taggings) = &proposal.proposed else {
            continue;
        };
        for tagging in taggings {
            let mut on: Vec<&String> = tagging.resources.iter().collect();
            on.reverse();
            let mut pairs: Vec<String> = tagging
                .tags
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            pairs.reverse();
            while !on.is_empty() || !pairs.is_empty() {
                rows.push(vec![
                    look.plain(on.pop().map_or("", String::as_str)),
                    look.plain(pairs.pop().unwrap_or_default()),
                ]);
            }
        }
    }
    format!("\n{}", look.table(&["TAGS ON", "TAG"], rows))
}

/// The verdicts on what would be adopted, and those that it changes.
fn verdicts(shown: &Prospect, now: Timestamp, look: Look) -> String {
    let row = |item: &Item, before: Option<Outcome>| {
        let was = before.map_or("new", |outcome| word(outcome));
        let time = item.time.or(item.slot);
        vec![
            look.cell(verdict(item), tone(item)),
            look.plain(was),
            look.plain(&item.resource),
            look.plain(time.map_or_else(|| "-".to_owned(), |t| seconds(t).to_string())),
            look.plain(time.map_or_else(|| "-".to_owned(), |t| relative(t, now))),
            look.plain(reasons(&item.reasons)),
        ]
    };
    let adopted = shown.verdicts.iter().map(|item| row(item, None));
    let changed = shown.changed.iter();
    let rows = adopted.chain(changed.map(|one| row(&one.item, Some(one.before))));
    let header = ["VERDICT", "BEFORE", "RESOURCE", "TIME", "AGE", "WHY"];
    look.table(&header, rows.collect())
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Planned => "retire",
        other => other.as_str(),
    }
}

/// What came of it.
pub(super) fn written(
    shown: &Prospect,
    written: &BTreeMap<String, Result<(), CallError>>,
    look: Look,
) -> String {
    let rows = shown
        .proposals
        .iter()
        .filter(|p| adoptable(p))
        .map(|proposal| {
            let (came, reason, _) = outcome(proposal, written.get(&proposal.id));
            let (word, tone) = match came {
                Outcome::Recorded => ("adopted", Tone::Good),
                _ => ("failed", Tone::Bad),
            };
            vec![
                look.cell(word, tone),
                look.plain(&proposal.id),
                look.plain(reason.detail.unwrap_or_default()),
            ]
        });
    let table = look.table(&["OUTCOME", "RESOURCE", "WHY"], rows.collect());
    let resources: BTreeSet<&str> = shown
        .proposals
        .iter()
        .filter(|proposal| matches!(written.get(&proposal.id), Some(Ok(()))))
        .map(|proposal| proposal.id.as_str())
        .collect();
    format!("\n{table}\n{} adopted\n", resources.len())
}

fn why(reason: &Reason) -> String {
    reasons(std::slice::from_ref(reason))
}
