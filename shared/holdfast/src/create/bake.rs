//! Backups that a state change asked for: whether the machine still is what the event said, and
//! whether an earlier bake holds this one back.

use holdfast_core::id::InstanceId;
use holdfast_core::inventory::Instance;
use holdfast_core::lineage::SlotRecord;
use holdfast_core::plan::bake::{
    Standing, Turn, cooling, matters_since, not_rebooted, standing, turn,
};
use holdfast_core::plan::create::Creation;
use holdfast_core::plan::judge::governing;
use holdfast_core::policy::Trigger;
use holdfast_core::ports::records::{Records, TableError};
use holdfast_core::ports::{ReadEc2, WriteEc2};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

use super::Fleet;
use super::quiet::Before;
use super::work::Work;

/// Whether an event's backup is to be asked for.
pub(super) enum Gate {
    /// It is; the machine as it was read.
    Open(Box<Instance>),
    /// It is not, or not now.
    Closed(Before),
}

impl<E: ReadEc2 + WriteEc2, R: Records> Work<'_, '_, E, R> {
    /// Reads the machine that an event named, right before the call, and what was made of it before.
    pub(super) async fn gate(
        &self,
        creation: &Creation,
        instance: &InstanceId,
        trigger: Trigger,
        before: Option<&SlotRecord>,
    ) -> Result<Gate, TableError> {
        let slot = self.order.slot;
        let not_now = |code, detail: String| {
            let reason = Reason::with(code, detail);
            Gate::Closed(Before::Wait(self.item(creation, Outcome::Deferred, reason)))
        };
        let never = |code, detail: String| {
            let reason = Reason::with(code, detail);
            let item = self.item(creation, Outcome::Skipped, reason);
            Gate::Closed(Before::MovedOn(item))
        };
        let seen = match self.read(instance).await {
            Ok(seen) => seen,
            Err(error) => {
                let detail = format!("what state it is in is not known: {error}");
                return Ok(not_now(ReasonCode::InstanceState, detail));
            }
        };
        let (now, wall) = (self.creator.clock(), Timestamp::now());
        let stands = standing(trigger, slot, seen.as_ref(), wall);
        if let Standing::NotYet(detail) = stands {
            return Ok(not_now(ReasonCode::InstanceState, detail));
        }
        let launched = seen.as_ref().and_then(|instance| instance.launched);
        let bakes = self.bakes(&creation.source, launched, now).await?;
        let fresh = before.is_none_or(|record| record.attempt == 0);
        let policy = self.order.policy;
        let instance = match (stands, seen) {
            (Standing::AsTold, Some(instance)) => instance,
            (stands, _) => {
                let detail = match stands {
                    Standing::MovedOn(detail) => detail,
                    Standing::AsTold | Standing::NotYet(_) => "it is not listed".to_owned(),
                };
                let held = cooling(policy, trigger, slot, &bakes, now).filter(|_| fresh);
                return Ok(match held {
                    Some((other, until)) => {
                        let words = format!("{}; {detail}", put_off(other, until));
                        never(ReasonCode::Cooldown, words)
                    }
                    None => never(
                        ReasonCode::InstanceState,
                        format!("{detail}: a late event bakes no machine that has moved on"),
                    ),
                });
            }
        };
        Ok(
            match turn(policy, (trigger, slot), launched, &bakes, now, wall) {
                Turn::PutOff { slot, until } if fresh => {
                    not_now(ReasonCode::Cooldown, put_off(slot, until))
                }
                Turn::Due | Turn::PutOff { .. } => Gate::Open(Box::new(instance)),
                Turn::Done { slot } => never(
                    ReasonCode::AlreadyCreated,
                    format!("the event of {slot} told the same change, and its backup was started"),
                ),
                Turn::Superseded { slot } => never(
                    ReasonCode::Late,
                    format!("the backup of the newer event of {slot} was started"),
                ),
                Turn::Unsure { slot } => not_now(
                    ReasonCode::InstanceState,
                    format!("its description may still be that of the event of {slot}"),
                ),
            },
        )
    }

    /// Records the end of an event whose time is over before its backup was made, so that nobody
    /// takes what was decided for a lost event. The line of the report where the cooldown held it
    /// back: the next slot takes its place.
    pub(super) async fn event_over(
        &self,
        source: &str,
        before: Option<&SlotRecord>,
    ) -> Result<Option<Item>, TableError> {
        let Some(trigger) = self.trigger else {
            return Ok(None);
        };
        let (now, policy) = (self.creator.clock(), self.order.policy);
        let held_back = if before.is_none_or(|record| record.attempt == 0) {
            let bakes = self.bakes(source, None, now).await?;
            cooling(policy, trigger, self.order.slot, &bakes, now)
        } else {
            None
        };
        let Some((slot, until)) = held_back else {
            let last = before.and_then(|record| record.error.as_deref());
            let last = last.map_or_else(String::new, |last| format!(" ({last})"));
            let words = format!("it could not be made in time and was given up{last}");
            self.end(source, before, &words).await?;
            return Ok(None);
        };
        let detail = format!(
            "{}; a scheduled slot takes its place before that",
            put_off(slot, until)
        );
        self.end(source, before, &detail).await?;
        let item = Item::new(Action::Create, source, Outcome::Skipped)
            .policy(&policy.name)
            .source(source)
            .slot(self.order.slot)
            .reason(Reason::with(ReasonCode::Cooldown, detail));
        Ok(Some(item))
    }

    /// Keeps EC2 from rebooting a machine that its event does not excuse.
    pub(super) fn spare(&self, creation: &mut Creation, fleet: &Fleet) {
        let Some(trigger) = self.trigger else {
            return;
        };
        let listed = fleet.instances.iter();
        let listed = listed.filter(|i| i.id.as_str() == creation.source);
        let launched = listed.filter_map(|instance| instance.launched).next();
        if let Some(why) = not_rebooted(trigger, self.order.slot, launched) {
            creation.without_reboot(why);
        }
    }

    /// What events asked for of an instance, under every name of the policy.
    async fn bakes(
        &self,
        source: &str,
        launched: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Vec<SlotRecord>, TableError> {
        let policy = self.order.policy;
        let since = matters_since(policy, launched, now);
        let today = governing(self.creator.policies, &policy.name).unwrap_or(policy);
        let mut names: Vec<&String> = today.formerly.iter().collect();
        names.extend([&policy.name, &today.name]);
        names.sort();
        names.dedup();
        let mut bakes = Vec::new();
        for name in names {
            bakes.extend(self.creator.records.bakes(name, source, since).await?);
        }
        Ok(bakes)
    }
}

fn put_off(slot: Timestamp, until: Timestamp) -> String {
    format!("put off until {until} by the cooldown after the backup for the event of {slot}")
}
