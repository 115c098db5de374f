//! What is kept of a deletion: what went and why, on which evidence, and who ran it.
//!
//! One record of the table is at most 400 KB (DynamoDB Developer Guide, "Quotas"). The largest proof
//! is that of an AMI with 128 devices and 50 tags of full length, some 130 KB; nothing here grows
//! with the account.

use holdfast_core::inventory::{Image, MappingTarget, Reading, Snapshot};
use holdfast_core::plan::judge::Subject;
use holdfast_core::policy::PolicyFile;
use holdfast_core::report::Outcome;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::check::Looked;
use crate::sweep::FUNCTION;

/// Who ran a deletion, and by whose word.
#[derive(Clone, Debug)]
pub(in crate::sweep) struct Runner {
    /// The run.
    pub run: String,
    /// `heartbeat` or `request`.
    pub asked_by: &'static str,
    /// Hash of the plan whose tripped breaker the request released.
    pub released: Option<String>,
    /// One's own account, where it is known.
    pub account: Option<String>,
    /// The Region.
    pub region: Option<String>,
    /// The time the sweep decided for.
    pub now: Timestamp,
}

/// How sources were read, one entry a list.
pub(super) fn told(readings: &[Reading]) -> Value {
    let told = readings.iter().map(|reading| {
        let mut one = json!({
            "source": reading.source.as_str(), "count": reading.count,
            "pages": reading.pages, "read_at": reading.read_at.to_string(),
            "complete": reading.error.is_none(),
        });
        if let Some(error) = &reading.error {
            one["error"] = error.to_string().into();
        }
        one
    });
    told.collect()
}

/// What every record of one run says.
pub(super) struct Proof<'a> {
    pub policies: &'a PolicyFile,
    pub runner: &'a Runner,
    /// [`told`] of the lists that the sweep decided on.
    pub lists: &'a Value,
    /// AMIs in the Recycle Bin of which nobody knows what they map.
    pub binned_not_on_record: usize,
}

impl Proof<'_> {
    /// The record of an artifact that was judged itself.
    pub(super) fn of(&self, looked: &Looked) -> String {
        let subject = &looked.verdict.subject;
        let own = match subject {
            Subject::Image { image, snapshots } => of_image(image, snapshots),
            Subject::Snapshot(snapshot) => of_snapshot(snapshot),
        };
        let tags = json!(subject.tags());
        self.with(looked, tags, subject.state(), own)
    }

    /// The record of a snapshot that goes with its AMI; `known` where the last look saw it.
    pub(super) fn of_backing(
        &self,
        looked: &Looked,
        image: &Image,
        known: Option<&Snapshot>,
    ) -> String {
        let mut own = known.map(of_snapshot).unwrap_or_default();
        own.insert("image".into(), image.id.as_str().into());
        let tags = known.map_or_else(|| json!({}), |snapshot| json!(snapshot.tags));
        let state = known.map_or("", |snapshot| snapshot.state.as_str());
        self.with(looked, tags, state, own)
    }

    fn with(&self, looked: &Looked, tags: Value, state: &str, own: Map<String, Value>) -> String {
        let verdict = &looked.verdict;
        let mut proof = json!({
            "verdict": verdict.item(Outcome::Planned),
            "tags": tags,
            "state": state,
            "policy_sha256": self.policies.sha256,
            "now": self.runner.now.to_string(),
            "lists": self.lists,
            "last_look": told(&looked.readings),
            "binned_not_on_record": self.binned_not_on_record,
            "not_used": self.not_used(&verdict.policy),
            "run": {
                "id": self.runner.run, "function": FUNCTION, "asked_by": self.runner.asked_by,
                "released": self.runner.released, "account": self.runner.account,
                "region": self.runner.region,
            },
        });
        if let Value::Object(proof) = &mut proof {
            proof.extend(own);
        }
        proof.to_string()
    }

    /// What the policy that lets it go declares not in use, and so nobody asked for its sake.
    fn not_used(&self, name: &str) -> Value {
        let policy = self.policies.policies.iter().find(|p| p.name == name);
        let sources = policy.map(|policy| &policy.evidence_not_used);
        let sources = sources.into_iter().flatten().map(|source| source.as_str());
        json!({ "by": name, "sources": sources.collect::<Vec<_>>() })
    }
}

fn of_image(image: &Image, snapshots: &[Snapshot]) -> Map<String, Value> {
    let mut ids: Vec<&str> = image.snapshots().map(AsRef::as_ref).collect();
    ids.extend(snapshots.iter().map(|snapshot| snapshot.id.as_str()));
    ids.sort_unstable();
    ids.dedup();
    let mapping = image.mappings.iter().map(|mapping| match &mapping.target {
        MappingTarget::Ebs(snapshot) => json!({
            "device": mapping.device, "snapshot": snapshot.as_ref().map(AsRef::<str>::as_ref),
        }),
        MappingTarget::InstanceStore(name) => json!({ "device": mapping.device, "virtual": name }),
        MappingTarget::NoDevice => json!({ "device": mapping.device, "none": true }),
        MappingTarget::Unknown => json!({ "device": mapping.device }),
    });
    object(json!({
        "name": image.name,
        "snapshots": ids,
        "mapping": mapping.collect::<Vec<Value>>(),
        "root_device": image.root_device,
        "source_instance": image.source_instance.as_ref().map(AsRef::<str>::as_ref),
        "created": image.created.map(|at| at.to_string()),
    }))
}

fn of_snapshot(snapshot: &Snapshot) -> Map<String, Value> {
    object(json!({
        "volume": snapshot.volume.as_ref().map(AsRef::<str>::as_ref),
        "size_gib": snapshot.size_gib,
        "started": snapshot.start.map(|at| at.to_string()),
        "tier": snapshot.tier,
        "description": snapshot.description,
    }))
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests;
