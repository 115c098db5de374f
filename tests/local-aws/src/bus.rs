//! The event bus on the virtual clock: heartbeats, events that the account emits, routing to
//! functions by the template's rules, and Lambda's asynchronous retries.
//!
//! Nothing here waits. Time jumps from one due thing to the next, and invocations take none of it.

use std::collections::{BTreeMap, VecDeque};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::lambda::{
    DeliveryOptions, Function, HostError, Invocation, RETRY_DELAYS, new_request_id,
};
use crate::pattern::Pattern;
use crate::template::{Rule, Trigger};

/// A simulated account whose clock the bus moves.
pub trait World: Send + Sync {
    /// The virtual time.
    fn now(&self) -> Timestamp;
    /// Moves the virtual time forward; everything that comes about until then happens.
    fn advance_to(&self, time: Timestamp);
    /// Takes the EventBridge envelopes emitted since the last call, in order.
    fn drain_events(&self) -> Vec<Value>;
    /// When something next comes about by itself, such as a snapshot that completes; the bus stops
    /// there to deliver what it emits. `None` when nothing is under way, or when it is not known.
    fn next_change(&self) -> Option<Timestamp>;
}

/// A function with the rules that invoke it.
pub struct Target {
    /// The function.
    pub function: Function,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// A heartbeat about to be fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    /// Name of the function.
    pub function: &'a str,
    /// Name of the rule.
    pub rule: &'a str,
    /// Virtual time at which it fires.
    pub time: Timestamp,
}

/// One attempt of one delivery.
#[derive(Clone, Debug, PartialEq)]
pub struct Attempt {
    /// Name of the function.
    pub function: String,
    /// Virtual time of the attempt.
    pub time: Timestamp,
    /// The envelope.
    pub event: Value,
    /// Lambda's request identifier; equal for the retries of one delivery.
    pub request_id: String,
    /// 1 for the first attempt.
    pub number: usize,
    /// How it ended.
    pub outcome: Invocation,
    /// Whether the event was given up after it: it failed, and no retry is left.
    pub given_up: bool,
}

/// What happened while the clock moved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Every invocation, in order.
    pub attempts: Vec<Attempt>,
    /// Heartbeats that were delivered.
    pub heartbeats_fired: u64,
    /// Heartbeats that the caller's predicate skipped.
    pub heartbeats_skipped: u64,
    /// Events that no rule wanted.
    pub unrouted: Vec<Value>,
}

impl Progress {
    /// Answers of this function, in order.
    pub fn answers<'a>(&'a self, function: &'a str) -> impl Iterator<Item = &'a Value> {
        self.attempts
            .iter()
            .filter(move |a| a.function == function)
            .filter_map(|a| a.outcome.ok())
    }
}

struct Delivery {
    target: usize,
    event: Value,
    request_id: String,
    number: usize,
}

struct Pulse {
    target: usize,
    rule: String,
    period: SignedDuration,
    next: Timestamp,
}

/// The bus, with its functions and heartbeats.
pub struct Bus<W> {
    world: W,
    account_id: String,
    region: String,
    targets: Vec<Target>,
    pulses: Vec<Pulse>,
    /// Deliveries due at a virtual time; those of one time in order of arrival.
    due: BTreeMap<Timestamp, VecDeque<Delivery>>,
    options: DeliveryOptions,
}

impl<W: World> Bus<W> {
    /// A bus of this account and Region. Each schedule rule fires for the first time one period
    /// after the world's present time, as if it had just been made.
    pub fn new(
        world: W,
        account_id: impl Into<String>,
        region: impl Into<String>,
        targets: Vec<Target>,
    ) -> Self {
        let now = world.now();
        let mut pulses = Vec::new();
        for (index, target) in targets.iter().enumerate() {
            for rule in &target.rules {
                if let Trigger::Schedule(rate) = rule.trigger {
                    pulses.push(Pulse {
                        target: index,
                        rule: rule.name.clone(),
                        period: rate.period(),
                        next: later(now, rate.period()),
                    });
                }
            }
        }
        Self {
            world,
            account_id: account_id.into(),
            region: region.into(),
            targets,
            pulses,
            due: BTreeMap::new(),
            options: DeliveryOptions::default(),
        }
    }

    /// Delivers with other options from now on.
    pub fn set_delivery(&mut self, options: DeliveryOptions) {
        self.options = options;
    }

    /// The account whose clock it moves.
    pub fn world(&self) -> &W {
        &self.world
    }

    /// Puts an envelope on the bus: it is delivered, at the present virtual time, when the clock
    /// next moves. Says how many functions it goes to.
    pub fn put(&mut self, event: &Value) -> usize {
        let wanted: Vec<usize> = (0..self.targets.len())
            .filter(|&t| patterns(&self.targets[t]).any(|p| p.matches(event)))
            .collect();
        for &target in &wanted {
            self.enqueue(target, event);
        }
        wanted.len()
    }

    /// The envelope of a heartbeat, as EventBridge sends it for a schedule rule.
    #[must_use]
    pub fn heartbeat_envelope(&self, rule: &str, time: Timestamp) -> Value {
        json!({
            "version": "0",
            "id": uuid::Uuid::new_v4().to_string(),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": self.account_id,
            // EventBridge sends whole seconds.
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": self.region,
            "resources": [format!(
                "arn:aws:events:{}:{}:rule/holdfast-{rule}",
                self.region, self.account_id
            )],
            "detail": {},
        })
    }

