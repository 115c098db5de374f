//! Stopping, starting and terminating instances.

use holdfast_core::id::InstanceId;
use holdfast_core::inventory::InstanceState;

use super::well_formed;
use crate::account::Account;
use crate::error::ApiError;
use crate::model::instance::Instance;
use crate::response::{Response, StateChange};
use crate::transition::Transition;

/// Where a call leads an instance from its state: to a state on the way and one at the end, or
/// nowhere; or the call is refused.
enum Way {
    Through(InstanceState, InstanceState),
    Nowhere,
    Refused(ApiError),
}

impl Account {
    pub(super) fn stop_instances(&mut self, ids: &[String]) -> Result<Response, ApiError> {
        self.move_all(ids, |i| {
            if i.root_device_type != "ebs" {
                return Way::Refused(ApiError::new(
                    "UnsupportedOperation",
                    format!("The instance '{}' is not EBS-backed.", i.id),
                ));
            }
            match i.state {
                InstanceState::Running => {
                    Way::Through(InstanceState::Stopping, InstanceState::Stopped)
                }
                InstanceState::Stopping | InstanceState::Stopped => Way::Nowhere,
                _ => Way::Refused(wrong_state(i, "stopped")),
            }
        })
    }

    pub(super) fn start_instances(&mut self, ids: &[String]) -> Result<Response, ApiError> {
        self.move_all(ids, |i| match i.state {
            InstanceState::Stopped => Way::Through(InstanceState::Pending, InstanceState::Running),
            InstanceState::Pending | InstanceState::Running => Way::Nowhere,
            _ => Way::Refused(wrong_state(i, "started")),
        })
    }

    pub(super) fn terminate_instances(&mut self, ids: &[String]) -> Result<Response, ApiError> {
        self.move_all(ids, |i| match i.state {
            InstanceState::ShuttingDown | InstanceState::Terminated => Way::Nowhere,
            _ => Way::Through(InstanceState::ShuttingDown, InstanceState::Terminated),
        })
    }

    /// Checks every instance before the first is moved.
    fn move_all(
        &mut self,
        ids: &[String],
        way: impl Fn(&Instance) -> Way,
    ) -> Result<Response, ApiError> {
        if ids.is_empty() {
            return Err(ApiError::missing("InstanceId"));
        }
        let mut moves = Vec::new();
        for id in ids {
            well_formed(id, "i-", "InvalidInstanceID.Malformed")?;
            let instance = self
                .instances
                .get(&InstanceId::new(id.clone()))
                .ok_or_else(|| ApiError::instance_not_found(id))?;
            let to = match way(instance) {
                Way::Through(on_the_way, end) => Some((on_the_way, end)),
                Way::Nowhere => None,
                Way::Refused(error) => return Err(error),
            };
            moves.push((instance.id.clone(), instance.state.clone(), to));
        }
        let mut changes = Vec::new();
        for (id, previous, to) in moves {
            let current = match to {
                Some((on_the_way, end)) => {
                    self.set_off(&id, &on_the_way, end);
                    on_the_way
                }
                None => previous.clone(),
            };
            changes.push(StateChange {
                instance: id,
                previous,
                current,
            });
        }
        Ok(Response::StateChanges(changes))
    }

    fn set_off(&mut self, id: &InstanceId, on_the_way: &InstanceState, end: InstanceState) {
        let now = self.now;
        if let Some(instance) = self.instances.get_mut(id) {
            instance.state = on_the_way.clone();
            if *on_the_way == InstanceState::Pending {
                instance.launched = now;
                instance.state_reason = None;
                instance.transition_reason = None;
            } else {
                // As `DescribeInstances` shows it for a call of the user's; the words of
                // `StateTransitionReason` may be empty `[B]` and are no format.
                instance.state_reason = Some("Client.UserInitiatedShutdown".to_owned());
                let at = now.strftime("%Y-%m-%d %H:%M:%S");
                instance.transition_reason = Some(format!("User initiated ({at} GMT)"));
            }
        }
        self.emit_instance_state(id, on_the_way.as_str());
        let at = self.after(self.settings.instance_duration);
        self.schedule
            .add(at, Transition::InstanceBecomes(id.clone(), end));
    }
}

fn wrong_state(instance: &Instance, done: &str) -> ApiError {
    ApiError::new(
        "IncorrectInstanceState",
        format!(
            "The instance '{}' is not in a state from which it can be {done}.",
            instance.id
        ),
    )
}
