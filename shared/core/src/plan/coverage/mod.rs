//! Whether what the policies promise exists: the absence of a backup, found from what stands.
//!
//! A policy promises a good backup of every source that it picks, none older than its `rpo`. What
//! is missing makes no event and no failed call, so it is looked for: sources without a backup or
//! with too old a one, sources that somebody required or that had backups and that no policy picks
//! any more, policies that pick nothing, keys without which a backup cannot be read. Paused and
//! retired policies promise nothing. A list that ends early makes a source's state unknown, and
//! never an alarm about what it may only not have shown.

mod backups;
mod keys;
mod picks;
mod unpicked;

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::id::InstanceId;
use crate::inventory::KeyState;
use crate::plan::reconcile::Seen;
use crate::policy::{Policy, PolicyFile, PolicyState, Protect, Rpo};
use crate::ports::CallError;
use crate::report::{Action, Item, Outcome, Reason, ReasonCode};

pub use keys::{Under, keys, unusable};

use backups::{Backups, Newest};
use picks::{Pick, Picks, picks};

/// What is judged.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What EC2 lists; instances and volumes among it.
    pub seen: &'a Seen<'a>,
    /// The policies.
    pub policies: &'a PolicyFile,
    /// What KMS says of the keys that [`keys`] names, by ARN.
    pub keys: &'a BTreeMap<String, Result<KeyState, CallError>>,
    /// The time that it is judged for.
    pub now: Timestamp,
}

/// A good backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The snapshot or AMI.
    pub id: String,
    /// The point in time that it holds.
    pub time: Timestamp,
}

/// How a source stands by what a policy promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its newest good backup is as young as promised.
    Covered,
    /// It has none yet, or none young enough, and is itself younger than what is promised.
    Young {
        /// When it was made.
        since: Timestamp,
    },
    /// It has none yet, and its first is being made.
    Making {
        /// When it was begun.
        since: Timestamp,
    },
    /// The policy says nothing of how old a backup may get.
    NoPromise,
    /// It has no good backup.
    NoBackup,
    /// Its newest good backup is older than promised.
    TooOld,
    /// The lists do not go far enough to say.
    Unknown,
}

/// A source that an active policy picks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Covered {
    /// The policy.
    pub policy: String,
    /// The volume or, for AMIs, the instance.
    pub source: String,
    /// The instance in whose set a volume is taken.
    pub instance: Option<InstanceId>,
    /// Its newest good backup by this policy.
    pub newest: Option<Backup>,
    /// Since when a newer one is being made.
    pub making: Option<Timestamp>,
    /// How old the newest may get.
    pub rpo: Option<Rpo>,
    /// The policy's next slot.
    pub next_slot: Option<Timestamp>,
    /// How it stands.
    pub standing: Standing,
}

/// How everything stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// The sources that active policies pick, by source and policy.
    pub sources: Vec<Covered>,
    /// What is to be said of policies, of what no policy picks and of keys, by resource.
    pub others: Vec<Item>,
}

/// Judges everything.
#[must_use]
pub fn coverage(facts: &Facts<'_>) -> Coverage {
    let picks = picks(facts.policies, facts.seen);
    let backups = Backups::new(facts.seen, facts.policies);
    let mut sources = Vec::new();
    let mut others = Vec::new();
    for (place, policy) in facts.policies.policies.iter().enumerate() {
        let active = policy.state == PolicyState::Active;
        let Some(picks) = picks.get(place).filter(|_| active) else {
            continue;
        };
        let promise = Promise {
            policy,
            rpo: policy.rpo_at(facts.now),
            next_slot: policy.next_slot(facts.now),
            facts,
        };
        if picks.is_empty() {
            others.extend(promise.matches_nothing(backups.newest_of(place)));
        }
        // A volume may be excluded by the tags of an instance that is not listed.
        let picks_surely = policy.protect == Protect::Instances || selects_surely(facts.seen);
        let complete = picks_surely && backups.is_complete(policy.protect);
        for pick in &picks.sources {
            let found = backups.of(place, &pick.source);
            sources.push(promise.kept(pick, &found, complete));
        }
    }
    sources.sort_by(|a, b| (&a.source, &a.policy).cmp(&(&b.source, &b.policy)));
    others.extend(unpicked::find(facts, &picks, &backups));
    others.extend(keys::find(facts, &picks, &backups));
    others.sort_by(|a, b| (&a.resource, &a.policy).cmp(&(&b.resource, &b.policy)));
    Coverage { sources, others }
}

