//! The Lambda host against a function built on the same runtime client as the real ones.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use holdfast_local_aws::lambda::{
    DeliveryOptions, Exit, Function, FunctionConfig, HostError, Invocation, Stream,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(30);

fn config() -> FunctionConfig {
    FunctionConfig::new("echo", env!("CARGO_BIN_EXE_echo-function"))
}

fn echo() -> Function {
    Function::start(config()).unwrap()
}

fn function_error(outcome: &Invocation) -> &str {
    match outcome {
        Invocation::FunctionError { message, .. } => message,
        other => panic!("expected a function error: {other:?}"),
    }
}

#[tokio::test]
async fn the_function_gets_the_event_and_what_lambda_tells_about_the_invocation() {
    let before = Timestamp::now().as_millisecond();
    let outcome = echo()
        .invoke_with_request_id(&json!({"a": [1, "ü"]}), "request-1")
        .await
        .unwrap();
    let after = Timestamp::now().as_millisecond();
    let answer = outcome.ok().unwrap();
    assert_eq!(answer["event"], json!({"a": [1, "ü"]}));
    assert_eq!(answer["request_id"], "request-1");
    assert_eq!(
        answer["arn"],
        "arn:aws:lambda:eu-central-1:111122223333:function:echo"
    );
    let deadline = answer["deadline_ms"].as_i64().unwrap();
    assert!(
        (before + 60_000..=after + 60_000).contains(&deadline),
        "{deadline}"
    );
}

#[tokio::test]
async fn the_process_sees_lambdas_environment_and_its_own_but_not_the_hosts() {
    let mut config = config();
    config.environment = vec![
        ("HOLDFAST_TABLE".to_owned(), "t".to_owned()),
        ("AWS_REGION".to_owned(), "us-east-1".to_owned()),
    ];
    let function = Function::start(config).unwrap();
    let outcome = function.invoke(&json!({})).await.unwrap();
    let environment = &outcome.ok().unwrap()["environment"];
    assert_eq!(environment["HOLDFAST_TABLE"], "t");
    assert_eq!(
        environment["AWS_REGION"], "us-east-1",
        "the configuration wins"
    );
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_NAME"], "echo");
    assert_eq!(environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "512");
    assert_eq!(environment["AWS_ACCESS_KEY_ID"], "local");
    assert!(
        environment.get("CARGO_MANIFEST_DIR").is_none(),
        "cargo test sets it for the host"
    );
}

#[tokio::test]
async fn a_warm_process_serves_many_invocations_also_after_an_error() {
    let function = echo();
    let first = function.invoke(&json!({})).await.unwrap();
    let failed = function.invoke(&json!({"fail": "broken"})).await.unwrap();
    assert_eq!(function_error(&failed), "broken");
    let third = function.invoke(&json!({})).await.unwrap();
    assert_eq!(first.ok().unwrap()["pid"], third.ok().unwrap()["pid"]);
    assert_eq!(third.ok().unwrap()["nth"], 3);
    assert_eq!(function.cold_starts(), 1);
}

#[tokio::test]
async fn concurrent_invocations_take_turns() {
    let function = echo();
    let (one, two) = (json!({"n": 1}), json!({"n": 2}));
    let (first, second) = tokio::join!(function.invoke(&one), function.invoke(&two));
    assert_eq!(first.unwrap().ok().unwrap()["event"], one);
    assert_eq!(second.unwrap().ok().unwrap()["event"], two);
    assert_eq!(function.cold_starts(), 1);
}

#[tokio::test]
async fn a_crash_is_told_with_its_exit_code_and_the_next_invocation_starts_anew() {
    let function = echo();
    let crashed = function.invoke(&json!({"exit": 3})).await.unwrap();
    let exit = Exit {
        code: Some(3),
        signal: None,
    };
    assert_eq!(crashed, Invocation::Crashed { exit });
    let next = function.invoke(&json!({})).await.unwrap();
    assert_eq!(next.ok().unwrap()["nth"], 1);
    assert_eq!(function.cold_starts(), 2);
}

#[tokio::test]
async fn a_function_that_does_not_answer_in_time_is_killed_and_started_anew() {
    let mut config = config();
    config.timeout = Duration::from_millis(500);
    let after = config.timeout;
    let function = Function::start(config).unwrap();
    let outcome = function.invoke(&json!({"hang": true})).await.unwrap();
    assert_eq!(outcome, Invocation::TimedOut { after });
    let next = function.invoke(&json!({})).await.unwrap();
    assert_eq!(next.ok().unwrap()["nth"], 1);
}

