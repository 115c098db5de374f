//! What the table and the Recycle Bin tell of the artifacts asked about.

use std::collections::BTreeMap;

use holdfast_core::inventory::{Binned, Listing};
use holdfast_core::lineage::Node;
use holdfast_core::ports::records::{Deletion, DeletionState, Records, TableError};
use holdfast_core::report::whole_second;

use crate::sweep::each::each;

type Deletions = BTreeMap<String, (Deletion, DeletionState)>;

/// What the table tells; of each artifact whose record this version cannot read, that.
pub(super) struct Recorded {
    known: Result<(BTreeMap<String, Node>, Deletions), TableError>,
    unreadable: BTreeMap<String, TableError>,
}

impl Recorded {
    pub(super) async fn read<R: Records>(records: &R, ids: &[String]) -> Self {
        let (nodes, deletions) = tokio::join!(
            each(ids, async |ids| records.nodes(ids).await),
            each(ids, async |ids| records.deletions(ids).await),
        );
        let mut unreadable = BTreeMap::new();
        let known = nodes.and_then(|(nodes, unread)| {
            unreadable.extend(unread);
            let (deletions, unread) = deletions?;
            unreadable.extend(unread);
            Ok((nodes, deletions))
        });
        Self { known, unreadable }
    }

    pub(super) fn node(&self, id: &str) -> Option<&Node> {
        self.known.as_ref().ok()?.0.get(id)
    }

    pub(super) fn deletion(&self, id: &str) -> Option<&Deletion> {
        Some(&self.known.as_ref().ok()?.1.get(id)?.0)
    }

    /// What became of an artifact that EC2 does not list, in words: where it is, and how it went.
    pub(super) fn end_of(&self, id: &str, bin: Option<&Listing<Binned>>) -> String {
        let binned = bin.and_then(|bin| in_bin(id, bin));
        let gone = match &binned {
            Some(words) => words.as_str(),
            None => "EC2 does not have it",
        };
        let (nodes, deletions) = match (&self.known, self.unreadable.get(id)) {
            (Ok(known), None) => known,
            (Err(error), _) | (_, Some(error)) => return format!("{gone}; {error}"),
        };
        // One that came back since did not go by that deletion.
        let is_the_end = |(deletion, state): &&(Deletion, DeletionState)| {
            let node = nodes.get(id).filter(|node| node.outlives(deletion.at));
            *state != DeletionState::Deleted || node.is_none()
        };
        let ended = deletions.get(id).filter(is_the_end);
        let ended = ended.map(|(deletion, state)| {
            let Deletion {
                run, at, policy, ..
            } = deletion;
            let at = whole_second(*at);
            match state {
                DeletionState::Deleted => format!(
                    "Holdfast deleted it at {at} for policy {policy} (run {run}); `holdfast \
                     evidence {id}` shows why"
                ),
                DeletionState::Intended => format!(
                    "Holdfast was about to delete it at {at} for policy {policy} (run {run}); \
                     `holdfast evidence {id}` shows why"
                ),
                DeletionState::Refused => {
                    format!("EC2 refused to delete it at {at}; it went some other way since")
                }
            }
        });
        let recorded = nodes.get(id).map(|node| {
            format!(
                "the lineage has it as {} since {}",
                node.state.as_str(),
                whole_second(node.changed)
            )
        });
        match (ended.or(recorded), binned.is_some()) {
            (Some(words), _) => format!("{gone}; {words}"),
            (None, true) => format!("{gone}; it is not on record"),
            (None, false) => {
                "EC2 does not have it among what is yours here, and it is not on record".into()
            }
        }
    }
}

/// Where it lies if it is in the Recycle Bin, and until when; or that nobody knows.
fn in_bin(id: &str, bin: &Listing<Binned>) -> Option<String> {
    if let Some(one) = bin.items.iter().find(|one| one.id == id) {
        let since = one
            .entered
            .map_or_else(String::new, |at| format!(" since {at}"));
        let until = match one.exits {
            Some(at) => format!("can be restored until {at}"),
            None => "can be restored".into(),
        };
        return Some(format!("it lies in the Recycle Bin{since} and {until}"));
    }
    let error = bin.error.as_ref()?;
    Some(format!(
        "EC2 does not list it, and whether it lies in the Recycle Bin is not known ({error})"
    ))
}
