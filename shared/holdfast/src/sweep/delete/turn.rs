//! In which order candidates are taken: from where the last sweep's time was over, round to there.
//!
//! What the last look or EC2 holds is condemned anew by every sweep. Begun with the oldest each time,
//! a sweep that does not get through would look at the same ones for ever, and never at the rest.

use std::collections::{BTreeSet, VecDeque};

use holdfast_core::plan::judge::{Subject, Verdict};
use holdfast_core::report::{Item, ReasonCode};

/// All of them in their turn, in parts of one kind each.
///
/// AMIs come before snapshots, each kind oldest first, and what is left of one AMI, or takes such
/// along, comes together.
/// Begun is with the one that the last sweep had come to; where that is no candidate any more, with
/// the first.
pub(super) fn in_turn(condemned: Vec<Verdict>, resume_at: Option<&str>) -> Vec<Vec<Verdict>> {
    let is_image = |v: &Verdict| matches!(v.subject, Subject::Image { .. });
    let mut condemned = condemned;
    condemned.sort_by(|a, b| a.orphan_of.cmp(&b.orphan_of));
    let (images, snapshots) = condemned.into_iter().partition(is_image);
    let mut parts: Vec<Vec<Verdict>> = vec![images, snapshots];
    let place = |part: &Vec<Verdict>| {
        let mut from = part
            .iter()
            .position(|v| Some(v.subject.id()) == resume_at)?;
        while from > 0 && is_part(&part[from], &part[..from]) {
            from -= 1;
        }
        Some(from)
    };
    let found = parts
        .iter()
        .enumerate()
        .find_map(|(n, part)| Some((n, place(part)?)));
    if let Some((n, from)) = found {
        let rest = parts[n].split_off(from);
        parts.insert(n + 1, rest);
        parts.rotate_left(n + 1);
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// Where the next sweep begins: with the first, in their turn, that the time did not suffice for.
/// Where it sufficed for none at all, the other kind is tried first.
pub(super) fn first_left(in_turn: &[Vec<String>], items: &[Item]) -> Option<String> {
    let over = |item: &&Item| {
        let mut reasons = item.reasons.iter();
        reasons.any(|reason| reason.code == ReasonCode::OutOfTime)
    };
    let left: BTreeSet<&str> = items
        .iter()
        .filter(over)
        .map(|item| item.resource.as_str())
        .collect();
    let mut ids = in_turn.iter().flatten();
    let first = ids.find(|id| left.contains(id.as_str()))?;
    let other = in_turn.get(1).and_then(|part| part.first());
    let none_reached = in_turn.first().and_then(|part| part.first()) == Some(first);
    other.filter(|_| none_reached).or(Some(first)).cloned()
}

/// The next so many of these, and further ones as long as they share the fate of the last: a look at
/// some of them would find too late what holds the others.
pub(super) fn next_batch(left: &mut VecDeque<Verdict>, most: usize) -> Vec<Verdict> {
    let mut batch: Vec<Verdict> = left.drain(..most.min(left.len())).collect();
    while left.front().is_some_and(|next| is_part(next, &batch)) {
        batch.extend(left.pop_front());
    }
    batch
}

/// Whether a verdict is on another part of the former AMI that the last of these is, or takes along.
fn is_part(next: &Verdict, of: &[Verdict]) -> bool {
    let last = of.last();
    next.orphan_of.is_some() && last.is_some_and(|last| last.orphan_of == next.orphan_of)
}

#[cfg(test)]
mod tests {
    use holdfast_core::id::{ImageId, SnapshotId};
    use holdfast_core::inventory::table::blank;
    use holdfast_core::inventory::{Image, ImageState, Snapshot, SnapshotState, Tags};
    use holdfast_core::plan::judge::{Decision, FormerImage};
    use holdfast_core::report::{Action, Outcome, Reason};
    use jiff::Timestamp;

    use super::*;

    fn subject(id: &str) -> Subject {
        if id.starts_with("snap-") {
            return Subject::Snapshot(Snapshot {
                id: SnapshotId::new(id),
                state: SnapshotState::Completed,
                ..blank()
            });
        }
        let image = Image {
            id: ImageId::new(id),
            name: None,
            state: ImageState::Available,
            state_reason: None,
            deregistration_protected: false,
            owner: None,
            created: None,
            source_instance: None,
            source_image: None,
            source_region: None,
            last_launched: None,
            deprecated: None,
            public: false,
            root_device: None,
            mappings: Vec::new(),
            tags: Tags::new(),
        };
        Subject::Image {
            image,
            snapshots: Vec::new(),
        }
    }

    /// Condemned ones; `snap-3a`, `snap-3b` and so on are left of one AMI.
    fn condemned(ids: &[&str]) -> Vec<Verdict> {
        let former = |id: &str| FormerImage {
            policy: "p".into(),
            source: "i-1".into(),
            slot: Timestamp::UNIX_EPOCH,
            run: id[..id.len() - 1].to_owned(),
        };
        let verdict = |id: &&str| Verdict {
            subject: subject(id),
            policy: "p".into(),
            artifact: None,
            good: false,
            former_image: None,
            orphan_of: id.ends_with(['a', 'b', 'c']).then(|| former(id)),
            retry_at: None,
            decision: Decision::Condemn(Vec::new()),
        };
        ids.iter().map(verdict).collect()
    }

    fn order(ids: &[&str], resume_at: Option<&str>) -> Vec<Vec<String>> {
        let parts = in_turn(condemned(ids), resume_at).into_iter();
        let ids = |part: Vec<Verdict>| part.iter().map(|v| v.subject.id().to_owned()).collect();
        parts.map(ids).collect()
    }

    #[test]
    fn a_sweep_begins_where_the_last_one_stopped_and_goes_round() {
        let all = ["snap-1", "ami-1", "snap-2", "ami-2", "ami-3", "snap-3"];
        let snapshots = || vec!["snap-1", "snap-2", "snap-3"];
        let images = || vec!["ami-1", "ami-2", "ami-3"];
        assert_eq!(order(&all, None), [images(), snapshots()]);
        assert_eq!(
            order(&all, Some("ami-9")),
            [images(), snapshots()],
            "it went"
        );
        assert_eq!(
            order(&all, Some("ami-2")),
            [vec!["ami-2", "ami-3"], snapshots(), vec!["ami-1"]]
        );
        assert_eq!(
            order(&all, Some("snap-3")),
            [vec!["snap-3"], images(), vec!["snap-1", "snap-2"]]
        );
        assert_eq!(order(&all, Some("snap-1")), [snapshots(), images()]);
    }

    #[test]
    fn what_is_left_of_one_ami_is_not_parted_by_the_turn() {
        let all = [
            "snap-3a", "snap-1", "snap-2a", "snap-3b", "snap-2b", "snap-2c",
        ];
        let turn = order(&all, Some("snap-2c"));
        assert_eq!(
            turn,
            [
                vec!["snap-2a", "snap-2b", "snap-2c", "snap-3a", "snap-3b"],
                vec!["snap-1"]
            ]
        );
    }

    #[test]
    fn what_shares_a_fate_is_looked_at_in_one_batch_of_amis_as_of_snapshots() {
        let parts = |ids: &[&str]| in_turn(condemned(ids), None).remove(0);
        for kind in ["ami", "snap"] {
            let ids: Vec<String> = ["3a", "1", "3b", "2", "4a", "3c"]
                .map(|id| format!("{kind}-{id}"))
                .into();
            let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
            let mut left: VecDeque<Verdict> = parts(&ids).into();
            let mut batches: Vec<Vec<String>> = Vec::new();
            while !left.is_empty() {
                let batch = next_batch(&mut left, 3);
                let ids = batch.iter().map(|v| v.subject.id().to_owned());
                batches.push(ids.collect());
            }
            let of = |ids: &[&str]| -> Vec<String> {
                ids.iter().map(|id| format!("{kind}-{id}")).collect()
            };
            assert_eq!(batches, [of(&["1", "2", "3a", "3b", "3c"]), of(&["4a"])]);
        }
    }

    fn looked_at(ids: &[Vec<String>], most: usize) -> (BTreeSet<String>, Option<String>) {
        let all: Vec<&String> = ids.iter().flatten().collect();
        let item = |(n, id): (usize, &&String)| {
            let held = Item::new(Action::Delete, id.as_str(), Outcome::Held);
            let code = match n < most {
                true => ReasonCode::SharedWithAccount,
                false => ReasonCode::OutOfTime,
            };
            held.reason(Reason::of(code))
        };
        let mut items: Vec<Item> = all.iter().enumerate().map(item).collect();
        items.sort_by(|a, b| a.resource.cmp(&b.resource));
        let done = all.iter().take(most).map(|id| (*id).clone()).collect();
        (done, first_left(ids, &items))
    }

    #[test]
    fn no_candidate_is_starved_by_others_that_every_sweep_looks_at_in_vain() {
        let all: Vec<String> = (1..=7)
            .map(|n| format!("ami-{n}"))
            .chain((1..=9).map(|n| format!("snap-{n}")))
            .collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        for most in 1..=all.len() {
            let (mut seen, mut resume_at) = (BTreeSet::new(), None);
            for _ in 0..all.len().div_ceil(most) {
                let turn = order(&all, resume_at.as_deref());
                let (looked, left) = looked_at(&turn, most);
                seen.extend(looked);
                resume_at = left;
            }
            assert_eq!(seen.len(), all.len(), "{most} a sweep");
        }
        let (_, left) = looked_at(&order(&all, None), all.len());
        assert_eq!(left, None, "a sweep that got through begins anew");
    }

    #[test]
    fn where_the_time_sufficed_for_none_the_other_kind_is_tried_first() {
        let turn = order(&["ami-1", "ami-2", "snap-1"], None);
        assert_eq!(looked_at(&turn, 0).1.as_deref(), Some("snap-1"));
        let turn = order(&["ami-1", "ami-2", "snap-1"], Some("snap-1"));
        assert_eq!(looked_at(&turn, 0).1.as_deref(), Some("ami-1"));
        assert_eq!(
            looked_at(&order(&["ami-1"], None), 0).1.as_deref(),
            Some("ami-1")
        );
    }
}
