//! The ledger read as a whole, for people.

use holdfast_core::ports::records::{Ledger, Readable, TableError};
use jiff::{SignedDuration, Timestamp};

use super::Table;
use super::attribute::Item;
use super::deletion::{DELETION, deletion_record};
use super::ledger::{RUN, run_record, slot_record};

/// Creations by slot and by the last call; runs and deletions by when they were recorded.
const FILTER: &str = "\
    (begins_with(pk, :slots) AND (#slot >= :since OR requested_at >= :since OR failed_at >= :since)) \
    OR (begins_with(pk, :runs) AND sk = :run AND started >= :since) \
    OR (begins_with(pk, :deletions) AND begins_with(sk, :deletion) AND #at >= :since)";

/// What the ledger holds from `since` on. There is no index by time, so this is a scan: strongly
/// consistent, to the last page.
pub(super) async fn ledger(
    table: &Table,
    since: Timestamp,
) -> Result<Readable<Ledger>, TableError> {
    // Times are compared as text here, where `…00.5Z` stands before `…00Z`.
    let earlier = since.checked_sub(SignedDuration::from_secs(1));
    let values = Item::new()
        .text(":slots", "slot#")
        .text(":runs", "run#")
        .text(":run", RUN)
        .text(":deletions", "delete#")
        .text(":deletion", DELETION)
        .time(":since", earlier.unwrap_or(Timestamp::MIN));
    let mut pages = table
        .client
        .scan()
        .table_name(&table.name)
        .consistent_read(true)
        .filter_expression(FILTER)
        .expression_attribute_names("#slot", "slot")
        .expression_attribute_names("#at", "at")
        .set_expression_attribute_values(Some(values.0))
        .into_paginator()
        .send();
    let mut read = Ledger::default();
    let mut unreadable = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| table.error("Scan", "*", &e))?;
        for item in page.items.unwrap_or_default().into_iter().map(Item) {
            let name = name(&item);
            let understood = table.readable("Scan", &name, &item).and_then(|()| {
                let understood = add(&mut read, &item);
                understood.ok_or_else(|| table.damaged("Scan", &name))
            });
            if let Err(error) = understood {
                unreadable.push((name, error));
            }
        }
    }
    Ok(Readable {
        read: read.since(since),
        unreadable,
    })
}

fn name(item: &Item) -> String {
    let word = |key| item.get(key).unwrap_or_default();
    format!("{} {}", word("pk"), word("sk"))
}

fn add(ledger: &mut Ledger, item: &Item) -> Option<()> {
    let pk = item.get("pk")?;
    if pk.starts_with("slot#") {
        ledger.creations.push(slot_record(item)?);
    } else if pk.starts_with("run#") {
        ledger.requests.push(run_record(item)?);
    } else {
        ledger.deletions.push(deletion_record(item)?);
    }
    Some(())
}
