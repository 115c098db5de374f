//! Reading what a sweep decides on, and deciding.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_core::artifact;
use holdfast_core::inventory::{
    Image, Instance, LaunchTemplateVersion, Listing, Snapshot, Tags, Volume,
};
use holdfast_core::plan::judge::{Evidence, Verdict, judge};
use holdfast_core::plan::settle::{Recorded, Settled, WINDOW, settle};
use holdfast_core::policy::{EvidenceSource, PolicyFile};
use holdfast_core::ports::records::{Records, TableError};
use holdfast_core::ports::{ImageScope, ReadEc2, SnapshotScope};
use holdfast_core::report::{Action, Item, Outcome, Reason, ReasonCode};
use jiff::Timestamp;

/// What a sweep is asked to decide.
#[derive(Clone, Copy, Debug)]
pub struct Sweep<'a> {
    /// The policies.
    pub policies: &'a PolicyFile,
    /// Only this one.
    pub only: Option<&'a str>,
    /// Hash of a plan whose tripped breaker is released.
    pub release: Option<&'a str>,
    /// One's own account, where it is known.
    pub account: Option<&'a str>,
    /// The time it decides for.
    pub now: Timestamp,
    /// Whether a release is used up.
    pub take_release: bool,
}

/// The lists, each to its last page or marked.
#[derive(Debug)]
pub struct Lists {
    /// Managed snapshots.
    pub snapshots: Listing<Snapshot>,
    /// One's own images.
    pub images: Listing<Image>,
    /// Instances.
    pub instances: Listing<Instance>,
    /// Volumes.
    pub volumes: Listing<Volume>,
    /// Launch-template versions, unless every policy declares them not in use.
    pub templates: Option<Listing<LaunchTemplateVersion>>,
}

impl Lists {
    /// Reads them all, at once.
    pub async fn read<E: ReadEc2>(ec2: &E, sweep: &Sweep<'_>) -> Self {
        let unused = EvidenceSource::LaunchTemplates;
        let wanted = sweep
            .policies
            .policies
            .iter()
            .any(|p| !p.evidence_not_used.contains(&unused));
        let templates = async {
            if wanted {
                Some(ec2.launch_template_versions().await)
            } else {
                None
            }
        };
        let (snapshots, images, instances, volumes, templates) = tokio::join!(
            ec2.snapshots(&SnapshotScope::Managed),
            ec2.images(&ImageScope::Own),
            ec2.instances(),
            ec2.volumes(),
            templates,
        );
        Self {
            snapshots,
            images,
            instances,
            volumes,
            templates,
        }
    }

