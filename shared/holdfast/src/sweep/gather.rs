//! Reading what a sweep decides on, and deciding.

use std::collections::BTreeSet;

use holdfast_core::inventory::Inventory;
use holdfast_core::plan::judge::{Evidence, OnRecord, Verdicts};
use holdfast_core::plan::settle::{Recorded, Settled, settle};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::records::{Deletion, Records};
use jiff::Timestamp;

use super::census::Counted;
use super::known::{Known, known};
use super::on_record::on_record;

/// What a sweep is asked to decide.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a> {
    /// The policies.
    pub policies: &'a PolicyFile,
    /// Only this one.
    pub only: Option<&'a str>,
    /// Hash of a plan whose tripped breaker is released.
    pub release: Option<&'a str>,
    /// One's own account, where it is known.
    pub account: Option<&'a str>,
    /// The time it decides for.
    pub now: Timestamp,
    /// Whether what it decides is carried out.
    pub acts: bool,
}

/// A plan: verdicts, and what the guardrails did.
#[derive(Debug)]
pub struct Planned<'a> {
    /// One for each managed artifact, oldest first.
    pub verdicts: Verdicts<'a>,
    /// What the guardrails did.
    pub settled: Settled,
    /// Sources to be recorded as pinned.
    pub pin: Vec<String>,
    /// Sources recorded as pinned that no longer are.
    pub unpin: Vec<String>,
    /// Sources recorded as pinned that no list shows without their pin.
    pub pinned: BTreeSet<String>,
    /// Whether a release was asked for that no stored plan answers to.
    pub release_unknown: bool,
    /// The deletions that the request releases from the breaker: (policy, resource).
    pub released: BTreeSet<(String, String)>,
    /// What the table said before there were verdicts.
    pub on_record: OnRecord,
    /// Artifacts that an earlier sweep condemned.
    pub marked: BTreeSet<String>,
    /// What is to be recorded as marked, so that its mark is found when nothing else asks for it.
    pub waiting: Vec<String>,
    /// Those on record as such that wait no more.
    pub returned: Vec<String>,
    /// Deletions of which no answer was heard, although what they were to delete stands: it waits
    /// anew.
    pub unheard: Vec<Deletion>,
    /// Deletions that were carried out of marked artifacts that are listed.
    pub outlived: Vec<Deletion>,
    /// What was counted; none where the last sweep's counts could not be read.
    pub counted: Option<Counted>,
}

/// Decides, changing nothing. A table that cannot be read holds everything.
pub async fn plan<'a, R: Records>(
    records: &R,
    sweep: &Sweep<'_>,
    inventory: &'a Inventory,
) -> Planned<'a> {
    let (on_record, unread) = match on_record(records, inventory).await {
        Ok(on_record) => (on_record, None),
        Err(error) => (OnRecord::default(), Some(error)),
    };
    let evidence = Evidence {
        inventory,
        on_record: &on_record,
        account: inventory.own_account(sweep.account),
    };
    let mut verdicts = Verdicts::judge(sweep.policies, &evidence, sweep.now, sweep.only);
    let wall = Timestamp::now();
    let known = match unread {
        Some(error) => Err(error),
        None => known(records, sweep, inventory, &verdicts, wall).await,
    };
    let mut known = known.unwrap_or_else(|error| Known {
        recorded: Recorded {
            error: Some(error.to_string()),
            ..Recorded::default()
        },
        ..Known::default()
    });
    let recorded = std::mem::take(&mut known.recorded);
    let settled = settle(sweep.policies, &mut verdicts, &recorded, sweep.now, wall);
    if let Some(counted) = known.counted.as_mut().filter(|_| sweep.acts) {
        counted.accept(sweep.only, &settled.trips);
    }
    let marked: BTreeSet<String> = recorded.condemned.into_keys().collect();
    let begins = settled.grace_begins.iter();
    let marks: BTreeSet<&String> = begins.chain(&marked).collect();
    let freed: BTreeSet<&String> = settled.freed.iter().collect();
    let waits = |id: &&String| !known.waiting.contains(*id) && !freed.contains(id);
    let waiting = marks.into_iter().filter(waits).cloned().collect();
    Planned {
        verdicts,
        settled,
        pin: known.pin,
        unpin: known.unpin,
        pinned: recorded.pinned,
        release_unknown: known.release_unknown,
        released: recorded.released.deletions,
        on_record,
        marked,
        waiting,
        returned: known.returned,
        unheard: known.unheard,
        outlived: known.outlived,
        counted: known.counted,
    }
}
