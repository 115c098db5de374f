//! Fleets and Spot requests.

use super::PageRequest;
use crate::filter::Filter;

structures! {
    /// Lists EC2 Fleets; those of type `instant` only where they are named.
    DescribeFleets {
        /// Only these.
        ids: Vec<String>,
        /// Filters: `fleet-state`, `type`.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
    /// Lists Spot Fleet requests.
    DescribeSpotFleetRequests {
        /// Only these.
        ids: Vec<String>,
        /// Page.
        page: PageRequest,
    }
    /// Lists Spot Instance requests.
    DescribeSpotInstanceRequests {
        /// Only these.
        ids: Vec<String>,
        /// Filters.
        filters: Vec<Filter>,
        /// Page.
        page: PageRequest,
    }
}
