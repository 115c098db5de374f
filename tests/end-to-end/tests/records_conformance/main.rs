//! The records in memory answer as the table does, and the table as the port says: the same
//! random sequences of operations go to both, and every answer is compared.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod operation;
mod sequences;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};
use holdfast::aws::dynamodb::Table;
use holdfast_core::lineage::{Node, NodeState, SlotState};
use holdfast_core::ports::records::{
    Acquired, Deletion, DeletionState, Lease, Records, TableErrorKind,
};
use holdfast_local_aws::dynamodb::{DynamoDb, Storage};
use holdfast_local_aws::template::Template;
use holdfast_sim::records::InMemoryRecords;
use jiff::{SignedDuration, Timestamp};
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;

/// Both, empty.
struct Both {
    table: Table,
    memory: InMemoryRecords,
    _database: DynamoDb,
}

/// The SDK's configuration but for the endpoint: loading it is most of a client's cost.
async fn sdk_config() -> aws_config::SdkConfig {
    let credentials = Credentials::new("id", "secret", None, None, "test");
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .load()
        .await
}

async fn both(template: &Template, config: &aws_config::SdkConfig) -> Both {
    let name = "holdfast";
    let database = DynamoDb::start(&Storage::Memory, 0, template, name)
        .await
        .unwrap();
    let config = config.to_builder().endpoint_url(database.endpoint());
    Both {
        table: Table::new(&config.build(), name),
        memory: InMemoryRecords::new(),
        _database: database,
    }
}

fn template() -> Template {
    Template::load(&Template::default_path()).unwrap()
}

#[test]
fn the_records_in_memory_answer_as_the_table_does() {
    let runtime = Runtime::new().unwrap();
    let (template, config) = (template(), runtime.block_on(sdk_config()));
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::with_cases(300)
    });
    let sequences = sequences::sequence(sequences::recent(Timestamp::now()));
    runner
        .run(&sequences, |(sequence, reads)| {
            runtime.block_on(async {
                let both = both(&template, &config).await;
                for (step, operation) in sequence.iter().chain(&reads).enumerate() {
                    let table = operation.answer(&both.table).await;
                    let memory = operation.answer(&both.memory).await;
                    proptest::prop_assert_eq!(
                        table,
                        memory,
                        "the table (left) and the memory differ at step {}: {:?}",
                        step,
                        operation
                    );
                }
                Ok(())
            })
        })
        .unwrap();
}

async fn empty() -> Both {
    both(&template(), &sdk_config().await).await
}

fn wall() -> Timestamp {
    "2026-11-23T03:00:00Z".parse().unwrap()
}

fn lease(fence: u64) -> Lease {
    Lease {
        name: "sweep-retention".into(),
        holder: format!("run-{fence}"),
        fence,
        expires: wall() + SignedDuration::from_mins(1),
    }
}

#[tokio::test]
async fn a_mark_of_a_newer_run_is_fenced_against_the_deletion_of_an_older_one() {
    async fn case(records: &impl Records) {
        let ids = ["snap-0a".to_owned()];
        let marked = records.set_condemned(&ids, Some(wall()), &lease(2)).await;
        marked.unwrap();
        let deletion = sequences::deletion("snap-0a", wall());
        let ended = records.end_deletion(&deletion, None, &lease(1)).await;
        assert_eq!(ended.unwrap_err().kind, TableErrorKind::Fenced);
        let condemned = records.condemned(&ids).await.unwrap();
        assert!(condemned.contains_key("snap-0a"));
    }
    let both = empty().await;
    case(&both.table).await;
    case(&both.memory).await;
}

#[tokio::test]
async fn a_second_deletion_of_what_came_back_leaves_the_proof_of_the_first() {
    async fn case(records: &impl Records) {
        let of = |run: &str, hours: i64| Deletion {
            run: run.into(),
            evidence: format!("{{ \"of\": \"{run}\" }}"),
            ..sequences::deletion("snap-0a", wall() + SignedDuration::from_hours(hours))
        };
        let (first, second, third) = (of("r1", 0), of("r2", 2), of("r3", 4));
        records.intend_deletion(&first, &lease(1)).await.unwrap();
        records.end_deletion(&first, None, &lease(1)).await.unwrap();
        // One that came to nothing is no proof: the next takes its place.
        records.intend_deletion(&second, &lease(2)).await.unwrap();
        let refused = records.end_deletion(&second, Some("no"), &lease(2)).await;
        refused.unwrap();
        records.intend_deletion(&third, &lease(3)).await.unwrap();
        records.intend_deletion(&third, &lease(3)).await.unwrap();
        let intended = (third.clone(), DeletionState::Intended);
        let proof = (first.clone(), DeletionState::Deleted);
        let proofs = records.proofs("snap-0a").await.unwrap();
        assert_eq!(proofs, [intended.clone(), proof.clone()]);
        records.end_deletion(&third, None, &lease(3)).await.unwrap();
        let gone = (third, DeletionState::Deleted);
        let proofs = records.proofs("snap-0a").await.unwrap();
        assert_eq!(proofs, [gone.clone(), proof.clone()]);
        let newest = records.deletions(&["snap-0a".to_owned()]).await.unwrap();
        assert_eq!(newest["snap-0a"], gone);
        let since = wall() - SignedDuration::from_hours(1);
        let ledger = records.ledger(since).await.unwrap().read;
        assert_eq!(ledger.deletions, [proof.clone(), gone]);
        let stale = records.intend_deletion(&of("r0", 6), &lease(2)).await;
        assert_eq!(stale.unwrap_err().kind, TableErrorKind::Fenced);
        assert_eq!(records.proofs("snap-0a").await.unwrap().len(), 2);
        assert_eq!(records.proofs("snap-0b").await.unwrap(), []);
    }
    let both = empty().await;
    case(&both.table).await;
    case(&both.memory).await;
}

