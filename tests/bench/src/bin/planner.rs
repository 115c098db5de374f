//! The planner without any I/O: 1,000,000 snapshots, 100,000 images and 200,000 references.
//!
//! A process of its own, so that its peak is its own. Answers one line of JSON: how long judging and
//! settling took, the memory that the lists themselves need, and the peak. The lists are made as the
//! AWS adapters make them.

use std::process::ExitCode;
use std::time::Instant;

use holdfast_bench::{BenchError, policies, process};
use holdfast_core::id::{ImageId, InstanceId, LaunchTemplateId, SnapshotId, VolumeId};
use holdfast_core::inventory::{
    Image, ImageMapping, ImageState, Instance, InstanceState, Inventory, LaunchTemplateVersion,
    MappingTarget, Snapshot, SnapshotState, Tags,
};
use holdfast_core::plan::judge::{Evidence, Judged, OnRecord, Verdicts};
use holdfast_core::plan::settle::{Recorded, settle};
use holdfast_core::policy::PolicyFile;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

const ACCOUNT: &str = "111122223333";
/// Volumes, each with as many snapshots as there are slots.
const VOLUMES: usize = 10_000;
const SLOTS: usize = 80;
/// Machines that are baked, each as often as this; every image has two snapshots.
const BAKED: usize = 5_000;
const BAKES: usize = 20;
/// References to images: half of them instances, half launch-template versions.
const REFERENCES: usize = 200_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BenchError> {
    let now = Timestamp::now();
    let policies = PolicyFile::parse("bench.yaml", &policies::file(BAKES - 1), now);
    let policies = policies.map_err(|error| BenchError::Wrong {
        who: "the planner",
        what: error.to_string(),
    })?;
    let inventory = inventory(now);
    let own = std::process::id();
    let given = process::peak_kib(own)?;
    let on_record = OnRecord::default();
    let begun = Instant::now();
    let evidence = Evidence {
        inventory: &inventory,
        on_record: &on_record,
        account: Some(ACCOUNT),
    };
    let mut verdicts = Verdicts::judge(&policies, &evidence, now, None);
    let settled = settle(&policies, &mut verdicts, &Recorded::default(), now, now);
    let seconds = begun.elapsed().as_secs_f64();
    let figures = json!({
        "seconds": seconds,
        "given_mib": given as f64 / 1024.0,
        "peak_mib": process::peak_kib(own)? as f64 / 1024.0,
        "verdicts": verdicts.len(),
        "condemned": verdicts.condemned().len(),
        "tripped": settled.tripped.len(),
    });
    println!("{figures}");
    Ok(())
}

fn inventory(now: Timestamp) -> Inventory {
    let mut inventory = Inventory::empty(now);
    let newest = now - SignedDuration::from_hours(30);
    let of_volumes = (0..SLOTS).flat_map(|slot| (0..VOLUMES).map(move |volume| (slot, volume)));
    for (slot, volume) in of_volumes {
        let at = day(newest, slot);
        let source = format!("i-0{:016x}", volume / 2);
        let id = format!("snap-0{:016x}", slot * VOLUMES + volume);
        let tags = tags("snapshot", "nightly", &source, at);
        inventory
            .snapshots
            .items
            .push(snapshot(id, volume, at, tags));
    }
    for machine in 0..BAKED {
        for bake in 0..BAKES {
            let (number, at) = (machine * BAKES + bake, day(newest, bake));
            let source = format!("i-0{machine:016x}");
            let backing = [0, 1].map(|device| format!("snap-1{:016x}", number * 2 + device));
            for id in backing.clone() {
                let tags = tags("image-snapshot", "golden", &source, at);
                inventory
                    .snapshots
                    .items
                    .push(snapshot(id, machine * 2, at, tags));
            }
            inventory
                .images
                .items
                .push(image(number, &source, at, backing));
        }
    }
    // All but the oldest of each machine, many times over: the oldest ones are condemned.
    let images = BAKED * (BAKES - 1);
    let image_of = |n: usize| {
        let (machine, bake) = (n % images / (BAKES - 1), n % (BAKES - 1));
        format!("ami-0{:016x}", machine * BAKES + bake)
    };
    let half = REFERENCES / 2;
    inventory.instances.items = (0..half).map(|n| instance(n, image_of(n))).collect();
    if let Some(templates) = &mut inventory.templates {
        templates.items = (0..half).map(|n| version(n, image_of(n + half))).collect();
    }
    inventory
}

