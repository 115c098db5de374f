//! The fleet file: a small YAML fleet to try a policy file on.
//!
//! ```yaml
//! version: 1
//! instances:
//!   - name: web                  # i-web-1 … i-web-20; without a count i-web
//!     count: 20
//!     tags: { Backup: nightly }
//!     since: 2026-12-01          # a date (midnight UTC) or an RFC 3339 time
//!     until: 2027-06-01
//!     volumes:
//!       - { size_gib: 30, boot: true }
//!       - { size_gib: 500, type: io2, tags: { Data: "yes" }, changed_gib_per_day: 12.5 }
//! volumes:                       # attached to nothing
//!   - { name: archive, count: 3, size_gib: 2000, tags: { Backup: critical } }
//! ```

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::fleet::{Fleet, Lasting};
use crate::id::{InstanceId, VolumeId};
use crate::inventory::{
    Attachment, Instance, InstanceDevice, InstanceState, Lifecycle, Tags, Volume, VolumeState,
};
use crate::policy::PolicyErrors;
use crate::policy::field::{At, Fields, Findings};
use crate::policy::node::{Value, load};

const FILE_KEYS: [&str; 3] = ["version", "instances", "volumes"];
const INSTANCE_KEYS: [&str; 6] = ["name", "count", "tags", "since", "until", "volumes"];
const VOLUME_KEYS: [&str; 8] = [
    "name",
    "count",
    "size_gib",
    "type",
    "tags",
    "changed_gib_per_day",
    "since",
    "until",
];
const DEVICE_KEYS: [&str; 5] = ["size_gib", "type", "tags", "boot", "changed_gib_per_day"];
/// Most sources that one entry may stand for.
const MOST: u32 = 100_000;
/// Largest volume, io2 Block Express's 64 TiB (EBS User Guide, "Amazon EBS volume types").
const MOST_GIB: u32 = 65_536;

impl Fleet {
    /// Reads a fleet file. `file_name` only appears in errors.
    ///
    /// # Errors
    /// When the text is no YAML document, the one place where reading it failed; else everything in
    /// it that is wrong, in the order of its lines.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, PolicyErrors> {
        let mut found = Findings::new(file_name);
        let fleet = read(text, &mut found);
        let errors = found.into_errors();
        if errors.is_empty() {
            Ok(fleet)
        } else {
            Err(PolicyErrors { errors })
        }
    }
}

fn read(text: &str, found: &mut Findings) -> Fleet {
    let mut fleet = Fleet::default();
    let root = match load(text) {
        Ok(root) => root,
        Err(error) => {
            found.add(error.line, "file", error.message);
            return fleet;
        }
    };
    let expected = "a mapping with `version: 1` and lists `instances` and `volumes`";
    let Some(fields) = At::root(&root).fields(found, &FILE_KEYS, expected) else {
        return fleet;
    };
    if let Some(version) = fields.require(found, "version", "version: 1") {
        match version.node.value {
            Value::Integer(1) => {}
            _ => version.error(found, "this release reads version: 1"),
        }
    }
    let mut names = BTreeSet::new();
    for at in entries(&fields, "instances", found) {
        instance(&at, &mut fleet, &mut names, found);
    }
    for at in entries(&fields, "volumes", found) {
        volume(&at, &mut fleet, &mut names, found);
    }
    if fleet.instances.is_empty() && fleet.volumes.is_empty() && found.count() == 0 {
        found.add(
            fields.line,
            "file",
            "the fleet is empty; write instances or volumes",
        );
    }
    fleet
}

fn entries<'a>(fields: &Fields<'a>, key: &str, found: &mut Findings) -> Vec<At<'a>> {
    let list = fields.get(key).and_then(|at| at.list(found, "a list"));
    list.unwrap_or_default()
}

/// What instances and volumes have in common.
struct Named {
    name: String,
    count: u32,
    tags: Tags,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Named {
    fn read(fields: &Fields<'_>, names: &mut BTreeSet<String>, found: &mut Findings) -> Self {
        let name = fields.require(found, "name", "a name such as web");
        let text = name.and_then(|at| Some((at, at.text(found, "a name such as web")?)));
        let mut known = String::new();
        if let Some((at, text)) = text {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if text.is_empty() || text.len() > 40 || !text.chars().all(plain) {
                let message = "is no name; write up to 40 small letters, digits and hyphens";
                at.error(found, message);
            } else if !names.insert(text.to_owned()) {
                at.error(
                    found,
                    format!("the name `{text}` is taken; names are unique"),
                );
            }
            text.clone_into(&mut known);
        }
        let count = fields
            .get("count")
            .and_then(|at| at.integer(found, 1, MOST));
        let (since, until) = (time(fields, "since", found), time(fields, "until", found));
        if let (Some(since), Some(until), Some(at)) = (since, until, fields.get("until"))
            && until <= since
        {
            at.error(found, format!("it ends before it begins, at {since}"));
        }
        Self {
            name: known,
            count: count.unwrap_or(1),
            tags: tags(fields, found),
            since,
            until,
        }
    }

    /// The names that it stands for: one, or a number behind each.
    fn each(&self) -> Vec<String> {
        match self.count {
            1 => vec![self.name.clone()],
            count => (1..=count).map(|n| format!("{}-{n}", self.name)).collect(),
        }
    }

    fn lasting<T>(&self, what: T) -> Lasting<T> {
        Lasting {
            what,
            since: self.since,
            until: self.until,
        }
    }
}

/// What one volume is.
struct Disk {
    size_gib: u32,
    kind: Option<String>,
    tags: Tags,
    boot: bool,
    changed_mib: Option<u32>,
}

impl Disk {
    fn read(fields: &Fields<'_>, tags: Tags, found: &mut Findings) -> Self {
        let size = fields.require(found, "size_gib", "the provisioned size, such as 100");
        let size = size.and_then(|at| at.integer(found, 1, MOST_GIB));
        let kind = fields.get("type");
        let kind = kind.and_then(|at| at.text(found, "a volume type such as gp3"));
        let boot = fields.get("boot").and_then(|at| at.boolean(found));
        Self {
            size_gib: size.unwrap_or(1),
            kind: kind.map(str::to_owned),
            tags,
            boot: boot.unwrap_or(false),
            changed_mib: fields
                .get("changed_gib_per_day")
                .and_then(|at| changed(at, found)),
        }
    }

