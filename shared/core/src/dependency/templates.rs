//! Launch templates: which of their versions hold, and who launches which.

use std::collections::{BTreeMap, HashMap};

use super::Words;
use crate::inventory::{LaunchTemplateVersion, Referrer, TemplateName, TemplateUse};
use crate::policy::TemplateVersions;
use crate::report::{Reason, ReasonCode};

/// A template and the number of one of its versions.
type VersionKey<'a> = (&'a str, i64);

/// The templates that were listed.
#[derive(Debug, Default)]
pub(super) struct Templates<'a> {
    by_id: HashMap<&'a str, Template>,
    ids_by_name: HashMap<&'a str, Vec<&'a str>>,
    /// Templates of which EC2 told no name: any of them may be the one that a name means.
    nameless: Vec<&'a str>,
    users: HashMap<VersionKey<'a>, Vec<&'a Referrer>>,
}

/// The versions of one template.
#[derive(Debug, Default)]
struct Template {
    /// Their numbers, the highest first.
    numbers: Vec<i64>,
    /// Those marked as the default: one, unless EC2 left it out.
    defaults: Vec<i64>,
}

impl<'a> Templates<'a> {
    pub(super) fn new(
        versions: &'a [LaunchTemplateVersion],
        users: impl Iterator<Item = &'a Referrer>,
    ) -> Self {
        let mut templates = Self::default();
        let mut names: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        for version in versions {
            let id = version.template.as_str();
            let template = templates.by_id.entry(id).or_default();
            template.numbers.push(version.version);
            if version.default {
                template.defaults.push(version.version);
            }
            let name = names.entry(id).or_default();
            *name = name.or(version.name.as_deref());
        }
        for template in templates.by_id.values_mut() {
            for numbers in [&mut template.numbers, &mut template.defaults] {
                numbers.sort_unstable_by(|a, b| b.cmp(a));
                numbers.dedup();
            }
        }
        for (id, name) in names {
            match name {
                Some(name) => templates.ids_by_name.entry(name).or_default().push(id),
                None => templates.nameless.push(id),
            }
        }
        for user in users {
            for launched in &user.templates {
                for key in templates.launched(launched) {
                    let users = templates.users.entry(key).or_default();
                    // Overrides name the same version over and over.
                    if !users.iter().any(|known| std::ptr::eq(*known, user)) {
                        users.push(user);
                    }
                }
            }
        }
        templates
    }

    /// The versions that a use of a template launches: all of them where it cannot be told which.
    fn launched(&self, launched: &'a TemplateUse) -> Vec<VersionKey<'a>> {
        let ids: &[&str] = match &launched.template {
            TemplateName::Id(id) => &[id.as_str()],
            TemplateName::Name(name) => self
                .ids_by_name
                .get(name.as_str())
                .unwrap_or(&self.nameless),
        };
        let found = ids.iter().filter_map(|id| self.by_id.get_key_value(id));
        let keys = found.flat_map(|(id, template)| {
            let numbers = template.launched(launched.version.as_deref());
            numbers.into_iter().map(|number| (*id, number))
        });
        keys.collect()
    }

    /// Who launches a version.
    pub(super) fn users<'s>(&'s self, version: &'s LaunchTemplateVersion) -> &'s [&'a Referrer] {
        let key = (version.template.as_str(), version.version);
        self.users.get(&key).map_or(&[], Vec::as_slice)
    }

    /// Whether a version holds by a policy's words, whoever launches it.
    pub(super) fn holds(&self, version: &LaunchTemplateVersion, words: &Words<'_>) -> bool {
        let newest = match words.versions() {
            TemplateVersions::All => return true,
            TemplateVersions::DefaultAndLatest => 1,
            TemplateVersions::Newest(count) => count as usize,
        };
        let Some(template) = self.by_id.get(version.template.as_str()) else {
            return true;
        };
        // Where no version is marked, any may be the default one.
        template.defaults.is_empty()
            || template.defaults.contains(&version.version)
            || template
                .numbers
                .iter()
                .take(newest)
                .any(|n| *n == version.version)
    }

    /// Whether a version holds for any reason.
    pub(super) fn counts(&self, version: &LaunchTemplateVersion, words: &Words<'_>) -> bool {
        self.holds(version, words) || !self.users(version).is_empty()
    }
}

impl Template {
    fn launched(&self, version: Option<&str>) -> Vec<i64> {
        match version {
            None | Some("$Default") if !self.defaults.is_empty() => self.defaults.clone(),
            Some("$Latest") => self.numbers.iter().take(1).copied().collect(),
            Some(number) if number.parse::<i64>().is_ok() => {
                let number = number.parse().ok();
                let listed = self.numbers.iter().filter(|n| Some(**n) == number);
                listed.copied().collect()
            }
            _ => self.numbers.clone(),
        }
    }
}

/// One reason a template, with its versions: hundreds of old versions are one line.
pub(super) fn by_template<'v>(
    versions: impl Iterator<Item = &'v LaunchTemplateVersion>,
    from: &str,
) -> Vec<Reason> {
    let mut by_template: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for version in versions {
        by_template
            .entry(version.template.as_str())
            .or_default()
            .push(version.version);
    }
    by_template
        .into_iter()
        .map(|(template, mut versions)| {
            versions.sort_unstable();
            versions.dedup();
            let word = if versions.len() == 1 {
                "version"
            } else {
                "versions"
            };
            let list: Vec<String> = versions.iter().map(i64::to_string).collect();
            Reason {
                code: ReasonCode::UsedByLaunchTemplate,
                detail: Some(format!("{template} {word} {}", list.join(", "))),
                path: vec![from.to_owned(), template.to_owned()],
            }
        })
        .collect()
}
