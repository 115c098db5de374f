//! A local AWS for tests, demo and benchmarks: a simulated EC2 account over HTTP with Auto Scaling,
//! Systems Manager and KMS beside it, DynamoDB embedded, and a host that runs the real Lambda
//! binaries and routes events to them.
//!
//! What the deployed system is made of (the table's schema, which event reaches which function)
//! is read from `infra/template.yaml`, never repeated here. Time is virtual: it moves when
//! [`bus::Bus::advance_to`] moves it.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod auto_scaling;
mod aws_json;
pub mod bus;
pub mod demo;
pub mod door;
pub mod dynamodb;
pub mod ec2;
pub mod iam;
pub mod invoke;
pub mod kms;
pub mod lambda;
pub mod local;
pub mod pace;
pub mod pattern;
mod query;
pub mod rate;
pub mod ssm;
pub mod sts;
pub mod template;
