//! Keys of AWS KMS, as far as backups depend on them.

use std::fmt;

/// State of a KMS key (`KeyState`, KMS API Reference; what each allows: KMS Developer Guide, "Key
/// states of AWS KMS keys").
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyState {
    /// Usable.
    Enabled,
    /// Being made; usable in moments.
    Creating,
    /// Its primary Region is being changed; usable in moments.
    Updating,
    /// Switched off; what it encrypts cannot be read until it is enabled again.
    Disabled,
    /// Deleted when its waiting period of 7 to 30 days is over.
    PendingDeletion,
    /// Deleted when its replicas in other Regions are.
    PendingReplicaDeletion,
    /// Its imported key material is missing or has expired.
    PendingImport,
    /// Its custom key store is not connected.
    Unavailable,
    /// KMS knows no such key.
    Missing,
    /// A state that Holdfast does not know, as KMS spelled it.
    Unknown(String),
}

impl KeyState {
    /// The state for KMS's spelling.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "Enabled" => Self::Enabled,
            "Creating" => Self::Creating,
            "Updating" => Self::Updating,
            "Disabled" => Self::Disabled,
            "PendingDeletion" => Self::PendingDeletion,
            "PendingReplicaDeletion" => Self::PendingReplicaDeletion,
            "PendingImport" => Self::PendingImport,
            "Unavailable" => Self::Unavailable,
            other => Self::Unknown(other.to_owned()),
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enabled => "enabled",
            Self::Creating => "being made",
            Self::Updating => "being updated",
            Self::Disabled => "disabled",
            Self::PendingDeletion | Self::PendingReplicaDeletion => "pending deletion",
            Self::PendingImport => "without its key material",
            Self::Unavailable => "unavailable",
            Self::Missing => "gone",
            Self::Unknown(other) => other,
        })
    }
}
