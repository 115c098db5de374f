//! `DescribeFleets`, `DescribeSpotFleetRequests`, `DescribeSpotInstanceRequests`.

use std::collections::{BTreeMap, BTreeSet};

use crate::account::Account;
use crate::error::ApiError;
use crate::filter;
use crate::model::fleet::{Fleet, SpotFleet, SpotRequest};
use crate::page::candidates;
use crate::request;
use crate::response::Response;

/// Bounds of `MaxResults`: recommended for Spot Instance requests `[B]`, else assumed.
const FLEETS: (i32, i32) = (1, 1000);
const SPOT_REQUESTS: (i32, i32) = (5, 1000);

/// The identifiers asked for, each of which must exist; none: all. The codes of Spot requests are
/// in `[E]`, that of fleets is assumed.
fn only<T>(
    ids: &[String],
    all: &BTreeMap<String, T>,
    code: &str,
    kind: &str,
) -> Result<Option<BTreeSet<String>>, ApiError> {
    match ids.iter().find(|id| !all.contains_key(*id)) {
        Some(unknown) => Err(ApiError::not_found(code, kind, unknown)),
        None => Ok((!ids.is_empty()).then(|| ids.iter().cloned().collect())),
    }
}

impl Account {
    pub(super) fn describe_fleets(
        &mut self,
        r: &request::DescribeFleets,
    ) -> Result<Response, ApiError> {
        filter::check::<Fleet>(&r.filters, false)?;
        let only = only(&r.ids, &self.fleets, "InvalidFleetId.NotFound", "fleet ID")?;
        let parameters = (&r.ids, &r.filters);
        let cursor = self.open_page("DescribeFleets", &parameters, &r.page, FLEETS)?;
        let all = candidates(&self.fleets, cursor.after.as_deref(), only.as_ref(), |id| {
            id
        });
        // Instant ones must be named (API Reference, "DescribeFleets").
        Ok(Response::Fleets(cursor.collect(all, |f: &Fleet| {
            (f.kind != "instant" || only.is_some()) && filter::passes(&r.filters, f)
        })))
    }

    pub(super) fn describe_spot_fleet_requests(
        &mut self,
        r: &request::DescribeSpotFleetRequests,
    ) -> Result<Response, ApiError> {
        let code = "InvalidSpotFleetRequestId.NotFound";
        let only = only(&r.ids, &self.spot_fleets, code, "spot fleet request ID")?;
        let cursor = self.open_page("DescribeSpotFleetRequests", &r.ids, &r.page, FLEETS)?;
        let all = candidates(
            &self.spot_fleets,
            cursor.after.as_deref(),
            only.as_ref(),
            |id| id,
        );
        Ok(Response::SpotFleets(
            cursor.collect(all, |_: &SpotFleet| true),
        ))
    }

    pub(super) fn describe_spot_instance_requests(
        &mut self,
        r: &request::DescribeSpotInstanceRequests,
    ) -> Result<Response, ApiError> {
        filter::check::<SpotRequest>(&r.filters, true)?;
        let code = "InvalidSpotInstanceRequestID.NotFound";
        let only = only(
            &r.ids,
            &self.spot_requests,
            code,
            "spot instance request ID",
        )?;
        let parameters = (&r.ids, &r.filters);
        let operation = "DescribeSpotInstanceRequests";
        let cursor = self.open_page(operation, &parameters, &r.page, SPOT_REQUESTS)?;
        let all = candidates(
            &self.spot_requests,
            cursor.after.as_deref(),
            only.as_ref(),
            |id| id,
        );
        Ok(Response::SpotRequests(
            cursor.collect(all, |s: &SpotRequest| filter::passes(&r.filters, s)),
        ))
    }
}
