//! Coverage as people read it.

use holdfast::report::{Outcome, ReasonCode, Run};
use jiff::Timestamp;

use super::{Known, Line};
use crate::output::age::relative;
use crate::output::items::{self, seconds};
use crate::output::table::{Look, Tone};

/// A table of the sources, one of everything else that is to be said, and the count.
pub(super) fn people(run: &Run, lines: &[Line], look: Look) -> String {
    let mut text = String::new();
    let (sources, others): (Vec<&Line>, Vec<&Line>) =
        lines.iter().partition(|line| line.coverage.is_some());
    if sources.is_empty() {
        text.push_str("no active policy picks anything\n");
    } else {
        text.push_str(&table(look, &sources, run.now));
        text.push_str(&format!("\n{}\n", count(&sources)));
    }
    if !others.is_empty() {
        let others: Vec<_> = others.iter().map(|line| line.item.clone()).collect();
        text.push_str(&format!("\n{}", items::table(look, &others, run.now)));
    }
    let unknown = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".into());
    text.push_str(&format!(
        "account {}, Region {}, at {}\n",
        unknown(&run.account),
        unknown(&run.region),
        seconds(run.now)
    ));
    text
}

/// Findings first, then what nobody can say, then the rest, each by source.
fn table(look: Look, sources: &[&Line], now: Timestamp) -> String {
    let mut sorted = sources.to_vec();
    sorted.sort_by_key(|line| rank(line));
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let time = |time: Option<Timestamp>| time.map(|time| seconds(time).to_string());
    let rows = sorted.into_iter().map(|line| {
        let (item, known) = (&line.item, line.coverage.as_ref());
        let of = |fact: fn(&Known) -> Option<String>| text(&known.and_then(fact));
        let tone = match rank(line) {
            0 => Tone::Bad,
            1 => Tone::Held,
            _ => Tone::Good,
        };
        let state = item.reasons.first().map_or("-", |r| r.code.as_str());
        vec![
            look.cell(state, tone),
            look.plain(&item.resource),
            look.plain(text(&item.policy)),
            look.plain(of(|known| known.instance.clone())),
            look.plain(of(|known| known.backup.clone())),
            look.plain(text(&time(item.time))),
            look.plain(text(&item.time.map(|time| relative(time, now)))),
            look.plain(of(|known| known.rpo.clone())),
            look.plain(of(worth)),
            look.plain(of(lacks)),
            look.plain(text(&time(known.and_then(|known| known.next_slot)))),
        ]
    });
    let header = [
        "STATE",
        "SOURCE",
        "POLICY",
        "INSTANCE",
        "BACKUP",
        "TIME",
        "AGE",
        "RPO",
        "CONSISTENCY",
        "NOT IN IT",
        "NEXT SLOT",
    ];
    look.table(&header, rows.collect())
}

/// The level that the backup reached, and for how long writes were held for it.
fn worth(known: &Known) -> Option<String> {
    let level = known.consistency?;
    Some(match known.frozen_ms {
        Some(ms) => format!("{level}, held {ms} ms"),
        None => level.to_owned(),
    })
}

/// Volumes that the backup leaves out, and instance-store devices whose data it lacks.
fn lacks(known: &Known) -> Option<String> {
    let lacking: Vec<&str> = [&known.excluded, &known.not_covered]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    (!lacking.is_empty()).then(|| lacking.join(", "))
}

fn rank(line: &Line) -> u8 {
    let unknown = |code| code == ReasonCode::EvidenceIncomplete;
    match line.item.outcome {
        Outcome::Finding => 0,
        _ if line.item.reasons.iter().any(|r| unknown(r.code)) => 1,
        _ => 2,
    }
}

fn count(sources: &[&Line]) -> String {
    let of = |wanted: u8| sources.iter().filter(|line| rank(line) == wanted).count();
    let mut words = vec![format!("{} as promised or not yet due", of(2))];
    for (count, what) in [(of(0), "without what was promised"), (of(1), "unknown")] {
        if count > 0 {
            words.insert(0, format!("{count} {what}"));
        }
    }
    words.join(", ")
}
