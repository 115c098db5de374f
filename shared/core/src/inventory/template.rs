//! Launch templates that were read before: what has to be read of them again.

use std::collections::{BTreeSet, HashMap};

use super::LaunchTemplateVersion;
use crate::id::LaunchTemplateId;

/// What the list of launch templates tells of one: one request for 200 of them, where their versions
/// cost a request for each (`DescribeLaunchTemplates`, EC2 API Reference).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateEntry {
    /// The template.
    pub id: LaunchTemplateId,
    /// Number of its default version, where EC2 told it.
    pub default: Option<i64>,
    /// Number of its latest version, where EC2 told it.
    pub latest: Option<i64>,
}

/// Those templates of which versions read earlier may not be all that they have now.
///
/// A version never changes and its number is never given again (EC2 User Guide, "Modify a launch
/// template"), so that a newer one shows in the latest number. Only what a parameter stands for
/// changes without a version.
#[must_use]
pub fn differing(
    templates: Vec<TemplateEntry>,
    known: &[LaunchTemplateVersion],
) -> Vec<TemplateEntry> {
    let mut versions: HashMap<&str, Vec<&LaunchTemplateVersion>> = HashMap::new();
    for version in known {
        let of_it = versions.entry(version.template.as_str()).or_default();
        of_it.push(version);
    }
    let differs = |template: &TemplateEntry| {
        let of_it = versions.get(template.id.as_str());
        let of_it = of_it.map_or(&[][..], Vec::as_slice);
        let latest = of_it.iter().map(|version| version.version).max();
        let default = of_it.iter().find(|version| version.default);
        template.latest.is_none()
            || template.latest != latest
            || template.default.is_none()
            || template.default != default.map(|version| version.version)
            || of_it
                .iter()
                .any(|version| version.names_private_parameter())
    };
    let mut templates = templates;
    templates.retain(differs);
    templates
}

/// Versions that were read again, with those known before that were not: they did not change, or
/// vanished since, and then hold as they did.
#[must_use]
pub fn with_known(
    mut again: Vec<LaunchTemplateVersion>,
    known: &[LaunchTemplateVersion],
) -> Vec<LaunchTemplateVersion> {
    let key = |version: &LaunchTemplateVersion| (version.template.clone(), version.version);
    let read: BTreeSet<(LaunchTemplateId, i64)> = again.iter().map(key).collect();
    let kept = known.iter().filter(|version| !read.contains(&key(version)));
    again.extend(kept.cloned());
    again
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(template: &str, version: i64, default: bool, image: &str) -> LaunchTemplateVersion {
        LaunchTemplateVersion {
            template: LaunchTemplateId::new(template),
            name: None,
            version,
            default,
            image: Some(image.to_owned()),
            resolved: None,
            snapshots: Vec::new(),
        }
    }

    fn entry(id: &str, default: Option<i64>, latest: Option<i64>) -> TemplateEntry {
        TemplateEntry {
            id: LaunchTemplateId::new(id),
            default,
            latest,
        }
    }

    #[test]
    fn only_a_template_whose_numbers_stand_and_that_names_no_parameter_is_not_read_again() {
        let known = [
            version("lt-1", 1, true, "ami-1"),
            version("lt-1", 3, false, "ami-2"),
            version("lt-2", 1, true, "resolve:ssm:/golden"),
            version("lt-3", 1, true, "resolve:ssm:/aws/service/linux"),
            version("lt-4", 1, false, "ami-1"),
        ];
        let differs =
            |id, default, latest| !differing(vec![entry(id, default, latest)], &known).is_empty();
        assert!(!differs("lt-1", Some(1), Some(3)));
        assert!(!differs("lt-3", Some(1), Some(1)), "AWS's own parameter");
        assert!(differs("lt-1", Some(1), Some(4)), "a new version");
        assert!(differs("lt-1", Some(3), Some(3)), "another default");
        assert!(differs("lt-1", None, Some(3)), "not told");
        assert!(differs("lt-1", Some(1), None), "not told");
        assert!(differs("lt-2", Some(1), Some(1)), "its value may change");
        assert!(
            differs("lt-4", Some(1), Some(1)),
            "its default was not read"
        );
        assert!(differs("lt-9", Some(1), Some(1)), "new");
    }

    #[test]
    fn what_was_read_again_prevails_and_what_vanished_stays() {
        let known = [
            version("lt-1", 1, true, "ami-1"),
            version("lt-1", 2, false, "ami-2"),
            version("lt-2", 1, true, "ami-3"),
        ];
        let again = vec![
            version("lt-1", 2, true, "ami-2"),
            version("lt-1", 3, false, "ami-4"),
        ];
        let expected = [
            version("lt-1", 2, true, "ami-2"),
            version("lt-1", 3, false, "ami-4"),
            version("lt-1", 1, true, "ami-1"),
            version("lt-2", 1, true, "ami-3"),
        ];
        assert_eq!(with_known(again, &known), expected);
    }
}
