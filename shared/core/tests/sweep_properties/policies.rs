//! The policies of every random world, and what they say of the references that hold.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use holdfast_core::policy::period::Period;
use holdfast_core::policy::{EvidenceSource, PolicyFile, TemplateVersions};
use proptest::prelude::*;

use crate::world::now;

const POLICIES: &str = r#"
version: 1
policies:
  - name: a
    protect: volumes
    select: { volumes: { tags: { Backup: a } } }
    schedule: rate(1 hour)
    retain: { last: 2, daily: 3 }
    min_copies: 2
    limits: { max_shrink: 100%, free: 0 }
  - name: b
    protect: volumes
    select: { volumes: { tags: { Backup: b } } }
    schedule: rate(1 hour)
    timezone: Europe/Berlin
    retain: { within: 30h }
    group: policy
    formerly: [b-old]
    limits: { max_shrink: 30%, free: 3 }
  - name: m
    protect: instances
    select: { instances: { tags: { Bake: m } } }
    schedule: rate(1 hour)
    retain: { last: 2, daily: 2 }
    min_copies: 2
    limits: { max_shrink: 100%, free: 0 }
  - name: k
    protect: instances
    select: { instances: { tags: { Bake: k } } }
    schedule: rate(1 hour)
    retain: { within: 30h }
    group: policy
    limits: { max_shrink: 30%, free: 3 }
  - name: g
    protect: instances
    select: { instances: { tags: { Bake: g } } }
    schedule: rate(1 hour)
    retain: { monthly: 2 }
    source_gone: { delete_after: 48h }
    limits: { max_shrink: 100%, free: 0 }
  - name: c
    protect: volumes
    select: { volumes: { tags: { Backup: c } } }
    schedule: rate(1 hour)
    retain: { last: 1 }
    state: paused
"#;

/// What every policy says of the references that hold.
#[derive(Clone, Debug)]
pub struct Words {
    pub versions: TemplateVersions,
    pub stopped: bool,
    pub terminated: bool,
    pub recently: Option<Period>,
    pub not_used: BTreeSet<EvidenceSource>,
}

pub fn policies() -> &'static PolicyFile {
    static FILE: LazyLock<PolicyFile> =
        LazyLock::new(|| PolicyFile::parse("policies.yaml", POLICIES, now()).unwrap());
    &FILE
}

impl Words {
    /// The policies, with these words in each.
    pub fn in_each(&self) -> PolicyFile {
        let mut file = policies().clone();
        for policy in &mut file.policies {
            policy.launch_template_versions = self.versions;
            policy.stopped_instances_hold = self.stopped;
            policy.terminated_instances_hold = self.terminated;
            policy.recently_launched = self.recently;
            policy.evidence_not_used = self.not_used.clone();
        }
        file
    }
}

pub fn words() -> impl Strategy<Value = Words> {
    let versions = prop::sample::select(vec![
        TemplateVersions::All,
        TemplateVersions::DefaultAndLatest,
        TemplateVersions::Newest(1),
        TemplateVersions::Newest(2),
    ]);
    let recently = prop::option::of(Just(Period::parse("36h").unwrap()));
    (versions, any::<bool>(), any::<bool>(), recently).prop_map(
        |(versions, stopped, terminated, recently)| Words {
            versions,
            stopped,
            terminated,
            recently,
            not_used: BTreeSet::new(),
        },
    )
}
