//! A small host that runs real Lambda binaries: it speaks the Lambda Runtime API to them.
//!
//! One [`Function`] is one execution environment: invocations of it run one after another, the
//! process stays warm between them and is started anew after it has ended. For two environments
//! of one binary, start two functions. The process is not frozen between invocations.

mod binary;
mod environment;
mod invoke_api;
mod runtime_api;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

pub use binary::{BinaryNotFound, find_binary};
pub use environment::{Exit, LogLine, Stream};
pub use invoke_api::{Functions, guarded};

use environment::{Environment, Logs};

/// How often Lambda repeats an asynchronous invocation that failed, and how long it waits each
/// time [Lambda Developer Guide, "Asynchronous invocation": twice, after one and two minutes].
pub const RETRY_DELAYS: [SignedDuration; 2] =
    [SignedDuration::from_mins(1), SignedDuration::from_mins(2)];

/// What a function is and runs with.
#[derive(Clone, Debug)]
pub struct FunctionConfig {
    /// Name of the function.
    pub name: String,
    /// The executable.
    pub binary: PathBuf,
    /// Region that the function believes to be in.
    pub region: String,
    /// Account that the function believes to be in.
    pub account_id: String,
    /// Memory in MB; told to the process, not enforced.
    pub memory_mb: u32,
    /// Wall-clock time for one invocation, after which the process is killed.
    pub timeout: Duration,
    /// Wall-clock time from the start of the process to its first request for an event.
    pub init_timeout: Duration,
    /// Variables beside those that Lambda sets itself; these win.
    pub environment: Vec<(String, String)>,
    /// Repeat what the process writes on this process's standard error.
    pub echo: bool,
}

impl FunctionConfig {
    /// A function with 512 MB, 60 s per invocation, and dummy credentials.
    pub fn new(name: impl Into<String>, binary: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            binary: binary.into(),
            region: "eu-central-1".to_owned(),
            account_id: "111122223333".to_owned(),
            memory_mb: 512,
            timeout: Duration::from_secs(60),
            init_timeout: Duration::from_secs(30),
            environment: Vec::new(),
            echo: false,
        }
    }

    /// The function's ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!(
            "arn:aws:lambda:{}:{}:function:{}",
            self.region, self.account_id, self.name
        )
    }
}

/// The host itself failed; what the function did is an [`Invocation`].
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The process could not be started.
    #[error("cannot start {binary}: {source}")]
    Start {
        /// The executable.
        binary: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The Runtime API could not be opened.
    #[error("cannot open the Runtime API: {0}")]
    Listen(std::io::Error),
    /// There is no such binary.
    #[error(transparent)]
    Binary(#[from] BinaryNotFound),
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Invocation {
    /// The function answered.
    Ok(Value),
    /// The function reported an error.
    FunctionError {
        /// `errorType` of the error document.
        error_type: String,
        /// `errorMessage` of the error document.
        message: String,
    },
    /// The process ended before it answered.
    Crashed {
        /// How it ended.
        exit: Exit,
    },
    /// The process did not answer in time and was killed.
    TimedOut {
        /// The time it had.
        after: Duration,
    },
}

impl Invocation {
    /// The answer, when there is one.
    #[must_use]
    pub fn ok(&self) -> Option<&Value> {
        match self {
            Self::Ok(value) => Some(value),
            Self::FunctionError { .. } | Self::Crashed { .. } | Self::TimedOut { .. } => None,
        }
    }
}

/// An asynchronous delivery, with every attempt that it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    /// Lambda's request identifier; retries carry the same.
    pub request_id: String,
    /// The attempts, in order; the last one decides.
    pub attempts: Vec<Invocation>,
}

impl Delivered {
    /// Whether the last attempt succeeded.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.attempts.last().is_some_and(|a| a.ok().is_some())
    }

    /// Virtual time that Lambda would have waited between the attempts.
    #[must_use]
    pub fn virtual_delay(&self) -> SignedDuration {
        let retries = self.attempts.len().saturating_sub(1);
        RETRY_DELAYS.iter().take(retries).sum()
    }
}

/// How an event is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryOptions {
    /// Attempts after a failed one; Lambda allows 0 to 2.
    pub retries: usize,
    /// Deliveries of the same event beyond the first, each an invocation of its own. EventBridge
    /// and Lambda's queue both promise at least one delivery, no more.
    pub duplicates: usize,
}

impl Default for DeliveryOptions {
    fn default() -> Self {
        Self {
            retries: RETRY_DELAYS.len(),
            duplicates: 0,
        }
    }
}