    fn volume(&self, id: VolumeId, attachments: Vec<Attachment>) -> Volume {
        let state = match attachments.is_empty() {
            true => VolumeState::Available,
            false => VolumeState::InUse,
        };
        Volume {
            id,
            state,
            volume_type: self.kind.clone(),
            size_gib: i32::try_from(self.size_gib).ok(),
            created: None,
            kms_key: None,
            attachments,
            tags: self.tags.clone(),
        }
    }
}

fn instance(at: &At<'_>, fleet: &mut Fleet, names: &mut BTreeSet<String>, found: &mut Findings) {
    let Some(fields) = at.fields(found, &INSTANCE_KEYS, "an instance with a name and volumes")
    else {
        return;
    };
    let named = Named::read(&fields, names, found);
    let mut disks = Vec::new();
    for at in entries(&fields, "volumes", found) {
        if let Some(fields) = at.fields(found, &DEVICE_KEYS, "a volume such as { size_gib: 100 }") {
            let tags = tags(&fields, found);
            let disk = Disk::read(&fields, tags, found);
            if disk.boot && disks.iter().any(|other: &Disk| other.boot) {
                at.error(found, "is a second boot volume; an instance has one");
            }
            disks.push(disk);
        }
    }
    for name in named.each() {
        let id = InstanceId::new(format!("i-{name}"));
        let mut devices = Vec::new();
        for (number, disk) in disks.iter().enumerate() {
            let volume = VolumeId::new(format!("vol-{name}-{}", number + 1));
            let device = if disk.boot {
                "/dev/xvda".to_owned()
            } else {
                format!("/dev/sd-{}", number + 1)
            };
            let attachment = Attachment {
                instance: id.clone(),
                device: device.clone(),
                state: "attached".to_owned(),
            };
            devices.push(InstanceDevice {
                name: device,
                volume: Some(volume.clone()),
            });
            let changed = disk.changed_mib.map(|mib| (volume.clone(), mib));
            fleet.changed_mib.extend(changed);
            let volume = disk.volume(volume, vec![attachment]);
            fleet.volumes.push(named.lasting(volume));
        }
        let boots = disks.iter().any(|disk| disk.boot);
        let instance = Instance {
            id,
            state: InstanceState::Running,
            image: None,
            instance_type: None,
            launched: None,
            root_device: boots.then(|| "/dev/xvda".to_owned()),
            root_device_type: Some("ebs".to_owned()),
            devices,
            lifecycle: Lifecycle::default(),
            launch: None,
            tags: named.tags.clone(),
        };
        fleet.instances.push(named.lasting(instance));
    }
}

fn volume(at: &At<'_>, fleet: &mut Fleet, names: &mut BTreeSet<String>, found: &mut Findings) {
    let Some(fields) = at.fields(found, &VOLUME_KEYS, "a volume with a name and a size_gib") else {
        return;
    };
    let named = Named::read(&fields, names, found);
    let disk = Disk::read(&fields, named.tags.clone(), found);
    for name in named.each() {
        let id = VolumeId::new(format!("vol-{name}"));
        let changed = disk.changed_mib.map(|mib| (id.clone(), mib));
        fleet.changed_mib.extend(changed);
        fleet
            .volumes
            .push(named.lasting(disk.volume(id, Vec::new())));
    }
}

fn tags(fields: &Fields<'_>, found: &mut Findings) -> Tags {
    let Some(at) = fields.get("tags") else {
        return Tags::new();
    };
    let entries = at.entries(found, "tags such as { Backup: nightly }");
    let mut tags = BTreeMap::new();
    for (key, value) in entries.unwrap_or_default() {
        if let Some(text) = value.text(found, "the tag's value") {
            tags.insert(key.to_owned(), text.to_owned());
        }
    }
    tags
}

/// MiB from GiB a day.
fn changed(at: &At<'_>, found: &mut Findings) -> Option<u32> {
    let gib = match at.node.value {
        Value::Integer(whole) => u32::try_from(whole).ok().map(f64::from),
        Value::Float(number) => Some(number),
        _ => None,
    };
    let most = f64::from(MOST_GIB);
    let Some(gib) = gib.filter(|gib| (0.0..=most).contains(gib)) else {
        at.wrong(
            found,
            "GiB that change in a day, such as 12.5, without quotes",
        );
        return None;
    };
    // Within the bounds above nothing is cut off but parts of a MiB.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Some((gib * 1024.0).round() as u32)
}

fn time(fields: &Fields<'_>, key: &str, found: &mut Findings) -> Option<Timestamp> {
    let at = fields.get(key)?;
    let expected = "a date such as 2026-12-01 (midnight UTC) or an RFC 3339 time";
    let text = at.text(found, expected)?;
    let midnight = || {
        let date: Date = text.parse().ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let time = text.parse().ok().or_else(midnight);
    if time.is_none() {
        at.error(found, format!("{text:?} is no time; write {expected}"));
    }
    time
}
