//! What stands in the account: machines, their volumes, snapshots and images.
//!
//! Everything follows from a position, so that nothing is kept but what is rendered. One machine in
//! ten is under the policy `critical`, the others under `nightly`; both make a set of two snapshots a
//! day. Most machines are also baked, by `golden`, into an image of two snapshots.

use jiff::{SignedDuration, Timestamp};

/// The account.
pub const ACCOUNT: &str = "111122223333";
/// The Region.
pub const REGION: &str = "eu-central-1";
/// Machines, with two volumes each.
pub const MACHINES: usize = 500;
/// Machines of `critical`, the first ones.
pub const CRITICAL: usize = 50;
/// Volumes of a machine, and snapshots behind one of its images.
pub const DEVICES: usize = 2;
/// Snapshots of each volume.
pub const SLOTS: usize = 80;
/// Machines that are baked, the first ones.
pub const BAKED: usize = 495;
/// Images of most of them.
pub const BAKES: usize = 20;
/// The first ones have one image more.
pub const BAKED_ONCE_MORE: usize = 100;
/// Launch templates.
pub const TEMPLATES: usize = 200;
/// Versions of each.
pub const VERSIONS: usize = 5;

/// A tag, key before value.
pub type Tag = (&'static str, String);

/// An account as of some time.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// The newest slot; the others lie a day apart.
    pub newest: Timestamp,
}

/// A snapshot.
#[derive(Clone, Debug)]
pub struct SnapshotRow {
    /// `snap-…`.
    pub id: String,
    /// `vol-…`.
    pub volume: String,
    /// `StartTime`.
    pub start: Timestamp,
    /// Size of the volume in GiB.
    pub size_gib: usize,
    /// Its description.
    pub description: String,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// An AMI.
#[derive(Clone, Debug)]
pub struct ImageRow {
    /// `ami-…`.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The machine that it was made of.
    pub machine: usize,
    /// `CreationDate`.
    pub created: Timestamp,
    /// The snapshots behind it.
    pub snapshots: Vec<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// An identifier of EC2's form, different for each number and without order.
fn id(prefix: &str, kind: u64, number: usize) -> String {
    // SplitMix64 (Steele, Lea, Flood 2014): a bijection, so that no two numbers collide.
    let mut z = (kind << 40) ^ number as u64;
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    format!("{prefix}-0{:016x}", z ^ (z >> 31))
}

/// Identifier of a machine.
#[must_use]
pub fn instance_id(machine: usize) -> String {
    id("i", 1, machine)
}

/// Identifier of a machine's volume.
#[must_use]
pub fn volume_id(machine: usize, device: usize) -> String {
    id("vol", 2, machine * DEVICES + device)
}

/// Identifier of a machine's image; the newest is 0.
#[must_use]
pub fn image_id(machine: usize, bake: usize) -> String {
    id("ami", 3, bake * MACHINES + machine)
}

/// Identifier of a launch template.
#[must_use]
pub fn template_id(template: usize) -> String {
    id("lt", 4, template)
}

fn snapshot_id(machine: usize, slot: usize, device: usize) -> String {
    id("snap", 5, (slot * MACHINES + machine) * DEVICES + device)
}

fn backing_id(machine: usize, bake: usize, device: usize) -> String {
    id("snap", 6, (bake * MACHINES + machine) * DEVICES + device)
}

/// Images of a machine.
#[must_use]
pub fn bakes(machine: usize) -> usize {
    match machine {
        0..BAKED_ONCE_MORE => BAKES + 1,
        BAKED_ONCE_MORE..BAKED => BAKES,
        _ => 0,
    }
}

/// The tags that people put on a machine and its volumes: four to eight.
#[must_use]
pub fn user_tags(machine: usize) -> Vec<Tag> {
    let environment = ["production", "staging", "integration"][machine % 3];
    let team = ["payments", "search", "logistics", "identity", "platform"][machine % 5];
    let application = machine % 40;
    let all: [Tag; 8] = [
        ("Name", format!("{team}-{application:02}-{machine:03}")),
        ("Environment", environment.into()),
        ("Team", team.into()),
        ("CostCenter", format!("CC-{}", 4000 + machine % 60)),
        ("Application", format!("{team}-service-{application:02}")),
        ("Owner", format!("{team}-oncall@example.org")),
        ("DataClassification", "internal".into()),
        (
            "terraform:workspace",
            format!("{environment}/{team}/eu-central-1"),
        ),
    ];
    all.into_iter().take(4 + machine % 5).collect()
}

impl Fleet {
    /// The account as it stands at `now`: the newest backups are of the day before.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let midnight = now.as_second().div_euclid(86_400) * 86_400;
        let newest = Timestamp::from_second(midnight - 21 * 3600);
        Self {
            newest: newest.unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }

