//! Holdfast's execution: AWS adapters, handlers of the functions, and all of the pure core.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod adopt;
pub mod aws;
pub mod check;
pub mod create;
mod doubt;
pub mod error;
pub mod explain;
pub mod function;
pub mod lease;
mod logging;
pub mod operator;
pub mod pace;
pub mod permissions;
pub mod restore;
pub mod settings;
pub mod sweep;

pub use holdfast_core as core;
pub use holdfast_core::{
    artifact, dependency, error_code, event, id, inventory, lineage, plan, policy, ports, report,
    retention, simulation,
};
