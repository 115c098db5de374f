//! Lists of what stands in the account.

use super::PageRequest;
use crate::filter::Filter;

structures! {
    /// Lists instances.
    DescribeInstances {
        /// Only these; not with paging.
        ids: Vec<String>,
        /// Filters.
        filters: Vec<Filter>,
        /// Show those that AWS services manage.
        include_managed: bool,
        /// Page.
        page: PageRequest,
    }
    /// Lists volumes.
    DescribeVolumes {
        /// Only these; not with paging.
        ids: Vec<String>,
        /// Filters.
        filters: Vec<Filter>,
        /// Show those that AWS services manage.
        include_managed: bool,
        /// Page.
        page: PageRequest,
    }
    /// Lists snapshots: one's own, and public and shared ones where `owners` does not narrow it.
    DescribeSnapshots {
        /// Only these; not with paging.
        ids: Vec<String>,
        /// `self`, `amazon` or account numbers.
        owners: Vec<String>,
        /// Those that these (`self`, `all` or account numbers) may use.
        restorable_by: Vec<String>,
        /// Filters.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
    /// Lists images: one's own and public ones where `owners` does not narrow it.
    DescribeImages {
        /// Only these; not with paging.
        ids: Vec<String>,
        /// `self` or account numbers.
        owners: Vec<String>,
        /// Show disabled ones.
        include_disabled: bool,
        /// Show deprecated ones of other owners.
        include_deprecated: bool,
        /// Filters.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
    /// Lists launch templates.
    DescribeLaunchTemplates {
        /// Only these.
        ids: Vec<String>,
        /// Only these, by name.
        names: Vec<String>,
        /// Filters.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
    /// Lists versions of one launch template, or `$Latest` and `$Default` of all.
    DescribeLaunchTemplateVersions {
        /// The template; or its name; or neither.
        id: Option<String>,
        /// The template's name.
        name: Option<String>,
        /// Only these versions.
        versions: Vec<String>,
        /// Only this one and later.
        min_version: Option<i64>,
        /// Only this one and earlier.
        max_version: Option<i64>,
        /// Show the image that a parameter of Systems Manager holds instead of its name.
        resolve_alias: bool,
        /// Filters.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
    /// Lists instance types.
    DescribeInstanceTypes {
        /// Only these.
        names: Vec<String>,
        /// Filters.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
    /// Lists tags of every resource.
    DescribeTags {
        /// Filters: `key`, `resource-id`, `resource-type`, `value`, `tag:KEY`.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
}
