//! What becomes of one snapshot that is restored as a volume.

use super::device::{Target, attachable};
use super::origin::Origin;
use super::performance::performance;
use super::tags;
use super::token::token;
use crate::id::VolumeId;
use crate::inventory::VolumeState;
use crate::lineage::Node;
use crate::plan::judge::COPY_PLACEHOLDER;
use crate::ports::restore::{Disk, Machine, Stored, VolumeRequest};
use crate::report::{Reason, ReasonCode};

/// What a person asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VolumeWish {
    /// Availability Zone; none: where it is attached, else where the source is.
    pub zone: Option<String>,
    /// Type; none: the source's.
    pub volume_type: Option<String>,
    /// IOPS; none: the source's.
    pub iops: Option<i32>,
    /// Throughput in MiB/s; none: the source's.
    pub throughput: Option<i32>,
    /// `VolumeInitializationRate` in MiB/s.
    pub initialization_rate: Option<i32>,
    /// Where it is attached.
    pub attach: Option<Target>,
    /// Take the user's tags of the snapshot over.
    pub copy_tags: bool,
    /// Makes another volume than the same request with another label, or none.
    pub again: Option<String>,
}

impl VolumeWish {
    /// The client token of this wish about a snapshot.
    #[must_use]
    pub fn token(&self, kind: &str, snapshot: &str) -> String {
        let number = |n: Option<i32>| n.map(|n| n.to_string());
        let words = [
            ("az", self.zone.clone()),
            ("type", self.volume_type.clone()),
            ("iops", number(self.iops)),
            ("throughput", number(self.throughput)),
            ("initialization-rate", number(self.initialization_rate)),
            ("attach", self.attach.as_ref().map(ToString::to_string)),
            ("copy-tags", self.copy_tags.then(String::new)),
            ("again", self.again.clone()),
        ];
        token(kind, snapshot, &words)
    }
}

/// What a plan rests on.
#[derive(Clone, Copy, Debug)]
pub struct VolumeGround<'a> {
    /// `volume`, or `set` for a member of one.
    pub kind: &'a str,
    /// The snapshot; good, by [`super::usable_snapshot`].
    pub stored: &'a Stored,
    /// What the lineage tells of it.
    pub node: Option<&'a Node>,
    /// Its source, where it still exists.
    pub disk: Option<&'a Disk>,
    /// Where it goes if neither wish nor source tell.
    pub zone: Option<&'a str>,
    /// The instance that it is to be attached to, where it exists.
    pub host: Option<&'a Machine>,
    /// Volumes that carry the request's token.
    pub made: &'a [Disk],
    /// What was asked for.
    pub wish: &'a VolumeWish,
}

/// A volume to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumePlan {
    /// The words to EC2.
    pub request: VolumeRequest,
    /// What it is made from.
    pub origin: Origin,
    /// Its size in GiB.
    pub size_gib: Option<i32>,
    /// Where it is attached.
    pub attach: Option<Target>,
    /// The volume that an earlier run of the same command made.
    pub made: Option<VolumeId>,
    /// What the person should know.
    pub notes: Vec<String>,
}

/// What is made of a snapshot.
///
/// # Errors
/// Why it cannot be, and what to do instead.
pub fn plan_volume(ground: &VolumeGround<'_>) -> Result<VolumePlan, Reason> {
    let VolumeGround { stored, wish, .. } = *ground;
    let snapshot = &stored.snapshot;
    let id = snapshot.id.as_str();
    let token = wish.token(ground.kind, id);
    let made = made_before(ground.made, wish.attach.as_ref())?;
    if let Some(target) = &wish.attach {
        let Some(host) = ground.host else {
            let words = format!("{} is not in this account and Region", target.instance);
            return Err(Reason::with(ReasonCode::NotFound, words));
        };
        if !made.is_some_and(|disk| attached_to(disk, target)) {
            attachable(host, &target.device, made.map(|disk| &disk.volume.id))?;
        }
    }
    // What is made already needs no source to be like any more.
    let like = made.or(ground.disk);
    let zone = zone(ground, like)?;
    let asked = (wish.volume_type.as_deref(), wish.iops, wish.throughput);
    let performance = performance(like, snapshot.size_gib, asked)
        .map_err(|words| Reason::with(ReasonCode::Refused, words))?;
    let source = snapshot.volume.as_ref().map(|volume| volume.as_str());
    let source = source.filter(|volume| *volume != COPY_PLACEHOLDER);
    let user_tags = wish.copy_tags.then_some(&snapshot.tags);
    let (tags, left) = tags(id, &token, user_tags);
    let mut notes = performance.notes;
    if left > 0 {
        notes.push(format!(
            "{left} of the backup's tags do not fit EC2's limit"
        ));
    }
    notes.push(loading(wish.initialization_rate, snapshot.size_gib));
    Ok(VolumePlan {
        request: VolumeRequest {
            snapshot: snapshot.id.clone(),
            zone,
            volume_type: performance.volume_type,
            iops: performance.iops,
            throughput: performance.throughput,
            initialization_rate: wish.initialization_rate,
            tags,
            token,
        },
        origin: Origin::of(id, source, snapshot.start, &snapshot.tags, ground.node),
        size_gib: snapshot.size_gib,
        attach: wish.attach.clone(),
        made: made.map(|disk| disk.volume.id.clone()),
        notes,
    })
}

