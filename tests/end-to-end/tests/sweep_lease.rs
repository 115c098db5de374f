//! No call that changes something is sent without a lease that outlasts it, wherever a sweep is frozen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use holdfast::aws::CALL_TIMEOUT;
use holdfast::function::Invocation;
use holdfast::sweep;
use holdfast_core::event::{SweepEvent, SweepRequest};
use holdfast_core::lineage::{Edge, Node, NodeState, SlotRecord};
use holdfast_core::plan::settle::{Retired, TrippedPlan};
use holdfast_core::policy::PolicyFile;
use holdfast_core::ports::records::{
    Absence, Acquired, Begun, Census, Deletion, DeletionState, Head, Lease, Ledger, OpenSource,
    Readable, Records, Relations, RunRecord, TableError,
};
use holdfast_core::report::{Mode, Report};
use holdfast_end_to_end::backups::{self, NOW, VOLUME, day};
use holdfast_end_to_end::images::{POLICIES, seed_image};
use holdfast_end_to_end::{at, device, seed_backup};
use holdfast_sim::records::InMemoryRecords;
use holdfast_sim::{Account, ImageSeed, InProcess, Settings, SharedAccount};
use jiff::{SignedDuration, Timestamp};

/// Enough for one call, and little enough that it is renewed before the next.
const SHORT: SignedDuration = SignedDuration::from_secs(25);

/// What becomes of the renewal at which the sweep was frozen.
#[derive(Clone, Copy, Debug)]
enum Thawed {
    /// Another has taken the lease meanwhile.
    Another,
    /// The answer comes when less of the lease is left than a call may take.
    TooLate,
}

/// Records whose leases are short, and of which one renewal goes wrong.
struct Frozen {
    records: InMemoryRecords,
    account: SharedAccount,
    /// Renewals that come through.
    left: Mutex<usize>,
    thawed: Thawed,
    /// Every operation, with how many calls had changed the account before it.
    log: Mutex<Vec<(&'static str, usize)>>,
}

fn changes(account: &SharedAccount) -> Vec<String> {
    let account = account.lock().unwrap();
    let changing = ["DeregisterImage", "DeleteSnapshot"];
    let calls = account.calls().iter().map(|call| call.operation.clone());
    calls
        .filter(|call| changing.contains(&call.as_str()))
        .collect()
}

impl Frozen {
    fn note(&self, operation: &'static str) {
        let before = changes(&self.account).len();
        self.log.lock().unwrap().push((operation, before));
    }
}

macro_rules! pass {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        async fn $name(&self, $($argument: $type),*) -> Result<$answer, TableError> {
            self.note(stringify!($name));
            self.records.$name($($argument),*).await
        }
    )*};
}

impl Records for Frozen {
    async fn acquire(
        &self,
        name: &str,
        holder: &str,
        wall: Timestamp,
    ) -> Result<Acquired, TableError> {
        let acquired = self.records.acquire(name, holder, wall).await?;
        Ok(match acquired {
            Acquired::Held(lease) => Acquired::Held(Lease {
                expires: wall + SHORT,
                ..lease
            }),
            busy => busy,
        })
    }

    async fn renew(&self, lease: &Lease, wall: Timestamp) -> Result<Lease, TableError> {
        let goes_wrong = {
            let mut left = self.left.lock().unwrap();
            let none = *left == 0;
            *left = left.saturating_sub(1);
            none
        };
        if !goes_wrong {
            let lease = self.records.renew(lease, wall).await?;
            self.note("renew");
            return Ok(Lease {
                expires: wall + SHORT,
                ..lease
            });
        }
        self.note("renewal went wrong");
        match self.thawed {
            Thawed::Another => {
                self.records.expire_leases();
                let other = self.records.acquire(&lease.name, "another", wall).await?;
                assert!(matches!(other, Acquired::Held(_)), "{other:?}");
                self.records.renew(lease, wall).await
            }
            Thawed::TooLate => Ok(Lease {
                expires: wall + CALL_TIMEOUT - SignedDuration::from_secs(1),
                ..self.records.renew(lease, wall).await?
            }),
        }
    }

