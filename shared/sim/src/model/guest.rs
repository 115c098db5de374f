//! Guests: instances that Systems Manager manages, and the commands sent to them.

use holdfast_core::id::InstanceId;
use jiff::{SignedDuration, Timestamp};

/// What a script does when it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Conduct {
    /// It does what it is there for.
    #[default]
    Succeeds,
    /// It ends with this exit code and has changed nothing.
    Fails(i32),
    /// It begins, a pre-script holds writes, and it never ends.
    Hangs,
    /// It never reaches the guest.
    Lost,
}

/// A guest to be. The default is a Linux guest online, whose document thaws by itself after a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestSeed {
    /// The instance.
    pub instance: InstanceId,
    /// `Linux`, `Windows` or `MacOS`.
    pub platform: String,
    /// `Online`, `ConnectionLost` or `Inactive`.
    pub ping: String,
    /// What its pre-script does.
    pub pre: Conduct,
    /// What its post-script does.
    pub post: Conduct,
    /// When the timer in the guest lets writes go that nobody let go.
    pub auto_thaw: SignedDuration,
    /// How many questions after a command are answered `InvocationDoesNotExist` first.
    pub late_answers: u32,
}

impl GuestSeed {
    /// The default guest in this instance.
    pub fn new(instance: InstanceId) -> Self {
        Self {
            instance,
            platform: "Linux".to_owned(),
            ping: "Online".to_owned(),
            pre: Conduct::Succeeds,
            post: Conduct::Succeeds,
            auto_thaw: SignedDuration::from_mins(1),
            late_answers: 0,
        }
    }
}

/// A guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guest {
    /// What it was made as; may be changed at any time.
    pub seed: GuestSeed,
    /// The execution that holds its writes.
    pub frozen: Option<String>,
    /// Executions whose writes the timer let go.
    pub thawed_by_timer: Vec<String>,
}

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not delivered.
    Pending,
    /// Running.
    InProgress,
    /// Ended with this exit code.
    Ended(i32),
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its identifier, a UUID.
    pub id: String,
    /// The instance.
    pub instance: InstanceId,
    /// The document.
    pub document: String,
    /// `executionId`.
    pub execution: String,
    /// `pre-script`, `post-script` or `dry-run`.
    pub script: String,
    /// When it was sent.
    pub sent: Timestamp,
    /// Until when it may lie undelivered.
    pub deliver_by: Timestamp,
    /// How far it has come.
    pub progress: Progress,
    pub(crate) unheard: u32,
}
