//! `holdfast lineage`: what did a resource come from, and what came from it?

mod graph;
mod live;

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use holdfast::ports::ReadEc2;
use holdfast::ports::records::{Records, Relations, TableError};

use crate::account::Account;
use crate::args::{Global, LineageArguments};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{print_json, progress, warn};
use graph::Known;
use live::Live;

/// Records read from the table at once.
const AT_ONCE: usize = 16;

/// Runs the command.
///
/// # Errors
/// The table cannot be read, or the identifier is known neither to it nor to EC2.
pub async fn run(global: &Global, arguments: &LineageArguments) -> Result<Exit, Failure> {
    let account = Account::connect(global).await?;
    let place = account.region.as_deref().unwrap_or("no Region");
    progress(&format!("reading EC2 and the lineage in {place} ..."));
    let id = &arguments.id;
    let mut live = Live::new(&account.ec2);
    let known = gather(&mut live, &account.table, id).await?;
    let unread = live.errors();
    for error in unread.values() {
        warn(&format!(
            "EC2 could not be read to the end: {error}; what is recorded is shown"
        ));
    }
    if !known.knows(id) {
        let but = if unread.is_empty() {
            format!("and EC2 has no such resource of yours in {place}")
        } else {
            "and EC2 could not be asked".to_owned()
        };
        return Err(Failure::failed(format!(
            "{id} is not recorded, {but}; check the identifier, --region and --profile"
        )));
    }
    print_json(&known.document(id))?;
    Ok(if unread.is_empty() {
        Exit::Done
    } else {
        Exit::Attention
    })
}

/// Reads ever further from `start`, until nothing is reached that has not been asked about.
async fn gather<E: ReadEc2, R: Records>(
    live: &mut Live<'_, E>,
    records: &R,
    start: &str,
) -> Result<Known, TableError> {
    let mut known = Known::default();
    let mut asked: BTreeSet<String> = BTreeSet::new();
    loop {
        let reached = known.reached(start);
        let new: Vec<String> = reached.difference(&asked).cloned().collect();
        if new.is_empty() {
            return Ok(known);
        }
        for (id, relations) in new.iter().zip(recorded(records, &new).await?) {
            known.record(id, relations);
        }
        live.ask(&new, &mut known).await;
        asked.extend(new);
    }
}

async fn recorded<R: Records>(records: &R, ids: &[String]) -> Result<Vec<Relations>, TableError> {
    let reads: Vec<_> = ids.iter().map(|id| records.relations(id)).collect();
    stream::iter(reads).buffered(AT_ONCE).try_collect().await
}
