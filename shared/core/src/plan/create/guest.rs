//! Writes held inside a guest: which guests can be frozen, and what an answer of theirs is worth.

use jiff::SignedDuration;

use crate::id::InstanceId;
use crate::lineage::Consistency;
use crate::policy::Application;
use crate::ports::guest::{CommandState, Guest, Ping, Platform};
use crate::report::{Reason, ReasonCode};

/// Why a source is not frozen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFrozen {
    /// The reason.
    pub reason: Reason,
    /// Whether a later heartbeat may find it otherwise.
    pub passing: bool,
}

impl NotFrozen {
    /// A reason that may pass.
    #[must_use]
    pub fn passing(reason: Reason) -> Self {
        Self {
            reason,
            passing: true,
        }
    }

    /// A reason that does not pass by itself.
    #[must_use]
    pub fn lasting(reason: Reason) -> Self {
        Self {
            reason,
            passing: false,
        }
    }
}

/// Why no command should be sent to an instance; none where it can be frozen.
///
/// Windows is refused: AWS's VSS document makes the snapshots itself, inside the guest and under the
/// instance's own role, so that nobody could tell after a lost answer whether it had.
#[must_use]
pub fn unfit(instance: &InstanceId, guest: Option<&Guest>) -> Option<NotFrozen> {
    let offline = |detail: String| {
        let reason = Reason::with(ReasonCode::GuestOffline, detail);
        Some(NotFrozen::passing(reason))
    };
    let unsupported = |detail: String| {
        let reason = Reason::with(ReasonCode::GuestUnsupported, detail);
        Some(NotFrozen::lasting(reason))
    };
    let Some(guest) = guest else {
        return offline(format!(
            "Systems Manager does not manage {instance}: it needs a running agent, a way to the \
             service and the policy AmazonSSMManagedInstanceCore in its instance profile"
        ));
    };
    match (&guest.platform, &guest.ping) {
        (Platform::Windows, _) => unsupported(format!(
            "{instance} runs Windows: AWS's VSS document makes the snapshots itself, in the guest \
             and under the instance's role, where Holdfast cannot make them exactly once"
        )),
        (Platform::Other(platform), _) => unsupported(format!(
            "{instance} runs {platform:?}; only Linux guests can be frozen"
        )),
        (Platform::Linux, Ping::Other(status)) => offline(format!(
            "{instance} is not online in Systems Manager: its agent's status is {status:?}"
        )),
        (Platform::Linux, Ping::Online) => None,
    }
}

/// How much time an invocation must have left for a freeze: both scripts to their time-outs and the
/// call between them, `call` long at most. Frozen with less, a guest would wait for its own timer.
#[must_use]
pub fn time_needed(application: &Application, call: SignedDuration) -> SignedDuration {
    application.timeout + call + application.timeout
}

/// What came of letting writes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thaw {
    /// They were held to the end and go on.
    Confirmed,
    /// They go on, and were not held to the end; why.
    Early(String),
    /// The script failed; why. The guest's own timer is left.
    Failed(String),
    /// Nobody knows; why. The guest's own timer is left.
    Unknown(String),
}

/// The exit code with which a document says that its timer let writes go before the post-script, and
/// with which it says that nothing was held when the post-script came (EBS User Guide, the sample
/// documents for pre- and post-scripts).
const TIMER_FIRED: i32 = 203;
const NOT_HELD: i32 = 205;

impl Thaw {
    /// What the state of the last post-script says; `words` tell why nothing better is known while
    /// it is under way.
    #[must_use]
    pub fn of(state: &CommandState, words: &str) -> Self {
        match state {
            CommandState::Succeeded => Self::Confirmed,
            CommandState::UnderWay => Self::Unknown(words.to_owned()),
            CommandState::Failed {
                exit_code: Some(TIMER_FIRED),
                ..
            } => Self::Early("the guest's timer let writes go before the post-script came".into()),
            CommandState::Failed {
                exit_code: Some(NOT_HELD),
                ..
            } => Self::Early("nothing was held any more when the post-script came".into()),
            failed @ CommandState::Failed {
                exit_code: Some(_), ..
            } => Self::Failed(said(failed)),
            // It never ran to an end: whether writes go on is for the timer in the guest.
            failed @ CommandState::Failed {
                exit_code: None, ..
            } => Self::Unknown(said(failed)),
        }
    }

    /// What the point in time is worth that was taken before it: writes were held over it only when
    /// the post-script found them held.
    #[must_use]
    pub fn consistency(&self) -> Consistency {
        match self {
            Self::Confirmed => Consistency::Application,
            Self::Early(_) | Self::Failed(_) | Self::Unknown(_) => Consistency::Crash,
        }
    }

