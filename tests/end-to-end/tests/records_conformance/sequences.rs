//! Random operations over so few names and times that they meet each other.

use std::collections::BTreeSet;

use holdfast_core::inventory::LaunchParameters;
use holdfast_core::lineage::{Consistency, Edge, EdgeKind, Node, NodeState, SlotRecord, SlotState};
use holdfast_core::plan::governed::Governed;
use holdfast_core::plan::settle::TrippedPlan;
use holdfast_core::policy::Trigger;
use holdfast_core::ports::records::{
    Absence, Accepted, Census, Deletion, Head, Lease, OpenSource, RunRecord,
};
use jiff::Timestamp;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::operation::{Before, FUNCTION, Operation, POLICY, SOURCES};

const ARTIFACTS: [&str; 4] = ["snap-0a", "snap-0b", "ami-0c", "ami-0d"];
const POLICIES: [&str; 2] = [POLICY, "golden"];
const LEASES: [&str; 2] = ["sweep-retention", "nightly"];
const HASHES: [&str; 2] = ["aa", "bb"];
const COMPARISONS: [&str; 2] = ["images: 1 listed now, 9\tbefore", "it picks nothing now"];
/// The highest fencing token: what is written under it is never refused.
const NEWEST: u64 = 4;

/// Times around the clock, on both sides of what records believe of the future (ten minutes) and
/// of the breaker's window, and none so old that the table's expiry could take it.
pub fn recent(wall: Timestamp) -> Vec<Timestamp> {
    let minute = 60_000;
    let offsets = [
        -1430 * minute,
        -120 * minute,
        -minute,
        -minute + 250,
        0,
        minute,
        8 * minute,
        13 * minute,
        700 * minute,
    ];
    let wall = wall.as_millisecond() / 1000 * 1000;
    let times = offsets.map(|offset| Timestamp::from_millisecond(wall + offset).unwrap());
    times.to_vec()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn one_of(texts: &[&str]) -> impl Strategy<Value = String> + use<> {
    select(owned(texts))
}

fn some_of(texts: &[&str]) -> impl Strategy<Value = Vec<String>> + use<> {
    let all = owned(texts);
    let most = all.len();
    subsequence(all, 0..=most)
}

fn lease() -> impl Strategy<Value = Lease> {
    (one_of(&LEASES), one_of(&["a", "b"]), 1..=NEWEST).prop_map(|(name, holder, fence)| Lease {
        name,
        holder,
        fence,
        expires: Timestamp::UNIX_EPOCH,
    })
}

fn newest(lease: Lease) -> Lease {
    Lease {
        fence: NEWEST,
        ..lease
    }
}

/// A creation of [`POLICY`] for the first source.
pub fn slot_record(slot: Timestamp, state: SlotState, attempt: u32, fence: u64) -> SlotRecord {
    SlotRecord {
        policy: POLICY.into(),
        slot,
        source: SOURCES[0].into(),
        request: None,
        trigger: None,
        scheduled: true,
        state,
        run: "r".into(),
        attempt,
        requested_at: None,
        rebooted: false,
        artifacts: vec![],
        lost: vec![],
        failures: 0,
        failed_at: None,
        error: None,
        permanent: false,
        event_over: false,
        fence,
    }
}

fn slot(times: &[Timestamp]) -> impl Strategy<Value = SlotRecord> + use<> {
    use SlotState::{Completed, Created, Failed, Intended, Requested};
    let state = select(vec![Intended, Requested, Created, Completed, Failed]);
    let time = select(times.to_vec());
    let source = one_of(&SOURCES);
    let request = proptest::option::of(one_of(&["req"]));
    let trigger = proptest::option::of(Just(Trigger::Stopped));
    let made = (
        some_of(&ARTIFACTS),
        some_of(&ARTIFACTS),
        any::<bool>(),
        any::<bool>(),
    );
    let words = proptest::option::of(one_of(&["", "a key is disabled"]));
    let key = (time.clone(), source, request, trigger);
    let counts = (1..3_u32, 1..=NEWEST, 0..3_u32, proptest::option::of(time));
    (key, state, counts, made, words).prop_map(|(key, state, counts, made, error)| SlotRecord {
        source: key.1,
        request: key.2,
        trigger: key.3,
        requested_at: counts.3,
        failed_at: counts.3,
        artifacts: made.0,
        lost: made.1,
        rebooted: made.2,
        permanent: made.2,
        scheduled: made.3,
        event_over: made.3,
        failures: counts.2,
        error,
        ..slot_record(key.0, state, counts.0, counts.1)
    })
}

fn opening(times: &[Timestamp]) -> impl Strategy<Value = OpenSource> + use<> {
    let key = (one_of(&POLICIES), select(times.to_vec()), one_of(&SOURCES));
    let request = proptest::option::of(one_of(&["req"]));
    let trigger = proptest::option::of(Just(Trigger::SpotInterruption));
    (key, request, trigger, 0..3_u32).prop_map(|(key, request, trigger, failures)| OpenSource {
        policy: key.0,
        slot: key.1,
        source: key.2,
        request,
        trigger,
        failures,
    })
}

fn node(times: &[Timestamp]) -> impl Strategy<Value = Node> + use<> {
    use NodeState::{Available, Completed, Deleted, Deleting, Error, Gone, Pending, Present};
    let states = vec![
        Pending, Completed, Available, Error, Present, Deleting, Deleted, Gone,
    ];
    let id = one_of(&["snap-0a", "snap-0b", "ami-0c", "ami-0d", "vol-01", "i-02"]);
    let time = select(times.to_vec());
    let facts = (
        proptest::option::of(one_of(&POLICIES)),
        proptest::option::of(time.clone()),
        proptest::option::of(one_of(&SOURCES)),
        any::<bool>(),
    );
    (id, select(states), time, facts).prop_map(|(id, state, changed, facts)| Node {
        run: facts.0.clone(),
        policy: facts.0,
        slot: facts.1,
        time: facts.1,
        source: facts.2,
        consistency: facts.3.then_some(Consistency::Application),
        frozen_ms: facts.3.then_some(1_500),
        excluded: if facts.3 {
            vec!["vol-02".to_owned()]
        } else {
            Vec::new()
        },
        not_covered: if facts.3 {
            vec!["/dev/sdb".to_owned()]
        } else {
            Vec::new()
        },
        launch: facts.3.then(|| LaunchParameters {
            subnet: Some("subnet-0a".to_owned()),
            security_groups: vec!["sg-0b".to_owned()],
            ..LaunchParameters::default()
        }),
        tags: if facts.3 {
            [("Name".to_owned(), String::new())].into()
        } else {
            [].into()
        },
        ..Node::new(id, state, changed)
    })
}

fn edges() -> [Edge; 4] {
    use EdgeKind::{BackedBy, CopiedFrom, SnapshotOf};
    [
        Edge::new("ami-0c", BackedBy, "snap-0a"),
        Edge::new("ami-0d", BackedBy, "snap-0a"),
        Edge::new("snap-0a", SnapshotOf, "vol-01"),
        Edge::new("snap-0b", CopiedFrom, "snap-0b"),
    ]
}

fn some_edges() -> impl Strategy<Value = Vec<Edge>> {
    subsequence(edges().to_vec(), 0..=4)
}

/// A deletion of a good backup of [`POLICY`], recorded at its own time.
pub fn deletion(resource: &str, at: Timestamp) -> Deletion {
    Deletion {
        resource: resource.into(),
        policy: POLICY.into(),
        image: None,
        other_images: BTreeSet::new(),
        good: true,
        time: at,
        run: "r".into(),
        evidence: "{}".into(),
        at,
        tries: 0,
        refused: None,
    }
}

fn some_deletion(times: &[Timestamp]) -> impl Strategy<Value = Deletion> + use<> {
    let time = select(times.to_vec());
    let image = proptest::option::of(one_of(&["ami-0c"]));
    let of = (one_of(&ARTIFACTS), time.clone(), one_of(&POLICIES));
    let tried = (0..3_u32, proptest::option::of(one_of(&["no"])));
    let others = proptest::collection::btree_set(one_of(&["ami-0d", "ami-0e"]), 0..=2);
    let rest = ((image, others), any::<bool>(), time, tried);
    (of, rest).prop_map(|(of, (images, good, time, (tries, refused)))| Deletion {
        policy: of.2,
        image: images.0,
        other_images: images.1,
        good,
        time,
        tries,
        refused,
        ..deletion(&of.0, of.1)
    })
}

fn census(times: &[Timestamp]) -> impl Strategy<Value = Census> + use<> {
    let time = select(times.to_vec());
    let resume_at = proptest::option::of(one_of(&ARTIFACTS));
    let accepted = proptest::option::of((time.clone(), 0..3_u64));
    let accepted = accepted.prop_map(|one| {
        let one = one.map(|(wall, count)| Accepted {
            wall,
            listed: [("images".to_owned(), count)].into(),
        });
        one.map(|one| (POLICY.to_owned(), one))
            .into_iter()
            .collect()
    });
    (time.clone(), time, 0..3_u64, accepted, resume_at).prop_map(
        |(now, wall, count, accepted, resume_at)| Census {
            now,
            wall,
            listed: [("images".to_owned(), count)].into(),
            picked: [(POLICY.to_owned(), count)].into(),
            accepted,
            governed: Some(
                [(
                    POLICY.to_owned(),
                    Governed {
                        since: now,
                        graced: (count > 0).then_some(wall),
                    },
                )]
                .into(),
            ),
            resume_at,
        },
    )
}

fn of_runs(times: &[Timestamp]) -> BoxedStrategy<Operation> {
    let time = || select(times.to_vec());
    let head = (time(), any::<bool>(), any::<bool>());
    let head = head.prop_map(|(slot, complete, first)| Head {
        slot,
        complete,
        first,
    });
    let run = (one_of(&["r1", "r2"]), one_of(&POLICIES), time());
    let resources = proptest::option::of(some_of(&SOURCES));
    let run = (run, resources).prop_map(|((id, policy, slot), resources)| RunRecord {
        function: FUNCTION.into(),
        id,
        policy,
        slot,
        started: slot,
        resources,
    });
    prop_oneof![
        time().prop_map(Operation::Begin),
        Just(Operation::Begun),
        (one_of(&LEASES), one_of(&["a", "b"]), time())
            .prop_map(|(name, holder, wall)| Operation::Acquire(name, holder, wall)),
        (lease(), time()).prop_map(|(lease, wall)| Operation::Renew(lease, wall)),
        lease().prop_map(Operation::Release),
        (one_of(&POLICIES), head, lease())
            .prop_map(|(policy, head, lease)| Operation::SetHead(policy, head, lease)),
        Just(Operation::OpenSources),
        opening(times).prop_map(Operation::Open),
        opening(times).prop_map(Operation::Close),
        run.prop_map(Operation::StartRun),
        one_of(&["r1", "r2"]).prop_map(Operation::Run),
    ]
    .boxed()
}

fn of_slots(times: &[Timestamp]) -> BoxedStrategy<Operation> {
    let before = prop_oneof![
        Just(Before::Nothing),
        Just(Before::Standing),
        slot(times).prop_map(|slot| Before::Record(Box::new(slot))),
    ];
    let request = proptest::option::of(one_of(&["req"]));
    prop_oneof![
        3 => (slot(times), before).prop_map(|(slot, before)| Operation::WriteSlot(Box::new(slot), before)),
        1 => (select(times.to_vec()), request)
            .prop_map(|(slot, request)| Operation::Slots(slot, request)),
        1 => Just(Operation::NewestMade),
        2 => select(times.to_vec()).prop_map(Operation::Bakes),
        1 => select(times.to_vec()).prop_map(Operation::Ledger),
    ]
    .boxed()
}

fn of_lineage(times: &[Timestamp]) -> BoxedStrategy<Operation> {
    let nodes = proptest::collection::vec(node(times), 0..4);
    let absence = (select(times.to_vec()), any::<bool>()).prop_map(|(first, again)| Absence {
        first,
        confirmed: again.then_some(first),
    });
    let absences =
        proptest::collection::btree_map(one_of(&SOURCES), proptest::option::of(absence), 0..3);
    prop_oneof![
        3 => (nodes, some_edges(), lease())
            .prop_map(|(nodes, edges, lease)| Operation::Record(nodes, edges, lease)),
        1 => (some_of(&SOURCES), proptest::option::of(lease()))
            .prop_map(|(sources, lease)| Operation::Pin(sources, lease)),
        1 => (some_of(&SOURCES), lease())
            .prop_map(|(sources, lease)| Operation::Unpin(sources, lease)),
        2 => (absences, lease()).prop_map(|(changes, lease)| {
            // Of several writes sent at once, one refused, nobody knows which were done.
            let lease = if changes.len() > 1 { newest(lease) } else { lease };
            Operation::SetAbsences(changes, lease)
        }),
        1 => one_of(&ARTIFACTS).prop_map(Operation::Relations),
        1 => some_of(&ARTIFACTS).prop_map(Operation::Nodes),
        1 => some_edges().prop_map(Operation::Edges),
        1 => select(vec![Operation::Pins, Operation::Roster, Operation::Absences]),
    ]
    .boxed()
}

fn of_deletions(times: &[Timestamp]) -> BoxedStrategy<Operation> {
    let time = || select(times.to_vec());
    let refused = proptest::option::of(one_of(&["it is in use"]));
    let told = |what: &'static [&'static str]| {
        proptest::collection::btree_set((one_of(&POLICIES), one_of(what)), 0..3)
    };
    let plan = (told(&ARTIFACTS), told(&COMPARISONS));
    let plan = plan.prop_map(|(deletions, comparisons)| TrippedPlan {
        deletions,
        comparisons,
    });
    prop_oneof![
        2 => (some_of(&ARTIFACTS), proptest::option::of(time()), lease()).prop_map(
            |(ids, since, lease)| {
                let lease = if ids.len() > 1 { newest(lease) } else { lease };
                Operation::SetCondemned(ids, since, lease)
            }
        ),
        1 => some_of(&ARTIFACTS).prop_map(Operation::Condemned),
        2 => (some_of(&ARTIFACTS), any::<bool>(), lease()).prop_map(|(ids, waits, lease)| {
            let lease = if ids.len() > 1 { newest(lease) } else { lease };
            Operation::SetWaitingOrphans(ids, waits, lease)
        }),
        3 => (some_deletion(times), lease())
            .prop_map(|(deletion, lease)| Operation::IntendDeletion(deletion, lease)),
        3 => (some_deletion(times), refused, lease()).prop_map(|(deletion, refused, lease)| {
            Operation::EndDeletion(deletion, refused, lease)
        }),
        3 => (some_deletion(times), lease())
            .prop_map(|(deletion, lease)| Operation::PutDeletionAside(deletion, lease)),
        2 => (one_of(&POLICIES), time(), time())
            .prop_map(|(policy, since, wall)| Operation::Retired(policy, since, wall)),
        1 => some_of(&ARTIFACTS).prop_map(Operation::Deletions),
        2 => (one_of(&HASHES), plan, time(), lease()).prop_map(|(hash, plan, wall, lease)| {
            Operation::SaveTripped(hash, plan, wall, lease)
        }),
        2 => (one_of(&HASHES), time(), any::<bool>())
            .prop_map(|(hash, wall, take)| Operation::Tripped(hash, wall, take)),
        1 => (census(times), proptest::option::of(lease()))
            .prop_map(|(census, lease)| Operation::SaveCensus(census, lease)),
        1 => Just(Operation::Census),
    ]
    .boxed()
}