    /// Moves the clock to `target`, firing every heartbeat on the way.
    ///
    /// # Errors
    ///
    /// A function's process could not be started. What a function reports is in the progress.
    pub async fn advance_to(&mut self, target: Timestamp) -> Result<Progress, HostError> {
        self.advance_to_when(target, |_| true).await
    }

    /// Moves the clock to `target`. A heartbeat for which `fires` says no is counted and not
    /// delivered: at most heartbeats of a simulated year nothing is due.
    ///
    /// Afterwards everything emitted, put or to be retried until `target` has been delivered. A
    /// time that is not later delivers what is due at the present time.
    ///
    /// # Errors
    ///
    /// A function's process could not be started. What a function reports is in the progress.
    pub async fn advance_to_when(
        &mut self,
        target: Timestamp,
        mut fires: impl FnMut(&Heartbeat<'_>) -> bool,
    ) -> Result<Progress, HostError> {
        let mut progress = Progress::default();
        loop {
            self.route_emitted(&mut progress);
            let now = self.world.now();
            if let Some(delivery) = self.take_due(now) {
                self.attempt(delivery, now, &mut progress).await?;
                continue;
            }
            if now >= target {
                return Ok(progress);
            }
            let (step, firing) = self.next_stop(target, &mut fires, &mut progress);
            self.world.advance_to(step);
            self.route_emitted(&mut progress);
            self.pulse(&firing, &mut progress);
        }
    }

    /// The next virtual time at which something is due, at most `target`, and the pulses that
    /// fire at it. Heartbeats that are skipped are no reason to stop.
    ///
    /// Heartbeats are asked about in the order of their times, and never beyond the next change:
    /// what happens there may make a later one due.
    fn next_stop(
        &mut self,
        target: Timestamp,
        fires: &mut impl FnMut(&Heartbeat<'_>) -> bool,
        progress: &mut Progress,
    ) -> (Timestamp, Vec<usize>) {
        let now = self.world.now();
        let mut stop = target;
        if let Some((&time, _)) = self.due.first_key_value() {
            stop = stop.min(time);
        }
        if let Some(change) = self.world.next_change().filter(|&change| change > now) {
            stop = stop.min(change);
        }
        let mut firing = Vec::new();
        loop {
            let next = (0..self.pulses.len())
                .filter(|index| !firing.contains(index) && self.pulses[*index].next <= stop)
                .min_by_key(|&index| self.pulses[index].next);
            let Some(index) = next else {
                return (stop, firing);
            };
            let pulse = &mut self.pulses[index];
            let heartbeat = Heartbeat {
                function: &self.targets[pulse.target].function.config().name,
                rule: &pulse.rule,
                time: pulse.next,
            };
            if fires(&heartbeat) {
                stop = pulse.next;
                firing.push(index);
            } else {
                progress.heartbeats_skipped += 1;
                pulse.next = later(pulse.next, pulse.period);
            }
        }
    }

    /// Queues these heartbeats, and sets each to its next time.
    fn pulse(&mut self, firing: &[usize], progress: &mut Progress) {
        for &index in firing {
            let pulse = &mut self.pulses[index];
            let time = pulse.next;
            pulse.next = later(time, pulse.period);
            let (target, rule) = (pulse.target, pulse.rule.clone());
            progress.heartbeats_fired += 1;
            let envelope = self.heartbeat_envelope(&rule, time);
            self.enqueue(target, &envelope);
        }
    }

    fn route_emitted(&mut self, progress: &mut Progress) {
        for event in self.world.drain_events() {
            if self.put(&event) == 0 {
                progress.unrouted.push(event);
            }
        }
    }

    fn enqueue(&mut self, target: usize, event: &Value) {
        let queue = self.due.entry(self.world.now()).or_default();
        for _ in 0..=self.options.duplicates {
            queue.push_back(Delivery {
                target,
                event: event.clone(),
                request_id: new_request_id(),
                number: 1,
            });
        }
    }

    fn take_due(&mut self, now: Timestamp) -> Option<Delivery> {
        let mut first = self.due.first_entry().filter(|entry| *entry.key() <= now)?;
        let delivery = first.get_mut().pop_front();
        if first.get().is_empty() {
            first.remove();
        }
        delivery
    }

    async fn attempt(
        &mut self,
        delivery: Delivery,
        now: Timestamp,
        progress: &mut Progress,
    ) -> Result<(), HostError> {
        let function = &self.targets[delivery.target].function;
        let outcome = function
            .invoke_with_request_id(&delivery.event, &delivery.request_id)
            .await?;
        let failed = outcome.ok().is_none();
        let retry = RETRY_DELAYS
            .get(delivery.number - 1)
            .filter(|_| failed && delivery.number <= self.options.retries);
        progress.attempts.push(Attempt {
            function: function.config().name.clone(),
            time: now,
            event: delivery.event.clone(),
            request_id: delivery.request_id.clone(),
            number: delivery.number,
            outcome,
            given_up: failed && retry.is_none(),
        });
        if let Some(&delay) = retry {
            self.due
                .entry(later(now, delay))
                .or_default()
                .push_back(Delivery {
                    number: delivery.number + 1,
                    ..delivery
                });
        }
        Ok(())
    }
}

fn patterns(target: &Target) -> impl Iterator<Item = &Pattern> {
    target.rules.iter().filter_map(|rule| match &rule.trigger {
        Trigger::Pattern(pattern) => Some(pattern),
        Trigger::Schedule(_) => None,
    })
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