    /// What the operator should know of the guest; none where all went well.
    #[must_use]
    pub fn trouble(&self, instance: &InstanceId) -> Option<Reason> {
        let after = format!(
            "; unless the timer inside {instance} has let them go, its writes are still held: look \
             at it, and run the document's post-script or fsfreeze --unfreeze there"
        );
        match self {
            Self::Confirmed => None,
            Self::Early(words) => Some(Reason::with(ReasonCode::ThawFailed, words.as_str())),
            Self::Failed(words) => {
                let detail = format!("the post-script failed: {words}{after}");
                Some(Reason::with(ReasonCode::ThawFailed, detail))
            }
            Self::Unknown(words) => {
                let detail = format!("whether the post-script ran is not known: {words}{after}");
                Some(Reason::with(ReasonCode::ThawUnknown, detail))
            }
        }
    }
}

/// A command's state in words.
#[must_use]
pub fn said(state: &CommandState) -> String {
    match state {
        CommandState::UnderWay => "it is still under way".to_owned(),
        CommandState::Succeeded => "it succeeded".to_owned(),
        CommandState::Failed {
            status,
            exit_code,
            words,
        } => {
            let code = exit_code.map_or_else(String::new, |code| format!(", exit code {code}"));
            let words = words.trim();
            let words = match words.is_empty() {
                true => String::new(),
                false => format!(": {words}"),
            };
            format!("{status}{code}{words}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::OnFailure;

    fn guest(platform: Platform, ping: Ping) -> Guest {
        Guest { ping, platform }
    }

    fn code(guest: Option<&Guest>) -> Option<(ReasonCode, bool)> {
        let id = InstanceId::new("i-1");
        unfit(&id, guest).map(|not| (not.reason.code, not.passing))
    }

    #[test]
    fn only_a_linux_guest_that_is_online_is_frozen() {
        use ReasonCode::{GuestOffline, GuestUnsupported};
        let lost = || Ping::Other("ConnectionLost".into());
        let linux = |ping| guest(Platform::Linux, ping);
        let windows = |ping| guest(Platform::Windows, ping);
        assert_eq!(code(Some(&linux(Ping::Online))), None);
        assert_eq!(code(Some(&linux(lost()))), Some((GuestOffline, true)));
        assert_eq!(code(None), Some((GuestOffline, true)));
        // Windows stays Windows: the slot is not tried again and again.
        for ping in [Ping::Online, lost()] {
            let answer = code(Some(&windows(ping)));
            assert_eq!(answer, Some((GuestUnsupported, false)));
        }
        let mac = guest(Platform::Other("MacOS".into()), Ping::Online);
        assert_eq!(code(Some(&mac)), Some((GuestUnsupported, false)));
    }

    #[test]
    fn a_level_is_reached_only_when_the_post_script_found_writes_held() {
        let failed = |exit_code| CommandState::Failed {
            status: "Failed".into(),
            exit_code,
            words: String::new(),
        };
        let level = |state: &CommandState| Thaw::of(state, "no answer").consistency();
        assert_eq!(level(&CommandState::Succeeded), Consistency::Application);
        for state in [
            CommandState::UnderWay,
            failed(Some(202)),
            failed(Some(203)),
            failed(Some(205)),
            failed(None),
        ] {
            assert_eq!(level(&state), Consistency::Crash, "{state:?}");
        }
    }

    #[test]
    fn a_thaw_that_nobody_confirmed_is_told_with_what_to_do() {
        let id = InstanceId::new("i-1");
        let lost = Thaw::of(&CommandState::UnderWay, "no answer within 60 s");
        let reason = lost.trouble(&id).unwrap();
        assert_eq!(reason.code, ReasonCode::ThawUnknown);
        let detail = reason.detail.unwrap();
        assert!(detail.contains("no answer within 60 s") && detail.contains("fsfreeze"));
        assert_eq!(Thaw::Confirmed.trouble(&id), None);
        let failed = CommandState::Failed {
            status: "Failed".into(),
            exit_code: Some(202),
            words: "cannot thaw /data".into(),
        };
        let reason = Thaw::of(&failed, "").trouble(&id).unwrap();
        assert_eq!(reason.code, ReasonCode::ThawFailed);
        assert!(reason.detail.unwrap().contains("cannot thaw /data"));
        // Thawed by the timer: writes go on, so nobody is sent to look.
        let timer = CommandState::Failed {
            status: "Failed".into(),
            exit_code: Some(203),
            words: String::new(),
        };
        let reason = Thaw::of(&timer, "").trouble(&id).unwrap();
        assert!(!reason.detail.unwrap().contains("still held"));
    }

    #[test]
    fn a_freeze_needs_time_for_both_scripts_and_the_call() {
        let application = Application {
            document: "Freeze".into(),
            timeout: SignedDuration::from_secs(60),
            on_failure: OnFailure::Skip,
        };
        let needed = time_needed(&application, SignedDuration::from_secs(20));
        assert_eq!(needed, SignedDuration::from_secs(140));
    }
}
