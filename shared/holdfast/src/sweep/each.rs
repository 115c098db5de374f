//! Reading many records of which some cannot be read.

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use holdfast_core::ports::records::{TableError, TableErrorKind};

/// Records that are read by themselves at once.
const AT_ONCE: usize = 8;

/// What could be read, and an error for each record that this version cannot read: it concerns that
/// record alone. They are asked for one by one only where all together they are refused.
///
/// # Errors
/// The table's, where it is not about a single record.
pub(crate) async fn each<T>(
    ids: &[String],
    read: impl AsyncFn(&[String]) -> Result<BTreeMap<String, T>, TableError>,
) -> Result<(BTreeMap<String, T>, BTreeMap<String, TableError>), TableError> {
    let mut unreadable = BTreeMap::new();
    match read(ids).await {
        Err(error) if error.kind == TableErrorKind::Unreadable => {}
        found => return Ok((found?, unreadable)),
    }
    let mut found = BTreeMap::new();
    let mut one_by_one = stream::iter(ids)
        .map(async |id| (id, read(std::slice::from_ref(id)).await))
        .buffer_unordered(AT_ONCE);
    while let Some((id, one)) = one_by_one.next().await {
        match one {
            Ok(one) => found.extend(one),
            Err(error) if error.kind == TableErrorKind::Unreadable => {
                unreadable.insert(id.clone(), error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok((found, unreadable))
}