/// A sequence, and the reads that show all that it can have changed. Each keeps to one part of the
/// records, so that few operations do much to each other.
pub fn sequence(times: Vec<Timestamp>) -> impl Strategy<Value = (Vec<Operation>, Vec<Operation>)> {
    let some = |one: BoxedStrategy<Operation>| proptest::collection::vec(one, 1..16);
    let few = &times[3..6];
    let (runs, slots) = (of_runs(&times), of_slots(few));
    let deletions = prop_oneof![of_lineage(&times), of_deletions(&times)].boxed();
    let (read_runs, read_slots, read_rest) = (
        vec![Operation::Begun, Operation::OpenSources],
        reads_of_slots(few),
        reads_of_deletions(&times),
    );
    prop_oneof![
        1 => some(runs).prop_map(move |all| (all, read_runs.clone())),
        1 => some(slots).prop_map(move |all| (all, read_slots.clone())),
        2 => some(deletions).prop_map(move |all| (all, read_rest.clone())),
    ]
}

fn reads_of_slots(times: &[Timestamp]) -> Vec<Operation> {
    let of = |slot: &Timestamp| {
        let requests = [None, Some("req".to_owned())];
        requests.map(|request| Operation::Slots(*slot, request))
    };
    times.iter().flat_map(of).collect()
}

fn reads_of_deletions(times: &[Timestamp]) -> Vec<Operation> {
    let mut reads = vec![
        Operation::Pins,
        Operation::Roster,
        Operation::Absences,
        Operation::Census,
        Operation::WaitingOrphans,
        Operation::Condemned(owned(&ARTIFACTS)),
        Operation::Deletions(owned(&ARTIFACTS)),
        Operation::Ledger(times[0]),
        Operation::Nodes(owned(&[&ARTIFACTS[..], &SOURCES[..]].concat())),
        Operation::Relations("snap-0a".into()),
    ];
    let wall = times[times.len() - 1];
    reads.extend(POLICIES.map(|p| Operation::Retired(p.to_owned(), times[0], wall)));
    reads.extend(ARTIFACTS.map(|id| Operation::Proofs(id.to_owned())));
    reads.extend(HASHES.map(|hash| Operation::Tripped(hash.to_owned(), times[4], false)));
    reads
}
