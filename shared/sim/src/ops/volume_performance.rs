//! How fast a volume may be asked to be, by its type (`Iops`, `Throughput` and
//! `VolumeInitializationRate` of `CreateVolume`, EC2 API Reference; ratios: EBS User Guide, "Amazon
//! EBS volume types").

use std::ops::RangeInclusive;

use crate::error::ApiError;
use crate::request;

/// IOPS that gp3 has where none are asked for.
const GP3_IOPS: i32 = 3000;
/// Throughput in MiB/s that gp3 has where none is asked for.
const GP3_THROUGHPUT: i32 = 125;

/// IOPS and throughput of a volume to be, or the refusal.
pub(super) fn performance(
    volume_type: &str,
    size_gib: i32,
    r: &request::CreateVolume,
) -> Result<(Option<i32>, Option<i32>), ApiError> {
    within("VolumeInitializationRate", r.initialization_rate, 100..=300)?;
    if r.throughput.is_some() && volume_type != "gp3" {
        return Err(ApiError::invalid_combination(
            "The parameter Throughput is for gp3 volumes.",
        ));
    }
    let (range, per_gib) = match volume_type {
        "gp3" => (GP3_IOPS..=80_000, 500),
        "io1" => (100..=64_000, 50),
        "io2" => (100..=256_000, 1000),
        _ if r.iops.is_some() => {
            return Err(ApiError::invalid_combination(format!(
                "The parameter iops is not supported for {volume_type} volumes."
            )));
        }
        _ => return Ok((None, None)),
    };
    within("Iops", r.iops, range)?;
    let iops = match (r.iops, volume_type) {
        (Some(iops), _) => iops,
        (None, "gp3") => GP3_IOPS,
        (None, _) => return Err(ApiError::missing("iops")),
    };
    let beyond_baseline = volume_type != "gp3" || iops > GP3_IOPS;
    if beyond_baseline && iops > per_gib * size_gib {
        return Err(ApiError::invalid_value(format!(
            "Iops to volume size ratio is too high; maximum is {per_gib}."
        )));
    }
    if volume_type != "gp3" {
        return Ok((Some(iops), None));
    }
    within("Throughput", r.throughput, GP3_THROUGHPUT..=2000)?;
    let throughput = r.throughput.unwrap_or(GP3_THROUGHPUT);
    // 0.25 MiB/s for each IOPS.
    if throughput * 4 > iops {
        return Err(ApiError::invalid_value(
            "Throughput (MiBps) to iops ratio is too high; maximum is 0.25.",
        ));
    }
    Ok((Some(iops), Some(throughput)))
}

fn within(name: &str, value: Option<i32>, range: RangeInclusive<i32>) -> Result<(), ApiError> {
    match value {
        Some(value) if !range.contains(&value) => Err(ApiError::invalid_value(format!(
            "{name} of {value} is not within {} to {}.",
            range.start(),
            range.end()
        ))),
        _ => Ok(()),
    }
}
