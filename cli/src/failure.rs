//! Why a command could not be done, in words that tell what to do about it.

use holdfast::aws::NotReady;
use holdfast::error::RunError;
use holdfast::permissions::actions_of;
use holdfast::ports::records::{TableError, TableErrorKind};
use holdfast::ports::{CallError, ErrorClass};

use crate::exit::Exit;

/// A command that could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The exit status.
    pub exit: Exit,
    /// What happened and what to do, without the word "error".
    pub message: String,
}

impl Failure {
    /// It could not be done.
    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Failed,
            message: message.into(),
        }
    }

    /// It was asked for in a wrong way.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.into(),
        }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::PolicyFile { path, source } => Self::usage(format!(
                "{path}: cannot be read: {source}; name the policy file with --policies or in \
                 HOLDFAST_POLICIES"
            )),
            RunError::Policies(errors) => {
                Self::usage(format!("the policy file is wrong\n{errors}"))
            }
            RunError::Setting { .. }
            | RunError::UnknownPolicy { .. }
            | RunError::Request(_)
            | RunError::Event(_) => Self::usage(error.to_string()),
            RunError::Inventory(error) => unlisted(&error),
            RunError::Table(error) => error.into(),
            RunError::Busy { .. } | RunError::Overdue => Self::failed(error.to_string()),
        }
    }
}

/// What to add to the caller's permissions where an operation was denied. AWS's own words are not
/// read for it: of each operation that Holdfast calls the actions are known.
#[must_use]
pub fn permission(operation: &str, resource: &str) -> String {
    match actions_of(operation) {
        [] => format!("; check the credentials and that they allow {operation}"),
        actions => format!("; {}", lacking(actions, resource)),
    }
}

/// That the credentials lack these actions, and the statement to add.
#[must_use]
pub fn lacking(actions: &[&str], resource: &str) -> String {
    let words = actions.join(", ");
    let list = match actions {
        [one] => format!("{one:?}"),
        more => format!("{more:?}"),
    };
    format!(
        "the credentials lack {words}: add {{\"Effect\": \"Allow\", \"Action\": {list}, \"Resource\": \
         {resource:?}}} to the caller's policy, and look for a statement that denies it"
    )
}

/// EC2 could not be listed.
pub fn unlisted(error: &CallError) -> Failure {
    let advice = match error.class {
        ErrorClass::Denied => permission(error.operation, "*"),
        ErrorClass::Throttled | ErrorClass::UnknownOutcome => "; try again".to_owned(),
        _ => String::new(),
    };
    Failure::failed(format!("EC2 could not be read: {error}{advice}"))
}

impl From<TableError> for Failure {
    fn from(error: TableError) -> Self {
        // Not the error's own words: they speak of heartbeats and roles.
        let advice = match error.kind {
            TableErrorKind::Missing => {
                "; check HOLDFAST_TABLE, --region and --profile, or deploy the stack".to_owned()
            }
            TableErrorKind::Denied => {
                let arn = format!("arn:aws:dynamodb:*:*:table/{}", error.table);
                permission(error.operation, &arn)
            }
            TableErrorKind::Unreadable => "; use the newer holdfast that wrote it".to_owned(),
            TableErrorKind::Unavailable => "; try again".to_owned(),
            TableErrorKind::Fenced | TableErrorKind::Refused => String::new(),
        };
        let reading = ["GetItem", "BatchGetItem", "Query", "Scan"];
        let what = match reading.contains(&error.operation) {
            true => "read",
            false => "written",
        };
        Self::failed(format!(
            "table {} could not be {what}: {} of {}: {}{advice}",
            error.table, error.operation, error.record, error.message
        ))
    }
}

impl From<NotReady> for Failure {
    fn from(error: NotReady) -> Self {
        match error {
            NotReady::Region => Self::usage(format!(
                "{error}; use --region, set AWS_REGION, or choose a profile that has one"
            )),
            NotReady::Credentials(_) => Self::failed(format!(
                "{error}; use --profile, set AWS_PROFILE, or sign in (such as `aws sso login`)"
            )),
        }
    }
}
