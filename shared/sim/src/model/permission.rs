//! Who may use a snapshot or an image besides its owner.

/// Somebody to whom a snapshot or an image is opened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grantee {
    /// Everybody: the group `all`.
    Everybody,
    /// An account, by its twelve digits.
    Account(String),
    /// An organization, by its ARN; images only.
    Organization(String),
    /// An organizational unit, by its ARN; images only.
    OrganizationalUnit(String),
}