/// The volume that an earlier run of the same command made; of several, which a client token and its
/// lifetime should rule out, the one that is where it belongs, else the first.
fn made_before<'a>(made: &'a [Disk], target: Option<&Target>) -> Result<Option<&'a Disk>, Reason> {
    let there = |disk: &Disk| target.is_some_and(|target| attached_to(disk, target));
    let mut standing: Vec<&Disk> = made.iter().collect();
    standing.sort_by_key(|disk| (!there(disk), disk.volume.id.clone()));
    let Some(disk) = standing.first().copied() else {
        return Ok(None);
    };
    let id = &disk.volume.id;
    let refuse = |words: String| {
        let words = format!("{words}; --again LABEL makes another one");
        Err(Reason::with(ReasonCode::VolumeState, words))
    };
    let elsewhere = disk.volume.attachments.iter();
    let mut elsewhere = elsewhere.filter(|_| target.is_some() && !there(disk));
    match &disk.volume.state {
        VolumeState::Creating | VolumeState::Available => Ok(Some(disk)),
        VolumeState::InUse => match elsewhere.next() {
            Some(other) => refuse(format!(
                "{id}, which this command made before, is attached to {} as {}",
                other.instance, other.device
            )),
            None => Ok(Some(disk)),
        },
        state => refuse(format!("{id}, which this command made before, is {state}")),
    }
}

/// Whether a volume is attached there already.
pub(super) fn attached_to(disk: &Disk, target: &Target) -> bool {
    let mut attachments = disk.volume.attachments.iter();
    attachments.any(|a| a.instance == target.instance && a.device == target.device)
}

fn zone(ground: &VolumeGround<'_>, like: Option<&Disk>) -> Result<String, Reason> {
    let VolumeGround { wish, .. } = *ground;
    let host = ground.host.and_then(|host| host.launch.zone.as_deref());
    if let (Some(asked), Some(host)) = (wish.zone.as_deref(), host)
        && asked != host
    {
        let words = format!("--az is {asked}, and the instance to attach it to is in {host}");
        return Err(Reason::with(ReasonCode::Refused, words));
    }
    let source = like.and_then(|disk| disk.zone.as_deref());
    let zone = wish.zone.as_deref().or(host).or(source).or(ground.zone);
    zone.map(str::to_owned).ok_or_else(|| {
        let words = "its source is not there any more, and nothing else tells the Availability \
                     Zone: name one (--az)";
        Reason::with(ReasonCode::Refused, words)
    })
}

/// A volume is usable at once, and each block comes from S3 when it is first touched (EBS User
/// Guide, "Initialize Amazon EBS volumes").
fn loading(rate: Option<i32>, size_gib: Option<i32>) -> String {
    let Some(rate) = rate else {
        return "blocks load when they are first read, so that it is slow at first; \
                --initialization-rate 100 to 300 (MiB/s, charged by the GiB) loads them at that rate"
            .to_owned();
    };
    match size_gib {
        // At most: what was never written is not loaded.
        Some(size) => {
            let a_minute = i64::from(rate.max(1)) * 60;
            let minutes = (i64::from(size) * 1024 + a_minute - 1) / a_minute;
            format!("all blocks are loaded at {rate} MiB/s, in {minutes} min at most")
        }
        None => format!("all blocks are loaded at {rate} MiB/s"),
    }
}
