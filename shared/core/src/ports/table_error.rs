//! How a request to the table fails.

/// Why the table could not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableErrorKind {
    /// There is no such table.
    Missing,
    /// Credentials or permissions refuse it.
    Denied,
    /// Somebody with a newer lease wrote in between; this run must stop.
    Fenced,
    /// A record that this version of Holdfast cannot read.
    Unreadable,
    /// The table did not answer, or asked for fewer requests.
    Unavailable,
    /// Anything else; asking again does not help.
    Refused,
}

impl TableErrorKind {
    /// Whether no other record could be read or written either.
    #[must_use]
    pub fn stops_everything(self) -> bool {
        match self {
            Self::Missing | Self::Denied => true,
            Self::Fenced | Self::Unreadable | Self::Unavailable | Self::Refused => false,
        }
    }
}

/// A request to the table that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation} on table {table}, {record}: {message}{}", hint(.kind))]
pub struct TableError {
    /// The API operation.
    pub operation: &'static str,
    /// The table.
    pub table: String,
    /// The record it was about.
    pub record: String,
    /// What it means.
    pub kind: TableErrorKind,
    /// The service's words.
    pub message: String,
}

fn hint(kind: &TableErrorKind) -> &'static str {
    match kind {
        TableErrorKind::Missing => "; deploy the stack, or set HOLDFAST_TABLE to its table",
        TableErrorKind::Denied => "; check the credentials and the role's permissions",
        TableErrorKind::Fenced => "; another run took over and goes on",
        TableErrorKind::Unreadable => {
            "; a newer Holdfast wrote it: deploy that version, nothing was overwritten"
        }
        TableErrorKind::Unavailable => "; the next heartbeat tries again",
        TableErrorKind::Refused => "",
    }
}
