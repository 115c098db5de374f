//! How fast a volume may be asked to be: ranges and ratios as EC2 documents them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use holdfast_sim::request::{CreateVolume, Request};
use holdfast_sim::{Account, ApiError, CallFailure, Response, Settings, SnapshotSeed};

fn create(change: impl FnOnce(&mut CreateVolume)) -> Result<(Option<i32>, Option<i32>), String> {
    let mut account = Account::new(Settings::default());
    let snapshot = account.seed_snapshot(SnapshotSeed::default());
    let mut request = CreateVolume {
        zone: "eu-central-1a".into(),
        snapshot: Some(snapshot.to_string()),
        size_gib: Some(100),
        volume_type: Some("gp3".into()),
        ..CreateVolume::default()
    };
    change(&mut request);
    match account.call(&Request::CreateVolume(request)) {
        Ok(Response::Volume(made)) => Ok((made.iops, made.throughput)),
        Err(CallFailure::Refused(ApiError { code, .. })) => Err(code),
        other => panic!("{other:?}"),
    }
}

fn of(
    kind: &str,
    iops: Option<i32>,
    throughput: Option<i32>,
) -> Result<(Option<i32>, Option<i32>), String> {
    create(|r| {
        r.volume_type = Some(kind.into());
        r.iops = iops;
        r.throughput = throughput;
    })
}

#[test]
fn a_type_has_its_own_performance_where_none_is_asked_for() {
    assert_eq!(of("gp3", None, None), Ok((Some(3000), Some(125))));
    assert_eq!(of("gp2", None, None), Ok((None, None)));
    assert_eq!(of("io2", Some(5000), None), Ok((Some(5000), None)));
    assert_eq!(of("io1", None, None), Err("MissingParameter".into()));
}

#[test]
fn what_lies_outside_a_types_range_or_ratio_is_refused() {
    assert_eq!(
        of("gp3", Some(50_000), Some(2000)),
        Ok((Some(50_000), Some(2000)))
    );
    assert_eq!(of("io1", Some(5000), None), Ok((Some(5000), None)));
    for (kind, iops, throughput) in [
        ("gp3", Some(50_001), None),
        ("gp3", Some(2999), None),
        ("gp3", Some(4000), Some(1001)),
        ("gp3", None, Some(124)),
        ("io1", Some(5001), None),
        ("io2", Some(99), None),
    ] {
        let refused = of(kind, iops, throughput);
        assert_eq!(
            refused,
            Err("InvalidParameterValue".into()),
            "{kind} {iops:?} {throughput:?}"
        );
    }
    for (kind, iops, throughput) in [("gp2", Some(3000), None), ("io2", Some(5000), Some(500))] {
        let refused = of(kind, iops, throughput);
        assert_eq!(refused, Err("InvalidParameterCombination".into()), "{kind}");
    }
}

#[test]
fn an_initialization_rate_is_for_volumes_of_snapshots() {
    let with = |rate| create(|r| r.initialization_rate = Some(rate));
    assert!(with(100).is_ok() && with(300).is_ok());
    assert_eq!(with(99), Err("InvalidParameterValue".into()));
    assert_eq!(with(301), Err("InvalidParameterValue".into()));
    let empty = create(|r| {
        r.snapshot = None;
        r.initialization_rate = Some(200);
    });
    assert_eq!(empty, Err("InvalidParameterCombination".into()));
}
