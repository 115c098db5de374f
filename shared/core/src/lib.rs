//! Holdfast's pure core: plain data, decisions and the ports behind which I/O happens.
//!
//! Nothing here knows the AWS SDK, reads a clock or does I/O; every decision takes `now`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod artifact;
pub mod dependency;
pub mod error_code;
pub mod event;
pub mod id;
pub mod inventory;
pub mod lineage;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod report;
pub mod retention;
pub mod simulation;
