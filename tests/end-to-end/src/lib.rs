//! A world for tests: the local AWS, a policy file, and the real binaries.
//!
//! Expectations are the tests' business; this only sets the stage and asks.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod backups;
pub mod images;
pub mod lineage;
pub mod schema;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use holdfast_core::id::{SnapshotId, VolumeId};
use holdfast_local_aws::lambda::{Function, Invocation, find_binary};
use holdfast_local_aws::local::{LocalAws, Options};
use holdfast_sim::request::{CreateLaunchTemplate, RegisterImage, Request, StopInstances};
use holdfast_sim::{
    Account, BlockDevice, DeviceTarget, EbsDevice, FaultRule, InstanceSeed, Response, Settings,
    Snapshot, SnapshotSeed, TemplateData, VolumeSeed,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;

/// When the account's clock begins: a Monday well in the past.
pub const START: &str = "2026-03-02T00:00:00Z";

/// Name and ARN of the document that the functions' roles let them run in instances.
pub const DOCUMENT: &str = "holdfast-freeze";
const DOCUMENT_ARN: &str = "arn:aws:ssm:eu-central-1:111122223333:document/holdfast-freeze";

/// The local AWS with a policy file.
pub struct World {
    /// The local AWS.
    pub local: LocalAws,
    folder: TempDir,
}

/// The Lambda functions that exist: the folders under `functions/` with a crate in them.
#[must_use]
pub fn function_names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions");
    let entries = std::fs::read_dir(&folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{} is empty", folder.display());
    names
}

/// A timestamp from text.
#[must_use]
pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Tags from pairs.
#[must_use]
pub fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

/// An EBS device of a mapping.
#[must_use]
pub fn device(name: &str, snapshot: &str) -> BlockDevice {
    BlockDevice {
        device: name.to_owned(),
        target: DeviceTarget::Ebs(EbsDevice {
            snapshot: Some(SnapshotId::new(snapshot)),
            ..EbsDevice::default()
        }),
    }
}

/// An instance with a root volume and `data` further ones, all tagged.
pub fn seed_instance(account: &mut Account, data: usize, tag: &[(&str, &str)]) -> SeededInstance {
    let mut devices = Vec::new();
    let mut volumes = Vec::new();
    for n in 0..=data {
        let name = if n == 0 {
            "/dev/xvda".to_owned()
        } else {
            format!("/dev/sd{n}")
        };
        let volume = account.seed_volume(VolumeSeed::default());
        volumes.push(volume.to_string());
        devices.push((name, volume));
    }
    let id = account.seed_instance(InstanceSeed {
        devices,
        tags: tags(tag),
        ..InstanceSeed::default()
    });
    SeededInstance {
        id: id.to_string(),
        volumes,
    }
}

/// What [`seed_instance`] made; the root volume first.
#[derive(Clone, Debug)]
pub struct SeededInstance {
    /// The instance.
    pub id: String,
    /// Its volumes.
    pub volumes: Vec<String>,
}

/// A completed managed snapshot, as the functions tag it.
pub fn seed_backup(
    account: &mut Account,
    policy: &str,
    volume: &str,
    time: &str,
    more: &[(&str, &str)],
) -> String {
    let mut all = tags(&[
        ("holdfast:managed", "true"),
        ("holdfast:artifact", "snapshot"),
        ("holdfast:policy", policy),
        ("holdfast:source", volume),
        ("holdfast:slot", time),
        ("holdfast:run", &format!("run-{time}")),
    ]);
    all.extend(tags(more));
    account
        .seed_snapshot(SnapshotSeed {
            volume: Some(VolumeId::new(volume)),
            started: Some(at(time)),
            tags: all,
            ..SnapshotSeed::default()
        })
        .to_string()
}

impl World {
    /// A world with this policy file and mode; `seed` fills the account.
    pub async fn new(
        policies: &str,
        mode: &str,
        seed: impl FnOnce(&mut Account) + Send + 'static,
    ) -> Self {
        Self::with(policies, mode, |_| {}, seed).await
    }

    /// As [`Self::new`], with other settings of the account.
    pub async fn with(
        policies: &str,
        mode: &str,
        change: impl FnOnce(&mut Settings),
        seed: impl FnOnce(&mut Account) + Send + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policies.yaml");
        std::fs::write(&path, policies).unwrap();
        let mut settings = Settings {
            start: at(START),
            ..Settings::default()
        };
        change(&mut settings);
        let local = LocalAws::start(Options {
            settings,
            seed: Some(Box::new(seed)),
            policies: path,
            mode: mode.to_owned(),
            parameters: vec![("GuestDocuments", DOCUMENT_ARN.to_owned())],
            ..Options::default()
        })
        .await
        .unwrap();
        Self { local, folder }
    }

    /// Replaces the policy file.
    pub fn set_policies(&self, policies: &str) {
        std::fs::write(self.folder.path().join("policies.yaml"), policies).unwrap();
    }

    /// Removes the policy file.
    pub fn remove_policies(&self) {
        std::fs::remove_file(self.folder.path().join("policies.yaml")).unwrap();
    }

    /// A function with the real binary.
    #[must_use]
    pub fn function(&self, name: &str) -> Function {
        self.local.function(name).unwrap()
    }

    /// A function with the time that the template gives it, instead of the minute that is enough for
    /// most tests.
    #[must_use]
    pub fn patient_function(&self, name: &str) -> Function {
        let mut config = self.local.function_config(name).unwrap();
        config.timeout = Duration::from_secs(900);
        Function::start(config).unwrap()
    }

    /// A function with some variables of its environment changed.
    #[must_use]
    pub fn function_with(&self, name: &str, variables: &[(&str, &str)]) -> Function {
        let mut config = self.local.function_config(name).unwrap();
        for (key, value) in variables {
            config.environment.retain(|(known, _)| known != key);
            config
                .environment
                .push(((*key).to_owned(), (*value).to_owned()));
        }
        Function::start(config).unwrap()
    }

    /// Runs something on the account.
    pub fn account<T>(&self, work: impl FnOnce(&mut Account) -> T) -> T {
        work(&mut self.local.account.lock().unwrap())
    }

    /// A heartbeat of EventBridge's; the account's clock goes there when it lies ahead.
    #[must_use]
    pub fn heartbeat(&self, time: &str) -> Value {
        self.advance(time);
        json!({
            "version": "0", "id": "7f1d2c3b-0000-4000-8000-000000000000",
            "detail-type": "Scheduled Event", "source": "aws.events",
            "account": self.local.account_id, "time": time, "region": self.local.region,
            "resources": ["arn:aws:events:eu-central-1:111122223333:rule/heartbeat"],
            "detail": {},
        })
    }

    /// A state-change event of EC2's.
    #[must_use]
    pub fn state_change(&self, time: &str, instance: &str, state: &str) -> Value {
        self.advance(time);
        json!({
            "version": "0", "id": "7f1d2c3b-0000-4000-8000-000000000001",
            "detail-type": "EC2 Instance State-change Notification", "source": "aws.ec2",
            "account": self.local.account_id, "time": time, "region": self.local.region,
            "resources": [format!("arn:aws:ec2:eu-central-1:111122223333:instance/{instance}")],
            "detail": { "instance-id": instance, "state": state },
        })
    }

    /// Stops an instance at this time, and is back when it has stopped, 20 seconds later.
    pub fn stop(&self, time: &str, instance: &str) {
        self.advance(time);
        let ids = vec![instance.to_owned()];
        let request = Request::StopInstances(StopInstances { ids });
        self.account(|account| {
            account.call(&request).unwrap();
            account.advance_by(SignedDuration::from_secs(20));
        });
    }

    /// Moves the account's clock on.
    pub fn advance(&self, time: &str) {
        let time = at(time);
        self.account(|account| {
            if account.now() < time {
                account.advance_to(time);
            }
        });
    }

    /// Makes the next matching calls go wrong.
    pub fn inject(&self, rule: FaultRule) {
        self.account(|account| account.inject(rule));
    }

    /// The account's snapshots.
    #[must_use]
    pub fn snapshots(&self) -> Vec<Snapshot> {
        self.account(|account| account.snapshots().cloned().collect())
    }

    /// Names of the calls made since the last time this was asked.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.account(|account| {
            let calls = account
                .calls()
                .iter()
                .map(|call| call.operation.clone())
                .collect();
            account.clear_calls();
            calls
        })
    }

    /// Registers an AMI from snapshots.
    #[must_use]
    pub fn register_image(&self, name: &str, snapshots: &[&str]) -> String {
        let mappings: Vec<BlockDevice> = snapshots
            .iter()
            .enumerate()
            .map(|(n, id)| {
                let root = "/dev/xvda".to_owned();
                device(&if n == 0 { root } else { format!("/dev/sd{n}") }, id)
            })
            .collect();
        let request = Request::RegisterImage(RegisterImage {
            name: name.to_owned(),
            description: None,
            architecture: Some("x86_64".to_owned()),
            root_device: Some("/dev/xvda".to_owned()),
            mappings,
            tags: Vec::new(),
        });
        match self.account(|account| account.call(&request)).unwrap() {
            Response::ImageMade(id) => id.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// Makes a launch template whose block-device mapping names a snapshot.
    pub fn launch_template(&self, name: &str, snapshot: &str) {
        let request = Request::CreateLaunchTemplate(CreateLaunchTemplate {
            name: name.to_owned(),
            description: None,
            data: TemplateData {
                mappings: vec![device("/dev/sdf", snapshot)],
                ..TemplateData::default()
            },
            tags: Vec::new(),
            client_token: None,
        });
        self.account(|account| account.call(&request)).unwrap();
    }

    /// Ends a lease as if its holder had been silent for longer than it lasts.
    pub fn age_lease(&self, name: &str) {
        self.change(&format!("lease#{name}"), "lease", |item| {
            let old: i64 = item["expires_ms"]["N"].as_str().unwrap().parse().unwrap();
            item["expires_ms"] = json!({ "N": (old - 120_000).to_string() });
        });
    }

    /// Moves the recorded request of a slot into the past.
    pub fn age_request(&self, policy: &str, source: &str, slot: &str, by: SignedDuration) {
        self.change(&format!("slot#{policy}#{source}"), slot, |item| {
            let old = at(item["requested_at"]["S"].as_str().unwrap());
            item["requested_at"] = json!({ "S": (old - by).to_string() });
        });
    }

    /// Ends the wait between two attempts of a slot, as if its failure were two hours old: these
    /// waits go by the wall clock.
    pub fn age_failure(&self, policy: &str, source: &str, slot: &str) {
        let long_ago = Timestamp::now() - SignedDuration::from_hours(2);
        self.change(&format!("slot#{policy}#{source}"), slot, |item| {
            item["failed_at"] = json!({ "S": long_ago.to_string() });
        });
    }

    /// A heartbeat of check-dependencies at this time.
    pub async fn reconcile(&self, time: &str) -> Value {
        let check = self.function("check-dependencies");
        report(&check, &self.heartbeat(time)).await
    }

    /// Changes a record in the table.
    pub fn change(&self, pk: &str, sk: &str, change: impl FnOnce(&mut Value)) {
        let mut item = self
            .item(pk, sk)
            .unwrap_or_else(|| panic!("no record {pk} {sk}"));
        change(&mut item);
        self.local.dynamodb.put_item(item).unwrap();
    }

    /// A record of the table.
    #[must_use]
    pub fn item(&self, pk: &str, sk: &str) -> Option<Value> {
        self.local.dynamodb.get_item(pk, sk).unwrap()
    }

    /// Deploys functions of the template, each by its own name, so that Lambda's API invokes them.
    pub fn deploy(&self, names: &[&str]) {
        for name in names {
            self.local.functions.deploy(self.function(name));
        }
    }

    /// Runs the command line against this world.
    #[must_use]
    pub fn holdfast(&self, arguments: &[&str]) -> Output {
        Command::new(find_binary("holdfast").unwrap())
            .args(arguments)
            .envs(self.local.environment())
            .output()
            .unwrap()
    }
}

/// Invokes a function and expects a report.
pub async fn report(function: &Function, event: &Value) -> Value {
    match function.invoke(event).await.unwrap() {
        Invocation::Ok(report) => report,
        other => {
            let logs: Vec<String> = function
                .logs()
                .iter()
                .map(|line| line.text.clone())
                .collect();
            panic!("{other:?}\n{}", logs.join("\n"))
        }
    }
}

/// Invokes a function and expects an error; its type and message.
pub async fn error(function: &Function, event: &Value) -> (String, String) {
    match function.invoke(event).await.unwrap() {
        Invocation::FunctionError {
            error_type,
            message,
        } => (error_type, message),
        other => panic!("{other:?}"),
    }
}

/// Items of a report with this outcome.
#[must_use]
pub fn items<'r>(report: &'r Value, outcome: &str) -> Vec<&'r Value> {
    let items = report["items"].as_array().unwrap();
    items
        .iter()
        .filter(|item| item["outcome"] == outcome)
        .collect()
}

/// The resources of these items.
#[must_use]
pub fn resources(items: &[&Value]) -> Vec<String> {
    items
        .iter()
        .map(|item| item["resource"].as_str().unwrap().to_owned())
        .collect()
}

/// The item about a resource.
#[must_use]
pub fn item_of<'r>(report: &'r Value, resource: &str) -> &'r Value {
    let items = report["items"].as_array().unwrap();
    let found = items.iter().find(|item| item["resource"] == resource);
    found.unwrap_or_else(|| panic!("no item about {resource} in {report:#}"))
}

/// The reason codes of an item.
#[must_use]
pub fn codes(item: &Value) -> Vec<&str> {
    let reasons = item["reasons"].as_array().map_or(&[][..], Vec::as_slice);
    reasons
        .iter()
        .map(|reason| reason["code"].as_str().unwrap())
        .collect()
}