    fn slot(self, slot: usize) -> Timestamp {
        let days = i64::try_from(slot).unwrap_or(i64::MAX);
        self.newest - SignedDuration::from_hours(24 * days)
    }

    fn tags(self, kind: &str, policy: &str, machine: usize, slot: usize) -> Vec<Tag> {
        let run = id("run", 7, slot * MACHINES + machine);
        let mut tags = user_tags(machine);
        tags.extend([
            ("holdfast:managed", "true".into()),
            ("holdfast:artifact", kind.into()),
            ("holdfast:policy", policy.into()),
            ("holdfast:source", instance_id(machine)),
            ("holdfast:slot", self.slot(slot).to_string()),
            ("holdfast:run", run),
        ]);
        tags
    }

    fn begun(self, machine: usize, slot: usize) -> Timestamp {
        let seconds = i64::try_from(7 + machine % 600).unwrap_or(7);
        self.slot(slot) + SignedDuration::from_secs(seconds)
    }

    /// Every snapshot: those of volumes, newest slot first, then those behind images.
    pub fn snapshots(self) -> impl Iterator<Item = SnapshotRow> {
        let of_volumes = (0..SLOTS).flat_map(move |slot| {
            (0..MACHINES * DEVICES).map(move |n| self.of_volume(n / DEVICES, slot, n % DEVICES))
        });
        let of_images = (0..BAKED).flat_map(move |machine| {
            (0..bakes(machine) * DEVICES)
                .map(move |n| self.behind_image(machine, n / DEVICES, n % DEVICES))
        });
        of_volumes.chain(of_images)
    }

    fn of_volume(self, machine: usize, slot: usize, device: usize) -> SnapshotRow {
        let policy = if machine < CRITICAL {
            "critical"
        } else {
            "nightly"
        };
        SnapshotRow {
            id: snapshot_id(machine, slot, device),
            volume: volume_id(machine, device),
            start: self.begun(machine, slot),
            size_gib: 40 + 60 * device,
            description: format!("Holdfast {policy} {}", self.slot(slot)),
            tags: self.tags("snapshot", policy, machine, slot),
        }
    }

    fn behind_image(self, machine: usize, bake: usize, device: usize) -> SnapshotRow {
        let (instance, image) = (instance_id(machine), image_id(machine, bake));
        SnapshotRow {
            id: backing_id(machine, bake, device),
            volume: volume_id(machine, device),
            start: self.begun(machine, bake),
            size_gib: 40 + 60 * device,
            // EC2's own words for a backing snapshot.
            description: format!("Created by CreateImage({instance}) for {image}"),
            tags: self.tags("image-snapshot", "golden", machine, bake),
        }
    }

    /// Every image.
    pub fn images(self) -> impl Iterator<Item = ImageRow> {
        (0..BAKED).flat_map(move |machine| {
            (0..bakes(machine)).map(move |bake| {
                let at = self.slot(bake).strftime("%Y%m%dT%H%M%SZ");
                ImageRow {
                    id: image_id(machine, bake),
                    name: format!("holdfast/golden/{}/{at}/1", instance_id(machine)),
                    machine,
                    created: self.begun(machine, bake),
                    snapshots: (0..DEVICES).map(|d| backing_id(machine, bake, d)).collect(),
                    tags: self.tags("image", "golden", machine, bake),
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_account_has_the_size_that_the_goals_speak_of_and_no_identifier_twice() {
        let fleet = Fleet::at("2026-11-23T10:00:00Z".parse().unwrap());
        let snapshots: BTreeSet<String> = fleet.snapshots().map(|s| s.id).collect();
        let images: BTreeSet<String> = fleet.images().map(|i| i.id).collect();
        assert_eq!((snapshots.len(), images.len()), (100_000, 10_000));
        let mapped: BTreeSet<String> = fleet.images().flat_map(|i| i.snapshots).collect();
        assert_eq!(mapped.len(), 20_000);
        assert!(mapped.is_subset(&snapshots));
    }

    #[test]
    fn a_backup_has_six_tags_of_holdfasts_and_four_to_eight_of_the_users() {
        let fleet = Fleet::at("2026-11-23T10:00:00Z".parse().unwrap());
        let counts: BTreeSet<usize> = fleet.snapshots().map(|s| s.tags.len()).collect();
        assert_eq!(counts, BTreeSet::from([10, 11, 12, 13, 14]));
    }
}
