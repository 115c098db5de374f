//! `holdfast coverage`: does what the policies promise exist?

mod show;

use std::collections::{BTreeMap, BTreeSet};

use holdfast::check;
use holdfast::lineage::Node;
use holdfast::plan::coverage::Covered;
use holdfast::ports::records::Records;
use holdfast::report::{Item, Run};
use holdfast::settings::load_policies;
use jiff::Timestamp;
use serde::Serialize;

use super::head;
use crate::account::Account;
use crate::args::{CoverageArguments, Global};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::lines::Lines;
use crate::output::table::Look;

/// A line of the report, with what is known of a picked source.
#[derive(Debug, Serialize)]
struct Line {
    #[serde(flatten)]
    item: Item,
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<Known>,
}

/// What is known of a source that a policy picks. Times are UTC.
#[derive(Debug, Serialize)]
struct Known {
    /// The instance in whose set a volume is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// The newest good backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<String>,
    /// The consistency that it reached, where it is on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    consistency: Option<&'static str>,
    /// For how long writes were held inside the guest for it, in milliseconds, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    frozen_ms: Option<u32>,
    /// Volumes of its source that it leaves out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    excluded: Vec<String>,
    /// Instance-store devices of its source, whose data it lacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_covered: Vec<String>,
    /// Since when a newer one is being made.
    #[serde(skip_serializing_if = "Option::is_none")]
    making: Option<Timestamp>,
    /// How old the newest may get, such as `48h`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rpo: Option<String>,
    /// The policy's next slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_slot: Option<Timestamp>,
}

impl AsMut<Item> for Line {
    fn as_mut(&mut self) -> &mut Item {
        &mut self.item
    }
}

/// Runs the command.
///
/// # Errors
/// The policy file is wrong, or EC2 or the table cannot be read.
pub async fn run(global: &Global, arguments: &CoverageArguments) -> Result<Exit, Failure> {
    let now = arguments.now.or_clock();
    let policies = load_policies(&arguments.policies.file, now)?;
    let account = Account::connect(global).await?;
    account.reading("EC2 and the lineage");
    let number = account.number().await;
    let stands = check::coverage(&account.ec2, &policies, number.as_deref(), now).await?;
    let sources = &stands.coverage.sources;
    let nodes = nodes(&account.table, sources).await?;

    let complete = stands.unread.is_empty();
    let mut items = stands.coverage.items();
    items.extend(stands.unread);
    let run = Run {
        account: number,
        region: account.region.clone(),
        policy_sha256: Some(policies.sha256.clone()),
        complete,
        ..head("coverage", now)
    };
    // The sources stand first, in their order.
    let known = sources.iter().map(|source| Some(known(source, &nodes)));
    let known = known.chain(std::iter::repeat_with(|| None));
    let lines = items.into_iter().zip(known);
    let lines = lines.map(|(item, coverage)| Line { item, coverage });
    Lines::new(run, lines.collect()).show(global.json, |report| {
        show::people(&report.run, &report.lines, Look::of_stdout())
    })
}

/// The newest backups as the lineage has them.
async fn nodes<R: Records>(
    records: &R,
    sources: &[Covered],
) -> Result<BTreeMap<String, Node>, Failure> {
    let newest = sources.iter().filter_map(|source| source.newest.as_ref());
    let ids: BTreeSet<&str> = newest.map(|backup| backup.id.as_str()).collect();
    let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
    Ok(records.nodes(&ids).await?)
}

fn known(source: &Covered, nodes: &BTreeMap<String, Node>) -> Known {
    let backup = source.newest.as_ref().map(|newest| newest.id.clone());
    let node = backup.as_ref().and_then(|id| nodes.get(id));
    Known {
        instance: source.instance.as_ref().map(ToString::to_string),
        consistency: node.and_then(|node| Some(node.consistency?.as_str())),
        frozen_ms: node.and_then(|node| node.frozen_ms),
        excluded: node.map_or_else(Vec::new, |node| node.excluded.clone()),
        not_covered: node.map_or_else(Vec::new, |node| node.not_covered.clone()),
        backup,
        making: source.making,
        rpo: source.rpo.map(|rpo| rpo.to_string()),
        next_slot: source.next_slot,
    }
}
