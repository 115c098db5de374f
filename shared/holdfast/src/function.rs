//! What the four Lambda functions have in common: start-up, context, logging, answer.

use std::future::{Future, pending};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use holdfast_core::event::is_heartbeat;
use holdfast_core::report::{FUNCTION_LIMIT, Invoked, Report};
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::aws::dynamodb::Table;
use crate::aws::ec2::Ec2;
use crate::aws::ssm::Ssm;
use crate::aws::{SdkConfig, check_config, load_config};
use crate::error::RunError;
use crate::operator::{Operator, Settled};
use crate::settings::Settings;

/// How long before Lambda's deadline work stops; half of what there is, if there is less.
pub const STOP_BEFORE: SignedDuration = SignedDuration::from_secs(30);

/// One invocation.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// Lambda's request identifier, or one of the command line's own.
    pub id: String,
    /// The account, where it is known.
    pub account: Option<String>,
    /// The Region.
    pub region: Option<String>,
    /// When to stop starting new work, on the wall clock.
    pub stop_at: Option<Timestamp>,
    /// Who waits for it. When they have had enough of it, nothing new is begun either.
    pub operator: Option<Operator>,
}

impl Invocation {
    fn new(context: &lambda_runtime::Context) -> Self {
        // arn:aws:lambda:REGION:ACCOUNT:function:NAME
        let arn: Vec<&str> = context.invoked_function_arn.split(':').collect();
        let account = arn
            .get(4)
            .filter(|text| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()));
        let region = std::env::var("AWS_REGION").ok();
        let deadline = i64::try_from(context.deadline).ok();
        let deadline = deadline.and_then(|ms| Timestamp::from_millisecond(ms).ok());
        Self {
            id: context.request_id.clone(),
            account: account.map(|text| (*text).to_owned()),
            region: region.or_else(|| arn.get(3).map(|text| (*text).to_owned())),
            stop_at: deadline.map(|at| stop_at(at, Timestamp::now())),
            operator: None,
        }
    }

    /// Does `work` as long as there is time; nothing when its time is over first. It is given up where
    /// it stands, as by a crash, so it must only read, or write what may be left half written.
    pub async fn in_time<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        if !self.has_time() {
            return None;
        }
        tokio::select! {
            biased;
            () = self.over() => None,
            done = work => Some(done),
        }
    }

    /// Ends when the time is over.
    async fn over(&self) {
        let time = async {
            match self.stop_at {
                Some(at) => {
                    let left = Duration::try_from(at.duration_since(Timestamp::now()));
                    tokio::time::sleep(left.unwrap_or_default()).await;
                }
                None => pending().await,
            }
        };
        let person = async {
            if let Some(operator) = &self.operator {
                let mut interrupted = operator.interrupted.clone();
                if interrupted.wait_for(|now| *now).await.is_ok() {
                    return;
                }
            }
            pending().await
        };
        tokio::select! {
            () = time => {}
            () = person => {}
        }
    }

    /// Whether there is time to begin something more.
    #[must_use]
    pub fn has_time(&self) -> bool {
        self.has(SignedDuration::ZERO)
    }

    /// Whether there is time to begin something that may take this long.
    #[must_use]
    pub fn has(&self, needed: SignedDuration) -> bool {
        let operator = self.operator.as_ref();
        let interrupted = operator.is_some_and(|operator| *operator.interrupted.borrow());
        let in_time = |at: Timestamp| at.duration_since(Timestamp::now()) > needed;
        !interrupted && self.stop_at.is_none_or(in_time)
    }

    /// Tells whoever waits how far the work is.
    pub(crate) fn tell(&self, done: usize, of: usize) {
        if let Some(operator) = &self.operator {
            (operator.told)(Settled { done, of });
        }
    }
}

/// When to stop starting new work, given Lambda's deadline.
fn stop_at(deadline: Timestamp, wall: Timestamp) -> Timestamp {
    let half = deadline.duration_since(wall) / 2;
    deadline - STOP_BEFORE.min(half.max(SignedDuration::ZERO))
}

/// What a handler works with; made once and kept over invocations.
#[derive(Debug)]
pub struct Context {
    /// EC2.
    pub ec2: Ec2,
    /// The table.
    pub table: Table,
    /// The settings.
    pub settings: Settings,
    config: SdkConfig,
    guests: OnceLock<Ssm>,
}

impl Context {
    /// Clients and settings from the environment.
    ///
    /// # Errors
    /// [`RunError::Setting`].
    pub async fn from_environment() -> Result<Self, RunError> {
        let settings = Settings::from_environment()?;
        let config = load_config().await;
        Ok(Self::new(&config, settings))
    }

    /// Clients with this configuration: for a program that does a function's work in its own process.
    #[must_use]
    pub fn new(config: &SdkConfig, settings: Settings) -> Self {
        Self {
            config: config.clone(),
            guests: OnceLock::new(),
            ec2: Ec2::new(config),
            table: Table::new(config, &settings.table),
            settings,
        }
    }

    /// Systems Manager. Made when it is first asked for: most invocations send no commands.
    #[must_use]
    pub fn guests(&self) -> &Ssm {
        self.guests.get_or_init(|| Ssm::new(&self.config))
    }
}

