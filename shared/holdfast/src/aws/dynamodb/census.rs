//! What the last sweep counted.

use std::collections::BTreeMap;

use holdfast_core::ports::records::{Census, Lease, TableError};

use super::Table;
use super::attribute::Item;

const CENSUS: &str = "census";

pub(super) async fn read(table: &Table) -> Result<Option<Census>, TableError> {
    let Some(item) = table.get(CENSUS, CENSUS).await? else {
        return Ok(None);
    };
    let counts = |name: &str| -> Option<BTreeMap<String, u64>> {
        serde_json::from_str(item.get(name)?).ok()
    };
    let read = || {
        Some(Census {
            now: item.timestamp("now")?,
            wall: item.timestamp("wall")?,
            listed: counts("listed")?,
            picked: counts("picked")?,
        })
    };
    match read() {
        Some(census) => Ok(Some(census)),
        None => Err(table.damaged("GetItem", CENSUS)),
    }
}

/// Reads before it writes, so that a record of another schema version is refused and not
/// overwritten.
pub(super) async fn save(
    table: &Table,
    census: &Census,
    lease: Option<&Lease>,
) -> Result<(), TableError> {
    table.get(CENSUS, CENSUS).await?;
    let counts = |counts: &BTreeMap<String, u64>| serde_json::json!(counts).to_string();
    let item = Item::keyed(CENSUS, CENSUS)
        .time("now", census.now)
        .time("wall", census.wall)
        .text("listed", &counts(&census.listed))
        .text("picked", &counts(&census.picked));
    let Some(lease) = lease else {
        let whatever = "attribute_not_exists(pk) OR attribute_exists(pk)";
        return table
            .put(item.fence("fence", 0), whatever, Item::new())
            .await;
    };
    let newer = "attribute_not_exists(pk) OR fence <= :fence";
    let fence = Item::new().fence(":fence", lease.fence);
    table
        .put(item.fence("fence", lease.fence), newer, fence)
        .await
}
