//! Why a run as a whole could not be done.

use holdfast_core::event::EventError;
use holdfast_core::policy::error::PolicyErrors;
use holdfast_core::ports::CallError;
use holdfast_core::ports::records::TableError;
use jiff::Timestamp;
use lambda_runtime::Diagnostic;

/// An error of the whole run; single items that fail stand in the report instead.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A setting is missing or wrong.
    #[error("{name}: {problem}")]
    Setting {
        /// The environment variable.
        name: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// The policy file cannot be read.
    #[error(
        "policy file {path} cannot be read: {source}; no policy was applied. \
         Set HOLDFAST_POLICIES to the file, or add it to the layer"
    )]
    PolicyFile {
        /// Its path.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The policy file is wrong.
    #[error("the policy file is wrong; no policy was applied\n{0}")]
    Policies(#[from] PolicyErrors),
    /// The request names a policy that is not in the file.
    #[error("no policy is named {name:?}; the file has {known}")]
    UnknownPolicy {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The request cannot be done by this function.
    #[error("{0}")]
    Request(String),
    /// The event was not understood.
    #[error(transparent)]
    Event(#[from] EventError),
    /// Another run of the policy is at work.
    #[error(
        "another run of {policy} is at work until {until}; nothing was done, and the same request \
         may be sent again"
    )]
    Busy {
        /// The policy.
        policy: String,
        /// When its lease ends unless it is renewed.
        until: Timestamp,
    },
    /// What is there could not be listed, so nothing could be picked.
    #[error(
        "nothing could be done without EC2's lists: {0}. \
         Check the credentials, the role's permissions and the endpoint; the next heartbeat tries again"
    )]
    Inventory(CallError),
    /// The time was over while it still listed what is there, so nothing was begun.
    #[error(
        "the invocation's time was over while it still read EC2's lists; nothing was begun, and the \
         next heartbeat tries again. Where that happens again, look for throttled calls or raise the \
         function's timeout"
    )]
    Overdue,
    /// The table could not be used.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl RunError {
    /// A name for dashboards, stable over versions.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Setting { .. } => "Setting",
            Self::PolicyFile { .. } => "PolicyFileMissing",
            Self::Policies(_) => "PolicyFileWrong",
            Self::UnknownPolicy { .. } => "UnknownPolicy",
            Self::Request(_) => "Request",
            Self::Event(_) => "Event",
            Self::Busy { .. } => "Busy",
            Self::Inventory(_) => "Inventory",
            Self::Overdue => "Overdue",
            Self::Table(_) => "Table",
        }
    }
}

impl From<RunError> for Diagnostic {
    fn from(error: RunError) -> Self {
        Self {
            error_type: error.kind().into(),
            error_message: error.to_string(),
        }
    }
}
