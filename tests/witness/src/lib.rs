//! A second opinion on the simulated EC2 account: the same SDK calls go to it and to moto, an
//! independent model of EC2, and every difference is listed with which of the two is right and why.
//!
//! Tests that run against our own simulation can only find what we believe about EC2 wrong in the
//! product, never what is wrong in the belief. moto was written by others from their own look at
//! AWS: where both agree, the belief has a witness; where they differ, somebody has to say who is
//! right, by AWS's documentation, and that answer stands here in a table that is checked on every
//! run. A difference that appears, vanishes or changes fails the run.
//!
//! A scenario ([`scenario::Scenario`]) sets its stage by API calls alone, so that neither side is
//! privileged, and notes plain answers: error codes, counts, states, tags; no identifiers, no times.
//! The one thing that only the simulated side needs is that its clock be moved
//! ([`stage::Stage::settle`]); moto settles everything at once.
//!
//! EC2 Fleets, Spot Fleets, Spot requests, launch configurations and Auto Scaling groups are the
//! exception: the simulated account takes them as seeds alone and refuses the calls that create them,
//! so that each side has them set up in its own way, and the lists alone are asked for the same. moto
//! has no model of instance refreshes, image references, locks and the Recycle Bin.
//!
//! Citations: `[B]` botocore's service model, `[E]` the API Reference's page of error codes, `[Q]`
//! the EBS quota page; "User Guide" is EC2's or EBS's.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod compare;
pub mod expectation;
pub mod moto;
mod referrers;
pub mod scenario;
mod scenarios;
mod set_up;
pub mod simulated;
pub mod stage;
pub mod table;
