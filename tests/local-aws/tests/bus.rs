//! The event bus on the virtual clock, with an account that only emits what the test says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::sync::Mutex;

use holdfast_local_aws::bus::{Attempt, Bus, Target, World};
use holdfast_local_aws::lambda::{DeliveryOptions, Function, FunctionConfig};
use holdfast_local_aws::pattern::Pattern;
use holdfast_local_aws::rate::Rate;
use holdfast_local_aws::template::{Rule, Trigger};
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};

/// Emits each event when the clock reaches its time.
struct Emitter {
    now: Mutex<Timestamp>,
    pending: Mutex<BTreeMap<Timestamp, Value>>,
}

impl World for Emitter {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap()
    }
    fn advance_to(&self, time: Timestamp) {
        *self.now.lock().unwrap() = time;
    }
    fn drain_events(&self) -> Vec<Value> {
        let mut pending = self.pending.lock().unwrap();
        let later = pending.split_off(&(self.now() + 1.nanoseconds()));
        std::mem::replace(&mut *pending, later)
            .into_values()
            .collect()
    }
    fn next_change(&self) -> Option<Timestamp> {
        self.pending.lock().unwrap().keys().next().copied()
    }
}

fn at(text: &str) -> Timestamp {
    format!("2026-11-23T{text}Z").parse().unwrap()
}

fn function(name: &str) -> Function {
    Function::start(FunctionConfig::new(
        name,
        env!("CARGO_BIN_EXE_echo-function"),
    ))
    .unwrap()
}

fn heartbeat(name: &str, rate: &str) -> Rule {
    let name = name.to_owned();
    Rule {
        name,
        trigger: Trigger::Schedule(Rate::parse(rate).unwrap()),
    }
}

fn pattern(name: &str, pattern: Value) -> Rule {
    let name = name.to_owned();
    Rule {
        name,
        trigger: Trigger::Pattern(Pattern::parse(&pattern).unwrap()),
    }
}

fn bus(events: &[(&str, Value)]) -> Bus<Emitter> {
    let world = Emitter {
        now: Mutex::new(at("03:00:00")),
        pending: Mutex::new(events.iter().map(|(t, e)| (at(t), e.clone())).collect()),
    };
    let targets = vec![
        Target {
            function: function("maker"),
            rules: vec![
                heartbeat("MakerHeartbeat", "rate(5 minutes)"),
                pattern("MakerStopped", json!({"detail": {"state": ["stopped"]}})),
            ],
        },
        Target {
            function: function("sweeper"),
            rules: vec![heartbeat("SweeperHeartbeat", "rate(10 minutes)")],
        },
    ];
    Bus::new(world, "111122223333", "eu-central-1", targets)
}

fn log(attempts: &[Attempt]) -> Vec<(&str, String)> {
    attempts
        .iter()
        .map(|a| (a.function.as_str(), a.time.to_string()[11..19].to_owned()))
        .collect()
}

