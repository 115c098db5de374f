//! Auto Scaling: `DescribeLaunchConfigurations`, `DescribeAutoScalingGroups`,
//! `DescribeInstanceRefreshes`.
//!
//! The sources are the API Reference of Amazon EC2 Auto Scaling and botocore's model of it.

use std::collections::BTreeSet;

use crate::account::Account;
use crate::error::ApiError;
use crate::filter;
use crate::model::auto_scaling::{AutoScalingGroup, InstanceRefresh, LaunchConfiguration};
use crate::page::{Cursor, candidates};
use crate::request::{self, PageRequest};
use crate::response::Response;

/// `MaxRecords` where it is absent, and at most; names in one request.
const DEFAULT_RECORDS: i32 = 50;
const MAX_RECORDS: i32 = 100;
const MAX_NAMES: usize = 50;

/// The service's code for parameters out of bounds (API Reference, "Common errors").
fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

impl Account {
    /// Opens a page by the rules of Auto Scaling: a list is always paginated, and a token that is
    /// not valid has a code of its own.
    fn open_auto_scaling_page(
        &mut self,
        operation: &'static str,
        parameters: &impl std::fmt::Debug,
        names: &[String],
        page: &PageRequest,
    ) -> Result<Cursor, ApiError> {
        if names.len() > MAX_NAMES {
            return Err(validation(format!(
                "At most {MAX_NAMES} names can be given."
            )));
        }
        let records = page.max_results.unwrap_or(DEFAULT_RECORDS);
        if !(1..=MAX_RECORDS).contains(&records) {
            return Err(validation(format!(
                "Value '{records}' at 'maxRecords' failed to satisfy constraint: 1 to {MAX_RECORDS}"
            )));
        }
        let page = PageRequest {
            max_results: Some(records),
            next_token: page.next_token.clone(),
        };
        self.open_page(operation, parameters, &page, (1, MAX_RECORDS))
            .map_err(|error| match error.code.as_str() {
                "InvalidPaginationToken" => ApiError::new("InvalidNextToken", error.message),
                _ => error,
            })
    }

    pub(super) fn describe_launch_configurations(
        &mut self,
        r: &request::DescribeLaunchConfigurations,
    ) -> Result<Response, ApiError> {
        let operation = "DescribeLaunchConfigurations";
        let cursor = self.open_auto_scaling_page(operation, &r.names, &r.names, &r.page)?;
        let only: BTreeSet<String> = r.names.iter().cloned().collect();
        let all = self.past.launch_configurations.over(
            &self.launch_configurations,
            self.view(),
            cursor.after.as_deref(),
            (!only.is_empty()).then_some(&only),
            |name| name,
        );
        Ok(Response::LaunchConfigurations(
            cursor.collect(all, |_: &LaunchConfiguration| true),
        ))
    }

    pub(super) fn describe_auto_scaling_groups(
        &mut self,
        r: &request::DescribeAutoScalingGroups,
    ) -> Result<Response, ApiError> {
        filter::check::<AutoScalingGroup>(&r.filters, true)
            .map_err(|error| validation(error.message))?;
        let operation = "DescribeAutoScalingGroups";
        let parameters = (&r.names, &r.filters);
        let cursor = self.open_auto_scaling_page(operation, &parameters, &r.names, &r.page)?;
        let only: BTreeSet<String> = r.names.iter().cloned().collect();
        let all = self.past.auto_scaling_groups.over(
            &self.auto_scaling_groups,
            self.view(),
            cursor.after.as_deref(),
            (!only.is_empty()).then_some(&only),
            |name| name,
        );
        Ok(Response::AutoScalingGroups(
            cursor.collect(all, |g: &AutoScalingGroup| filter::passes(&r.filters, g)),
        ))
    }

    pub(super) fn describe_instance_refreshes(
        &mut self,
        r: &request::DescribeInstanceRefreshes,
    ) -> Result<Response, ApiError> {
        let operation = "DescribeInstanceRefreshes";
        let parameters = (&r.group, &r.ids);
        let cursor = self.open_auto_scaling_page(operation, &parameters, &r.ids, &r.page)?;
        // A group must be named, and exist; the code is the service's for whatever is not valid.
        if !self.auto_scaling_groups.contains_key(&r.group) {
            let message = format!("AutoScalingGroup name not found - {}", r.group);
            return Err(validation(message));
        }
        let only: BTreeSet<String> = r.ids.iter().cloned().collect();
        let all = candidates(
            &self.instance_refreshes,
            cursor.after.as_deref(),
            (!only.is_empty()).then_some(&only),
            |id| id,
        );
        Ok(Response::InstanceRefreshes(
            cursor.collect(all, |refresh: &InstanceRefresh| refresh.group == r.group),
        ))
    }
}