/// Runs a Lambda function until Lambda ends it.
///
/// A wrong setting is answered on each invocation rather than at start-up, where Lambda would hide
/// it behind a restart.
///
/// Clients are made while the first event is asked for: most of a start's time is the reading of the
/// machine's root certificates, which nothing needs before there is an event.
///
/// # Errors
/// Those of the Runtime API.
pub async fn run<H>(handler: H) -> Result<(), lambda_runtime::Error>
where
    H: AsyncFn(&Context, &Value, &Invocation) -> Result<Report, RunError>,
{
    crate::logging::begin();
    let context = Arc::new(OnceCell::new());
    let early = Arc::clone(&context);
    tokio::spawn(async move {
        early.get_or_init(Context::from_environment).await;
    });
    let handler = &handler;
    let context = &context;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Value>| async move {
        let began = Timestamp::now();
        let invocation = Invocation::new(&event.context);
        let context = match context.get_or_init(Context::from_environment).await {
            Ok(context) => context,
            Err(RunError::Setting { name, problem }) => {
                return Err(RunError::Setting {
                    name,
                    problem: problem.clone(),
                });
            }
            Err(other) => return Err(RunError::Request(other.to_string())),
        };
        // Boxed: the futures of the SDK's operations nest deeper than rustc follows by itself.
        let result = Box::pin(handler(context, &event.payload, &invocation)).await;
        let result = match result {
            // Without a Region or credentials every call fails, with an error that has no code.
            Err(RunError::Table(_) | RunError::Inventory(_))
                if let Err(missing) = check_config(&context.config).await =>
            {
                Err(RunError::Setting {
                    name: missing.variable(),
                    problem: missing.to_string(),
                })
            }
            other => other,
        };
        match &result {
            Ok(report) => {
                // CloudWatch reads the embedded metric format from a line of its own.
                let ended = Timestamp::now();
                let invoked = Invoked {
                    heartbeat: is_heartbeat(&event.payload),
                    ended,
                    took: ended.duration_since(began),
                };
                println!("{}", report.metrics(&invoked));
                log(report);
            }
            Err(error) => tracing::error!(kind = error.kind(), "{error}"),
        }
        result.map(|report| report.fitted(FUNCTION_LIMIT))
    }))
    .await
}

/// Logs what needs attention; the rest stands in the report.
fn log(report: &Report) {
    use holdfast_core::report::Outcome;
    tracing::info!(run = report.run.id, complete = report.run.complete, summary = ?report.summary);
    for item in &report.items {
        if matches!(
            item.outcome,
            Outcome::Failed | Outcome::Finding | Outcome::Deferred
        ) {
            tracing::warn!(
                resource = item.resource,
                outcome = %item.outcome,
                reasons = ?item.reasons.iter().map(|r| r.code.as_str()).collect::<Vec<_>>(),
                detail = item.reasons.first().and_then(|r| r.detail.as_deref()),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::watch;

    use super::*;

    #[test]
    fn work_stops_half_a_minute_before_the_deadline_or_half_way_where_that_is_nearer() {
        let wall = Timestamp::UNIX_EPOCH;
        let stops_after = |seconds| {
            let deadline = wall + SignedDuration::from_secs(seconds);
            stop_at(deadline, wall).duration_since(wall).as_secs()
        };
        assert_eq!(stops_after(900), 870);
        assert_eq!(stops_after(60), 30);
        assert_eq!(stops_after(20), 10);
        // A deadline that has passed leaves nothing.
        assert_eq!(stops_after(-5), -5);
    }

    fn invocation(stop_at: Option<Timestamp>) -> Invocation {
        Invocation {
            id: "r".into(),
            account: None,
            region: None,
            stop_at,
            operator: None,
        }
    }

    #[tokio::test]
    async fn nothing_is_begun_after_an_interrupt_and_what_only_reads_is_given_up() {
        let (stop, interrupted) = watch::channel(false);
        let invocation = Invocation {
            operator: Some(Operator {
                interrupted,
                told: |_| {},
            }),
            ..invocation(None)
        };
        assert!(invocation.has_time());
        assert_eq!(invocation.in_time(async { 1 }).await, Some(1));
        let interrupting = async {
            stop.send(true).unwrap();
            pending::<u8>().await
        };
        assert_eq!(invocation.in_time(interrupting).await, None);
        assert!(!invocation.has_time());
        assert_eq!(invocation.in_time(async { 1 }).await, None);
    }

    #[tokio::test]
    async fn one_who_has_gone_interrupts_nobody() {
        let (stop, interrupted) = watch::channel(false);
        drop(stop);
        let invocation = Invocation {
            operator: Some(Operator {
                interrupted,
                told: |_| {},
            }),
            ..invocation(None)
        };
        let work = async {
            tokio::task::yield_now().await;
            1
        };
        assert_eq!(invocation.in_time(work).await, Some(1));
    }

    #[tokio::test]
    async fn work_that_only_reads_is_given_up_when_the_time_is_over_and_not_begun_after() {
        assert_eq!(invocation(None).in_time(async { 1 }).await, Some(1));
        let soon = Timestamp::now() + SignedDuration::from_millis(5);
        let never = std::future::pending::<u8>();
        assert_eq!(invocation(Some(soon)).in_time(never).await, None);
        let mut begun = false;
        let over = invocation(Some(Timestamp::UNIX_EPOCH));
        assert_eq!(over.in_time(async { begun = true }).await, None);
        assert!(!begun);
    }
}