#[tokio::test]
async fn a_kill_in_the_middle_of_an_invocation_ends_it_as_a_crash() {
    let function = echo();
    let hang = json!({"hang": true});
    let killer = async {
        function.log_containing("hanging", PATIENCE).await.unwrap();
        function.kill().await;
    };
    let (outcome, ()) = tokio::join!(function.invoke(&hang), killer);
    let exit = Exit {
        code: None,
        signal: Some(9),
    };
    assert_eq!(outcome.unwrap(), Invocation::Crashed { exit });
    assert!(function.invoke(&json!({})).await.unwrap().ok().is_some());
}

#[tokio::test]
async fn killing_a_function_that_never_ran_does_nothing() {
    let function = echo();
    function.kill().await;
    assert_eq!(function.cold_starts(), 0);
}

#[tokio::test]
async fn a_process_that_ends_before_it_asks_for_an_event_has_crashed() {
    let mut config = config();
    config.environment = vec![("ECHO_INIT".to_owned(), "exit".to_owned())];
    let outcome = Function::start(config)
        .unwrap()
        .invoke(&json!({}))
        .await
        .unwrap();
    let exit = Exit {
        code: Some(7),
        signal: None,
    };
    assert_eq!(outcome, Invocation::Crashed { exit });
}

#[tokio::test]
async fn an_initialisation_error_is_the_functions_error() {
    let mut config = config();
    config.environment = vec![("ECHO_INIT".to_owned(), "error".to_owned())];
    let outcome = Function::start(config)
        .unwrap()
        .invoke(&json!({}))
        .await
        .unwrap();
    let expected = Invocation::FunctionError {
        error_type: "Init.NoTable".to_owned(),
        message: "no table".to_owned(),
    };
    assert_eq!(outcome, expected);
}

#[tokio::test]
async fn an_answer_over_six_megabytes_is_refused_as_lambda_does() {
    let function = echo();
    // Two bytes of the JSON text are its quotes.
    let largest = function
        .invoke(&json!({"answer_bytes": 6_291_554}))
        .await
        .unwrap();
    assert!(largest.ok().is_some());
    match function
        .invoke(&json!({"answer_bytes": 6_291_555}))
        .await
        .unwrap()
    {
        Invocation::FunctionError { error_type, .. } => {
            assert_eq!(error_type, "Function.ResponseSizeTooLarge");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_the_process_writes_can_be_read() {
    let function = echo();
    function
        .invoke(&json!({"log": "line of a test"}))
        .await
        .unwrap();
    let line = function
        .log_containing("line of a test", PATIENCE)
        .await
        .unwrap();
    assert_eq!(line.stream, Stream::Stderr);
    assert!(function.logs().contains(&line));
}

#[tokio::test]
async fn a_delivery_is_repeated_with_the_same_request_until_it_succeeds() {
    let function = echo();
    let event = json!({"fail_below": 3});
    let deliveries = function
        .deliver(&event, DeliveryOptions::default())
        .await
        .unwrap();
    let [delivered] = deliveries.as_slice() else {
        panic!("{deliveries:?}")
    };
    assert!(delivered.succeeded());
    assert_eq!(
        function_error(&delivered.attempts[0]),
        "invocation 1 is to fail"
    );
    assert_eq!(
        function_error(&delivered.attempts[1]),
        "invocation 2 is to fail"
    );
    let answer = delivered.attempts[2].ok().unwrap();
    assert_eq!(answer["request_id"], delivered.request_id.as_str());
    assert_eq!(delivered.virtual_delay(), SignedDuration::from_mins(3));
}

#[tokio::test]
async fn a_delivery_is_given_up_after_two_retries_crashes_included() {
    let function = echo();
    let event = json!({"exit": 1});
    let deliveries = function
        .deliver(&event, DeliveryOptions::default())
        .await
        .unwrap();
    assert_eq!(deliveries[0].attempts.len(), 3);
    assert!(!deliveries[0].succeeded());
    assert_eq!(function.cold_starts(), 3);
}

#[tokio::test]
async fn duplicates_are_deliveries_of_their_own() {
    let function = echo();
    let options = DeliveryOptions {
        retries: 0,
        duplicates: 1,
    };
    let deliveries = function.deliver(&json!({}), options).await.unwrap();
    assert_eq!(deliveries.len(), 2);
    assert_ne!(deliveries[0].request_id, deliveries[1].request_id);
    assert!(deliveries.iter().all(|d| d.succeeded()));
}

#[test]
fn a_function_without_an_executable_is_refused_at_once() {
    let refused = Function::start(FunctionConfig::new("create-snapshots", "no/such/file"));
    assert!(matches!(refused, Err(HostError::Binary(_))));
}
