//! Everything together, with the echo function in a real one's place.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod door;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use holdfast_local_aws::bus::World;
use holdfast_local_aws::iam::access_key;
use holdfast_local_aws::lambda::Function;
use holdfast_local_aws::local::{LocalAws, LocalAwsError, Options};
use holdfast_local_aws::pace::{Clock, Pace};
use holdfast_sim::InstanceSeed;
use holdfast_sim::request::{Request, StopInstances};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

async fn start() -> LocalAws {
    LocalAws::start(Options::default()).await.unwrap()
}

fn echo_as(local: &LocalAws, name: &str) -> Function {
    let binary = env!("CARGO_BIN_EXE_echo-function").into();
    Function::start(local.function_config_with(name, binary).unwrap()).unwrap()
}

#[tokio::test]
async fn a_function_gets_every_line_of_the_environment_that_a_shell_gets_but_a_key_of_its_own() {
    let local = start().await;
    let outcome = echo_as(&local, "create-snapshots")
        .invoke(&json!({}))
        .await
        .unwrap();
    let seen = &outcome.ok().unwrap()["environment"];
    let mut given: BTreeMap<_, _> = local.environment().into_iter().collect();
    given.insert(
        "AWS_ACCESS_KEY_ID".to_owned(),
        access_key("create-snapshots"),
    );
    assert_eq!(given["HOLDFAST_TABLE"], "holdfast");
    assert_eq!(given["AWS_ENDPOINT_URL_EC2"], local.ec2_endpoint);
    assert_eq!(given["AWS_ENDPOINT_URL_DYNAMODB"], local.dynamodb_endpoint);
    for (name, value) in &given {
        assert_eq!(seen[name], value.as_str(), "{name}");
    }
    assert_eq!(
        seen["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "512",
        "the template's default"
    );
}

#[tokio::test]
async fn the_templates_heartbeats_drive_the_functions_on_the_accounts_clock() {
    let local = start().await;
    let functions = ["create-snapshots", "sweep-retention"].map(|name| echo_as(&local, name));
    let mut bus = local.bus(&functions).unwrap();
    let begin = local.account.now();
    let progress = bus
        .advance_to(begin + SignedDuration::from_hours(1))
        .await
        .unwrap();
    assert_eq!(progress.answers("create-snapshots").count(), 12);
    let sweeps: Vec<_> = progress.answers("sweep-retention").collect();
    let [sweep] = sweeps.as_slice() else {
        panic!("{sweeps:?}")
    };
    let time: Timestamp = sweep["event"]["time"].as_str().unwrap().parse().unwrap();
    assert_eq!(time, begin + SignedDuration::from_hours(1));
    assert_eq!(sweep["event"]["account"], local.account_id.as_str());
    assert_eq!(local.account.now(), time);
}

#[tokio::test]
async fn a_function_that_the_template_does_not_declare_is_refused() {
    let local = start().await;
    let refused = local.function_config_with("no-such-function", "x".into());
    assert!(
        matches!(refused, Err(LocalAwsError::NoSuchFunction(name)) if name == "no-such-function")
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_that_names_the_service() {
    let first = start().await;
    let mut options = Options::default();
    options.ports.ec2 = first
        .ec2_endpoint
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let refused = LocalAws::start(options).await.err().unwrap();
    assert!(
        matches!(refused, LocalAwsError::Listen { service: "EC2", .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn an_instance_that_stops_in_the_simulated_account_reaches_create_snapshots() {
    let options = Options {
        seed: Some(Box::new(|account| {
            account.seed_instance(InstanceSeed::default());
        })),
        ..Options::default()
    };
    let local = LocalAws::start(options).await.unwrap();
    let mut bus = local.bus(&[echo_as(&local, "create-snapshots")]).unwrap();
    let id = {
        let mut account = local.account.lock().unwrap();
        let id = account.instances().next().unwrap().id.to_string();
        let ids = vec![id.clone()];
        account
            .call(&Request::StopInstances(StopInstances { ids }))
            .unwrap();
        id
    };
    let soon = local.account.now() + SignedDuration::from_mins(1);
    let progress = bus.advance_to(soon).await.unwrap();
    let answers: Vec<_> = progress.answers("create-snapshots").collect();
    let [answer] = answers.as_slice() else {
        panic!("{progress:?}")
    };
    assert_eq!(
        answer["event"]["detail"],
        json!({"instance-id": id, "state": "stopped"})
    );
    assert!(
        progress.attempts[0].time < soon,
        "delivered when it happened"
    );
    assert!(
        progress
            .unrouted
            .iter()
            .any(|e| e["detail"]["state"] == "stopping"),
        "no rule wants the state on the way"
    );
}

#[tokio::test]
async fn a_call_takes_its_latency_and_the_accounts_clock_goes_with_the_machines() {
    let latency = Duration::from_millis(40);
    let local = LocalAws::start(Options {
        pace: Pace {
            latency,
            clock: Clock::Machine,
        },
        ..Options::default()
    })
    .await
    .unwrap();
    let begin = local.account.now();
    let started = Instant::now();
    for endpoint in [&local.ec2_endpoint, &local.auto_scaling_endpoint] {
        let address: SocketAddr = endpoint.strip_prefix("http://").unwrap().parse().unwrap();
        let ec2 = endpoint == &local.ec2_endpoint;
        let (version, action) = if ec2 {
            ("2016-11-15", "DescribeTags")
        } else {
            ("2011-01-01", "DescribeLaunchConfigurations")
        };
        assert_eq!(
            door::call_version(address, version, action, &[]).await.0,
            200
        );
    }
    assert!(started.elapsed() >= 2 * latency);
    let passed = local.account.now().duration_since(begin);
    assert!(passed >= SignedDuration::try_from(2 * latency).unwrap());
}

#[tokio::test]
async fn without_a_pace_a_call_leaves_the_accounts_clock_alone() {
    let local = start().await;
    let begin = local.account.now();
    let address = local.ec2_endpoint.strip_prefix("http://").unwrap();
    let answer = door::call(address.parse().unwrap(), "DescribeTags", &[]).await;
    assert_eq!(answer.0, 200);
    assert_eq!(local.account.now(), begin);
}
