//! What is known of the backup that a restore is made from.

use jiff::Timestamp;

use crate::artifact::{CONSISTENCY, POLICY, SOURCE};
use crate::inventory::Tags;
use crate::lineage::{Consistency, Node};

/// A backup, and what its point in time is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The snapshot or AMI.
    pub backup: String,
    /// What it is a backup of.
    pub source: Option<String>,
    /// The policy that made it.
    pub policy: Option<String>,
    /// The point in time it holds, UTC.
    pub time: Option<Timestamp>,
    /// The consistency it reached, where that is on record.
    pub consistency: Option<Consistency>,
    /// The same in words, for people.
    pub worth: String,
    /// Disks of the source that it does not hold, in words.
    pub missing: Vec<String>,
}

impl Origin {
    /// From what EC2 and the lineage tell.
    #[must_use]
    pub fn of(
        backup: &str,
        source: Option<&str>,
        time: Option<Timestamp>,
        tags: &Tags,
        node: Option<&Node>,
    ) -> Self {
        let tagged = |key: &str| tags.get(key).cloned();
        let consistency = node.and_then(|node| node.consistency);
        let recorded = |of: fn(&Node) -> &Option<String>| node.and_then(|node| of(node).clone());
        Self {
            backup: backup.to_owned(),
            source: source
                .map(str::to_owned)
                .or_else(|| recorded(|node| &node.source))
                .or_else(|| tagged(SOURCE)),
            policy: tagged(POLICY).or_else(|| recorded(|node| &node.policy)),
            time,
            consistency,
            worth: worth(consistency, tagged(CONSISTENCY).as_deref()),
            missing: missing(node),
        }
    }
}

/// What the tag says was asked for; what was reached stands in the lineage alone.
fn worth(reached: Option<Consistency>, asked: Option<&str>) -> String {
    match (reached, asked) {
        (Some(Consistency::Crash), _) => {
            "crash: as after a power failure; file systems and databases recover at their start"
                .to_owned()
        }
        (Some(Consistency::Stopped), _) => {
            "stopped: the instance was stopped over the point in time".to_owned()
        }
        (Some(Consistency::Rebooted), _) => "rebooted: EC2 rebooted the instance for it".to_owned(),
        (Some(Consistency::Application), _) => {
            "application: writes were held inside the guest over the point in time".to_owned()
        }
        (None, Some(asked)) => format!(
            "the policy asked for {asked}; what was reached is not on record: take it for crash"
        ),
        (None, None) => "not on record: take it for crash".to_owned(),
    }
}

fn missing(node: Option<&Node>) -> Vec<String> {
    let Some(node) = node else {
        return Vec::new();
    };
    let left = node.excluded.iter();
    let left = left.map(|id| format!("{id}: the policy left it out of this backup"));
    let stores = node.not_covered.iter();
    let stores = stores.map(|device| format!("{device}: an instance-store disk, in no backup"));
    left.chain(stores).collect()
}
