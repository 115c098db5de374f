//! Type and performance of a volume to be: as asked for, else as its source has them.
//!
//! Ranges by type: `Iops`, `Throughput`, `Size` and `VolumeInitializationRate` of `CreateVolume` (EC2
//! API Reference, as of `aws-sdk-ec2` 1.274). Ratios: EBS User Guide, "Amazon EBS volume types".

use std::ops::RangeInclusive;

use crate::ports::restore::Disk;

/// The type where neither source nor request names one; EC2's own default is the older gp2.
const DEFAULT_TYPE: &str = "gp3";
const THROUGHPUT: RangeInclusive<i32> = 125..=2000;
const RATE: RangeInclusive<i32> = 100..=300;

/// How fast a volume is asked to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Performance {
    /// Such as `gp3`.
    pub volume_type: String,
    /// IOPS; none: the type's own.
    pub iops: Option<i32>,
    /// Throughput in MiB/s; none: the type's own.
    pub throughput: Option<i32>,
    /// Where it differs from what the source has, and why.
    pub notes: Vec<String>,
}

/// IOPS that a type lets one choose, and how many for each GiB.
fn choosable(volume_type: &str) -> Option<(RangeInclusive<i32>, i32)> {
    match volume_type {
        "gp3" => Some((3000..=80_000, 500)),
        "io1" => Some((100..=64_000, 50)),
        "io2" => Some((100..=256_000, 1000)),
        _ => None,
    }
}

/// Sizes in GiB that a type can have; a type that nobody listed here is left to EC2.
fn sizes(volume_type: &str) -> RangeInclusive<i32> {
    match volume_type {
        "gp2" => 1..=16_384,
        "gp3" => 1..=65_536,
        "io1" => 4..=16_384,
        "io2" => 4..=65_536,
        "st1" | "sc1" => 125..=16_384,
        "standard" => 1..=1024,
        _ => 1..=i32::MAX,
    }
}

/// What a volume of `size_gib` is asked to be. What the source has is lowered where it does not fit
/// the snapshot's size, which may be smaller than the source is now; what a person asked for is not.
///
/// # Errors
/// What is wrong with the request, in words.
pub fn performance(
    source: Option<&Disk>,
    size_gib: Option<i32>,
    asked: (Option<&str>, Option<i32>, Option<i32>),
) -> Result<Performance, String> {
    let (asked_type, asked_iops, asked_throughput) = asked;
    let source_type = source.and_then(|disk| disk.volume.volume_type.as_deref());
    let volume_type = asked_type.or(source_type).unwrap_or(DEFAULT_TYPE);
    let mut notes = Vec::new();
    if source_type.is_none() && asked_type.is_none() {
        notes.push(format!(
            "the source volume is not there any more: {volume_type} at its own performance"
        ));
    }
    let allowed = sizes(volume_type);
    if let Some(size) = size_gib.filter(|size| !allowed.contains(size)) {
        return Err(format!(
            "a {volume_type} volume has {} to {} GiB, and the snapshot has {size}: choose another \
             --type",
            allowed.start(),
            allowed.end()
        ));
    }
    // Figures of another type mean nothing for this one.
    let same = source.filter(|_| source_type == Some(volume_type));
    let iops = iops(volume_type, size_gib, asked_iops, same, &mut notes)?;
    let throughput = throughput(volume_type, iops, asked_throughput, same, &mut notes)?;
    Ok(Performance {
        volume_type: volume_type.to_owned(),
        iops,
        throughput,
        notes,
    })
}

fn iops(
    volume_type: &str,
    size_gib: Option<i32>,
    asked: Option<i32>,
    source: Option<&Disk>,
    notes: &mut Vec<String>,
) -> Result<Option<i32>, String> {
    let Some((range, per_gib)) = choosable(volume_type) else {
        return match asked {
            Some(_) => Err(format!(
                "--iops cannot be chosen for a {volume_type} volume"
            )),
            None => Ok(None),
        };
    };
    // gp3 has its 3,000 at any size.
    let most = size_gib.map_or(i32::MAX, |size| size.saturating_mul(per_gib));
    let most = most.max(if volume_type == "gp3" { 3000 } else { 0 });
    if let Some(asked) = asked {
        if !range.contains(&asked) {
            return Err(format!(
                "--iops of a {volume_type} volume is {} to {}",
                range.start(),
                range.end()
            ));
        }
        if asked > most {
            return Err(format!(
                "--iops of a {volume_type} volume is at most {per_gib} for each GiB: {most} here"
            ));
        }
        return Ok(Some(asked));
    }
    match source.and_then(|disk| disk.iops) {
        Some(has) if has > most => {
            notes.push(format!(
                "{most} IOPS instead of the source's {has}: {volume_type} allows {per_gib} for each \
                 GiB of the snapshot"
            ));
            Ok(Some(most))
        }
        Some(has) => Ok(Some(has)),
        None if volume_type == "gp3" => Ok(None),
        None => Err(format!(
            "a {volume_type} volume needs --iops, and nothing tells what its source had"
        )),
    }
}

fn throughput(
    volume_type: &str,
    iops: Option<i32>,
    asked: Option<i32>,
    source: Option<&Disk>,
    notes: &mut Vec<String>,
) -> Result<Option<i32>, String> {
    if volume_type != "gp3" {
        return match asked {
            Some(_) => Err(format!(
                "--throughput cannot be chosen for a {volume_type} volume"
            )),
            None => Ok(None),
        };
    }
    // 0.25 MiB/s for each IOPS.
    let most = iops.unwrap_or(3000) / 4;
    if let Some(asked) = asked {
        if !THROUGHPUT.contains(&asked) {
            return Err(format!(
                "--throughput is {} to {} MiB/s",
                THROUGHPUT.start(),
                THROUGHPUT.end()
            ));
        }
        if asked > most {
            return Err(format!(
                "--throughput is at most a quarter of the IOPS: {most} MiB/s here"
            ));
        }
        return Ok(Some(asked));
    }
    let has = source.and_then(|disk| disk.throughput);
    if let Some(has) = has.filter(|has| *has > most) {
        notes.push(format!(
            "{most} MiB/s instead of the source's {has}: gp3 allows a quarter of its IOPS"
        ));
        return Ok(Some(most));
    }
    Ok(has)
}

/// Whether this is a `VolumeInitializationRate` in MiB/s.
///
/// # Errors
/// What is wrong with it, in words.
pub fn initialization_rate(rate: i32) -> Result<i32, String> {
    if RATE.contains(&rate) {
        return Ok(rate);
    }
    Err(format!(
        "write a rate of {} to {} MiB/s",
        RATE.start(),
        RATE.end()
    ))
}
