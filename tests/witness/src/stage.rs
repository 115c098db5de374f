//! Where a scenario plays: an SDK client, what it heard, and the clock where there is one.

use std::fmt::Display;
use std::sync::PoisonError;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_ec2::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use holdfast_sim::{Account, SharedAccount};
use jiff::SignedDuration;

/// The Region of both sides.
pub const REGION: &str = "eu-central-1";

/// Availability Zone of what the scenarios make.
pub const ZONE: &str = "eu-central-1a";

/// Longer than anything takes in the simulated account, and less than the hour for which it lists
/// terminated instances.
const SETTLING: SignedDuration = SignedDuration::from_mins(10);

/// What was heard about one thing that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What was asked.
    pub asked: &'static str,
    /// Plain text that has no identifier and no time in it.
    pub answer: String,
}

/// Why a scenario could not be played. Never a listed difference: it fails the run.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    /// A call that only sets the stage was refused.
    #[error("a call that sets the stage was refused: {0}")]
    SetUp(String),
    /// No HTTP answer came.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// An answer lacks what the next call needs.
    #[error("an answer has no {0}")]
    Lacking(&'static str),
}

/// Where a scenario plays.
pub struct Stage {
    /// The real SDK's client, without retries.
    pub ec2: Client,
    /// The same for Auto Scaling.
    pub auto_scaling: aws_sdk_autoscaling::Client,
    account: Option<SharedAccount>,
    answers: Vec<Answer>,
}

impl Stage {
    /// A stage at the endpoints of both services; `account` is the simulated account behind them, if
    /// it is that one.
    #[must_use]
    pub fn new(ec2: &str, auto_scaling: &str, account: Option<SharedAccount>) -> Self {
        let credentials = Credentials::new("witness", "witness", None, None, "witness");
        let config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(credentials.clone())
            .endpoint_url(ec2)
            .retry_config(RetryConfig::disabled())
            .build();
        let groups = aws_sdk_autoscaling::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(REGION))
            .credentials_provider(credentials)
            .endpoint_url(auto_scaling)
            .retry_config(RetryConfig::disabled())
            .build();
        Self {
            ec2: Client::from_conf(config),
            auto_scaling: aws_sdk_autoscaling::Client::from_conf(groups),
            account,
            answers: Vec::new(),
        }
    }

    /// What was heard.
    #[must_use]
    pub fn into_answers(self) -> Vec<Answer> {
        self.answers
    }

    /// Lets everything pending come to its end.
    pub fn settle(&self) {
        self.seed(|account| account.advance_by(SETTLING));
    }

    /// Changes the simulated account where it has no call for it; `None` on the other side.
    pub fn seed<T>(&self, change: impl FnOnce(&mut Account) -> T) -> Option<T> {
        let account = self.account.as_ref()?;
        let mut account = account.lock().unwrap_or_else(PoisonError::into_inner);
        Some(change(&mut account))
    }

    /// Notes an answer.
    pub fn note(&mut self, asked: &'static str, answer: impl Display) {
        self.answers.push(Answer {
            asked,
            answer: answer.to_string(),
        });
    }

    /// Notes what a call answered: `say` of a good answer, the code of a refusal.
    ///
    /// # Errors
    /// No HTTP answer came.
    pub fn hear<T, E>(
        &mut self,
        asked: &'static str,
        result: Result<T, SdkError<E>>,
        say: impl FnOnce(&T) -> String,
    ) -> Result<Option<T>, Stop>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        match result {
            Ok(answer) => {
                self.note(asked, say(&answer));
                Ok(Some(answer))
            }
            Err(error) => {
                let code = refusal(&error)?;
                self.note(asked, code);
                Ok(None)
            }
        }
    }

    /// Notes `ok` or the code of a refusal.
    ///
    /// # Errors
    /// No HTTP answer came.
    pub fn outcome<T, E>(
        &mut self,
        asked: &'static str,
        result: Result<T, SdkError<E>>,
    ) -> Result<Option<T>, Stop>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        self.hear(asked, result, |_| "ok".to_owned())
    }
}

/// The answer of a call that sets the stage and must succeed on both sides.
///
/// # Errors
/// It was refused, or no HTTP answer came.
pub fn made<T, E>(result: Result<T, SdkError<E>>) -> Result<T, Stop>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    result.map_err(|error| match refusal(&error) {
        Ok(code) => Stop::SetUp(code),
        Err(stop) => stop,
    })
}

/// The code of a refusal, or its HTTP status where it has none.
fn refusal<E>(error: &SdkError<E>) -> Result<String, Stop>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if let Some(code) = error.code() {
        return Ok(code.to_owned());
    }
    match error.raw_response() {
        Some(response) => Ok(format!(
            "HTTP {} without a code",
            response.status().as_u16()
        )),
        None => Err(Stop::NoAnswer(DisplayErrorContext(error).to_string())),
    }
}
