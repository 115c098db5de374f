//! Identifiers of EC2 resources as distinct types, so that a volume is never taken for a snapshot.

use serde::{Deserialize, Serialize};

macro_rules! resource_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The prefix that EC2 gives identifiers of this kind.
            pub const PREFIX: &'static str = $prefix;

            /// Takes an identifier as EC2 gave it.
            ///
            /// EC2's answers are trusted here; text from people goes through [`Self::parse`].
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The identifier when `text` has this kind's prefix and only letters, digits and
            /// hyphens behind it.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let rest = text.strip_prefix($prefix)?;
                let plain = !rest.is_empty()
                    && rest.len() <= 64
                    && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
                plain.then(|| Self(text.to_owned()))
            }

            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}

resource_id!(
    /// An EBS volume, `vol-…`.
    VolumeId,
    "vol-"
);
resource_id!(
    /// An EC2 instance, `i-…`.
    InstanceId,
    "i-"
);
resource_id!(
    /// An EBS snapshot, `snap-…`.
    SnapshotId,
    "snap-"
);
resource_id!(
    /// An Amazon machine image, `ami-…`.
    ImageId,
    "ami-"
);
resource_id!(
    /// A launch template, `lt-…`.
    LaunchTemplateId,
    "lt-"
);

macro_rules! rewritten {
    ($($name:ident),*) => {
        $(impl $name {
            /// Writes another identifier of EC2's in its place, in the same memory.
            pub(crate) fn rewrite(&mut self, write: impl FnOnce(&mut String)) {
                write(&mut self.0);
            }
        })*
    };
}

rewritten!(VolumeId, SnapshotId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_of_another_kind_is_refused() {
        assert!(VolumeId::parse("vol-0a1b").is_some());
        assert!(VolumeId::parse("snap-0a1b").is_none());
        assert!(VolumeId::parse("vol-").is_none());
        assert!(VolumeId::parse("vol-0a/1b").is_none());
    }
}
