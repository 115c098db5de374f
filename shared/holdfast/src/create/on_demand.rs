//! Backups that a request asks for.

use holdfast_core::event::RunRequest;
use holdfast_core::policy::{Policy, PolicyState};
use holdfast_core::ports::records::{OpenSource, Records, RunRecord};
use holdfast_core::ports::{ReadEc2, WriteEc2};
use holdfast_core::report::{
    Action, Item, Mode, Outcome, Reason, ReasonCode, Report, whole_second,
};
use jiff::Timestamp;

use super::job::{Job, JobEnd, Wanted};
use super::{Creator, function_of, named};
use crate::error::RunError;

impl<E: ReadEc2 + WriteEc2, R: Records> Creator<'_, E, R> {
    pub(super) async fn on_demand(&self, request: &RunRequest) -> Result<Report, RunError> {
        let wall = Timestamp::now();
        let id = request.id.as_deref().unwrap_or(&self.invocation.id);
        let now = request.now.unwrap_or(wall);
        let policies = self.policies;
        let policy = named(policies, &request.run)?;
        if policy.protect != self.protect {
            let (name, other) = (&policy.name, function_of(policy.protect));
            return Err(RunError::Request(format!(
                "policy {name} is not made by {}: send the request to {other}",
                self.function()
            )));
        }
        let mut slot = whole_second(now);
        if !request.dry_run {
            let run = RunRecord {
                function: self.function().into(),
                id: id.to_owned(),
                policy: policy.name.clone(),
                slot,
                started: wall,
                resources: request.resources.clone(),
            };
            let recorded = self.records.start_run(&run).await?;
            if recorded.policy != policy.name {
                return Err(RunError::Request(format!(
                    "the identifier {id:?} belongs to a run of {}, not of {}",
                    recorded.policy, policy.name
                )));
            }
            slot = recorded.slot;
        }
        let end = if policy.state == PolicyState::Active {
            let fleet = self.fleet().await?;
            let job = Job {
                policy,
                slot,
                run: id,
                wanted: match &request.resources {
                    Some(resources) => Wanted::Resources(resources),
                    None => Wanted::Everything,
                },
                scheduled: false,
                request: Some(id),
                trigger: None,
                look_only: false,
            };
            if request.dry_run {
                self.plan_job(&job, &fleet).await
            } else {
                let done = self.job(&job, &fleet).await?;
                let end = done.map_err(|until| RunError::Busy {
                    policy: policy.name.clone(),
                    until,
                })?;
                self.leave(policy, slot, id, &end).await?;
                end
            }
        } else {
            let detail = "the policy is paused or retired and creates nothing";
            let item = Item::new(Action::Create, &policy.name, Outcome::Skipped)
                .policy(&policy.name)
                .slot(slot)
                .reason(Reason::with(ReasonCode::PolicyPaused, detail));
            JobEnd::of(vec![item], true)
        };
        let mode = request.dry_run.then_some(Mode::Plan);
        Ok(self.report(id, slot, None, mode, policies, end))
    }

    /// Leaves to the heartbeats what this run did not get done.
    async fn leave(
        &self,
        policy: &Policy,
        slot: Timestamp,
        id: &str,
        end: &JobEnd,
    ) -> Result<(), RunError> {
        for source in &end.left {
            let open = OpenSource {
                policy: policy.name.clone(),
                slot,
                source: source.clone(),
                request: Some(id.to_owned()),
                trigger: None,
                failures: 0,
            };
            self.records.open(self.function(), &open).await?;
        }
        Ok(())
    }
}
