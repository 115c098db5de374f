//! Backups that a state change of an instance asks for.

use holdfast_core::event::Origin;
use holdfast_core::id::InstanceId;
use holdfast_core::inventory::{Instance, InstanceState};
use holdfast_core::policy::selection;
use holdfast_core::policy::{Policy, PolicyState, Trigger};
use holdfast_core::ports::records::{OpenSource, Records};
use holdfast_core::ports::{ReadEc2, WriteEc2};
use holdfast_core::report::{Outcome, ReasonCode, Report, whole_second};

use super::job::{Job, JobEnd, Wanted};
use super::left::ending as ending_item;
use super::{Creator, Fleet, put_off};
use crate::error::RunError;

impl<E: ReadEc2 + WriteEc2, R: Records> Creator<'_, E, R> {
    pub(super) async fn state_change(
        &self,
        origin: &Origin,
        instance: &InstanceId,
        trigger: Option<Trigger>,
    ) -> Result<Report, RunError> {
        let slot = whole_second(origin.time);
        let policies = self.policies;
        let concerned: Vec<&Policy> = policies
            .policies
            .iter()
            .filter(|p| p.protect == self.protect && p.state == PolicyState::Active)
            .filter(|p| trigger.is_some_and(|trigger| p.triggers.contains(&trigger)))
            .collect();
        let mut end = JobEnd::of(Vec::new(), true);
        if !concerned.is_empty() {
            let fleet = self.fleet().await?;
            let found = fleet.instances.iter().find(|i| i.id == *instance);
            for policy in concerned {
                let picked =
                    found.is_none_or(|i| selection::picks_instance(policy, i, &fleet.volumes));
                if !picked {
                    // Instances on their way out are not picked; said where it would have been.
                    let ending = found.filter(|i| i.is_ending());
                    if let Some(instance) = ending.filter(|i| would_pick(policy, i, &fleet)) {
                        let name = &policy.name;
                        let state = &instance.state;
                        end.items.push(ending_item(
                            name,
                            (slot, trigger),
                            instance.id.as_str(),
                            state,
                        ));
                    }
                    continue;
                }
                // On the heartbeats' list before anything else: whatever stops this run, they
                // finish it.
                let open = OpenSource {
                    policy: policy.name.clone(),
                    slot,
                    source: instance.to_string(),
                    request: None,
                    trigger,
                    failures: 0,
                };
                self.records.open(self.function(), &open).await?;
                let job = Job {
                    policy,
                    slot,
                    run: &self.invocation.id,
                    wanted: Wanted::Instance(instance),
                    scheduled: false,
                    request: None,
                    trigger,
                    look_only: false,
                };
                if found.is_none() {
                    let detail = format!("{instance} is not listed yet");
                    end.add(put_off(
                        &job,
                        Outcome::Deferred,
                        ReasonCode::InstanceState,
                        detail,
                    ));
                    continue;
                }
                let done = self.one_of_many(&job, &fleet).await?;
                if done.complete {
                    self.records.close(self.function(), &open).await?;
                }
                end.add(done);
            }
        }
        Ok(self.report(&self.invocation.id, slot, Some(origin), None, policies, end))
    }
}

/// Whether a policy would pick an instance that is on its way out if it were not.
fn would_pick(policy: &Policy, instance: &Instance, fleet: &Fleet) -> bool {
    let before = Instance {
        state: InstanceState::Running,
        ..instance.clone()
    };
    selection::picks_instance(policy, &before, &fleet.volumes)
}