/// Whether both lists that a selection is made from were read to their end.
fn selects_surely(seen: &Seen<'_>) -> bool {
    seen.instances.is_some_and(|list| list.is_complete())
        && seen.volumes.is_some_and(|list| list.is_complete())
}

/// One active policy.
struct Promise<'a> {
    policy: &'a Policy,
    rpo: Option<Rpo>,
    next_slot: Option<Timestamp>,
    facts: &'a Facts<'a>,
}

impl Promise<'_> {
    fn kept(&self, pick: &Pick, found: &Newest<'_>, complete: bool) -> Covered {
        Covered {
            policy: self.policy.name.clone(),
            source: pick.source.clone(),
            instance: pick.instance.clone(),
            newest: found.good.map(|(time, id)| Backup {
                id: id.to_owned(),
                time,
            }),
            making: found.pending,
            rpo: self.rpo,
            next_slot: self.next_slot,
            standing: self.standing(pick, found, complete),
        }
    }

    fn standing(&self, pick: &Pick, found: &Newest<'_>, complete: bool) -> Standing {
        let now = self.facts.now;
        let newest = found.good.map(|(time, _)| time);
        let oldest = self.rpo.map(|rpo| rpo.oldest(now, &self.policy.timezone));
        let Some(oldest) = oldest else {
            // Of a schedule that has one slot only, that slot is a promise all the same.
            return match newest {
                Some(_) => Standing::Covered,
                None if !complete => Standing::Unknown,
                None if self.policy.latest_slot(now) > pick.made => Standing::NoBackup,
                None => Standing::NoPromise,
            };
        };
        if newest.is_some_and(|newest| newest >= oldest) {
            return Standing::Covered;
        }
        if !complete {
            return Standing::Unknown;
        }
        match pick.made {
            Some(since) if since > oldest => Standing::Young { since },
            // Nobody knows its age: it may be new until a slot has passed.
            None if newest.is_none() && self.policy.latest_slot(now).is_none() => {
                Standing::NoPromise
            }
            _ if newest.is_some() => Standing::TooOld,
            _ => match found.pending {
                Some(since) if since >= oldest => Standing::Making { since },
                _ => Standing::NoBackup,
            },
        }
    }

    /// A policy that picks nothing: somebody misspelt a tag, or all that had it are gone.
    ///
    /// A policy with triggers alone picks what comes and goes, such as machines that only live to
    /// be baked. It is asked for backups instead: some at all, and none too old if it says so.
    fn matches_nothing(&self, newest: Option<Timestamp>) -> Option<Item> {
        if !selects_surely(self.facts.seen) {
            return None;
        }
        let comes_and_goes = self.policy.schedules.is_empty();
        let (now, tz) = (self.facts.now, &self.policy.timezone);
        let fresh = newest.is_some_and(|newest| {
            let oldest = self.rpo.map(|rpo| rpo.oldest(now, tz));
            oldest.is_none_or(|oldest| newest >= oldest)
        });
        if comes_and_goes && fresh {
            return None;
        }
        let detail = "it is active and picks nothing in this account and Region: check the tags \
                      of its `select` and what it excludes, or set it to state: paused";
        let reason = Reason::with(ReasonCode::MatchesNothing, detail);
        let item = Item::new(Action::Check, &self.policy.name, Outcome::Finding);
        let mut item = item.policy(&self.policy.name).reason(reason);
        item.time = newest;
        Some(item)
    }
}

