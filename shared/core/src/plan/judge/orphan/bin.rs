//! AMIs in the Recycle Bin that what is left of a former AMI belongs to.

use std::collections::HashMap;

use super::Evidence;
use super::former::{FormerImage, start_of};
use crate::artifact::is_image_name_of;
use crate::inventory::Binned;
use crate::report::{Reason, ReasonCode};

/// The Recycle Bin's AMIs by the start of their names: of what lies in it EC2 tells neither tags nor
/// block devices, and the records may not know the AMI.
pub(super) struct Bin<'a>(HashMap<&'a str, Vec<(&'a str, &'a Binned)>>);

impl<'a> Bin<'a> {
    pub(super) fn new(evidence: &Evidence<'a, '_>) -> Self {
        let mut by_start: HashMap<&str, Vec<(&str, &Binned)>> = HashMap::new();
        let list = evidence.inventory.recycle_bin.iter();
        for binned in list.flat_map(|list| &list.items) {
            if let Some(name) = binned.name.as_deref() {
                let same = by_start.entry(start_of(name)).or_default();
                same.push((name, binned));
            }
        }
        Self(by_start)
    }

    /// Why what is left of a former AMI must stay: out of the Recycle Bin the AMI comes without its
    /// snapshots.
    pub(super) fn holds(&self, former: &FormerImage, snapshot: &str) -> Vec<Reason> {
        let named = self.0.get(former.name_start().as_str());
        let named = named.into_iter().flatten().filter(|(name, _)| {
            is_image_name_of(name, &former.policy, &former.source, former.slot)
        });
        named
            .map(|(_, binned)| {
                let image = &binned.id;
                let until = binned.exits.map(|exits| format!(" until {exits}"));
                let until = until.unwrap_or_default();
                Reason {
                    code: ReasonCode::InRecycleBin,
                    detail: Some(format!("its AMI {image} lies in the Recycle Bin{until}")),
                    path: vec![snapshot.to_owned(), image.clone()],
                }
            })
            .collect()
    }
}
