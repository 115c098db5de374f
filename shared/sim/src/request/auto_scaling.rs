//! Requests of Auto Scaling, API version 2011-01-01.

use super::PageRequest;
use crate::filter::Filter;

structures! {
    /// Lists launch configurations.
    DescribeLaunchConfigurations {
        /// Only these, at most 50; unknown ones are left out.
        names: Vec<String>,
        /// Page, `MaxRecords`; absent: 50.
        page: PageRequest,
    }
    /// Lists Auto Scaling groups.
    DescribeAutoScalingGroups {
        /// Only these, at most 50; unknown ones are left out.
        names: Vec<String>,
        /// Filters: `tag:KEY`, `tag-key`, `tag-value`.
        filters: Vec<Filter>,
        /// Page, `MaxRecords`; absent: 50.
        page: PageRequest,
    }
    /// Lists the instance refreshes of one Auto Scaling group.
    DescribeInstanceRefreshes {
        /// The group's name.
        group: String,
        /// Only these; unknown ones are left out.
        ids: Vec<String>,
        /// Page, `MaxRecords`; absent: 50.
        page: PageRequest,
    }
}