impl Coverage {
    /// What the operator should know: what is not as promised, and what nobody could say.
    #[must_use]
    pub fn findings(&self) -> Vec<Item> {
        let lacking = self.sources.iter().filter(|source| source.is_finding());
        let mut items: Vec<Item> = lacking.map(Covered::item).collect();
        items.extend(self.others.iter().cloned());
        let unknown = self.sources.iter();
        let unknown = unknown.filter(|source| source.standing == Standing::Unknown);
        let count = unknown.count();
        if count > 0 {
            let detail = format!(
                "whether {count} picked sources have their backups is not known: a list was not \
                 read to its end"
            );
            let reason = Reason::with(ReasonCode::EvidenceIncomplete, detail);
            items.push(Item::new(Action::Check, "coverage", Outcome::Deferred).reason(reason));
        }
        items
    }

    /// One item for each picked source, then the others.
    #[must_use]
    pub fn items(&self) -> Vec<Item> {
        let sources = self.sources.iter().map(Covered::item);
        sources.chain(self.others.iter().cloned()).collect()
    }
}

impl Covered {
    /// Whether the policy's promise is broken.
    #[must_use]
    pub fn is_finding(&self) -> bool {
        matches!(self.standing, Standing::NoBackup | Standing::TooOld)
    }

    /// The source as a line of the report.
    #[must_use]
    pub fn item(&self) -> Item {
        let outcome = if self.is_finding() {
            Outcome::Finding
        } else {
            Outcome::Recorded
        };
        let (code, detail) = self.words();
        let item = Item::new(Action::Check, &self.source, outcome);
        let mut item = item.policy(&self.policy);
        item.time = self.newest.as_ref().map(|newest| newest.time);
        item.reason(Reason::with(code, detail))
    }

    fn words(&self) -> (ReasonCode, String) {
        let newest = self.newest.as_ref().map(|newest| newest.id.as_str());
        let rpo = self.rpo.map(|rpo| rpo.to_string()).unwrap_or_default();
        let (code, mut detail) = match self.standing {
            Standing::Covered => {
                let newest = newest.unwrap_or_default();
                let within = match self.rpo {
                    Some(_) => format!(", within the rpo of {rpo}"),
                    None => String::new(),
                };
                (ReasonCode::Covered, format!("{newest}{within}"))
            }
            Standing::Young { since } => {
                let detail = format!("made at {since}, which is within the rpo of {rpo}");
                (ReasonCode::NotYetDue, detail)
            }
            Standing::Making { .. } => (ReasonCode::NotYetDue, "its first backup".to_owned()),
            Standing::NoPromise => {
                let detail = "no good backup, and the policy has no slot and no `rpo` by which one \
                              would be due";
                (ReasonCode::NotYetDue, detail.to_owned())
            }
            Standing::NoBackup => (ReasonCode::NoBackup, "it has no good backup".to_owned()),
            Standing::TooOld => {
                let newest = newest.unwrap_or_default();
                let detail = format!("its newest good backup, {newest}, is older than {rpo}");
                (ReasonCode::RpoExceeded, detail)
            }
            Standing::Unknown => {
                let detail = "a list that would show its backups was not read to its end";
                (ReasonCode::EvidenceIncomplete, detail.to_owned())
            }
        };
        if let Some(instance) = &self.instance {
            detail.push_str(&format!("; it is taken with {instance}"));
        }
        if let Some(since) = self.making {
            let what = match self.standing {
                Standing::Making { .. } => " is being made since",
                _ => "; one is being made since",
            };
            detail.push_str(&format!("{what} {since}"));
        }
        if let Some(slot) = self.next_slot.filter(|_| self.is_finding()) {
            detail.push_str(&format!("; the next slot is {slot}"));
        }
        (code, detail)
    }
}

/// For each policy of the file, in its order, what it picks.
type AllPicks = Vec<Picks>;