    /// The evidence for the judge.
    fn evidence<'a>(
        &'a self,
        account: Option<&'a str>,
        gone_since: &'a BTreeMap<String, Timestamp>,
    ) -> Evidence<'a> {
        Evidence {
            snapshots: &self.snapshots,
            images: &self.images,
            instances: &self.instances,
            volumes: &self.volumes,
            templates: self.templates.as_ref(),
            gone_since,
            account,
        }
    }

    /// What was read, for the record of a deletion.
    #[must_use]
    pub fn summary(&self) -> serde_json::Value {
        fn of<T>(list: &Listing<T>) -> serde_json::Value {
            serde_json::json!({
                "source": list.source.as_str(), "count": list.items.len(),
                "pages": list.pages, "read_at": list.read_at.to_string(),
                "complete": list.is_complete(),
            })
        }
        let mut all = vec![
            of(&self.snapshots),
            of(&self.images),
            of(&self.instances),
            of(&self.volumes),
        ];
        all.extend(self.templates.as_ref().map(of));
        all.into()
    }

    /// A failed item for each list that was not read to its end.
    #[must_use]
    pub fn unread(&self) -> Vec<Item> {
        fn of<T>(list: &Listing<T>) -> Option<Item> {
            let error = list.error.as_ref()?;
            let detail = format!("{error}; what it could protect is held");
            Some(
                Item::new(Action::Check, list.source.as_str(), Outcome::Failed)
                    .reason(Reason::with(ReasonCode::EvidenceIncomplete, detail)),
            )
        }
        [
            of(&self.snapshots),
            of(&self.images),
            of(&self.instances),
            of(&self.volumes),
            self.templates.as_ref().and_then(of),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Live sources, and whether each is pinned now.
    pub(super) fn live_pins(&self) -> BTreeMap<&str, bool> {
        let pinned = |tags: &Tags| tags.contains_key(artifact::PIN);
        let volumes = self
            .volumes
            .items
            .iter()
            .map(|v| (v.id.as_str(), pinned(&v.tags)));
        let instances = self
            .instances
            .items
            .iter()
            .map(|i| (i.id.as_str(), pinned(&i.tags)));
        volumes.chain(instances).collect()
    }
}

/// A plan: verdicts, and what the guardrails did.
#[derive(Debug)]
pub struct Planned {
    /// One for each managed artifact, oldest first.
    pub verdicts: Vec<Verdict>,
    /// What the guardrails did.
    pub settled: Settled,
    /// Changes of recorded pins that the live lists ask for.
    pub pins: BTreeMap<String, bool>,
}

/// Decides, changing nothing. A table that cannot be read holds everything.
pub async fn plan<R: Records>(records: &R, sweep: &Sweep<'_>, lists: &Lists) -> Planned {
    // Written by the reconcile of check-dependencies; nothing is known to be gone without it.
    let gone_since = BTreeMap::new();
    let evidence = lists.evidence(sweep.account, &gone_since);
    let mut verdicts = judge(sweep.policies, &evidence, sweep.now, sweep.only);
    let wall = Timestamp::now();
    let (recorded, pins) = match recorded(records, sweep, lists, &verdicts, wall).await {
        Ok(known) => known,
        Err(error) => (
            Recorded {
                error: Some(error.to_string()),
                ..Recorded::default()
            },
            BTreeMap::new(),
        ),
    };
    let settled = settle(sweep.policies, &mut verdicts, &recorded, sweep.now, wall);
    Planned {
        verdicts,
        settled,
        pins,
    }
}

async fn recorded<R: Records>(
    records: &R,
    sweep: &Sweep<'_>,
    lists: &Lists,
    verdicts: &[Verdict],
    wall: Timestamp,
) -> Result<(Recorded, BTreeMap<String, bool>), TableError> {
    let mut recorded = Recorded::default();
    let live = lists.live_pins();
    let known = records.pins().await?;
    let sources: BTreeSet<&str> = verdicts.iter().flat_map(Verdict::sources).collect();
    let mut pins = BTreeMap::new();
    for (source, pinned) in &live {
        if sources.contains(source) && *pinned != known.contains(*source) {
            pins.insert((*source).to_owned(), *pinned);
        }
    }
    recorded.pinned = known
        .into_iter()
        .filter(|id| !live.contains_key(id.as_str()))
        .collect();

    for policy in &sweep.policies.policies {
        let of_policy: Vec<&Verdict> = verdicts
            .iter()
            .filter(|v| v.policy == policy.name)
            .collect();
        if policy.grace.is_some() && !of_policy.is_empty() {
            let ids: Vec<String> = of_policy
                .iter()
                .map(|v| v.snapshot.id.to_string())
                .collect();
            let marks = records.condemned(&ids).await?;
            let of = |id: &str| of_policy.iter().find(|v| v.snapshot.id.as_str() == id);
            for (id, since) in marks {
                if let Some(verdict) = of(&id) {
                    recorded
                        .condemned
                        .insert(verdict.snapshot.id.clone(), since);
                }
            }
        }
        if of_policy.iter().any(|v| v.is_condemned()) {
            let retired = records.retired(&policy.name, wall - WINDOW, wall).await?;
            recorded.retired.insert(policy.name.clone(), retired);
        }
    }
    if let Some(hash) = sweep.release {
        let released = records.tripped(hash, wall, sweep.take_release).await?;
        // The hash was shown to a person; a stored list that does not have it is not that plan.
        let released = released.filter(|list| {
            let pairs = list.iter().map(|(p, r)| (p.as_str(), r.as_str()));
            holdfast_core::plan::settle::plan_hash(pairs) == hash
        });
        recorded.released = released.into_iter().flatten().collect();
    }
    Ok((recorded, pins))
}