fn expected<const N: usize>(log: [(&'static str, &str); N]) -> Vec<(&'static str, String)> {
    log.map(|(function, time)| (function, time.to_owned()))
        .to_vec()
}

#[tokio::test]
async fn heartbeats_fire_at_multiples_of_their_rate_in_the_order_of_time() {
    let mut bus = bus(&[]);
    let progress = bus.advance_to(at("03:12:00")).await.unwrap();
    assert_eq!(
        log(&progress.attempts),
        expected([
            ("maker", "03:05:00"),
            ("maker", "03:10:00"),
            ("sweeper", "03:10:00")
        ])
    );
    assert_eq!(progress.heartbeats_fired, 3);
    assert_eq!(bus.world().now(), at("03:12:00"));
    let progress = bus.advance_to(at("03:15:00")).await.unwrap();
    assert_eq!(log(&progress.attempts), expected([("maker", "03:15:00")]));
}

#[tokio::test]
async fn a_heartbeat_has_eventbridges_envelope_with_the_virtual_time() {
    let mut bus = bus(&[]);
    let progress = bus.advance_to(at("03:05:00")).await.unwrap();
    let mut event = progress.attempts[0].event.clone();
    let id = event["id"].take();
    assert_eq!(id.as_str().unwrap().len(), 36);
    assert_eq!(
        event,
        json!({
            "version": "0", "id": null, "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "111122223333", "time": "2026-11-23T03:05:00Z", "region": "eu-central-1",
            "resources": ["arn:aws:events:eu-central-1:111122223333:rule/holdfast-MakerHeartbeat"],
            "detail": {},
        })
    );
    assert_eq!(progress.answers("maker").next().unwrap()["event"]["id"], id);
}

#[tokio::test]
async fn skipped_heartbeats_are_counted_and_invoke_nothing() {
    let mut bus = bus(&[]);
    let progress = bus
        .advance_to_when(at("03:30:00"), |beat| {
            beat.function == "maker" && beat.time == at("03:10:00")
        })
        .await
        .unwrap();
    assert_eq!(log(&progress.attempts), expected([("maker", "03:10:00")]));
    assert_eq!(
        (progress.heartbeats_fired, progress.heartbeats_skipped),
        (1, 8)
    );
}

#[tokio::test]
async fn what_an_earlier_heartbeat_makes_due_is_asked_about_after_it() {
    let mut bus = bus(&[]);
    let mut asked = Vec::new();
    bus.advance_to_when(at("03:20:00"), |beat| {
        asked.push((beat.time, beat.rule.to_owned()));
        beat.function == "sweeper"
    })
    .await
    .unwrap();
    let position = |time: &str| asked.iter().position(|(t, _)| *t == at(time)).unwrap();
    assert!(position("03:05:00") < position("03:10:00"));
    assert!(position("03:10:00") < position("03:15:00"));
    assert!(asked.is_sorted_by_key(|(time, _)| *time), "{asked:?}");
}

#[tokio::test]
async fn an_emitted_event_reaches_the_functions_whose_rule_matches_at_its_own_time() {
    let stopped = json!({"detail": {"state": "stopped"}});
    let running = json!({"detail": {"state": "running"}});
    let mut bus = bus(&[("03:01:30", stopped.clone()), ("03:02:00", running.clone())]);
    let progress = bus.advance_to(at("03:04:00")).await.unwrap();
    assert_eq!(log(&progress.attempts), expected([("maker", "03:01:30")]));
    assert_eq!(progress.attempts[0].event, stopped);
    assert_eq!(progress.unrouted, [running]);
}

#[tokio::test]
async fn a_failed_event_is_retried_after_one_and_two_virtual_minutes_then_given_up() {
    let event = json!({"detail": {"state": "stopped"}, "fail": "broken"});
    let mut bus = bus(&[("03:00:30", event)]);
    let progress = bus.advance_to(at("03:04:59")).await.unwrap();
    assert_eq!(
        log(&progress.attempts),
        expected([
            ("maker", "03:00:30"),
            ("maker", "03:01:30"),
            ("maker", "03:03:30")
        ])
    );
    let request_ids: Vec<_> = progress.attempts.iter().map(|a| &a.request_id).collect();
    assert!(
        request_ids.iter().all(|id| *id == request_ids[0]),
        "{request_ids:?}"
    );
    let given_up: Vec<_> = progress.attempts.iter().map(|a| a.given_up).collect();
    assert_eq!(given_up, [false, false, true]);
}

#[tokio::test]
async fn a_retry_that_is_due_later_waits_for_the_clock() {
    let mut bus = bus(&[]);
    bus.put(&json!({"detail": {"state": "stopped"}, "fail_below": 2}));
    let progress = bus.advance_to(at("03:00:00")).await.unwrap();
    assert_eq!(progress.attempts.len(), 1);
    let progress = bus.advance_to(at("03:01:00")).await.unwrap();
    assert_eq!(progress.attempts[0].number, 2);
    assert!(progress.attempts[0].outcome.ok().is_some());
}

#[tokio::test]
async fn duplicates_are_delivered_when_asked_for() {
    let mut bus = bus(&[]);
    bus.set_delivery(DeliveryOptions {
        retries: 2,
        duplicates: 1,
    });
    assert_eq!(bus.put(&json!({"detail": {"state": "stopped"}})), 1);
    let progress = bus.advance_to(at("03:00:00")).await.unwrap();
    let [first, second] = progress.attempts.as_slice() else {
        panic!("{progress:?}")
    };
    assert_eq!(first.event, second.event);
    assert_ne!(first.request_id, second.request_id);
}
