//! The next year of the account, as far as a little time gets.

use std::time::{Duration, Instant};

use holdfast::plan::judge::Evidence;
use holdfast::policy::PolicyFile;
use holdfast::simulation::{Fleet, Question, Standing, curves};
use jiff::Timestamp;
use serde::Serialize;

/// How many days are looked ahead.
const DAYS: u32 = 365;
/// For how long it is simulated. Where sources have nothing in common, a year of an account takes
/// longer than anybody waits for a page.
const TIME: Duration = Duration::from_secs(2);
/// From more backups than these nothing is simulated: what cannot be ended early, the beginning and
/// a single sweep, would take too long, and a page of so many takes its time without it.
const BACKUPS: usize = 20_000;

/// Curves, and in words what they are.
#[derive(Debug, Serialize)]
pub struct Outlook {
    /// What was simulated, or why nothing was.
    said: String,
    /// What the simulation takes for granted.
    assumptions: Vec<String>,
    policies: Vec<Curve>,
}

/// One policy's curve: how many backups it has at the beginning and after each day.
#[derive(Debug, Serialize)]
struct Curve {
    name: String,
    days: Vec<u64>,
}

impl Outlook {
    fn none(why: &str) -> Self {
        Self {
            said: format!("Not simulated: {why}."),
            assumptions: Vec::new(),
            policies: Vec::new(),
        }
    }
}

/// Simulates what the policies will do to what was read.
pub fn outlook(policies: &PolicyFile, evidence: &Evidence<'_, '_>, now: Timestamp) -> Outlook {
    let inventory = evidence.inventory;
    let whole = inventory.instances.is_complete()
        && inventory.volumes.is_complete()
        && inventory.snapshots.is_complete()
        && inventory.images.is_complete();
    if !whole {
        return Outlook::none(
            "instances, volumes, snapshots or AMIs were not read to their end, and of half an \
             account half a year would follow",
        );
    }
    let backups = inventory.snapshots.items.len();
    if backups > BACKUPS {
        return Outlook::none(&format!(
            "{backups} snapshots are more than the {BACKUPS} that are simulated for a page; \
             `holdfast simulate` does it",
        ));
    }
    let until = Instant::now() + TIME;
    let standing = Standing::of(policies, evidence, now);
    let question = Question {
        policies,
        against: None,
        fleet: &Fleet::of(inventory),
        standing: Some(&standing),
        from: now,
        days: DAYS,
        at: None,
        price: None,
    };
    let curves = curves(&question, &mut || Instant::now() < until);
    let from = now.strftime("%Y-%m-%d %H:%M");
    let as_far = match curves.days {
        days if days == curves.asked => format!("{days} days"),
        days => format!(
            "{days} of {} days, as far as {} seconds got (`holdfast simulate` goes on)",
            curves.asked,
            TIME.as_secs()
        ),
    };
    let policies = curves.policies.into_iter().map(|curve| Curve {
        name: curve.policy,
        days: curve.backups,
    });
    Outlook {
        said: format!(
            "Backups of each policy that there will be, simulated from {from} UTC for {as_far}, with \
             the instances, volumes and backups of now."
        ),
        assumptions: curves.assumptions,
        policies: policies.collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use holdfast::id::SnapshotId;
    use holdfast::inventory::table::blank;
    use holdfast::inventory::{Inventory, Snapshot, SnapshotState};
    use holdfast::plan::judge::OnRecord;

    use super::*;

    #[test]
    fn an_account_of_very_many_backups_is_left_to_simulate_and_the_page_says_so() {
        let now: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
        let policies = "version: 1
policies:
  - { name: a, protect: volumes, select: { volumes: { tags: { B: x } } }, schedule: rate(1 day), retain: { last: 1 } }";
        let policies = PolicyFile::parse("p.yaml", policies, now).unwrap();
        let mut inventory = Inventory::empty(now);
        for n in 0..=BACKUPS {
            inventory.snapshots.items.push(&Snapshot {
                id: SnapshotId::new(format!("snap-{n:017x}")),
                state: SnapshotState::Completed,
                start: Some(now),
                ..blank()
            });
        }
        let evidence = Evidence {
            inventory: &inventory,
            on_record: &OnRecord::default(),
            account: None,
        };
        let outlook = outlook(&policies, &evidence, now);
        let begins = "Not simulated: 20001 snapshots are more than the 20000";
        assert!(outlook.said.starts_with(begins), "{}", outlook.said);
        assert!(outlook.policies.is_empty());
    }
}
