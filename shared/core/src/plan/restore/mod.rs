//! What a restore would make, and why it cannot: from which backup, with which words to EC2, and
//! what will be missing.
//!
//! A restore makes new things beside the old ones. Nothing that is there is changed or taken away.

mod choose;
mod device;
mod instance;
mod origin;
mod performance;
mod set;
mod token;
mod usable;
mod volume;

pub use choose::{Passed, newest_image, newest_snapshot};
pub use device::{Target, attachable};
pub use instance::{InstanceGround, InstancePlan, InstanceWish, Making, MappedDisk, plan_instance};
pub use origin::Origin;
pub use performance::{Performance, initialization_rate, performance};
pub use set::{Set, sets, whole};
pub use token::token;
pub use usable::{Keys, binned, usable_image, usable_snapshot};
pub use volume::{VolumeGround, VolumePlan, VolumeWish, plan_volume};

use crate::artifact::{MAX_TAGS, RESTORE, RESTORED_FROM, copied};
use crate::inventory::Tags;

/// Tags of what is made: never those of an artifact, so that nothing takes it for a backup. With
/// `copy`, the user's tags of the backup as far as EC2's limit allows; and how many did not fit.
fn tags(backup: &str, token: &str, user: Option<&Tags>) -> (Tags, usize) {
    let mut tags = Tags::from([
        (RESTORED_FROM.to_owned(), backup.to_owned()),
        (RESTORE.to_owned(), token.to_owned()),
    ]);
    let room = MAX_TAGS - tags.len();
    let all: Vec<_> = user.map(|user| copied(user).collect()).unwrap_or_default();
    let left = all.len().saturating_sub(room);
    let fit = all.into_iter().take(room);
    tags.extend(fit.map(|(key, value)| (key.clone(), value.clone())));
    (tags, left)
}