fn day(newest: Timestamp, slot: usize) -> Timestamp {
    newest - SignedDuration::from_hours(24 * i64::try_from(slot).unwrap_or(0))
}

fn tags(kind: &str, policy: &str, source: &str, slot: Timestamp) -> Tags {
    [
        ("Application", "payments-service-07"),
        ("CostCenter", "CC-4021"),
        ("Environment", "production"),
        ("Name", "payments-07-021"),
        ("Owner", "payments-oncall@example.org"),
        ("Team", "payments"),
        ("holdfast:managed", "true"),
        ("holdfast:artifact", kind),
        ("holdfast:policy", policy),
        ("holdfast:source", source),
        ("holdfast:slot", &slot.to_string()),
        (
            "holdfast:run",
            &format!("run-{}-{source}", slot.as_second()),
        ),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

fn snapshot(id: String, volume: usize, start: Timestamp, tags: Tags) -> Snapshot {
    Snapshot {
        id: SnapshotId::new(id),
        volume: Some(VolumeId::new(format!("vol-0{volume:016x}"))),
        state: SnapshotState::Completed,
        start: Some(start),
        owner: Some(ACCOUNT.to_owned()),
        owner_alias: None,
        size_gib: Some(40),
        tier: Some("standard".to_owned()),
        state_message: None,
        kms_key: None,
        description: format!("Holdfast {start}"),
        tags,
    }
}

fn image(number: usize, source: &str, at: Timestamp, backing: [String; 2]) -> Image {
    let slot = at.strftime("%Y%m%dT%H%M%SZ");
    let mappings = ["/dev/xvda", "/dev/sdf"].into_iter().zip(backing);
    Image {
        id: ImageId::new(format!("ami-0{number:016x}")),
        name: Some(format!("holdfast/golden/{source}/{slot}/1")),
        state: ImageState::Available,
        state_reason: None,
        deregistration_protected: false,
        owner: Some(ACCOUNT.to_owned()),
        created: Some(at),
        source_instance: Some(InstanceId::new(source)),
        source_image: None,
        source_region: None,
        last_launched: None,
        deprecated: None,
        public: false,
        root_device: Some("/dev/xvda".to_owned()),
        mappings: mappings
            .map(|(device, snapshot)| ImageMapping {
                device: device.to_owned(),
                target: MappingTarget::Ebs(Some(SnapshotId::new(snapshot))),
            })
            .collect(),
        tags: tags("image", "golden", source, at),
    }
}

fn instance(number: usize, image: String) -> Instance {
    Instance {
        id: InstanceId::new(format!("i-1{number:016x}")),
        state: InstanceState::Running,
        image: Some(ImageId::new(image)),
        instance_type: Some("m7i.large".to_owned()),
        launched: None,
        root_device: None,
        root_device_type: None,
        lifecycle: Default::default(),
        launch: None,
        devices: Vec::new(),
        tags: Tags::new(),
    }
}

fn version(number: usize, image: String) -> LaunchTemplateVersion {
    LaunchTemplateVersion {
        template: LaunchTemplateId::new(format!("lt-0{:016x}", number / 10)),
        name: None,
        version: i64::try_from(number % 10 + 1).unwrap_or(1),
        default: number.is_multiple_of(10),
        image: Some(image),
        resolved: None,
        snapshots: Vec::new(),
    }
}
