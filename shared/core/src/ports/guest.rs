//! Commands inside an instance, by Systems Manager.

use std::pin::Pin;

use jiff::SignedDuration;

use super::CallError;
use crate::id::InstanceId;

/// An answer to wait for. Boxed, so that the port can be had as a trait object: it is asked a few
/// times for each set of snapshots, and not at all by most policies.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send + 'a>>;

/// Whether a guest's agent is in touch with Systems Manager (`PingStatus`, Systems Manager API
/// Reference).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ping {
    /// It is.
    Online,
    /// It was not heard of for a while, or never; Systems Manager's word for it.
    Other(String),
}

/// The operating system of a guest (`PlatformType`, same source).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Platform {
    /// Linux.
    Linux,
    /// Windows.
    Windows,
    /// Anything else; Systems Manager's word for it, empty where it has none.
    Other(String),
}

/// An instance that Systems Manager manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Whether commands reach it now.
    pub ping: Ping,
    /// What it runs.
    pub platform: Platform,
}

/// One half of a freeze: the value of the documents' parameter `command`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Holds writes.
    Pre,
    /// Lets them go.
    Post,
}

impl Script {
    /// Its spelling in the parameter (EBS User Guide, "Automate application-consistent snapshots
    /// with Data Lifecycle Manager").
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pre => "pre-script",
            Self::Post => "post-script",
        }
    }
}

/// A command to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestCommand {
    /// Where it is to run.
    pub instance: InstanceId,
    /// Name or ARN of the SSM document.
    pub document: String,
    /// A UUID that both halves of one freeze share, and no other freeze: by it the scripts in the
    /// guest know a repetition.
    pub execution: String,
    /// Which half.
    pub script: Script,
    /// How long it may lie undelivered; what is shorter than Systems Manager's least, 30 seconds,
    /// is that.
    pub delivery: SignedDuration,
}

/// How far a command has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandState {
    /// It is not done, or not yet known: Systems Manager answers late about what was just sent.
    UnderWay,
    /// Its script ended with exit code 0.
    Succeeded,
    /// It ended otherwise, or never began.
    Failed {
        /// Systems Manager's word for it, such as `Failed` or `Delivery Timed Out`.
        status: String,
        /// Exit code of the script; none where it did not end by itself.
        exit_code: Option<i32>,
        /// What the script wrote, cut; for people, never for decisions.
        words: String,
    },
}

/// Runs commands in guests.
pub trait GuestCommands: Send + Sync {
    /// The guest; none where Systems Manager does not manage the instance.
    ///
    /// # Errors
    /// The call failed.
    fn guest<'a>(&'a self, instance: &'a InstanceId) -> Answer<'a, Option<Guest>>;

    /// Sends a command; its identifier. `SendCommand` has no client token: it is sent once, and
    /// after a lost answer the same command may be sent again, because the scripts know a
    /// repetition by its execution.
    ///
    /// # Errors
    /// The call failed.
    fn send<'a>(&'a self, command: &'a GuestCommand) -> Answer<'a, String>;

    /// How far a command has come.
    ///
    /// # Errors
    /// The call failed.
    fn state<'a>(&'a self, command: &'a str, instance: &'a InstanceId) -> Answer<'a, CommandState>;
}
