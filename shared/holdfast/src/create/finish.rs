//! What is left to heartbeats: finished, or given up with a word.

use holdfast_core::ports::records::{Records, RunRecord, TableError};
use holdfast_core::ports::{ReadEc2, WriteEc2};

use super::job::{Job, JobEnd, Wanted};
use super::left::Group;
use super::{Creator, Fleet};
use crate::error::RunError;

impl<E: ReadEc2 + WriteEc2, R: Records> Creator<'_, E, R> {
    /// Finishes what was left over, or gives it up.
    pub(super) async fn finish(
        &self,
        group: &Group<'_>,
        fleet: &Fleet,
    ) -> Result<JobEnd, RunError> {
        let asked = match self.asked(group).await {
            Ok(asked) => asked,
            Err(error) if error.kind.stops_everything() => return Err(error.into()),
            Err(error) => return Ok(JobEnd::of(vec![group.unread(&error)], false)),
        };
        let job = Job {
            policy: &group.policy,
            slot: group.slot,
            run: group.request.unwrap_or(&self.invocation.id),
            wanted: Wanted::Left {
                open: &group.open,
                only: asked.as_ref().and_then(|run| run.resources.as_deref()),
            },
            scheduled: false,
            request: group.request,
            trigger: group.trigger,
            look_only: group.give_up.is_some(),
        };
        let mut end = self.one_of_many(&job, fleet).await?;
        if end.put_off {
            return Ok(end);
        }
        let (picked, _) = job.pick(fleet);
        for open in &group.open {
            let is = |id: &str| id == open.source;
            let listed = fleet.instances.iter().any(|i| is(i.id.as_str()))
                || fleet.volumes.iter().any(|volume| is(volume.id.as_str()));
            let found = picked.sets.iter().any(|set| is(set.instance.as_str()))
                || picked.instances.iter().any(|id| is(id.as_str()))
                || picked
                    .volumes
                    .iter()
                    .any(|single| is(single.volume.as_str()));
            let made = end.made.contains(&open.source);
            let unlisted = !found && !listed && group.give_up.is_none();
            if end.left.contains(&open.source) || (unlisted && !group.over) {
                end.complete = false;
                continue;
            }
            let ending = fleet
                .instances
                .iter()
                .find(|i| is(i.id.as_str()) && i.is_ending());
            if let Some(instance) = ending.filter(|_| group.trigger.is_some() && !made) {
                end.items.push(group.ending(open, &instance.state));
            } else if let Some(why) = &group.give_up {
                if !made && !end.told.contains(&open.source) {
                    end.items.push(group.given_up(open, why));
                }
            } else if unlisted {
                end.items.push(group.unlisted(open));
            } else if !found {
                end.items.push(group.not_picked(open));
            }
            self.records.close(self.function(), open).await?;
        }
        Ok(end)
    }

    /// The request that left a group over.
    async fn asked(&self, group: &Group<'_>) -> Result<Option<RunRecord>, TableError> {
        match group.request {
            Some(id) => self.records.run(self.function(), id).await,
            None => Ok(None),
        }
    }
}
