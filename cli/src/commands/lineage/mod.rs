//! `holdfast lineage`: what did a resource come from, and what came from it?

mod dot;
mod graph;
mod live;
mod table;

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use holdfast::ports::ReadEc2;
use holdfast::ports::records::{Records, Relations, TableError};

use crate::account::Account;
use crate::args::{Format, Global, LineageArguments};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::table::Look;
use crate::output::{print, print_json, warn};
use graph::{Document, Known};
use live::Live;

/// Records read from the table at once.
const AT_ONCE: usize = 16;

/// Runs the command.
///
/// # Errors
/// The table cannot be read, or the identifier is known neither to it nor to EC2.
pub async fn run(global: &Global, arguments: &LineageArguments) -> Result<Exit, Failure> {
    if global.json && arguments.format != Format::Json {
        return Err(Failure::usage(
            "--json and another --format exclude each other",
        ));
    }
    let account = Account::connect(global).await?;
    account.reading("EC2 and the lineage");
    let mut live = Live::new(&account.ec2);
    let (known, document) = match &arguments.id {
        Some(id) => {
            let known = gather(&mut live, &account.table, id).await?;
            let document = known.document(id);
            (known, document)
        }
        None => {
            let mut known = Known::default();
            live.ask_all(&mut known).await;
            let document = known.whole();
            (known, document)
        }
    };
    let unread = live.errors();
    let instead = match arguments.id {
        Some(_) => "what is recorded is shown",
        None => "what was read is shown",
    };
    for error in unread.values() {
        warn(&format!(
            "EC2 could not be read to the end: {error}; {instead}"
        ));
    }
    if let Some(id) = &arguments.id
        && !known.knows(id)
    {
        let but = if unread.is_empty() {
            format!(
                "and EC2 has no such resource of yours in {}",
                account.place()
            )
        } else {
            "and EC2 could not be asked".to_owned()
        };
        return Err(Failure::failed(format!(
            "{id} is not recorded, {but}; check the identifier, --region and --profile"
        )));
    }
    write(arguments.format, &document)?;
    Ok(if unread.is_empty() {
        Exit::Done
    } else {
        Exit::Attention
    })
}

fn write(format: Format, document: &Document) -> Result<(), Failure> {
    match format {
        Format::Json => print_json(document),
        Format::Dot => print(&dot::dot(document)),
        Format::Table => print(&table::table(Look::of_stdout(), document)),
    }
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
