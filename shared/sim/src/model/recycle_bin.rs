//! The Recycle Bin: what it retains, and for how long.

use holdfast_core::inventory::Tags;
use jiff::{SignedDuration, Timestamp};

/// What a retention rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retained {
    /// EBS snapshots, `EBS_SNAPSHOT`.
    Snapshots,
    /// EBS-backed AMIs, `EC2_IMAGE`.
    Images,
}

/// A retention rule of Recycle Bin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionRule {
    /// What it retains.
    pub retained: Retained,
    /// Retains what carries any of these tags; empty: everything in the Region.
    pub tags: Vec<(String, String)>,
    /// Does not retain what carries any of these; rules for the whole Region only.
    pub exclude: Vec<(String, String)>,
    /// Days, 1 to 365.
    pub days: u16,
}

impl RetentionRule {
    /// A rule for everything in the Region.
    #[must_use]
    pub fn for_region(retained: Retained, days: u16) -> Self {
        Self {
            retained,
            tags: Vec::new(),
            exclude: Vec::new(),
            days,
        }
    }

    fn matches(&self, retained: Retained, tags: &Tags) -> bool {
        let any = |wanted: &[(String, String)]| wanted.iter().any(|(k, v)| tags.get(k) == Some(v));
        self.retained == retained
            && if self.tags.is_empty() {
                !any(&self.exclude)
            } else {
                any(&self.tags)
            }
    }
}

/// How long something is retained when it is deleted: by the longest of the rules that match it
/// (EBS User Guide, "Considerations for Recycle Bin"); none: not at all.
pub(crate) fn retention(
    rules: &[RetentionRule],
    retained: Retained,
    tags: &Tags,
) -> Option<SignedDuration> {
    rules
        .iter()
        .filter(|rule| rule.matches(retained, tags))
        .map(|rule| SignedDuration::from_hours(24 * i64::from(rule.days)))
        .max()
}

/// Something in the Recycle Bin, as it was when it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binned<T> {
    /// What was deleted.
    pub resource: T,
    /// When.
    pub entered: Timestamp,
    /// When it will be gone for good.
    pub exits: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(key: &str, value: &str) -> Vec<(String, String)> {
        vec![(key.to_owned(), value.to_owned())]
    }

    #[test]
    fn the_longest_matching_rule_wins_and_exclusions_leave_a_region_rule() {
        let rules = [
            RetentionRule {
                exclude: pairs("temporary", "yes"),
                ..RetentionRule::for_region(Retained::Snapshots, 3)
            },
            RetentionRule {
                tags: pairs("tier", "gold"),
                ..RetentionRule::for_region(Retained::Snapshots, 30)
            },
            RetentionRule::for_region(Retained::Images, 90),
        ];
        let days = |tags: Vec<(String, String)>| {
            retention(&rules, Retained::Snapshots, &tags.into_iter().collect())
                .map(|d| d.as_hours() / 24)
        };
        assert_eq!(days(Vec::new()), Some(3));
        assert_eq!(days(pairs("tier", "gold")), Some(30));
        assert_eq!(days(pairs("tier", "silver")), Some(3));
        assert_eq!(days(pairs("temporary", "yes")), None);
    }
}