#[tokio::test]
async fn a_proof_put_aside_is_told_among_all_and_not_as_the_newest() {
    async fn case(records: &impl Records) {
        let id = ["snap-0a".to_owned()];
        let deletion = sequences::deletion("snap-0a", wall());
        records.intend_deletion(&deletion, &lease(2)).await.unwrap();
        // What was not carried out is no proof.
        let put = records.put_deletion_aside(&deletion, &lease(2)).await;
        put.unwrap();
        let intended = (deletion.clone(), DeletionState::Intended);
        assert_eq!(records.deletions(&id).await.unwrap()["snap-0a"], intended);
        let ended = records.end_deletion(&deletion, None, &lease(2)).await;
        ended.unwrap();
        let proof = (deletion.clone(), DeletionState::Deleted);
        // Nor is another deletion's record this one's, and an older run's word counts for nothing.
        let other = Deletion {
            run: "another".into(),
            ..deletion.clone()
        };
        let put = records.put_deletion_aside(&other, &lease(2)).await;
        put.unwrap();
        let stale = records.put_deletion_aside(&deletion, &lease(1)).await;
        assert_eq!(stale.unwrap_err().kind, TableErrorKind::Fenced);
        assert_eq!(records.deletions(&id).await.unwrap()["snap-0a"], proof);
        for _ in 0..2 {
            let put = records.put_deletion_aside(&deletion, &lease(3)).await;
            put.unwrap();
            assert!(records.deletions(&id).await.unwrap().is_empty());
            let proofs = records.proofs("snap-0a").await.unwrap();
            assert_eq!(proofs, std::slice::from_ref(&proof));
        }
        let again = Deletion {
            at: wall() + SignedDuration::from_hours(1),
            ..deletion
        };
        records.intend_deletion(&again, &lease(3)).await.unwrap();
        let intended = (again, DeletionState::Intended);
        let proofs = records.proofs("snap-0a").await.unwrap();
        assert_eq!(proofs, [intended, proof]);
    }
    let both = empty().await;
    case(&both.table).await;
    case(&both.memory).await;
}

#[tokio::test]
async fn an_absence_that_a_newer_run_noted_is_not_forgotten_by_an_older_one() {
    async fn case(records: &impl Records) {
        let noted = holdfast_core::ports::records::Absence {
            first: wall(),
            confirmed: None,
        };
        let change = |absence| [("vol-1".to_owned(), absence)].into();
        let set = records.set_absences(&change(Some(noted)), &lease(2)).await;
        set.unwrap();
        let forgotten = records.set_absences(&change(None), &lease(1)).await;
        assert_eq!(forgotten.unwrap_err().kind, TableErrorKind::Fenced);
        assert_eq!(records.absences().await.unwrap()["vol-1"], noted);
    }
    let both = empty().await;
    case(&both.table).await;
    case(&both.memory).await;
}

#[tokio::test]
async fn a_lease_whose_record_is_gone_is_lost_and_not_a_newer_versions() {
    async fn case(records: &impl Records) {
        let renewed = records.renew(&lease(1), wall()).await;
        assert_eq!(renewed.unwrap_err().kind, TableErrorKind::Fenced);
        assert_eq!(records.release(&lease(1)).await, Ok(()));
        let taken = records.acquire("sweep-retention", "a", wall()).await;
        assert!(matches!(taken, Ok(Acquired::Held(lease)) if lease.fence == 1));
    }
    let both = empty().await;
    case(&both.table).await;
    case(&both.memory).await;
}

#[tokio::test]
async fn a_slot_that_is_gone_is_not_written_over_and_not_a_newer_versions() {
    async fn case(records: &impl Records) {
        let before = sequences::slot_record(wall(), SlotState::Requested, 1, 1);
        let after = sequences::slot_record(wall(), SlotState::Created, 1, 1);
        let written = records.write_slot(&after, Some(&before)).await;
        assert_eq!(written.unwrap_err().kind, TableErrorKind::Fenced);
    }
    let both = empty().await;
    case(&both.table).await;
    case(&both.memory).await;
}

#[tokio::test]
async fn an_image_of_more_snapshots_than_a_transaction_takes_is_recorded_whole() {
    async fn case(records: &impl Records) {
        let ids: Vec<String> = (0..128).map(|n| format!("snap-{n:03x}")).collect();
        let mut nodes = vec![Node::new("ami-1", NodeState::Available, wall())];
        nodes.extend(
            ids.iter()
                .map(|id| Node::new(id, NodeState::Completed, wall())),
        );
        let backed = holdfast_core::lineage::EdgeKind::BackedBy;
        let edge = |id: &String| holdfast_core::lineage::Edge::new("ami-1", backed, id);
        let edges: Vec<_> = ids.iter().map(edge).collect();
        records.record(&nodes, &edges, &lease(1)).await.unwrap();
        assert_eq!(records.roster().await.unwrap().len(), 129);
        let relations = records.relations("ami-1").await.unwrap();
        assert_eq!(relations.edges.len(), 128);
        // What Holdfast deleted, another's finding it gone does not change.
        let gone = [Node::new("ami-1", NodeState::Deleted, wall())];
        records.record(&gone, &[], &lease(2)).await.unwrap();
        let back = [Node::new("ami-1", NodeState::Gone, wall())];
        assert_eq!(records.record(&back, &[], &lease(1)).await, Ok(()));
        assert_eq!(records.roster().await.unwrap().len(), 128);
    }
    let both = empty().await;
    case(&both.table).await;
    case(&both.memory).await;
}
