//! What one call asks of IAM for one resource.

use std::collections::BTreeMap;

/// An action on a resource, with what conditions can be put to.
///
/// A call is as many demands as it touches resources: EC2 decides about each of them with the
/// condition keys that it defines for that resource (Service Authorization Reference, "Actions,
/// resources, and condition keys for Amazon EC2").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Such as `ec2:DeleteSnapshot`.
    pub action: String,
    /// An ARN, or `*` for actions without resource-level permissions; none where the resource does
    /// not exist, so that there is nothing to decide. (Assumed: EC2 answers such a call that the
    /// resource was not found.)
    pub resource: Option<String>,
    /// Condition keys with their values, such as `aws:ResourceTag/KEY`.
    pub context: BTreeMap<String, Vec<String>>,
}

impl Demand {
    /// An action on a resource.
    pub fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            resource: Some(resource.into()),
            context: BTreeMap::new(),
        }
    }

    /// An action on something that does not exist.
    pub fn on_nothing(action: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            resource: None,
            context: BTreeMap::new(),
        }
    }

    /// With a condition key.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.context.insert(key.into(), vec![value.into()]);
        self
    }

    /// With a condition key of several values.
    #[must_use]
    pub fn with_all(mut self, key: impl Into<String>, values: Vec<String>) -> Self {
        self.context.insert(key.into(), values);
        self
    }

    /// With the tags that the resource has.
    #[must_use]
    pub fn tagged<'t>(mut self, tags: impl IntoIterator<Item = (&'t String, &'t String)>) -> Self {
        for (key, value) in tags {
            // `ec2:ResourceTag` is the older name of the same key.
            for prefix in ["aws", "ec2"] {
                let key = format!("{prefix}:ResourceTag/{key}");
                self.context.insert(key, vec![value.clone()]);
            }
        }
        self
    }

    /// With the tags that the request puts on it.
    #[must_use]
    pub fn tagging(mut self, tags: &[(String, String)]) -> Self {
        for (key, value) in tags {
            let key = format!("aws:RequestTag/{key}");
            self.context.insert(key, vec![value.clone()]);
        }
        self.naming(tags.iter().map(|(key, _)| key.clone()).collect())
    }

    /// With the tag keys that the request names.
    #[must_use]
    pub fn naming(mut self, keys: Vec<String>) -> Self {
        if !keys.is_empty() {
            self.context.insert("aws:TagKeys".to_owned(), keys);
        }
        self
    }
}