/// A Lambda function on this machine. Clones are the same function.
#[derive(Clone)]
pub struct Function {
    inner: Arc<Inner>,
}

struct Inner {
    config: FunctionConfig,
    logs: Logs,
    /// One invocation at a time.
    turn: tokio::sync::Mutex<()>,
    current: Mutex<Option<Arc<Environment>>>,
    cold_starts: AtomicU64,
}

impl Function {
    /// A function; its process starts with the first invocation.
    ///
    /// # Errors
    ///
    /// The executable does not exist.
    pub fn start(config: FunctionConfig) -> Result<Self, HostError> {
        if !config.binary.is_file() {
            return Err(BinaryNotFound::at(&config.name, config.binary).into());
        }
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                logs: Logs::default(),
                turn: tokio::sync::Mutex::new(()),
                current: Mutex::new(None),
                cold_starts: AtomicU64::new(0),
            }),
        })
    }

    /// What it runs with.
    #[must_use]
    pub fn config(&self) -> &FunctionConfig {
        &self.inner.config
    }

    /// Processes started so far.
    #[must_use]
    pub fn cold_starts(&self) -> u64 {
        self.inner.cold_starts.load(Ordering::Relaxed)
    }

    /// Invokes the function with an event, under a new request identifier.
    ///
    /// # Errors
    ///
    /// The process could not be started.
    pub async fn invoke(&self, event: &Value) -> Result<Invocation, HostError> {
        self.invoke_with_request_id(event, &new_request_id()).await
    }

    /// Invokes the function with an event and a given request identifier.
    ///
    /// # Errors
    ///
    /// The process could not be started.
    pub async fn invoke_with_request_id(
        &self,
        event: &Value,
        request_id: &str,
    ) -> Result<Invocation, HostError> {
        let _turn = self.inner.turn.lock().await;
        let environment = match self.current().filter(|e| e.exit().is_none()) {
            Some(warm) => warm,
            None => self.cold_start().await?,
        };
        let outcome = environment
            .invoke(event, request_id, &self.inner.config)
            .await;
        if outcome.ok().is_none() {
            tracing::debug!(
                function = self.inner.config.name,
                ?outcome,
                "invocation failed"
            );
        }
        Ok(outcome)
    }

    /// Delivers an event as Lambda does asynchronously: a failed attempt is repeated with the same
    /// request identifier. The wait between attempts is virtual and takes no time here.
    ///
    /// Each duplicate that the options ask for is a delivery of its own.
    ///
    /// # Errors
    ///
    /// The process could not be started.
    pub async fn deliver(
        &self,
        event: &Value,
        options: DeliveryOptions,
    ) -> Result<Vec<Delivered>, HostError> {
        let mut deliveries = Vec::new();
        for _ in 0..=options.duplicates {
            let mut delivered = Delivered {
                request_id: new_request_id(),
                attempts: Vec::new(),
            };
            for _ in 0..=options.retries {
                let attempt = self
                    .invoke_with_request_id(event, &delivered.request_id)
                    .await?;
                delivered.attempts.push(attempt);
                if delivered.succeeded() {
                    break;
                }
            }
            deliveries.push(delivered);
        }
        Ok(deliveries)
    }

    /// Kills the process with SIGKILL and waits until it is gone; without a process it does
    /// nothing. An invocation under way ends as [`Invocation::Crashed`]; the next one starts a new
    /// process.
    pub async fn kill(&self) {
        if let Some(environment) = self.current() {
            environment.kill().await;
        }
    }

    /// Identifier of its process, while there is one.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.current()?.process()
    }

    /// What its processes have written so far, in order of arrival.
    #[must_use]
    pub fn logs(&self) -> Vec<LogLine> {
        self.inner.logs.lines()
    }

    /// The first log line that contains `text`, waiting up to `patience` for it to arrive.
    pub async fn log_containing(&self, text: &str, patience: Duration) -> Option<LogLine> {
        self.inner.logs.containing(text, patience).await
    }

    fn current(&self) -> Option<Arc<Environment>> {
        self.inner
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn cold_start(&self) -> Result<Arc<Environment>, HostError> {
        let inner = &self.inner;
        let environment = Arc::new(Environment::start(&inner.config, &inner.logs).await?);
        inner.cold_starts.fetch_add(1, Ordering::Relaxed);
        *inner.current.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Arc::clone(&environment));
        Ok(environment)
    }
}

/// A request identifier as Lambda makes them: a version 4 UUID.
#[must_use]
pub fn new_request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
