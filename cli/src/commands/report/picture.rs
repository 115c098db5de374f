//! All that the page shows, as data.

use std::collections::BTreeMap;

use holdfast::dependency::References;
use holdfast::inventory::Inventory;
use holdfast::plan::coverage::Coverage;
use holdfast::plan::judge::{OnRecord, Verdict};
use holdfast::policy::{PolicyFile, PolicyState};
use holdfast::report::{Item, Outcome, Run};
use jiff::Timestamp;
use serde::Serialize;

use super::calendar::{Calendar, Known, calendar};
use super::graph::{Facts, Graph, graph};
use super::outlook::Outlook;
use super::words::{Words, Written};

/// The most that a page may take, in bytes.
pub const LIMIT: usize = 20 * 1024 * 1024;

/// What is kept free of it for the program and for what is only estimated.
const SPARE: usize = LIMIT / 4;

/// The page's data. Its shape is the page's own affair: programs read `--json`.
#[derive(Debug, Serialize)]
pub struct Picture<'a> {
    run: &'a Run,
    summary: &'a BTreeMap<Outcome, u64>,
    policies: Vec<PolicyLine<'a>>,
    words: Written,
    graph: Graph,
    calendar: Calendar,
    /// What is no verdict: creations, findings, lists that could not be read.
    items: &'a [Item],
    /// Of those, how many there was no room for.
    items_left_out: usize,
    simulation: &'a Outlook,
}

/// A policy as the page names it.
#[derive(Debug, Serialize)]
struct PolicyLine<'a> {
    name: &'a str,
    timezone: &'a str,
    state: &'static str,
}

/// What the page is drawn from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The head of the report.
    pub run: &'a Run,
    /// Its counts.
    pub summary: &'a BTreeMap<Outcome, u64>,
    /// The policies.
    pub policies: &'a PolicyFile,
    /// The lists.
    pub inventory: &'a Inventory,
    /// What the table said of them.
    pub on_record: &'a OnRecord,
    /// The verdicts.
    pub verdicts: &'a [Verdict],
    /// How the sources stand.
    pub coverage: &'a Coverage,
    /// What is no verdict and no source: creations, findings, lists that could not be read.
    pub items: &'a [Item],
    /// The next year, as far as it was simulated.
    pub outlook: &'a Outlook,
    /// The time decided for.
    pub now: Timestamp,
}

/// Most items that are no verdicts.
const ITEMS: usize = 5_000;

impl<'a> Picture<'a> {
    /// Draws everything that has room.
    #[must_use]
    pub fn draw(sources: &Sources<'a>) -> Self {
        let room = LIMIT - SPARE;
        let inventory = sources.inventory;
        let snapshots_complete =
            inventory.snapshots.is_complete() && inventory.mapped.is_complete();
        let known = Known {
            policies: sources.policies,
            coverage: sources.coverage,
            verdicts: sources.verdicts,
            snapshots_complete,
            images_complete: inventory.images.is_complete(),
            now: sources.now,
        };
        let calendar = calendar(&known, room / 4);
        let references = References::new(sources.inventory);
        let references = references.with_binned(&sources.on_record.binned);
        let facts = Facts {
            inventory: sources.inventory,
            references: &references,
            policies: sources.policies,
            verdicts: sources.verdicts,
            now: sources.now,
        };
        let mut words = Words::default();
        let covered = calendar.rows.iter().map(|row| row.source.as_str());
        let graph = graph(&facts, covered, &mut words, room - room / 4);
        Self {
            run: sources.run,
            summary: sources.summary,
            policies: sources.policies.policies.iter().map(line).collect(),
            words: words.written(),
            graph,
            items: &sources.items[..sources.items.len().min(ITEMS)],
            items_left_out: sources.items.len().saturating_sub(ITEMS),
            calendar,
            simulation: sources.outlook,
        }
    }

    /// What there was no room for, in words; nothing where all is drawn.
    #[must_use]
    pub fn left_out(&self) -> Option<String> {
        let mut parts: Vec<String> = Vec::new();
        for (verdict, count) in &self.graph.left_out {
            parts.push(format!("{count} of the backups {verdict}"));
        }
        if self.calendar.left_out > 0 {
            parts.push(format!("{} rows of the calendar", self.calendar.left_out));
        }
        if self.items_left_out > 0 {
            parts.push(format!("{} other lines", self.items_left_out));
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }

    /// How many sources and backups it shows.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        let judged = self.graph.nodes.iter().filter(|node| node.5 >= 0);
        (self.calendar.rows.len(), judged.count())
    }
}

fn line(policy: &holdfast::policy::Policy) -> PolicyLine<'_> {
    PolicyLine {
        name: &policy.name,
        timezone: policy.timezone.iana_name().unwrap_or("UTC"),
        state: match policy.state {
            PolicyState::Active => "active",
            PolicyState::Paused => "paused",
            PolicyState::Retired => "retired",
        },
    }
}
