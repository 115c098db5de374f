//! Whether a machine still is what its event said.

use jiff::{SignedDuration, Timestamp};

use crate::inventory::{Instance, InstanceState};
use crate::policy::Trigger;
use crate::report::whole_second;

/// For how long after an event EC2's own description may still lag behind it (EC2 Developer Guide,
/// "Eventual consistency").
pub const LAG: SignedDuration = SignedDuration::from_mins(2);

/// How a machine stands to an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is as the event said.
    AsTold,
    /// It is on its way there, or its description may lag; why.
    NotYet(String),
    /// It is not any more, and the event's backup can no longer be made; why.
    MovedOn(String),
}

/// How a machine, as EC2 describes it now (`None`: not at all), stands to the event of `slot`.
///
/// - `stopped`: it is stopped, and was not started since.
/// - `running`: it runs, and was not started anew since.
/// - `spot-interruption`: it runs, or has been stopped by the interruption; it was not started since.
///   One that is terminated has left nothing to be taken.
///
/// `wall` is the wall clock, by which the lag is reckoned.
#[must_use]
pub fn standing(
    trigger: Trigger,
    slot: Timestamp,
    seen: Option<&Instance>,
    wall: Timestamp,
) -> Standing {
    let recent = wall.duration_since(slot) < LAG;
    let Some(instance) = seen else {
        return if recent {
            Standing::NotYet("it is not listed yet".to_owned())
        } else {
            Standing::MovedOn("it is not listed any more".to_owned())
        };
    };
    let state = &instance.state;
    if let Some(launched) = instance.launched.filter(|at| whole_second(*at) > slot) {
        return Standing::MovedOn(format!(
            "it was started again at {launched}, and is {state}"
        ));
    }
    if instance.is_ending() {
        return Standing::MovedOn(format!("it is {state}"));
    }
    let is_told = match state {
        InstanceState::Running => trigger != Trigger::Stopped,
        InstanceState::Stopped => trigger != Trigger::Running,
        _ => false,
    };
    if is_told {
        return Standing::AsTold;
    }
    let to_come = match state {
        InstanceState::Stopping => trigger != Trigger::Running,
        InstanceState::Pending => trigger == Trigger::Running,
        InstanceState::Unknown(_) => true,
        _ => false,
    };
    if to_come {
        return Standing::NotYet(format!("it is {state}"));
    }
    let said = match trigger {
        Trigger::Stopped => "stopped",
        Trigger::Running => "running",
        Trigger::SpotInterruption => "about to be interrupted",
    };
    if recent {
        return Standing::NotYet(format!("it is {state} although its event says {said}"));
    }
    Standing::MovedOn(format!("its event said {said}, and it is {state}"))
}
