//! Whether a volume can be attached where it was asked for.

use crate::id::{InstanceId, VolumeId};
use crate::inventory::InstanceState;
use crate::ports::restore::Machine;
use crate::report::{Reason, ReasonCode};

/// Where a volume is to be attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The instance.
    pub instance: InstanceId,
    /// Device name, such as `/dev/sdf`.
    pub device: String,
}

impl Target {
    /// Reads `i-…:/dev/…`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (instance, device) = text.split_once(':')?;
        let name = device.strip_prefix("/dev/").unwrap_or(device);
        let plain = |c: char| c.is_ascii_alphanumeric();
        let known = (device.starts_with("/dev/") || device.starts_with("xvd"))
            && !name.is_empty()
            && name.chars().all(plain);
        known.then_some(())?;
        Some(Self {
            instance: InstanceId::parse(instance)?,
            device: device.to_owned(),
        })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.instance, self.device)
    }
}

/// Refuses a place where a volume cannot go without something else being taken away. `ours` is the
/// volume that an earlier run of the same command made.
///
/// # Errors
/// Why, and what to do instead.
pub fn attachable(machine: &Machine, device: &str, ours: Option<&VolumeId>) -> Result<(), Reason> {
    let instance = &machine.instance;
    let taken = instance
        .devices
        .iter()
        .find(|d| same_device(&d.name, device));
    if let Some(taken) = taken.filter(|taken| ours.is_none() || taken.volume.as_ref() != ours) {
        let by = taken
            .volume
            .as_ref()
            .map_or("something that is no volume", |v| v.as_str());
        let words = format!(
            "{} of {} is in use by {by}, which holdfast does not take away: choose another device, \
             or stop the instance and detach it yourself",
            taken.name, instance.id
        );
        return Err(Reason::with(ReasonCode::DeviceInUse, words));
    }
    match &instance.state {
        InstanceState::Running | InstanceState::Stopped => Ok(()),
        state => {
            let words = format!(
                "{} is {state}: volumes are attached to running and stopped instances",
                instance.id
            );
            Err(Reason::with(ReasonCode::InstanceState, words))
        }
    }
}

/// `/dev/sdf`, `/dev/xvdf` and `xvdf` come to one device in a guest, and EC2 takes only one of them
/// (EC2 User Guide, "Device names for volumes").
fn same_device(a: &str, b: &str) -> bool {
    let bare = |name: &str| {
        let name = name.strip_prefix("/dev/").unwrap_or(name);
        let rest = name.strip_prefix("xvd").or_else(|| name.strip_prefix("sd"));
        rest.unwrap_or(name).to_owned()
    };
    bare(a) == bare(b)
}