    pass! {
        begin(function: &str, now: Timestamp) -> Begun;
        begun(function: &str) -> Begun;
        release(lease: &Lease) -> ();
        set_head(function: &str, policy: &str, head: &Head, lease: &Lease) -> ();
        open_sources(function: &str) -> Readable<Vec<OpenSource>>;
        open(function: &str, source: &OpenSource) -> ();
        close(function: &str, source: &OpenSource) -> ();
        slots(policy: &str, slot: Timestamp, request: Option<&str>, sources: &[String])
            -> BTreeMap<String, SlotRecord>;
        newest_made(policy: &str, sources: &[String]) -> BTreeMap<String, Timestamp>;
        bakes(policy: &str, source: &str, since: Timestamp) -> Vec<SlotRecord>;
        write_slot(record: &SlotRecord, before: Option<&SlotRecord>) -> ();
        record(nodes: &[Node], edges: &[Edge], lease: &Lease) -> ();
        start_run(run: &RunRecord) -> RunRecord;
        run(function: &str, id: &str) -> Option<RunRecord>;
        ledger(since: Timestamp) -> Readable<Ledger>;
        pins() -> BTreeSet<String>;
        pin(sources: &[String], lease: Option<&Lease>) -> ();
        unpin(sources: &[String], lease: &Lease) -> ();
        condemned(resources: &[String]) -> BTreeMap<String, Timestamp>;
        set_condemned(resources: &[String], since: Option<Timestamp>, lease: &Lease) -> ();
        waiting_orphans() -> BTreeSet<String>;
        set_waiting_orphans(snapshots: &[String], waits: bool, lease: &Lease) -> ();
        retired(policy: &str, since: Timestamp, wall: Timestamp) -> Vec<Retired>;
        intend_deletion(deletion: &Deletion, lease: &Lease) -> ();
        end_deletion(deletion: &Deletion, refused: Option<&str>, lease: &Lease) -> ();
        put_deletion_aside(deletion: &Deletion, lease: &Lease) -> ();
        save_tripped(hash: &str, plan: &TrippedPlan, wall: Timestamp, lease: &Lease) -> ();
        tripped(hash: &str, wall: Timestamp, take: bool) -> Option<TrippedPlan>;
        proofs(resource: &str) -> Vec<(Deletion, DeletionState)>;
        deletions(resources: &[String]) -> BTreeMap<String, (Deletion, DeletionState)>;
        census() -> Option<Census>;
        save_census(census: &Census, lease: Option<&Lease>) -> ();
        roster() -> BTreeMap<String, NodeState>;
        nodes(ids: &[String]) -> BTreeMap<String, Node>;
        edges(edges: &[Edge]) -> BTreeSet<Edge>;
        absences() -> BTreeMap<String, Absence>;
        set_absences(changes: &BTreeMap<String, Option<Absence>>, lease: &Lease) -> ();
        relations(id: &str) -> Relations;
    }
}

/// An AMI that goes with its snapshots, one whose snapshots go one by one because a foreign AMI maps
/// one of them, and a snapshot.
fn account() -> SharedAccount {
    // Evidence ages by the account's clock.
    let mut account = Account::new(Settings {
        start: Timestamp::now(),
        ..Settings::default()
    });
    backups::volume(&mut account, &[("Backup", "nightly")]);
    for n in 0..3 {
        seed_backup(&mut account, "nightly", VOLUME, &day(n), &[]);
    }
    let baked: Vec<_> = (0..4)
        .map(|n| seed_image(&mut account, &day(n), &[]))
        .collect();
    account.seed_image(ImageSeed {
        name: Some("golden".into()),
        mappings: vec![device("/dev/xvda", &baked[3].snapshots[0])],
        ..ImageSeed::default()
    });
    account.shared()
}

async fn swept(left: usize, thawed: Thawed) -> (Result<Report, String>, Frozen) {
    let account = account();
    let ports = Frozen {
        records: InMemoryRecords::new(),
        account: account.clone(),
        left: Mutex::new(left),
        thawed,
        log: Mutex::default(),
    };
    let nightly = &backups::POLICIES[backups::POLICIES.find("  - name").unwrap()..];
    let policies = format!("{POLICIES}{nightly}");
    let policies = PolicyFile::parse("p.yaml", &policies, at(NOW)).unwrap();
    let event = SweepEvent::Request(SweepRequest {
        now: Some(at(NOW)),
        ..SweepRequest::default()
    });
    let invocation = Invocation {
        id: "run".to_owned(),
        account: None,
        region: None,
        stop_at: None,
        operator: None,
    };
    let ec2 = InProcess::new(account);
    let report = sweep::sweep(&ec2, &ports, &policies, Mode::Enforce, event, &invocation).await;
    (report.map_err(|error| error.to_string()), ports)
}

/// Each changing call, with the last operation on the records before it.
fn before_each(ports: &Frozen) -> Vec<(String, &'static str)> {
    let log = ports.log.lock().unwrap();
    let calls = changes(&ports.account).into_iter().enumerate();
    calls
        .map(|(n, call)| {
            let mut before = log.iter().rev().filter(|(_, count)| *count == n);
            (call, before.next().unwrap().0)
        })
        .collect()
}

#[tokio::test]
async fn every_call_that_changes_something_comes_right_after_a_look_at_its_lease() {
    let (report, ports) = swept(usize::MAX, Thawed::Another).await;
    assert_eq!(report.unwrap().summary.values().sum::<u64>(), 7);
    let calls: Vec<(String, &str)> = before_each(&ports);
    let names: Vec<&str> = calls.iter().map(|(call, _)| call.as_str()).collect();
    // Which of the two AMIs is first is not told.
    let count = |name| names.iter().filter(|call| **call == name).count();
    assert_eq!((count("DeregisterImage"), count("DeleteSnapshot")), (2, 2));
    assert!(
        calls.iter().all(|(_, before)| *before == "renew"),
        "{calls:?}"
    );
}

#[tokio::test]
async fn wherever_the_lease_is_lost_no_call_that_changes_something_follows() {
    for thawed in [Thawed::Another, Thawed::TooLate] {
        let mut most = 0;
        for left in 0.. {
            let (_, ports) = swept(left, thawed).await;
            let log = ports.log.lock().unwrap().clone();
            let made = changes(&ports.account).len();
            most = most.max(made);
            let wrong = log.iter().find(|(name, _)| *name == "renewal went wrong");
            let Some((_, before)) = wrong else {
                break;
            };
            if matches!(thawed, Thawed::Another) {
                assert_eq!(made, *before, "{left} renewals, then {thawed:?}");
            }
            let calls = before_each(&ports);
            assert!(
                calls.iter().all(|(_, before)| *before == "renew"),
                "{left} renewals, then {thawed:?}: {calls:?}"
            );
        }
        assert_eq!(most, 4, "the sweep comes through in the end");
    }
}
