//! What stands in the account.

pub(crate) mod auto_scaling;
pub(crate) mod device;
pub(crate) mod fast_restore;
pub(crate) mod fleet;
pub(crate) mod guest;
pub(crate) mod image;
pub(crate) mod image_reference;
pub(crate) mod instance;
pub(crate) mod instance_type;
pub(crate) mod launch_template;
pub(crate) mod lock;
pub(crate) mod permission;
pub(crate) mod recycle_bin;
pub(crate) mod snapshot;
pub(crate) mod tier;
pub(crate) mod volume;

use jiff::Timestamp;

/// EC2's spelling of a time: UTC with milliseconds.
pub(crate) fn spell(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
